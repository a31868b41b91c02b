"""A placement as the columns of the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.tables import SCHEMA, Fabric
from planner.floorplan.contents import Asked
from planner.floorplan.racks import Ints
from planner.floorplan.room import free_places

if TYPE_CHECKING:
    from planner.floorplan.solve import Answer


def written(asked: Asked, answer: Answer) -> Fabric:
    """The fabric with ``racks``, and rack and unit of hosts and switches."""
    devices = answer.racks.devices
    rack = np.where(devices.rack >= 0, answer.where[np.maximum(devices.rack, 0)], -1)
    pdus = asked.pdus
    if len(pdus):
        rack[pdus] = asked.fabric.hosts["index"].to_numpy()[pdus] // asked.site.pdus_per_rack
    late, at, unit = answer.late
    rack[late] = at
    units = devices.unit.copy()
    units[late] = unit
    unit_or_none = _nullable(np.where(units > 0, units, -1), pl.UInt16)
    columns = pl.DataFrame({"rack": _nullable(rack, pl.UInt32), "unit": unit_or_none})
    return replace(
        asked.fabric,
        racks=_racks(asked, answer),
        hosts=asked.fabric.hosts.with_columns(columns[: asked.hosts].get_columns()),
        switches=asked.fabric.switches.with_columns(columns[asked.hosts :].get_columns()),
    )


def _nullable(values: Ints, dtype: type[pl.DataType]) -> pl.Series:
    series = pl.Series(values)
    return pl.select(pl.when(series >= 0).then(series).cast(dtype)).to_series()


def _racks(asked: Asked, answer: Answer) -> pl.DataFrame:
    """One row a free place: ``r03-07`` is position 7 of row 3; as many digits as the largest needs, at least two."""
    site = asked.site
    places = free_places(site)
    wide = max(2, len(str(site.rows))), max(2, len(str(site.racks_per_row)))
    columns = {
        "id": range(len(places)),
        "name": [f"r{row:0{wide[0]}d}-{at:0{wide[1]}d}" for row, at in places],
        "site": [asked.intent.name] * len(places),
        "row": [row for row, _ in places],
        "position": [at for _, at in places],
        "units": [site.rack_units] * len(places),
        "power_kw": [float(site.rack_power_kw)] * len(places),
        "feed": feeds(asked, answer),
    }
    table = SCHEMA["racks"]
    return pl.DataFrame([pl.Series(c.name, columns[c.name], table.dtype(c)) for c in table.columns])


def feeds(asked: Asked, answer: Answer) -> list[str]:
    """Feeds of each place, separated by spaces: one a PDU, in turn, beginning with that of the rack's side.

    Without PDUs every rack has all feeds.
    """
    names = asked.site.feeds
    count = min(asked.site.pdus_per_rack or len(names), len(names))
    side = np.zeros(len(free_places(asked.site)), dtype=np.int64)
    side[answer.where[: len(answer.racks)]] = answer.racks.side
    taken = (sorted((first + i) % len(names) for i in range(count)) for first in side.tolist())
    return [" ".join(names[i] for i in numbers) for numbers in taken]
