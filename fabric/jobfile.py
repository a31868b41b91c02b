"""A training job as a file: its hosts, how its ranks are divided, and what each step of an iteration sends.

``job.yaml``: ``name``, ``hosts`` (a number, or names in rank order), ``gpus_per_host``, ``tp``, ``pp``, ``dp``, ``ep``
and ``steps``. Ranks are ordered tp fastest, then dp, then pp; rank r runs on host r // gpus_per_host, on its GPU
r % gpus_per_host. ``ep`` divides ``dp``: an expert group is ``ep`` neighbours of a data-parallel group.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, model_validator

from fabric import yaml
from fabric.errors import InputError, Problem
from fabric.validation import Strict, validate

Collective = Literal["all-reduce", "all-gather", "reduce-scatter", "all-to-all", "send-recv"]
Group = Literal["tp", "pp", "dp", "ep"]
Algorithm = Literal["ring", "tree", "hierarchical"]
Ranks = npt.NDArray[np.int64]

MOST_RANKS = 1 << 20
"""Ranks of one job, at most: eight times the largest fabric that is planned."""


def _whole(value: object) -> object:
    """1e9 is a whole number to whoever writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Bytes = Annotated[int, BeforeValidator(_whole), Field(gt=0, le=1 << 60)]
Count = Annotated[int, Field(ge=1, le=MOST_RANKS)]


class Step(Strict):
    """One collective, run by all groups of a kind at once.

    ``bytes`` is the buffer of one rank as NCCL's tests count it: what is reduced, all that is gathered, all that is
    scattered, all that one rank sends to the others; of send-recv, the message to the next stage. ``skew`` is for
    all-to-all: the Zipf exponent of how often each rank of the group (its experts) is chosen; 0 is even.
    """

    collective: Collective
    group: Group
    bytes: Bytes
    algorithm: Algorithm = "ring"
    skew: Annotated[float, Field(ge=0, le=4)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> Step:
        if self.collective != "all-reduce" and self.algorithm == "tree":
            raise ValueError(f"algorithm tree is for all-reduce, not {self.collective}")
        if self.collective in ("all-to-all", "send-recv") and self.algorithm != "ring":
            raise ValueError(f"{self.collective} has no algorithm; leave it out")
        if self.skew and self.collective != "all-to-all":
            raise ValueError(f"skew is for all-to-all, not {self.collective}")
        return self


class Job(Strict):
    """A job: ``hosts`` (how many, or which in rank order) × ``gpus_per_host`` = tp · pp · dp ranks."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    hosts: Count | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    gpus_per_host: Count
    tp: Count = 1
    pp: Count = 1
    dp: Count = 1
    ep: Count = 1
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @property
    def host_count(self) -> int:
        """How many hosts it takes."""
        return self.hosts if isinstance(self.hosts, int) else len(self.hosts)

    @property
    def ranks(self) -> int:
        """How many GPUs it takes."""
        return self.host_count * self.gpus_per_host

    def size(self, kind: Group) -> int:
        """Ranks of one group of a kind."""
        return {"tp": self.tp, "pp": self.pp, "dp": self.dp, "ep": self.ep}[kind]

    def groups(self, kind: Group) -> Ranks:
        """Ranks of every group of a kind, n_groups × group_size, each group in its own order."""
        grid = np.arange(self.pp * self.dp * self.tp).reshape(self.pp, self.dp, self.tp)
        if kind == "tp":
            return grid.reshape(-1, self.tp)
        if kind == "pp":
            return grid.transpose(1, 2, 0).reshape(-1, self.pp)
        return grid.transpose(0, 2, 1).reshape(-1, self.size(kind))


def read_job(path: Path) -> Job:
    """The job in a YAML file; raises InputError with all that is wrong with it."""
    return job_from(yaml.load_file(path), str(path))


def job_from(data: object, where: str = "job") -> Job:
    """The job in plain values, as YAML gives them; ``where`` names them in messages. Raises InputError."""
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is not a mapping"
        raise InputError(Problem(where, f"{what}; a job has at least name, hosts, gpus_per_host and steps"))
    found = list(_sums(data, where))
    try:
        job = validate(Job, data, where)
    except InputError as error:
        raise InputError(sorted({*error.problems, *found})) from None
    if found:
        raise InputError(found)
    return job


def _sums(data: dict[object, object], where: str) -> list[Problem]:
    """What does not add up, told beside what is wrong by itself; parts that are no numbers are not added."""
    found = []
    hosts = data.get("hosts")
    names = list(hosts) if isinstance(hosts, list) else []
    twice = sorted(name for name, count in Counter(map(str, names)).items() if count > 1)
    if twice:
        found.append(Problem(f"{where}: hosts", f"names {', '.join(twice[:5])} twice", "name each host once"))
    sizes = {name: data.get(name, 1) for name in ("tp", "pp", "dp", "ep")}
    parts = {"hosts": len(names) if names else hosts, "gpus_per_host": data.get("gpus_per_host"), **sizes}
    numbers = {
        name: n for name, n in parts.items() if isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MOST_RANKS
    }
    if len(numbers) < len(parts):
        return found
    ranks, asked = numbers["hosts"] * numbers["gpus_per_host"], numbers["tp"] * numbers["pp"] * numbers["dp"]
    if ranks != asked:
        said = f"tp · pp · dp = {asked}, but hosts · gpus_per_host = {ranks}"
        found.append(Problem(where, said, f"make them equal: dp {ranks / asked * numbers['dp']:g} would do"))
    if numbers["dp"] % numbers["ep"]:
        said = f"{numbers['ep']} does not divide dp, which is {numbers['dp']}"
        found.append(Problem(f"{where}: ep", said, "take a divisor of dp"))
    if ranks > MOST_RANKS:
        found.append(Problem(f"{where}: hosts", f"{ranks:,} GPUs; a job has at most {MOST_RANKS:,}"))
    return found
