"""The folder that ``simulate -o`` writes.

| file | holds |
|---|---|
| ``simulation.json`` | what ``simulate --json`` prints |
| ``counters.parquet`` | samples of counters, as ``store load`` reads them; outcomes of polls are rows without a port |
| ``flows.parquet`` | flow samples |
| ``truth.jsonl`` | the faults as they really were, a line each |
| ``jobs.csv``, ``qps.csv`` | who ran where, and their queue pairs |
| ``loads.csv`` | load of every link between switches in the busiest step |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fabric.samples import stacked
from planner.simulate.faults import truth
from planner.simulate.ranks import seats
from planner.simulate.telemetry import intervals

if TYPE_CHECKING:
    from planner.simulate.flows import Flows
    from planner.simulate.reports import Interval
    from planner.simulate.telemetry import Scenario


def write(scenario: Scenario, answer: dict[str, Any], folder: Path, loads: pl.DataFrame | None = None) -> None:
    """Write all files; an interval is held at a time. ``loads``: that of ``result.loads_table``."""
    (folder / "simulation.json").write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
    lines = truth(scenario.plan, scenario.network, scenario.faults, scenario.settings.start_ns)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "truth.jsonl").write_text(text, encoding="utf-8")
    if loads is not None:
        loads.write_csv(folder / "loads.csv", float_precision=6)
    jobs_csv(scenario).write_csv(folder / "jobs.csv")
    qps_csv(scenario).write_csv(folder / "qps.csv")
    _tables(intervals(scenario), folder)


def _tables(made: Iterator[Interval], folder: Path) -> None:
    """Parquet, made of a part an interval; columns that an interval lacks are null there."""
    with TemporaryDirectory(dir=folder) as name:
        parts = Path(name)
        for interval in made:
            outcomes = interval.outcomes.drop("seconds", "rows")
            stacked([interval.counters, outcomes]).write_parquet(parts / f"counters-{interval.number:06d}.parquet")
            interval.flows.write_parquet(parts / f"flows-{interval.number:06d}.parquet")
        for table in ("counters", "flows"):
            found = [pl.scan_parquet(path) for path in sorted(parts.glob(f"{table}-*.parquet"))]
            pl.concat(found, how="diagonal").sink_parquet(folder / f"{table}.parquet")


def jobs_csv(scenario: Scenario) -> pl.DataFrame:
    """``job,host,gpu,rank,start_ns,end_ns``."""
    names = scenario.plan.fabric.hosts["name"]
    settings = scenario.settings
    parts = [pl.DataFrame(schema={"job": pl.String, "host": pl.String, "gpu": pl.Int64, "rank": pl.Int64})]
    for job in scenario.jobs:
        sits = seats(scenario.plan, job, scenario.network)
        job_name = pl.repeat(job.name, len(sits.host), dtype=pl.String, eager=True)
        columns = {"job": job_name, "host": names.gather(sits.host), "gpu": sits.gpu, "rank": np.arange(len(sits.host))}
        parts.append(pl.DataFrame(columns))
    end = settings.start_ns + round(settings.seconds * 1e9)
    return pl.concat(parts).with_columns(start_ns=pl.lit(settings.start_ns), end_ns=pl.lit(end))


def qps_csv(scenario: Scenario) -> pl.DataFrame:
    """``src_host,src_rail,dst_host,dst_rail,src_port,dest_qp,job``: each queue pair once."""
    empty = {"src_host": pl.String, "src_rail": pl.Int64, "dst_host": pl.String, "dst_rail": pl.Int64,
             "src_port": pl.Int64, "dest_qp": pl.Int64, "job": pl.String}  # fmt: skip
    parts = [pl.DataFrame(schema=empty)]
    for track in scenario.tracks:
        parts += [_pairs(scenario, stage.flows, scenario.jobs[stage.job].name) for stage in track]
    if scenario.flows is not None:
        parts.append(_pairs(scenario, scenario.flows, ""))
    return pl.concat(parts).unique(maintain_order=True)


def _pairs(scenario: Scenario, many: Flows, job: str) -> pl.DataFrame:
    names = scenario.plan.fabric.hosts["name"]
    away = many.take(~many.local)
    columns = {
        "src_host": names.gather(away.src_host), "src_rail": away.src_rail, "dst_host": names.gather(away.dst_host),
        "dst_rail": away.dst_rail, "src_port": away.src_port, "dest_qp": away.dest_qp,
    }  # fmt: skip
    return pl.DataFrame(columns).with_columns(job=pl.lit(job))
