"""sonic-mgmt's links: ``sonic_<group>_links.csv``, the physical connections of a testbed.

The columns are those of ``ansible/files/sonic_lab_links.csv`` and what ``ansible/module_utils/graph_utils.py`` reads:
``BandWidth`` in Mb/s, ``AutoNeg`` on or off. The planned links are routed, so that ``VlanID`` and ``VlanMode`` are
empty, which that reader takes for no VLAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.cabling import csv

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = ("StartDevice", "StartPort", "EndDevice", "EndPort", "BandWidth", "VlanID", "VlanMode", "AutoNeg")


def sonic_links(plan: Plan) -> bytes:
    """CSV of every link between two devices that are ours and do not speak InfiniBand, in the order of links."""
    fabric = plan.fabric
    kept = [name for name, network in plan.design.networks.items() if network.technology != "infiniband"]
    links = fabric.links.filter(pl.col("network").cast(pl.String).is_in(kept), pl.col("b_port").is_not_null())
    devices, ports = fabric.device_names(), fabric.ports["name"]
    rows = pl.DataFrame({
        "StartDevice": devices.gather(links["a_device"]), "StartPort": ports.gather(links["a_port"]),
        "EndDevice": devices.gather(links["b_device"]), "EndPort": ports.gather(links["b_port"]),
        "BandWidth": links["speed_gbps"] * 1000,
        "autoneg": fabric.ports["autoneg"].gather(links["b_port"]),
    })  # fmt: skip
    autoneg = pl.when(pl.col("autoneg")).then(pl.lit("on")).when(~pl.col("autoneg")).then(pl.lit("off"))
    nothing = pl.lit(None, pl.String)
    return csv(rows.with_columns(VlanID=nothing, VlanMode=nothing, AutoNeg=autoneg).select(COLUMNS))
