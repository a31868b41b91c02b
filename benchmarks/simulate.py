"""The flow simulator at 15,360 GPUs: one solve, whole runs, and a peer for the solver.

    python benchmarks/simulate.py

One max–min solve of 277,000 flows (all-to-all among 512 GPUs and rings over all) beside the same fill in plain numpy,
whole runs of both as a command would do them, and what an interval of telemetry takes. CPU seconds of this process
after a first run that compiles.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fabric.catalogue import load_catalogue
from fabric.intent import load_intent
from fabric.jobfile import Job, job_from
from fabric.plan import Plan
from planner.build import build
from planner.simulate import prepare
from planner.simulate.job import routed, run_jobs, workload
from planner.simulate.maxmin import fair_rates
from planner.simulate.telemetry import Scenario, Settings, intervals
from planner.simulate.wires import Floats, Small
from planner.sizing import size

EXAMPLE = Path(__file__).parent.parent / "examples/hpn7-pod.yaml"


def cpu(run: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pod() -> Plan:
    """The shipped pod of 15,360 GPUs."""
    intent = load_intent(EXAMPLE)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def jobs(plan: Plan) -> list[Job]:
    """Rings over all GPUs, and all-to-all among 512 of them, on every 30th host."""
    names = plan.fabric.hosts.filter((plan.fabric.hosts["gpus"] > 0) & ~plan.fabric.hosts["spare"])["name"].to_list()
    ring = {"collective": "all-reduce", "group": "dp", "bytes": 1_000_000_000}
    mixed = {"collective": "all-to-all", "group": "ep", "bytes": 100_000_000}
    return [
        job_from({"name": "rings", "hosts": names, "gpus_per_host": 8, "dp": 8 * len(names), "steps": [ring]}),
        job_from({"name": "experts", "hosts": names[::30], "gpus_per_host": 8, "dp": 512, "ep": 512, "steps": [mixed]}),
    ]


def plain_fill(start: Small, items: Small, capacity: Floats) -> Floats:
    """Progressive filling, a round a bottleneck level, in numpy: what one writes first."""
    flow = np.repeat(np.arange(len(start) - 1), np.diff(start))
    rates, left = np.full(len(start) - 1, -1.0), capacity.copy()
    while (rates < 0).any():
        open_entries = rates[flow] < 0
        count = np.bincount(items[open_entries], minlength=len(capacity))
        share = np.divide(left, count, out=np.full(len(left), np.inf), where=count > 0)
        level = share.min()
        hit = open_entries & (share[items] <= level * (1 + 1e-9))
        frozen = np.unique(flow[hit])
        rates[frozen] = level
        own = np.isin(flow, frozen)
        left -= np.bincount(items[own], minlength=len(left)) * level
    return rates


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peer", action="store_true", help="leave out the fill in numpy, which takes minutes")
    asked = parser.parse_args()
    plan = pod()
    now, both = prepare(plan, "compute"), jobs(plan)
    tracks = workload(plan, both, "compute", 1)
    hops = np.concatenate([work.hops for track in routed(now, tracks) for work in track])
    hops = hops[hops[:, 0] < 2 * now.wires.links]
    used = hops >= 0
    start, items = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int32), hops[used].astype(np.int32)
    limit = np.full(len(hops), np.inf)
    fair_rates(start, items, now.wires.gbps, limit)
    figures: dict[str, Any] = {"flows": len(hops)}
    figures["solve_cpu_seconds"] = cpu(lambda: fair_rates(start, items, now.wires.gbps, limit))
    if not asked.no_peer:
        figures["solve_numpy_cpu_seconds"] = cpu(lambda: plain_fill(start, items, now.wires.gbps))
        figures["numpy_over_ours"] = figures["solve_numpy_cpu_seconds"] / figures["solve_cpu_seconds"]

    def whole() -> None:
        ready = prepare(plan, "compute")
        run_jobs(ready, both, workload(plan, both, "compute"))

    whole()
    figures["rings_and_experts_cpu_seconds"] = cpu(whole)
    scenario = Scenario(plan, "compute", both[:1], tracks[:1], settings=Settings(seconds=40.0, detail=False))
    made = intervals(scenario)
    ports = next(made).counters.height
    figures |= {"ports": ports, "interval_cpu_seconds": cpu(lambda: [next(made) for _ in range(3)]) / 3}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
