"""The room as cables see it: where racks stand, and the way a cable takes over the trays.

Over every row lies a tray, and one cross tray runs over the middle of all rows (halfway along them). A cable climbs
from its device to the tray, runs along the row; to another row it runs to the cross tray, along it and into the other
row's tray; then down. What leaves the room goes along the cross tray and one row pitch beyond row 1. Inside a rack it
goes straight from unit to unit. Slack is added once, for both ends. The trays form a tree: one way between two racks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from fabric.catalogue import Catalogue
    from fabric.intent.site import Site
    from fabric.tables import Fabric

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
UNIT_M = 0.04445
"""Height of a rack unit (IEC 60297-3-100)."""


@dataclass(frozen=True)
class Room:
    """The trays of a site; rows and positions count from 1."""

    site: Site

    @property
    def cross_m(self) -> float:
        """Where the cross tray lies, in metres from the rows' first end."""
        return self.site.racks_per_row * self.site.rack_pitch_m / 2

    def aside_m(self, position: Any) -> Floats:
        """Metres along the row from the middle of a rack to the cross tray; below 0 before it."""
        return np.asarray((np.asarray(position, dtype=np.float64) - 0.5) * self.site.rack_pitch_m - self.cross_m)

    def along_m(self, row_a: Any, position_a: Any, row_b: Any, position_b: Any) -> Floats:
        """Metres of tray between two racks; arrays are taken element by element."""
        a, b = self.aside_m(position_a), self.aside_m(position_b)
        rows = np.abs(np.asarray(row_a, dtype=np.float64) - np.asarray(row_b, dtype=np.float64))
        across = np.abs(a) + rows * self.site.row_pitch_m + np.abs(b)
        return np.where(rows == 0, np.abs(a - b), across)

    def out_m(self, row: Any, position: Any) -> Floats:
        """Metres of tray from a rack to where cables leave the room."""
        return np.asarray(np.abs(self.aside_m(position)) + np.asarray(row, dtype=np.float64) * self.site.row_pitch_m)

    def climb_m(self, middle_u: Any) -> Floats:
        """Metres from a device whose middle is so many units above the floor of its rack up to the tray."""
        return np.asarray(self.site.tray_height_m + (self.site.rack_units - np.asarray(middle_u)) * UNIT_M)


def racks_of(fabric: Fabric) -> pl.DataFrame:
    """By device id: ``rack`` (id), ``unit``, ``row`` and ``position``; null where not placed."""
    both = pl.concat([fabric.hosts.select("rack", "unit"), fabric.switches.select("rack", "unit")])
    racks = fabric.racks.select("row", "position")
    known = both["rack"].set(both["rack"] >= racks.height, None)
    return both.with_columns(racks["row"].gather(known), racks["position"].gather(known))


def heights(fabric: Fabric, catalogue: Catalogue) -> Ints:
    """Rack units of every device by id; 0 for what hangs beside the units (PDUs)."""
    units = {name: server.rack_units for name, server in catalogue.servers.items()}
    hosts = fabric.hosts["model"].cast(pl.String).replace_strict(units, default=0, return_dtype=pl.Int64)
    units = {name: switch.rack_units for name, switch in catalogue.switches.items()}
    switches = fabric.switches["model"].cast(pl.String).replace_strict(units, default=1, return_dtype=pl.Int64)
    return pl.concat([hosts, switches]).to_numpy()


def watts(fabric: Fabric, catalogue: Catalogue) -> Floats:
    """Most power of every device by id."""
    most = {name: server.power_w.max for name, server in catalogue.servers.items()}
    hosts = fabric.hosts["model"].cast(pl.String).replace_strict(most, default=0.0, return_dtype=pl.Float64)
    most = {name: switch.power_w.max for name, switch in catalogue.switches.items()}
    switches = fabric.switches["model"].cast(pl.String).replace_strict(most, default=0.0, return_dtype=pl.Float64)
    return np.asarray(pl.concat([hosts, switches]).to_numpy(), dtype=np.float64)


def middles(unit: Ints, height: Ints, rack_units: int) -> Floats:
    """Middle of each device in units above the floor of its rack; half the rack where it takes no unit."""
    return np.asarray(np.where((height > 0) & (unit > 0), unit - 1 + height / 2, rack_units / 2))


def link_ways_m(fabric: Fabric, site: Site, catalogue: Catalogue) -> Floats:
    """Metres of the way of each link, slack included, by link id; NaN where an end has no place."""
    room = Room(site)
    place = racks_of(fabric)
    columns = (place[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("row", "position", "rack"))
    row, position, rack = columns
    middle = middles(place["unit"].cast(pl.Int64).fill_null(0).to_numpy(), heights(fabric, catalogue), site.rack_units)
    a, b = fabric.links["a_device"].to_numpy(), fabric.links["b_device"].fill_null(0).to_numpy()
    outside = fabric.links["b_device"].is_null().to_numpy()
    up = room.climb_m(middle)
    across = up[a] + room.along_m(row[a], position[a], row[b], position[b]) + up[b]
    inside = np.abs(middle[a] - middle[b]) * UNIT_M
    out = up[a] + room.out_m(row[a], position[a])
    ways = np.where(outside, out, np.where(rack[a] == rack[b], inside, across))
    return np.asarray(np.round(ways + site.slack_m, 3))


def ways_m(fabric: Fabric, site: Site, catalogue: Catalogue) -> pl.Series:
    """Metres of the way of each cable, by cable id: that of the longest of its links."""
    longest = np.zeros(fabric.cables.height)
    np.maximum.at(longest, fabric.links["cable"].to_numpy(), link_ways_m(fabric, site, catalogue))
    return pl.Series("length_m", longest)
