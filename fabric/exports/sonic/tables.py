"""All tables of one kind of switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fabric.catalogue.models import Switch
from fabric.ecmp_hash import hash_of
from fabric.exports.sonic.buffers import buffer_tables
from fabric.exports.sonic.interfaces import (
    MANAGEMENT_VLAN,
    interface_table,
    loopback_table,
    management_port_table,
    management_table,
    vlan_tables,
)
from fabric.exports.sonic.ports import MOST_MTU, Port, breakout_table, port_table
from fabric.exports.sonic.qos import qos_tables
from fabric.exports.sonic.services import (
    Reach,
    access_tables,
    counter_table,
    feature_table,
    service_tables,
    sflow_tables,
)
from fabric.exports.sonic.template import Table, Tables, slot
from fabric.fill import placeholder, user_name
from fabric.plan import Plan
from fabric.portnames import management_ports, support
from fabric.qos import is_spectrum, qos

ROUTING_MODE = "split-unified"
"""FRR reads the one ``frr.conf`` beside this file; with ``split`` SONiC deletes it and wants a file a daemon
(sonic-buildimage, dockers/docker-fpm-frr/docker_init.sh)."""
ROLES = {"leaf": "ToRRouter", "spine": "LeafRouter", "core": "SpineRouter"}
"""What SONiC calls the tiers: its T0, T1 and T2."""
OOB_ROLE = "MgmtToRRouter"
FAMILIES = ("ipv4", "ipv6")
HASH_FIELDS = {
    "src_ip": "SRC_IP", "dst_ip": "DST_IP", "protocol": "IP_PROTOCOL",
    "src_port": "L4_SRC_PORT", "dst_port": "L4_DST_PORT",
}  # fmt: skip
"""SONiC's model has 19 fields and none for the queue pair: RoCE's entropy is in the UDP source port."""


def tables(plan: Plan, switch: Mapping[str, Any], ports: Sequence[Port]) -> Tables:
    """The tables of ``switch`` and of all of its kind: a row of ``kinds.with_kinds``, and its ports."""
    model = plan.catalogue.switches[switch["model"]]
    rules = qos(plan, switch["network"])
    lossless = [port for port in ports if port.lossless]
    loopbacks = [family for family in FAMILIES if switch["has_loopback"][family]]
    managed = [family for family in FAMILIES if switch["has_mgmt"][family]]
    own_port = any(switch["has_gateway"].values())
    eth0 = management_ports(model, "sonic")[0]
    reach = _reach(eth0 if own_port else None, managed, loopbacks)
    pools = plan.intent.addressing.management
    found: dict[str, Table] = {
        "BREAKOUT_CFG": breakout_table(model, ports),
        "DEVICE_METADATA": {"localhost": _metadata(model, switch, loopbacks)},
        "FEATURE": feature_table(),
        "FLEX_COUNTER_TABLE": counter_table(lossless=bool(lossless)),
        "INTERFACE": interface_table(ports),
        "LOOPBACK_INTERFACE": loopback_table(loopbacks),
        "MGMT_INTERFACE": management_table(eth0, managed) if own_port else {},
        "MGMT_PORT": management_port_table(eth0),
        "PORT": port_table(model, ports, MOST_MTU if rules is None else rules.mtu),
        "SWITCH_HASH": {"GLOBAL": _hash(plan, switch)},
        **service_tables(plan.intent.services, reach),
        **sflow_tables(plan.intent.services, ports, reach),
        **access_tables(plan.intent.services, [pools.ipv4, pools.ipv6] if managed else []),
    }
    if switch["network"] == "oob":
        found |= vlan_tables(ports, managed)
    if rules is not None and lossless:
        found |= qos_tables(rules, lossless, spectrum=is_spectrum(model))
        found |= buffer_tables(model, rules, lossless)
    return found


def _reach(eth0: str | None, managed: Sequence[str], loopbacks: Sequence[str]) -> Reach:
    """By the management port, in a VRF of its own; an oob leaf by its own VLAN; without an oob network by loopback."""
    if eth0 is not None and managed:
        return Reach(eth0, eth0, "mgmt", tuple(managed), "mgmt")
    if managed:
        return Reach("Loopback0", f"Vlan{MANAGEMENT_VLAN}", "default", tuple(managed), "mgmt")
    return Reach("Loopback0", "Loopback0", "default", tuple(loopbacks), "loopback")


def hwsku_name(model: Switch) -> str:
    """Name of the placeholder for the hwsku of a model whose catalogue entry has none."""
    return f"HWSKU_{user_name(model.name)}"


def platform_name(model: Switch) -> str:
    """The same for its platform."""
    return f"PLATFORM_{user_name(model.name)}"


def _metadata(model: Switch, switch: Mapping[str, Any], loopbacks: Sequence[str]) -> dict[str, str]:
    names = support(model, "sonic")
    fields = {
        "buffer_model": "dynamic" if is_spectrum(model) else "traditional",
        "default_bgp_status": "up",
        "default_pfcwd_status": "disable",
        "docker_routing_config_mode": ROUTING_MODE,
        "hostname": slot("hostname"),
        "hwsku": names.hwsku or placeholder(hwsku_name(model)),
        "platform": names.platform or placeholder(platform_name(model)),
        "synchronous_mode": "enable",
        "timezone": "UTC",
        "type": OOB_ROLE if switch["network"] == "oob" else ROLES[switch["tier"]],
    }
    if switch["has_asn"]:
        fields["bgp_asn"] = slot("asn")
    if "ipv4" in loopbacks:
        fields["bgp_router_id"] = slot("loopback_ipv4")
    return fields


def _hash(plan: Plan, switch: Mapping[str, Any]) -> dict[str, Any]:
    """What the tier hashes by, for ECMP and for link aggregates alike."""
    chosen = hash_of(plan, switch["tier"], "sonic", switch["model"])
    assert chosen is not None
    fields = [HASH_FIELDS[field] for field in chosen.fields]
    return {
        "ecmp_hash": fields,
        "ecmp_hash_algorithm": chosen.algorithm,
        "lag_hash": fields,
        "lag_hash_algorithm": chosen.algorithm,
    }
