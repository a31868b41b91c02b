"""A recording as gNMI servers, one port of loopback a device, in the language that a subscription asks for.

Whoever asks for tables of SONiC's databases (the target of the prefix is ``…_DB``) gets those, all others OpenConfig.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import grpc  # type: ignore[import-untyped]
import polars as pl

from collectors.sources.gnmi.paths import TRANSCEIVER, database
from collectors.sources.gnmi.proto import SubscribeRequest, SubscribeResponse
from fabric.counters import Counter, parse
from fabric.samples import KEYS
from railwright.replay.recording import Clock, Recording

STREAMS = 4
"""That one device serves at once."""
_KEYS = {
    "/interfaces/interface/": ("interface", "name"),
    "/qos/interfaces/interface/": ("interface", "interface-id"),
    "/lldp/interfaces/interface/": ("interface", "name"),
    "/components/component/": ("component", "name"),
}
"""The list that is keyed by the port, by how a path begins; a transceiver is called like its port."""
_NUMBERED = {"queue": "name", "channel": "index"}
_STATES = {
    "admin_status": {1: "UP", 2: "DOWN", 3: "TESTING"},
    "oper_status": {
        1: "UP", 2: "DOWN", 3: "TESTING", 4: "UNKNOWN", 5: "DORMANT", 6: "NOT_PRESENT", 7: "LOWER_LAYER_DOWN",
    },
}  # fmt: skip
Value = float | int | str


class Servers:
    """The devices of a recording as targets; ``places`` says where each listens."""

    def __init__(self, recording: Recording, clock: Clock, tls: tuple[bytes, bytes] | None = None) -> None:
        """``tls``: key and certificate (PEM); without them the servers speak in the clear, on loopback alone."""
        self.recording, self.clock = recording, clock
        self.places: dict[str, tuple[str, int]] = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str, object], int] = {}
        """By device, target and stream: the time of what was written last."""
        self._asked: set[tuple[str, str]] = set()
        self.messages = 0
        """Written to all streams since the beginning."""
        self._servers = [self._server(device, tls) for device in recording.devices]

    def _server(self, device: str, tls: tuple[bytes, bytes] | None) -> Any:
        server = grpc.server(ThreadPoolExecutor(STREAMS))
        handler = grpc.stream_stream_rpc_method_handler(partial(self._subscribe, device))
        handlers = grpc.method_handlers_generic_handler("gnmi.gNMI", {"Subscribe": handler})
        server.add_generic_rpc_handlers((handlers,))
        if tls is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tls]))
        server.start()
        self.places[device] = ("127.0.0.1", int(port))
        return server

    def _subscribe(self, device: str, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """A notification a sample and port: the newest at once, then each at its time until the recording is over."""
        request = SubscribeRequest.FromString(next(requests))
        target = request.subscribe.prefix.target
        write = partial(_sonic, target) if target.endswith("_DB") else partial(_openconfig, device)
        stream, synced = (device, target, object()), False
        self._asked.add((device, target))
        self._told[stream] = 0
        try:
            while context.is_active() and not self._over.is_set():
                time_ns = self.clock.sample()
                if time_ns != self._told[stream]:
                    for message in write(self.recording.at(device, time_ns), self.clock.ours(time_ns)):
                        yield self._counted(message)
                    self._told[stream] = time_ns
                if not synced:
                    synced = True
                    yield self._counted(SubscribeResponse(sync_response=True).SerializeToString())
                self._over.wait(0.02)
        finally:
            del self._told[stream]

    def _counted(self, message: bytes) -> bytes:
        with self._lock:
            self.messages += 1
        return message

    def told(self, time_ns: int) -> bool:
        """Whether every stream has been written the samples of that time; one that ended is awaited again.

        Who hears nothing for long connects anew, and has no stream meanwhile.
        """
        streams = dict(self._told)
        there = {(device, target) for device, target, _ in streams}
        everyone = {device for device, _ in there} == set(self.recording.devices)
        return everyone and there >= self._asked and all(told == time_ns for told in streams.values())

    def close(self) -> None:
        """End all streams."""
        self._over.set()
        for server in self._servers:
            server.stop(0.5).wait()


def _openconfig(device: str, rows: pl.DataFrame, time_ns: int) -> Iterator[bytes]:
    for row in _ported(rows):
        response = SubscribeResponse()
        response.update.timestamp = time_ns
        response.update.prefix.target = device
        update = response.update.update.add()
        _fill(update.path, TRANSCEIVER, row["port"], None)
        update.val.string_val = row["port"]
        for column, value in _known(row):
            counter, index, path, factor = column
            if path:
                update = response.update.update.add()
                _fill(update.path, path, row["port"], index)
                _value(update.val, counter, value, factor)
        yield response.SerializeToString()


def _ported(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    yield from rows.filter(pl.col("port").is_not_null()).iter_rows(named=True)


def _known(row: dict[str, Any]) -> Iterator[tuple[tuple[Counter, int | None, str, float], Value]]:
    for name, value in row.items():
        place = _place(name, "gnmi") if value is not None and name not in KEYS else None
        if place is not None:
            yield place, value


@cache
def _place(column: str, protocol: str) -> tuple[Counter, int | None, str, float] | None:
    """Counter, number, first address (empty where the protocol has none) and factor of a column."""
    known = parse(column)
    if known is None:
        return None
    address = next(iter(known[0].addresses[protocol]), None)
    return known[0], known[1], "" if address is None else address.path, 1.0 if address is None else address.factor


def _fill(path: Any, text: str, port: str, index: int | None) -> None:
    """The elements of a path with their keys."""
    keyed = next((key for start, key in _KEYS.items() if text.startswith(start)), None)
    for name in text.strip("/").split("/"):
        element = path.elem.add(name=name)
        if keyed is not None and name == keyed[0]:
            element.key[keyed[1]] = port
        elif name in _NUMBERED and index is not None:
            element.key[_NUMBERED[name]] = str(index)
        elif name == "neighbor":
            element.key["id"] = "1"


def _value(typed: Any, counter: Counter, value: Value, factor: float) -> None:
    if counter.name in _STATES:
        typed.string_val = _STATES[counter.name][int(value)]
    elif isinstance(value, str):
        typed.string_val = value
    elif counter.kind == "counter":
        typed.uint_val = round(value / factor)
    else:
        typed.double_val = value / factor


_INDEXED = re.compile(r"\{index1?\}")


def _sonic(target: str, rows: pl.DataFrame, time_ns: int) -> Iterator[bytes]:
    """One JSON object a table and key: ``COUNTERS/Ethernet0`` and, for queues and groups, ``COUNTERS/Ethernet0:3``."""
    tables: dict[tuple[str, str], dict[str, str]] = {}
    for row in _ported(rows):
        for name, value in row.items():
            place = _place(name, "sonic") if value is not None and name not in KEYS else None
            if place is None or not place[2]:
                continue
            counter, index, path, factor = place
            table, _, field = path.rpartition("/")
            if database(table or "COUNTERS") != target:
                continue
            inside = _INDEXED.search(field) is not None or index is None
            key = row["port"] if inside else f"{row['port']}:{index}"
            field = field.format(index=index, index1=(index or 0) + 1)
            tables.setdefault((table or "COUNTERS", key), {})[field] = _text(counter, value, factor)
    for (table, key), fields in tables.items():
        response = SubscribeResponse()
        response.update.timestamp = time_ns
        response.update.prefix.target = target
        update = response.update.update.add()
        for name in (table, key):
            update.path.elem.add(name=name)
        update.val.json_ietf_val = json.dumps(fields).encode()
        yield response.SerializeToString()


def _text(counter: Counter, value: Value, factor: float) -> str:
    if counter.name in _STATES:
        return _STATES[counter.name][int(value)].lower()
    if isinstance(value, str):
        return value
    if counter.name == "pfc_enabled_mask":
        return ",".join(str(priority) for priority in range(8) if int(value) >> priority & 1)
    return str(round(value / factor)) if counter.kind == "counter" else repr(value / factor)
