"""The owner's side: answers other processes that want the DuckDB file it has open."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import polars as pl

from collectors.store import wire
from collectors.store.duck import DuckStore
from collectors.store.errors import StoreFullError
from collectors.store.retention import Retention
from fabric.errors import InputError, RailwrightError

MOST_CLIENTS = 64
_CRED = struct.Struct("3i")

Answer = tuple[Mapping[str, Any], Mapping[str, pl.DataFrame]]


class Server:
    """A thread that listens beside the file, and one for each process that asks."""

    def __init__(self, store: DuckStore) -> None:
        """Listen; only processes of the same user (or root) are answered."""
        self.store = store
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._folder = os.open(store.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self._name = wire.socket_name(store.path)
        self._listener = self._bind()
        self._thread = threading.Thread(target=self._accept, name="store-server", daemon=True)
        self._thread.start()

    def _bind(self) -> socket.socket:
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(wire.address(self._folder, self._name))
        (self.store.path.parent / self._name).chmod(0o600)
        listener.listen(MOST_CLIENTS)
        return listener

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                welcome = len(self._clients) < MOST_CLIENTS and _ours(client)
                if welcome:
                    self._clients.add(client)
            if welcome:
                threading.Thread(target=self._serve, args=(client,), name="store-client", daemon=True).start()
            else:
                client.close()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError, RecursionError, MemoryError, pl.exceptions.PolarsError), client:
            while True:
                header, tables = wire.receive(client)
                wire.send(client, *answer(self.store, header, tables))
        with self._lock:
            self._clients.discard(client)

    def close(self) -> None:
        """Stop; who is in the middle of a call sees the connection end and asks the next owner."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)
        with self._lock:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        os.close(self._folder)


def _ours(client: socket.socket) -> bool:
    _, user, _ = _CRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size))
    return user in {0, os.geteuid()}


def answer(store: DuckStore, header: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> Answer:
    """What a call gives, or the problems it met; never raises for what was asked."""
    try:
        call = CALLS[str(header.get("call"))]
        return call(store, header.get("args") or {}, tables)
    except RailwrightError as error:
        kind = "input" if isinstance(error, InputError) else "full" if isinstance(error, StoreFullError) else "store"
        return {"error": kind, "problems": [[p.where, p.what, p.remedy] for p in error.problems]}, {}
    except (KeyError, TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        return {
            "error": "input",
            "problems": [["store", f"asked for what there is not ({type(error).__name__})", ""]],
        }, {}


def _write(store: DuckStore, _: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> Answer:
    store.write(tables["counters"], tables.get("flows"), tables.get("outcomes"))
    return {}, {}


def _write_rollups(store: DuckStore, _: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> Answer:
    store.write_rollups(tables["rollups"])
    return {}, {}


def _retain(store: DuckStore, args: Mapping[str, Any], _: Mapping[str, pl.DataFrame]) -> Answer:
    return {"value": dict(store.retain(Retention(**args)))}, {}


def _value(name: str) -> Callable[[DuckStore, Mapping[str, Any], Mapping[str, pl.DataFrame]], Answer]:
    def call(store: DuckStore, args: Mapping[str, Any], _: Mapping[str, pl.DataFrame]) -> Answer:
        found = getattr(store, name)(**args)
        return {"value": dict(found) if isinstance(found, Mapping) else found}, {}

    return call


def _table(name: str) -> Callable[[DuckStore, Mapping[str, Any], Mapping[str, pl.DataFrame]], Answer]:
    def call(store: DuckStore, args: Mapping[str, Any], _: Mapping[str, pl.DataFrame]) -> Answer:
        return {}, {"rows": getattr(store, name)(**args)}

    return call


CALLS: Mapping[str, Callable[[DuckStore, Mapping[str, Any], Mapping[str, pl.DataFrame]], Answer]] = {
    "write": _write,
    "write_rollups": _write_rollups,
    "retain": _retain,
    "columns": _value("columns"),
    "health": _value("health"),
    **{name: _table(name) for name in ("read", "read_flows", "read_outcomes", "read_rollups")},
}
"""All that may be asked."""
