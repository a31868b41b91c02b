"""One all-reduce of 1,024 GPUs over four segments on three kinds of routes: our times beside csg-htsim's.

    python benchmarks/htsim.py -o /tmp/run --htsim .../sim/datacenter/htsim_roce

Hosts are dealt over the segments by lot, so that every hop of the rings climbs. Both simulators get the same flows on
the same pinned paths. htsim goes packet by packet with PFC and go-back-N; docs/simulator.md says how its paths are set.
Without --htsim the files are written and only our times printed; outputs of an earlier run that are there are read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from fabric.catalogue import load_catalogue
from fabric.exports.htsim import htsim
from fabric.exports.htsim_flows import Connections, htsim_connections, htsim_finished
from fabric.intent import parse_intent
from fabric.jobfile import Job, job_from
from fabric.plan import Plan
from planner.build import build
from planner.routing import METHODS, Method
from planner.simulate import prepare, router
from planner.simulate.events import Clock, Work, spans
from planner.simulate.job import workload
from planner.sizing import size

INTENT = """\
name: four-segments
hosts: [{name: gpu, model: hgx-h100, count: 128}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    rails_per_leaf: 1
    segment_hosts: 32
    tiers: 2
    uplink_speed_gbps: {leaf: 400}
    switches: {leaf: [sn5400], spine: [sn5400]}
"""
ARGUMENTS = "-nodes 1024 -strat ecmp_host -paths 1 -linkspeed 400000 -mtu 4096 -q 256 -pfc_thresholds 12 15 -end 20000"


def four_segments() -> Plan:
    """128 hosts of 8 GPUs in four segments of 32, non-blocking."""
    intent = parse_intent(INTENT)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def all_reduce(plan: Plan, flow_bytes: float, seed: int = 0) -> Job:
    """A ring all-reduce of all GPUs whose network flows have about so many bytes; every hop leaves its segment."""
    step = {"collective": "all-reduce", "group": "dp", "bytes": round(flow_bytes * 8 * 1024 / (2 * 1023))}
    return job_from({"name": "llm", "hosts": dealt(plan, seed), "gpus_per_host": 8, "dp": 1024, "steps": [step]})


def dealt(plan: Plan, seed: int) -> list[str]:
    """All hosts in an order drawn by lot in which neighbours, the last and the first too, are of different segments."""
    hosts = plan.fabric.hosts.filter(~pl.col("spare"))
    parts = [rows["name"].to_list() for rows in hosts.partition_by("segment")]
    rng = np.random.default_rng(seed)
    while True:
        left, order = [len(part) for part in parts], [-1]
        for _ in range(hosts.height):
            open_parts = [n for n, count in enumerate(left) if count and n != order[-1]]
            if not open_parts:
                break
            weight = np.array([left[n] for n in open_parts], dtype=np.float64)
            order.append(int(rng.choice(open_parts, p=weight / weight.sum())))
            left[order[-1]] -= 1
        if len(order) == hosts.height + 1 and order[1] != order[-1]:
            turns = [iter(part) for part in parts]
            return [next(turns[n]) for n in order[1:]]


def one(plan: Plan, job: Job, method: Method) -> tuple[float, Connections]:
    """Our seconds for the flows that cross the network, and htsim's files."""
    now = prepare(plan)
    (stage,) = workload(plan, [job], "compute")[0]
    flows = stage.flows.take(~stage.flows.local)
    hops = router(method)(now, flows)
    clock = Clock()
    list(spans([[Work(hops, flows.size, flows.gbps)]], now.wires.gbps, clock, batch=0.0))
    climbs = hops[:, 2] >= 0
    names = {"host_leaf": hops[:, 0], "leaf_host": np.where(climbs, hops[:, 3], hops[:, 1])}
    names |= {"leaf_spine": np.where(climbs, hops[:, 1], -2), "spine_leaf": np.where(climbs, hops[:, 2], -2)}
    columns = {name: pl.Series(channel // 2).cast(pl.Int64) for name, channel in names.items()}
    paths = pl.DataFrame({"flow": np.arange(len(hops)), "bytes": flows.size.astype(np.int64), **columns})
    known = (pl.when(pl.col(name) >= 0).then(pl.col(name)).cast(pl.UInt32).alias(name) for name in names)
    return clock.seconds, htsim_connections(plan, paths.with_columns(known))


def run(program: str, folder: Path) -> str:
    """htsim's output for the files in a folder."""
    command = [program, *ARGUMENTS.split(), "-topo", "four.topo", "-tm", "flows.cm", "-o", os.devnull]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "HTSIM_PINS": "pins"}, capture_output=True, text=True, check=True
    )
    return done.stdout


def main() -> None:
    """Write the files, run what is there, print one row a kind of routes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--htsim", help="the program htsim_roce, whose switches read HTSIM_PINS")
    parser.add_argument("--bytes", type=float, default=8e6, help="of a flow (default 8 MB)")
    asked = parser.parse_args()
    plan = four_segments()
    job = all_reduce(plan, asked.bytes)
    table: dict[str, Any] = {}
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "intent.yaml").write_text(INTENT)
    (asked.output / "job.yaml").write_text(yaml.safe_dump(job.model_dump(), sort_keys=False))
    for method in METHODS:
        folder = asked.output / method
        folder.mkdir(parents=True, exist_ok=True)
        seconds, files = one(plan, job, method)
        for name, content in {"flows.cm": files.matrix, "pins": files.pins, "four.topo": htsim(plan)}.items():
            (folder / name).write_bytes(content)
        output = folder / "htsim.txt"
        if asked.htsim:
            output.write_text(run(str(Path(asked.htsim).resolve()), folder))
        table[method] = {"railwright_seconds": seconds}
        if output.exists():
            ended = htsim_finished(output.read_text(), files.nodes)["seconds"]
            table[method] |= {"htsim_seconds": ended.max(), "flows": len(ended), "unfinished": ended.null_count()}
    least = table["colored"]
    for row in table.values():
        for name in ("railwright", "htsim"):
            if f"{name}_seconds" in row:
                row[f"{name}_ratio"] = row[f"{name}_seconds"] / least[f"{name}_seconds"]
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
