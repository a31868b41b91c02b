"""Datagrams to arrays, compiled: every octet is checked before it is used, nothing is allocated, nothing raises.

It takes less than BER allows and all that agents send: definite lengths, primitive values, whole numbers of at most
nine octets that fit their type, no octet too many. ``tests/test_snmp_decode.py`` holds it equal to pysnmp's decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from collectors.sources.snmp.ber import OCTETS, decode_oid

OK, MALFORMED, LOOPING = 0, 1, 2
MOST_SUBIDENTIFIERS = 128
"""Of an object id (RFC 2578, 3.5)."""
MOST_STRING = 255
"""Octets of a string that are kept."""
KEYS = 4
"""Sub-identifiers of an index that are kept."""
RECORD = 10
"""Words of a record: column, KEYS words of index, tag, high and low word of the value, offset and length of a text."""
CURSOR = 124
"""Octets of a cursor and its length: a longer object id is no row of a table of ports."""
ASKED, ENDED, FROM, TO = range(4)
"""Words of a repeater."""
HEAD = 24
"""Words of a head; their names follow."""
(VERSION, NAME, NAME_END, ID, MOST, FLAGS, MODEL, ENGINE, ENGINE_END, BOOTS, TIME, USER, USER_END, AUTH, AUTH_END,
 PRIV, PRIV_END, DATA, DATA_END, TYPE, REQUEST, ERROR, INDEX, BINDS) = range(HEAD)  # fmt: skip

Octets = NDArray[np.uint8]
Words = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _open(buf: Octets, at: int, end: int) -> tuple[int, int, int]:
    """Tag and bounds of the content at ``at``; bounds of -1 where there is none within ``end``."""
    if end - at < 2:
        return 0, -1, -1
    tag: Any = np.int64(buf[at])  # numpy's whole numbers are none to mypy
    size: Any = np.int64(buf[at + 1])
    start = at + 2
    if size >= 0x80:
        octets = size & 0x7F
        if octets == 0 or octets > 4 or start + octets > end:
            return 0, -1, -1
        size = np.int64(0)
        for i in range(octets):
            size = size << 8 | np.int64(buf[start + i])
        start += octets
    if size > end - start:
        return 0, -1, -1
    return tag, start, start + size


@njit(cache=True, nogil=True)
def _expect(buf: Octets, at: int, end: int, tag: int) -> tuple[int, int]:
    """Bounds of the content at ``at`` if it has that tag, else -1."""
    found, start, stop = _open(buf, at, end)
    if start < 0 or found != tag:
        return -1, -1
    return start, stop


@njit(cache=True, nogil=True)
def _int32(buf: Octets, at: int, end: int) -> tuple[int, int]:
    """An INTEGER of 32 bits with sign at ``at``, and where it ends (-1: none)."""
    start, stop = _expect(buf, at, end, 0x02)
    if start < 0 or stop - start < 1 or stop - start > 8:
        return 0, -1
    value: Any = np.int64(buf[start]) - (np.int64(buf[start] >> 7) << 8)
    for i in range(start + 1, stop):
        value = value << 8 | np.int64(buf[i])
    if value > 0x7FFFFFFF or value < -0x80000000:
        return 0, -1
    return value, stop


@njit(cache=True, nogil=True)
def _pdu(buf: Octets, at: int, end: int, head: Words) -> int:
    """Read the PDU that fills ``at`` to ``end`` up to its list of varbinds."""
    tag, start, stop = _open(buf, at, end)
    if start < 0 or stop != end or tag < 0xA0 or tag > 0xA8 or tag == 0xA4:
        return MALFORMED
    head[TYPE] = tag
    for field in (REQUEST, ERROR, INDEX):
        head[field], start = _int32(buf, start, stop)
        if start < 0:
            return MALFORMED
    if head[ERROR] < 0 or head[INDEX] < 0:
        return MALFORMED
    first, last = _expect(buf, start, stop, 0x30)
    if first < 0 or last != stop:
        return MALFORMED
    head[BINDS] = first
    head[DATA_END] = last
    return OK


@njit(cache=True, nogil=True)
def _header(buf: Octets, at: int, end: int, head: Words) -> int:
    """msgGlobalData of RFC 3412: id, greatest size, flags, security model. Returns where it ends or -1."""
    start, stop = _expect(buf, at, end, 0x30)
    if start < 0:
        return -1
    head[ID], start = _int32(buf, start, stop)
    if start < 0 or head[ID] < 0:
        return -1
    head[MOST], start = _int32(buf, start, stop)
    if start < 0 or head[MOST] < 484:
        return -1
    first, last = _expect(buf, start, stop, 0x04)
    if first < 0 or last - first != 1:
        return -1
    head[FLAGS] = buf[first]
    head[MODEL], start = _int32(buf, last, stop)
    return stop if start == stop and head[MODEL] >= 1 else -1


@njit(cache=True, nogil=True)
def _security(buf: Octets, at: int, end: int, head: Words) -> int:
    """UsmSecurityParameters of RFC 3414, an OCTET STRING around a SEQUENCE. Returns where it ends or -1."""
    outer, outer_end = _expect(buf, at, end, 0x04)
    start, stop = _expect(buf, outer, outer_end, 0x30) if outer >= 0 else (-1, -1)
    if start < 0 or stop != outer_end:
        return -1
    head[ENGINE], head[ENGINE_END] = _expect(buf, start, stop, 0x04)
    if head[ENGINE] < 0:
        return -1
    head[BOOTS], start = _int32(buf, head[ENGINE_END], stop)
    if start < 0 or head[BOOTS] < 0:
        return -1
    head[TIME], start = _int32(buf, start, stop)
    if start < 0 or head[TIME] < 0:
        return -1
    for field in (USER, AUTH, PRIV):
        head[field], head[field + 1] = _expect(buf, start, stop, 0x04)
        if head[field] < 0:
            return -1
        start = head[field + 1]
    return outer_end if start == stop and head[USER_END] - head[USER] <= 32 else -1


@njit(cache=True, nogil=True)
def scoped(buf: Octets, at: int, end: int, head: Words) -> int:
    """Read a ScopedPDU (RFC 3412) that fills ``at`` to ``end``: contextEngineID, contextName, PDU."""
    start, stop = _expect(buf, at, end, 0x30)
    if start < 0 or stop != end:
        return MALFORMED
    for _ in range(2):
        first, last = _expect(buf, start, stop, 0x04)
        if first < 0:
            return MALFORMED
        start = last
    return _pdu(buf, start, stop, head)


@njit(cache=True, nogil=True)
def message(buf: Octets, at: int, end: int, head: Words) -> int:
    """Read the message that fills ``at`` to ``end`` into ``head``: a v2c one to its varbinds, a v3 one to its data."""
    head[:] = 0
    start, stop = _expect(buf, at, end, 0x30)
    if start < 0 or stop != end:
        return MALFORMED
    head[VERSION], start = _int32(buf, start, stop)
    if start < 0:
        return MALFORMED
    if head[VERSION] == 1:
        head[NAME], head[NAME_END] = _expect(buf, start, stop, 0x04)
        return _pdu(buf, head[NAME_END], stop, head) if head[NAME] >= 0 else MALFORMED
    if head[VERSION] != 3:
        return MALFORMED
    start = _header(buf, start, stop, head)
    if start < 0 or head[MODEL] != 3:
        return MALFORMED
    start = _security(buf, start, stop, head)
    if start < 0:
        return MALFORMED
    if not head[FLAGS] & 2:
        head[DATA], head[DATA_END] = start, stop
        return scoped(buf, start, stop, head)
    head[DATA], head[DATA_END] = _expect(buf, start, stop, 0x04)
    return OK if head[DATA] >= 0 and head[DATA_END] == stop else MALFORMED


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
def _oid(buf: Octets, start: int, stop: int) -> bool:
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
        return _oid(buf, start, stop), none
    if tag == 0x40:
        return stop - start == 4, none
    return (tag == 0x05 or 0x80 <= tag <= 0x82) and stop == start, none


@njit(cache=True, nogil=True)
def _varbind(buf: Octets, at: int, end: int, found: Words) -> np.uint64:
    """Read the varbind at ``at``: ``found`` is its end (-1: malformed), id from, id to, tag, value from, value to.

    The octets of the id are not checked.
    """
    found[0] = -1
    value = np.uint64(0)
    tag, start, stop = _open(buf, at, end)
    if start >= 0 and tag == 0x30:
        tag, found[1], found[2] = _open(buf, start, stop)
        if found[1] >= 0 and tag == 0x06:
            found[3], found[4], found[5] = _open(buf, found[2], stop)
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
        return 0 if _oid(buf, start, stop) else -1
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
        value = _varbind(buf, at, end, found)
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


@dataclass(frozen=True, slots=True)
class Message:
    """A message in Python's own types, for what is no bulk: scalars, reports, tests.

    ``varbinds``: object id, tag, and a whole number, octets, an object id, or None by tag.
    """

    version: int
    name: bytes
    type: int
    request: int
    error: int
    index: int
    varbinds: tuple[tuple[tuple[int, ...], int, Any], ...]


def decode(datagram: bytes) -> Message | None:
    """A whole v2c message, or v3 one that is not encrypted; None where it is malformed."""
    buf = np.frombuffer(bytearray(datagram), np.uint8)  # of the same type as the engine's: compiled once
    head = np.zeros(HEAD, np.int64)
    if message(buf, 0, len(buf), head) != OK or not head[TYPE]:
        return None
    return opened(buf, head.tolist())


def opened(buf: Octets, head: list[int]) -> Message | None:
    """The message that ``head`` says is in ``buf``; None where a varbind is malformed."""
    found = np.zeros(6, np.int64)
    at, end = head[BINDS], head[DATA_END]
    varbinds = []
    while at < end:
        value = int(_varbind(buf, at, end, found))
        at, low, high, tag, start, stop = map(int, found)
        if at < 0 or not _oid(buf, low, high):
            return None
        varbinds.append((decode_oid(buf[low:high].tobytes()), tag, _python(tag, value, buf[start:stop].tobytes())))
    version, kind, request, error, index = (head[field] for field in (VERSION, TYPE, REQUEST, ERROR, INDEX))
    name = buf[head[NAME] : head[NAME_END]].tobytes()
    return Message(version, name, kind, request, error, index, tuple(varbinds))


def _python(tag: int, value: int, content: bytes) -> int | bytes | tuple[int, ...] | None:
    if tag == 0x02:
        return value - (1 << 64) if value >> 63 else value
    if tag in (0x41, 0x42, 0x43, 0x46):
        return value
    if tag in (OCTETS, 0x40, 0x44):
        return content
    return decode_oid(content) if tag == 0x06 else None
