"""From units by stage and segment to a row: the order of segments in each stage that crosses least.

Within a stage segments stand in one run each, so that its rings cross as seldom as they can; which order the runs have
is found stage by stage (Viterbi), among all orders of a few segments.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from planner.placement.shape import Shape
from planner.placement.traffic import Ints

MOST_PERMUTED = 4
"""Segments of one stage up to which every order of them is tried."""


def in_order(shape: Shape, counts: Ints) -> Ints:
    """Segment numbers of all units in rank order (P × H), from units by stage and segment (P × S)."""
    rows: list[list[Ints]] = []
    costs: list[list[int]] = []
    came: list[list[int]] = []
    for p in range(shape.stages):
        before = rows[-1] if rows else []
        rows.append(_candidates(counts[p], before[0] if before else None))
        own = [inside_cost(shape, row) for row in rows[-1]]
        if not before:
            costs.append(own)
            came.append([0] * len(own))
            continue
        steps = [
            [costs[-1][k] + shape.prices.pipeline * int((old != row).sum()) for k, old in enumerate(before)]
            for row in rows[-1]
        ]
        best = [min(range(len(step)), key=step.__getitem__) for step in steps]
        costs.append([mine + step[k] for mine, step, k in zip(own, steps, best, strict=True)])
        came.append(best)
    at = min(range(len(costs[-1])), key=costs[-1].__getitem__)
    chosen = []
    for row, back in zip(reversed(rows), reversed(came), strict=True):
        chosen.append(row[at])
        at = back[at]
    return np.stack(chosen[::-1])


def _candidates(counts: Ints, before: Ints | None) -> list[Ints]:
    present = np.flatnonzero(counts).tolist()
    if len(present) <= MOST_PERMUTED:
        orders = [list(order) for order in permutations(present)]
    else:
        last = before.tolist() if before is not None else []
        met = {s: last.index(s) if s in last else len(last) for s in present}
        forward = sorted(present, key=lambda s: (met[s], -int(counts[s])))
        orders = [forward, sorted(present, key=lambda s: -int(counts[s]))]
    return [np.repeat(np.array(order), counts[order]) for order in orders]


def inside_cost(shape: Shape, row: Ints) -> int:
    """Bytes of one stage between segments, by the segment of each of its units."""
    prices = shape.prices
    found = _ring(row[None, :], prices.ring) + _pairs(row[None, :], prices.pairs)
    found += prices.tree * (len(np.unique(row)) - 1)
    groups = row.reshape(-1, shape.expert)
    return found + _ring(groups, prices.expert_ring) + _pairs(groups, prices.expert_pairs)


def _ring(rows: Ints, price: int) -> int:
    if rows.shape[1] < 2 or not price:
        return 0
    return price * int((rows != np.roll(rows, -1, axis=1)).sum())


def _pairs(rows: Ints, price: int) -> int:
    if not price:
        return 0
    size = rows.shape[1]
    same = sum(((rows == segment).sum(axis=1) ** 2).sum() for segment in np.unique(rows).tolist())
    return price * int(rows.shape[0] * size * size - same)
