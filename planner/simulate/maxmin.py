"""Max–min fair rates by progressive filling.

All flows grow together until a channel is full; its flows are frozen at that rate and the rest grow on (Bertsekas and
Gallager, Data Networks, 6.5.2). A frozen flow leaves its other channels with a fair share that is no smaller than
before, so a heap whose keys are old shares is a heap of lower bounds: a channel is taken out, its share reckoned anew,
and put back where it has grown. Each channel–flow pair is touched twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from planner.simulate.wires import Floats, Ints, Mask, Small

FULL = 1e-9
"""Shares that differ by this part of themselves are one."""
LEFT, OPEN = 0, 1
"""Columns of a channel: what is left of its speed, and how many flows share it."""


@njit(cache=True, nogil=True)
def fair_rates(start: Small, items: Small, capacity: Floats, limit: Floats) -> Floats:
    """Rate of each flow in the unit of ``capacity``.

    Flow i uses the channels ``items[start[i]:start[i + 1]]`` (one that is there twice is used twice) and is never
    faster than ``limit[i]`` (infinite: no limit); a flow without channels has its limit, one over a channel without
    capacity has 0.
    """
    flows, channels = len(start) - 1, len(capacity)
    by_start, by_items = _transposed(start, items, channels)
    share_of = np.empty((channels, 2))
    for channel in range(channels):
        share_of[channel, LEFT], share_of[channel, OPEN] = capacity[channel], by_start[channel + 1] - by_start[channel]
    rates = np.empty(flows)
    order, is_open = _by_limit(limit), np.ones(flows, np.bool_)
    keys, heap, size = _heap(share_of)
    next_limit = 0
    while True:
        while next_limit < flows and not is_open[order[next_limit]]:
            next_limit += 1
        share, channel = np.inf, -1
        while size:
            channel = heap[0]
            of = share_of[channel]
            share = max(of[LEFT], 0.0) / of[OPEN] if of[OPEN] else np.inf
            if share <= keys[0] * (1 + FULL):
                break
            if share == np.inf:
                size -= 1
                share, channel = keys[size], heap[size]
            _sink(heap, keys, 0, size, share, channel)
            channel = -1
        if next_limit < flows and limit[order[next_limit]] <= share:
            i = order[next_limit]
            _freeze(i, limit[i], start, items, share_of, rates, is_open)
        elif channel < 0:
            return rates
        else:
            for at in range(by_start[channel], by_start[channel + 1]):
                if is_open[by_items[at]]:
                    _freeze(by_items[at], share, start, items, share_of, rates, is_open)


@njit(cache=True, nogil=True)
def _by_limit(limit: Floats) -> Ints:
    """Flows by their limits, in any order where none has one."""
    for value in limit:
        if value < np.inf:
            return np.argsort(limit)
    return np.arange(len(limit))


@njit(cache=True, nogil=True)
def _freeze(i: int, rate: float, start: Small, items: Small, share_of: Floats, rates: Floats, is_open: Mask) -> None:
    rates[i], is_open[i] = rate, False
    for at in range(start[i], start[i + 1]):
        of = share_of[items[at]]
        of[LEFT] -= rate
        of[OPEN] -= 1.0


@njit(cache=True, nogil=True)
def _transposed(start: Small, items: Small, channels: int) -> tuple[Small, Small]:
    """Flows by channel."""
    by_start = np.zeros(channels + 1, np.int32)
    for item in items:
        by_start[item + 1] += 1
    for channel in range(channels):
        by_start[channel + 1] += by_start[channel]
    filled = by_start[:-1].copy()
    by_items = np.empty(len(items), np.int32)
    for i in range(len(start) - 1):
        for at in range(start[i], start[i + 1]):
            by_items[filled[items[at]]] = i
            filled[items[at]] += 1
    return by_start, by_items


@njit(cache=True, nogil=True)
def _heap(share_of: Floats) -> tuple[Floats, Small, int]:
    """A heap of the channels in use by their shares, and the shares in the heap's order."""
    keys = np.empty(len(share_of))
    heap = np.empty(len(share_of), np.int32)
    size = 0
    for channel in range(len(share_of)):
        if share_of[channel, OPEN]:
            keys[size] = share_of[channel, LEFT] / share_of[channel, OPEN]
            heap[size] = channel
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink(heap, keys, at, size, keys[at], heap[at])
    return keys, heap, size


@njit(cache=True, nogil=True)
def _sink(heap: Small, keys: Floats, at: int, size: int, key: float, channel: int) -> None:
    """Put a channel in at a place or below it."""
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[at], heap[at] = keys[child], heap[child]
        at = child
    keys[at], heap[at] = key, channel
