"""A DuckDB file for several processes: the first to come has it open and answers the others.

DuckDB lets one process write and then no other even read. So whoever gets the lock beside the file is its owner and
listens on a socket beside it; all others ask there. When the owner ends, however it ends, the kernel frees the lock and
the next to need the store becomes its owner. Calls are idempotent, so a call whose owner died is made again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from collectors.store import wire
from collectors.store.duck import DuckStore
from collectors.store.errors import StoreAwayError, StoreError, StoreFullError
from collectors.store.retention import Retention
from collectors.store.serving import Server
from fabric.errors import InputError, Problem, RailwrightError

T = TypeVar("T")
PATIENCE_S = 20.0
"""How long a call waits for an owner that is starting, ending or busy opening the file."""
ANSWER_S = 300.0
_KINDS: dict[str, type[RailwrightError]] = {"input": InputError, "full": StoreFullError, "store": StoreError}


class SharedDuck:
    """The store of ``duckdb:FILE``: its owner, or one that asks the owner."""

    def __init__(self, path: Path) -> None:
        """Own the file or find its owner; raises StoreError where neither is possible."""
        self.path = path.absolute()
        self._lock = threading.RLock()
        self._own: DuckStore | None = None
        self._server: Server | None = None
        self._lock_file: int | None = None
        self._sock: socket.socket | None = None
        self._call(lambda _: None, "columns")

    def write(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """See ``Store.write``."""
        tables = {"counters": counters, "flows": flows, "outcomes": outcomes}
        given = {name: table for name, table in tables.items() if table is not None}
        self._call(lambda own: own.write(counters, flows, outcomes), "write", tables=given)

    def read(
        self,
        columns: Sequence[str],
        *,
        devices: Sequence[str] | None = None,
        ports: Sequence[str] | None = None,
        start_ns: int,
        end_ns: int,
    ) -> pl.DataFrame:
        """See ``Store.read``."""
        args = {"columns": list(columns), "devices": _list(devices), "ports": _list(ports)}
        return self._table("read", {**args, "start_ns": start_ns, "end_ns": end_ns})

    def read_flows(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_flows``."""
        return self._table("read_flows", {"devices": _list(devices), "start_ns": start_ns, "end_ns": end_ns})

    def read_outcomes(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_outcomes``."""
        return self._table("read_outcomes", {"devices": _list(devices), "start_ns": start_ns, "end_ns": end_ns})

    def write_rollups(self, rollups: pl.DataFrame) -> None:
        """See ``Store.write_rollups``."""
        self._call(lambda own: own.write_rollups(rollups), "write_rollups", tables={"rollups": rollups})

    def read_rollups(self, *, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_rollups``."""
        return self._table("read_rollups", {"start_ns": start_ns, "end_ns": end_ns})

    def columns(self) -> list[str]:
        """See ``Store.columns``."""
        return self._value(lambda own: own.columns(), "columns")

    def retain(self, retention: Retention) -> Mapping[str, int]:
        """See ``Store.retain``."""
        return self._value(lambda own: own.retain(retention), "retain", asdict(retention))

    def health(self) -> Mapping[str, float]:
        """See ``Store.health``; ``owner`` is 1 in the process that has the file open."""
        found = self._value(lambda own: own.health(), "health")
        return {**found, "owner": float(self._own is not None)}

    def flush(self) -> None:
        """Nothing waits: what was acknowledged can be read."""

    def close(self) -> None:
        """Give the file to the next who needs it."""
        with self._lock:
            if self._sock is not None:
                self._sock.close()
            if self._server is not None:
                self._server.close()
            if self._own is not None:
                self._own.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
            self._sock = self._server = self._own = self._lock_file = None

    def _table(self, name: str, args: Mapping[str, Any]) -> pl.DataFrame:
        found = self._call(lambda own: getattr(own, name)(**args), name, args)
        rows: pl.DataFrame = found[1]["rows"] if isinstance(found, tuple) else found
        return rows

    def _value(self, direct: Callable[[DuckStore], T], name: str, args: Mapping[str, Any] | None = None) -> T:
        found = self._call(direct, name, args or {})
        value: T = found[0]["value"] if isinstance(found, tuple) else found
        return value

    def _call(
        self,
        direct: Callable[[DuckStore], T],
        name: str,
        args: Mapping[str, Any] | None = None,
        tables: Mapping[str, pl.DataFrame] | None = None,
    ) -> T | wire.Message:
        """``direct`` where the file is ours, else the owner's answer; asks the next owner where one went away."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with self._lock:
                own = self._attached()
            if own is not None:
                return direct(own)
            try:
                with self._lock:
                    if self._sock is not None:
                        return self._ask(self._sock, {"call": name, "args": args or {}}, tables or {})
            except (OSError, ValueError) as error:
                self._let_go()
                if time.monotonic() > until:
                    raise _away(self.path, str(error)) from error
            if time.monotonic() > until:
                raise _away(self.path, "nobody answers")
            time.sleep(0.02)

    def _ask(self, sock: socket.socket, header: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> wire.Message:
        wire.send(sock, header, tables)
        answer = wire.receive(sock)
        kind = answer[0].get("error")
        if kind:
            raise _KINDS.get(kind, StoreError)([Problem(*problem) for problem in answer[0]["problems"]])
        return answer

    def _let_go(self) -> None:
        with self._lock:
            if self._sock is not None:
                self._sock.close()
            self._sock = None

    def _attached(self) -> DuckStore | None:
        """The file, opened now if its lock is free; else None, and a connection to the owner if there is one."""
        if self._own is None and self._sock is None:
            self._lock_file = _locked(self.path)
            if self._lock_file is None:
                self._sock = _connected(self.path)
            else:
                self._take()
        return self._own

    def _take(self) -> None:
        try:
            self._own = DuckStore(self.path)
            self._server = Server(self._own)
        except OSError as error:
            self.close()
            raise StoreError(
                Problem(f"duckdb:{self.path}", f"cannot be opened: {error}", "see docs/store.md")
            ) from error
        except RailwrightError:
            self.close()
            raise


def _locked(path: Path) -> int | None:
    """The lock beside the file, or None where another has it; raises StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise StoreError(Problem(f"duckdb:{path}", f"cannot be opened: {said}", "name a file of yours")) from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


def _connected(path: Path) -> socket.socket | None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(ANSWER_S)
    try:
        sock.connect(wire.address(folder, wire.socket_name(path)))
    except OSError:
        sock.close()
        return None
    finally:
        os.close(folder)
    return sock


def _away(path: Path, said: str) -> StoreAwayError:
    what = f"another process has the file open and does not answer ({said})"
    return StoreAwayError(Problem(f"duckdb:{path}", what, "end it; what it acknowledged is safe"))


def _list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)
