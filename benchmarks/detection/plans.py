"""The fabrics of the suite, made from intents of a few lines, and what runs on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from fabric.catalogue import load_catalogue
from fabric.intent import load_intent, parse_intent
from fabric.jobfile import Job, job_from
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

NETWORK = "compute"
POD = Path(__file__).parents[2] / "examples/hpn7-pod.yaml"
INTENT = """\
name: scored
hosts: [{{name: gpu, model: hgx-h100, count: {hosts}}}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    rails_per_leaf: 1
    segment_hosts: {segment}
    tiers: {tiers}
    uplink_speed_gbps: {{leaf: 400{above}}}
    switches: {{leaf: [sn5400], spine: [sn5400]{core}}}
"""


@dataclass(frozen=True)
class Shape:
    """Hosts of eight GPUs, hosts a segment and tiers of switches."""

    hosts: int
    segment: int
    tiers: int = 2


SHAPES = {
    "small": Shape(32, 8),
    "small-3": Shape(32, 8, 3),
    "1024": Shape(128, 32),
    "1024-3": Shape(128, 16, 3),
    "15360-3": Shape(1920, 32, 3),
}
"""Fabrics by name; ``15360`` is the shipped example. A name that ends in -3 is of three tiers."""
SCALES = ("small", "1024", "15360")


@cache
def plan_of(name: str) -> Plan:
    """A fabric's plan, without cables: nothing here asks for their lengths."""
    intent = load_intent(POD) if name == "15360" else parse_intent(_text(SHAPES[name]))
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def _text(shape: Shape) -> str:
    top = shape.tiers == 3
    return INTENT.format(
        hosts=shape.hosts, segment=shape.segment, tiers=shape.tiers, above=", spine: 400" if top else "",
        core=", core: [sn5400]" if top else "",
    )  # fmt: skip


def working_hosts(plan: Plan) -> list[str]:
    """Hosts with GPUs that are no spares."""
    hosts = plan.fabric.hosts
    return hosts.filter((pl.col("gpus") > 0) & ~pl.col("spare"))["name"].to_list()


def rings(plan: Plan, rng: np.random.Generator, jobs: int) -> list[Job]:
    """Rings of all-reduce over all hosts, dealt to so many jobs by chance: most neighbours are in other segments."""
    step = {"collective": "all-reduce", "group": "dp", "bytes": 1e9}
    return [_job(f"ring-{n}", part, step, tp=8) for n, part in enumerate(_dealt(plan, rng, jobs))]


def exchanges(plan: Plan, rng: np.random.Generator, hosts: int = 8) -> list[Job]:
    """All-to-all among groups of so many hosts: the many flows of experts."""
    step = {"collective": "all-to-all", "group": "ep", "bytes": 1e8}
    parts = _dealt(plan, rng, max(len(working_hosts(plan)) // hosts, 1))
    return [_job(f"experts-{n}", part, step, ep=8 * len(part)) for n, part in enumerate(parts)]


def _dealt(plan: Plan, rng: np.random.Generator, parts: int) -> list[Sequence[str]]:
    names = np.array(working_hosts(plan), dtype=object)
    return [part.tolist() for part in np.array_split(rng.permutation(names), parts)]


def _job(name: str, hosts: Sequence[str], step: dict[str, object], tp: int = 1, ep: int = 1) -> Job:
    sizes = {"tp": tp, "dp": 8 * len(hosts) // tp, "ep": ep}
    return job_from({"name": name, "hosts": list(hosts), "gpus_per_host": 8, **sizes, "steps": [step]})
