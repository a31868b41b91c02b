"""Values to the numbers and texts of samples: the compiled way for numbers, the plain way for all else.

A value that a column cannot hold (a negative count, words for a number, not a number) is *unusable*: counted, not kept.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
from numba import njit

from collectors.sources.gnmi import wire
from collectors.sources.gnmi.dictionary import FLOATING, IGNORED, STATE, TEXT, UNSIGNED, Column
from collectors.sources.gnmi.wire import DECIMAL, FLOAT, INT, JSON, UINT

UNRESOLVED, UNKNOWN, ELSEWHERE, SEEN = -1, -2, -3, -4
"""Instead of a port: not looked up yet, not in the plan, no port at all, not in the plan and told of since asked."""
LONGEST_TEXT = 1024
MOST_UNSIGNED = (1 << 64) - 1
STATES = {"UP": 1, "DOWN": 2, "TESTING": 3, "UNKNOWN": 4, "DORMANT": 5, "NOT_PRESENT": 6, "LOWER_LAYER_DOWN": 7}
"""RFC 2863's ifOperStatus by OpenConfig's names."""
_SPEED = re.compile(r"^(?:.*:)?SPEED_(\d{1,6})(MB|GB)$", re.ASCII)
_WHOLE = re.compile(r"^\d{1,20}$", re.ASCII)
_NUMBER = re.compile(r"^-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?$", re.ASCII)


@njit(cache=True, nogil=True)
def _digits(buf, at, size):  # type: ignore[no-untyped-def]
    """A number of JSON, in quotes or not, of at most 19 digits: sign, digits, how many behind the point; -1 if none."""
    end = at + size
    if size >= 2 and buf[at] == 0x22 and buf[end - 1] == 0x22:
        at, end = at + 1, end - 1
    negative = at < end and buf[at] == 0x2D
    at += negative
    value, count, behind, pointed = np.uint64(0), 0, 0, False
    first = at
    while at < end:
        byte = buf[at]
        if byte == 0x2E and not pointed and count > 0:
            pointed = True
        elif 0x30 <= byte <= 0x39:
            value = value * np.uint64(10) + np.uint64(byte - 0x30)
            count += 1
            behind += pointed
        else:
            return False, value, -1
        at += 1
    fine = 0 < count <= 19 and (not pointed or behind > 0) and (buf[first] != 0x30 or count - behind == 1)
    return negative, value, (behind if fine else -1)


@njit(cache=True, nogil=True)
def _real(kind, bits, value, size, buf):  # type: ignore[no-untyped-def]
    """A gauge or seconds; False where the plain way must look."""
    if kind == UINT:
        return True, np.float64(bits)
    if kind == INT:
        return True, np.float64(np.int64(bits))
    if kind == FLOAT:
        return True, np.uint64(bits).view(np.float64)
    if kind == DECIMAL:
        return abs(np.int64(bits)) < 1 << 53 and value <= 18, np.float64(np.int64(bits)) / 10.0 ** min(value, 18)
    if kind == JSON:
        negative, digits, behind = _digits(buf, value, size)
        number = np.float64(digits) / 10.0 ** max(behind, 0)
        return behind >= 0 and digits < np.uint64(1 << 53), -number if negative else number
    return False, 0.0


@njit(cache=True, nogil=True)
def _count(kind, bits, value, size, buf):  # type: ignore[no-untyped-def]
    """A count; False where the plain way must look."""
    if kind == UINT:
        return True, bits
    if kind == INT:
        return np.int64(bits) >= 0, bits
    if kind == JSON:
        negative, digits, behind = _digits(buf, value, size)
        return behind == 0 and not negative, digits
    return False, bits


@njit(cache=True, nogil=True)
def convert(out, bits, n, notes, arrived, buf, meaning, factors, kinds, port_of, best, kept, numbers, slow):  # type: ignore[no-untyped-def]
    """Updates to (port, column, time, arrival, i) in ``kept`` (n, 5) and ``numbers`` (n,) uint64; returns three counts.

    ``slow`` takes the rows that the plain way must look at. Counts: kept, slow, and those of nothing of ours.
    """
    m = s = ignored = 0
    for i in range(n):
        row = out[i]
        name, column, rank = meaning[row[wire.SLOT]]
        if column == IGNORED:
            ignored += 1
            continue
        port = port_of[name] if column >= 0 else UNRESOLVED
        if port in (UNKNOWN, SEEN):
            port_of[name] = SEEN
            continue
        if port == ELSEWHERE:
            ignored += 1
            continue
        fine = False
        if port >= 0 and kinds[column] == UNSIGNED:
            fine, number = _count(row[wire.KIND], bits[i], row[wire.VALUE], row[wire.VALUE_SIZE], buf)
            factor = factors[row[wire.SLOT]]
            fine &= factor <= 1.0
            numbers[m] = number if factor == 1.0 else np.uint64(np.float64(number) * factor)
        elif port >= 0 and kinds[column] == FLOATING:
            fine, real = _real(row[wire.KIND], bits[i], row[wire.VALUE], row[wire.VALUE_SIZE], buf)
            real *= factors[row[wire.SLOT]]
            fine &= math.isfinite(real)
            numbers[m] = np.float64(real).view(np.uint64)
        if not fine:
            slow[s] = i
            s += 1
        elif best[port, column] >= rank:
            best[port, column] = rank
            note = row[wire.MESSAGE]
            kept[m, 0], kept[m, 1], kept[m, 2], kept[m, 3] = port, column, notes[note, wire.TIME], arrived[note]
            kept[m, 4] = i
            m += 1
    return m, s, ignored


def plain(kind: int, raw: bytes, bits: int, precision: int) -> Any:
    """The value of an update as Python has it; None for what is none."""
    if kind == wire.TEXT:
        return raw.decode("ascii")
    if kind == JSON:
        return parse(raw)
    if kind == wire.BOOL:
        return bits != 0
    if kind == UINT:
        return bits
    if kind == FLOAT:
        return float(np.uint64(bits).view(np.float64))
    signed = bits - (1 << 64) if bits >> 63 else bits
    if kind == DECIMAL:
        return decimal(signed, precision)
    return signed if kind == INT else None


def decimal(digits: int, precision: int) -> float | int | None:
    """A Decimal64; None where its precision is beyond what YANG knows (18)."""
    return None if precision > 18 else digits / 10**precision if precision else digits


def parse(raw: bytes) -> Any:
    """JSON from the network; None for what is none, or is nested or long beyond reason."""
    try:
        return json.loads(raw, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def coerce(column: Column, value: object, factor: float) -> int | float | str | None:
    """A value as its column keeps it; None if it cannot be."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if column.kind == TEXT:
        return value[:LONGEST_TEXT] if isinstance(value, str) else None
    if column.kind == STATE:
        return _state(value)
    if column.kind == UNSIGNED:
        return _unsigned(value, factor)
    if column.counter.unit == "Gb/s" and isinstance(value, str) and (speed := _SPEED.match(value)):
        return int(speed[1]) * (0.001 if speed[2] == "MB" else 1.0)
    if column.counter.name == "pfc_enabled_mask" and isinstance(value, str):
        return _mask(value)
    return _floating(value, factor)


def _state(value: object) -> int | None:
    if isinstance(value, str):
        return STATES.get(value.rpartition(":")[2].upper().replace("-", "_"))
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= len(STATES) else None


def _unsigned(value: object, factor: float) -> int | None:
    if isinstance(value, str) and _WHOLE.match(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_UNSIGNED:
        return None
    scaled = value if factor == 1 else int(value * factor)
    return scaled if scaled <= MOST_UNSIGNED else None


def _floating(value: object, factor: float) -> float | None:
    if isinstance(value, str) and _NUMBER.match(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    scaled = float(value) * factor
    return scaled if math.isfinite(scaled) else None


def _mask(text: str) -> float | None:
    """SONiC's list of priorities, ``3,4``, a bit each."""
    if not re.fullmatch(r"(?:[0-7](?:,[0-7])*)?", text, re.ASCII):
        return None
    return float(sum({1 << int(priority) for priority in text.split(",") if priority}))
