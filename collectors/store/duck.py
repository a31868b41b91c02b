# ruff: noqa: S608  names in statements are those of schemas and counters, values are parameters
"""The default store: one DuckDB file, a wide table of counters with a column a counter, added when first seen.

One process has the file open (``collectors.store.shared`` hands it around). A write is one transaction: it returns when
DuckDB has committed, which syncs its log to disk. There is no index: a batch is compared with the rows of its own span
of time, which row groups in order of time make cheap.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import polars as pl

from collectors.store import merge
from collectors.store.errors import StoreError, StoreFullError
from collectors.store.retention import Retention
from collectors.store.tables import ROLLUP_KEY, ROLLUP_SCHEMA, TABLES, create_sql, quoted, sql_type
from collectors.store.tidy import check, dtype_of, tidy_counters, tidy_flows, tidy_outcomes
from fabric.errors import Problem
from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA, schema

SETTINGS = {"checkpoint_threshold": "128MB", "memory_limit": "2GB", "enable_external_access": "false"}
"""``enable_external_access`` off: no statement reads or writes another file."""
_FULL = ("no space left", "disk full", "file too large", "quota", "out of memory")


class DuckStore:
    """A store in one DuckDB file, for the one process that has it open."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raises StoreError."""
        self.path = path
        self._lock = threading.RLock()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._known: dict[str, str] = {}
        self._counts = {"writes": 0, "write_failures": 0, "rows_written": 0}
        with self._lock, self._errors():
            self._connection()

    def write(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """One transaction; see ``Store.write``."""
        rows = {"counters": tidy_counters(counters)}
        if flows is not None:
            rows["flows"] = tidy_flows(flows)
        if outcomes is not None:
            rows["outcomes"] = tidy_outcomes(outcomes)
        self._write({table: frame for table, frame in rows.items() if frame.height})

    def write_rollups(self, rollups: pl.DataFrame) -> None:
        """One transaction; a roll-up that is there is replaced."""
        frame = rollups.select(pl.col(name).cast(dtype) for name, dtype in ROLLUP_SCHEMA.items())
        frame = frame.unique(list(ROLLUP_KEY), keep="last", maintain_order=True)
        if frame.height:
            self._write({"rollups": frame})

    def _write(self, tables: Mapping[str, pl.DataFrame]) -> None:
        with self._lock, self._transaction() as con:
            for table, frame in tables.items():
                if table == "counters":
                    self._widen(con, frame.columns[len(KEYS) :])
                with _registered(con, frame) as name:
                    merge.into(con, table, name, frame)
        self._counts["writes"] += 1
        self._counts["rows_written"] += sum(frame.height for frame in tables.values())

    def _widen(self, con: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in self._known:
                kind = sql_type(dtype_of(column))
                con.execute(f"ALTER TABLE counters ADD COLUMN IF NOT EXISTS {quoted(column)} {kind}")

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
        check(columns)
        wanted = schema(columns)
        there = set(self.columns())
        present = [name for name in dict.fromkeys(columns) if name in there]
        if not present:
            return pl.DataFrame(schema=wanted)
        named = ", ".join(quoted(name) for name in (*KEYS, *present))
        some = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in present)
        found = self._rows(
            f"SELECT {named} FROM counters", {"device": devices, "port": ports}, start_ns, end_ns, f"({some})"
        )
        missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in wanted.items() if name not in found.columns]
        found = found.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
        return found.sort("device", "port", "time_ns")

    def read_flows(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_flows``."""
        found = self._rows("SELECT * FROM flows", {"device": devices}, start_ns, end_ns)
        return found.sort("time_ns", "device", "in_port", "sample_pool", "src_port").select(*FLOW_SCHEMA)

    def read_outcomes(self, *, devices: Sequence[str] | None = None, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_outcomes``."""
        found = self._rows("SELECT * FROM outcomes", {"device": devices}, start_ns, end_ns)
        return found.sort("time_ns", "device", "source", "outcome").select(*OUTCOME_SCHEMA)

    def read_rollups(self, *, start_ns: int, end_ns: int) -> pl.DataFrame:
        """See ``Store.read_rollups``."""
        return self._rows("SELECT * FROM rollups", {}, start_ns, end_ns).select(*ROLLUP_SCHEMA).sort(list(ROLLUP_KEY))

    def _rows(
        self, select: str, names: Mapping[str, Sequence[str] | None], start_ns: int, end_ns: int, also: str = "TRUE"
    ) -> pl.DataFrame:
        where, values = ["time_ns >= ? AND time_ns < ?", also], [start_ns, end_ns]
        for column, wanted in names.items():
            if wanted is not None:
                where.append(f"list_contains(?, {column})")
                values.append(list(wanted))  # type: ignore[arg-type]  # a list is a parameter as well
        with self._cursor() as cursor:
            found = cursor.sql(f"{select} WHERE {' AND '.join(where)}", params=values)
            rows = pl.from_arrow(found.to_arrow_table())
        assert isinstance(rows, pl.DataFrame)
        return rows

    def columns(self) -> list[str]:
        """See ``Store.columns``."""
        with self._cursor():
            return sorted(self._known)

    def retain(self, retention: Retention) -> Mapping[str, int]:
        """See ``Store.retain``; a transaction for what goes, one a step that is down-sampled."""
        done = dict.fromkeys(("deleted", "downsampled", "written"), 0)
        oldest, before, step = retention.oldest_ns, retention.coarse_before_ns, retention.step_ns
        if oldest is not None:
            with self._lock, self._transaction() as con:
                done["deleted"] = sum(merge.delete(con, table, oldest) for table in TABLES)
        if before is not None and step is not None:
            for start in self._fine_steps(before, step):
                with self._lock, self._transaction() as con:
                    gone, written = merge.downsample(con, self.columns(), start, step)
                    done["downsampled"] += gone
                    done["written"] += written
        with self._lock, self._errors():
            self._connection().execute("CHECKPOINT")
        return done

    def _fine_steps(self, before_ns: int, step_ns: int) -> list[int]:
        with self._cursor() as cursor:
            return merge.fine_steps(cursor, before_ns, step_ns)

    def flush(self) -> None:
        """Nothing waits: a commit can be read at once."""

    def close(self) -> None:
        """Close the file; DuckDB folds its log into it."""
        with self._lock:
            if self._con is not None:
                with suppress(duckdb.Error):
                    self._con.close()
            self._con = None

    def health(self) -> Mapping[str, float]:
        """Writes, failures, rows, and the size of the file and its log."""
        log = self.path.with_name(self.path.name + ".wal")
        sizes = {"file_bytes": self.path, "log_bytes": log}
        with suppress(OSError):
            return {**self._counts, **{name: p.stat().st_size if p.exists() else 0 for name, p in sizes.items()}}
        return dict(self._counts)

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._con is None:
            self._con = duckdb.connect(str(self.path), config=dict(SETTINGS))
            for table in TABLES:
                self._con.execute(create_sql(table))
            self._learn()
        return self._con

    def _learn(self) -> None:
        """The columns of the table as the file has them."""
        assert self._con is not None
        rows = self._con.execute("SELECT name, type FROM pragma_table_info('counters')").fetchall()
        self._known = {name: kind for name, kind in rows if name not in KEYS}

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._errors():
            with self._lock:
                cursor = self._connection().cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._errors():
            con = self._connection()
            con.execute("BEGIN")
            try:
                yield con
                con.execute("COMMIT")
            except BaseException:
                self._undo(con)
                raise
            self._learn()

    def _undo(self, con: duckdb.DuckDBPyConnection) -> None:
        """Roll back; where DuckDB gave the file up (it does when its log cannot be written), open it anew next time."""
        self._counts["write_failures"] += 1
        try:
            con.execute("ROLLBACK")
            con.execute("SELECT 1 FROM counters LIMIT 1").fetchall()
        except duckdb.Error:
            self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise told(error, self.path) from error


def told(error: Exception, path: Path) -> StoreError:
    """DuckDB's error as one of ours."""
    said = str(error).splitlines()[0][:300]
    if any(word in said.lower() for word in _FULL):
        return StoreFullError(Problem(f"duckdb:{path}", f"no room: {said}", "free space, or shorten what is kept"))
    return StoreError(Problem(f"duckdb:{path}", said, "see docs/store.md"))


_counter = itertools.count()


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> Iterator[str]:
    name = f"batch_{next(_counter)}"
    con.register(name, frame.to_arrow())
    try:
        yield name
    finally:
        with suppress(duckdb.Error):
            con.unregister(name)
