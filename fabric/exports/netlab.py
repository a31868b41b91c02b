"""netlab: the plan as a topology file of https://netlab.tools, read by ``netlab create``; provider containerlab.

netlab's node names are identifiers: hyphens become underscores. FRR and Linux have the plan's interface names where
Linux takes them; other devices netlab names by ``ifindex``, the number of the port among the linked ones, in the order
of the plan's ports. Each link's ``name`` says both ends as the plan calls them.

Addresses and AS numbers are the plan's; BGP is netlab's own (an eBGP session a link between switches), so that the
reachability of the plan can be tried, not its configurations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from fabric.addressing import Addresses, addresses
from fabric.exports.containerlab import FREE, MANAGEMENT
from fabric.exports.lab import HOST, Lab, lab

if TYPE_CHECKING:
    from fabric.plan import Plan

DEVICES = {"sonic": "sonic", "eos": "eos", "cumulus": "cumulus_nvue", "frr": "frr", HOST: "linux"}
FIRST = {"sonic": 0}
"""First ``ifindex`` of a device; 1 where not said (netlab's ``ifindex_offset``)."""
LONGEST, MOST = 64, 4000
"""Longest node name and highest node id: netlab's own limits are 16 and 150."""


def netlab(plan: Plan) -> bytes:
    """The topology file. Raises InputError where the plan has nothing for it or is too large for one machine."""
    found = lab(plan, "netlab")
    known = addresses(plan)
    head = [
        f"# {plan.intent.name}: without InfiniBand, out-of-band management (netlab's own) and uplinks to others.",
        f"name: {plan.intent.name[:20].rstrip('-')}",
        "provider: clab",
        f"defaults.const: {{MAX_NODE_ID: {MOST}, MAX_NODE_ID_LENGTH: {LONGEST}}}",
        f"addressing.mgmt.ipv4: {MANAGEMENT}",
        "module: [bgp]",
    ]
    return "\n".join([*head, "nodes:", *_nodes(found, known), "links:", *_links(found, known), ""]).encode()


def identifier(name: pl.Expr) -> pl.Expr:
    """A device's name as netlab takes it."""
    return name.str.replace_all("-", "_", literal=True)


def _nodes(found: Lab, known: Addresses) -> Iterator[str]:
    own = known.switches.select("device", "asn", "loopback_ipv4", "loopback_ipv6")
    nodes = found.nodes.join(own, on="device", how="left", maintain_order="left")
    for row in nodes.with_columns(identifier(pl.col("name"))).iter_rows(named=True):
        more = [f"device: {DEVICES[row['nos']]}"]
        if row["asn"] is not None:
            more.append(f"bgp.as: {row['asn']}")
        if row["loopback_ipv4"] is not None:
            more.append(f"loopback: {{ipv4: {row['loopback_ipv4']}/32, ipv6: '{row['loopback_ipv6']}/128'}}")
        yield f"  {row['name']}: {{{', '.join(more)}}}"


def _links(found: Lab, known: Addresses) -> list[str]:
    links = found.links.join(_link_addresses(known), on="link", how="left", maintain_order="left")
    links = _with_host_addresses(links, known)
    ends = [pl.concat_str(identifier(pl.col(f"{s}_name")), pl.lit(": {"), _end(s), pl.lit("}")) for s in "ab"]
    name = pl.format("name: '{}:{} - {}:{}'", "a_name", "a_port", "b_name", "b_port")
    lines = links.select(pl.format("  - {{{}, {}, {}}}", *ends, name))
    return lines.to_series().to_list()


def _end(side: str) -> pl.Expr:
    """``ifname: swp1`` or ``ifindex: 1``, and the addresses; ``true`` (unnumbered) where the plan has none."""
    nos = pl.col(f"{side}_nos")
    first = nos.replace_strict(FIRST, default=1, return_dtype=pl.UInt32)
    index = pl.format("ifindex: {}", pl.col(f"{side}_number") - 1 + first)
    named = pl.format("ifindex: {}, ifname: {}", f"{side}_number", f"{side}_port")
    name = pl.when(nos.is_in(FREE) & pl.col(f"{side}_free")).then(named).otherwise(index)
    four, six = pl.col(f"{side}_ipv4"), pl.col(f"{side}_ipv6")
    return pl.concat_str(
        name,
        pl.lit(", ipv4: "), four.fill_null("true"),
        pl.lit(", ipv6: "), pl.when(six.is_null()).then(pl.lit("true")).otherwise(pl.format("'{}'", six)),
    )  # fmt: skip


def _link_addresses(known: Addresses) -> pl.DataFrame:
    """``link, a_ipv4, b_ipv4, a_ipv6, b_ipv6`` with their lengths, of links between switches."""
    return known.links.select(
        "link",
        *(pl.col(f"{side}_ipv4") + "/31" for side in "ab"),
        *(pl.col(f"{side}_ipv6") + "/127" for side in "ab"),
    )


def _with_host_addresses(links: pl.DataFrame, known: Addresses) -> pl.DataFrame:
    """Links of hosts have the host at the a side and its gateway, the leaf's own address, at the b side."""
    hosts = known.host_ports.select(
        "port",
        a4=pl.format("{}/{}", "ipv4", "prefix_ipv4"), b4=pl.format("{}/{}", "gateway_ipv4", "prefix_ipv4"),
        a6=pl.format("{}/{}", "ipv6", "prefix_ipv6"), b6=pl.format("{}/{}", "gateway_ipv6", "prefix_ipv6"),
    )  # fmt: skip
    links = links.join(hosts, left_on="a_port_id", right_on="port", how="left", maintain_order="left")
    filled = {f"{s}_ipv{n}": pl.coalesce(f"{s}_ipv{n}", f"{s}{n}") for s in "ab" for n in (4, 6)}
    return links.with_columns(**filled).drop("a4", "b4", "a6", "b6")
