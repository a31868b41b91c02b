"""Records of varbinds to cells of a table, compiled: which row and which column each belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from collectors.sources.snmp.decode import KEYS, Octets, Words
from collectors.sources.snmp.tables import (
    COLUMN,
    CONST_A,
    CONST_B,
    INDEX_AT,
    LESS,
    LLDP,
    PORT_AT,
    SIZE,
    SLOT,
    VALUE_A,
    VALUE_B,
)

MOST_INDEX = 63
Records = NDArray[np.uint32]


@njit(cache=True, nogil=True)
def _row(indexes: Words, rows: Words, index: int) -> int:
    """Row of an ifIndex by bisection; -1: none of the plan's ports, -2: an interface that was not there before."""
    low, high = 0, len(indexes)
    while low < high:
        middle = (low + high) // 2
        if indexes[middle] < index:
            low = middle + 1
        else:
            high = middle
    return rows[low] if low < len(indexes) and indexes[low] == index else -2


@njit(cache=True, nogil=True)
def _fits(records: Records, at: int, pattern: Words) -> bool:
    """Whether a record's index has the length and the fixed sub-identifiers of a pattern."""
    if (records[at, 0] >> np.uint32(16)) != pattern[SIZE]:
        return False
    if pattern[CONST_A] >= 0 and records[at, 1 + pattern[CONST_A]] != pattern[VALUE_A]:
        return False
    return not (pattern[CONST_B] >= 0 and records[at, 1 + pattern[CONST_B]] != pattern[VALUE_B])


@njit(cache=True, nogil=True)
def place(
    records: Records, patterns: Words, starts: Words, indexes: Words, rows: Words, lldp_indexes: Words,
    lldp_rows: Words, cells: Words,
) -> int:  # fmt: skip
    """Fill ``cells``, a row a record: row (-1: nowhere), slot, number of priority or queue.

    ``starts``: where the patterns of each column begin. Returns how many records are of an interface that is not in
    ``indexes``.
    """
    strangers = 0
    for at in range(len(records)):
        cells[at, 0] = -1
        column = np.int64(records[at, 0] & np.uint32(0xFFFF))
        for n in range(starts[column], starts[column + 1]):
            pattern = patterns[n]
            if not _fits(records, at, pattern):
                continue
            number = np.int64(0)
            if pattern[INDEX_AT] >= 0:
                number = np.int64(records[at, 1 + pattern[INDEX_AT]]) - pattern[LESS]
            port: Any = np.int64(records[at, 1 + pattern[PORT_AT]])
            row: Any = _row(lldp_indexes, lldp_rows, port) if pattern[LLDP] else _row(indexes, rows, port)
            if row == -2 and not pattern[LLDP]:
                strangers += 1
            if row >= 0 and 0 <= number <= MOST_INDEX:
                cells[at, 0], cells[at, 1], cells[at, 2] = row, pattern[SLOT], number
            break
    return strangers


@njit(cache=True, nogil=True)
def columns_of(cells: Words, used: Words) -> int:
    """Number the slots and priorities that occur in ``used``, a row a slot (-1: does not occur); returns how many."""
    count = 0
    used[:] = -1
    for at in range(len(cells)):
        if cells[at, 0] >= 0 and used[cells[at, 1], cells[at, 2]] < 0:
            used[cells[at, 1], cells[at, 2]] = count
            count += 1
    return count


@njit(cache=True, nogil=True)
def fill(records: Records, cells: Words, used: Words, values: NDArray[np.uint64], tags: Octets) -> None:
    """Put the numbers where ``cells`` and ``used`` say; ``tags`` is each cell's type, 0 where there is none."""
    for at in range(len(cells)):
        row = cells[at, 0]
        tag = records[at, 1 + KEYS]
        if row >= 0 and (tag == 0x02 or (tag >= 0x41 and tag <= 0x46 and tag != 0x44)):
            column = used[cells[at, 1], cells[at, 2]]
            values[column, row] = np.uint64(records[at, 6]) << np.uint64(32) | np.uint64(records[at, 7])
            tags[column, row] = tag


def starts_of(patterns: Words, columns: int) -> Words:
    """Where the patterns of each column begin; one more at the end."""
    return np.searchsorted(patterns[:, COLUMN], np.arange(columns + 1)).astype(np.int64)
