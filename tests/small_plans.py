"""Small plans of every layout, from the intents of golden/checks, and ways to change their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from fabric.catalogue import load_catalogue
from fabric.intent import load_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

INTENTS = Path(__file__).parent / "golden" / "checks"
NAMES = ("two-tier", "twin-cages", "three-tier", "rail-only", "pair")


@cache
def plan_of(name: str) -> Plan:
    """The plan of an intent in golden/checks, cabled."""
    intent = load_intent(INTENTS / f"{name}.yaml")
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    fabric = build(design, intent, catalogue)
    return Plan(intent, catalogue, design, cable(fabric, design, catalogue))


def with_table(plan: Plan, table: str, rows: pl.DataFrame) -> Plan:
    """The plan with another table."""
    return replace(plan, fabric=replace(plan.fabric, **{table: rows}))


def changed(plan: Plan, table: str, changes: Mapping[int, Mapping[str, Any]]) -> Plan:
    """The plan with other values in some rows of a table: row → column → value."""
    rows = getattr(plan.fabric, table)
    for row, values in changes.items():
        for column, value in values.items():
            rows = rows.with_columns(rows[column].to_frame()[column].scatter(row, value))
    return with_table(plan, table, rows)


def without(plan: Plan, table: str, row: int) -> Plan:
    """The plan without one row of a table, the others numbered anew."""
    rows = getattr(plan.fabric, table)
    rows = pl.concat([rows[:row], rows[row + 1 :]])
    return with_table(plan, table, rows.with_columns(id=pl.int_range(pl.len(), dtype=pl.UInt32)))


def link(plan: Plan, a: str, b: str, nth: int = 0) -> dict[str, Any]:
    """The nth link between two devices, by name."""
    names = plan.fabric.device_names()
    ids = {name: number for number, name in enumerate(names)}
    rows = plan.fabric.links.filter(a_device=ids[a], b_device=ids[b])
    return rows.row(nth, named=True)


def device(plan: Plan, name: str) -> int:
    """Id of a device."""
    return plan.fabric.device_names().to_list().index(name)
