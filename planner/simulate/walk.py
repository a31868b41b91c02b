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


@njit(cache=True, nogil=True)
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
    n = len(first)
    hops = np.full((n, MOST_HOPS), -1, np.int32)
    for i in range(n):
        if first[i] < 0 or last[i] < 0:
            continue
        device, target = head[first[i]], leaf_column[head[last[i] ^ 1]]
        hops[i, 0] = first[i]
        at, rising = 1, True
        while leaf_column[device] != target:
            if rising and below[device, target] == any_way[device, target]:
                rising = False
            near = any_way if rising else below
            if near[device, target] >= FAR or at == MOST_HOPS - 1:
                hops[i, :] = -1
                break
            channel = _next(i, device, target, rising, near, pins, hashes, hash_of, bits, lists, weight, head, below)
            hops[i, at] = channel
            device, at = head[channel], at + 1
        else:
            hops[i, at] = last[i]
    return hops


@njit(cache=True, nogil=True)
def _next(
    i: int, device: int, target: int, rising: bool, near: Near, pins: Small, hashes: Any, hash_of: Small, bits: Small,
    lists: Any, weight: Small, head: Small, below: Near,
) -> int:  # fmt: skip
    """The channel that flow i takes at a device: its pin where that leads on, else the hash's choice."""
    wanted = near[device, target] - 1
    start, items = lists[0] if rising else lists[1]
    for at in range(start[device], start[device + 1]):
        if near[head[items[at]], target] == wanted:
            for k in range(pins.shape[1]):
                if pins[i, k] == items[at]:
                    return int(items[at])
    members, total = _members(device, target, wanted, start, items, near, weight, head)
    if members == 0:
        start, items = lists[2]
        near = below
        members, total = _members(device, target, wanted, start, items, near, weight, head)
    function = hash_of[device]
    hashed = np.int64(hashes[function, i])
    count = total if total else members
    pick = (hashed * count) >> bits[function] if bits[function] else hashed % count
    for at in range(start[device], start[device + 1]):
        if near[head[items[at]], target] == wanted:
            pick -= weight[items[at]] if total else 1
            if pick < 0:
                return int(items[at])
    return -1


@njit(cache=True, nogil=True)
def _members(
    device: int, target: int, wanted: int, start: Small, items: Small, near: Near, weight: Small, head: Small
) -> tuple[int, int]:
    """How many channels of a device lead on, and the sum of their weights."""
    members, total = 0, 0
    for at in range(start[device], start[device + 1]):
        if near[head[items[at]], target] == wanted:
            members += 1
            total += weight[items[at]]
    return members, total
