"""containerlab: the plan as a topology file (https://containerlab.dev/manual/topo-def-file), a container a device.

Kinds are those of containerlab's schema. Its nodes have Linux interfaces, ``eth0`` being for management: ``linux``
nodes (hosts, FRR) have the plan's names where Linux takes them; SONiC and cEOS have ``eth1, eth2 …`` and Cumulus VX
``swp1, swp2 …``, numbered over the ports that have a link, in the order of the plan's ports. Which is which is said by
labels: ``port_a`` and ``port_b`` of each link.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.lab import HOST, Lab, lab

if TYPE_CHECKING:
    from fabric.plan import Plan

KINDS = {
    "sonic": "sonic-vs", "eos": "arista_ceos", "cumulus": "nvidia_cumulusvx", "frr": "linux", HOST: "linux",
}  # fmt: skip
IMAGES = {
    "sonic": "docker-sonic-vs:latest", "eos": "ceos:latest", "cumulus": "vrnetlab/nvidia_cumulusvx:latest",
    "frr": "quay.io/frrouting/frr:10.7.1", HOST: "alpine:3.22",
}  # fmt: skip
"""What the user has to have; SONiC's, Arista's and NVIDIA's cannot be pulled (containerlab's pages on the kinds)."""
PREFIX = {"sonic": "eth", "eos": "eth", "cumulus": "swp", "frr": "eth", HOST: "eth"}
"""Interfaces of nodes whose own names cannot be used."""
FREE = ("frr", HOST)
MANAGEMENT = "172.20.0.0/20"
"""containerlab's default has room for 253 nodes."""
PLACE = ("network", "tier", "segment", "rail", "plane")


def containerlab(plan: Plan) -> bytes:
    """The topology file. Raises InputError where the plan has nothing for it or is too large for one machine."""
    found = lab(plan, "containerlab")
    head = [
        f"# {plan.intent.name}: without InfiniBand, out-of-band management (eth0 of every node) and uplinks to others.",
        f"name: {plan.intent.name}",
        f"mgmt: {{network: {plan.intent.name}, ipv4-subnet: {MANAGEMENT}}}",
        "topology:",
    ]
    return "\n".join([*head, *_kinds(found), "  nodes:", *_nodes(found), "  links:", *_links(found), ""]).encode()


def interfaces(side: str) -> pl.Expr:
    """Interface at one end of a lab's link."""
    nos, number = pl.col(f"{side}_nos"), pl.col(f"{side}_number").cast(pl.String)
    numbered = nos.replace_strict(PREFIX, return_dtype=pl.String) + number
    return pl.when(nos.is_in(FREE) & pl.col(f"{side}_free")).then(pl.col(f"{side}_port")).otherwise(numbered)


def _kinds(found: Lab) -> Iterator[str]:
    """One group a NOS, so that a node is one short line."""
    yield "  groups:"
    for nos in sorted(found.nodes["nos"].unique()):
        yield f"    {nos}: {{kind: {KINDS[nos]}, image: {IMAGES[nos]}}}"


def _nodes(found: Lab) -> Iterator[str]:
    for row in found.nodes.iter_rows(named=True):
        labels = [f"model: {row['model']}", *(f"{key}: {row[key]}" for key in PLACE if row[key] is not None)]
        yield f"    {row['name']}: {{group: {row['nos']}, labels: {{{', '.join(labels)}}}}}"


def _links(found: Lab) -> list[str]:
    ends = [pl.format("{{node: {}, interface: {}}}", f"{side}_name", interfaces(side)) for side in "ab"]
    what = pl.format(
        '{{cable: {}, network: {}, tier: {}, speed_gbps: {}, port_a: "{}:{}", port_b: "{}:{}"}}',
        "cable", "network", "tier", "speed_gbps", "a_name", "a_port", "b_name", "b_port",
    )  # fmt: skip
    lines = found.links.select(pl.format("    - {{type: veth, endpoints: [{}, {}], labels: {}}}", *ends, what))
    return lines.to_series().to_list()
