"""What a cable costs by the length of its way, plugs included: a table a kind of cable."""

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
_RUNGS = np.array(RUNGS_M)


@dataclass(frozen=True)
class PriceTable:
    """Cents of one cable by kind, way and reach (numbers of ``RUNGS_M``, and one more for what is longer).

    The reach is the longest way among cables whose plugs hang together: it decides what they are made of.
    """

    kind: Ints
    """By cable id."""
    component: Ints
    """Cables whose plugs hang together, by cable id."""
    kinds: tuple[Kind, ...]
    cents: Floats

    def at(self, kind: Ints, way_m: Floats, reach_m: Floats) -> Floats:
        """Cents of cables of these kinds, ways and reaches."""
        return np.asarray(self.cents[kind, np.searchsorted(_RUNGS, way_m), np.searchsorted(_RUNGS, reach_m)])

    def reach_m(self, kind: int) -> float:
        """Longest way of the kind that some medium reaches."""
        fitting = np.flatnonzero(np.diagonal(self.cents[kind])[:-1] < TOO_LONG)
        return float(RUNGS_M[fitting[-1]]) if len(fitting) else 0.0


def price_table(fabric: Fabric, design: Design, catalogue: Catalogue, prices: Prices) -> PriceTable:
    """What media are chosen for a cable of each kind and length, as if all that hangs together with it were like it.

    A kind that has no part at any length is a finding of its own, not the floor plan's; it costs a cent a metre here,
    so that it is kept short all the same.
    """
    frame = cable_kinds(fabric, design, catalogue, pl.repeat(1.0, fabric.cables.height, eager=True))
    key = [name for name in KIND if name not in _LENGTH]
    unique = frame.unique(key, maintain_order=True).with_columns(count=pl.lit(1, pl.UInt32))
    kinds = tuple(kind_of(row) for row in unique.iter_rows(named=True))
    named = unique.select(key).with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    number = frame.join(named, on=key, how="left", nulls_equal=True, maintain_order="left")["number"]
    cents = np.array([_by_length(kind, catalogue, prices) for kind in kinds])
    return PriceTable(number.to_numpy(), frame["component"].to_numpy(), kinds, cents)


def _by_length(kind: Kind, catalogue: Catalogue, prices: Prices) -> Floats:
    """Cents by way and reach; a way longer than the reach counts as its own reach."""
    size = len(RUNGS_M) + 1
    made = [_choice(kind, rung, catalogue, prices) for rung in RUNGS_M]
    if all(choice.part == UNRESOLVED for _, choice in made):
        return np.repeat([*RUNGS_M, RUNGS_M[-1]], size).reshape(size, size)
    cents = np.full((size, size), TOO_LONG)
    for reach, (alike, choice) in enumerate(made):
        for way in range(reach + 1):
            cents[way, reach] = _shorter(alike, choice, RUNGS_M[way], catalogue, prices)
    # A length that is not made is bought longer; a longer way never counts less, whatever a medium saves.
    for axis in (1, 0):
        cents = np.flip(_filled(np.flip(cents, axis), axis), axis)
        cents = np.maximum.accumulate(cents, axis=axis)
    return cents


def _filled(cents: Floats, axis: int) -> Floats:
    """Along the axis, what is too long takes the last price before it."""
    fits = cents < TOO_LONG
    last = np.maximum.accumulate(np.where(fits, np.indices(cents.shape)[axis], 0), axis=axis)
    return np.asarray(np.take_along_axis(cents, last, axis=axis))


def _choice(kind: Kind, metres: float, catalogue: Catalogue, prices: Prices) -> tuple[Kind, Choice]:
    alike = replace(kind, way_m=metres, reach_m=metres)
    [choice] = choose([alike], catalogue, prices)
    return alike, choice


def _shorter(kind: Kind, choice: Choice, way_m: float, catalogue: Catalogue, prices: Prices) -> float:
    """Cents with the plugs chosen, and a fibre no longer than this way needs."""
    if choice.part == UNRESOLVED or choice.own_ends:
        return choice_cents(kind, choice, catalogue, prices)
    length = catalogue.cables[choice.part].length_at_least(way_m)
    return choice_cents(kind, choice._replace(length_m=length or choice.length_m), catalogue, prices)


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
