"""What a cluster needs to come up: DHCP and zero-touch provisioning of the management network, and what to measure.

``bringup/dhcpd.conf`` (ISC) and ``bringup/kea-dhcp4.conf`` say the same; ``bringup/ztp/`` is what switches fetch;
``acceptance.csv`` (``fabric.exports.acceptance``). The web server serves the filled export of the bundle; its name is
the placeholder ``__RAILWRIGHT_ZTP_SERVER__``. docs/bring-up.md says how they work together.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.addressing import addresses
from fabric.exports.acceptance import acceptance
from fabric.fill import placeholder

if TYPE_CHECKING:
    from fabric.inventory import Inventory
    from fabric.plan import Plan

SERVER = placeholder("ZTP_SERVER")
LEASE_S = 86_400
CUMULUS_OPTION = 239
"""DHCP option in which Cumulus Linux (and, for scripts, SONiC) looks for the URL of a script."""
CONFIG_FILE = {"sonic": "config_db.json", "cumulus": "startup.yaml", "eos": "startup-config"}
"""What a switch loads, in its folder under ``configs/``."""
FRR_PLUGIN = """\
#!/bin/sh
# ZTP plugin for SONiC: fetch this switch's frr.conf and start routing with it. $1: the section of the ZTP file.
set -eu
url=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["frr"]["url"]["source"])' "$1")
mkdir -p /etc/sonic/frr
curl --fail --silent --show-error --retry 5 --output /etc/sonic/frr/frr.conf "$url"
chmod 640 /etc/sonic/frr/frr.conf
systemctl restart bgp
"""
CUMULUS_SCRIPT = """\
#!/bin/bash
# CUMULUS-AUTOPROVISIONING
# Zero-touch provisioning of {switch}: fetch its configuration, apply it, keep it.
set -euo pipefail
curl --fail --silent --show-error --retry 5 --output /tmp/startup.yaml "{url}"
nv config replace /tmp/startup.yaml
nv config apply --assume-yes
nv config save
rm -f /tmp/startup.yaml
exit 0
"""


@dataclass(frozen=True)
class Reservation:
    """One management port: ``name`` is what DHCP calls it; ``boot`` the URL of what it loads, or None."""

    name: str
    mac: str | None
    address: str
    nos: str | None
    boot: str | None


@dataclass(frozen=True)
class Scope:
    """A management subnet and its ports."""

    subnet: ipaddress.IPv4Network
    gateway: str
    ports: tuple[Reservation, ...]


def configs(plan: Plan, inventory: Inventory | None = None) -> Iterator[tuple[str, bytes]]:
    """Path under the bundle and content of every file. Ports whose MAC no inventory says have no reservation yet."""
    found = scopes(plan, inventory)
    if found:
        servers = _servers(plan)
        yield "bringup/dhcpd.conf", _isc(found, servers).encode()
        yield "bringup/kea-dhcp4.conf", _kea(found, servers).encode()
    yield from ztp(plan)
    yield "acceptance.csv", acceptance(plan)


def scopes(plan: Plan, inventory: Inventory | None = None) -> list[Scope]:
    """The management subnets, leaf by leaf of the oob network."""
    table = addresses(plan).management.sort("leaf", "leaf_port")
    macs = {} if inventory is None else inventory.macs(plan)
    names, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    first = plan.fabric.hosts.height
    systems = plan.fabric.switches["nos"].cast(pl.String)
    columns = ("leaf", "device", "port", "ipv4", "prefix_ipv4", "gateway_ipv4")
    found = []
    for _, rows in groupby(table.select(columns).iter_rows(), key=lambda row: row[0]):
        members = list(rows)
        made = []
        for _, device, port, address, *_ in members:
            switch = device >= first
            nos = systems[device - first] if switch else None
            name = names[device] if switch else f"{names[device]}-{ports[port]}"
            made.append(Reservation(name, macs.get(port), address, nos, boot_url(names[device], nos)))
        subnet = ipaddress.IPv4Network(f"{members[0][3]}/{members[0][4]}", strict=False)
        found.append(Scope(subnet, members[0][5], tuple(made)))
    return found


def boot_url(device: str, nos: str | None) -> str | None:
    """What a switch fetches when it starts for the first time; None where its system has no such thing."""
    if nos == "sonic":
        return f"http://{SERVER}/bringup/ztp/{device}.json"
    if nos == "cumulus":
        return f"http://{SERVER}/bringup/ztp/{device}.sh"
    return f"http://{SERVER}/configs/{device}/{CONFIG_FILE['eos']}" if nos == "eos" else None


def ztp(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """One file a SONiC or Cumulus switch; EOS takes its configuration itself from the boot file's URL."""
    switches = plan.fabric.switches.select("name", pl.col("nos").cast(pl.String))
    if (switches["nos"] == "sonic").any():
        yield "bringup/ztp/sonic-frr.sh", FRR_PLUGIN.encode()
    for name, nos in switches.iter_rows():
        if nos == "sonic":
            yield f"bringup/ztp/{name}.json", _sonic_ztp(name)
        elif nos == "cumulus":
            url = f"http://{SERVER}/configs/{name}/{CONFIG_FILE['cumulus']}"
            yield f"bringup/ztp/{name}.sh", CUMULUS_SCRIPT.format(switch=name, url=url).encode()


