"""Layer 3: interfaces of ports, loopback, management port, and the management VLAN of an oob leaf.

Every host port is routed: the leaf's port is the gateway of a /31 and /127 that the host alone is on. A VLAN a rail
would carry broadcasts, ARP storms and unknown unicast through a lossless fabric, and would need a MAC table.
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.exports.sonic.ports import Port
from fabric.exports.sonic.template import Table, slot

MANAGEMENT_VLAN = 100
HOST_MTU = 1500
"""Of the oob network's VLAN interface: BMCs and management ports have no larger packets."""


def interface_table(ports: Sequence[Port]) -> Table:
    """INTERFACE of the routed ports: addresses, or link-local alone where the link is unnumbered (RFC 5549)."""
    table: Table = {}
    for port in ports:
        if not port.routed:
            continue
        numbered = port.ipv4 or port.ipv6
        table[port.name] = {} if numbered else {"ipv6_use_link_local_only": "enable"}
        for family in ("ipv4", "ipv6"):
            if getattr(port, family):
                table[f"{port.name}|{slot(family, port.row)}"] = {}
    return table


def loopback_table(families: Sequence[str]) -> Table:
    """LOOPBACK_INTERFACE of the families that the switch has a loopback address of."""
    if not families:
        return {}
    prefix = {"ipv4": 32, "ipv6": 128}
    keys = [f"Loopback0|{slot(f'loopback_{family}')}/{prefix[family]}" for family in families]
    return {"Loopback0": {}, **{key: {} for key in keys}}


def management_table(port: str, families: Sequence[str]) -> Table:
    """MGMT_INTERFACE: addresses of the management port with their gateways."""
    return {
        f"{port}|{slot(f'mgmt_{family}')}/{slot(f'mgmt_prefix_{family}')}": {"gwaddr": slot(f"mgmt_gateway_{family}")}
        for family in families
    }


def management_port_table(port: str) -> Table:
    """MGMT_PORT."""
    return {port: {"admin_status": "up", "alias": port, "autoneg": "on", "description": "oob"}}


def vlan_tables(ports: Sequence[Port], families: Sequence[str]) -> dict[str, Table]:
    """The management VLAN of an oob leaf: all ports that are linked and not routed, and its gateway addresses."""
    members = [port.name for port in ports if port.linked and not port.routed]
    if not members:
        return {}
    name = f"Vlan{MANAGEMENT_VLAN}"
    own = {"admin_status": "up", "description": "oob", "mtu": str(HOST_MTU), "vlanid": str(MANAGEMENT_VLAN)}
    keys = [f"{name}|{slot(f'mgmt_{family}')}/{slot(f'mgmt_prefix_{family}')}" for family in families]
    return {
        "VLAN": {name: own},
        "VLAN_MEMBER": {f"{name}|{member}": {"tagging_mode": "untagged"} for member in members},
        "VLAN_INTERFACE": {name: {}, **{key: {} for key in keys}},
    }
