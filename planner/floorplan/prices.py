"""What a cable costs by the length of its way, plugs included: a table a kind of cable, a column a length."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from fabric.catalogue import Catalogue, Prices
from fabric.design import Design
from fabric.media.choose import UNRESOLVED, Choice, choose
from fabric.media.estimates import RUNGS_M
from fabric.media.kinds import KIND, Kind, cable_kinds, kind_of
from fabric.media.prices import cable_cents, optic_cents
from fabric.tables import Fabric
from planner.floorplan.racks import Floats, Ints

TOO_LONG = 1e11
"""Cents of a cable that no medium reaches: more than any placement without one."""
_LENGTH = ("way_m", "reach_m")


@dataclass(frozen=True)
class PriceTable:
    """Cents of one cable by kind (rows) and length of ``RUNGS_M`` (columns, and one for what is longer)."""

    kind: Ints
    """By cable id."""
    kinds: tuple[Kind, ...]
    cents: Floats

    def at(self, kind: Ints, way_m: Floats) -> Floats:
        """Cents of cables of these kinds and ways."""
        return np.asarray(self.cents[kind, np.searchsorted(np.array(RUNGS_M), way_m)])

    def reach_m(self, kind: int) -> float:
        """Longest way of the kind that some medium reaches."""
        fitting = np.flatnonzero(self.cents[kind, :-1] < TOO_LONG)
        return float(RUNGS_M[fitting[-1]]) if len(fitting) else 0.0


def price_table(fabric: Fabric, design: Design, catalogue: Catalogue, prices: Prices) -> PriceTable:
    """The cheapest way of making a cable of each kind and length, as if all that hang together had its length.

    Never more than the cable costs when media are chosen for all. A kind that has no part at any length costs nothing:
    it is a finding of its own, not the floor plan's.
    """
    frame = cable_kinds(fabric, design, catalogue, pl.repeat(1.0, fabric.cables.height, eager=True))
    key = [name for name in KIND if name not in _LENGTH]
    unique = frame.unique(key, maintain_order=True).with_columns(count=pl.lit(1, pl.UInt32))
    kinds = tuple(kind_of(row) for row in unique.iter_rows(named=True))
    number = pl.int_range(unique.height, dtype=pl.Int64, eager=True).alias("kind")
    joined = frame.join(unique.select(key).with_columns(number), on=key, how="left", nulls_equal=True, maintain_order="left")
    cents = np.array([[*(_cents(kind, rung, catalogue, prices) for rung in RUNGS_M), TOO_LONG] for kind in kinds])
    cents = cents.reshape(len(kinds), len(RUNGS_M) + 1)
    cents[(cents[:, :-1] >= TOO_LONG).all(axis=1)] = 0.0
    # A longer cable never costs less; where the catalogue says so (no short splitters), the longer one is bought.
    cents = np.minimum.accumulate(cents[:, ::-1], axis=1)[:, ::-1]
    return PriceTable(joined["kind"].to_numpy(), kinds, cents)


def _cents(kind: Kind, way_m: float, catalogue: Catalogue, prices: Prices) -> float:
    alike = replace(kind, way_m=way_m, reach_m=way_m)
    [choice] = choose([alike], catalogue, prices)
    return choice_cents(alike, choice, catalogue, prices)


def choice_cents(kind: Kind, choice: Choice, catalogue: Catalogue, prices: Prices) -> float:
    """Cents of one cable with its share of the plugs at its ends (a plug is shared by the connectors in use)."""
    if choice.part == UNRESOLVED:
        return TOO_LONG
    cable = cable_cents(prices, catalogue.cables[choice.part], choice.length_m).cents
    shares = (kind.a_ends / kind.a.connectors, kind.b_ends / kind.b.connectors if kind.b else 0.0)
    if choice.own_ends:
        from_b = kind.b is not None and kind.b.mode.total_gbps > kind.a.mode.total_gbps
        return shares[1 if from_b else 0] * cable
    plugs = zip(shares, (choice.a_optic, choice.b_optic), strict=True)
    return cable + sum(s * optic_cents(prices, catalogue.optics[o]).cents for s, o in plugs if o in catalogue.optics)


def cabling_cents(fabric: Fabric, design: Design, catalogue: Catalogue, prices: Prices, ways_m: pl.Series) -> float:
    """Cents of all cables with their plugs as media are chosen for them; TOO_LONG for each kind that has no part."""
    frame = cable_kinds(fabric, design, catalogue, ways_m)
    kinds = frame.group_by(KIND, maintain_order=True).agg(pl.len().cast(pl.UInt32).alias("count"))
    alike = [kind_of(row) for row in kinds.iter_rows(named=True)]
    choices = choose(alike, catalogue, prices)
    return sum(k.count * choice_cents(k, c, catalogue, prices) for k, c in zip(alike, choices, strict=True))
