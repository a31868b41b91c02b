"""What is around the varbinds of a message, read by compiled code that checks every octet before it uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from collectors.sources.snmp.layout import (
    AUTH,
    BINDS,
    BOOTS,
    DATA,
    DATA_END,
    ENGINE,
    ENGINE_END,
    ERROR,
    FLAGS,
    ID,
    INDEX,
    MALFORMED,
    MODEL,
    MOST,
    NAME,
    NAME_END,
    OK,
    PRIV,
    REQUEST,
    TIME,
    TYPE,
    USER,
    USER_END,
    VERSION,
    Octets,
    Words,
)


@njit(cache=True, nogil=True)
def opening(buf: Octets, at: int, end: int) -> tuple[int, int, int]:
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
def expect(buf: Octets, at: int, end: int, tag: int) -> tuple[int, int]:
    """Bounds of the content at ``at`` if it has that tag, else -1."""
    found, start, stop = opening(buf, at, end)
    if start < 0 or found != tag:
        return -1, -1
    return start, stop


@njit(cache=True, nogil=True)
def _int32(buf: Octets, at: int, end: int) -> tuple[int, int]:
    """An INTEGER of 32 bits with sign at ``at``, and where it ends (-1: none)."""
    start, stop = expect(buf, at, end, 0x02)
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
    tag, start, stop = opening(buf, at, end)
    if start < 0 or stop != end or tag < 0xA0 or tag > 0xA8 or tag == 0xA4:
        return MALFORMED
    head[TYPE] = tag
    for field in (REQUEST, ERROR, INDEX):
        head[field], start = _int32(buf, start, stop)
        if start < 0:
            return MALFORMED
    if head[ERROR] < 0 or head[INDEX] < 0:
        return MALFORMED
    first, last = expect(buf, start, stop, 0x30)
    if first < 0 or last != stop:
        return MALFORMED
    head[BINDS] = first
    head[DATA_END] = last
    return OK


@njit(cache=True, nogil=True)
def _header(buf: Octets, at: int, end: int, head: Words) -> int:
    """msgGlobalData of RFC 3412: id, greatest size, flags, security model. Returns where it ends or -1."""
    start, stop = expect(buf, at, end, 0x30)
    if start < 0:
        return -1
    head[ID], start = _int32(buf, start, stop)
    if start < 0 or head[ID] < 0:
        return -1
    head[MOST], start = _int32(buf, start, stop)
    if start < 0 or head[MOST] < 484:
        return -1
    first, last = expect(buf, start, stop, 0x04)
    if first < 0 or last - first != 1:
        return -1
    head[FLAGS] = buf[first]
    head[MODEL], start = _int32(buf, last, stop)
    return stop if start == stop and head[MODEL] >= 1 else -1


@njit(cache=True, nogil=True)
def _security(buf: Octets, at: int, end: int, head: Words) -> int:
    """UsmSecurityParameters of RFC 3414, an OCTET STRING around a SEQUENCE. Returns where it ends or -1."""
    outer, outer_end = expect(buf, at, end, 0x04)
    start, stop = expect(buf, outer, outer_end, 0x30) if outer >= 0 else (-1, -1)
    if start < 0 or stop != outer_end:
        return -1
    head[ENGINE], head[ENGINE_END] = expect(buf, start, stop, 0x04)
    if head[ENGINE] < 0:
        return -1
    head[BOOTS], start = _int32(buf, head[ENGINE_END], stop)
    if start < 0 or head[BOOTS] < 0:
        return -1
    head[TIME], start = _int32(buf, start, stop)
    if start < 0 or head[TIME] < 0:
        return -1
    for field in (USER, AUTH, PRIV):
        head[field], head[field + 1] = expect(buf, start, stop, 0x04)
        if head[field] < 0:
            return -1
        start = head[field + 1]
    return outer_end if start == stop and head[USER_END] - head[USER] <= 32 else -1


@njit(cache=True, nogil=True)
def scoped(buf: Octets, at: int, end: int, head: Words) -> int:
    """Read a ScopedPDU (RFC 3412) that fills ``at`` to ``end``: contextEngineID, contextName, PDU."""
    start, stop = expect(buf, at, end, 0x30)
    if start < 0 or stop != end:
        return MALFORMED
    for _ in range(2):
        first, last = expect(buf, start, stop, 0x04)
        if first < 0:
            return MALFORMED
        start = last
    return _pdu(buf, start, stop, head)


@njit(cache=True, nogil=True)
def message(buf: Octets, at: int, end: int, head: Words) -> int:
    """Read the message that fills ``at`` to ``end`` into ``head``: a v2c one to its varbinds, a v3 one to its data."""
    head[:] = 0
    start, stop = expect(buf, at, end, 0x30)
    if start < 0 or stop != end:
        return MALFORMED
    head[VERSION], start = _int32(buf, start, stop)
    if start < 0:
        return MALFORMED
    if head[VERSION] == 1:
        head[NAME], head[NAME_END] = expect(buf, start, stop, 0x04)
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
    head[DATA], head[DATA_END] = expect(buf, start, stop, 0x04)
    return OK if head[DATA] >= 0 and head[DATA_END] == stop else MALFORMED
