"""Is every trunk whole: the same number of links from a switch to every switch of the group above it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding


def _meant(view: View, network: str, low: str, high: str) -> pl.DataFrame:
    """``a_device, b_device, meant``: pairs that the design joins, and the links between them.

    Leaf and spine share pod, plane (any, where the spine serves all) and with rail-only the leaf position; spine and
    core share position, plane likewise, and the spine's index is the core's group.
    """
    design = view.networks[network]
    mine = view.switches.filter(pl.col("network") == network)
    lows = mine.filter(pl.col("tier") == low).select(
        pl.col("id").alias("a_device"), "pod", "plane", "rail", "index", "host_class"
    )
    highs = mine.filter(pl.col("tier") == high).select(
        pl.col("id").alias("b_device"), b_pod="pod", b_plane="plane", b_rail="rail", b_group="group"
    )
    on = ["pod", "b_pod"] if low == "leaf" else ["index", "b_group"]
    pairs = lows.join(highs.with_columns(pl.col(on[1]).alias(on[0])), on=on[0], how="inner", nulls_equal=True)
    pairs = pairs.filter(_same("plane"), _same("rail"))
    if low == "leaf":
        trunk = {number: kind.trunk for number, kind in enumerate(design.classes)}
        meant = pl.col("host_class").replace_strict(trunk, default=0, return_dtype=pl.UInt32)
    else:
        meant = pl.lit(design.core_trunk, dtype=pl.UInt32)
    return pairs.select("a_device", "b_device", meant=meant)


def _same(column: str) -> pl.Expr:
    return (pl.col(column) == pl.col(f"b_{column}")).fill_null(True)


def even(view: View) -> Iterator[Finding]:
    """Links between each two switches are those of the design: none missing, none too many, none elsewhere."""
    found = view.between.group_by("a_network", "a_tier", "b_tier", "a_device", "b_device").agg(pl.len().alias("links"))
    for name in view.networks:
        for low, high in (("leaf", "spine"), ("spine", "core")):
            mine = found.filter(pl.col("a_network") == name, pl.col("a_tier") == low, pl.col("b_tier") == high)
            pairs = _meant(view, name, low, high).join(
                mine.select("a_device", "b_device", "links"), on=["a_device", "b_device"], how="full", coalesce=True
            )
            pairs = pairs.with_columns(pl.col("links", "meant").fill_null(0))
            wrong = pairs.filter(pl.col("links") != pl.col("meant")).sort("a_device", "b_device")
            yield from _uneven(view, wrong)


def _uneven(view: View, wrong: pl.DataFrame) -> Iterator[Finding]:
    by_switch = wrong.group_by("a_device", maintain_order=True).agg("b_device", "links", "meant")
    yield from report(
        "trunk-uneven",
        by_switch,
        lambda row: {"switch": view.device(row["a_device"])},
        lambda row: {
            "to": [view.device(device) for device in row["b_device"][:8]],
            "links": row["links"][:8],
            "designed": row["meant"][:8],
            "switches": len(row["b_device"]),
        },
    )


CHECKS = (even,)
