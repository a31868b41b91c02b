"""Out-of-band leaves: 48 endpoints each, wherever those stand, PDUs too; so these leaves wait for the racks."""

from __future__ import annotations

import numpy as np
import polars as pl

from fabric.errors import InfeasibleError, Problem
from planner.floorplan.contents import Asked
from planner.floorplan.flows import Places
from planner.floorplan.racks import Ints, Racks

REACH_M = 90.0
"""Metres of tray beyond which twisted pair (100 m, ISO/IEC 11801) is not long enough with the ways up and down."""
FAR = 1e6
"""What a cable beyond that counts, in metres: only where there is no other way."""
Late = tuple[Ints, Ints, Ints]
"""Devices, the place (rack id) of each and its lowest unit."""


def late_leaves(asked: Asked, racks: Racks, places: Places, where: Ints) -> Late:
    """A rack for each: of those with room the one with the least tray to all that it serves, then the first.

    Racks where nothing else stands are taken too, unless the site says how many racks may hold switches only.
    """
    waiting = np.flatnonzero(racks.devices.rack[asked.hosts :] < 0) + asked.hosts
    room = _Room(asked, racks, places, where)
    served = _served(asked, racks, where, waiting)
    found = [room.take(int(leaf), served[int(leaf)]) for leaf in waiting]
    at, unit = (np.array(column, dtype=np.int64) for column in (zip(*found, strict=True) if found else ((), ())))
    return waiting, at, unit


class _Room:
    """What is left in each place."""

    def __init__(self, asked: Asked, racks: Racks, places: Places, where: Ints) -> None:
        self.asked, self.places = asked, places
        here = where[: len(racks)]
        self.units = np.full(len(places), asked.site.rack_units)
        self.watts = np.full(len(places), racks.limit_w)
        self.high = np.zeros(len(places), dtype=np.int64)
        self.units[here] -= np.array(racks.low) + np.array(racks.high)
        self.watts[here] -= np.array(racks.watts)
        self.high[here] = racks.high
        if asked.site.switch_racks != "auto":
            empty = np.setdiff1d(np.arange(len(places)), here)
            self.units[empty] = 0

    def take(self, leaf: int, served: Ints) -> tuple[int, int]:
        """Place and lowest unit for a leaf."""
        units, watts = int(self.asked.units[leaf]), float(self.asked.watts[leaf])
        fits = (self.units >= units) & (self.watts >= watts)
        if not fits.any():
            said = f"no rack has {units} unit{'s' if units > 1 else ''} and {watts:g} W left for an out-of-band leaf"
            raise InfeasibleError(Problem("site", said, "add a row, or raise rack_units or rack_power_kw"))
        metres = self.places.metres[self.places.between[:, served]]
        metres = np.where(np.arange(len(self.places))[:, None] == served, 0, metres)
        cost = np.round(metres.sum(axis=1) + FAR * (metres > REACH_M).sum(axis=1), 6)
        at = int(np.where(fits, cost, np.inf).argmin())
        unit = self.asked.site.rack_units - int(self.high[at]) - units + 1
        self.units[at] -= units
        self.watts[at] -= watts
        self.high[at] += units
        return at, unit


def _served(asked: Asked, racks: Racks, where: Ints, waiting: Ints) -> dict[int, Ints]:
    """Places of what each leaf serves."""
    links = asked.fabric.links.filter(pl.col("b_device").is_in(waiting) & (pl.col("tier").cast(pl.String) == "oob"))
    a = links["a_device"].to_numpy()
    rack = racks.devices.rack[a]
    place = where[np.maximum(rack, 0)]
    pdu = np.isin(a, asked.pdus)
    if pdu.any():
        place[pdu] = asked.fabric.hosts["index"].to_numpy()[a[pdu]] // asked.site.pdus_per_rack
    known = pdu | (rack >= 0)
    leaf = links["b_device"].to_numpy()
    return {int(device): place[known & (leaf == device)] for device in waiting}
