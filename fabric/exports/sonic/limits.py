"""What an intent may ask and SONiC cannot do: said before a file is written, all at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from fabric.errors import Problem
from fabric.exports.sonic.ports import MOST_MTU
from fabric.intent.services import Services
from fabric.plan import Plan
from fabric.qos import QosPlan, qos

DETECTION_MS = 100, 5000
RESTORATION_MS = 100, 60_000
MOST = {"ntp": 10, "dns": 3, "collectors": 2}
SNMP_NAME = 4, 32


def problems(plan: Plan, networks: Iterable[str]) -> list[Problem]:
    """Everything that SONiC refuses in the services and in the quality of service of ``networks``."""
    found = [*_services(plan.intent.services)]
    for network in networks:
        rules = qos(plan, network)
        if rules is not None:
            found += _qos(rules)
    return found


def _services(services: Services) -> Iterator[Problem]:
    for field, most in MOST.items():
        given = getattr(services, field)
        if len(given) > most:
            yield Problem(f"services.{field}", f"SONiC takes {most}, {len(given)} are given", "keep the best")
    hosts = [(f"services.dns.{n}", name) for n, name in enumerate(services.dns)]
    hosts += [(f"services.collectors.{n}.address", c.address) for n, c in enumerate(services.collectors)]
    for where, name in hosts:
        if not _is_address(name):
            yield Problem(where, f'SONiC takes an IP address here, not "{name}"', "write its address")
    for number, user in enumerate(services.snmp_users):
        where = f"services.snmp_users.{number}"
        if not SNMP_NAME[0] <= len(user.name) <= SNMP_NAME[1]:
            what = f'"{user.name}" has {len(user.name)} letters'
            yield Problem(f"{where}.name", what, f"SONiC takes names of {SNMP_NAME[0]} to {SNMP_NAME[1]}")
        if user.privacy != "aes":
            yield Problem(f"{where}.privacy", f"SONiC knows no {user.privacy}", "write privacy: aes")


def _qos(rules: QosPlan) -> Iterator[Problem]:
    where = f"networks.{rules.network}.qos"
    if rules.mtu > MOST_MTU:
        yield Problem(f"{where}.mtu", f"SONiC takes at most {MOST_MTU} B, {rules.mtu:,} asked", f"write {MOST_MTU}")
    watchdog = rules.watchdog
    for field, value, (least, most) in (
        ("detection_ms", watchdog.detection_ms, DETECTION_MS),
        ("restoration_ms", watchdog.restoration_ms, RESTORATION_MS),
    ):
        if not least <= value <= most:
            what = f"SONiC takes {least} to {most} ms, {value} asked"
            yield Problem(f"{where}.watchdog.{field}", what, f"write {min(max(value, least), most)}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
