"""Where one failure cuts somebody off: hosts with one leaf, tiers of one switch (``failures`` has the costs)."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding, find


def single_homed(view: View) -> Iterator[Finding]:
    """Hosts all of whose links on a network end on one leaf, by network and host group.

    With several planes planned that is a fault; with one it is what was asked for, and is told once.
    """
    planes = {name: network.planes for name, network in view.networks.items()}
    hosts = view.host_links.group_by("network", "group", "host").agg(pl.col("b_device").n_unique().alias("leaves"))
    hosts = hosts.join(view.residents, on=["network", "group"], how="left").filter(pl.col("leaves") == 1)
    hosts = hosts.with_columns(planes=pl.col("network").replace_strict(planes, default=1, return_dtype=pl.UInt32))
    hosts = hosts.with_columns(meant=(pl.col("planes") == 1) | pl.col("class").is_null()).sort("host")
    kinds = hosts.group_by("network", "group", "meant").agg(pl.len().alias("hosts"), pl.col("host").first())
    kinds = kinds.sort("network", "group")
    for code, meant in (("single-point-of-failure", False), ("single-homed", True)):
        yield from report(
            code,
            kinds.filter(pl.col("meant") == meant),
            lambda row: {"network": row["network"], "group": row["group"]},
            lambda row: {"hosts": row["hosts"], "first": view.device(row["host"])},
        )


def single_spine(view: View) -> Iterator[Finding]:
    """Groups of one spine or one core: when it fails, what it joins is parted."""
    for name, network in view.networks.items():
        if network.spine and network.spines_per_group == 1:
            yield find("single-spine", {"network": name, "tier": "spine"}, {"spines": network.counts()["spine"]})
        if network.core and network.cores_per_group * network.spines_per_group == 1:
            yield find("single-spine", {"network": name, "tier": "core"}, {"cores": network.counts()["core"]})


CHECKS = (single_homed, single_spine)
