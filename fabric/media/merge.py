"""Assemblies with their own ends: one plug fills a cage, so that all cables of the cage are one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from fabric.tables import Fabric


def merge_assemblies(fabric: Fabric, own_ends: pl.Series, component: pl.Series) -> Fabric:
    """One cable for each component that an assembly joins; the others stay. Ids are dense again, in the old order.

    ``own_ends`` and ``component`` are by cable id. ``a_ends`` and ``b_ends`` of an assembly count its plugs.
    """
    if not own_ends.any():
        return fabric
    old = pl.int_range(fabric.cables.height, dtype=pl.UInt32, eager=True)
    first = pl.DataFrame({"own": own_ends, "component": component, "id": old}).select(
        pl.when("own").then(pl.col("id").min().over("own", "component")).otherwise("id")
    ).to_series()  # fmt: skip
    kept = first == old
    number = (kept.cast(pl.UInt32).cum_sum() - 1).gather(first).cast(pl.UInt32)
    links = fabric.links.with_columns(cable=number.gather(fabric.links["cable"]))
    cables = fabric.cables.filter(kept).with_columns(id=pl.int_range(pl.len(), dtype=pl.UInt32))
    assembled = own_ends.filter(kept)
    counted = _counted(replace(fabric, links=links), cables)
    columns = [
        pl.select(pl.when(assembled).then(counted[name]).otherwise(cables[name]))
        .to_series()
        .cast(cables[name].dtype)
        .alias(name)
        for name in counted.columns
    ]
    return replace(fabric, links=links, cables=cables.with_columns(columns))


def _counted(fabric: Fabric, cables: pl.DataFrame) -> pl.DataFrame:
    """Links, cages at either side, and the sums and common values of its links, of each cable."""
    links, ports = fabric.links, fabric.ports
    frame = links.select("cable", "rail", "plane", "speed_gbps")
    for side in ("a", "b"):
        at = links[f"{side}_port"]
        place = pl.struct(device=links[f"{side}_device"], cage=ports["cage"].gather(at))
        frame = frame.with_columns(pl.select(place.alias(f"{side}_ends")).to_series())
    common = [pl.when(pl.col(n).n_unique() == 1).then(pl.col(n).first()).alias(n) for n in ("rail", "plane")]
    found = frame.group_by("cable").agg(
        *common, pl.len().alias("links"), pl.col("a_ends", "b_ends").n_unique(), pl.col("speed_gbps").sum()
    )
    ordered = pl.DataFrame({"cable": np.arange(cables.height, dtype=np.uint32)}).join(
        found, on="cable", how="left", maintain_order="left"
    )  # fmt: skip
    return ordered.drop("cable")
