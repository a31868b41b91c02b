"""What the devices talk to: names and addresses, never a secret."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from fabric.intent.base import said
from fabric.intent.expect import Expect, RefusedError, choice, many, matching, shown, whole
from fabric.validation import Strict

LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
SERVER = "a host name or an IP address"


def _server(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 253 and (_is_address(value) or _is_host_name(value)):
        return value
    raise RefusedError(((), f"expected {SERVER}, got {shown(value)}"))


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_host_name(text: str) -> bool:
    labels = text.split(".")
    return all(LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


Server = Annotated[str, Expect(SERVER, _server)]
Servers = Annotated[tuple[str, ...], many(Expect(SERVER, _server))]
Port = Annotated[int, whole(1, 65_535)]


def _short_form(field: str) -> BeforeValidator:
    """Text alone stands for a mapping with that one field."""

    def widen(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple({field: item} if isinstance(item, str) else item for item in value)

    return BeforeValidator(widen)


class Collector(Strict):
    """Where a device sends what it measures."""

    address: Server = said("Host name or IP address.")
    sflow_port: Port = said("UDP port of sFlow.", 6343)
    trap_port: Port = said("UDP port of SNMP traps.", 162)


class SnmpUser(Strict):
    """An SNMPv3 user; its pass phrases are placeholders, filled on the way out."""

    name: Annotated[
        str, matching("a user name of letters, digits, _ and -, at most 32 long", "[A-Za-z0-9_-]{1,32}")
    ] = said("User name.")
    authentication: Annotated[Literal["sha", "sha256", "sha512"], choice("sha", "sha256", "sha512")] = said(
        "Authentication protocol.", "sha256"
    )
    privacy: Annotated[Literal["aes", "aes256"], choice("aes", "aes256")] = said("Privacy protocol.", "aes")


class Services(Strict):
    """Names and addresses; a pass phrase or community string has no place here."""

    ntp: Servers = said("Time servers.", ())
    syslog: Servers = said("Log servers.", ())
    dns: Servers = said("Name servers.", ())
    collectors: Annotated[tuple[Collector, ...], _short_form("address")] = said(
        "Collectors of telemetry; text alone is the address.", ()
    )
    snmp_users: Annotated[tuple[SnmpUser, ...], _short_form("name")] = said("SNMPv3 users; text alone is the name.", ())
