# ruff: noqa: S608  names in statements are those of schemas and counters, values are whole numbers
"""The statements that put a batch into a table of DuckDB, once, and that thin a table out.

Names in them are those of schemas and counters, never of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from collectors.store.retention import aggregate_of
from collectors.store.tables import ROLLUP_KEY, quoted
from collectors.store.tidy import KEY, MILLISECOND_NS
from fabric.samples import KEYS

_SAME = {
    "counters": " AND ".join(f"t.{name} IS NOT DISTINCT FROM b.{name}" for name in KEY),
    "rollups": " AND ".join(f"t.{quoted(name)} IS NOT DISTINCT FROM b.{quoted(name)}" for name in ROLLUP_KEY),
}


def into(con: duckdb.DuckDBPyConnection, table: str, batch: str, frame: pl.DataFrame) -> None:
    """Put the batch (a view of that name, holding ``frame``) into the table; what is there is not doubled."""
    first, last = frame.select(first=pl.col("time_ns").min(), last=pl.col("time_ns").max()).row(0)
    span = f"t.time_ns BETWEEN {int(first)} AND {int(last)}"
    if table == "counters":
        _counters(con, batch, frame.columns[len(KEYS) :], span)
    elif table == "rollups":
        con.execute(f"DELETE FROM rollups t USING {batch} b WHERE {span} AND {_SAME[table]}")
        con.execute(f"INSERT INTO rollups BY NAME SELECT * FROM {batch}")
    else:
        names = ", ".join(quoted(name) for name in frame.columns)
        there = f"SELECT {names} FROM {table} t WHERE {span}"
        con.execute(f"INSERT INTO {table} BY NAME (SELECT {names} FROM {batch} EXCEPT {there})")


def _counters(con: duckdb.DuckDBPyConnection, batch: str, columns: Sequence[str], span: str) -> None:
    same = _SAME["counters"]
    if not _one(con, f"SELECT count(*) FROM counters t SEMI JOIN {batch} b ON {same} WHERE {span}"):
        con.execute(f"INSERT INTO counters BY NAME SELECT * FROM {batch}")
        return
    filled = ", ".join(f"{quoted(c)} = coalesce(b.{quoted(c)}, t.{quoted(c)})" for c in columns)
    news = " OR ".join(f"(b.{quoted(c)} IS NOT NULL AND t.{quoted(c)} IS DISTINCT FROM b.{quoted(c)})" for c in columns)
    rest = f"SELECT b.* FROM {batch} b ANTI JOIN (SELECT * FROM counters t WHERE {span}) t ON {same}"
    con.execute(f"UPDATE counters t SET {filled} FROM {batch} b WHERE {span} AND {same} AND ({news})")
    con.execute(f"INSERT INTO counters BY NAME {rest}")


def delete(con: duckdb.DuckDBPyConnection, table: str, before_ns: int) -> int:
    """Delete what is older; the number of rows."""
    gone = _one(con, f"SELECT count(*) FROM {table} WHERE time_ns < {before_ns}")
    if gone:
        con.execute(f"DELETE FROM {table} WHERE time_ns < {before_ns}")
    return gone


def fine_steps(con: duckdb.DuckDBPyConnection, before_ns: int, step_ns: int) -> list[int]:
    """Starts of the steps before a time that hold rows which are not down-sampled."""
    rest = step_ns - MILLISECOND_NS
    rows = con.execute(
        f"SELECT DISTINCT time_ns - time_ns % {step_ns} FROM counters "
        f"WHERE time_ns < {before_ns} AND time_ns % {step_ns} <> {rest} ORDER BY 1"
    )
    return [int(start) for (start,) in rows.fetchall()]


def downsample(con: duckdb.DuckDBPyConnection, columns: Sequence[str], start_ns: int, step_ns: int) -> tuple[int, int]:
    """Replace the rows of one step by one a port, as ``retention.downsampled`` makes it; rows gone, rows written."""
    within = f"time_ns >= {start_ns} AND time_ns < {start_ns + step_ns}"
    named = ", ".join(f"{_kept(name)} AS {quoted(name)}" for name in columns)
    time = start_ns + step_ns - MILLISECOND_NS
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE coarse AS SELECT CAST({time} AS BIGINT) AS time_ns, "
        f"arg_max(received_ns, time_ns) AS received_ns, device, port, {named} "
        f"FROM counters WHERE {within} GROUP BY device, port"
    )
    gone = _one(con, f"SELECT count(*) FROM counters WHERE {within}")
    con.execute(f"DELETE FROM counters WHERE {within}")
    con.execute("INSERT INTO counters BY NAME SELECT * FROM coarse")
    return gone, _one(con, "SELECT count(*) FROM coarse")


def _kept(column: str) -> str:
    how, name = aggregate_of(column), quoted(column)
    return {"last": f"arg_max({name}, time_ns)", "max": f"max({name})", "mean": f"avg({name})"}[how]


def _one(con: duckdb.DuckDBPyConnection, statement: str) -> int:
    found: Any = con.execute(statement).fetchone()
    return int(found[0])
