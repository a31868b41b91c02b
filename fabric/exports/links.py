"""``links``: every logical link, one a row, as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.cabling import csv
from fabric.exports.ends import EXTERNAL, cable_names

if TYPE_CHECKING:
    from fabric.plan import Plan
    from fabric.tables import Fabric

COLUMNS = (
    "link", "network", "tier", "segment", "pod", "rail", "plane",
    "a_device", "a_port", "b_device", "b_port", "speed_gbps", "cable",
)  # fmt: skip


def links(plan: Plan) -> bytes:
    """The links as CSV. ``link`` is the link's id, ``cable`` the name in ``cables.csv``; names are the plan's."""
    return csv(link_list(plan.fabric))


def link_list(fabric: Fabric) -> pl.DataFrame:
    """One row a link, with ``COLUMNS``. What is not ours is the device ``external`` and has no port."""
    table = fabric.links
    devices, ports = fabric.device_names(), fabric.ports["name"]
    cable = cable_names(fabric).gather(table["cable"])
    return table.select(
        pl.col("network", "tier").cast(pl.String), "segment", "pod", "rail", "plane", "speed_gbps",
        link="id",
        a_device=devices.gather(table["a_device"]),
        a_port=ports.gather(table["a_port"]),
        b_device=devices.gather(table["b_device"]).fill_null(EXTERNAL),
        b_port=ports.gather(table["b_port"]),
        cable=cable,
    ).select(COLUMNS)  # fmt: skip
