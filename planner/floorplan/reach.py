"""Cables that nothing on the market is long enough for."""

from __future__ import annotations

import numpy as np
import polars as pl

from fabric.errors import InfeasibleError, Problem
from fabric.tables import Fabric
from planner.floorplan.prices import TOO_LONG, PriceTable


def too_long(prices: PriceTable, fabric: Fabric, ways: pl.Series) -> None:
    """Raise InfeasibleError where a cable would be longer than any of its media: by how much, and what would do."""
    metres = ways.to_numpy()
    wrong = np.flatnonzero(prices.at(prices.kind, metres, metres) >= TOO_LONG)
    if not len(wrong):
        return
    problems = []
    for kind in np.unique(prices.kind[wrong]).tolist():
        mine = wrong[prices.kind[wrong] == kind]
        longest = int(mine[metres[mine].argmax()])
        problems.append(_problem(prices, fabric, kind, longest, len(mine), float(metres[longest])))
    raise InfeasibleError(sorted(problems))


def _problem(prices: PriceTable, fabric: Fabric, kind: int, cable: int, count: int, metres: float) -> Problem:
    said = prices.kinds[kind]
    reach = prices.reach_m(kind)
    link = fabric.links.filter(pl.col("cable") == cable).row(0, named=True)
    names = fabric.device_names()
    b = "what is not ours" if link["b_device"] is None else names[link["b_device"]]
    ends = f"{names[link['a_device']]} to {b}"
    what = (
        f"{count} {said.tier} cable{'s' if count > 1 else ''} of {said.speed_gbps} Gb/s would be up to {metres:.1f} m "
        f"long ({ends}); no medium that fits reaches beyond {reach:g} m, {metres - reach:.1f} m short of it"
    )
    media = "allow singlemode in media, " if said.media and "singlemode" not in said.media else ""
    remedy = f"{media}add a longer part to the catalogue, or place rows and racks closer"
    return Problem(f"networks.{said.network}", what, remedy)
