"""What a switch talks to: time, log, names, SNMP, gNMI, sFlow, LLDP; who may talk to it, and what runs on it.

A pass phrase is a placeholder (SONiC's model takes no ``$``, ``:`` or ``{`` there); certificates are files on the
switch.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fabric.exports.sonic.ports import Port
from fabric.exports.sonic.template import Table, slot
from fabric.intent.services import Services, SnmpUser

TELEMETRY_PORT, GNMI_PORT = 50051, 50052
CREDENTIALS = {
    "TELEMETRY": ("/etc/sonic/telemetry", "dsmsroot", "streamingtelemetryserver"),
    "GNMI": ("/etc/sonic/credentials", "dsmsroot", "server"),
}
"""Folder, certificate authority and own certificate of each gNMI server, as in SONiC's own sample."""
SNMP_PORT = 161
POLLING_SECONDS = 20
LEAST_RATE = 256
FEATURES = {
    "bgp": "enabled", "lldp": "enabled", "snmp": "enabled", "sflow": "enabled", "gnmi": "enabled",
    "telemetry": "enabled", "restapi": "disabled", "dhcp_relay": "disabled", "nat": "disabled", "radv": "disabled",
}  # fmt: skip
"""What differs from, or must not depend on, the image's own defaults, which fill in the rest."""
COUNTERS = {
    "PORT": 1000, "QUEUE": 10_000, "PG_WATERMARK": 10_000, "QUEUE_WATERMARK": 10_000, "PG_DROP": 10_000,
    "BUFFER_POOL_WATERMARK": 10_000, "PORT_BUFFER_DROP": 60_000, "RIF": 10_000,
}  # fmt: skip
"""Poll interval of each group of counters in ms; the ports' is SONiC's shortest usual one."""
MARKING_COUNTERS = {"WRED_ECN_QUEUE": 10_000, "WRED_ECN_PORT": 10_000}


@dataclass(frozen=True)
class Reach:
    """How a switch reaches its services."""

    interface: str
    """Whose address it speaks from."""
    vrf: str
    """``mgmt`` where it has a management port of its own, else ``default``."""
    families: tuple[str, ...]
    """Of the address it speaks from: ``ipv4``, ``ipv6``."""
    column: str
    """The columns that hold that address: ``{column}_ipv4`` …"""

    def address(self, family: str) -> str:
        """The slot of the address it speaks from."""
        return slot(f"{self.column}_{family}")


def service_tables(services: Services, reach: Reach) -> dict[str, Table]:
    """NTP, syslog, DNS, SNMP and gNMI."""
    tables: dict[str, Table] = {
        "DNS_NAMESERVER": {server: {} for server in services.dns},
        "GNMI": _gnmi("GNMI", GNMI_PORT, reach),
        "LLDP": {"GLOBAL": {"enabled": "true", "hello_time": "30"}},
        "NTP": {"global": _ntp(reach)},
        "NTP_SERVER": {server: {"association_type": "server", "iburst": "on"} for server in services.ntp},
        "SNMP": {"LOCATION": {"Location": slot("location")}},
        "SNMP_AGENT_ADDRESS_CONFIG": {
            f"{reach.address(family)}|{SNMP_PORT}|{reach.vrf if reach.vrf == 'mgmt' else ''}": {}
            for family in reach.families
        },
        "SNMP_USER": {user.name: _snmp_user(user) for user in services.snmp_users},
        "SYSLOG_SERVER": {server: _syslog(server, reach) for server in services.syslog},
        "TELEMETRY": _gnmi("TELEMETRY", TELEMETRY_PORT, reach),
    }
    if reach.vrf == "mgmt":
        tables["MGMT_VRF_CONFIG"] = {"vrf_global": {"mgmtVrfEnabled": "true"}}
    return tables


def sflow_tables(services: Services, ports: Sequence[Port], reach: Reach) -> dict[str, Table]:
    """sFlow of every port that is up: one packet in as many as the port has Mb/s, which SONiC would choose too."""
    own = {"admin_state": "up" if services.collectors else "down", "agent_id": reach.interface}
    sessions: Table = {
        port.name: {"admin_state": "up", "sample_rate": str(max(port.speed_gbps * 1000, LEAST_RATE))}
        for port in ports
        if port.linked
    }
    collectors: Table = {
        f"collector{number}": {
            "collector_ip": collector.address,
            "collector_port": str(collector.sflow_port),
            "collector_vrf": reach.vrf,
        }
        for number, collector in enumerate(services.collectors)
    }
    return {
        "SFLOW": {"global": {**own, "polling_interval": str(POLLING_SECONDS)}},
        "SFLOW_COLLECTOR": collectors,
        "SFLOW_SESSION": sessions,
    }


