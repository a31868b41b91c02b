"""Walking flows hop by hop: distances, and at each switch the hash's choice among the next hops that lead on.

As BGP with multipath leaves it: a switch hashes over all live links, in the order of their ports, to neighbours that
are one hop nearer to the flow's leaf; so the members of a group shrink with what is dead behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from planner.simulate.kept import kept
from planner.simulate.wires import wires as wires_of

if TYPE_CHECKING:
    from planner.simulate.wires import Small, Wires

Near = npt.NDArray[np.int8]
Hops = npt.NDArray[np.int32]

FAR = np.int8(100)
"""Distance where there is no way."""
MOST_HOPS = 8
"""Channels of the longest path: host, leaf, spine, core, spine, leaf, host make six."""
BEGIN, MEMBERS, TOTAL = 0, 1, 2
"""Of a group: where its members are in the pool, how many, and the sum of their weights (0: each counts once)."""


def near(wires: Wires) -> tuple[Near, Near]:
    """``distances``; those of a network without dead links are worked out once."""
    whole = wires_of(wires.plan, wires.network)
    if wires is whole or wires.like is whole:
        return kept(wires.plan, ("distances", wires.network), lambda: distances(whole))
    return distances(wires)


def distances(wires: Wires) -> tuple[Near, Near]:
    """Hops to each leaf (devices × leaves): by descending alone, and by any way that rises and then descends."""
    devices, leaves = len(wires.level), len(wires.leaves)
    below = np.full((devices, leaves), FAR, dtype=np.int8)
    below[wires.leaves, np.arange(leaves)] = 0
    tiers = [np.flatnonzero(wires.level == level).astype(np.int32) for level in (1, 2, 3)]
    for tier in tiers[1:]:
        _nearer(tier, wires.down.start, wires.down.items, wires.head, below, below)
    any_way = below.copy()
    for tier in tiers[1::-1]:
        _nearer(tier, wires.up.start, wires.up.items, wires.head, any_way, any_way)
    _nearer(tiers[0], wires.across.start, wires.across.items, wires.head, below, any_way)
    return below, any_way


@njit(cache=True, nogil=True)
def _nearer(tier: Small, start: Small, items: Small, head: Small, of: Near, to: Near) -> None:
    """``to[d] = min(to[d], 1 + of[n])`` over the neighbours n of each device d of a tier."""
    for d in tier:
        for at in range(start[d], start[d + 1]):
            n = head[items[at]]
            for leaf in range(of.shape[1]):
                if of[n, leaf] + 1 < to[d, leaf]:
                    to[d, leaf] = of[n, leaf] + 1


def walk(
    first: Small,
    last: Small,
    pins: Small,
    hashes: Any,
    hash_of: Small,
    bits: Small,
    below: Near,
    any_way: Near,
    lists: Any,
    weight: Small,
    head: Small,
    leaf_column: Small,
) -> Hops:
    """Channels of each flow, n × MOST_HOPS, −1 after the last; all −1 where there is no way.

    ``first`` and ``last``: the host's channel to its leaf and the far leaf's to its host, −1 where there is none.
    ``pins``: n × k channels that a flow takes where it passes their tail and they lead on. ``hashes``: functions × n;
    ``hash_of``: function of each device; ``bits``: of each function, 0 where the remainder counts, else the hash's
    width (members take equal ranges). ``lists``: start and items of the channels up, down and across. ``weight``: of
    each channel among the members of its group; one of weight w counts as w members.
    """
    # what is not looked up is never written, and so takes no memory
    groups = np.zeros((2, *below.shape, 3), dtype=np.int32)
    args = (first, last, pins, hashes, hash_of, bits, below, any_way, lists, weight, head, leaf_column)
    hops: Hops = _walk(*args, groups)
    return hops


@njit(cache=True, nogil=True)
def _walk(
    first: Small, last: Small, pins: Small, hashes: Any, hash_of: Small, bits: Small, below: Near, any_way: Near,
    lists: Any, weight: Small, head: Small, leaf_column: Small, groups: Any,
) -> Hops:  # fmt: skip
    n = len(first)
    hops = np.full((n, MOST_HOPS), -1, np.int32)
    pool = np.concatenate((lists[0][1], lists[1][1], lists[2][1]))
    filled = len(pool)
    for i in range(n):
        if first[i] < 0 or last[i] < 0:
            continue
        device, target = head[first[i]], leaf_column[head[last[i] ^ 1]]
        hops[i, 0] = first[i]
        at, rising, pinned = 1, True, pins[i].max() >= 0
        while leaf_column[device] != target:
            if rising and below[device, target] == any_way[device, target]:
                rising = False
            near = any_way if rising else below
            if near[device, target] >= FAR or at == MOST_HOPS - 1:
                hops[i, :] = -1
                break
            group = groups[int(rising), device, target]
            if group[MEMBERS] == 0:
                pool, filled = _group(device, target, rising, near, below, lists, weight, head, pool, filled, group)
            channel = _pin(i, device, target, near, pins, lists[0] if rising else lists[1], head) if pinned else -1
            if channel < 0:
                function = hash_of[device]
                channel = _choice(hashes[function, i], bits[function], pool, weight, group)
            hops[i, at] = channel
            device, at = head[channel], at + 1
        else:
            hops[i, at] = last[i]
    return hops


@njit(cache=True, nogil=True)
def _pin(i: int, device: int, target: int, near: Near, pins: Small, steps: Any, head: Small) -> int:
    """The first channel of a device that leads on and that flow i is pinned to, −1: none."""
    start, items = steps
    for at in range(start[device], start[device + 1]):
        if near[head[items[at]], target] == near[device, target] - 1:
            for k in range(pins.shape[1]):
                if pins[i, k] == items[at]:
                    return int(items[at])
    return -1


@njit(cache=True, nogil=True)
def _choice(hashed: int, bits: int, pool: Small, weight: Small, group: Small) -> int:
    """The member of a group that a hash picks."""
    begin, members = group[BEGIN], group[MEMBERS]
    count = np.int64(group[TOTAL] if group[TOTAL] else members)
    wide = np.int64(hashed)
    pick = (wide * count) >> bits if bits else wide % count
    if not group[TOTAL]:
        return int(pool[begin + pick])
    for at in range(begin, begin + members):
        pick -= weight[pool[at]]
        if pick < 0:
            return int(pool[at])
    return -1


@njit(cache=True, nogil=True)
def _group(
    device: int, target: int, rising: bool, near: Near, below: Near, lists: Any, weight: Small, head: Small,
    pool: Small, filled: int, group: Small,
) -> tuple[Small, int]:  # fmt: skip
    """Fill in which channels of a device lead on to a leaf; returns the pool and how much of it is in use."""
    wanted = near[device, target] - 1
    base = 0 if rising else len(lists[0][1])
    steps = lists[0] if rising else lists[1]
    pool, filled = _members(device, target, wanted, steps, base, near, weight, head, pool, filled, group)
    if group[MEMBERS] == 0:
        base = len(lists[0][1]) + len(lists[1][1])
        return _members(device, target, wanted, lists[2], base, below, weight, head, pool, filled, group)
    return pool, filled


@njit(cache=True, nogil=True)
def _members(
    device: int, target: int, wanted: int, steps: Any, base: int, near: Near, weight: Small, head: Small,
    pool: Small, filled: int, group: Small,
) -> tuple[Small, int]:  # fmt: skip
    """The same of one list, which is in the pool from ``base`` on: members that are not side by side are copied."""
    start, items = steps
    begin, end, members, total, plain = 0, 0, 0, 0, True
    for at in range(start[device], start[device + 1]):
        if near[head[items[at]], target] == wanted:
            begin, end = at if members == 0 else begin, at + 1
            members, total = members + 1, total + weight[items[at]]
            plain = plain and weight[items[at]] == 1
    group[BEGIN], group[MEMBERS], group[TOTAL] = base + begin, members, 0 if plain else total
    if end - begin == members:
        return pool, filled
    if filled + members > len(pool):
        pool = np.concatenate((pool, np.empty(len(pool) + members, np.int32)))
    group[BEGIN] = filled
    for at in range(begin, end):
        if near[head[items[at]], target] == wanted:
            pool[filled] = items[at]
            filled += 1
    return pool, filled
