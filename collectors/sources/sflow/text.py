"""Addresses as text, many at a time: dotted quads, and IPv6 as RFC 5952 writes it (longest run of zeros shortened)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from collectors.sources.sflow.frames import MAPPED
from collectors.sources.sflow.jit import Bytes, Longs, Mask, Words, compiled

LONGEST = 39
"""Characters of an IPv6 address."""


def address_column(high: Words, low: Words, none: Mask) -> pl.Series:
    """Text of each address (IPv4 as an IPv4-mapped one), null where ``none``."""
    mapped = bool((((high == 0) & (low >> np.uint64(32) == 0xFFFF)) | none).all())
    out = np.empty(len(high) * (15 if mapped else LONGEST), np.uint8)
    offsets = np.zeros(len(high) + 1, np.int64)
    used = render(high, low, none, out, offsets)
    valid = pa.py_buffer(np.packbits(~none, bitorder="little")) if none.any() else None
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(out[:used])]
    found = pl.from_arrow(pa.Array.from_buffers(pa.large_utf8(), len(high), buffers))
    assert isinstance(found, pl.Series)
    return found


@compiled
def render(high: Words, low: Words, none: Mask, out: Bytes, offsets: Longs) -> int:
    """Write the text of all addresses into ``out`` and where each begins into ``offsets``; how many bytes it took."""
    at = 0
    for index in range(len(high)):
        if not none[index]:
            if high[index] == 0 and low[index] >> np.uint64(32) == np.uint64(MAPPED >> 32):
                at = _quad(low[index], out, at)
            else:
                at = _groups(high[index], low[index], out, at)
        offsets[index + 1] = at
    return at


@compiled
def _quad(word: np.uint64, out: Bytes, at: int) -> int:
    value = np.int64(word)
    for shift in (24, 16, 8, 0):
        byte = value >> shift & 255
        if byte > 99:
            out[at] = 48 + byte // 100
            at += 1
        if byte > 9:
            out[at] = 48 + byte // 10 % 10
            at += 1
        out[at], out[at + 1] = 48 + byte % 10, 46
        at += 2
    return at - 1


@compiled
def _group(high: np.uint64, low: np.uint64, index: int) -> int:
    return int((high if index < 4 else low) >> np.uint64(48 - 16 * (index & 3)) & np.uint64(0xFFFF))


@compiled
def _groups(high: np.uint64, low: np.uint64, out: Bytes, at: int) -> int:
    first, length = _zeros(high, low)
    index = 0
    while index < 8:
        if index == first:
            out[at], out[at + 1] = 58, 58
            at, index = at + 2, index + length
            continue
        if index > 0 and index != first + length:
            out[at] = 58
            at += 1
        at, index = _hex(_group(high, low, index), out, at), index + 1
    return at


@compiled
def _zeros(high: np.uint64, low: np.uint64) -> tuple[int, int]:
    """First and longest run of at least two groups of zeros; (-9, 0) if there is none."""
    first, length, run = -9, 0, 0
    for index in range(8):
        run = run + 1 if _group(high, low, index) == 0 else 0
        if run > 1 and run > length:
            first, length = index - run + 1, run
    return first, length


@compiled
def _hex(value: int, out: Bytes, at: int) -> int:
    started = False
    for shift in (12, 8, 4, 0):
        digit = value >> shift & 15
        started = started or digit > 0 or shift == 0
        if started:
            out[at] = digit + (48 if digit < 10 else 87)
            at += 1
    return at
