"""Varbinds of answers to GETBULK to arrays, compiled: nothing is allocated, nothing raises."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from collectors.sources.snmp.heads import opening
from collectors.sources.snmp.layout import (
    ASKED,
    CURSOR,
    ENDED,
    FROM,
    KEYS,
    LOOPING,
    MALFORMED,
    MOST_STRING,
    MOST_SUBIDENTIFIERS,
    OK,
    TO,
    Octets,
    Words,
)


@njit(cache=True, nogil=True)
def _whole(buf: Octets, start: int, stop: int) -> int:
    """How many whole sub-identifiers of 32 bits there are from ``start`` to ``stop``; -1 if anything else is there."""
    size = 0
    value = np.int64(0)
    count = 0
    for i in range(start, stop):
        octet = np.int64(buf[i])
        if size == 0 and octet == 0x80:
            return -1
        value = value << 7 | (octet & 0x7F)
        size += 1
        if value > 0xFFFFFFFF:
            return -1
        if octet < 0x80:
            count += 1
            size = 0
            value = np.int64(0)
    return count if size == 0 else -1


@njit(cache=True, nogil=True)
def lawful(buf: Octets, start: int, stop: int) -> bool:
    """Whether these are the content octets of an object id: whole sub-identifiers of 32 bits, at most 128 of them."""
    count = _whole(buf, start, stop)
    return 0 < count < MOST_SUBIDENTIFIERS


@njit(cache=True, nogil=True)
def _number(buf: Octets, tag: int, start: int, stop: int) -> tuple[bool, np.uint64]:
    """A whole number and whether it fits its type; one below zero as its two's complement."""
    size = stop - start
    if size < 1 or size > 9:
        return False, np.uint64(0)
    if size == 9 and buf[start] != 0:
        return False, np.uint64(0)
    negative = buf[start] >= 0x80
    value = np.uint64(0xFFFFFFFFFFFFFFFF) if negative else np.uint64(0)
    for i in range(start, stop):
        value = value << np.uint64(8) | np.uint64(buf[i])
    if tag == 0x02:
        signed: Any = np.int64(value)
        return size < 9 and -0x80000000 <= signed <= 0x7FFFFFFF, value
    if negative or (tag != 0x46 and value > np.uint64(0xFFFFFFFF)):
        return False, np.uint64(0)
    return True, value


@njit(cache=True, nogil=True)
def _value(buf: Octets, tag: int, start: int, stop: int) -> tuple[bool, np.uint64]:
    """Whether the content is one of that tag, and its number where it has one."""
    if tag == 0x46 or tag == 0x41 or tag == 0x42 or tag == 0x02 or tag == 0x43:
        return _number(buf, tag, start, stop)
    none = np.uint64(0)
    if tag == 0x04 or tag == 0x44:
        return stop - start <= 65535, none
    if tag == 0x06:
        return lawful(buf, start, stop), none
    if tag == 0x40:
        return stop - start == 4, none
    return (tag == 0x05 or 0x80 <= tag <= 0x82) and stop == start, none


@njit(cache=True, nogil=True)
def varbind(buf: Octets, at: int, end: int, found: Words) -> np.uint64:
    """Read the varbind at ``at``: ``found`` is its end (-1: malformed), id from, id to, tag, value from, value to.

    The octets of the id are not checked.
    """
    found[0] = -1
    value = np.uint64(0)
    tag, start, stop = opening(buf, at, end)
    if start >= 0 and tag == 0x30:
        tag, found[1], found[2] = opening(buf, start, stop)
        if found[1] >= 0 and tag == 0x06:
            found[3], found[4], found[5] = opening(buf, found[2], stop)
            if found[4] >= 0 and found[5] == stop:
                fits, value = _value(buf, found[3], found[4], found[5])
                if fits:
                    found[0] = stop
    return value


@njit(cache=True, nogil=True)
def _shared(buf: Octets, start: int, stop: int, base: Octets, low: int, high: int) -> int:
    """How many octets two object ids have in common, whole sub-identifiers alone."""
    same = 0
    most = min(stop - start, high - low)
    while same < most and buf[start + same] == base[low + same]:
        same += 1
    while same > 0 and buf[start + same - 1] & 0x80:
        same -= 1
    return same


@njit(cache=True, nogil=True)
def _first(buf: Octets, at: int) -> int:
    """The sub-identifier at ``at``."""
    value: Any = np.int64(0)
    while buf[at] & 0x80:
        value = value << 7 | np.int64(buf[at] & 0x7F)
        at += 1
    last: Any = value << 7 | np.int64(buf[at])
    return last  # type: ignore[no-any-return]  # as above


@njit(cache=True, nogil=True)
def _after(buf: Octets, start: int, stop: int, base: Octets, low: int, high: int) -> bool:
    """Whether an object id comes after another, both without what they have in common (RFC 3416, 4.2.3)."""
    if start == stop or low == high:
        return start != stop
    return _first(buf, start) > _first(base, low)


