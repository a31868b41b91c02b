"""The groups of next-hop links that switches hash over, derived from the links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from fabric.tables import Fabric

_UP = ("leaf-spine", "spine-core")


def ecmp_groups(fabric: Fabric) -> pl.DataFrame:
    """The table ``ecmp_groups``: up groups by device, then trunks by device and peer; members in the order of ports."""
    from fabric.tables import SCHEMA

    links = fabric.links.select("tier", "a_device", "a_port", "b_device", "b_port")
    between = links.filter(pl.col("tier").is_in(["leaf-leaf", *_UP]))
    ups = between.filter(pl.col("tier") != "leaf-leaf").select(
        device="a_device", peer=pl.lit(None, pl.UInt32), port="a_port"
    )
    down = between.select(device="b_device", peer="a_device", port="b_port")
    pair = between.filter(pl.col("tier") == "leaf-leaf").select(device="a_device", peer="b_device", port="a_port")
    trunks = pl.concat([down, pair]).filter(pl.len().over("device", "peer") > 1)
    rows = pl.concat([_directed(ups, "up"), _directed(trunks, "down")])
    table = SCHEMA["ecmp_groups"]
    kinds = fabric.switches.select(device="id", network="network", tier="tier")
    return (
        rows.join(kinds, on="device", how="left", maintain_order="left")
        .with_columns(id=pl.struct("direction", "device", "peer").rle_id())
        .select(pl.col(c.name).cast(table.dtype(c)) for c in table.columns)
    )


def _directed(rows: pl.DataFrame, direction: str) -> pl.DataFrame:
    return rows.sort("device", "peer", "port").with_columns(direction=pl.lit(direction))
