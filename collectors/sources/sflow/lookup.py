"""A hash table of fixed size from two words to a number: agents by address, ports by ifIndex, streams by sub-agent."""

from __future__ import annotations

from typing import cast

import numpy as np

from collectors.sources.sflow.jit import Ints, Words, compiled


@compiled
def seek(keys: Words, values: Ints, high: int, low: int) -> int:
    """The slot that holds the key, or the empty one where it would go (value -1); the table is never full."""
    mask = np.uint64(len(values) - 1)
    mixed = (np.uint64(high) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(low)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    slot = np.int64((mixed ^ (mixed >> np.uint64(32))) & mask)
    while values[slot] >= 0 and (keys[slot, 0] != np.uint64(high) or keys[slot, 1] != np.uint64(low)):
        slot = (slot + 1) & np.int64(mask)
    return int(slot)


@compiled
def find(keys: Words, values: Ints, high: int, low: int) -> int:
    """The number at a key, -1 where there is none."""
    return int(values[seek(keys, values, high, low)])


@compiled
def find_all(keys: Words, values: Ints, high: Words, low: Words, found: Ints) -> None:
    """The number at each key, -1 where there is none, into ``found``."""
    for index in range(len(high)):
        found[index] = values[seek(keys, values, high[index], low[index])]


@compiled
def put(keys: Words, values: Ints, high: int, low: int, value: int) -> None:
    """Set the number at a key; the caller keeps at least half of the slots empty."""
    slot = seek(keys, values, high, low)
    keys[slot, 0], keys[slot, 1] = high, low
    values[slot] = value


class Lookup:
    """The table: room for ``most`` keys and no more."""

    def __init__(self, most: int) -> None:
        slots = 1 << max(3, (2 * most).bit_length())
        self.keys = np.zeros((slots, 2), np.uint64)
        self.values = np.full(slots, -1, np.int32)

    def put(self, high: int, low: int, value: int) -> None:
        """Set the number at a key."""
        put(self.keys, self.values, cast(int, np.uint64(high)), cast(int, np.uint64(low)), value)

    def find(self, high: Words, low: Words) -> Ints:
        """The number at each key, -1 where there is none."""
        found = np.empty(len(high), np.int32)
        find_all(self.keys, self.values, high, low, found)
        return found