@njit(cache=True, nogil=True)
def _index(buf: Octets, at: int, stop: int, records: NDArray[np.uint32], n: int) -> None:
    """The first sub-identifiers of an index into words 1 to KEYS of a record; their count is above its column."""
    count = 0
    value = np.int64(0)
    for i in range(at, stop):
        value = value << 7 | np.int64(buf[i] & 0x7F)
        if not buf[i] & 0x80:
            if count < KEYS:
                records[n, 1 + count] = value
            count += 1
            value = np.int64(0)
    records[n, 0] |= np.uint32(min(count, 255) << 16)


@njit(cache=True, nogil=True)
def _keep(buf: Octets, found: Words, value: np.uint64, records: NDArray[np.uint32], heap: Octets, state: Words) -> None:
    """Fill the value of the next record; texts go onto the heap."""
    n = state[0]
    state[0] = n + 1
    records[n, 5] = np.uint32(found[3])
    records[n, 6] = np.uint32(value >> np.uint64(32))
    records[n, 7] = np.uint32(value & np.uint64(0xFFFFFFFF))
    records[n, 8] = 0
    records[n, 9] = 0
    if found[3] == 0x04:
        size = min(found[5] - found[4], MOST_STRING)
        records[n, 8], records[n, 9] = state[1], size
        for i in range(size):
            heap[state[1] + i] = buf[found[4] + i]
        state[1] += size


@njit(cache=True, nogil=True)
def _step(buf: Octets, found: Words, ask: Words, row: int, cursors: Octets, prefixes: Octets) -> int:
    """Where the index of the varbind begins; 0: the column has ended, -1: malformed, -2: looping."""
    start, stop = found[1], found[2]
    if ask[row, ENDED] or 0x80 <= found[3] <= 0x82:
        ask[row, ENDED] = 1
        return 0 if lawful(buf, start, stop) else -1
    if stop - start >= CURSOR:
        return -1
    base, low, high = buf, ask[row, FROM], ask[row, TO]
    if high == 0:
        base, low = cursors, row * CURSOR + 1
        high = low + np.int64(cursors[low - 1])
    same = _shared(buf, start, stop, base, low, high)
    if stop == start or _whole(buf, start + same, stop) < 0:
        return -1
    if not _after(buf, start + same, stop, base, low + same, high):
        return -2
    size: Any = np.int64(prefixes[ask[row, ASKED], 0])
    if same < size:
        ask[row, ENDED] = 1
        return 0
    ask[row, FROM], ask[row, TO] = start, stop
    return start + size  # type: ignore[no-any-return]  # as above


@njit(cache=True, nogil=True)
def absorb(
    buf: Octets, at: int, end: int, ask: Words, cursors: Octets, prefixes: Octets,
    records: NDArray[np.uint32], heap: Octets, state: Words, found: Words,
) -> int:  # fmt: skip
    """Take the varbinds from ``at`` to ``end`` of an answer to GETBULK: OK, MALFORMED or LOOPING (kept up to there).

    ``ask``: a row a repeater: its column, whether that has ended, and two words for use here. ``cursors``: CURSOR
    octets a repeater, length and octets of the object id that the answer must go beyond; it begins with the column's.
    ``prefixes``: a row a column: length and octets of its id. ``state``: records and octets of heap in use, then the
    most varbinds that were asked for, then how many came. After MALFORMED all is as before, ``ended`` aside.
    """
    records_before, heap_before = state[0], state[1]
    repeaters = ask.shape[0]
    ask[:, TO] = 0
    count, row = 0, 0
    while at < end:
        value = varbind(buf, at, end, found)
        at = found[0]
        index = _step(buf, found, ask, row, cursors, prefixes) if at >= 0 and count < state[2] else -1
        if index == -2:
            return LOOPING
        if index == -1:
            state[0], state[1] = records_before, heap_before
            return MALFORMED
        if index > 0:
            records[state[0], 0] = ask[row, ASKED]
            _index(buf, index, found[2], records, state[0])
            _keep(buf, found, value, records, heap, state)
        count += 1
        row = row + 1 if row + 1 < repeaters else 0
    state[3] = count
    for row in range(repeaters):
        size = ask[row, TO] - ask[row, FROM]
        if ask[row, TO] > 0:
            cursors[row * CURSOR] = size
            for i in range(size):
                cursors[row * CURSOR + 1 + i] = buf[ask[row, FROM] + i]
    return OK


@njit(cache=True, nogil=True)
def binds(ask: Words, cursors: Octets, out: Octets) -> tuple[int, int]:
    """Close ranks over columns that have ended, and write what a request says of the rest to ``out``.

    Returns how many there are, and how many octets they take.
    """
    width, at = 0, 0
    for row in range(ask.shape[0]):
        if ask[row, ENDED]:
            continue
        size: Any = np.int64(cursors[row * CURSOR])
        if width < row:
            ask[width, :] = ask[row, :]
            for i in range(size + 1):
                cursors[width * CURSOR + i] = cursors[row * CURSOR + i]
        out[at], out[at + 1], out[at + 2], out[at + 3] = 0x30, size + 4, 0x06, size
        at += 4
        for i in range(size):
            out[at + i] = cursors[row * CURSOR + 1 + i]
        at += size
        out[at], out[at + 1] = 0x05, 0
        at += 2
        width += 1
    return width, at
