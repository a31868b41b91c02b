"""The tables of a store and of the DuckDB file: their columns in polars and in SQL."""

from __future__ import annotations

import polars as pl

from collectors.store.tidy import COPY
from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA

ROLLUP_KEY: dict[str, type[pl.DataType]] = {
    "time_ns": pl.Int64, "by": pl.String, "network": pl.String, "tier": pl.String, "segment": pl.String,
    "rail": pl.String, "device": pl.String, "group": pl.String, "counter": pl.String,
}  # fmt: skip
"""What a roll-up is of: ``by`` says which of the others are filled (``rail``, ``segment``, ``tier``, ``group``)."""
ROLLUP_SCHEMA: dict[str, type[pl.DataType]] = {
    **ROLLUP_KEY, "sum": pl.Float64, "max": pl.Float64, "p99": pl.Float64, "ports": pl.UInt32,
    "ports_with_errors": pl.UInt32,
}  # fmt: skip
"""Roll-ups: a row a set of ports, counter and interval. ``time_ns`` is the interval's end; sum, max and p99 are of the
ports' rates (units a second), ``ports`` counts those that have one, ``ports_with_errors`` those that counted errors."""

TABLES: dict[str, dict[str, type[pl.DataType]]] = {
    "counters": KEYS,
    "flows": {**FLOW_SCHEMA, COPY: pl.UInt32},
    "outcomes": OUTCOME_SCHEMA,
    "rollups": ROLLUP_SCHEMA,
}
"""Columns by table; ``counters`` gets one more for each counter when it is first seen."""

_SQL: dict[type[pl.DataType], str] = {
    pl.Int64: "BIGINT", pl.UInt64: "UBIGINT", pl.UInt32: "UINTEGER", pl.UInt16: "USMALLINT", pl.UInt8: "UTINYINT",
    pl.Float64: "DOUBLE", pl.String: "VARCHAR",
}  # fmt: skip


def sql_type(dtype: type[pl.DataType]) -> str:
    """DuckDB's type of a column."""
    return _SQL[dtype]


def quoted(name: str) -> str:
    """A column's name in SQL; only names of counters and of schemas come here."""
    return '"' + name.replace('"', '""') + '"'


def create_sql(table: str) -> str:
    """The statement that makes a table where it is not there."""
    columns = ", ".join(f"{quoted(name)} {sql_type(dtype)}" for name, dtype in TABLES[table].items())
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns})"


def empty(table: str) -> pl.DataFrame:
    """A table without rows."""
    return pl.DataFrame(schema=TABLES[table])
