"""Bytes that no placement undercuts, by arithmetic alone: what the solver's relaxation is too weak to see."""

from __future__ import annotations

import numpy as np

from planner.placement.shape import Shape
from planner.placement.traffic import Ints

MOST_STAGES = 256
"""Stages up to which pieces are counted; beyond, each stage counts as one."""


MOST_SPLIT = 64
"""Stages that are not whole up to which their own pieces are counted."""


def simple_bound(shape: Shape, most: Ints) -> int:
    """The least, over the number Q of stages that are whole, of what Q costs at least.

    With c_p the segments of stage p: rings cross Σ c_p over the stages that are not whole, trees c_p - 1, an all-to-all
    of such a stage has H - 1 pairs apart, both ways. Q whole stages take K(Q) segments, the largest first, and the
    pipeline changes between them K - 1 times, in each of its H columns.
    """
    prices, height, stages = shape.prices, shape.units, shape.stages
    fits = np.cumsum(np.sort(most // height)[::-1])
    all_pieces = least_pieces(stages, height, np.cumsum(np.sort(most)[::-1]))
    most_whole = min(stages, int(fits[-1]))
    found = []
    for whole in range(most_whole if height == 1 else 0, most_whole + 1):
        split = stages - whole
        pieces = max(2 * split, all_pieces - whole, _pieces_beside(split, height, most, int(fits[-1]) - whole))
        cost = prices.ring * pieces if height > 1 else 0
        cost += prices.tree * (pieces - split) + 2 * (height - 1) * prices.pairs * split
        segments = int(np.searchsorted(fits, whole)) + 1 if whole else 1
        found.append(cost + (segments - 1) * height * prices.pipeline)
    return min(found)


def _pieces_beside(split: int, height: int, most: Ints, unused: int) -> int:
    """Least pieces of stages that are not whole, in what the whole ones leave.

    Were all whole stages taken that fit, f_s mod H would be left of each segment; each one that is not taken gives H
    units back, at most to the segment that is looked at first.
    """
    if split > MOST_SPLIT:
        return 0
    return least_pieces(split, height, np.cumsum(np.sort(most % height)[::-1]) + unused * height)


def least_pieces(stages: int, height: int, reach: Ints) -> int:
    """Least Σ c_p with which stages of H units fit: in how many pieces they lie, at least.

    ``reach``: units of the m largest segments, by m. Stages and segments that hold pieces of each other make a graph; a
    connected part with k stages and m segments has k + m - 1 pieces or more, and at least the m(k) segments that reach
    k·H. Over all ways to part the stages into such k with Σ m(k) at most the segments there are, the least
    Σ (k + m(k) - 1).
    """
    if stages > MOST_STAGES:
        return stages
    takes = np.searchsorted(reach, height * np.arange(1, stages + 1)) + 1
    segments = len(reach)
    never = np.int64(1) << 40
    best = np.full((stages + 1, segments + 1), never, dtype=np.int64)
    best[0, :] = 0
    for total in range(1, stages + 1):
        for k in range(1, total + 1):
            m = int(takes[k - 1])
            if m <= segments:
                np.minimum(best[total, m:], best[total - k, : segments + 1 - m] + k + m - 1, out=best[total, m:])
    least = int(best[stages].min())
    return least if least < never else 0
