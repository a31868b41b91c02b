"""How long a plan takes, how much memory, how many rows, and how both grow with the fabric; and a peer beside it.

    python benchmarks/plan.py [--sizes 1k,15k] [--repeat N] [--peer PATH-OF-NETLAB]

Each size is planned in a process of its own, with every output, so that its peak memory is its own. The peer is netlab
(PyPI ``networklab``): the same 80-switch leaf-spine fabric, from the input file to the files on disk, both as a user
runs them. Networks of hosts are in ours and not in theirs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

COMPUTE = """\
    technology: roce
    layout: rail-optimized
    planes: 2
    uplink_speed_gbps: {leaf: 400, spine: 400}
    switches: {leaf: [box-51.2t], spine: [box-51.2t], core: [box-51.2t]}
"""
SIZES = {
    "1k": (128, "    tiers: 2\n"),
    "15k": (1920, "    tiers: 2\n"),
    "131k": (16_384, "    tiers: 3\n"),
    "1M": (131_072, "    tiers: 3\n"),
}
"""Hosts of eight GPUs with eight NICs of 2×200G, and what else the compute network is told."""

PEER = "peer"
SPINES, LEAVES = 16, 64
PEER_INTENT = """\
name: leaf-spine-80
hosts:
  - {name: gpu, model: megascale-8x200, count: 384}
networks:
  compute:
    technology: roce
    layout: rail-optimized
    tiers: 2
    segment_hosts: 48
    oversubscription: {leaf: 1.5}
    uplink_speed_gbps: {leaf: 400}
    switches: {leaf: [box-25.6t], spine: [box-25.6t]}
"""
"""64 leaves of 48 ports of 200G and 16 uplinks, 16 spines of 64 ports: one link a pair, as netlab's fabric plugin."""
PEER_TOPOLOGY = f"""\
provider: clab
defaults.device: frr
plugin: [fabric]
fabric: {{spines: {SPINES}, leafs: {LEAVES}}}
"""


@dataclass(frozen=True)
class Run:
    """One plan in a process of its own: seconds by stage and in all, peak memory (bytes), and how much came out."""

    size: str
    gpus: int
    seconds: float
    stages: dict[str, float]
    peak_bytes: int
    links: int
    cables: int
    rows: int
    bundle_bytes: int
    errors: int


def intent(size: str) -> str:
    """The intent of one size, or of the fabric that the peer builds too."""
    if size == PEER:
        return PEER_INTENT
    hosts, more = SIZES[size]
    head = f"name: bench-{size.lower()}\nhosts:\n  - {{name: gpu, model: hpn-gpu-8x2x200, count: {hosts}}}\n"
    return f"{head}networks:\n  compute:\n{COMPUTE}{more}"


def plan_here(size: str, folder: Path) -> Run:
    """Plan one size in this process. ``seconds`` runs from the first import on."""
    start = time.perf_counter()
    from railwright import pipeline
    from railwright.progress import Progress

    progress = Progress()
    progress.seconds["Import"] = time.perf_counter() - start
    file = folder / "intent.yaml"
    file.write_text(intent(size), encoding="utf-8")
    outcome = pipeline.plan(file, folder / "plan", progress)
    seconds = time.perf_counter() - start
    fabric = outcome.plan.fabric
    tables = (fabric.hosts, fabric.switches, fabric.nics, fabric.ports, fabric.links, fabric.cables)
    return Run(
        size=size,
        gpus=int(fabric.hosts["gpus"].sum()),
        seconds=seconds,
        stages=progress.seconds,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        links=fabric.links.height,
        cables=fabric.cables.height,
        rows=sum(table.height for table in tables),
        bundle_bytes=sum(path.stat().st_size for path in (folder / "plan").rglob("*") if path.is_file()),
        errors=sum(finding.severity == "error" for finding in outcome.findings),
    )


def plan_apart(size: str) -> Run:
    """Plan one size in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", size, folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def growth(runs: list[Run]) -> float:
    """The exponent e of seconds ~ links^e: the slope of the least squares line through the logarithms."""
    xs, ys = [math.log(run.links) for run in runs], [math.log(run.seconds) for run in runs]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


COLUMNS: tuple[tuple[str, int, Callable[[Run], str]], ...] = (
    ("size", 5, lambda run: run.size),
    ("GPUs", 11, lambda run: f"{run.gpus:,}"),
    ("links", 12, lambda run: f"{run.links:,}"),
    ("rows", 12, lambda run: f"{run.rows:,}"),
    ("seconds", 9, lambda run: f"{run.seconds:.1f}"),
    ("peak GiB", 10, lambda run: f"{run.peak_bytes / 2**30:.2f}"),
    ("on disk MiB", 13, lambda run: f"{run.bundle_bytes / 2**20:.1f}"),
    ("errors", 8, lambda run: f"{run.errors}"),
)


def print_sizes(runs: list[Run]) -> None:
    """The table of sizes, and seconds by stage below it."""
    print("".join(f"{title:>{width}}" for title, width, _ in COLUMNS))
    for run in runs:
        print("".join(f"{value(run):>{width}}" for _, width, value in COLUMNS))
    print(f"\n{'seconds by stage':<24}" + "".join(f"{run.size:>8}" for run in runs))
    for stage in runs[0].stages:
        print(f"{stage:<24}" + "".join(f"{run.stages[stage]:>8.2f}" for run in runs))
    for before, after in itertools.pairwise(runs):
        print(f"growth {before.size} to {after.size}: seconds ~ links^{growth([before, after]):.2f}")
    if len(runs) > 2:
        print(f"growth over all: seconds ~ links^{growth(runs):.2f} (1 is linear)")


def timed(command: list[str], folder: Path) -> float:
    """Wall seconds of a whole command, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(peer: str, repeat: int) -> None:
    """The same leaf-spine fabric by both, from one file to all files: of ours the fastest of ``repeat`` runs.

    Starting is what a command takes before it reads its input: the interpreter and its libraries.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "intent.yaml").write_text(PEER_INTENT, encoding="utf-8")
        (folder / "topology.yml").write_text(PEER_TOPOLOGY, encoding="utf-8")
        plan = [sys.executable, "-m", "railwright", "plan", "intent.yaml", "-o"]
        ours = min(timed([*plan, f"plan{i}"], folder) for i in range(repeat))
        theirs = timed([peer, "create", "-q", "topology.yml"], folder)
        start = min(timed([peer, "version"], folder) for _ in range(repeat))
    alone = min(run.seconds - run.stages["Import"] for run in (plan_apart(PEER) for _ in range(repeat)))
    print(f"\n{SPINES + LEAVES} switches, {SPINES} spines and {LEAVES} leaves     whole command   without starting")
    print(f"netlab create                       {theirs:8.2f} s         {theirs - start:8.2f} s")
    print(f"railwright plan                     {ours:8.2f} s         {alone:8.2f} s")
    print(f"times faster                        {theirs / ours:8.0f}           {(theirs - start) / alone:8.0f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(SIZES), help="which, separated by commas (default: all)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours against the peer; the fastest counts")
    parser.add_argument("--peer", help="path of netlab; without it there is no comparison")
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(asdict(plan_here(given.one[0], Path(given.one[1])))))
        return
    print(f"{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}")
    print_sizes([plan_apart(size) for size in given.sizes.split(",")])
    if given.peer:
        compare(str(Path(given.peer).absolute()), given.repeat)


if __name__ == "__main__":
    main()
