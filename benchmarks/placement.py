"""How long placing takes on a pod of 15,360 GPUs, and how much crosses segments beside three simple placements.

    python benchmarks/placement.py [--seed N] [--plan FOLDER]

The pod is examples/hpn7-pod.yaml (planned here unless a folder is given). Hosts are taken from it at random until half
are busy, in three manners: whole segments, hosts here and there, and jobs of 16 hosts. In what is left a job is placed;
beside it stand the same job on the free hosts by name, segment by segment with most room first, and at random. CPU
seconds are this process's own (getrusage).
"""

from __future__ import annotations

import argparse
import random
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fabric.bundle import read_plan
from fabric.catalogue import load_catalogue
from fabric.intent import load_intent
from fabric.jobfile import Job, Step
from fabric.plan import Plan
from planner.build import build
from planner.placement.place import Placed, place
from planner.placement.supply import supply_of
from planner.placement.told import size, split
from planner.placement.traffic import crossing_bytes
from planner.sizing import size as sized

EXAMPLE = Path(__file__).parent.parent / "examples/hpn7-pod.yaml"
STEPS = (
    Step(collective="all-reduce", group="tp", bytes=560_000_000),
    Step(collective="all-reduce", group="dp", bytes=5_500_000_000),
    Step(collective="send-recv", group="pp", bytes=6_000_000),
    Step(collective="all-to-all", group="ep", bytes=1_000_000_000),
)
"""Orders of magnitude of GPT-175B (HPN, SIGCOMM 2024: DP gigabytes, PP megabytes, TP inside the host), and experts."""
JOBS = {
    "pp 7 x dp 128": (7, 128, 16),
    "pp 8 x dp 112": (8, 112, 8),
    "pp 16 x dp 56": (16, 56, 8),
    "pp 112 x dp 8": (112, 8, 8),
}
"""Pipeline stages, data-parallel hosts a stage and expert-parallel size, at 8 GPUs tensor-parallel: 7,168 GPUs each."""


@dataclass(frozen=True)
class Hosts:
    """Names and segments of the pod's hosts at work, by name."""

    names: list[str]
    segment: dict[str, int]


def hosts_of(folder: Path | None) -> Hosts:
    """The pod's compute hosts but its spares."""
    if folder:
        fabric = read_plan(folder).fabric
    else:
        intent = load_intent(EXAMPLE)
        catalogue = load_catalogue(intent.catalogue_paths)
        design = sized(intent, catalogue)
        fabric = Plan(intent, catalogue, design, build(design, intent, catalogue)).fabric
    rows = fabric.hosts.filter((pl.col("role") == "compute") & ~pl.col("spare")).sort("name")
    return Hosts(rows["name"].to_list(), dict(rows.select("name", "segment").iter_rows()))


def half_free(hosts: Hosts, rng: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Free hosts when half are busy, in three manners."""
    half = len(hosts.names) // 2
    yield "whole segments busy", hosts.names[half:]
    yield "hosts busy at random", sorted(rng.sample(hosts.names, half))
    blocks = [hosts.names[n : n + 16] for n in range(0, len(hosts.names), 16)]
    yield "jobs of 16 busy", sorted(name for block in rng.sample(blocks, half // 16) for name in block)


def simple(job: Job, hosts: Hosts, free: Sequence[str], rng: random.Random) -> dict[str, int]:
    """Bytes that cross where hosts are taken without thinking."""
    room = {segment: sum(hosts.segment[name] == segment for name in free) for segment in set(hosts.segment.values())}
    orders = {
        "by name": list(free),
        "most room first": sorted(free, key=lambda name: (-room[hosts.segment[name]], hosts.segment[name])),
        "at random": rng.sample(free, len(free)),
    }
    taken = {how: [hosts.segment[name] for name in order[: job.host_count]] for how, order in orders.items()}
    return {how: sum(crossing_bytes(job, np.array(row)).values()) for how, row in taken.items()}


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def told(case: str, found: Placed, seconds: float, others: dict[str, int]) -> str:
    """One line of the table."""
    mine = found.bytes_
    ratios = "  ".join(f"{n / mine:>6.2f}x" if mine else f"{size(n):>7}" for n in others.values())
    stages = f"{split(found)}/{found.shape.stages}"
    return f"{case:<38}{seconds:>7.2f}{size(mine):>10}{size(found.bound):>10}{found.gap:>8.1%}{stages:>9}  {ratios}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", type=Path, help="a planned pod (default: plan examples/hpn7-pod.yaml)")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)  # noqa: S311  which hosts are busy is no secret
    hosts = hosts_of(asked.plan)
    print(f"{len(hosts.names) * 8:,} GPUs in {len(set(hosts.segment.values()))} segments, half of them busy;")
    print("each job takes 7,168; bytes an iteration that cross segments, and how many times as much others cross\n")
    print(f"{'':<38}{'CPU s':>7}{'crossing':>10}{'bound':>10}{'gap':>8}{'split':>9}  by name  most room  at random")
    for how, free in half_free(hosts, rng):
        for name, (pp, dp, ep) in JOBS.items():
            job = Job(name=name, hosts=pp * dp, gpus_per_host=8, tp=8, pp=pp, dp=dp, ep=ep, steps=STEPS)
            supply = supply_of(free, hosts.segment, {host: host for host in free}, {}, 1)
            before = cpu()
            found = place(job, supply)
            print(told(f"{how}, {name}", found, cpu() - before, simple(job, hosts, free, rng)), flush=True)


if __name__ == "__main__":
    main()
