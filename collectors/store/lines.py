"""A store in a server that takes line protocol: written through our spool, read back as the same tables.

Counters, gauges and texts are series. Flow samples, how polls ended and roll-ups in full are no series (an address, a
queue pair or a message is never a tag): they are tables of a DuckDB file beside the spool; polls and roll-ups are
series as well, for dashboards.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from collectors.store import answers
from collectors.store.drain import Drain
from collectors.store.line import counter_lines, outcome_lines, rollup_lines
from collectors.store.retention import Retention
from collectors.store.series import SeriesTags
from collectors.store.server import Server
from collectors.store.shared import SharedDuck
from collectors.store.spool import MOST_BYTES, Spool
from collectors.store.thinning import thin_out
from collectors.store.tidy import check, tidy_counters, tidy_outcomes
from collectors.store.urls import StoreUrl
from fabric.errors import InputError, Problem
from fabric.samples import empty

if TYPE_CHECKING:
    from fabric.plan import Plan

FLUSH_S = 120.0
"""How long a server may take nothing before ``flush`` gives up."""
_FLAG = "VictoriaMetrics keeps everything as long as its own -retentionPeriod says, and thins nothing out"


class LineStore:
    """The store of ``influxdb://…`` and ``victoriametrics://…``."""

    def __init__(
        self, server: Server, folder: Path, tags: SeriesTags, fabric: str | None, most_bytes: int = MOST_BYTES
    ) -> None:
        """``folder``: of the spool and of what is no series; both are opened when first needed."""
        self.folder, self._server, self._tags, self._fabric = folder, server, tags, fabric
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._spool: Spool | None = None
        self._drain: Drain | None = None
        self._events: SharedDuck | None = None
        self._rows = 0

    @staticmethod
    def of(url: StoreUrl, spool: Path | None, plan: Plan | None) -> LineStore:
        """The store of a URL."""
        from collectors.store.influx import InfluxServer
        from collectors.store.victoria import VictoriaServer

        server: Server = InfluxServer(url) if url.kind == "influxdb" else VictoriaServer(url)
        tags = SeriesTags.none() if plan is None else SeriesTags.of(plan)
        return LineStore(server, spool or default_spool(url), tags, plan.intent.name if plan else None)

    def write(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """See ``Store.write``: returns when the spool and the file beside it are synced."""
        rows = tidy_counters(counters)
        if (flows is not None and flows.height) or (outcomes is not None and outcomes.height):
            self._beside().write(empty(), flows, outcomes)
        self._append(counter_lines(rows, self._tags))
        if outcomes is not None and outcomes.height:
            self._append(outcome_lines(tidy_outcomes(outcomes), self._fabric))
        self._rows += rows.height

    def write_rollups(self, rollups: pl.DataFrame) -> None:
        """See ``Store.write_rollups``."""
        if rollups.height:
            self._beside().write_rollups(rollups)
            self._append(rollup_lines(rollups, self._fabric))

    def _append(self, lines: Iterable[bytes | memoryview]) -> None:
        spool, _ = self._opened()
        for part in lines:
            if part:
                spool.append(part)

    def read(
        self,
        columns: Sequence[str],
        *,
        devices: Sequence[str] | None = None,
        ports: Sequence[str] | None = None,
        start_ns: int,
        end_ns: int,
    ) -> pl.DataFrame:
        """See ``Store.read``: what reached the server (``flush`` waits until all has)."""
        check(columns)
        asked = answers.Asked(tuple(dict.fromkeys(columns)), devices, ports, start_ns, end_ns)
        return answers.read(self._server, asked)

    def read_flows(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_flows``: those that were written through this folder."""
        return self._beside().read_flows(devices=devices, start_ns=start_ns, end_ns=end_ns)

    def read_outcomes(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_outcomes``: those that were written through this folder."""
        return self._beside().read_outcomes(devices=devices, start_ns=start_ns, end_ns=end_ns)

    def read_rollups(self, *, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_rollups``: those that were written through this folder."""
        return self._beside().read_rollups(start_ns=start_ns, end_ns=end_ns)

    def columns(self) -> list[str]:
        """See ``Store.columns``."""
        return answers.columns(self._server.known_fields())

    def retain(self, retention: Retention) -> Mapping[str, int]:
        """See ``Store.retain``; raises InputError for VictoriaMetrics, whose own flags do that."""
        from collectors.store.influx import InfluxServer

        if not isinstance(self._server, InfluxServer):
            raise InputError(Problem(self._server.url.where, _FLAG, "start it with -retentionPeriod=90d"))
        done = {"deleted": 0, "downsampled": 0, "written": 0}
        if retention.keep_ns is not None:
            done |= self._beside().retain(Retention(retention.now_ns, retention.keep_ns))
            self._server.keep(max(3600, retention.keep_ns // 1_000_000_000))
        return {**done, **thin_out(self, self._server, retention, self.folder / "downsampled.json")}

    def flush(self) -> None:
        """See ``Store.flush``."""
        _, drain = self._opened()
        drain.wait_kept(FLUSH_S)
        self._server.show()

    def close(self) -> None:
        """Stop sending; what the server has not got stays in the spool."""
        with self._lock:
            if self._drain is not None:
                self._drain.stop()
            if self._spool is not None:
                self._spool.close()
            if self._events is not None:
                self._events.close()
            self._drain = self._spool = self._events = None
        self._server.close()

    def health(self) -> Mapping[str, float]:
        """Rows written, what waits in the spool, what was sent, whether the server is away."""
        spool, drain = self._opened()
        waiting = {"spool_bytes": spool.size, "spool_records": spool.kept, "spool_unsent_records": spool.pending}
        return {"rows_written": self._rows, **waiting, "spool_torn_tails": spool.torn, **drain.health()}

    def _opened(self) -> tuple[Spool, Drain]:
        with self._lock:
            if self._spool is None or self._drain is None:
                self._spool = Spool(self.folder, self._most_bytes)
                self._drain = Drain(self._spool, self._server)
            return self._spool, self._drain

    def _beside(self) -> SharedDuck:
        with self._lock:
            if self._events is None:
                self._events = SharedDuck(self.folder / "events.duckdb")
            return self._events


def default_spool(url: StoreUrl) -> Path:
    """A folder of the user's state for a server: ``$XDG_STATE_HOME/railwright/spool/…``."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "railwright" / "spool" / hashlib.sha256(url.where.encode()).hexdigest()[:16]
