"""Switches for benchmarks/collect.py, all in one process: agents of SNMPv2c, senders of sFlow, servers of gNMI.

Their counters are others each period. They do as little as they can, so that the collector is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

PERIOD = 10.0
SECRET = "benchmark"  # noqa: S105  of agents of this benchmark


def port_name(number: int) -> str:
    """Of a port, from 0."""
    return f"Ethernet{4 * number}"


def device(number: int) -> str:
    """Of a switch, from 0."""
    return f"leaf-{number:04}"


def serve(source: str, given: Mapping[str, Any]) -> None:
    """Be all switches of a source until standard input ends; says where they are."""
    {"snmp": serve_snmp, "sflow": serve_sflow, "gnmi": serve_gnmi}[source](given)


def say(places: Sequence[tuple[str, int]]) -> None:
    """Tell the benchmark where the switches are."""
    print(json.dumps(places), flush=True)


def generation() -> int:
    """Counters are others each period."""
    return int(time.time() / PERIOD)


def columns(protocol: str, most: int) -> list[tuple[str, str, int | None]]:
    """The first columns of samples that a protocol has an address for: address, name, number of the priority."""
    from fabric.counters import counters

    found: list[tuple[str, str, int | None]] = []
    for counter in counters().values():
        if counter.kind not in ("counter", "gauge") or counter.object not in ("port", "port_priority"):
            continue
        for address in counter.addresses[protocol][:1]:
            numbers = range(8) if counter.indexed else [None]
            found += [(address.path, counter.name, number) for number in numbers]
    return found[:most]


def serve_snmp(given: Mapping[str, Any]) -> None:
    """Agents that remember what they answered: their own work must not hold the collector up."""
    import select
    import socket

    agents, poller = {}, select.epoll()
    for _ in range(given["switches"]):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        agents[one.fileno()] = one
        poller.register(one, select.EPOLLIN)
    poller.register(0, select.EPOLLIN)
    answers = Answers(given["ports"], given["counters"])
    say([one.getsockname() for one in agents.values()])
    while True:
        for number, _ in poller.poll():
            if number == 0:
                return
            with suppress(BlockingIOError):
                while True:
                    data, peer = agents[number].recvfrom(65535)
                    agents[number].sendto(answers(data), peer)


class Answers:
    """Answers of one agent, made once a period and then sent again with the id of the request."""

    def __init__(self, ports: int, most: int) -> None:
        self._ports, self._columns = ports, columns("oid", most)
        self._made: dict[bytes, bytes] = {}
        self._now = -1
        self._agent: Any = None

    def __call__(self, data: bytes) -> bytes:
        """The answer to a datagram."""
        from collectors.secrets import Secret
        from collectors.sources.snmp.responder import Responder, tree

        if self._now != generation():
            self._now, self._made = generation(), {}
            objects = tree(self._objects())
            self._agent = Responder(Secret(SECRET), lambda: objects)
        at = _request_id(data)
        key = data[:at] + data[at + 4 :]
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._agent.answer(data) or b""
        place = _request_id(found)
        return found[:place] + data[at : at + 4] + found[place + 4 :]

    def _objects(self) -> list[tuple[tuple[int, ...], int, int | bytes]]:
        text, whole, ticks, gauge, count = 0x04, 0x02, 0x43, 0x42, 0x46
        seconds = int(time.time()) % 10**6
        found: list[tuple[tuple[int, ...], int, int | bytes]] = [
            (_oid("1.3.6.1.2.1.1.3.0"), ticks, seconds * 100),
            (_oid("1.3.6.1.2.1.2.1.0"), whole, self._ports),
            (_oid("1.3.6.1.2.1.31.1.5.0"), ticks, 0),
        ]
        for number in range(self._ports):
            name = port_name(number).encode()
            found.append((_oid(f"1.3.6.1.2.1.31.1.1.1.1.{number + 1}"), text, name))
            for place, (oid, _, index) in enumerate(self._columns):
                end = f".{number + 1}" + ("" if index is None else f".{index}")
                tag = gauge if oid.endswith("31.1.1.1.15") else count
                value = 400_000 if tag == gauge else self._now * (10**9 + 7919 * number + 104_729 * place)
                found.append((_oid(oid + end), tag, value % (1 << 63)))
        return found


def _oid(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _request_id(data: bytes) -> int:
    """Where the four bytes of the request's id are: after version, community and the PDU's head."""
    at = _inside(data, 0) + 3
    at = _inside(data, at) + data[at + 1]
    at = _inside(data, at)
    assert data[at : at + 2] == b"\x02\x04", "a request id of another length"
    return at + 2


def _inside(data: bytes, at: int) -> int:
    return at + 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)


def serve_sflow(given: Mapping[str, Any]) -> None:
    """Counter samples of every port each period, spread over it."""
    import select
    import socket

    from collectors.sources.sflow.encode import Encoder, Speaker

    index = {port_name(number): number + 1 for number in range(given["ports"])}
    places = [(f"127.1.{number >> 8}.{number & 255}", 6343) for number in range(given["switches"])]
    speakers = [Speaker(device(number), address, index) for number, (address, _) in enumerate(places)]
    encoder = Encoder(speakers, names=False)
    say(places)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", given["listen"]))
        while True:
            begun = time.time()
            sent = list(encoder.encode(None, _interfaces(given)))
            for number, one in enumerate(sent):
                if (
                    number % 20 == 0
                    and select.select([0], [], [], max(0, begun + number * PERIOD / len(sent) - time.time()))[0]
                ):
                    return
                with suppress(OSError):
                    out.send(one)
            if select.select([0], [], [], max(0.0, begun + PERIOD - time.time()))[0]:
                return


def _interfaces(given: Mapping[str, Any]) -> Any:
    """A table of counters of all ports of all switches, now."""
    import numpy as np
    import polars as pl

    from fabric.samples import schema

    count, ports = given["switches"] * given["ports"], given["ports"]
    now, names = time.time_ns(), [name for _, name, index in columns("sflow", given["counters"]) if index is None]
    wanted = schema(dict.fromkeys(names))
    place = np.arange(count, dtype=np.int64)
    data: dict[str, Any] = {
        "time_ns": now + place, "received_ns": now + place,
        "device": np.repeat([device(n) for n in range(given["switches"])], ports),
        "port": np.tile([port_name(n) for n in range(ports)], given["switches"]),
    }  # fmt: skip
    for number, name in enumerate(wanted):
        if name not in data:
            data[name] = (generation() % 10**6) * (10**3 + number) + place
    return pl.DataFrame(data, schema=wanted)


def serve_gnmi(given: Mapping[str, Any]) -> None:
    """One server for each switch on one event loop, a notification a port and period."""
    asyncio.run(_serve_gnmi(given))


async def _serve_gnmi(given: Mapping[str, Any]) -> None:
    import grpc  # type: ignore[import-untyped]

    async def subscribe(requests: Any, context: Any) -> None:
        await anext(aiter(requests))
        offset = hash(id(context)) % 1000 / 1000 * PERIOD
        while True:
            await asyncio.sleep(offset)
            for message in _notifications(given):
                await context.write(message)
            await asyncio.sleep(PERIOD - offset)

    servers, places = [], []
    for _ in range(given["switches"]):
        server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(subscribe)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("gnmi.gNMI", {"Subscribe": handler}),))
        places.append(("127.0.0.1", server.add_insecure_port("127.0.0.1:0")))
        await server.start()
        servers.append(server)
    say(places)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        await server.stop(0)


_NOTIFICATIONS: dict[int, list[bytes]] = {}


def _notifications(given: Mapping[str, Any]) -> list[bytes]:
    """A switch's messages of this period, the same for all switches but for their time."""
    now = generation()
    if now not in _NOTIFICATIONS:
        _NOTIFICATIONS.clear()
        _NOTIFICATIONS[now] = [_notification(number, now, given["counters"]) for number in range(given["ports"])]
    stamp = _varint(time.time_ns())
    return [message.replace(_varint(STAMP), stamp, 1) for message in _NOTIFICATIONS[now]]


STAMP = 1_700_000_000_123_456_789


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _notification(number: int, now: int, most: int) -> bytes:
    from collectors.sources.gnmi import proto
    from collectors.sources.gnmi.paths import openconfig

    start = "/interfaces/interface/"
    paths = [path.removeprefix(start) for path in openconfig() if path.startswith(start) and "/counters/" in path]
    port: Any = {"name": "interface", "key": {"name": port_name(number)}}
    updates = [
        {"path": {"elem": [{"name": name} for name in path.split("/")]}, "val": {"uint_val": now * (10**9 + place)}}
        for place, path in enumerate(paths[:most])
    ]
    prefix = {"elem": [{"name": "interfaces"}, port]}
    update = {"timestamp": STAMP, "prefix": prefix, "update": updates}
    return bytes(proto.SubscribeResponse(update=update).SerializeToString())
