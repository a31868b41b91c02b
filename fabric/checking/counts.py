"""Are the counts one: design, tables, cable list and bill of materials."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View
from fabric.design import NetworkDesign
from fabric.findings import Finding, find


def _differ(subject: dict[str, object], designed: int, found: int, where: str) -> Iterator[Finding]:
    if designed != found:
        yield find("count-differs", subject, {"designed": designed, where: found})


def switches(view: View) -> Iterator[Finding]:
    """Switches of each network and tier are those of the design."""
    found = dict(view.switches.group_by(pl.concat_str("network", "tier", separator="/")).len().iter_rows())
    for name, network in view.networks.items():
        for tier, designed in network.counts().items():
            subject: dict[str, object] = {"what": "switches", "network": name, "tier": tier}
            yield from _differ(subject, designed, found.pop(f"{name}/{tier}", 0), "tables")
    for key, number in sorted(found.items()):
        yield from _differ({"what": "switches", "network": key}, 0, number, "tables")


def hosts(view: View) -> Iterator[Finding]:
    """Hosts of each group: the count asked for, without and with its spares (by the design of its first network)."""
    rows = view.hosts.group_by("group", "spare").len()
    found = {(group, spare): number for group, spare, number in rows.iter_rows()}
    spares = dict.fromkeys(_spare_groups(view), 0)
    for group in view.intent.hosts:
        yield from _differ(
            {"what": "hosts", "group": group.name}, group.count, found.get((group.name, False), 0), "tables"
        )
    for groups, designed in spares_designed(view).items():
        total = sum(found.get((name, True), 0) for name in groups)
        yield from _differ({"what": "spares", "group": ",".join(groups)}, designed, total, "tables")
        spares = {name: 0 for name in spares if name not in groups}
    for name in spares:
        yield from _differ({"what": "spares", "group": name}, 0, found[name, True], "tables")


def _spare_groups(view: View) -> list[str]:
    return view.hosts.filter("spare")["group"].unique().sort().to_list()


def spares_designed(view: View) -> dict[tuple[str, ...], int]:
    """Spares by the groups that share them: segments × spares a segment, on the network where they have their places."""
    return {
        kind.groups: kind.segments * kind.spares_per_segment
        for network in view.networks.values()
        for kind in network.classes
        if kind.spares_per_segment
    }


def links_designed(network: NetworkDesign) -> dict[str, int]:
    """Links of each tier by the design: sums over classes of what a host and a leaf have."""
    kinds = network.classes
    leaves = [kind.segments * network.planes * kind.leaves_per_plane for kind in kinds]
    installed = [kind.hosts + kind.segments * kind.spares_per_segment for kind in kinds]
    endpoints = sum(n * kind.rails * kind.ports_per_nic for n, kind in zip(installed, kinds, strict=True))
    return {
        "endpoints": endpoints + network.service_ports,
        "leaf-spine": sum(n * kind.uplinks for n, kind in zip(leaves, kinds, strict=True)) if network.spine else 0,
        "spine-core": network.counts()["spine"] * network.spine_uplinks if network.core else 0,
        "leaf-leaf": network.interswitch_links,
        "uplink": sum(leaves) * network.external_uplinks,
    }


def links(view: View) -> Iterator[Finding]:
    """Links of each network and tier are those of the design; endpoints are links of hosts and managed switches."""
    ends = pl.when(pl.col("tier").is_in(["host-leaf", "oob"])).then(pl.lit("endpoints")).otherwise("tier")
    rows = view.links.group_by("network", ends.alias("tier")).len()
    found = {(network, tier): number for network, tier, number in rows.iter_rows()}
    for name, network in view.networks.items():
        for tier, designed in links_designed(network).items():
            subject: dict[str, object] = {"what": "links", "network": name, "tier": tier}
            yield from _differ(subject, designed, found.get((name, tier), 0), "tables")


def cables(view: View) -> Iterator[Finding]:
    """Every cable carries links, as many as it says, and their speeds add up to its own."""
    carried = view.links.group_by(pl.col("cable").alias("id")).agg(
        pl.len().alias("carried"), pl.col("speed_gbps").sum().alias("sum")
    )
    both = view.cables.join(carried, on="id", how="left", maintain_order="left").with_columns(
        pl.col("carried", "sum").fill_null(0)
    )
    wrong = both.filter((pl.col("carried") != pl.col("links")) | (pl.col("sum") != pl.col("speed_gbps")))
    for row in wrong.head(20).iter_rows(named=True):
        evidence = {
            "links": row["links"],
            "tables": row["carried"],
            "speed_gbps": row["speed_gbps"],
            "speed_sum": row["sum"],
        }
        yield find("count-differs", {"what": "cable", "cable": row["id"]}, evidence)


CHECKS = (switches, hosts, links, cables)
