"""Stores of samples behind one protocol: a DuckDB file, InfluxDB 2, VictoriaMetrics.

What ``write`` acknowledged (by returning) is on disk: in DuckDB's committed file, or in our own spool, from which it
goes to the server and where it stays until the server is known to have it on disk. Writing the same again changes
nothing: a key (``time_ns``, ``device``, ``port``, column) has one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from collectors.store.errors import StoreAwayError, StoreError, StoreFullError

if TYPE_CHECKING:
    import polars as pl

    from collectors.store.retention import Retention
    from fabric.plan import Plan

__all__ = ["Store", "StoreAwayError", "StoreError", "StoreFullError", "open_store"]


class Store(Protocol):
    """Where samples are kept. Every method may be called from any thread; times are nanoseconds since 1970 (UTC)."""

    def write(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """Keep the tables of ``fabric.samples``; returns when they are on disk.

        Raises StoreFullError where there is no room and StoreError where the disk fails: then nothing was
        acknowledged, and the same write may be tried again.
        """
        ...

    def read(
        self,
        columns: Sequence[str],
        *,
        devices: Sequence[str] | None = None,
        ports: Sequence[str] | None = None,
        start_ns: int,
        end_ns: int,
    ) -> pl.DataFrame:
        """Keys and ``columns``, sorted by device, port and time: rows of [start_ns, end_ns) that have any of them.

        ``devices``, ``ports``: only those. Raises InputError for an unknown column, StoreAwayError.
        """
        ...

    def read_flows(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """Flow samples of [start_ns, end_ns), sorted by time and device."""
        ...

    def read_outcomes(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """How polls of [start_ns, end_ns) ended, sorted by time, device and source."""
        ...

    def write_rollups(self, rollups: pl.DataFrame) -> None:
        """Keep a table of ``collectors.store.rollups``; as durable and idempotent as ``write``."""
        ...

    def read_rollups(self, *, start_ns: int, end_ns: int) -> pl.DataFrame:
        """Roll-ups of [start_ns, end_ns), sorted by time and key."""
        ...

    def columns(self) -> list[str]:
        """The columns of counters that the store has, sorted."""
        ...

    def retain(self, retention: Retention) -> Mapping[str, int]:
        """Delete and down-sample what is too old; rows deleted and written, by table. Interrupted, run it again."""
        ...

    def flush(self) -> None:
        """Return when all that was acknowledged can be read; raises StoreAwayError where the server does not answer."""
        ...

    def close(self) -> None:
        """Give back files and sockets; what was acknowledged stays."""
        ...

    def health(self) -> Mapping[str, float]:
        """Its own counters and gauges by name."""
        ...


def open_store(url: str, *, spool: Path | None = None, plan: Plan | None = None) -> Store:
    """The store of a URL.

    ``duckdb:FILE``, ``influxdb://HOST:PORT/ORG/BUCKET?tls=1`` or ``victoriametrics://HOST:PORT``; ``spool``: the folder
    of what a server has not got yet (default: below the user's state folder), ``plan``: gives series their tags.
    Raises InputError for a URL that is none and for a missing token.
    """
    from collectors.store.urls import parse_url

    parsed = parse_url(url)
    if parsed.kind == "duckdb":
        from collectors.store.shared import SharedDuck

        return SharedDuck(parsed.path)
    from collectors.store.lines import LineStore

    return LineStore.of(parsed, spool, plan)
