"""Runs of the simulator through the detectors of links and rails, and frames made by hand for a few ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
from test_simulate import four
from test_simulate_faults import ring, script

from collectors.detectors import Detector, Signal
from collectors.detectors.intervals import Intervals
from collectors.detectors.life import Lives
from collectors.detectors.link import Link
from collectors.detectors.policy import Policy
from collectors.detectors.slow_rail import SlowRail
from collectors.detectors.view import View, view
from fabric.findings import Finding, State
from fabric.jobfile import Job
from fabric.samples import schema
from planner.simulate.faults import truth
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

SECOND = 1_000_000_000


@cache
def seen() -> View:
    return view(four())


def found(*faults: dict[str, Any], jobs: Sequence[Job] = (), method: Any = "colored", **more: Any) -> list[Finding]:
    """What a run's findings were as they opened, changed and cleared."""
    made = Settings(**{"seconds": 110.0, "detail": False, "batch": 0.0} | more)
    jobs = jobs or [ring()]
    tracks = workload(four(), jobs, "compute")
    scenario = Scenario(four(), "compute", jobs, tracks, faults=script(*faults), method=method, settings=made)
    policy = Policy(interval_s=made.interval)
    steps, lives = Intervals(seen(), round(made.interval * SECOND)), Lives(seen(), policy.life)
    detectors: list[Detector] = [Link(seen(), policy), SlowRail(seen(), policy)]
    told = []
    for one in intervals(scenario):
        steps.feed(one.counters, one.flows, one.outcomes)
        interval = steps.step(START_NS + round(one.seconds * SECOND))
        told += lives.step(interval, [signal for detector in detectors for signal in detector.step(interval)])
    return told


def opened(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(one.code, one.cause) for one in findings if one.state is State.OPEN]


def hits(findings: Sequence[Finding], fault: dict[str, Any], deadline_s: float) -> bool:
    """Whether one finding opened, of the fault's code, cause and subject, until the deadline, and no other."""
    (wanted,) = truth(four(), "compute", script(fault), START_NS)
    (first,) = [one for one in findings if one.state is State.OPEN]
    subject = {key: ends(value) for key, value in first.subject.items()}
    assert first.last_seen <= wanted["onset_ns"] + deadline_s * SECOND
    assert subject == {key: ends(value) for key, value in wanted["subject"].items()}
    return (first.code, first.cause) == (wanted["code"], wanted["cause"])


def ends(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, list) else value


class Hand:
    """Intervals of 10 s of a few ports, by hand: ``step`` takes what each port's counters rose and its gauges are."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.at = detector, START_NS
        self.sums: dict[tuple[int, str], float] = {}
        self.steps = Intervals(seen(), 10 * SECOND)

    def step(self, ports: Mapping[int, Mapping[str, float]], gauges: Sequence[str] = ()) -> list[Signal]:
        self.at += 10 * SECOND
        rows = [self._row(port, values, gauges) for port, values in ports.items()]
        columns = sorted({name for values in ports.values() for name in values})
        self.steps.feed(pl.DataFrame(rows, schema=schema(columns)))
        return list(self.detector.step(self.steps.step(self.at)))

    def _row(self, port: int, values: Mapping[str, float], gauges: Sequence[str]) -> dict[str, Any]:
        row: dict[str, Any] = {"time_ns": self.at, "received_ns": self.at}
        row |= {name: seen().end(port)[name] for name in ("device", "port")}
        for name, value in values.items():
            total = value if name in gauges else self.sums.get((port, name), 0.0) + value
            self.sums[port, name] = total
            row[name] = total if name in gauges else int(total)
        return row

    def run(self, steps: int, ports: Mapping[int, Mapping[str, float]], gauges: Sequence[str] = ()) -> list[Signal]:
        """The same for so many intervals; signals of the last."""
        told: list[Signal] = []
        for _ in range(steps):
            told = self.step(ports, gauges)
        return told


def fabric_links() -> Iterator[tuple[int, int]]:
    """Ports at both ends of links between leaves and spines."""
    rows = four().fabric.links.filter(pl.col("tier").cast(pl.String) == "leaf-spine")
    yield from rows.select("a_port", "b_port").iter_rows()
