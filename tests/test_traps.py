"""Notifications of net-snmp's own snmptrap and snmpinform, v2c and v3, and hostile datagrams."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from conftest import need

from collectors.secrets import Secret
from collectors.sources import Poll, Target
from collectors.sources.traps import Traps
from fabric.errors import InputError

LINK_DOWN, LINK_UP, COLD_START = (f"1.3.6.1.6.3.1.1.5.{number}" for number in (3, 4, 1))
ENGINE = "8000000001020304"
V2C: dict[str, object] = {"version": "2c", "community": Secret("lab")}
V3: dict[str, object] = {
    "version": "3", "user": "tele", "auth": "SHA-256", "auth_secret": Secret("authority"),
    "priv": "AES-128", "priv_secret": Secret("privacy-pass"),
}  # fmt: skip
USER = ("-v3", "-u", "tele", "-l", "authPriv", "-a", "SHA-256", "-A", "authority", "-x", "AES", "-X", "privacy-pass")
PORTS = {"Ethernet0": "Ethernet0", "etp2": "Ethernet8"}
Say = Callable[[int], Awaitable[None]]


def told(options: Mapping[str, object], say: Say, address: str = "127.0.0.1") -> tuple[list[Poll], Mapping[str, float]]:
    """What the source emits while ``say`` sends to its port."""
    got: list[Poll] = []

    async def whole() -> Mapping[str, float]:
        source = Traps("127.0.0.1", 0)

        async def emit(polls: Sequence[Poll]) -> None:
            got.extend(polls)

        task = asyncio.create_task(source.run([Target("leaf-1", address, 161, PORTS, options)], emit, 1.0))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if task.done() or (source._transport is not None and source._transport.transport is not None):
                break
        if task.done():
            await task
        await asyncio.sleep(0.2)
        await say(source.bound()[1])
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return source.health()

    health = asyncio.run(whole())
    return got, health


def sender(program: str, *words: str) -> Say:
    """Runs a program of net-snmp with the varbinds of a link's notification."""

    async def say(port: int) -> None:
        command = [need(program), *words[:-1], f"127.0.0.1:{port}", "", *words[-1].split()]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=20)

    return say


def notification(kind: str, index: int, name: str) -> str:
    return f"{kind} 1.3.6.1.2.1.2.2.1.1.{index} i {index} 1.3.6.1.2.1.31.1.1.1.1.{index} s {name}"


def test_a_v2c_trap_is_a_row_at_once() -> None:
    say = sender("snmptrap", "-v2c", "-c", "lab", notification(LINK_DOWN, 2, "etp2"))
    polls, health = told(V2C, say)
    assert [(poll.device, poll.rows.select("port", "oper_status").rows()) for poll in polls] == [
        ("leaf-1", [("Ethernet8", 2)])
    ]
    assert health["notifications"] == 1


def test_a_v3_inform_and_a_v3_trap_of_a_known_engine() -> None:
    inform = sender("snmpinform", *USER, notification(LINK_UP, 1, "Ethernet0"))
    polls, _ = told(V3, inform)
    assert [poll.rows.select("port", "oper_status").rows() for poll in polls] == [[("Ethernet0", 1)]]
    trap = sender("snmptrap", *USER, "-e", f"0x{ENGINE}", notification(LINK_DOWN, 1, "Ethernet0"))
    polls, _ = told({**V3, "engine": ENGINE}, trap)
    assert [poll.rows.select("port", "oper_status").rows() for poll in polls] == [[("Ethernet0", 2)]]


def test_who_is_not_who_he_says_is_not_heard() -> None:
    wrong = sender("snmptrap", "-v2c", "-c", "wrong", notification(LINK_DOWN, 1, "Ethernet0"))
    polls, health = told(V2C, wrong)
    assert (polls, health["notifications"]) == ([], 0)
    right = sender("snmptrap", "-v2c", "-c", "lab", notification(LINK_DOWN, 1, "Ethernet0"))
    polls, health = told(V2C, right, address="127.0.0.9")
    assert (polls, health["unknown_agents"]) == ([], 1)


def test_what_is_no_link_or_no_port_is_counted() -> None:
    cold = sender("snmptrap", "-v2c", "-c", "lab", COLD_START)
    assert told(V2C, cold)[1]["other_notifications"] == 1
    strange = sender("snmptrap", "-v2c", "-c", "lab", notification(LINK_DOWN, 7, "Vlan10"))
    assert told(V2C, strange)[1]["unknown_ports"] == 1
    numbered = sender("snmptrap", "-v2c", "-c", "lab", f"{LINK_DOWN} 1.3.6.1.2.1.2.2.1.1.7 i 7")
    polls, _ = told({**V2C, "ifindex": {"7": "etp2"}}, numbered)
    assert [poll.rows["port"].to_list() for poll in polls] == [["Ethernet8"]]


def test_hostile_datagrams_are_survived() -> None:
    good = sender("snmptrap", "-v2c", "-c", "lab", notification(LINK_DOWN, 1, "Ethernet0"))

    async def say(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for seed in range(200):
                size = seed % 60
                out.sendto(bytes((seed * 31 + at * at * 7) % 256 for at in range(size)), ("127.0.0.1", port))
                out.sendto(b"\x30\x82\xff\xff" + bytes(size), ("127.0.0.1", port))
        await asyncio.sleep(0.3)
        await good(port)

    polls, _ = told(V2C, say)
    assert [poll.rows["oper_status"].to_list() for poll in polls] == [[2]]


def test_a_place_that_is_taken_is_said() -> None:
    async def nothing(port: int) -> None:
        raise AssertionError(port)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))

        async def run() -> None:
            await Traps("127.0.0.1", taken.getsockname()[1]).run([], lambda _: asyncio.sleep(0), 1.0)

        with pytest.raises(InputError, match="cannot be listened on: address already in use"):
            asyncio.run(run())
    with pytest.raises(InputError, match='engine "zz" is not hexadecimal'):
        told({**V3, "engine": "zz"}, nothing)
