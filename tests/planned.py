"""Plans of the shipped examples, made once a test run from intent to cables."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fabric.catalogue import load_catalogue, load_prices
from fabric.intent import load_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

EXAMPLES = Path(__file__).parent.parent / "examples"


@cache
def planned(example: str) -> Plan:
    """The plan of ``examples/EXAMPLE.yaml``."""
    intent = load_intent(EXAMPLES / f"{example}.yaml")
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    fabric = cable(build(design, intent, catalogue), design, catalogue, prices=load_prices())
    return Plan(intent, catalogue, design, fabric)
