"""The detectors of links and of slow rails on 100,000 ports: CPU time an interval.

    python benchmarks/link_detectors.py

The ports are those of the shipped pod of 15,360 GPUs (as many as it has); every port's bytes, packets and states
change in each interval, and some have pauses and errors. CPU seconds of this process, the best of some intervals after
a first that compiles and fills tables; what counters rose (which all detectors share) is timed apart.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from collectors.detectors.interval import NEVER, Interval, Last
from collectors.detectors.link import Link
from collectors.detectors.policy import Policy
from collectors.detectors.slow_rail import SlowRail
from collectors.detectors.view import View, view
from fabric.catalogue import load_catalogue
from fabric.intent import load_intent
from fabric.plan import Plan
from fabric.samples import empty_flows, empty_outcomes
from planner.build import build
from planner.sizing import size

EXAMPLE = Path(__file__).parent.parent / "examples/hpn7-pod.yaml"
SECOND = 1_000_000_000
SHARED = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
"""Counters that move on every port, and that other detectors ask for as well."""
STILL = ("link_down_events", "fec_uncorrectable_codewords", "rx_fcs_errors", "rx_errors", "rx_pfc_pause_seconds_p3",
         "tx_pfc_pause_seconds_p3", "cnp_handled_packets", *(f"fec_codewords_b{n}" for n in range(10, 16)))  # fmt: skip
GAUGES = {"oper_status": 1.0, "admin_status": 1.0, "speed_gbps": 1e9, "counter_discontinuity_seconds": 0.0}


def cpu(run: Callable[[], Any]) -> float:
    """CPU milliseconds of a call."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def pod() -> View:
    """The shipped pod of 15,360 GPUs, as detectors see it."""
    intent = load_intent(EXAMPLE)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return view(Plan(intent, catalogue, design, build(design, intent, catalogue)))


def samples(seen: View, number: int) -> dict[str, Last]:
    """What every port said last at the end of an interval."""
    at = np.full(seen.ports, number * 10 * SECOND)
    found = {name: Last(np.full(seen.ports, value), at, at) for name, value in GAUGES.items()}
    moved = (seen.capacity * 5 * number).astype(np.uint64)
    for name in SHARED:
        found[name] = Last(moved // np.uint64(1 if "bytes" in name else 4096), at, at)
    rng = np.random.default_rng(number)
    for name in STILL:
        value = np.zeros(seen.ports) if name.endswith("p3") else np.zeros(seen.ports, np.uint64)
        value[rng.integers(0, seen.ports, 20)] = 1
        found[name] = Last(value, at, at)
    for lane in range(4):
        found[f"rx_power_dbm_l{lane}"] = Last(np.full(seen.ports, -2.0), at, at)
    return found


def interval(seen: View, number: int) -> Interval:
    """The interval that ends after so many times 10 s."""
    boots = np.full(len(seen.device_names), NEVER)
    now, before = samples(seen, number), samples(seen, number - 1)
    return Interval(
        seen, (number - 1) * 10 * SECOND, number * 10 * SECOND, before, now, {}, boots, empty_flows(), empty_outcomes(),
        0, np.ones(seen.ports, dtype=bool),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="CPU time of the detectors of links and slow rails")
    parser.add_argument("--intervals", type=int, default=5)
    asked = parser.parse_args()
    seen = pod()
    detectors = (Link(seen, Policy()), SlowRail(seen, Policy()))
    times: dict[str, list[float]] = {"rises": [], **{detector.code: [] for detector in detectors}}
    for number in range(1, asked.intervals + 2):
        made = interval(seen, number)
        times["rises"].append(cpu(lambda made=made: [made.delta(name) for name in SHARED]))  # type: ignore[misc]
        for detector in detectors:
            times[detector.code].append(cpu(lambda one=detector, made=made: list(one.step(made))))  # type: ignore[misc]
    print(f"{seen.ports:,} ports, CPU ms an interval (an interval of 100,000 ports)")
    for name, found in times.items():
        best = min(found[1:])
        print(f"  {name:10s} {best:6.1f}  ({best * 100_000 / seen.ports:.1f})")


if __name__ == "__main__":
    main()
