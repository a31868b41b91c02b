"""Values of many ports to a table of samples: a row a port and time, a column a counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from collectors.sources.gnmi.dictionary import FLOATING, STATE, TEXT, UNSIGNED, Column
from fabric.samples import KEYS

Numbers = npt.NDArray[np.int64]
_DTYPES = {UNSIGNED: pl.UInt64, FLOATING: pl.Float64, STATE: pl.UInt8, TEXT: pl.String}


@dataclass(frozen=True, slots=True)
class Values:
    """What was told: port, column, device's time, arrival, place in the stream (n, 5); numbers as bits (n,); texts."""

    keys: Numbers
    numbers: npt.NDArray[np.uint64]
    texts: Sequence[str]


@njit(cache=True, nogil=True)
def _lay(keys, order, column_of, tolerance, filled, rows, times):  # type: ignore[no-untyped-def]
    """Row of each value and the first time of each row; a row ends where its port, its time or a value's place does.

    Values of one time are one row, the last told counts. Times up to ``tolerance`` ns apart are one row too unless a
    counter has two: leaves of one sample that a device stamps one by one.
    """
    row = -1
    port = np.int64(-1)
    for i in order:
        time, column = keys[i, 2], column_of[keys[i, 1]]
        again = row >= 0 and filled[column] and time != times[row]
        if row < 0 or keys[i, 0] != port or time - times[row] > tolerance or again:
            row += 1
            port, times[row] = keys[i, 0], time
            filled[:] = False
        filled[column] = True
        rows[i] = row
    return row + 1


def table(values: Values, device: str, ports: Sequence[str | None], columns: Sequence[Column],
          tolerance: int) -> pl.DataFrame:  # fmt: skip
    """Samples by the plan's names; ``ports`` by number, None for what the device has once; ``tolerance`` in ns."""
    keys = values.keys
    used = np.unique(keys[:, 1])
    column_of = np.zeros(int(used[-1]) + 1, np.int64)
    column_of[used] = np.arange(used.size)
    order = np.lexsort((keys[:, 4], keys[:, 2], keys[:, 0]))
    rows, times = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
    count = _lay(keys, order, column_of, tolerance, np.zeros(used.size, np.bool_), rows, times)
    port, received = np.empty(count, np.int64), np.zeros(count, np.int64)
    port[rows] = keys[:, 0]
    np.maximum.at(received, rows, keys[:, 3])
    places = column_of[keys[order, 1]], rows[order]
    numbers, known = np.zeros((used.size, count), np.uint64), np.zeros((used.size, count), np.bool_)
    numbers[places], known[places] = values.numbers[order], True
    names = pl.Series([ports[number] for number in port.tolist()], dtype=KEYS["port"])
    series = [pl.Series("time_ns", times[:count]), pl.Series("received_ns", received),
              pl.Series("device", [device]).new_from_index(0, count), names.alias("port")]  # fmt: skip
    for place, column in enumerate(columns[number] for number in used.tolist()):
        series.append(_series(column, numbers[place], known[place], values.texts))
    return pl.DataFrame(series)


def _series(column: Column, numbers: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_],
            texts: Sequence[str]) -> pl.Series:  # fmt: skip
    if column.kind == TEXT:
        told = [texts[number] if there else None for number, there in zip(numbers.tolist(), known, strict=True)]
        return pl.Series(column.name, told, dtype=pl.String)
    found = pl.Series(column.name, numbers.view(np.float64) if column.kind == FLOATING else numbers)
    found = found.cast(_DTYPES[column.kind])
    return found if known.all() else found.set(pl.Series(~known), None)
