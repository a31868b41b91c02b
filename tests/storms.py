"""Runs of the simulator with faults, watched by detectors: what they find, and whether it is the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
from link_cases import Hand
from test_simulate import four, job

from collectors.detectors.life import Maintenance
from collectors.detectors.run import Watch, watch
from fabric.findings import Finding, State
from fabric.jobfile import Job
from planner.simulate.faults import faults_from, truth
from planner.simulate.job import workload
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

CODES = ("incast", "pfc-storm", "lossless-drop", "config-drift", "silence")
LEAF, SPINE = "leaf-compute-s000-l0-p0", "spine-compute-d00-000"
SECOND = 10**9


class Hands(Hand):
    """The same with counters of seconds as they are, not whole."""

    def _row(self, port: int, values: Mapping[str, float], gauges: Sequence[str]) -> dict[str, Any]:
        row = super()._row(port, values, gauges)
        return row | {name: self.sums[port, name] for name in values if "_seconds" in name}


@cache
def the_job(collective: str, algorithm: str | None = None) -> Job:
    """A job over all hosts, dealt over the segments so that all traffic climbs."""
    hosts = four().fabric.hosts.filter(~pl.col("spare")).sort("place", "segment")["name"].to_list()
    return job(hosts, collective, **({"algorithm": algorithm} if algorithm else {}))


def simulated(
    faults: Sequence[dict[str, Any]] = (), made: Job | None = None, queue_pairs: int | None = None, **more: Any
) -> list[Interval]:
    """The intervals of a run; ``more`` are settings of the simulator."""
    plan, made = four(), made or the_job("all-reduce")
    settings = Settings(**{"seconds": 90.0, "detail": False} | more)
    tracks = workload(plan, [made], "compute", queue_pairs)
    script = faults_from({"faults": list(faults)}, plan, "compute")
    return list(intervals(Scenario(plan, "compute", [made], tracks, faults=script, settings=settings)))


def walked(run: Iterable[Interval], watching: Watch) -> list[tuple[float, Finding]]:
    """What is told, and when in seconds."""
    found = []
    for one in run:
        watching.intervals.feed(one.counters, one.flows, one.outcomes)
        told = watching.step(START_NS + round(one.seconds * 1e9))
        found += [(one.seconds, finding) for finding in told]
    return found


def watched(
    run: Iterable[Interval], codes: Sequence[str] = CODES, maintenance: Sequence[Maintenance] = ()
) -> list[tuple[float, Finding]]:
    """What detectors tell of a run on ``four``."""
    return walked(run, watch(four(), codes=codes, maintenance=maintenance))


def opened(found: Iterable[tuple[float, Finding]]) -> list[tuple[float, str, str | None, dict[str, Any]]]:
    """When each finding opened, its code, cause and subject."""
    rows = [(at, finding) for at, finding in found if finding.state == State.OPEN]
    return [(at, finding.code, finding.cause, dict(finding.subject)) for at, finding in rows]


def truths(*faults: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Code, cause and subject of faults."""
    script = faults_from({"faults": list(faults)}, four(), "compute")
    return [(row["code"], row["cause"], row["subject"]) for row in truth(four(), "compute", script)]


def hits(found: Iterable[tuple[float, Finding]], *faults: dict[str, Any], within: int) -> None:
    """Assert that just the faults are found, each within so many intervals, and cleared when they are over."""
    found = list(found)
    rows = opened(found)
    assert sorted(map(repr, (row[1:] for row in rows))) == sorted(map(repr, truths(*faults)))
    for at, code, *_ in rows:
        (start,) = [f["start"] for f, true in zip(faults, truths(*faults), strict=True) if true[0] == code]
        assert start < at <= start + 10 * within
    cleared = [finding.id for _, finding in found if finding.state == State.CLEARED]
    assert len(cleared) == len(set(cleared)) == len(rows)
