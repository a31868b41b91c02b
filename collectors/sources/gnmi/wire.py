"""The bytes of many SubscribeResponses to columns, in one compiled pass and without an object an update.

``scan`` takes what devices send all day: one notification a message, scalar or JSON values, paths seen before (looked
up by their bytes). All else is called ``ODD`` and left to the protobuf runtime: deletes, atomic notifications, aliases,
extensions, errors, leaf lists, text that is not ASCII, fields twice or out of order, what gNMI does not have, broken
bytes. So the fast path never guesses: what it accepts, the runtime reads the same way.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FAST, ODD, SYNC = 0, 1, 2
"""How a message was read."""
MESSAGE, SLOT, PREFIX, PREFIX_SIZE, PATH, PATH_SIZE, KIND, VALUE, VALUE_SIZE, DUPLICATES = range(10)
"""Columns of the updates: offsets into the bytes and sizes, ``SLOT`` is -1 for a path not seen before."""
WIDTH = 10
NONE, TEXT, INT, UINT, BOOL, BYTES, FLOAT, DECIMAL, JSON, LIST = range(10)
"""Kinds of values; ``FLOAT`` is a double's bits, ``DECIMAL`` has its precision in ``VALUE``."""
TIME, FIRST, COUNT, STATUS = range(4)
"""Columns of the messages."""
PROBES = 64
"""Places of the table that are looked at for a path: hostile paths cost no more than that."""

_FNV = np.uint64(0x100000001B3)


