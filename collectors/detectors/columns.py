"""Tables of samples as arrays: columns without a copy, and which row is each port's last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from numba import njit

from collectors.detectors.view import NONE, Ints, Mask, View
from fabric.counters import parse
from fabric.samples import KEYS

NEVER = int(np.iinfo(np.int64).min)
Values = npt.NDArray[Any]
Bits = npt.NDArray[np.uint8]
ALL = np.zeros(0, dtype=np.uint8)
"""Stands for the validity bits of a column without nulls."""


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
    _picks: dict[bytes, Ints] = field(default_factory=dict)
    _times: dict[tuple[int, int], tuple[Ints, Ints]] = field(default_factory=dict)

    def pick(self, valid: Bits) -> Ints:
        """By port: its last row among those whose bit is set, NONE without any.

        Of rows of the same time the one that was received first counts, as in ``collectors.rates``.
        """
        key = valid.tobytes()
        if key not in self._picks:
            self._picks[key] = _last_rows(self.ids, self.time_ns, self.received_ns, valid, self.ports)
        return self._picks[key]

    def onto(self, last: Last, values: Values, valid: Bits) -> Last:
        """The last samples after these rows; ``values`` is by row."""
        at = self.pick(valid)
        value = np.empty(self.ports, last.value.dtype)
        if not _scatter(at, values, last.value, value):
            value = last.value
        key = id(at), id(last.time_ns)
        if key not in self._times:
            time_ns, received_ns = np.empty(self.ports, np.int64), np.empty(self.ports, np.int64)
            _scatter(at, self.time_ns, last.time_ns, time_ns)
            _scatter(at, self.received_ns, last.received_ns, received_ns)
            self._times[key] = time_ns, received_ns
        return Last(value, *self._times[key])


class Ids:
    """Port ids of the rows of a table; a table with the same rows as the one before costs next to nothing."""

    def __init__(self, view: View) -> None:
        """Nothing seen yet."""
        self.view = view
        self._known: tuple[pl.Series, pl.Series, Ints] | None = None

    def of(self, device: pl.Series, port: pl.Series) -> Ints:
        """Port ids by row, NONE for what the plan does not have."""
        if self._known is not None:
            devices, ports, ids = self._known
            if device.equals(devices) and port.equals(ports):
                return ids
        rows = pl.DataFrame({"device": device, "port": port})
        found = rows.join(self.view.keys, on=["device", "port"], how="left", maintain_order="left")["id"]
        ids = found.fill_null(NONE).to_numpy()
        self._known = device, port, ids
        return ids


def counted(frame: pl.DataFrame) -> pl.DataFrame:
    """The keys of a table and its columns of counters, in the dtypes of the schema; what does not fit is null."""
    wanted: dict[str, Any] = dict(KEYS)
    for column in frame.columns:
        known = None if column in KEYS else parse(column)
        if known is not None:
            wanted[column] = known[0].dtype
    rows = frame if frame.columns == list(wanted) else frame.select(wanted)
    wrong = [name for name, dtype in rows.schema.items() if dtype != wanted[name]]
    return rows.with_columns(pl.col(name).cast(wanted[name], strict=False) for name in wrong) if wrong else rows


def one_table(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of counters on top of each other, each column in one piece."""
    return (frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")).rechunk()


def arrays(frame: pl.DataFrame) -> Iterator[tuple[str, Values, Bits]]:
    """Each number column of a table (in one piece) that is not all null: values, and its validity bits."""
    empty = frame.null_count().row(0)
    names = [
        name
        for (name, dtype), nulls in zip(frame.schema.items(), empty, strict=True)
        if dtype != pl.String and nulls < frame.height
    ]
    for name, column in zip(names, pa.table(frame.select(names)).columns, strict=True):
        yield name, *_buffers(column.chunk(0))


def texts(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series, Bits]]:
    """Each text column of a table that is not all null, and its validity bits."""
    for name, dtype in frame.schema.items():
        if dtype != pl.String or name in KEYS or frame[name].null_count() == frame.height:
            continue
        held = frame[name].is_not_null().to_numpy()
        yield name, frame[name], ALL if held.all() else np.packbits(held, bitorder="little")


def _buffers(column: pa.Array) -> tuple[Values, Bits]:
    dtype = np.dtype(column.type.to_pandas_dtype())
    valid, data = column.buffers()
    values = np.frombuffer(data, dtype, len(column), column.offset * dtype.itemsize)
    if valid is None or column.null_count == 0:
        return values, ALL
    bits = np.frombuffer(valid, np.uint8, (column.offset + len(column) + 7) // 8)
    if column.offset:
        bits = np.packbits(np.unpackbits(bits, bitorder="little")[column.offset :], bitorder="little")
    return values, bits


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
def _scatter(at: Ints, values: Values, before: Values, into: Values) -> bool:
    """Into: the value of each port's row, and what was before where it has none; whether that changed anything."""
    changed = False
    for port in range(len(at)):
        row = at[port]
        into[port] = values[row] if row >= 0 else before[port]
        changed |= into[port] != before[port]
    return changed
