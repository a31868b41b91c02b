"""All detectors on an interval of 100,000 ports: CPU time on one core, beside reading its samples once.

    python benchmarks/detectors.py [--fabric 15360|1024|small] [--load rings|hashes|many] [--intervals 8]

A healthy fabric is simulated first; then each interval's table of samples, as the store would give it, goes through all
detectors in their order, with tables made and code compiled before. CPU milliseconds of this process with one thread,
the median and the worst of the intervals, scaled to 100,000 ports. What several detectors ask for counts for who asks
first. The bound is one pass of numpy over the numbers of the same table: nothing that looks at all of them is faster.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl

from benchmarks.detection.plans import NETWORK, exchanges, plan_of, rings
from collectors.detectors.run import Watch, watch
from planner.simulate.job import workload
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

PORTS = 100_000
MOST_MS = 300.0
BEFORE = 3
"""Intervals that fill tables and compile: two samples for each rise, and one for what is told every 30 s."""
LOADS = {"rings": (0, None), "hashes": (20_000_000, 32), "many": (5_000_000, 1)}
"""A frame in so many is sampled (0: none), and queue pairs of a flow (None: paths are pinned)."""


def cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds of a call, and what it gave."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), found


def scenario(fabric: str, load: str, count: int) -> Scenario:
    """A healthy run: rings over all hosts, or all-to-all among groups of eight hosts."""
    plan, rng = plan_of(fabric), np.random.default_rng(1)
    sampling, queue_pairs = LOADS[load]
    jobs = exchanges(plan, rng) if load == "many" else rings(plan, rng, 4)
    settings = Settings(seconds=10.0 * count, interval=10.0, idle=0.5, seed=1, sampling=sampling)
    tracks = workload(plan, jobs, NETWORK, queue_pairs)
    method: Any = "ecmp" if queue_pairs else "colored"
    return Scenario(plan, NETWORK, jobs, tracks, method=method, settings=settings)


def once(frame: pl.DataFrame) -> float:
    """Every number of a table, read once."""
    numbers = [frame[name].to_numpy() for name, dtype in frame.schema.items() if dtype.is_numeric()]
    arrays = [np.ascontiguousarray(values) for values in numbers]
    taken, _ = cpu(lambda: [values.sum() for values in arrays])
    return taken


def through(watching: Watch, made: Interval, end_ns: int) -> Iterator[tuple[str, float]]:
    """The parts of one interval's way through the detectors, and what each took."""
    watching.intervals.feed(made.counters, made.flows, made.outcomes)
    taken, interval = cpu(lambda: watching.intervals.step(end_ns))
    yield "samples to arrays", taken
    signals: list[Any] = []
    for detector in watching.detectors:
        taken, found = cpu(lambda one=detector: list(one.step(interval)))  # type: ignore[misc]
        signals += found
        yield detector.code, taken
    taken, _ = cpu(lambda: watching.lives.step(interval, signals))
    yield "lives of findings", taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="CPU time of all detectors an interval")
    parser.add_argument("--fabric", default="15360")
    parser.add_argument("--load", choices=LOADS, default="rings")
    parser.add_argument("--intervals", type=int, default=8)
    asked = parser.parse_args()
    run = scenario(asked.fabric, asked.load, BEFORE + asked.intervals)
    watching = watch(run.plan)
    scale = PORTS / watching.view.ports
    times: dict[str, list[float]] = {}
    for made in intervals(run):
        parts = dict(through(watching, made, START_NS + (made.number + 1) * 10_000_000_000))
        parts["in all"] = sum(parts.values())
        parts["read once"] = once(made.counters)
        if made.number >= BEFORE:
            for name, taken in parts.items():
                times.setdefault(name, []).append(taken * scale)
    print(
        f"{asked.load}: {watching.view.ports:,} ports, the last table {made.counters.shape}, {made.flows.height} flows"
    )
    report(times)


def report(times: dict[str, list[float]]) -> None:
    """A row a part: median and worst in ms of 100,000 ports, and the median over the bound."""
    bound = median(times["read once"])
    print(f"{'':18s} {'median':>8s} {'worst':>8s} {'× reading':>10s}")
    for name, taken in times.items():
        print(f"{name:18s} {median(taken):8.1f} {max(taken):8.1f} {median(taken) / bound:10.1f}")
    whole = median(times["in all"])
    print(f"{'within' if whole <= MOST_MS else 'OVER'} {MOST_MS:.0f} ms: {whole:.0f} ms")


if __name__ == "__main__":
    main()
