"""Plans with their media chosen, for the tests of what is cabled and exported."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

from fabric.catalogue import Catalogue, load_catalogue
from fabric.design import Design
from fabric.intent import Intent, load_intent, parse_intent
from fabric.media import cable
from fabric.plan import Plan
from fabric.tables import Fabric
from planner.build import build
from planner.sizing import size

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden/cabling"
EXAMPLES = ("superpod-h100-4su", "hpn7-segment", "megascale-block")
"""Examples that are sized in a moment."""

POD = """
name: pod
hosts: [{{name: gpu, model: {model}, count: {hosts}}}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    tiers: 2
    segment_hosts: 4
    rails_per_leaf: 8
    uplink_speed_gbps: {{leaf: {uplink}}}
    media: {media}
    trunk_cables: {trunk}
    switches: {{leaf: [{switch}], spine: [{switch}]}}
"""


def pod(
    model: str = "hgx-h100", media: str = "auto", switch: str = "sn5600", uplink: int = 400, *, trunk: bool = False
) -> str:
    """An intent of one small two-tier network: 8 hosts, 2 leaves."""
    return POD.format(model=model, hosts=8, media=media, switch=switch, uplink=uplink, trunk=str(trunk).lower())


@cache
def built(text: str) -> tuple[Intent, Catalogue, Design, Fabric]:
    """A design and its tables without media, from an intent's text, or from an example or golden intent's name."""
    if "\n" in text:
        intent = parse_intent(text)
    else:
        intent = load_intent((GOLDEN if text == "small" else ROOT / "examples") / f"{text}.yaml")
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return intent, catalogue, design, build(design, intent, catalogue)


def plan_of(text: str, lengths_m: pl.Series | None = None, catalogue: Catalogue | None = None) -> Plan:
    """The plan of an intent, made anew each time; ``catalogue``: parts to choose from instead of the shipped ones."""
    intent, shipped, design, fabric = built(text)
    parts = catalogue or shipped
    return Plan(intent, parts, design, cable(fabric, design, parts, lengths_m))


@cache
def plan(text: str) -> Plan:
    """``plan_of`` without lengths, made once."""
    return plan_of(text)