def _sonic_ztp(switch: str) -> bytes:
    """Sections run in the order of their names; a configuration that fails to load stops the rest."""
    at = f"http://{SERVER}"
    plugin = {"source": f"{at}/bringup/ztp/sonic-frr.sh", "destination": "/var/run/ztp/plugins/frr"}
    sections = {
        "01-configdb-json": {
            "url": {"source": f"{at}/configs/{switch}/config_db.json", "destination": "/etc/sonic/config_db.json"},
            "halt-on-failure": True,
        },
        "02-frr": {
            "plugin": {"url": plugin},
            "frr": {"url": {"source": f"{at}/configs/{switch}/frr.conf"}},
        },
    }
    return (json.dumps({"ztp": sections}, indent=2) + "\n").encode()


def _servers(plan: Plan) -> dict[str, list[str]]:
    """Name and time servers that are IPv4 addresses: DHCP takes no names."""
    services = plan.intent.services
    return {
        "domain-name-servers": [server for server in services.dns if _is_ipv4(server)],
        "ntp-servers": [server for server in services.ntp if _is_ipv4(server)],
    }


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _isc(found: Sequence[Scope], servers: dict[str, list[str]]) -> str:
    head = [
        "# Management network: fixed addresses by MAC, no others; relayed by the leaves of oob, which are the routers.",
        "authoritative;",
        "deny unknown-clients;",
        f"default-lease-time {LEASE_S};",
        f"max-lease-time {LEASE_S};",
        f"option cumulus-provision-url code {CUMULUS_OPTION} = text;",
        *(f"option {name} {', '.join(given)};" for name, given in servers.items() if given),
    ]
    return "\n".join([*head, *(line for scope in found for line in _isc_scope(scope))]) + "\n"


def _isc_scope(scope: Scope) -> Iterator[str]:
    yield ""
    yield f"subnet {scope.subnet.network_address} netmask {scope.subnet.netmask} {{ option routers {scope.gateway}; }}"
    for port in scope.ports:
        if port.mac is None:
            yield f"# {port.name} {port.address}: its MAC is not in the inventory"
            continue
        boot = f' option {_option(port.nos)} "{port.boot}";' if port.boot else ""
        fixed = f'fixed-address {port.address}; option host-name "{port.name}";'
        yield f"host {port.name} {{ hardware ethernet {port.mac}; {fixed}{boot} }}"


def _option(nos: str | None, *, kea: bool = False) -> str:
    if nos == "cumulus":
        return "cumulus-provision-url"
    return "boot-file-name" if kea else "bootfile-name"


def _kea(found: Sequence[Scope], servers: dict[str, list[str]]) -> str:
    options = [{"name": name, "data": ", ".join(given)} for name, given in servers.items() if given]
    define = {"name": "cumulus-provision-url", "code": CUMULUS_OPTION, "type": "string", "space": "dhcp4"}
    kea: dict[str, Any] = {
        "interfaces-config": {"interfaces": ["*"]},
        "lease-database": {"type": "memfile", "persist": True},
        "valid-lifetime": LEASE_S,
        "host-reservation-identifiers": ["hw-address"],
        "option-def": [define],
        "option-data": options,
        "subnet4": [_kea_scope(number, scope) for number, scope in enumerate(found, start=1)],
    }
    return json.dumps({"Dhcp4": kea}, indent=1) + "\n"


def _kea_scope(number: int, scope: Scope) -> dict[str, Any]:
    return {
        "id": number,
        "subnet": str(scope.subnet),
        "option-data": [{"name": "routers", "data": scope.gateway}],
        "reservations": [_kea_port(port) for port in scope.ports if port.mac is not None],
    }


def _kea_port(port: Reservation) -> dict[str, Any]:
    made: dict[str, Any] = {"hw-address": port.mac, "ip-address": port.address, "hostname": port.name}
    if port.boot:
        made["option-data"] = [{"name": _option(port.nos, kea=True), "data": port.boot}]
    return made
