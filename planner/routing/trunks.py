"""Parallel links: which of a trunk's living links each flow takes."""

from __future__ import annotations

import numpy as np

from planner.routing.jit import Floats, Ints, compiled
from planner.routing.network import Tier


def on_links(tier: Tier, lower: Ints, upper: Ints, gbps: Floats, uppers: int) -> Ints:
    """Link id for each flow between a lower and an upper switch: the largest flows first, each to the emptiest link.

    −1 where either end is −1. Every trunk that is named has a living link.
    """
    result = np.full(len(lower), -1)
    used = (lower >= 0) & (upper >= 0)
    if not used.any():
        return result
    live = np.flatnonzero(tier.live)
    key = tier.lower[live] * uppers + tier.upper[live]
    order = np.argsort(key, kind="stable")
    trunks, begin, many = np.unique(key[order], return_index=True, return_counts=True)
    trunk = np.searchsorted(trunks, lower[used] * uppers + upper[used])
    turn = np.lexsort((-gbps[used], trunk))
    picked = _fill(trunk[turn], gbps[used][turn], begin, many, int(many.max()))
    links = np.empty(len(turn), np.int64)
    links[turn] = tier.link[live[order]][picked]
    result[used] = links
    return result


@compiled
def _fill(trunk: Ints, gbps: Floats, begin: Ints, many: Ints, most: int) -> Ints:
    """Flows in the order of trunks: the place of each one's link."""
    load, result, before = np.zeros(most), np.empty(len(trunk), np.int64), -1
    for at in range(len(trunk)):
        here = trunk[at]
        if here != before:
            load[:] = 0.0
            before = here
        least = np.argmin(load[: many[here]])
        load[least] += gbps[at]
        result[at] = begin[here] + least
    return result
