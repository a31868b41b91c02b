"""A recording as SNMPv2c agents, one UDP port of loopback a device."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from functools import cache

import polars as pl

from collectors.secrets import Secret
from collectors.sources.snmp.ber import INTEGER, OCTETS, parts
from collectors.sources.snmp.responder import COUNTER32, COUNTER64, GAUGE32, TIMETICKS, Oid, Responder, Tree, tree
from collectors.sources.snmp.tables import NAMES, NUMBER, SUBTYPES, TABLE_CHANGE, UPTIME
from fabric.counters import Counter, parse
from fabric.samples import KEYS
from railwright.replay.recording import Clock, Recording

Object = tuple[Oid, int, int | bytes]
INTERFACE_NAME, LOCAL = 5, 7
"""Kinds of port and chassis ids in LLDP-MIB."""


class Agents:
    """The devices of a recording as agents; ``places`` says where each listens."""

    def __init__(self, recording: Recording, clock: Clock, community: Secret) -> None:
        """Opens a socket a device."""
        self.recording, self.clock = recording, clock
        self._selector = selectors.DefaultSelector()
        self.places: dict[str, tuple[str, int]] = {}
        self._trees: dict[str, tuple[int, Tree]] = {}
        for device in recording.devices:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind(("127.0.0.1", 0))
            opened.setblocking(False)
            self.places[device] = ("127.0.0.1", int(opened.getsockname()[1]))
            agent = Responder(community, lambda device=device: self._now(device))  # type: ignore[misc]
            self._selector.register(opened, selectors.EVENT_READ, (device, agent))

    def _now(self, device: str) -> Tree:
        """What the device has to say at this moment; made once a sample."""
        time_ns = self.clock.sample()
        known = self._trees.get(device)
        if known is None or known[0] != time_ns:
            self._trees[device] = known = (time_ns, tree(objects(self.recording, device, time_ns)))
        return known[1]

    def prepare(self) -> None:
        """Make what every device says now: whoever asks first need not wait for it."""
        for device in self.recording.devices:
            self._now(device)

    def serve(self, seconds: float) -> None:
        """Answer what comes within so many seconds."""
        for key, _ in self._selector.select(seconds):
            opened, (device, agent) = key.fileobj, key.data
            assert isinstance(opened, socket.socket)
            try:
                datagram, peer = opened.recvfrom(65_535)
            except OSError:
                continue
            if self.recording.at(device, self.clock.sample()).is_empty():
                continue  # it was silent then
            answer = agent.answer(datagram)
            if answer is not None:
                opened.sendto(answer, peer)

    def close(self) -> None:
        """Close the sockets."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def objects(recording: Recording, device: str, time_ns: int) -> Iterator[Object]:
    """Every object of a device at one time: IF-MIB's names and the counters that have an object id."""
    rows = recording.at(device, time_ns)
    ports = recording.ifindex[device]
    uptime = rows["uptime_seconds"].drop_nulls() if "uptime_seconds" in rows.columns else pl.Series([])
    yield (*UPTIME,), TIMETICKS, round(uptime[0] * 100) if len(uptime) else 0
    yield (*TABLE_CHANGE,), TIMETICKS, 0
    yield (*NUMBER,), INTEGER, len(ports)
    for name, number in ports.items():
        for what in ("name", "descr", "lldp_id", "lldp_descr"):
            yield (*parts(NAMES[what]), number), OCTETS, name.encode()
        yield (*parts(NAMES["lldp_subtype"]), number), INTEGER, INTERFACE_NAME
    ported = rows.filter(pl.col("port").is_not_null())
    numbers = [ports[port] for port in ported["port"]]
    for column in ported.columns:
        place = _place(column) if column not in KEYS else None
        for number, value in zip(numbers, ported[column].to_list() if place else (), strict=False):
            if place is not None and value is not None:
                yield from _objects(column, place, number, value)


@cache
def _place(column: str) -> tuple[Counter, int | None, str, float] | None:
    """Counter, number, object id (with what stands in braces) and factor of a column; None where SNMP has it not."""
    known = parse(column)
    if known is None or not known[0].addresses["oid"] or known[0].object == "device":
        return None
    address = known[0].addresses["oid"][0]
    return known[0], known[1], address.path, address.factor


def _objects(
    column: str, place: tuple[Counter, int | None, str, float], port: int, value: float | str
) -> Iterator[Object]:
    counter, index, path, factor = place
    oid = _oid(path, port, index)
    if counter.kind == "text":
        yield oid, OCTETS, str(value).encode()
        if column in SUBTYPES:
            kind = INTERFACE_NAME if column == "lldp_port" else LOCAL
            yield _oid(SUBTYPES[column] + path[len(_prefix(path)) :], port, index), INTEGER, kind
        return
    number = round(float(value) / factor) if factor != 1 else int(value)
    if counter.kind == "counter":
        yield oid, COUNTER64 if (counter.bits or 64) == 64 and not _narrow(path) else COUNTER32, number
    elif counter.name == "counter_discontinuity_seconds":
        yield oid, TIMETICKS, number
    else:
        yield oid, INTEGER if counter.kind == "state" or number < 0 else GAUGE32, number


def _prefix(path: str) -> str:
    return path.partition(".{")[0]


def _narrow(path: str) -> bool:
    """Whether the object is a Counter32 although the counter itself is wider."""
    return path.startswith(("1.3.6.1.2.1.2.2.1.", "1.3.6.1.2.1.10.7.2."))


def _oid(path: str, port: int, index: int | None) -> Oid:
    if "{" not in path:
        return (*parts(path), port, *(() if index is None else (index,)))
    words = {"{port}": port, "{lldp}": port, "{index}": index, "{index1}": (index or 0) + 1, "{any}": 1}
    return tuple(int(words.get(word, word)) for word in path.split("."))  # type: ignore[arg-type]
