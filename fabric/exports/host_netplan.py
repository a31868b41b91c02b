"""``netplan.yaml`` of a host: addresses, routes and one routing table a rail port.

Netplan and not networkd's own files: one file a host instead of one an interface, it is what the DGX OS and Ubuntu
boot from, and ``netplan generate`` checks it; the renderer is networkd all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_TABLE = 101
FIRST_PRIORITY = 1000
SUMMARY_METRIC, NETWORK_METRIC, DEFAULT_METRIC = 100, 300, 100
FILLED = ("ipv4", "gateway_ipv4", "subnet_ipv4", "ipv6", "gateway_ipv6", "subnet_ipv6", "match")
"""What differs from host to host, by port; ``match`` is the lines that tie a known MAC to the name, or nothing."""


@dataclass(frozen=True)
class NetplanPort:
    """An interface of a host and what all hosts of its group have in common."""

    interface: str
    network: str
    mtu: int
    wide: tuple[str, str] | None
    """IPv4 and IPv6 subnet of the whole network, where this port also leads to rails that the host lacks."""
    default: bool
    """It leads out (frontend)."""
    nameservers: tuple[str, ...] = ()


def template(ports: Sequence[NetplanPort]) -> str:
    """The file as a template: ``{host}`` and, for the n-th port, ``{ipv4_N}`` and the others of `FILLED`."""
    text = "# {host}: every address leaves by its own port; rails by their summaries; all else by the frontend\n"
    text += "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n"
    return text + "".join(_port(port, number) for number, port in enumerate(ports))


def match(mac: str, interface: str) -> str:
    """The lines that find an interface by its MAC and give it its name."""
    return f"      match: {{macaddress: '{mac}'}}\n      set-name: {interface}\n"


def _port(port: NetplanPort, number: int) -> str:
    n, table = number, FIRST_TABLE + number
    lines = [f"    {port.interface}:  # {port.network}"]
    body = [
        f"mtu: {port.mtu}",
        "dhcp4: false",
        "accept-ra: false",
        f"addresses: [{{ipv4_{n}}}/31, '{{ipv6_{n}}}/127']",
        *([f"nameservers: {{{{addresses: [{', '.join(map(repr, port.nameservers))}]}}}}"] if port.nameservers else []),
        "routes:",
        *(f"  - {route}" for route in _routes(port, n, table)),
        "routing-policy:",
        *(f"  - {{{{from: '{{{family}_{n}}}/{bits}', table: {table}, priority: {FIRST_PRIORITY + n}}}}}"
          for family, bits in (("ipv4", 32), ("ipv6", 128))),
    ]  # fmt: skip
    return "\n".join(lines) + f"\n{{match_{n}}}" + "".join(f"      {line}\n" for line in body)


def _routes(port: NetplanPort, n: int, table: int) -> list[str]:
    """Own table: everything by this port's gateway. Main table: the rail's summary, and the way out."""
    routes = []
    for family, everything in (("ipv4", "0.0.0.0/0"), ("ipv6", "::/0")):
        via = f"via: '{{gateway_{family}_{n}}}'"
        routes.append(f"{{{{to: '{everything}', {via}, table: {table}}}}}")
        routes.append(f"{{{{to: '{{subnet_{family}_{n}}}', {via}, metric: {SUMMARY_METRIC + n}}}}}")
        if port.wide is not None:
            wide = port.wide[0] if family == "ipv4" else port.wide[1]
            routes.append(f"{{{{to: '{wide}', {via}, metric: {NETWORK_METRIC + n}}}}}")
        if port.default:
            routes.append(f"{{{{to: '{everything}', {via}, metric: {DEFAULT_METRIC + n}}}}}")
    return routes
