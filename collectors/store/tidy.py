"""What every store does with a table before it is written: known columns, whole milliseconds, one row a key.

A key is (``time_ns``, ``device``, ``port``, column) and has one value. The times of counters, outcomes and roll-ups are
floored to whole milliseconds, because VictoriaMetrics keeps no more and the same write must be the same key everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from fabric.counters import parse
from fabric.errors import InputError, Problem
from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA

MILLISECOND_NS = 1_000_000
KEY = ("time_ns", "device", "port")
MOST_TEXT = 200
COPY = "copy"
"""Of a flow sample: which of several equal ones of the same write it is; equal samples of two writes are one."""


def tidy_counters(frame: pl.DataFrame) -> pl.DataFrame:
    """The table as it is stored: keys and counters in the dtypes of the schema, one row a key, none without values.

    Of several rows with one key the last value that is not null stays. Raises InputError for columns that are no
    counters and rows without time or device.
    """
    columns = [name for name in frame.columns if name not in KEYS]
    check(columns)
    _check_keys(frame, ("time_ns", "device"), "counters")
    columns = [name for name in columns if frame[name].null_count() < frame.height]
    found = frame.select(
        *(_floored(name) for name in ("time_ns", "received_ns")),
        pl.col("device").cast(pl.String),
        pl.col("port").cast(pl.String).replace("", None),
        *(_storable(name) for name in columns),
    )
    if not columns:
        return found.clear()
    found = found.filter(pl.any_horizontal(pl.col(columns).is_not_null()))
    return _merged(found, columns)


def _storable(name: str) -> pl.Expr:
    """The values in the dtype of the schema, as every server takes them: no infinities, texts not longer than a tag."""
    dtype = dtype_of(name)
    value = pl.col(name).cast(dtype)
    if dtype == pl.String:
        return value.str.slice(0, MOST_TEXT)
    return pl.when(value.is_finite()).then(value).alias(name) if dtype == pl.Float64 else value


def _merged(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    if not frame.select(*KEY).is_duplicated().any():
        return frame
    last = [pl.col(name).drop_nulls().last() for name in ("received_ns", *columns)]
    return frame.group_by(KEY, maintain_order=True).agg(last).select(*KEYS, *columns)


def tidy_flows(frame: pl.DataFrame) -> pl.DataFrame:
    """Flow samples in the dtypes of the schema, and ``copy``; their times stay as they are."""
    _check_keys(frame, ("time_ns", "device"), "flow samples")
    found = frame.select(pl.col(name).cast(dtype) for name, dtype in FLOW_SCHEMA.items())
    return found.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).over(list(FLOW_SCHEMA)).alias(COPY))


def tidy_outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """Outcomes in the dtypes of the schema; the same one is there once."""
    _check_keys(frame, ("time_ns", "source", "outcome"), "outcomes")
    found = frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOME_SCHEMA.items())
    return found.with_columns(_floored("time_ns"), _floored("received_ns")).unique(maintain_order=True)


def check(columns: Iterable[str]) -> None:
    """Raise InputError with every column that is no counter."""
    problems = [
        Problem("samples", f'unknown column "{name[:60]}"', "docs/counters.md names all counters")
        for name in columns
        if parse(name) is None
    ]
    if problems:
        raise InputError(problems)


def dtype_of(column: str) -> type[pl.DataType]:
    """Of a counter's column; raises KeyError for what is none."""
    found = parse(column)
    if found is None:
        raise KeyError(column)
    return found[0].dtype


def _floored(name: str) -> pl.Expr:
    whole = pl.col(name).cast(pl.Int64)
    return whole - whole % MILLISECOND_NS


def _check_keys(frame: pl.DataFrame, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if frame[name].null_count()]
    if missing:
        raise InputError(Problem(what, f"rows without {' and '.join(missing)}", "leave them out"))
