"""Where a job's ranks run: host, GPU, rail and segment of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.errors import InputError, Problem
from planner.simulate.kept import kept
from planner.simulate.wires import Ints, domains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric.jobfile import Job
    from fabric.plan import Plan


@dataclass(frozen=True)
class Seats:
    """By rank: device id of its host, GPU within the host, rail of that GPU, scale-up domain, segment."""

    host: Ints
    gpu: Ints
    rail: Ints
    domain: Ints
    segment: Ints


def seats(plan: Plan, job: Job, network: str) -> Seats:
    """The ranks of a job in the order of its hosts: those it names, else the first that compute and are no spares.

    Raises InputError where a host is not in the plan, has too few GPUs, or there are too few hosts.
    """
    chosen = _hosts(plan, job)
    per_host = job.gpus_per_host
    rails = gpu_rails(plan, network)
    host = chosen["id"].cast(pl.Int64).to_numpy().repeat(per_host)
    gpu = np.tile(np.arange(per_host), job.host_count)
    rail = rails[host, gpu]
    if (rail < 0).any():
        name = plan.fabric.hosts["name"][int(host[rail < 0][0])]
        raise InputError(Problem(f"job {job.name}", f"{name} has no NIC on the {network} network", "take other hosts"))
    segment = chosen["segment"].cast(pl.Int64).fill_null(-1).to_numpy().repeat(per_host)
    return Seats(host, gpu, rail, domains(plan)[host], segment)


def _hosts(plan: Plan, job: Job) -> pl.DataFrame:
    hosts = plan.fabric.hosts.filter(pl.col("gpus") > 0)
    if isinstance(job.hosts, int):
        free = hosts.filter(~pl.col("spare")).sort("pod", "segment", "place", "id")
        if free.height < job.hosts:
            what = f"wants {job.hosts:,} hosts; the plan has {free.height:,} with GPUs, spares left out"
            raise InputError(Problem(f"job {job.name}: hosts", what, "take fewer hosts"))
        chosen = free.head(job.hosts)
    else:
        wanted = pl.DataFrame({"name": list(job.hosts)})
        chosen = wanted.join(hosts, on="name", how="left", maintain_order="left")
    if problems := list(_unfit(job, chosen)):
        raise InputError(problems)
    return chosen


def _unfit(job: Job, chosen: pl.DataFrame) -> Iterator[Problem]:
    where = f"job {job.name}: hosts"
    for name in chosen.filter(pl.col("id").is_null())["name"].head(20):
        yield Problem(where, f'the plan has no host "{name}" with GPUs', "names are those of cables.csv")
    for name, gpus in chosen.filter(pl.col("gpus") < job.gpus_per_host).select("name", "gpus").head(20).iter_rows():
        yield Problem(where, f"{name} has {gpus} GPUs, the job wants {job.gpus_per_host}", "take other hosts")


def gpu_rails(plan: Plan, network: str) -> Ints:
    """Rail that each GPU of each host uses (hosts × most GPUs, −1 where it has none): its nearest NIC, else shares."""
    return kept(plan, ("rails", network), lambda: _gpu_rails(plan, network))


def _gpu_rails(plan: Plan, network: str) -> Ints:
    nics = plan.fabric.nics.filter(pl.col("network").cast(pl.String) == network)
    gpus = plan.fabric.hosts["gpus"].to_numpy().astype(np.int64)
    found = np.full((len(gpus), int(gpus.max(initial=1))), -1, dtype=np.int64)
    counts = np.bincount(nics["host"].to_numpy(), minlength=len(gpus))
    number = np.arange(found.shape[1])
    has = (counts > 0) & (gpus > 0)
    found[has] = np.minimum(number[None, :] * counts[has, None] // gpus[has, None], counts[has, None] - 1)
    near = nics.filter(pl.col("gpu").is_not_null()).unique(["host", "gpu"], keep="first", maintain_order=True)
    found[near["host"].to_numpy(), near["gpu"].cast(pl.Int64).to_numpy()] = near["rail"].cast(pl.Int64).to_numpy()
    return np.where(number[None, :] < gpus[:, None], found, -1)
