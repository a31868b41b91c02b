"""Whether detectors hold on to more and more memory: a simulated day, its memory hour by hour.

    python benchmarks/detectors_day.py [--hours 24] [--scene-seconds 120]

Runs of a small fabric, healthy and with faults, with flow samples and without, are simulated once and then fed again
and again as one long time: clocks and uptimes go on, flows have other ports and queue pairs each time, and findings
open and clear. Printed are each hour's traced memory of Python and numpy, and the resident memory of the process.
Ends with an error where hour 24 holds more than hour 2 by over a twentieth and a megabyte.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import polars as pl

from benchmarks.detection.cases import Case, made
from collectors.detectors.run import Watch, watch
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS, intervals

STEP = 10_000_000_000
HOUR = 360
"""Intervals."""
SCENES = (
    Case("small", "healthy", (), 0),
    Case("small", "single", ("link-flap",), 0),
    Case("small", "single", ("incast",), 0),
    Case("small", "single", ("pfc-storm",), 0),
    Case("small", "single", ("regular-ports",), 0),
    Case("small", "single", ("link-errors",), 0),
    Case("small", "single", ("config-drift",), 0),
    Case("small", "single", ("reboot",), 0),
    Case("small", "single", ("miswire",), 0),
    Case("small", "single", ("slow-rail",), 0),
)
SHARE, LEAST = 0.05, 1 << 20
"""What may be held more at the end than after two hours: of it, or bytes."""


def scenes(seconds: float) -> list[Interval]:
    """The intervals of every scene, one after the other."""
    return [one for case in SCENES for one in intervals(made(case).scenario) if one.seconds <= seconds]


def later(one: Interval, number: int, turn: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """An interval's tables as they are in interval ``number`` of the day, in the so-manyth turn of its scene."""
    moved = (number - one.number) * STEP
    times = [(pl.col(name) + moved).alias(name) for name in ("time_ns", "received_ns")]
    uptime = [pl.col("uptime_seconds") + moved / 1e9] if "uptime_seconds" in one.counters.columns else []
    others = (pl.col("src_port") + turn * 7 % 20_000).alias("src_port"), (pl.col("dest_qp") ^ turn).alias("dest_qp")
    flows = one.flows.with_columns(*times, *others).cast(one.flows.schema)
    return one.counters.with_columns(*times, *uptime), flows, one.outcomes.with_columns(times)


def day(watching: Watch, run: list[Interval], hours: int) -> Iterator[tuple[int, int]]:
    """Each hour's traced memory in bytes, and how many findings opened or cleared in it."""
    said = 0
    for number in range(hours * HOUR):
        turn, place = divmod(number, len(run))
        watching.intervals.feed(*later(run[place], number, turn))
        said += len(watching.step(START_NS + (number + 1) * STEP))
        if (number + 1) % HOUR == 0:
            gc.collect()
            yield tracemalloc.get_traced_memory()[0], said
            said = 0


def resident() -> float:
    """MB of the process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / 1e6


def main() -> int:
    """Print a row an hour."""
    parser = argparse.ArgumentParser(description="memory of all detectors over a day")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--scene-seconds", type=float, default=120.0)
    asked = parser.parse_args()
    run = scenes(asked.scene_seconds)
    watching = watch(made(SCENES[0]).scenario.plan)
    tracemalloc.start()
    held: list[int] = []
    print(f"{len(run)} intervals in turn\nhour  traced MB  resident MB  findings told", flush=True)
    for hour, (traced, said) in enumerate(day(watching, run, asked.hours), 1):
        held.append(traced)
        print(f"{hour:4d}  {traced / 1e6:9.2f}  {resident():11.0f}  {said:13d}", flush=True)
    early, late = held[min(1, len(held) - 1)], held[-1]
    grows = late > early + max(SHARE * early, LEAST)
    print(f"hour {len(held)} over hour 2: {late / early:.3f}, {'GROWS' if grows else 'bounded'}")
    return int(grows)


if __name__ == "__main__":
    sys.exit(main())
