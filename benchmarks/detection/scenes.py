"""What runs on a fabric while faults come and go, or while nothing is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks.detection.plans import NETWORK, exchanges, plan_of, rings
from benchmarks.detection.scripts import Draw, Fields
from collectors.detectors.life import Maintenance
from fabric.jobfile import Job
from planner.simulate.faults import Fault, faults_from
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

INTERVAL = 10.0
LEAST_SECONDS = 180.0
AFTER = 20.0
HEALTHY_SECONDS = 300.0
HASHES = ("polarised-hash", "low-entropy", "regular-ports")
"""Faults that show where switches choose by a hash: these runs have many queue pairs and no pinned paths."""
QUEUE_PAIRS = 32
SAMPLING = {"many": 1_000_000, "few": 20_000_000}
"""A frame in so many becomes a flow sample; the second on paths that are pinned, where flows are few."""
LARGE, LARGE_SAMPLING = 1000, {"many": 5_000_000, "few": 20_000_000}
"""The same of fabrics of so many hosts: half a million samples an interval instead of three million."""
BUSY = 0.01
"""Of line rate: a port that receives less has next to nothing to lose."""


def ordinary(fabric: str, rng: np.random.Generator, kinds: Collection[str]) -> Scenario:
    """Rings on pinned paths, or with many queue pairs where switches choose; without faults yet."""
    hashes = bool(set(kinds) & set(HASHES))
    jobs = rings(plan_of(fabric), rng, 1 if hashes else int(rng.integers(1, 4)))
    settings = Settings(
        seconds=LEAST_SECONDS, interval=INTERVAL, idle=float(rng.uniform(0.1, 1.0)),
        refresh=float(rng.choice([0.0, 0.0, 2.0, 5.0])), seed=int(rng.integers(2**31)),
        sampling=sampling(fabric, "many" if hashes else "few") if hashes or "incast" in kinds else 0,
        detail="link-errors" in kinds,
    )  # fmt: skip
    return _scenario(fabric, jobs, settings, QUEUE_PAIRS if hashes else None)


def sampling(fabric: str, which: str) -> int:
    """Frames a flow sample."""
    return (LARGE_SAMPLING if plan_of(fabric).fabric.hosts.height >= LARGE else SAMPLING)[which]


def _scenario(fabric: str, jobs: list[Job], settings: Settings, queue_pairs: int | None) -> Scenario:
    plan = plan_of(fabric)
    tracks = workload(plan, jobs, NETWORK, queue_pairs)
    method: Any = "ecmp" if queue_pairs else "colored"
    return Scenario(plan, NETWORK, jobs, tracks, method=method, settings=settings)


def with_faults(scenario: Scenario, faults: tuple[Fault, ...]) -> Scenario:
    """The same with faults, and long enough for them."""
    last = max((fault.end + AFTER for fault in faults), default=0.0)
    seconds = max(math.ceil(last / INTERVAL) * INTERVAL, scenario.settings.seconds)
    return replace(scenario, faults=faults, settings=replace(scenario.settings, seconds=seconds))


def busy_ports(scenario: Scenario) -> frozenset[tuple[str, str]]:
    """Devices and ports that receive something worth losing."""
    brief = replace(scenario.settings, seconds=INTERVAL, sampling=0, detail=False, refresh=0.0)
    counted = next(intervals(replace(scenario, settings=brief))).counters
    speed = pl.col("speed_gbps") * 1e9 / 8 * INTERVAL
    return frozenset(counted.filter(pl.col("rx_bytes") > BUSY * speed).select("device", "port").iter_rows())


def healthy(fabric: str, rng: np.random.Generator) -> tuple[Scenario, tuple[Maintenance, ...]]:
    """Idle phases, stale counters, what is over in seconds, announced restarts: nothing is to be found."""
    plan = plan_of(fabric)
    flavour = int(rng.integers(4))
    jobs = exchanges(plan, rng) if flavour == 0 else rings(plan, rng, int(rng.integers(1, 5)))
    settings = Settings(
        seconds=HEALTHY_SECONDS, interval=INTERVAL, idle=float(rng.uniform(0.05, 4.0)),
        refresh=float(rng.choice([0.0, 2.0, 5.0, 10.0])), seed=int(rng.integers(2**31)),
        sampling=sampling(fabric, "many") if flavour < 2 else 0, detail=bool(rng.random() < 0.3),
        bursts=float(rng.choice([0.0, 1.0, 1.0]) * rng.uniform(0.01, 0.05)),
    )  # fmt: skip
    scenario = _scenario(fabric, jobs, settings, {0: 1, 1: QUEUE_PAIRS}.get(flavour))
    passing = tuple(_passing(fabric, rng, late=settings.refresh > 0) for _ in range(int(rng.integers(4))))
    if flavour != 3:
        return with_faults(scenario, passing), ()
    restart, window = _announced(fabric, rng)
    return with_faults(scenario, (*passing, restart)), (window,)


def _passing(fabric: str, rng: np.random.Generator, *, late: bool) -> Fault:
    """What happens to healthy fabrics: a burst of senders, a host that reads, a lost poll, a touched connector.

    No connector where counters are late: the simulator then spreads what a moment counted over two intervals.
    """
    draw = Draw(fabric, rng)
    kinds = (
        ("incast", {**draw.rail(), "senders": int(rng.integers(4, 25))}, 0.2, 2.0),
        ("slow-receiver", {**draw.rail(), "share": float(rng.uniform(0.3, 0.9))}, 1.0, 8.0),
        ("silence", draw.device(), 1.0, 9.0),
        ("link-errors", {**draw.link(), "rate": draw.log(100, 1e5)}, 0.01, 0.2),
    )
    kind, fields, least, most = kinds[int(rng.integers(3 if late else 4))]
    start = float(rng.uniform(40.0, HEALTHY_SECONDS - 40.0))
    return fault_of(fabric, kind, start, start + float(rng.uniform(least, most)), fields)


def _announced(fabric: str, rng: np.random.Generator) -> tuple[Fault, Maintenance]:
    """A device that is restarted within a window that was announced."""
    device = Draw(fabric, rng).device()
    start = float(rng.uniform(60.0, 120.0))
    fault = fault_of(fabric, "reboot", start, start + 80.0, device)
    begin, end = (START_NS + round(time * 1e9) for time in (fault.start - 30, fault.end + 60))
    return fault, Maintenance(begin, end, frozenset(device.values()))


def fault_of(fabric: str, kind: str, start: float, end: float, fields: Fields) -> Fault:
    """A fault as a script would have it; times in seconds."""
    script = {"faults": [{"kind": kind, "start": round(start, 2), "end": round(end, 2), **fields}]}
    return faults_from(script, plan_of(fabric), NETWORK)[0]
