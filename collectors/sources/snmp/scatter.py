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
    REAL,
    SIZE,
    SLOT,
    STATE,
    TEXT,
    VALUE_A,
    VALUE_B,
)

MOST_INDEX = 63
NOTHING = 1 << 30
"""The rank of a cell that has no value."""
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
        cells[at, 0], cells[at, 1], cells[at, 2] = -1, 0, 0
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
def columns_of(cells: Words, slots: Words, used: Words, columns: Words, present: NDArray[np.bool_]) -> int:
    """Number the counters and priorities that have numbers; returns how many there are.

    ``used``: the number of each counter (row) and priority, -1 without values; ``columns``: the reverse, and its kind.
    ``present``: rows that have anything.
    """
    count = 0
    used[:] = -1
    for at in range(len(cells)):
        if cells[at, 0] < 0:
            continue
        present[cells[at, 0]] = True
        counter, number = slots[cells[at, 1], 0], cells[at, 2]
        if used[counter, number] < 0 and slots[cells[at, 1], 1] != TEXT:
            used[counter, number] = count
            columns[count, 0], columns[count, 1], columns[count, 2] = counter, number, slots[cells[at, 1], 1]
            count += 1
    return count


@njit(cache=True, nogil=True)
def _taken(tag: int, kind: int, value: np.uint64) -> bool:
    """Whether a value of that type can be what is counted: no count is below zero, no state above 255."""
    if not (tag == 0x02 or 0x41 <= tag <= 0x43 or tag == 0x46):
        return False
    negative = tag == 0x02 and value >> np.uint64(63) != 0
    return kind == REAL or not (negative or (kind == STATE and value > 255))


@njit(cache=True, nogil=True)
def fill(
    records: Records, cells: Words, slots: Words, factors: NDArray[np.float64], used: Words,
    counts: NDArray[np.uint64], reals: NDArray[np.float64], states: Octets, ranks: Words, valid: Octets,
) -> None:  # fmt: skip
    """Put numbers where ``cells`` and ``used`` say: a row a column of the table, into the array of the counter's kind.

    ``ranks`` is NOTHING where there is none yet; a value of a lower rank replaces one of a higher. ``valid``: a bit a
    value, the lowest first, as Arrow has them. ``counts`` and ``reals`` may be one array.
    """
    for at in range(len(cells)):
        row, slot = cells[at, 0], cells[at, 1]
        kind = slots[slot, 1]
        if row < 0 or kind == TEXT:
            continue
        tag: Any = np.int64(records[at, 1 + KEYS])
        value = np.uint64(records[at, 6]) << np.uint64(32) | np.uint64(records[at, 7])
        column = used[slots[slot, 0], cells[at, 2]]
        if slots[slot, 2] >= ranks[column, row] or not _taken(tag, kind, value):
            continue
        ranks[column, row] = slots[slot, 2]
        valid[column, row >> 3] |= np.uint8(1 << (row & 7))
        if kind == REAL:
            reals[column, row] = (np.float64(np.int64(value)) if tag == 0x02 else np.float64(value)) * factors[slot]
        elif kind == STATE:
            states[column, row] = np.uint8(value)
        else:
            counts[column, row] = value


def starts_of(patterns: Words, columns: int) -> Words:
    """Where the patterns of each column begin; one more at the end."""
    return np.searchsorted(patterns[:, COLUMN], np.arange(columns + 1)).astype(np.int64)
