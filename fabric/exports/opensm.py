"""What the subnet managers of an InfiniBand network load: a pair of OpenSM configurations a subnet and their files.

A subnet is a network, or one plane of it where planes never join. The pair routes with ``ftree``, which any OpenSM has;
``opensm-nvidia.conf`` holds what NVIDIA's OpenSM and UFM know besides (adaptive routing, SHARP).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from fabric.exports.infiniband import Subnets, networks, subnets
from fabric.guids import hexadecimal
from fabric.inventory import Inventory
from fabric.plan import Plan

FOLDER = "/etc/opensm"
PRIORITIES = {"primary": 15, "standby": 14}
"""Of the two subnet managers; 15 is the highest (InfiniBand Architecture Specification, SMInfo)."""
PARTITIONS = "Default=0x7fff, ipoib: ALL=full, ALL_SWITCHES=full, SELF=full;\n"
NVIDIA = """\
# For the subnet manager of NVIDIA's OFED or UFM, in place of routing_engine ftree: adaptive routing on up/down trees,
# every service level, and SHARP aggregation managed by the aggregation manager (MLNX_OFED user manual, Adaptive Routing
# and SHARP chapters). OpenSM from elsewhere does not know these.
routing_engine ar_updn
use_ucast_cache TRUE
ar_sl_mask 0xFFFF
enable_ar_by_device_cap TRUE
ar_transport_mask 0x000A
sharp_enabled 2
"""


@dataclass(frozen=True)
class Subnet:
    """One subnet: its name, nodes and link ends."""

    name: str
    nodes: pl.DataFrame
    ends: pl.DataFrame


def configs(plan: Plan, inventory: Inventory | None = None) -> Iterator[tuple[str, bytes]]:
    """(path, content) of every file, under ``configs/subnet-manager/<subnet>/``."""
    if not networks(plan):
        return
    found = subnets(plan, inventory)
    for subnet in _subnets(plan, found):
        for name, text in _files(subnet):
            yield f"configs/subnet-manager/{subnet.name}/{name}", text.encode()


def _subnets(plan: Plan, found: Subnets) -> Iterator[Subnet]:
    for network in networks(plan):
        design = plan.design.networks[network]
        nodes = found.nodes.filter(pl.col("network") == network)
        ends = found.ends.filter(pl.col("network") == network)
        if design.planes == 1 or design.planes_join != "never":
            yield Subnet(network, nodes, ends)
            continue
        for plane in range(design.planes):
            of_plane = ends.filter(pl.col("plane") == plane)
            yield Subnet(
                f"{network}-p{plane}", nodes.join(of_plane.select("node").unique(), on="node", how="semi"), of_plane
            )


def _files(subnet: Subnet) -> Iterator[tuple[str, str]]:
    managers = _managers(subnet)
    for role, (guid, host) in managers.items():
        yield f"opensm-{role}.conf", _conf(subnet, role, guid, host)
    yield "opensm-nvidia.conf", NVIDIA
    yield "root_guids.conf", _lines(_roots(subnet))
    yield "cn_guids.conf", _lines(_port_guids(subnet, ("compute",)))
    yield "io_guids.conf", _lines(_port_guids(subnet, ("storage", "service")))
    yield "node-name-map", _names(subnet)
    yield "partitions.conf", PARTITIONS


def _ports(subnet: Subnet) -> pl.DataFrame:
    """Adapter ports of the subnet: guid, role, name, in the order of the nodes."""
    roles = subnet.nodes.select("node", "role")
    ports = subnet.ends.filter(~pl.col("switch")).join(roles, on="node", maintain_order="left")
    return ports.select("role", "name", "guid").sort("guid")


def _managers(subnet: Subnet) -> dict[str, tuple[str, str]]:
    """Port GUID and node of the two managers: the first two service hosts, else the first and the last host."""
    ports = _ports(subnet)
    services = ports.filter(pl.col("role") == "service")
    chosen = services.head(2) if services.height > 1 else pl.concat([ports.head(1), ports.tail(1)])
    guids = hexadecimal(chosen["guid"])
    return dict(zip(PRIORITIES, zip(guids, chosen["name"], strict=True), strict=True))


def _conf(subnet: Subnet, role: str, guid: str, host: str) -> str:
    io = _port_guids(subnet, ("storage", "service"))
    return (
        f"# {role} subnet manager of {subnet.name}, on {host}; the key is filled in by `railwright export --fill`.\n"
        f"guid 0x{guid}\n"
        f"sm_priority {PRIORITIES[role]}\n"
        "sm_key __RAILWRIGHT_SM_KEY__\n"
        "routing_engine ftree,updn\n"
        f"root_guid_file {FOLDER}/root_guids.conf\n"
        f"cn_guid_file {FOLDER}/cn_guids.conf\n"
        + (f"io_guid_file {FOLDER}/io_guids.conf\n" if io else "")
        + f"node_name_map_name {FOLDER}/node-name-map\n"
        f"partition_config_file {FOLDER}/partitions.conf\n"
        "use_ucast_cache TRUE\n"
        "sweep_interval 10\n"
        "sminfo_polling_timeout 1000\n"
        "polling_retry_number 4\n"
        "log_max_size 100\n"
    )


def _roots(subnet: Subnet) -> list[str]:
    """GUIDs of the switches of the highest tier there is."""
    switches = subnet.nodes.filter(pl.col("switch"))
    top = next(tier for tier in ("core", "spine", "leaf") if (switches["tier"] == tier).any())
    return hexadecimal(switches.filter(pl.col("tier") == top)["node"].sort()).to_list()


def _port_guids(subnet: Subnet, roles: tuple[str, ...]) -> list[str]:
    return hexadecimal(_ports(subnet).filter(pl.col("role").is_in(roles))["guid"]).to_list()


def _lines(guids: list[str]) -> str:
    return "".join(f"0x{guid}\n" for guid in guids)


def _names(subnet: Subnet) -> str:
    nodes = subnet.nodes.sort("node")
    return "".join(f'0x{guid} "{name}"\n' for guid, name in zip(hexadecimal(nodes["node"]), nodes["name"], strict=True))
