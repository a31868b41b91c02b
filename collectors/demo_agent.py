"""An SNMPv2c agent inside this process, with eight ports whose counters rise: for machines that have no snmpd."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from collectors.secrets import Secret
from collectors.sources.snmp.ber import INTEGER, OCTETS
from collectors.sources.snmp.responder import COUNTER64, GAUGE32, TIMETICKS, Oid, Responder, Tree, tree

PORTS = 8
NAMES = tuple(f"Ethernet{4 * number}" for number in range(PORTS))
BYTES_A_SECOND = 10**8
"""Of the first port; the second sends twice as much, and so on."""
_IF, _IFX = (1, 3, 6, 1, 2, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)


def objects(seconds: float) -> Tree:
    """What it has so long after its start: system, interfaces, ifTable and ifXTable."""
    system: list[tuple[Oid, int, int | bytes]] = [
        ((1, 3, 6, 1, 2, 1, 1, 1, 0), OCTETS, b"railwright demo"),
        ((1, 3, 6, 1, 2, 1, 1, 3, 0), TIMETICKS, int(seconds * 100)),
        ((1, 3, 6, 1, 2, 1, 2, 1, 0), INTEGER, PORTS),
        ((1, 3, 6, 1, 2, 1, 31, 1, 5, 0), TIMETICKS, 0),
    ]
    ports = [one for index, name in enumerate(NAMES, start=1) for one in _port(index, name, seconds)]
    return tree([*system, *ports])


def _port(index: int, name: str, seconds: float) -> Iterator[tuple[Oid, int, int | bytes]]:
    rate = BYTES_A_SECOND * index
    for column, value in ((1, index), (7, 1), (8, 1)):
        yield (*_IF, column, index), INTEGER, value
    yield (*_IF, 2, index), OCTETS, name.encode()
    yield (*_IFX, 1, index), OCTETS, name.encode()
    yield (*_IFX, 18, index), OCTETS, b""
    yield (*_IFX, 15, index), GAUGE32, 400_000
    yield (*_IFX, 19, index), TIMETICKS, 0
    for column, each in ((6, rate), (7, rate // 1000), (10, rate // 2), (11, rate // 2000)):
        yield (*_IFX, column, index), COUNTER64, int(seconds * each)


@contextmanager
def agent(community: Secret) -> Iterator[int]:
    """An agent on a thread until the block ends; gives its UDP port on loopback."""
    began, stop = time.monotonic(), threading.Event()
    made = Responder(community, lambda: objects(time.monotonic() - began))
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


def _serve(one: socket.socket, made: Responder, stop: threading.Event) -> None:
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
