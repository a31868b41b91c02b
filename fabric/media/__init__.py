"""Media: what each cable is made of, which optics stand at its ends, how long it is, and what its ports agree on.

Cables that are alike (network, tier, cages and breakouts at both ends, splits, length) are one *kind*; each kind is
chosen for once and the choice joined back: a million cables cost as many choices as a hundred.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from fabric.media.choose import Choice, choose
from fabric.media.kinds import KIND, cable_kinds, kind_of
from fabric.media.merge import merge_assemblies
from fabric.media.negotiation import negotiated
from fabric.tables import SCHEMA

if TYPE_CHECKING:
    from fabric.catalogue import Catalogue, Prices
    from fabric.design import Design
    from fabric.tables import Fabric

__all__ = ["cable"]


def cable(
    fabric: Fabric,
    design: Design,
    catalogue: Catalogue,
    lengths_m: pl.Series | None = None,
    *,
    prices: Prices | None = None,
) -> Fabric:
    """The fabric with media, parts, polarity, optics and lengths of cables, and FEC and auto-negotiation of ports.

    ``lengths_m``: length of each cable's way, by cable id; without it lengths are estimates by tier and whatever is
    pluggable is optical, unless the network's ``media`` says otherwise. ``prices``: default the shipped ones. Where no
    part of the catalogue fits, part and optic are ``unresolved``.

    Cables whose cages turn out to be joined by one assembly with its own ends (a DAC that splits) become one row;
    otherwise rows and ids stay.
    """
    from fabric.catalogue import load_prices

    estimated = lengths_m is None
    kinds_by_cable = cable_kinds(fabric, design, catalogue, lengths_m)
    kinds = kinds_by_cable.group_by(KIND, maintain_order=True).agg(pl.len().cast(pl.UInt32).alias("count"))
    alike = [kind_of(row) for row in kinds.iter_rows(named=True)]
    choices = choose(alike, catalogue, prices or load_prices(), stretch=estimated)
    chosen = pl.concat([kinds.select(KIND), _frame(choices)], how="horizontal")
    by_cable = kinds_by_cable.join(chosen, on=KIND, how="left", nulls_equal=True, maintain_order="left")
    columns = _columns(by_cable, estimated=estimated)
    made = replace(fabric, cables=fabric.cables.with_columns(columns), ports=negotiated(fabric, by_cable))
    return merge_assemblies(made, by_cable["own_ends"], by_cable["component"])


def _frame(choices: list[Choice]) -> pl.DataFrame:
    schema = {
        "medium": pl.String, "part": pl.String, "polarity": pl.String, "a_optic": pl.String, "b_optic": pl.String,
        "length_m": pl.Float64, "lane_gbps": pl.Float64, "own_ends": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(choices, schema=schema, orient="row")


def _columns(by_cable: pl.DataFrame, *, estimated: bool) -> list[pl.Series]:
    """The columns of the table that are filled, each with the dtype of the schema."""
    frame = by_cable.with_columns(estimated=pl.lit(estimated), bundle=pl.lit(""))
    table = SCHEMA["cables"]
    filled = ("medium", "part", "polarity", "a_optic", "b_optic", "length_m", "estimated", "bundle")
    return [frame[c.name].cast(table.dtype(c)) for c in table.columns if c.name in filled]
