"""Whole columns of addresses as canonical text (RFC 5952), by array arithmetic."""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Words = npt.NDArray[np.uint64]

_LOW = (1 << 64) - 1


def ipv4_text(pool: str, offset: npt.NDArray[Any]) -> pl.Series:
    """Addresses at these offsets in the pool, dotted; an offset below 0 gives null."""
    base = int(ipaddress.ip_network(pool).network_address)
    value = np.where(offset < 0, 0, offset).astype(np.int64) + base
    octets = [_octets().gather(pl.Series((value >> shift) & 255)) for shift in (24, 16, 8, 0)]
    text = pl.select(pl.concat_str(octets, separator=".")).to_series()
    return _null_where(text, offset < 0)


def ipv6_text(pool: str, subnet: npt.NDArray[Any], shift: int, host: npt.NDArray[Any]) -> pl.Series:
    """The address ``subnet << shift | host`` of the pool, canonical; a subnet below 0 gives null.

    The three parts share no bit: the pool is aligned, and a subnet leaves room for its hosts.
    """
    base = int(ipaddress.ip_network(pool).network_address)
    number = np.where(subnet < 0, 0, subnet).astype(np.uint64)
    low = np.uint64(base & _LOW) | np.asarray(host).astype(np.uint64)
    high = np.full(number.shape, base >> 64, dtype=np.uint64)
    if shift < 64:
        low = low | (number << np.uint64(shift))
    high = high | (number >> np.uint64(64 - shift) if 0 < shift < 64 else number * np.uint64(shift == 64))
    return _null_where(_canonical(high, np.broadcast_to(low, high.shape)), subnet < 0)


def _canonical(high: Words, low: Words) -> pl.Series:
    """Text of 128-bit numbers: rows with zeros in the same places are written alike."""
    shifts = np.uint64(48), np.uint64(32), np.uint64(16), np.uint64(0)
    groups = [((word >> s) & np.uint64(0xFFFF)).astype(np.uint32) for word in (high, low) for s in shifts]
    zeros = np.zeros(len(high), dtype=np.uint8)
    for group in groups:
        zeros = (zeros << np.uint8(1)) | (group == 0)
    parts, rows = [], []
    for pattern in np.unique(zeros):
        row = np.flatnonzero(zeros == pattern)
        parts.append(_joined([group[row] for group in groups], int(pattern)))
        rows.append(row)
    if not parts:
        return pl.Series(dtype=pl.String)
    order = np.argsort(np.concatenate(rows), kind="stable")
    return pl.concat(parts).gather(pl.Series(order))


def _joined(groups: list[npt.NDArray[np.uint32]], zeros: int) -> pl.Series:
    first, length = _longest(zeros)
    texts: list[pl.Series | pl.Expr] = []
    for place, group in enumerate(groups):
        if place == first:
            texts.append(pl.lit("::" if length else ""))
        if not first <= place < first + length:
            separated = place + 1 < 8 and place + 1 != first
            texts.append((_groups() if separated else _last_groups()).gather(pl.Series(group)))
    return pl.select(pl.concat_str(texts)).to_series()


@cache
def _longest(zeros: int) -> tuple[int, int]:
    """First place and length of the first longest run of two or more zero groups; (8, 0) where there is none."""
    best = 8, 0
    run = 0
    for place in range(8):
        run = run + 1 if zeros >> (7 - place) & 1 else 0
        if run > max(best[1], 1):
            best = place - run + 1, run
    return best


@cache
def _octets() -> pl.Series:
    return pl.Series([str(n) for n in range(256)])


@cache
def _last_groups() -> pl.Series:
    return pl.Series([f"{n:x}" for n in range(65536)])


@cache
def _groups() -> pl.Series:
    return pl.Series([f"{n:x}:" for n in range(65536)])


def _null_where(text: pl.Series, missing: npt.NDArray[np.bool_]) -> pl.Series:
    if not missing.any():
        return text
    return pl.select(pl.when(pl.Series(~missing)).then(text)).to_series()
