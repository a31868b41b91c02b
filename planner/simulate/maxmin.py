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
    from planner.simulate.wires import Floats, Ints, Small

FULL = 1e-9
"""Shares that differ by this part of themselves are one."""


@njit(cache=True, nogil=True)
def fair_rates(start: Small, items: Small, capacity: Floats, limit: Floats) -> Floats:
    """Rate of each flow in the unit of ``capacity``.

    Flow i uses the channels ``items[start[i]:start[i + 1]]`` (one that is there twice is used twice) and is never
    faster than ``limit[i]`` (infinite: no limit); a flow without channels has its limit, one over a channel without
    capacity has 0.
    """
    flows, channels = len(start) - 1, len(capacity)
    by_start, by_items = _transposed(start, items, channels)
    left, open_flows = capacity.copy(), (by_start[1:] - by_start[:-1]).astype(np.int64)
    rates = np.full(flows, -1.0)
    order = np.argsort(limit)
    keys, heap, size = _heap(left, open_flows)
    next_limit = 0
    while True:
        while next_limit < flows and rates[order[next_limit]] >= 0:
            next_limit += 1
        share, channel = np.inf, -1
        while size:
            channel = heap[0]
            share = max(left[channel], 0.0) / open_flows[channel] if open_flows[channel] else np.inf
            if share <= keys[channel] * (1 + FULL):
                break
            keys[channel] = share
            if share == np.inf:
                size -= 1
                heap[0] = heap[size]
            _sink(heap, keys, 0, size)
            channel = -1
        if next_limit < flows and limit[order[next_limit]] <= share:
            i = order[next_limit]
            _freeze(i, limit[i], start, items, left, open_flows, rates)
        elif channel < 0:
            return rates
        else:
            for at in range(by_start[channel], by_start[channel + 1]):
                if rates[by_items[at]] < 0:
                    _freeze(by_items[at], share, start, items, left, open_flows, rates)


@njit(cache=True, nogil=True)
def _freeze(i: int, rate: float, start: Small, items: Small, left: Floats, open_flows: Ints, rates: Floats) -> None:
    rates[i] = rate
    for at in range(start[i], start[i + 1]):
        left[items[at]] -= rate
        open_flows[items[at]] -= 1


@njit(cache=True, nogil=True)
def _transposed(start: Small, items: Small, channels: int) -> tuple[Ints, Small]:
    """Flows by channel."""
    by_start = np.zeros(channels + 1, np.int64)
    for item in items:
        by_start[item + 1] += 1
    by_start = np.cumsum(by_start)
    filled = by_start[:-1].copy()
    by_items = np.empty(len(items), np.int32)
    for i in range(len(start) - 1):
        for at in range(start[i], start[i + 1]):
            by_items[filled[items[at]]] = i
            filled[items[at]] += 1
    return by_start, by_items


@njit(cache=True, nogil=True)
def _heap(left: Floats, open_flows: Ints) -> tuple[Floats, Small, int]:
    """Keys of all channels, and a heap of those in use by key."""
    keys = np.full(len(left), np.inf)
    heap = np.empty(len(left), np.int32)
    size = 0
    for channel in range(len(left)):
        if open_flows[channel]:
            keys[channel] = left[channel] / open_flows[channel]
            heap[size] = channel
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink(heap, keys, at, size)
    return keys, heap, size


@njit(cache=True, nogil=True)
def _sink(heap: Small, keys: Floats, at: int, size: int) -> None:
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and keys[heap[child + 1]] < keys[heap[child]]:
            child += 1
        if keys[heap[at]] <= keys[heap[child]]:
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child
