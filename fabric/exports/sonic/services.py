"""What a switch talks to: time, log, names, SNMP, gNMI, sFlow, LLDP; who may talk to it, and what runs on it.

A pass phrase is a placeholder (SONiC's model takes no ``$``, ``:`` or ``{`` there); certificates are files on the
switch.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from fabric.exports.sonic.ports import Port
from fabric.exports.sonic.template import Table, slot
from fabric.fill import placeholder, snmp_secret
from fabric.intent.services import Services, SnmpUser

GNMI_PORT = 50051
CERTIFICATES = {
    "ca_crt": "/etc/sonic/credentials/dsmsroot.cer",
    "server_crt": "/etc/sonic/credentials/server.cer",
    "server_key": "/etc/sonic/credentials/server.key",
}
"""Where the gNMI server finds its certificate authority, its certificate and its key, as in SONiC's own sample."""
SNMP_PORT = 161
POLLING_SECONDS = 20
LEAST_RATE = 256
MOST_PRIORITY = 10_000
FEATURES = {
    "bgp": "enabled", "lldp": "enabled", "snmp": "enabled", "sflow": "enabled", "gnmi": "enabled",
    "restapi": "disabled", "dhcp_relay": "disabled", "nat": "disabled", "radv": "disabled",
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
    """Whose address time and names are asked from."""
    agent: str
    """Whose address it goes by in sFlow."""
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
        "GNMI": _gnmi(reach),
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
    }
    if reach.vrf == "mgmt":
        tables["MGMT_VRF_CONFIG"] = {"vrf_global": {"mgmtVrfEnabled": "true"}}
    return tables


def sflow_tables(services: Services, ports: Sequence[Port], reach: Reach) -> dict[str, Table]:
    """sFlow of every port that is up: one packet in as many as the port has Mb/s, which SONiC would choose too."""
    own = {"admin_state": "up" if services.collectors else "down", "agent_id": reach.agent}
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

    Only where there is a management network: elsewhere nobody would get in. A table a family: SONiC
    passes over rules of the other one.
    """
    if not pools:
        return {}
    own = [str(ipaddress.ip_network(pool)) for pool in pools]
    collectors = [host for c in services.collectors if (host := _as_network(c.address)) is not None]
    tables: Table = {}
    rules: Table = {}
    for service, extra in (("SSH", []), ("SNMP", collectors), ("EXTERNAL_CLIENT", collectors)):
        for version in (4, 6):
            name = f"ALLOW_{service}_IPV{version}"
            tables[name] = {"policy_desc": name, "services": [service], "stage": "ingress", "type": "CTRLPLANE"}
            sources = [source for source in own + extra if (":" in source) == (version == 6)]
            for number, source in enumerate(sources, start=1):
                rules[f"{name}|RULE_{number}"] = _rule(service, source, MOST_PRIORITY - number)
    return {"ACL_TABLE": tables, "ACL_RULE": rules}


def _rule(service: str, source: str, priority: int) -> dict[str, str]:
    """What SONiC's control-plane ACL knows as EXTERNAL_CLIENT names its port; the others have theirs."""
    rule = {"PACKET_ACTION": "ACCEPT", "PRIORITY": str(priority), "SRC_IPV6" if ":" in source else "SRC_IP": source}
    return {**rule, "L4_DST_PORT": str(GNMI_PORT)} if service == "EXTERNAL_CLIENT" else rule


def _as_network(host: str) -> str | None:
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None


def _gnmi(reach: Reach) -> Table:
    """A gNMI server that asks its clients for a certificate."""
    server = {"client_auth": "true", "log_level": "2", "port": str(GNMI_PORT)}
    if reach.vrf == "mgmt":
        server["vrf"] = "mgmt"
    return {"certs": CERTIFICATES, "gnmi": server}


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
        "SNMP_USER_AUTH_PASSWORD": placeholder(snmp_secret(user.name, "AUTH")),
        "SNMP_USER_AUTH_TYPE": "SHA",
        "SNMP_USER_ENCRYPTION_PASSWORD": placeholder(snmp_secret(user.name, "PRIV")),
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
