"""From racks to places, with the proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fabric.catalogue import load_prices
from fabric.design import Proof
from fabric.tables import Fabric
from fabric.trays import Room
from planner.floorplan.bound import lower_bound
from planner.floorplan.contents import Asked
from planner.floorplan.exact import small, solved
from planner.floorplan.flows import Flows, Places, alike, flows_of, measured, places_of
from planner.floorplan.late import Late, late_leaves
from planner.floorplan.lay import laid
from planner.floorplan.prices import PriceTable, price_table
from planner.floorplan.racks import Ints, Racks
from planner.floorplan.reach import too_long
from planner.floorplan.room import filled, free_places
from planner.floorplan.rows import rowed
from planner.floorplan.search import polished, total


@dataclass(frozen=True)
class Answer:
    """Racks, the place of each (and then the empty places), and what is known of the cost."""

    asked: Asked
    racks: Racks
    where: Ints
    late: Late
    prices: PriceTable
    bound: float

    def proof(self, fabric: Fabric, ways: pl.Series) -> Proof:
        """Cents of all cables with their plugs, each priced for its own way, the bound, and the gap between."""
        too_long(self.prices, fabric, ways)
        cents = round(measured(fabric, self.asked.site, self.asked.catalogue, self.prices))
        bound = min(round(self.bound), cents)
        gap = (cents - bound) / cents if cents else 0.0
        return Proof("OPTIMAL" if cents - bound <= 1 else "FEASIBLE", cents, bound, round(gap, 6), "cents")


def solve(asked: Asked) -> Answer:
    """Fill the racks and stand them; raises InfeasibleError."""
    racks = filled(asked)
    places = places_of(free_places(asked.site), Room(asked.site))
    prices = price_table(asked.fabric, asked.design, asked.catalogue, load_prices(asked.intent.prices_path))
    flows = flows_of(asked, racks, prices, places)
    where, bound = stand(racks, flows, places)
    return Answer(asked, racks, where, late_leaves(asked, racks, places, where), prices, bound + flows.fixed)


def stand(racks: Racks, flows: Flows, places: Places) -> tuple[Ints, float]:
    """The best placement that was found, and what none undercuts (cents of cables between racks)."""
    found = [polished(flows, places, laid(racks, flows, places))]
    by_rows = rowed(racks, flows, places, found[0])
    if by_rows is not None:
        found.append(polished(flows, places, by_rows))
    where = cheapest(flows, places, found)
    bound = lower_bound(racks, flows, places, total(flows, places, where))
    if small(racks, flows, places):
        exact = solved(racks, flows, places, in_order(racks, flows, where))
        bound = max(bound, exact.bound)
        if exact.where is not None:
            where = cheapest(flows, places, [where, exact.where])
    return in_order(racks, flows, where), bound


def cheapest(flows: Flows, places: Places, found: list[Ints]) -> Ints:
    """The cheapest of some placements, the first of those as cheap."""
    cents = [total(flows, places, where) for where in found]
    return next(where for where, cost in zip(found, cents, strict=True) if cost <= min(cents) + 0.5)


def in_order(racks: Racks, flows: Flows, where: Ints) -> Ints:
    """The same placement with racks that are alike in rising order of place, so that hosts count along the rows."""
    ordered = where.copy()
    for same in alike(len(racks), flows):
        ordered[same] = np.sort(where[same])
    return ordered
