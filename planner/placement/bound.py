"""Bytes that no placement undercuts, by arithmetic alone: what the solver's relaxation is too weak to see."""

from __future__ import annotations

import numpy as np

from planner.placement.shape import Shape
from planner.placement.traffic import Ints

MOST_STAGES = 256
"""Stages up to which pieces are counted; beyond, each stage counts as one."""


def simple_bound(shape: Shape, most: Ints) -> int:
    """The least, over the number Q of stages that are whole, of what Q costs at least.

    With c_p the segments of stage p and E = Σ c_p: rings cross Σ c_p over the others = E - Q times, at least 2·(P - Q);
    trees E - P times, at least P - Q; an all-to-all of a stage that is not whole has H - 1 pairs apart, both ways. Q
    whole stages take K(Q) segments, the largest first, and the pipeline changes between them K - 1 times, in each of
    its H columns.
    """
    prices, height, stages = shape.prices, shape.units, shape.stages
    reach = np.cumsum(np.sort(most // height)[::-1])
    pieces = least_pieces(stages, height, most)
    most_whole = min(stages, int(reach[-1]))
    found = []
    for whole in range(most_whole if height == 1 else 0, most_whole + 1):
        split = stages - whole
        cost = prices.ring * max(2 * split, pieces - whole) if height > 1 else 0
        cost += prices.tree * max(split, pieces - stages) + 2 * (height - 1) * prices.pairs * split
        segments = int(np.searchsorted(reach, whole)) + 1 if whole else 1
        found.append(cost + (segments - 1) * height * prices.pipeline)
    return min(found)


def least_pieces(stages: int, height: int, most: Ints) -> int:
    """Least E = Σ c_p with which P stages of H units fit: in how many pieces all stages lie in segments, at least.

    Stages and segments that hold pieces of each other make a graph; a connected part with k stages and m segments has
    k + m - 1 pieces or more, and m(k) segments at least, the largest taken. Over all ways to part P into such k with
    Σ m(k) at most the segments there are, the least Σ (k + m(k) - 1).
    """
    if stages > MOST_STAGES:
        return stages
    reach = np.cumsum(np.sort(most)[::-1])
    takes = np.searchsorted(reach, height * np.arange(1, stages + 1)) + 1
    segments = len(most)
    never = np.int64(1) << 40
    best = np.full((stages + 1, segments + 1), never, dtype=np.int64)
    best[0, :] = 0
    for total in range(1, stages + 1):
        for k in range(1, total + 1):
            m = int(takes[k - 1])
            if m <= segments:
                np.minimum(best[total, m:], best[total - k, : segments + 1 - m] + k + m - 1, out=best[total, m:])
    return int(min(best[stages].min(), never))
