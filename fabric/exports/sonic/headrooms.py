"""Headroom of every lossless port for its own cable, and whether a switch has the buffer for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from fabric.errors import Problem
from fabric.exports.sonic.buffers import headroom_entry, pool_bytes, profile_name
from fabric.plan import Plan
from fabric.qos import is_spectrum, qos

_KIND = ["network", "model", "speed_gbps", "length_m"]


def with_headrooms(plan: Plan, switches: pl.DataFrame, ports: pl.DataFrame) -> pl.DataFrame:
    """Ports with ``profile`` and ``headroom`` (its name, and its entry of BUFFER_PROFILE) and ``xoff`` (bytes).

    Null where a port is not lossless. Each network, model, speed and length is reckoned once.
    """
    known = ports.join(switches.select("device", "network", "model"), on="device", how="left", maintain_order="left")
    kinds = known.filter("lossless").select(_KIND).unique(maintain_order=True)
    rows = [_headroom(plan, kind) for kind in kinds.iter_rows(named=True)]
    schema = {"profile": pl.String, "headroom": pl.String, "xoff": pl.Int64}
    reckoned = pl.concat([kinds, pl.DataFrame(rows, schema=schema, orient="row")], how="horizontal")
    joined = known.join(reckoned, on=_KIND, how="left", maintain_order="left").drop("network", "model")
    return joined.with_columns(pl.when("lossless").then(pl.col(name)).alias(name) for name in schema)


def too_small(plan: Plan, switches: pl.DataFrame, ports: pl.DataFrame) -> Iterator[Problem]:
    """A problem for each model of a network whose buffer is less than the headroom that its cables ask for."""
    asked = ports.group_by("device").agg(asked=pl.col("xoff").sum())
    most = switches.join(asked, on="device").sort("asked", descending=True)
    for row in most.unique(["network", "model"], keep="first", maintain_order=True).iter_rows(named=True):
        has = pool_bytes(plan.catalogue.switches[row["model"]])
        if row["asked"] >= has:
            what = f"{row['asked']:,} bytes of headroom are needed for its cables, {row['model']} has {has:,} of buffer"
            remedy = "shorter cables, fewer ports, or a switch with more buffer"
            yield Problem(f"networks.{row['network']}: {row['name']}", what, remedy)


def _headroom(plan: Plan, kind: Mapping[str, Any]) -> tuple[str, str, int]:
    rules = qos(plan, kind["network"])
    assert rules is not None
    switch = plan.catalogue.switches[kind["model"]]
    headroom = rules.headroom(kind["speed_gbps"], kind["length_m"], switch)
    spectrum = is_spectrum(switch)
    name = profile_name(kind["speed_gbps"], kind["length_m"], spectrum=spectrum)
    return name, headroom_entry(name, headroom, spectrum=spectrum), headroom.xoff
