"""Samples of one flow and group put together: a bucket sort by group and a hash of the five-tuple."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from collectors.detectors.view import Ints, Mask

Words = npt.NDArray[np.uint64]
SEED = np.uint64(0x9E3779B97F4A7C15)
SHORT = 32
"""Rows of a bucket up to which they are sorted by insertion; longer ones, as of one heavy flow, by merging."""


@njit(cache=True, nogil=True, inline="always")
def _stirred(word: Any) -> Any:
    """The finisher of SplitMix64 (Steele, Lea, Flood 2014)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def hashed(*columns: Ints) -> Words:
    """One hash a row of several columns."""
    found = np.full(len(columns[0]), SEED)
    for column in columns:
        _stir_in(found, column)
    return found


@njit(cache=True, nogil=True)
def _stir_in(words: Words, column: Ints) -> None:
    for row in range(len(words)):
        words[row] = _stirred(words[row] ^ np.uint64(column[row])) + SEED


@njit(cache=True, nogil=True)
def emitted(out: Ints, into: Ints, group: Ints, peer: Ints, device: Ints, devices: int) -> tuple[Ints, Ints, Mask]:
    """Rows and the members by which their frames left, in order, and which devices tell that of their own frames.

    What comes in from a switch that does not tell left it by the member at the other end. By row: ``out`` and ``into``
    ports; by port: ``group``, ``peer`` and ``device``; negative where there is none.
    """
    tells = np.zeros(devices, dtype=np.bool_)
    for row in range(len(out)):
        if out[row] >= 0 and group[out[row]] >= 0:
            tells[device[out[row]]] = True
    rows, ports = np.empty(2 * len(out), dtype=np.int64), np.empty(2 * len(out), dtype=np.int64)
    found = 0
    for row in range(len(out)):
        if out[row] >= 0 and group[out[row]] >= 0:
            rows[found], ports[found] = row, out[row]
            found += 1
        below = peer[into[row]] if into[row] >= 0 else -1
        if below >= 0 and group[below] >= 0 and not tells[device[below]]:
            rows[found], ports[found] = row, below
            found += 1
    return rows[:found], ports[:found], tells


@njit(cache=True, nogil=True)
def sorted_rows(group: Ints, words: Words, groups: int) -> tuple[Ints, Words]:
    """The order of rows by group and then hash, equal ones as they came, and their identities in it.

    An identity's first bits are the group, the others the hash's first.
    """
    bits = np.uint64(1)
    while (1 << np.int64(bits)) < groups:
        bits += np.uint64(1)
    count, start = np.zeros(groups, dtype=np.int64), np.zeros(groups, dtype=np.int64)
    for row in range(len(group)):
        count[group[row]] += 1
    start[1:] = np.cumsum(count)[:-1]
    first, bucket = np.zeros(len(group) + 1, dtype=np.int64), np.empty(len(group), dtype=np.int64)
    for row in range(len(group)):
        own = group[row]
        bucket[row] = start[own] + np.int64(((words[row] >> np.uint64(32)) * np.uint64(count[own])) >> np.uint64(32))
        first[bucket[row] + 1] += 1
    first = np.cumsum(first)
    order, identity, at = np.empty(len(group), np.int64), np.empty(len(group), np.uint64), first[:-1].copy()
    for row in range(len(group)):
        place = at[bucket[row]]
        at[bucket[row]] += 1
        order[place] = row
        identity[place] = (np.uint64(group[row]) << (np.uint64(64) - bits)) | (words[row] >> bits)
    for number in range(len(group)):
        _sorted(order, identity, first[number], first[number + 1])
    return order, identity


@njit(cache=True, nogil=True)
def _sorted(order: Ints, identity: Words, begin: int, end: int) -> None:
    """Sort these places by identity, equal ones as they are."""
    if end - begin > SHORT:
        inner = np.argsort(identity[begin:end], kind="mergesort")
        order[begin:end] = order[begin:end][inner]
        identity[begin:end] = identity[begin:end][inner]
        return
    for i in range(begin + 1, end):
        row, word, j = order[i], identity[i], i
        while j > begin and identity[j - 1] > word:
            order[j], identity[j] = order[j - 1], identity[j - 1]
            j -= 1
        order[j], identity[j] = row, word


@njit(cache=True, nogil=True)
def joined(identity: Words, port: Ints) -> tuple[Ints, Ints, Mask]:
    """Flows of sorted samples: place of the first sample on the member that most took, samples, seen on several."""
    first, samples = np.empty(len(identity), np.int64), np.empty(len(identity), np.int64)
    moved = np.zeros(len(identity), dtype=np.bool_)
    found, begin = 0, 0
    while begin < len(identity):
        end = begin + 1
        while end < len(identity) and identity[end] == identity[begin]:
            moved[found] |= port[end] != port[begin]
            end += 1
        first[found], samples[found] = begin, end - begin
        if moved[found]:
            most = _most(port[begin:end])
            while port[first[found]] != most:
                first[found] += 1
        found, begin = found + 1, end
    return first[:found], samples[:found], moved[:found]


@njit(cache=True, nogil=True)
def _most(values: Ints) -> int:
    """The value that is there most often, the least of several."""
    ordered = np.sort(values)
    best, most, begin = ordered[0], 0, 0
    for at in range(1, len(ordered) + 1):
        if at == len(ordered) or ordered[at] != ordered[begin]:
            if at - begin > most:
                best, most = ordered[begin], at - begin
            begin = at
    return int(best)
