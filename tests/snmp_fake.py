"""An agent of SNMPv2c in the test's own process, that can be told to misbehave."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.ber import parts

Oid = tuple[int, ...]
Rows = dict[Oid, bytes]
IF = "1.3.6.1.2.1.2.2.1"
IFX = "1.3.6.1.2.1.31.1.1.1"


def counter64(value: int) -> bytes:
    return b"\x46" + ber.integer(value)[1:]


def text(value: str | bytes) -> bytes:
    return ber.tlv(0x04, value.encode() if isinstance(value, str) else value)


def switch(ports: int = 4, uptime: int = 1000) -> Rows:
    """Rows of a small switch: names, states, octets, PFC of priority 3."""
    rows: Rows = {
        parts("1.3.6.1.2.1.1.3.0"): b"\x43" + ber.integer(uptime)[1:],
        parts("1.3.6.1.2.1.31.1.5.0"): b"\x43" + ber.integer(5)[1:],
        parts("1.3.6.1.2.1.2.1.0"): ber.integer(ports),
    }
    for n in range(1, ports + 1):
        rows[parts(f"{IFX}.1.{n}")] = text(f"Ethernet{n}")
        rows[parts(f"{IF}.2.{n}")] = text(f"port {n}")
        rows[parts(f"{IF}.8.{n}")] = ber.integer(1)
        rows[parts(f"{IFX}.6.{n}")] = counter64(1000 * n)
        rows[parts(f"{IFX}.10.{n}")] = counter64(2**63 + n)
        rows[parts(f"1.3.6.1.4.1.9.9.813.1.2.1.3.{n}.3")] = counter64(n)
    return rows


Answers = Callable[["Fake", bytes], Sequence[tuple[float, bytes]]]


@dataclass
class Fake:
    """``answers`` turns a datagram into (delay in seconds, datagram) pairs; the default is an honest one."""

    rows: Rows
    answers: Answers = field(default=lambda fake, datagram: fake.well(datagram))
    asked: int = 0
    port: int = 0

    def well(self, datagram: bytes) -> list[tuple[float, bytes]]:
        """An honest answer, at once."""
        return [(0, self.honest(datagram))]

    def honest(self, datagram: bytes, name: bytes | None = None) -> bytes:
        """What an agent answers to GET and GETBULK."""
        said = decode.decode(datagram)
        assert said is not None
        oids = [oid for oid, _, _ in said.varbinds]
        found = [self.get(oid) for oid in oids] if said.type == ber.GET else self.bulk(oids, said.index)
        return answer(said, found, name)

    def get(self, oid: Oid) -> tuple[Oid, bytes]:
        return oid, self.rows.get(oid, b"\x81\x00")

    def bulk(self, oids: list[Oid], repetitions: int) -> list[tuple[Oid, bytes]]:
        known = sorted(self.rows)
        found = []
        for _ in range(repetitions):
            for at, oid in enumerate(oids):
                place = bisect_right(known, oid)
                end = place == len(known)
                found.append((oid, b"\x82\x00") if end else (known[place], self.rows[known[place]]))
                oids[at] = oid if end else known[place]
        return found


def answer(said: decode.Message, binds: list[tuple[Oid, bytes]], name: bytes | None = None, error: int = 0) -> bytes:
    rows = b"".join(ber.tlv(0x30, ber.tlv(0x06, ber.encode_oid(oid)) + value) for oid, value in binds)
    pdu = ber.tlv(ber.RESPONSE, ber.integer(said.request) + ber.integer(error) + ber.integer(0) + ber.tlv(0x30, rows))
    return ber.tlv(0x30, ber.integer(1) + ber.tlv(0x04, said.name if name is None else name) + pdu)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, fake: Fake) -> None:
        self.fake = fake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.fake.asked += 1
        for delay, datagram in self.fake.answers(self.fake, data):
            asyncio.get_running_loop().call_later(delay, self._send, datagram, addr)

    def _send(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(datagram, addr)


@asynccontextmanager
async def serving(fake: Fake, address: str = "127.0.0.1") -> AsyncIterator[Fake]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(fake), local_addr=(address, 0))
    fake.port = transport.get_extra_info("sockname")[1]
    try:
        yield fake
    finally:
        transport.close()
