"""SNMP notifications: links that go down and come up, told the moment they do rather than at the next poll.

v2c traps, and v3 traps and informs, through pysnmp's engine. A v3 *trap* is signed for its sender's engine: the option
``engine`` (hexadecimal, as ``snmpEngineID`` has it) says which; an *inform* is signed for ours and needs nothing.
A device that sends nothing is no news: what is missing is told by polls.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pysnmp.carrier.asyncio.dgram import udp, udp6  # type: ignore[import-untyped]
from pysnmp.entity import config, engine  # type: ignore[import-untyped]
from pysnmp.entity.rfc3413 import ntfrcv  # type: ignore[import-untyped]
from pysnmp.error import PySnmpError  # type: ignore[import-untyped]
from pysnmp.proto.api import v2c  # type: ignore[import-untyped]

from collectors.sources import Emit, Outcome, Poll, Target
from collectors.sources.snmp.options import Community, User, options
from fabric.errors import InputError, Problem
from fabric.samples import schema

STATES = {"1.3.6.1.6.3.1.1.5.3": 2, "1.3.6.1.6.3.1.1.5.4": 1}
"""oper_status after linkDown and linkUp (RFC 2863)."""
TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1."
IF_NAMES = ("1.3.6.1.2.1.31.1.1.1.1.", "1.3.6.1.2.1.2.2.1.2.")
"""ifName and ifDescr: many devices send one of them with the notification."""
MOST_WAITING = 10_000
"""Notifications that are held until the next turn; what comes on top is counted and dropped."""
OWN = ("engine", "ifindex")
AUTHS = {
    "SHA": config.USM_AUTH_HMAC96_SHA, "SHA-224": config.USM_AUTH_HMAC128_SHA224,
    "SHA-256": config.USM_AUTH_HMAC192_SHA256, "SHA-384": config.USM_AUTH_HMAC256_SHA384,
    "SHA-512": config.USM_AUTH_HMAC384_SHA512,
}  # fmt: skip
PRIVS = {
    "AES-128": config.USM_PRIV_CFB128_AES, "AES-192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES-256": config.USM_PRIV_CFB256_AES_BLUMENTHAL, "AES-192-C": config.USM_PRIV_CFB192_AES,
    "AES-256-C": config.USM_PRIV_CFB256_AES,
}  # fmt: skip


class Traps:
    """Listens on ``address:port`` (UDP). Options: those of ``snmp``, ``engine``, and ``ifindex`` (port by number)."""

    name = "traps"

    def __init__(self, address: str = "0.0.0.0", port: int = 162) -> None:  # noqa: S104  # strangers are dropped
        self._where = (address, port)
        self._counts: Counter[str] = Counter()
        self._waiting: list[tuple[Target, str, int, int]] = []
        self._news = asyncio.Event()
        self._engine: Any = None
        self._transport: Any = None

    async def run(self, targets: Sequence[Target], emit: Emit, interval: float) -> None:
        """Listen until cancelled; raises InputError for options or an address that cannot be."""
        for target in targets:
            check(target)
        self._by_address = {target.address: target for target in targets}
        self._engine = engine.SnmpEngine()
        try:
            await self._open(targets)
            while True:
                await self._news.wait()
                self._news.clear()
                waiting, self._waiting = self._waiting, []
                if waiting:
                    await emit(_polls(waiting))
        finally:
            self._close()

    def bound(self) -> tuple[str, int]:
        """Where it listens, once it does."""
        address, port = self._transport.transport.get_extra_info("sockname")[:2]
        return address, port

    async def _open(self, targets: Sequence[Target]) -> None:
        known = udp6 if ":" in self._where[0] else udp
        family = known.Udp6Transport if ":" in self._where[0] else known.UdpTransport
        self._transport = family().open_server_mode(self._where)
        try:
            await self._transport._lport  # the only place where it says that it could not bind
        except OSError as error:
            where = f"{self._where[0]}:{self._where[1]}"
            reason = (error.strerror or str(error)).lower()
            raise InputError(Problem(f"collect.traps: {where}", f"cannot be listened on: {reason}")) from error
        config.add_transport(self._engine, known.DOMAIN_NAME, self._transport)
        for number, target in enumerate(targets):
            self._admit(target, number)
        ntfrcv.NotificationReceiver(self._engine, self._told)

    def _admit(self, target: Target, number: int) -> None:
        """Let the engine know who may speak for the device."""
        who = _who(target)
        if isinstance(who, Community):
            config.add_v1_system(self._engine, f"community-{number}", who.secret.reveal())
        else:
            self._add_user(who, _engine_id(target))

    def _add_user(self, who: User, sender: bytes | None) -> None:
        extra = {} if sender is None else {"securityEngineId": v2c.OctetString(sender)}
        priv, key = (config.USM_PRIV_NONE, None)
        if who.priv is not None and who.priv_secret is not None:
            priv, key = PRIVS[who.priv.name], who.priv_secret.reveal()
        config.add_v3_user(
            self._engine, who.name, AUTHS[who.auth.name], who.auth_secret.reveal(), priv, key, **extra
        )  # fmt: skip

    def _told(self, snmp: Any, reference: Any, _engine: Any, _name: Any, varbinds: Any, _context: Any) -> None:
        """A notification that is signed as it should be; never raises, whatever is in it."""
        self._counts["notifications"] += 1
        try:
            _, (address, *_rest) = snmp.message_dispatcher.get_transport_info(reference)
            found = {str(oid): value for oid, value in varbinds}
        except (PySnmpError, ValueError, TypeError):
            self._counts["malformed"] += 1
            return
        target = self._by_address.get(str(address))
        state = STATES.get(str(found.get(TRAP_OID, "")))
        if target is None:
            self._counts["unknown_agents"] += 1
        elif state is None:
            self._counts["other_notifications"] += 1
        elif len(self._waiting) >= MOST_WAITING:
            self._counts["dropped"] += 1
        else:
            self._keep(target, found, state)

    def _keep(self, target: Target, found: Mapping[str, Any], state: int) -> None:
        port = _port(target, found)
        if port is None:
            self._counts["unknown_ports"] += 1
            return
        self._waiting.append((target, port, state, time.time_ns()))
        self._news.set()

    def health(self) -> Mapping[str, float]:
        """Its own counters, cumulative."""
        names = ("notifications", "other_notifications", "malformed", "unknown_agents", "unknown_ports", "dropped")
        return {name: float(self._counts[name]) for name in names}

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None


def check(target: Target) -> None:
    """Raise InputError where a target's options cannot be."""
    _who(target)
    _engine_id(target)


