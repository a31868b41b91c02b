"""Are the counts one: design, tables, cable list and bill of materials."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View, report
from fabric.design import ClassDesign, NetworkDesign
from fabric.errors import PlanError
from fabric.findings import Finding, find


def _differ(
    subject: dict[str, object], wanted: int, found: int, names: tuple[str, str] = ("designed", "tables")
) -> Iterator[Finding]:
    if wanted != found:
        yield find("count-differs", subject, dict(zip(names, (wanted, found), strict=True)))


def switches(view: View) -> Iterator[Finding]:
    """Switches of each network and tier are those of the design."""
    found = dict(view.switches.group_by(pl.concat_str("network", "tier", separator="/")).len().iter_rows())
    for name, network in view.networks.items():
        for tier, designed in network.counts().items():
            subject: dict[str, object] = {"what": "switches", "network": name, "tier": tier}
            yield from _differ(subject, designed, found.pop(f"{name}/{tier}", 0))
    for key, number in sorted(found.items()):
        yield from _differ({"what": "switches", "network": key}, 0, number)


def hosts(view: View) -> Iterator[Finding]:
    """Hosts of each group: the count asked for, without and with its spares (by the design of its first network)."""
    rows = view.hosts.group_by("group", "spare").len()
    found = {(group, spare): number for group, spare, number in rows.iter_rows()}
    spares = dict.fromkeys(_spare_groups(view), 0)
    for group in view.intent.hosts:
        yield from _differ({"what": "hosts", "group": group.name}, group.count, found.get((group.name, False), 0))
    for groups, designed in spares_designed(view).items():
        total = sum(found.get((name, True), 0) for name in groups)
        yield from _differ({"what": "spares", "group": ",".join(groups)}, designed, total)
        spares = {name: 0 for name in spares if name not in groups}
    for name in spares:
        yield from _differ({"what": "spares", "group": name}, 0, found[name, True])


def _spare_groups(view: View) -> list[str]:
    return view.hosts.filter("spare")["group"].unique().sort().to_list()


def spares_designed(view: View) -> dict[tuple[str, ...], int]:
    """Spares by the groups that share them, on the network where they have places of their own."""
    return {
        kind.groups: spares_of(kind)
        for network in view.networks.values()
        for kind in network.classes
        if kind.spares_per_segment
    }


def spares_of(kind: ClassDesign) -> int:
    """Spares of a class: of each segment that has hosts; a segment planned for growth alone has none."""
    return -(-kind.hosts // kind.segment_hosts) * kind.spares_per_segment


def links_designed(network: NetworkDesign) -> dict[str, int]:
    """Links of each tier by the design: sums over classes of what a host and a leaf have."""
    kinds = network.classes
    leaves = [kind.segments * network.planes * kind.leaves_per_plane for kind in kinds]
    installed = [kind.hosts + spares_of(kind) for kind in kinds]
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
            yield from _differ(subject, designed, found.get((name, tier), 0))


def cables(view: View) -> Iterator[Finding]:
    """Every cable carries links, as many as it says, and their speeds add up to its own; the files list every cable."""
    carried = view.links.group_by(pl.col("cable").alias("id")).agg(
        pl.len().alias("carried"), pl.col("speed_gbps").sum().alias("sum")
    )
    both = view.cables.join(carried, on="id", how="left", maintain_order="left").with_columns(
        pl.col("carried", "sum").fill_null(0)
    )
    wrong = both.filter((pl.col("carried") != pl.col("links")) | (pl.col("sum") != pl.col("speed_gbps")))
    yield from report(
        "count-differs",
        wrong,
        lambda row: {"what": "cable", "cable": row["id"]},
        lambda row: {"cable": [row["links"], row["speed_gbps"]], "links": [row["carried"], row["sum"]]},
    )
    if not wrong.height and _listed(view):
        yield from _files(view)


def _listed(view: View) -> bool:
    """The lists can be made: media are chosen and the tables are whole."""
    if view.cables.height == 0 or view.fabric.cables["part"].null_count():
        return False
    try:
        view.fabric.validate()
    except PlanError:
        return False  # told by the checks of the tables
    return True


def _files(view: View) -> Iterator[Finding]:
    """Cables by network and tier are those of the table in the cable list, the link list and the bill of materials."""
    # The lists are written by half of the package, which who checks tables alone need not load.
    from fabric.exports.counts import counts, ordered

    found = counts(view.plan)
    table = found.pop("table")
    for file, listed in found.items():
        for network, tier in sorted(table.keys() | listed.keys()):
            subject: dict[str, object] = {"what": "cables", "file": file, "network": network, "tier": tier}
            yield from _differ(
                subject, table.get((network, tier), 0), listed.get((network, tier), 0), ("tables", "file")
            )
    for network, quantity in ordered(view.plan).items():
        total = sum(number for (name, _), number in table.items() if name == network)
        yield from _differ({"what": "cables", "file": "bom", "network": network}, total, quantity, ("tables", "file"))


CHECKS = (switches, hosts, links, cables)
