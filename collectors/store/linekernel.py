"""The compiled pass that writes lines: prefixes and names are copied, whole numbers written digit by digit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from numba import njit

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
_PAIRS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), np.uint8)
_POWERS = np.array([10**n for n in range(20)], np.uint64)
_NUMBER = 22
"""Most bytes of a whole number with its suffix."""


class Texts(NamedTuple):
    """Texts as one run of bytes: text i is ``data[offsets[i] : offsets[i + 1]]``."""

    data: Bytes
    offsets: Offsets

    @staticmethod
    def of(texts: pl.Series) -> Texts:
        """Those of a column without nulls."""
        array = texts.to_arrow().cast(pa.large_string())
        _, offsets, data = array.buffers()
        starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        return Texts(np.frombuffer(data, np.uint8) if data and data.size else np.zeros(1, np.uint8), starts)

    @property
    def size(self) -> int:
        """Bytes of all texts."""
        return int(self.offsets[-1] - self.offsets[0])


def write_lines(
    prefixes: Texts,
    names: Sequence[str],
    values: npt.NDArray[np.uint64],
    present: npt.NDArray[np.bool_],
    others: Texts,
    times: npt.NDArray[np.int64],
) -> memoryview:
    """A line a row: prefix, ``name=valueu`` of the values present, the other fields (each with a comma before), time.

    ``values``, ``present``: a row a name, a column a line; every line has a field.
    """
    heads = Texts.of(pl.Series([f",{name}=" for name in names] or [""], dtype=pl.String))
    a_line = int(heads.size) + len(names) * _NUMBER + _NUMBER + 2
    out = np.empty(prefixes.size + others.size + len(times) * a_line, np.uint8)
    used = _write(*prefixes, *heads, values, present, *others, times, out)
    return out[:used].data


@njit(cache=True, nogil=True)
def _write(
    prefix: Bytes,
    prefix_at: Offsets,
    head: Bytes,
    head_at: Offsets,
    values: npt.NDArray[np.uint64],
    present: npt.NDArray[np.bool_],
    other: Bytes,
    other_at: Offsets,
    times: npt.NDArray[np.int64],
    out: Bytes,
) -> int:
    at = 0
    for row in range(times.size):
        at = _copy(prefix, prefix_at[row], prefix_at[row + 1], out, at)
        first = at
        for column in range(values.shape[0]):
            if present[column, row]:
                at = _copy(head, head_at[column], head_at[column + 1], out, at)
                at = _digits(values[column, row], out, at)
                out[at] = 117
                at += 1
        at = _copy(other, other_at[row], other_at[row + 1], out, at)
        out[first] = 32
        out[at] = 32
        at = _digits(np.uint64(times[row]), out, at + 1)
        out[at] = 10
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _copy(data: Bytes, start: int, stop: int, out: Bytes, at: int) -> int:
    for place in range(start, stop):
        out[at] = data[place]
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _digits(value: np.uint64, out: Bytes, at: int) -> int:
    """Write the digits from the last, two at a time."""
    hundred = np.uint64(100)
    count = 1
    while count < 20 and value >= _POWERS[count]:
        count += 1
    place = at + count - 1
    while value >= hundred:
        rest = value // hundred
        pair = 2 * (value - rest * hundred)
        out[place] = _PAIRS[pair + np.uint64(1)]
        out[place - 1] = _PAIRS[pair]
        place -= 2
        value = rest
    out[place] = _PAIRS[2 * value + np.uint64(1)]
    if place > at:
        out[at] = _PAIRS[2 * value]
    return at + count
