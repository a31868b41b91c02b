"""An SNMPv2c agent inside this process, with eight ports whose counters rise: for machines that have no snmpd."""

from __future__ import annotations

import bisect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]
from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]
from pysnmp.proto.api import v2c  # type: ignore[import-untyped]

from collectors.secrets import Secret

PORTS = 8
NAMES = tuple(f"Ethernet{4 * number}" for number in range(PORTS))
MOST_BYTES = 1400
Oid = tuple[int, ...]
Value = Callable[[float], Any]
_IF, _IFX = (1, 3, 6, 1, 2, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)


def tree() -> dict[Oid, Value]:
    """What it has: system, interfaces, ifTable and ifXTable; each a function of the seconds since the start."""
    found: dict[Oid, Value] = {
        (1, 3, 6, 1, 2, 1, 1, 1, 0): lambda _: v2c.OctetString("railwright demo"),
        (1, 3, 6, 1, 2, 1, 1, 3, 0): lambda now: v2c.TimeTicks(int(now * 100)),
        (1, 3, 6, 1, 2, 1, 2, 1, 0): lambda _: v2c.Integer32(PORTS),
        (1, 3, 6, 1, 2, 1, 31, 1, 5, 0): lambda _: v2c.TimeTicks(0),
    }
    for index, name in enumerate(NAMES, start=1):
        found |= _port(index, name)
    return dict(sorted(found.items()))


def _port(index: int, name: str) -> dict[Oid, Value]:
    rate = 10**8 * index
    counts = {6: rate, 7: rate // 1000, 10: rate // 2, 11: rate // 2000}
    found: dict[Oid, Value] = {
        (*_IF, 1, index): lambda _: v2c.Integer32(index),
        (*_IF, 2, index): lambda _: v2c.OctetString(name),
        (*_IF, 7, index): lambda _: v2c.Integer32(1),
        (*_IF, 8, index): lambda _: v2c.Integer32(1),
        (*_IFX, 1, index): lambda _: v2c.OctetString(name),
        (*_IFX, 15, index): lambda _: v2c.Gauge32(400_000),
        (*_IFX, 18, index): lambda _: v2c.OctetString(""),
        (*_IFX, 19, index): lambda _: v2c.TimeTicks(0),
    }
    for column, each in counts.items():
        found[(*_IFX, column, index)] = _rising(each)
    return found


def _rising(each: int) -> Value:
    return lambda now: v2c.Counter64(int(now * each))


class Agent:
    """Answers GET, GETNEXT and GETBULK; says nothing to a wrong community or to what is no request."""

    def __init__(self, community: Secret) -> None:
        self._community, self._tree, self._began = community, tree(), time.monotonic()
        self._oids = list(self._tree)

    def answer(self, data: bytes) -> bytes | None:
        """The answer to a datagram."""
        try:
            message, _ = decoder.decode(data, asn1Spec=v2c.Message())
            if str(v2c.apiMessage.get_community(message)) != self._community.reveal():
                return None
            asked = v2c.apiMessage.get_pdu(message)
            reply = v2c.apiMessage.get_response(message)
            pdu = v2c.apiMessage.get_pdu(reply)
            v2c.apiPDU.set_varbinds(pdu, self._varbinds(asked))
        except (PyAsn1Error, ValueError, TypeError):
            return None
        return bytes(encoder.encode(reply))

    def _varbinds(self, asked: Any) -> list[tuple[Oid, Any]]:
        oids = [tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(asked)]
        if asked.isSameTypeWith(v2c.GetRequestPDU()):
            return [(oid, self._value(oid)) for oid in oids]
        if asked.isSameTypeWith(v2c.GetNextRequestPDU()):
            return [self._next(oid) for oid in oids]
        single = int(v2c.apiBulkPDU.get_non_repeaters(asked))
        times = min(int(v2c.apiBulkPDU.get_max_repetitions(asked)), 50)
        found, size = [self._next(oid) for oid in oids[:single]], 0
        last = oids[single:]
        for _ in range(times if last else 0):
            row = [self._next(oid) for oid in last]
            size += 30 * len(row)
            if size > MOST_BYTES and found:
                break
            found += row
            last = [oid for oid, _ in row]
        return found

    def _value(self, oid: Oid) -> Any:
        made = self._tree.get(oid)
        return v2c.NoSuchObject("") if made is None else made(time.monotonic() - self._began)

    def _next(self, oid: Oid) -> tuple[Oid, Any]:
        place = bisect.bisect_right(self._oids, oid)
        if place == len(self._oids):
            return oid, v2c.EndOfMibView("")
        return self._oids[place], self._value(self._oids[place])


@contextmanager
def agent(community: Secret) -> Iterator[int]:
    """An agent on a thread until the block ends; gives its UDP port on loopback."""
    made, stop = Agent(community), threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(0.1)
        thread = threading.Thread(target=_serve, args=(one, made, stop), name="demo-agent", daemon=True)
        thread.start()
        try:
            yield int(one.getsockname()[1])
        finally:
            stop.set()
            thread.join()


def _serve(one: socket.socket, made: Agent, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            data, peer = one.recvfrom(65535)
        except TimeoutError:
            continue
        except OSError:
            return
        answer = made.answer(data)
        if answer is not None:
            one.sendto(answer, peer)