@njit(cache=True, nogil=True)
def _varint(buf, at, end):  # type: ignore[no-untyped-def]
    """Value and the place behind it; -1 as place for what does not end, or has bits over 64."""
    value = np.uint64(0)
    shift = 0
    while at < end and shift < 64:
        byte = buf[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << np.uint64(shift)
        if byte < 0x80:
            return value, (-1 if shift == 63 and byte > 1 else at)
        shift += 7
    return value, -1


@njit(cache=True, nogil=True)
def _span(buf, at, end):  # type: ignore[no-untyped-def]
    """First and last place of a field with a length; -1 where it is longer than what is there."""
    if at < end and buf[at] < 0x80:
        size = np.int64(buf[at])
        at += 1
    else:
        value, at = _varint(buf, at, end)
        if at < 0 or value > np.uint64(end - at):
            return -1, -1
        size = np.int64(value)
    return (at, at + size) if size <= end - at else (-1, -1)


@njit(cache=True, nogil=True)
def _ascii(buf, at, end):  # type: ignore[no-untyped-def]
    high = np.uint8(0)
    for i in range(at, end):
        high |= buf[i]
    return high < 0x80


@njit(cache=True, nogil=True)
def hashed(seed, buf, at, end):  # type: ignore[no-untyped-def]
    """FNV-1a of bytes, from ``seed``."""
    value = np.uint64(seed)
    for i in range(at, end):
        value = (value ^ np.uint64(buf[i])) * _FNV
    return value


@njit(cache=True, nogil=True)
def find(table, hashes, spans, arena, value, buf, prefix, prefix_size, path, path_size):  # type: ignore[no-untyped-def]
    """Slot of the path with these bytes, -1 if it is not in the table."""
    mask = np.uint64(table.size - 1)
    for probe in range(PROBES):
        slot = table[(value + np.uint64(probe)) & mask]
        if slot < 0:
            return -1
        if hashes[slot] == value and spans[slot, 1] == prefix_size and spans[slot, 2] == path_size:
            at = spans[slot, 0]
            same = True
            for i in range(prefix_size):
                same &= arena[at + i] == buf[prefix + i]
            for i in range(path_size):
                same &= arena[at + prefix_size + i] == buf[path + i]
            if same:
                return slot
    return -1


@njit(cache=True, nogil=True)
def _prefix(buf, at, end):  # type: ignore[no-untyped-def]
    """Where a prefix ends without its target, if that stands last; and the target's span, -1 for a broken prefix."""
    keep, first, last = end, 0, 0
    while at < end:
        tag, start = buf[at], at
        low, at = _span(buf, at + 1, end)
        if low < 0 or tag not in (0x0A, 0x12, 0x1A, 0x22) or first > 0:
            return -1, 0, 0
        if tag == 0x22:
            if not _ascii(buf, low, at):
                return -1, 0, 0
            keep, first, last = start, low, at
    return keep, first, last


@njit(cache=True, nogil=True)
def _decimal(buf, at, end):  # type: ignore[no-untyped-def]
    """Digits and precision of a Decimal64; precision -1 if it is odd."""
    digits, precision = np.uint64(0), np.uint64(0)
    while at < end:
        tag = buf[at]
        if tag not in (0x08, 0x10):
            return digits, -1
        value, at = _varint(buf, at + 1, end)
        if at < 0 or (tag == 0x10 and value > np.uint64(0xFFFFFFFF)):
            return digits, -1
        if tag == 0x08:
            digits = value
        else:
            precision = value
    return digits, np.int64(precision)


@njit(cache=True, nogil=True)
def _value(buf, at, end, row, bits, n):  # type: ignore[no-untyped-def]
    """Write kind, span and bits of a TypedValue; False if it is odd."""
    if at == end:
        return True
    tag = buf[at]
    at += 1
    if tag in (0x10, 0x18, 0x20):
        bits[n], at = _varint(buf, at, end)
        row[KIND] = INT if tag == 0x10 else UINT if tag == 0x18 else BOOL
    elif tag == 0x35 and end - at == 4:
        bits[n] = np.float64(buf[at : at + 4].view(np.float32)[0]).view(np.uint64)
        row[KIND], at = FLOAT, end
    elif tag == 0x71 and end - at == 8:
        for i in range(8):
            bits[n] |= np.uint64(buf[at + i]) << np.uint64(8 * i)
        row[KIND], at = FLOAT, end
    elif tag in (0x0A, 0x2A, 0x3A, 0x52, 0x5A, 0x62, 0x6A):
        low, at = _span(buf, at, end)
        row[VALUE], row[VALUE_SIZE] = low, at - low
        if low < 0:
            return False
        row[KIND] = JSON if tag in (0x52, 0x5A) else BYTES if tag in (0x2A, 0x6A) else TEXT
        if tag in (0x0A, 0x62) and not _ascii(buf, low, at):
            return False
        if tag == 0x3A:
            row[KIND] = DECIMAL
            bits[n], row[VALUE] = _decimal(buf, low, at)
            return at == end and row[VALUE] >= 0
    else:
        return False
    return at == end


@njit(cache=True, nogil=True)
def _update(buf, at, end, row, bits, n):  # type: ignore[no-untyped-def]
    """Write an update's path and value; False if it is odd."""
    bits[n] = 0
    seen = 0
    while at < end:
        tag = buf[at]
        at += 1
        if tag == 0x20:
            value, at = _varint(buf, at, end)
            if at < 0 or value > np.uint64(0xFFFFFFFF):
                return False
            row[DUPLICATES] = np.int64(value)
            continue
        low, at = _span(buf, at, end)
        field = 1 if tag == 0x0A else 2
        if low < 0 or tag not in (0x0A, 0x1A) or seen & field:
            return False
        seen |= field
        if tag == 0x0A:
            row[PATH], row[PATH_SIZE] = low, at - low
        elif not _value(buf, low, at, row, bits, n):
            return False
    return True


@njit(cache=True, nogil=True)
def _notification(buf, at, end, number, target, out, bits, n, note, seed, table, hashes, spans, arena):  # type: ignore[no-untyped-def]
    """Rows so far with a notification's updates; -1 if it is odd, -2 if there is no room for all."""
    prefix, prefix_size, value = 0, 0, seed
    ours, prefixed, updated = True, False, False
    while at < end:
        tag = buf[at]
        at += 1
        if tag == 0x08:
            time, at = _varint(buf, at, end)
            if at < 0:
                return -1
            note[TIME] = np.int64(time)
            continue
        low, at = _span(buf, at, end)
        if low < 0:
            return -1
        if tag == 0x12:
            if prefixed or updated:
                return -1
            keep, first, last = _prefix(buf, low, at)
            if keep < 0:
                return -1
            prefixed, prefix, prefix_size = True, low, keep - low
            value = hashed(seed, buf, low, keep)
            ours = target.size == 0 or last == first or _same(buf, first, last, target)
        elif tag == 0x22:
            updated = True
            if n == out.shape[0]:
                return -2
            row = out[n]
            row[:] = 0
            row[MESSAGE], row[PREFIX], row[PREFIX_SIZE] = number, prefix, prefix_size
            if not _update(buf, low, at, row, bits, n):
                return -1
            whole = hashed(value, buf, row[PATH], row[PATH] + row[PATH_SIZE])
            row[SLOT] = find(table, hashes, spans, arena, whole, buf, prefix, prefix_size, row[PATH], row[PATH_SIZE])
            n += ours
        else:
            return -1
    return n


@njit(cache=True, nogil=True)
def _same(buf, first, last, target):  # type: ignore[no-untyped-def]
    same = last - first == target.size
    for i in range(target.size if same else 0):
        same &= buf[first + i] == target[i]
    return same


@njit(cache=True, nogil=True)
def scan(buf, ends, begin, target, out, bits, notes, seed, table, hashes, spans, arena):  # type: ignore[no-untyped-def]
    """Read messages ``begin`` and on; returns the first message not read and the count of updates.

    ``buf``: bytes of all messages, ``ends``: where each ends; ``target``: whose notifications are ours (empty: all);
    ``out`` (n, WIDTH) int64 and ``bits`` (n,) uint64 take the updates, ``notes`` (messages, 4) int64 how each was read.
    A message whose updates do not fit is not read: the caller comes again with room. An odd one has no updates here.
    """
    n = 0
    for i in range(begin, ends.size):
        at, end = (ends[i - 1] if i else 0), ends[i]
        note = notes[i]
        note[:] = 0
        note[FIRST] = n
        status, rows = FAST, n
        if at < end:
            tag = buf[at]
            if tag == 0x0A:
                low, at = _span(buf, at + 1, end)
                if low < 0 or at != end:
                    status = ODD
                else:
                    rows = _notification(
                        buf, low, end, i, target, out, bits, n, note, seed, table, hashes, spans, arena
                    )
                    if rows == -2:
                        return i, n
                    status = ODD if rows < 0 else FAST
            elif tag == 0x18:
                _, at = _varint(buf, at + 1, end)
                status = SYNC if at == end else ODD
            else:
                status = ODD
        note[STATUS] = status
        if status != ODD:
            note[COUNT] = rows - n
            n = rows
    return ends.size, n
