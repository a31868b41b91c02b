"""How many cables each file of a plan has: one list is behind all, and a check can say so by counting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.bom import FOR_CABLES, bom_table
from fabric.exports.cabling import cable_list
from fabric.exports.links import link_list

if TYPE_CHECKING:
    from fabric.plan import Plan

Counts = dict[tuple[str, str], int]
"""Cables by network and tier."""


def counts(plan: Plan) -> dict[str, Counts]:
    """Cables by network and tier as the dialects ``cables`` and ``links`` have them, and as the ``table`` has them."""
    return {
        "table": _by_tier(plan.fabric.cables.select(pl.col("network", "tier").cast(pl.String))),
        "cables": _by_tier(cable_list(plan)),
        "links": _by_tier(link_list(plan.fabric).select("network", "tier", "cable").unique()),
    }


def ordered(plan: Plan) -> dict[str, int]:
    """Cables by network as the bill of materials has them, without spare parts."""
    tables = {name: bom_table(plan, name) for name in plan.design.networks}
    return {
        name: int(table.filter(pl.col("kind").is_in(FOR_CABLES))["quantity"].sum()) for name, table in tables.items()
    }


def _by_tier(frame: pl.DataFrame) -> Counts:
    counted = frame.group_by("network", "tier").len().sort("network", "tier")
    return {(network, tier): int(count) for network, tier, count in counted.iter_rows()}