def _who(target: Target) -> User | Community:
    given = {name: value for name, value in target.options.items() if name not in OWN}
    return options(given, "collect.traps").who


def _engine_id(target: Target) -> bytes | None:
    given = target.options.get("engine")
    if given is None:
        return None
    try:
        return bytes.fromhex(str(given).removeprefix("0x"))
    except ValueError as error:
        raise InputError(Problem(f"collect.traps: {target.device}", f'engine "{given}" is not hexadecimal')) from error


def _port(target: Target, found: Mapping[str, Any]) -> str | None:
    """The plan's port that a notification is about: by name where one is sent, else by the settings' ``ifindex``."""
    for prefix in IF_NAMES:
        for oid, value in found.items():
            if oid.startswith(prefix) and str(value) in target.ports:
                return target.ports[str(value)]
    numbers = target.options.get("ifindex")
    if isinstance(numbers, Mapping):
        for oid, value in found.items():
            if oid.startswith(IF_INDEX):
                name = str(numbers.get(str(value), ""))
                return target.ports.get(name)
    return None


def _polls(waiting: Sequence[tuple[Target, str, int, int]]) -> list[Poll]:
    """A poll a device, a row a notification."""
    by_device: dict[str, list[tuple[str, int, int]]] = {}
    for target, port, state, time_ns in waiting:
        by_device.setdefault(target.device, []).append((port, state, time_ns))
    return [_poll(device, rows) for device, rows in by_device.items()]


def _poll(device: str, rows: Sequence[tuple[str, int, int]]) -> Poll:
    times = [time_ns for _, _, time_ns in rows]
    data = {
        "time_ns": times, "received_ns": times, "device": [device] * len(rows), "port": [port for port, _, _ in rows],
        "oper_status": [state for _, state, _ in rows],
    }  # fmt: skip
    return Poll("traps", device, Outcome.OK, min(times), 0.0, pl.DataFrame(data, schema=schema(["oper_status"])))
