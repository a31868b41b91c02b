"""Tables of samples as arrays: columns without a copy, and which row is each port's last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from numba import njit

from collectors.detectors.view import NONE, Ints, Mask
from fabric.counters import parse
from fabric.samples import KEYS

NEVER = int(np.iinfo(np.int64).min)
Values = npt.NDArray[Any]
Bits = npt.NDArray[np.uint8]
ALL = np.zeros(0, dtype=np.uint8)
"""Stands for the validity bits of a column without nulls."""
NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(eq=False)
class Last:
    """The last sample of one column by port: value, the device's time and ours; NEVER where there is none.

    Arrays are never changed once they are here, and columns that came in the same rows share those of times.
    """

    value: Values
    time_ns: Ints
    received_ns: Ints

    @property
    def known(self) -> Mask:
        """Ports that have one."""
        found: Mask = self.time_ns != NEVER
        return found


@dataclass(eq=False)
class Rows:
    """Rows of a table. ``ids``: port ids, NONE for what is no port of the plan; received NEVER where it is not told."""

    ids: Ints
    time_ns: Ints
    received_ns: Ints
    ports: int
    single: bool
    """Whether the plan's ports have a row each at most."""
    _picks: dict[bytes, Ints] = field(default_factory=dict)
    _times: dict[tuple[int, int], tuple[Ints, Ints]] = field(default_factory=dict)

    def pick(self, valid: Bits) -> Ints:
        """By port: its last row among those whose bit is set, NONE without any; empty where no port has one.

        Of rows of the same time the one that was received first counts, as in ``collectors.rates``.
        """
        key = valid.tobytes()
        if key not in self._picks:
            found = _last_rows(self.ids, self.time_ns, self.received_ns, valid, self.ports)
            self._picks[key] = found if (found >= 0).any() else NOTHING
        return self._picks[key]

    def onto(self, last: Last, values: Values, at: Ints) -> Last:
        """The last samples after the rows ``at``, a port each; ``values`` is by row."""
        value = last.value
        if _differs(at, values, last.value):
            value = _scattered(at, values, last.value)
        key = id(at), id(last.time_ns)
        if key not in self._times:
            self._times[key] = (
                _scattered(at, self.time_ns, last.time_ns), _scattered(at, self.received_ns, last.received_ns)
            )  # fmt: skip
        return Last(value, *self._times[key])


class Texts:
    """What each port said last, by column; what is the same as the last time costs next to nothing."""

    def __init__(self, ports: int) -> None:
        """Nothing said yet."""
        self.by_column: dict[str, dict[int, str]] = {}
        self._ports = ports
        self._rows: dict[str, tuple[Ints, pl.Series]] = {}
        self._said: dict[str, pl.Series] = {}

    def take(self, column: str, words: pl.Series, rows: Rows, valid: Bits) -> None:
        """Take over a column of a table."""
        before = self._rows.get(column)
        if before is not None and before[0] is rows.ids and before[1].equals(words) and rows.single:
            return
        self._rows[column] = rows.ids, words
        at = rows.pick(valid)
        heard = np.flatnonzero(at >= 0)
        now = pl.DataFrame({"port": heard, "now": words.gather(at[heard])})
        said = self._said.setdefault(column, pl.Series([None] * self._ports, dtype=pl.String))
        new = now.filter(pl.col("now").ne_missing(said.gather(heard)))
        if new.height:
            self._said[column] = said.scatter(new["port"], new["now"])
            texts = zip(new["port"].to_list(), new["now"].to_list(), strict=True)
            self.by_column.setdefault(column, {}).update(texts)


def counted(frame: pl.DataFrame) -> pl.DataFrame:
    """The keys of a table and its columns of counters, in the dtypes of the schema; what does not fit is null."""
    names, dtypes = _wanted(tuple(frame.columns))
    rows = frame if len(names) == frame.width else frame.select(names)
    if rows.dtypes == dtypes:
        return rows
    wrong = [(name, dtype) for name, dtype in zip(names, dtypes, strict=True) if rows.schema[name] != dtype]
    return rows.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in wrong)


@lru_cache(maxsize=64)
def _wanted(columns: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    """Columns of a table that are keys or counters, and their dtypes."""
    known = {column: KEYS.get(column) or (found[0].dtype if (found := parse(column)) else None) for column in columns}
    kept = {column: dtype for column, dtype in known.items() if dtype is not None}
    return list(kept), list(kept.values())


def one_table(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of counters on top of each other, each column in one piece."""
    return (frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")).rechunk()


def arrays(frame: pl.DataFrame) -> Iterator[tuple[str, Values | None, Bits]]:
    """Each column of a table (in one piece) that is not all null: values, None for texts, and its validity bits."""
    table = pa.RecordBatchReader.from_stream(frame).read_all()  # pa.table would import pandas
    for name, column in zip(frame.columns, table.columns, strict=True):
        if name not in KEYS and column.null_count < frame.height:
            yield name, *_buffers(column.chunk(0))


def _buffers(column: pa.Array) -> tuple[Values | None, Bits]:
    valid, data = column.buffers()[:2]
    bits = ALL if valid is None or column.null_count == 0 else _aligned(valid, column.offset, len(column))
    if not pa.types.is_primitive(column.type):
        return None, bits
    dtype = _dtype(column.type)
    return np.frombuffer(data, dtype, len(column), column.offset * dtype.itemsize), bits


@lru_cache(maxsize=32)
def _dtype(kind: pa.DataType) -> np.dtype[Any]:
    found: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return found


def _aligned(valid: pa.Buffer, offset: int, rows: int) -> Bits:
    bits = np.frombuffer(valid, np.uint8, (offset + rows + 7) // 8)
    return np.packbits(np.unpackbits(bits, bitorder="little")[offset:], bitorder="little") if offset else bits


@njit(cache=True, nogil=True)
def _last_rows(ids: Ints, time_ns: Ints, received_ns: Ints, valid: Bits, ports: int) -> Ints:
    found = np.full(ports, NONE)
    for row in range(len(ids)):
        port = ids[row]
        if port < 0 or (len(valid) and not (valid[row >> 3] >> (row & 7)) & 1):
            continue
        last = found[port]
        newer = last < 0 or time_ns[row] > time_ns[last]
        if newer or (time_ns[row] == time_ns[last] and received_ns[row] < received_ns[last]):
            found[port] = row
    return found


@njit(cache=True, nogil=True)
def _differs(at: Ints, values: Values, before: Values) -> bool:
    for port in range(len(at)):
        row = at[port]
        if row >= 0 and values[row] != before[port]:
            return True
    return False


@njit(cache=True, nogil=True)
def _scattered(at: Ints, values: Values, before: Values) -> Values:
    """The value of each port's row, and what was before where it has none."""
    found = np.empty_like(before)
    for port in range(len(at)):
        row = at[port]
        found[port] = values[row] if row >= 0 else before[port]
    return found
