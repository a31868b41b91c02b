"""A plan as a lab of containers: which devices and links are in it, and what interfaces are called there.

Labs keep the management network for themselves (``eth0`` of every node), so that ``oob`` is not part of one; nothing
speaks InfiniBand in a container, so that its networks are not either. PDUs and links that leave for what is not ours
are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fabric.errors import InputError, Problem
from fabric.exports.ends import cable_names

if TYPE_CHECKING:
    from fabric.plan import Plan

HOST = "host"
"""The ``nos`` of a host in the table of nodes."""
MOST_NODES = 1023
"""Ports of a Linux bridge (``BR_PORT_BITS`` 10, port 0 is none): a lab's management bridge has one a node."""
LINUX_NAME = r"^[A-Za-z][A-Za-z0-9._-]{0,14}$"
"""What Linux takes for an interface (``IFNAMSIZ`` 16) and no tool needs quoted."""


@dataclass(frozen=True)
class Lab:
    """Nodes and links of a lab.

    ``nodes``: device, name, nos (``host`` for hosts), model, network, tier, segment, rail, plane, free (all its linked
    ports have names that Linux takes, none of them ``eth0``).

    ``links``: link, cable (name), network, tier, speed_gbps and for ``a_`` and ``b_``: device, name, port (the plan's
    name), port_id, number (of the port among the device's linked ones, from 1, in the order of port ids), nos, free.
    """

    nodes: pl.DataFrame
    links: pl.DataFrame


def lab(plan: Plan, tool: str) -> Lab:
    """What of the plan fits a lab; raises InputError where nothing does, or more than one machine's bridge takes."""
    links = _links(plan)
    if not links.height:
        what = f"{tool} has no containers for InfiniBand or out-of-band management, and the plan has no other network"
        raise InputError(Problem("", what, "export a plan with a network of technology roce or ethernet"))
    ends = pl.concat([links.select(device=f"{s}_device", port=f"{s}_port_id", text=f"{s}_port") for s in "ab"])
    ends = ends.sort("port").with_columns(number=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).over("device"))
    usable = pl.col("text").str.contains(LINUX_NAME) & (pl.col("text") != "eth0")
    nodes = ends.group_by("device").agg(free=usable.all()).sort("device")
    if nodes.height > MOST_NODES:
        what = f"the plan has {nodes.height:,} devices and a lab on one machine at most {MOST_NODES:,}"
        raise InputError(Problem("", what, "export a smaller plan, such as one segment"))
    nodes = nodes.join(_devices(plan), on="device", how="left", maintain_order="left")
    for side in "ab":
        own = nodes.select(pl.col("device", "name", "nos", "free").name.prefix(f"{side}_"))
        links = links.join(own, on=f"{side}_device", how="left", maintain_order="left")
        numbers = ends.select(pl.col("port").alias(f"{side}_port_id"), pl.col("number").alias(f"{side}_number"))
        links = links.join(numbers, on=f"{side}_port_id", how="left", maintain_order="left")
    return Lab(nodes, links)


def _links(plan: Plan) -> pl.DataFrame:
    fabric = plan.fabric
    kept = [n for n, d in plan.design.networks.items() if n != "oob" and d.technology != "infiniband"]
    links = fabric.links.filter(
        pl.col("network").cast(pl.String).is_in(kept), pl.col("b_port").is_not_null(), pl.col("tier") != "oob"
    )
    ports = fabric.ports["name"]
    return links.select(
        pl.col("network", "tier").cast(pl.String), "speed_gbps", "a_device", "b_device",
        link="id",
        cable=cable_names(fabric).gather(links["cable"]),
        a_port_id="a_port", b_port_id="b_port",
        a_port=ports.gather(links["a_port"]), b_port=ports.gather(links["b_port"]),
    )  # fmt: skip


def _devices(plan: Plan) -> pl.DataFrame:
    place = [pl.lit(None, pl.UInt16).alias(name) for name in ("rail", "plane")]
    hosts = plan.fabric.hosts.select(
        "name", pl.col("model").cast(pl.String), "segment", *place,
        device="id", nos=pl.lit(HOST), network=pl.lit(None, pl.String), tier=pl.col("role").cast(pl.String),
    )  # fmt: skip
    switches = plan.fabric.switches.select(
        "name", pl.col("model", "nos", "network", "tier").cast(pl.String), "segment", "rail", "plane", device="id"
    )
    return pl.concat([hosts, switches.select(hosts.columns)])
