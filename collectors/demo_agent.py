"""An SNMPv2c agent inside this process, with eight ports whose counters rise: for machines that have no snmpd."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from collectors.secrets import Secret
from collectors.sources.snmp.responder import Responder, Tree, tree

PORTS = 8
NAMES = tuple(f"Ethernet{4 * number}" for number in range(PORTS))
Object = tuple[tuple[int, ...], int, int | bytes]
_INTEGER, _OCTETS, _GAUGE, _TICKS, _COUNTER64 = 0x02, 0x04, 0x42, 0x43, 0x46
_SYSTEM, _IF, _IFX = (1, 3, 6, 1, 2, 1, 1), (1, 3, 6, 1, 2, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)


def objects(seconds: float) -> Tree:
    """What it has so long after its start: system, ifNumber, ifTable and ifXTable."""
    found: list[Object] = [
        ((*_SYSTEM, 1, 0), _OCTETS, b"railwright demo"),
        ((*_SYSTEM, 3, 0), _TICKS, int(seconds * 100)),
        ((1, 3, 6, 1, 2, 1, 2, 1, 0), _INTEGER, PORTS),
        ((1, 3, 6, 1, 2, 1, 31, 1, 5, 0), _TICKS, 0),
    ]
    for index, name in enumerate(NAMES, start=1):
        found += _port(index, name.encode(), seconds)
    return tree(found)


def _port(index: int, name: bytes, seconds: float) -> Iterator[Object]:
    rate = 10**8 * index
    yield from (
        ((*_IF, 1, index), _INTEGER, index),
        ((*_IF, 2, index), _OCTETS, name),
        ((*_IF, 7, index), _INTEGER, 1),
        ((*_IF, 8, index), _INTEGER, 1),
        ((*_IFX, 1, index), _OCTETS, name),
        ((*_IFX, 15, index), _GAUGE, 400_000),
        ((*_IFX, 18, index), _OCTETS, b""),
        ((*_IFX, 19, index), _TICKS, 0),
    )
    for column, each in {6: rate, 7: rate // 1000, 10: rate // 2, 11: rate // 2000}.items():
        yield (*_IFX, column, index), _COUNTER64, int(seconds * each)


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
