"""Who peers with whom: one row for each end, that is ours, of each link between routers."""

from __future__ import annotations

from typing import Any

import polars as pl

from fabric.addressing import Addresses
from fabric.exports.frr.domains import FAMILIES
from fabric.plan import Plan

GROUPS = {
    ("leaf-spine", "a"): "spines",
    ("leaf-spine", "b"): "leaves",
    ("spine-core", "a"): "cores",
    ("spine-core", "b"): "spines",
    ("leaf-leaf", "a"): "pair",
    ("leaf-leaf", "b"): "pair",
    ("uplink", "a"): "uplinks",
    ("uplink", "b"): "attached",
}
"""Name of the peer group by tier and side of the link; an uplink to what is not ours is of ``external``."""
ORDER = ("spines", "cores", "leaves", "pair", "uplinks", "attached", "external")


def ends(plan: Plan, known: Addresses) -> pl.DataFrame:
    """Both ends of every link between routers, in the order of devices and ports.

    ``device, port, name, asn, network, peer_device, peer, peer_port, peer_asn, group``, then the addresses ``own_ipv4,
    ipv4, own_ipv6, ipv6`` (the plain ones are the peer's; null where unnumbered), ``above`` (the peer is farther from
    the hosts) and ``static``: a numbered uplink of an oob leaf, where both ends have static routes and no session. Of
    the peer all is null where it is not ours.
    """
    links = _router_links(plan).join(known.links, left_on="id", right_on="link", how="left")
    inner = links.filter(pl.col("b_device").is_not_null())
    both = pl.concat([_side(links, "a", "b"), _side(inner, "b", "a")]).sort("device", "port")
    names, ports, first = plan.fabric.device_names(), plan.fabric.ports["name"], plan.fabric.hosts.height
    asns = pl.concat([pl.repeat(None, first, dtype=pl.UInt32, eager=True), known.switches["asn"]])
    return both.with_columns(
        name=ports.gather(both["port"]),
        peer=names.gather(both["peer_device"]),
        peer_port=ports.gather(both["peer_port"]),
        asn=asns.gather(both["device"]),
        peer_asn=asns.gather(both["peer_device"]),
    )


def sessions(found: pl.DataFrame) -> pl.DataFrame:
    """The ends with a BGP session: those of routers with AS numbers that are not routed statically."""
    peered = pl.col("peer_asn").is_not_null() | (pl.col("group") == "external")
    return found.filter(~pl.col("static") & pl.col("asn").is_not_null() & peered)


def neighbours(found: pl.DataFrame) -> dict[int, dict[str, dict[str, Any]]]:
    """By device and peer group: ``paths, numbered, asns, lines``; what ``router bgp`` says of its neighbours."""
    peers: dict[int, dict[str, dict[str, Any]]] = {}
    for row in _texts(sessions(found)).iter_rows(named=True):
        peers.setdefault(row["device"], {})[row["group"]] = row
    return peers


def _texts(peers: pl.DataFrame) -> pl.DataFrame:
    """``device, group, paths, numbered, asns, lines``: neighbours of ``router bgp``, by peer group.

    ``paths``: links to all peers of a group that is above, else those to one peer (what is below is behind it alone).
    """
    remote = pl.coalesce(pl.col("peer_asn").cast(pl.String), pl.lit("external"))
    text = pl.when(pl.col("peer").is_null()).then(pl.lit("external")).otherwise(
        pl.concat_str("peer", "peer_port", separator=" ")
    )  # fmt: skip
    numbered = [
        pl.format(
            " neighbor {} remote-as {}\n neighbor {} peer-group {}\n neighbor {} description {}\n",
            family, "remote", family, pl.col("group") + f"-{family}", family, "text",
        )
        for family in FAMILIES
    ]  # fmt: skip
    plain = pl.format(
        " neighbor {} interface remote-as {}\n neighbor {} peer-group {}\n neighbor {} description {}\n",
        "name", "remote", "name", "group", "name", "text",
    )  # fmt: skip
    lines = pl.when(pl.col("ipv4").is_null()).then(plain).otherwise(pl.concat_str(numbered))
    return (
        peers.with_columns(remote=remote, text=text)
        .with_columns(lines=lines)
        .group_by("device", "group", maintain_order=True)
        .agg(
            paths=pl.when(pl.col("above").first())
            .then(pl.len())
            .otherwise(pl.col("peer_device").unique_counts().max()),
            numbered=pl.col("ipv4").is_not_null().any(),
            asns=pl.col("peer_asn").drop_nulls().unique(maintain_order=True),
            lines=pl.col("lines").str.join(),
        )
    )


def _router_links(plan: Plan) -> pl.DataFrame:
    """Links between routers of ours, and those that leave."""
    infiniband = [name for name, one in plan.design.networks.items() if one.technology == "infiniband"]
    kept = (pl.col("a_device") >= plan.fabric.hosts.height) & (pl.col("tier") != "oob")
    links = plan.fabric.links.with_columns(pl.col("network", "tier").cast(pl.String))
    return links.filter(kept & ~pl.col("network").is_in(infiniband))


def _side(links: pl.DataFrame, own: str, other: str) -> pl.DataFrame:
    """One end of each link."""
    group = pl.col("tier").replace_strict({tier: name for (tier, side), name in GROUPS.items() if side == own})
    ours = pl.col("b_device").is_not_null()
    return links.select(
        device=f"{own}_device",
        port=f"{own}_port",
        network="network",
        peer_device=f"{other}_device",
        peer_port=f"{other}_port",
        group=pl.when(ours).then(group).otherwise(pl.lit("external")),
        above=pl.lit(own == "a"),
        static=ours & (pl.col("network") == "oob") & pl.col("a_ipv4").is_not_null(),
        own_ipv4=f"{own}_ipv4", ipv4=f"{other}_ipv4", own_ipv6=f"{own}_ipv6", ipv6=f"{other}_ipv6",
    )  # fmt: skip
