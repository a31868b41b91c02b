"""NetBox: cables for its bulk import.

The columns are those of NetBox's ``CableImportForm`` (``netbox/dcim/forms/bulk_import.py``, versions 3.3 to 4.5),
types, status and units its ``CableTypeChoices``, ``LinkStatusChoices`` and ``CableLengthUnitChoices``. A row has one
termination at each side, an interface; a breakout cable is therefore a row a link, with one label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.cabling import csv
from fabric.exports.ends import cable_names

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = (
    "side_a_device", "side_a_type", "side_a_name", "side_b_device", "side_b_type", "side_b_name",
    "type", "status", "label", "color", "length", "length_unit",
)  # fmt: skip
TYPES = {
    "dac": "dac-passive", "acc": "dac-active", "aec": "dac-active", "aoc": "aoc",
    "multimode": "mmf-om4", "singlemode": "smf-os2", "copper": "cat6a",
}  # fmt: skip
"""NetBox's type of each medium; it knows active copper as one kind."""
COLORS = {"compute": "2196f3", "storage": "4caf50", "frontend": "ff9800", "oob": "9e9e9e"}
"""Colour by network, of NetBox's own palette (blue, green, orange, grey)."""


def netbox_cables(plan: Plan) -> bytes:
    """CSV with a row each pair of terminations; links to what is not ours are left out, NetBox has no such device."""
    return csv(termination_pairs(plan))


def termination_pairs(plan: Plan) -> pl.DataFrame:
    """The rows, with ``COLUMNS``, in the order of links."""
    fabric = plan.fabric
    links = fabric.links.filter(pl.col("b_port").is_not_null())
    devices, ports = fabric.device_names(), fabric.ports["name"]
    cable = fabric.cables.select("medium", "length_m").select(pl.all().gather(links["cable"]))
    frame = pl.DataFrame({
        "side_a_device": devices.gather(links["a_device"]), "side_a_name": ports.gather(links["a_port"]),
        "side_b_device": devices.gather(links["b_device"]), "side_b_name": ports.gather(links["b_port"]),
        "medium": cable["medium"].cast(pl.String), "network": links["network"].cast(pl.String),
        "label": cable_names(fabric).gather(links["cable"]), "length": cable["length_m"],
    })  # fmt: skip
    interface = pl.lit("dcim.interface")
    return frame.with_columns(
        side_a_type=interface, side_b_type=interface, status=pl.lit("planned"), length_unit=pl.lit("m"),
        type=pl.col("medium").replace_strict(TYPES, return_dtype=pl.String),
        color=pl.col("network").replace_strict(COLORS, return_dtype=pl.String),
    ).select(COLUMNS)  # fmt: skip