def feature_table() -> Table:
    """FEATURE: what runs."""
    return {name: {"state": state} for name, state in FEATURES.items()}


def counter_table(*, lossless: bool) -> Table:
    """FLEX_COUNTER_TABLE: what is counted, and how often it is read."""
    groups = COUNTERS | (MARKING_COUNTERS if lossless else {})
    table: Table = {
        name: {"FLEX_COUNTER_STATUS": "enable", "POLL_INTERVAL": str(interval)} for name, interval in groups.items()
    }
    table["PFCWD"] = {"FLEX_COUNTER_STATUS": "enable" if lossless else "disable"}
    return table


def access_tables(services: Services, pools: Sequence[str]) -> dict[str, Table]:
    """Control-plane ACLs: SSH, SNMP and gNMI from the management network and the collectors, nothing else.

    Only where there is a management network: elsewhere nobody would get in.
    """
    if not pools:
        return {}
    own = [str(ipaddress.ip_network(pool)) for pool in pools]
    collectors = [host for c in services.collectors if (host := _as_network(c.address)) is not None]
    allowed = {"SSH": own, "SNMP": own + collectors, "EXTERNAL_CLIENT": own + collectors}
    ports = {"EXTERNAL_CLIENT": (TELEMETRY_PORT, GNMI_PORT)}
    tables: Table = {}
    rules: Table = {}
    for service, sources in allowed.items():
        name = f"ALLOW_{service}"
        tables[name] = {"policy_desc": name, "services": [service], "stage": "ingress", "type": "CTRLPLANE"}
        pairs = [(source, port) for source in sources for port in ports.get(service, (None,))]
        for number, (source, port) in enumerate(pairs, start=1):
            rules[f"{name}|RULE_{number}"] = _rule(source, 10_000 - number, port)
    return {"ACL_TABLE": tables, "ACL_RULE": rules}


def placeholder(*words: str) -> str:
    """``__RAILWRIGHT_NAME__``, filled on the way out by ``railwright export --fill``."""
    return "__RAILWRIGHT_" + "_".join(re.sub(r"[^A-Z0-9]+", "_", word.upper()) for word in words) + "__"


def _rule(source: str, priority: int, port: int | None) -> dict[str, str]:
    field = "SRC_IPV6" if ":" in source else "SRC_IP"
    rule = {field: source, "IP_PROTOCOL": "6", "PACKET_ACTION": "ACCEPT", "PRIORITY": str(priority)}
    if port is None:
        del rule["IP_PROTOCOL"]
        return rule
    return {**rule, "L4_DST_PORT": str(port)}


def _as_network(host: str) -> str | None:
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None


def _gnmi(table: str, port: int, reach: Reach) -> Table:
    """A gNMI server that asks its clients for a certificate."""
    folder, authority, own = CREDENTIALS[table]
    server = {"client_auth": "true", "log_level": "2", "port": str(port)}
    if reach.vrf == "mgmt":
        server["vrf"] = "mgmt"
    certificates = {
        "ca_crt": f"{folder}/{authority}.cer",
        "server_crt": f"{folder}/{own}.cer",
        "server_key": f"{folder}/{own}.key",
    }
    return {"certs": certificates, "gnmi": server}


def _ntp(reach: Reach) -> dict[str, str]:
    return {
        "admin_state": "enabled",
        "authentication": "disabled",
        "dhcp": "disabled",
        "server_role": "disabled",
        "src_intf": reach.interface,
        "vrf": reach.vrf,
    }


def _snmp_user(user: SnmpUser) -> dict[str, str]:
    return {
        "SNMP_USER_AUTH_PASSWORD": placeholder("snmp", user.name, "auth"),
        "SNMP_USER_AUTH_TYPE": "SHA",
        "SNMP_USER_ENCRYPTION_PASSWORD": placeholder("snmp", user.name, "priv"),
        "SNMP_USER_ENCRYPTION_TYPE": "AES",
        "SNMP_USER_PERMISSION": "RO",
        "SNMP_USER_TYPE": "Priv",
    }


def _syslog(server: str, reach: Reach) -> dict[str, str]:
    """Sent from the switch's own address of the server's family."""
    fields = {"severity": "notice", "vrf": reach.vrf}
    host = _as_network(server)
    family = None if host is None else "ipv6" if ":" in host else "ipv4"
    return {**fields, "source": reach.address(family)} if family in reach.families and family else fields
