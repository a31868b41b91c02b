"""InfiniBand fabrics as InfiniBand's own tools write them: ibnetdiscover, ibsim's net file, UFM's topology CSV.

ibsim reads the same language as ibnetdiscover but knows no speed above HDR: its dialect says 4xHDR everywhere.
GUIDs are simulated (``fabric.guids``) where no inventory gave them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from fabric.errors import InputError, Problem
from fabric.guids import hexadecimal
from fabric.inventory import Inventory, guids
from fabric.plan import Plan
from fabric.population import on_network

LANE_NAMES = ((200, "XDR"), (100, "NDR"), (50, "HDR"), (25, "EDR"), (14, "FDR"))
"""Names of the signalling rates a lane, Gb/s (InfiniBand Architecture Specification)."""
VENDOR = "vendid=0x2c9"
MOST_PORTS = 254
"""ibsim loads a switch with more ports broken, without a word."""


@dataclass(frozen=True)
class Subnets:
    """The InfiniBand part of a plan.

    ``nodes``: one row a switch or adapter; ``ends``: one row a linked port and its peer: node, number, switch, name and
    the same with ``peer_``, width.
    """

    nodes: pl.DataFrame
    ends: pl.DataFrame


def networks(plan: Plan) -> tuple[str, ...]:
    """Networks of the plan that are InfiniBand."""
    return tuple(name for name, design in plan.design.networks.items() if design.technology == "infiniband")


def subnets(plan: Plan, inventory: Inventory | None = None) -> Subnets:
    """Nodes and link ends of all InfiniBand networks. Raises InputError where the plan has none.

    GUIDs are the inventory's; what it does not say is simulated.
    """
    wanted = networks(plan)
    if not wanted:
        raise InputError(Problem("", "the plan has no InfiniBand network", "export a plan with technology: infiniband"))
    known = guids(plan, inventory)
    nodes = pl.concat([_adapters(plan, wanted, known), _switches(plan, wanted, known)])
    ports = _ports(plan, wanted, nodes, known)
    links = plan.fabric.links.filter(pl.col("network").cast(pl.String).is_in(wanted) & pl.col("b_port").is_not_null())
    speed = links.select("speed_gbps", "plane", "a_port", "b_port")
    both = pl.concat(
        [
            speed.rename({"a_port": "port", "b_port": "peer"}),
            speed.rename({"b_port": "port", "a_port": "peer"}).select("speed_gbps", "plane", "port", "peer"),
        ]
    )
    ends = both.join(ports, on="port").join(
        ports.select(pl.all().name.prefix("peer_")), left_on="peer", right_on="peer_port"
    )
    ends = ends.with_columns(
        width=pl.min_horizontal("lanes", "peer_lanes").cast(pl.String)
        + "x"
        + _rate(pl.col("speed_gbps") // pl.min_horizontal("lanes", "peer_lanes"))
    )
    return Subnets(nodes, ends.sort("node", "number"))


def _rate(lane_gbps: pl.Expr) -> pl.Expr:
    named = [pl.when(lane_gbps >= gbps).then(pl.lit(name)) for gbps, name in LANE_NAMES]
    return pl.coalesce([*named, pl.lit("SDR")])


def _adapters(plan: Plan, wanted: tuple[str, ...], known: pl.DataFrame) -> pl.DataFrame:
    """One node a NIC: its name is the host's and the RDMA device's."""
    nics = plan.fabric.nics.filter(pl.col("network").cast(pl.String).is_in(wanted))
    hosts = plan.fabric.hosts.select(pl.col("id").alias("host"), pl.col("name").alias("host_name"), "group", "role")
    rows = nics.join(hosts, on="host", maintain_order="left").with_columns(pl.col("group", "network").cast(pl.String))
    rows = rows.join(_devices(plan, wanted), on=["network", "group", "rail"], how="left", maintain_order="left")
    own = known.filter(pl.col("nic").is_not_null()).unique("nic", keep="first").select("nic", "node")
    rows = rows.join(own, left_on="id", right_on="nic", how="left", maintain_order="left")
    return rows.select(
        node="node",
        switch=pl.lit(False),
        nic="id",
        device="host",
        ports=pl.col("ports").cast(pl.UInt32),
        name=pl.col("host_name") + " " + pl.col("rdma"),
        network="network",
        role=pl.col("role").cast(pl.String),
        tier=pl.lit(None, dtype=pl.String),
    )


def _devices(plan: Plan, wanted: tuple[str, ...]) -> pl.DataFrame:
    """RDMA device of each rail: the catalogue's, else mlx5_ and the rail."""
    rows = []
    for network in wanted:
        for member in on_network(plan.intent, plan.catalogue, network):
            names = [
                nic.rdma[i * nic.ports] if nic.rdma and len(nic.rdma) >= (i + 1) * nic.ports else None
                for nic in member.nics
                for i in range(nic.count)
            ]
            rows += [(network, member.group.name, rail, name or f"mlx5_{rail}") for rail, name in enumerate(names)]
    schema = {"network": pl.String, "group": pl.String, "rail": pl.UInt16, "rdma": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _switches(plan: Plan, wanted: tuple[str, ...], known: pl.DataFrame) -> pl.DataFrame:
    rows = plan.fabric.switches.filter(pl.col("network").cast(pl.String).is_in(wanted))
    most = (
        plan.fabric.ports.filter(pl.col("use") != "mgmt")
        .group_by("device")
        .agg(pl.col("name").str.extract(r"(\d+)$").cast(pl.UInt32).max().alias("highest"))
    )
    sizes = pl.DataFrame(
        [
            (name, sum(g.count * g.modes[0].ports for g in model.cages))
            for name, model in plan.catalogue.switches.items()
        ],
        schema={"model": pl.String, "size": pl.UInt32},
        orient="row",
    )
    rows = rows.with_columns(pl.col("model").cast(pl.String)).join(sizes, on="model", how="left", maintain_order="left")
    rows = rows.join(most, left_on="id", right_on="device", how="left", maintain_order="left")
    own = known.filter(pl.col("nic").is_null()).select("device", "node")
    rows = rows.join(own, left_on="id", right_on="device", how="left", maintain_order="left")
    return rows.select(
        node="node",
        switch=pl.lit(True),
        nic=pl.lit(None, dtype=pl.UInt32),
        device="id",
        ports=pl.max_horizontal("size", "highest"),
        name="name",
        network=pl.col("network").cast(pl.String),
        role=pl.lit(None, dtype=pl.String),
        tier=pl.col("tier").cast(pl.String),
    )


def _ports(plan: Plan, wanted: tuple[str, ...], nodes: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Every port of an InfiniBand node with its number there, from 1; switches number theirs as they name them."""
    ports = plan.fabric.ports.filter(pl.col("network").cast(pl.String).is_in(wanted))
    first = ports.filter(pl.col("nic").is_not_null()).group_by("nic").agg(pl.col("id").min().alias("first"))
    ports = ports.join(first, on="nic", how="left", maintain_order="left")
    number = (
        pl.when(pl.col("nic").is_null())
        .then(pl.col("name").str.extract(r"(\d+)$").cast(pl.UInt32, strict=False))
        .otherwise(pl.col("id") - pl.col("first") + 1)
    )
    ports = ports.select(port="id", nic="nic", device="device", lanes="lanes", number=number)
    adapters = nodes.filter(~pl.col("switch")).select("nic", "node", "switch", "name", "network")
    switches = nodes.filter(pl.col("switch")).select("device", "node", "switch", "name", "network")
    on_adapter = ports.filter(pl.col("nic").is_not_null()).join(adapters, on="nic")
    on_switch = ports.filter(pl.col("nic").is_null()).join(switches, on="device")
    on_adapter = on_adapter.join(known.select("port", "guid"), on="port", how="left")
    on_switch = on_switch.with_columns(guid="node")
    columns = ["port", "node", "guid", "switch", "name", "network", "lanes", "number"]
    return pl.concat([on_adapter.select(columns), on_switch.select(columns)])


def ibnetdiscover(plan: Plan) -> bytes:
    """The fabric as ``ibnetdiscover`` prints it, with planned speeds."""
    return _topology(subnets(plan), None)


def ibsim(plan: Plan) -> bytes:
    """A net file for ibsim. Raises InputError where a switch has more ports than ibsim takes."""
    found = subnets(plan)
    wide = found.nodes.filter(pl.col("ports") > MOST_PORTS)
    if wide.height:
        what = f"{wide['name'][0]} has {wide['ports'][0]} ports, ibsim takes {MOST_PORTS}"
        raise InputError(Problem("", what, "simulate a plan with smaller switches"))
    return _topology(found, "4xHDR")


def _topology(found: Subnets, width: str | None) -> bytes:
    """Switches, then adapters; a block a node, a line a linked port."""
    ends = found.ends.with_columns(
        own=_id(pl.col("switch"), found.ends["node"]),
        other=_id(pl.col("peer_switch"), found.ends["peer_node"]),
        width=pl.col("width") if width is None else pl.lit(width),
        guid=hexadecimal(found.ends["guid"]),
        peer_guid=hexadecimal(found.ends["peer_guid"]),
    )
    to_switch = pl.format('"{}"[{}]', "other", "peer_number")
    of_switch = (
        pl.when(pl.col("peer_switch"))
        .then(pl.format('[{}]\t{}\t\t# "{}" lid 0 {}', "number", to_switch, "peer_name", "width"))
        .otherwise(
            pl.format('[{}]\t{}({}) \t\t# "{}" lid 0 {}', "number", to_switch, "peer_guid", "peer_name", "width")
        )
    )
    of_adapter = pl.format(
        '[{}]({}) \t{}\t\t# lid 0 lmc 0 "{}" lid 0 {}', "number", "guid", to_switch, "peer_name", "width"
    )
    lines = ends.with_columns(line=pl.when(pl.col("switch")).then(of_switch).otherwise(of_adapter))
    blocks = lines.group_by("node", maintain_order=True).agg(pl.col("line").str.join("\n"))
    nodes = found.nodes.sort("switch", "node", descending=[True, False])
    nodes = nodes.with_columns(guid=hexadecimal(nodes["node"])).join(
        blocks, on="node", how="left", maintain_order="left"
    )
    return ("\n".join(_blocks(nodes)) + "\n").encode()


def _id(switch: pl.Expr, guids: pl.Series) -> pl.Expr:
    return pl.when(switch).then(pl.lit("S-")).otherwise(pl.lit("H-")) + pl.lit(hexadecimal(guids))


def _blocks(nodes: pl.DataFrame) -> Iterator[str]:
    """Text of each node; adapters of several ports are one node."""
    for guid, switch, ports, name, lines in nodes.select("guid", "switch", "ports", "name", "line").iter_rows():
        own = f"switchguid=0x{guid}({guid})" if switch else f"caguid=0x{guid}"
        what = f'Switch\t{ports} "S-{guid}"' if switch else f'Ca\t{ports} "H-{guid}"'
        tail = f'"{name}" base port 0 lid 0 lmc 0' if switch else f'"{name}"'
        device = "0xd2f2" if switch else "0x1021"
        yield f"{VENDOR}\ndevid={device}\nsysimgguid=0x{guid}\n{own}\n{what}\t\t# {tail}\n{lines or ''}\n"


def ufm(plan: Plan) -> bytes:
    """Topology for UFM's NDT plugin (UFM Enterprise user manual): both devices and ports, link type."""
    ends = subnets(plan).ends
    once = ends.filter(pl.col("switch") & (~pl.col("peer_switch") | (pl.col("node") < pl.col("peer_node"))))
    host = pl.col("peer_name").str.split(" ")
    rows = once.select(
        pl.col("name").alias("Start Device"),
        pl.format("Port {}", "number").alias("Start Port"),
        pl.when(pl.col("peer_switch")).then(pl.col("peer_name")).otherwise(host.list.get(0)).alias("End Device"),
        pl.when(pl.col("peer_switch"))
        .then(pl.format("Port {}", "peer_number"))
        .otherwise(host.list.get(-1) + pl.lit(" P") + pl.col("peer_number").cast(pl.String))
        .alias("End Port"),
        pl.lit("Data").alias("Link Type"),
    )
    return rows.write_csv().encode()
