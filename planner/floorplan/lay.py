"""A first placement: spines and cores in the middle of the room, blocks around them row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from planner.floorplan.flows import Flows, Places
from planner.floorplan.prices import TOO_LONG
from planner.floorplan.racks import EVERY, Floats, Ints, Racks

Bools = npt.NDArray[np.bool_]


def weights(flows: Flows, racks: int) -> tuple[Floats, Floats]:
    """How much the price of each class varies, per number of metres, and that of all cables of each rack."""
    finite = np.where(flows.cents < TOO_LONG / 2, flows.cents, flows.cents.min(axis=1, keepdims=True, initial=np.inf))
    slope = np.maximum(np.ptp(finite, axis=1), 1e-6) if finite.size else np.ones(len(finite))
    rack = np.zeros(racks)
    np.add.at(rack, flows.a, slope[flows.kind])
    inner = flows.b >= 0
    np.add.at(rack, flows.b[inner], slope[flows.kind[inner]])
    return slope, rack


def laid(racks: Racks, flows: Flows, places: Places) -> Ints:
    """A place for every rack, and the empty ones after them: ``where`` of ``search``."""
    _, weight = weights(flows, len(racks))
    block, hosts = np.array(racks.block), np.array(racks.hosts)
    aside = np.abs(places.room.aside_m(places.position))
    middle = (places.row.min() + places.row.max()) / 2
    away = np.abs(places.row - middle) * places.room.site.row_pitch_m
    order = np.lexsort((places.position, places.row, np.round(aside + away, 6)))
    chosen = order[: len(racks)]
    central = np.flatnonzero(~hosts & (block == EVERY))
    core = chosen[np.lexsort((chosen, np.round(aside[chosen] + away[chosen], 6)))][: len(central)]
    where = np.full(len(places), -1)
    where[central[np.lexsort((central, -weight[central]))]] = core
    rest = np.setdiff1d(chosen, core)
    rest = rest[np.lexsort((places.position[rest], places.row[rest]))]
    first = 0
    for number in np.unique(block[where[: len(racks)] < 0]):
        mine = np.flatnonzero((block == number) & (where[: len(racks)] < 0))
        where[mine] = _block(mine, rest[first : first + len(mine)], hosts, weight, places)
        first += len(mine)
    where[len(racks) :] = np.setdiff1d(np.arange(len(places)), where[: len(racks)])
    return where


def _block(mine: Ints, spots: Ints, hosts: Bools, weight: Floats, places: Places) -> Ints:
    """Switch racks where the way from the block's other racks is shortest, the heaviest first; hosts in the others."""
    central = places.metres[places.between[np.ix_(spots, spots)]].sum(axis=1)
    best = np.lexsort((spots, np.round(central, 6)))
    switches = mine[~hosts[mine]]
    heavy = switches[np.lexsort((switches, -weight[switches]))]
    found = np.empty(len(mine), dtype=np.int64)
    at = {rack: i for i, rack in enumerate(mine.tolist())}
    for rack, spot in zip(heavy.tolist(), best.tolist(), strict=False):
        found[at[rack]] = spots[spot]
    left = np.delete(spots, best[: len(heavy)])
    others = [at[rack] for rack in mine[hosts[mine]].tolist()]
    found[others] = left
    return found
