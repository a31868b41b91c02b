"""Which cables are pulled together."""

from __future__ import annotations

import polars as pl

from fabric.tables import SCHEMA, Fabric
from fabric.trays import racks_of


def bundled(fabric: Fabric) -> pl.DataFrame:
    """Cables with ``bundle``: ``<network> <rack>~<rack>`` for those between the same two racks.

    The lower rack name stands first. A cable with ends in several racks is pulled with those of its last pair of names;
    one inside a rack has the rack alone; one that leaves the room has ``<rack>~out``.
    """
    names = fabric.racks["name"]
    rack = racks_of(fabric)["rack"]
    ends = {side: names.gather(rack.gather(fabric.links[f"{side}_device"])) for side in "ab"}
    pairs = pl.DataFrame({"cable": fabric.links["cable"], **ends}).with_columns(pl.col("b").fill_null("~out"))
    low, high = pl.min_horizontal("a", "b"), pl.max_horizontal("a", "b")
    pair = (
        pl.when(pl.col("b") == "~out").then(pl.col("a") + "~out")
        .when(low == high).then("a")
        .otherwise(pl.concat_str(low, pl.lit("~"), high))
    )  # fmt: skip
    across = pl.col("pair").filter(pl.col("pair").str.contains("~")).max()
    bundle = pairs.select("cable", pair=pair).group_by("cable").agg(pl.coalesce(across, pl.col("pair").max()))
    bundle_name = bundle.sort("cable")["pair"]
    column = next(c for c in SCHEMA["cables"].columns if c.name == "bundle")
    named = fabric.cables["network"].cast(pl.String) + " " + bundle_name
    return fabric.cables.with_columns(named.cast(SCHEMA["cables"].dtype(column)).alias("bundle"))
