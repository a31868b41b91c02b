"""Which job ran where and when: ``jobs.csv``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from collectors.detectors.view import NONE, View
from fabric.errors import InputError, Problem
from fabric.plan import Plan

JOBS = {
    "job": pl.String, "host": pl.String, "gpu": pl.Int64, "rank": pl.Int64, "start_ns": pl.Int64, "end_ns": pl.Int64,
}  # fmt: skip
MOST_NAMED = 20
"""Jobs that a finding names, at most."""


@dataclass(frozen=True)
class Jobs:
    """``placed``: host (id), job, start_ns, end_ns, one row a job and host; ``end_ns`` null while it runs."""

    placed: pl.DataFrame

    def touched(self, view: View, ports: Iterable[int], at_ns: int) -> tuple[str, ...]:
        """Jobs that ran then on a host that the ports concern: their own, at the other end, or below their leaves."""
        hosts = _hosts(view, ports)
        running = (pl.col("start_ns") <= at_ns) & (pl.col("end_ns").is_null() | (pl.col("end_ns") > at_ns))
        found = self.placed.filter(running & pl.col("host").is_in(sorted(hosts)))["job"].unique().sort()
        return tuple(found.to_list()[:MOST_NAMED])

    def hosts(self, at_ns: int) -> pl.DataFrame:
        """``host`` (id) and ``job`` of what ran then."""
        running = (pl.col("start_ns") <= at_ns) & (pl.col("end_ns").is_null() | (pl.col("end_ns") > at_ns))
        return self.placed.filter(running).select("host", "job").unique().sort("host", "job")


def _hosts(view: View, ports: Iterable[int]) -> set[int]:
    ends = {int(p) for port in ports for p in (port, view.peer[port]) if p != NONE}
    devices = {int(view.device[port]) for port in ends}
    hosts = {device for device in devices if device < view.plan.fabric.hosts.height}
    if hosts:
        return hosts
    return {int(h) for device in devices for h in view.hosts_below.get(device, np.zeros(0, dtype=np.int64))}


def read_jobs(path: Path, plan: Plan) -> Jobs:
    """The jobs of a ``jobs.csv``. Raises InputError with all that is wrong with it."""
    rows = _read(path, JOBS)
    ids = {name: number for number, name in enumerate(plan.fabric.hosts["name"])}
    unknown = rows.filter(~pl.col("host").is_in(list(ids)))["host"].unique().sort().to_list()
    if unknown:
        raise InputError([Problem(f"{path}: host", f'the plan has no host "{name}"') for name in unknown[:20]])
    placed = rows.with_columns(pl.col("host").replace_strict(ids, return_dtype=pl.Int64))
    return Jobs(placed.select("host", "job", "start_ns", "end_ns").unique(maintain_order=True))


def _read(path: Path, schema: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Columns of a CSV file, in the order and dtypes of the schema."""
    rows = texts(path, schema)
    problems: list[Problem] = []
    cast = rows.select(pl.col(name).cast(dtype, strict=False) for name, dtype in schema.items())
    for name in schema:
        bad = rows.with_row_index("line", 2).filter(cast[name].is_null() & (rows[name].fill_null("") != ""))
        problems += [
            Problem(f"{path}:{line}: {name}", f'"{text[:60]}" is no whole number')
            for line, text in bad.select("line", name).head(20).iter_rows()
        ]
    if problems:
        raise InputError(problems)
    return cast


def texts(path: Path, columns: Collection[str]) -> pl.DataFrame:
    """Columns of a CSV file as text. Raises InputError where it cannot be read or lacks one."""
    try:
        rows = pl.read_csv(path, infer_schema=False)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}")) from error
    except pl.exceptions.PolarsError as error:
        raise InputError(Problem(str(path), f"is not CSV: {str(error).splitlines()[0][:120]}")) from error
    missing = [Problem(str(path), f"has no column {name}") for name in columns if name not in rows.columns]
    if missing:
        raise InputError(missing)
    return rows.select(*columns)
