"""Placements made by rule, from which the solver starts; and simpler shapes that stand for a job's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.placement.shape import Prices, Shape
from planner.placement.traffic import Ints

MOST_RUN = 256
"""Longest run of stages that is tried."""


def starts(shape: Shape, least: Ints, most: Ints) -> list[Ints]:
    """Units by stage and segment: data-parallel groups kept together, or runs of g stages of the pipeline, for each g.

    A run is one stage of columns g units deep: each of its stages gets the same units of each segment.
    """
    found = [chained(whole_stages(shape, room(shape, least, most)))]
    for run in () if least.any() else range(1, min(shape.stages, MOST_RUN) + 1):
        if shape.stages % run == 0 and int((most // run).sum()) * run >= shape.total:
            short = replace(shape, stages=shape.stages // run)
            found.append(np.repeat(chained(whole_stages(short, most // run)), run, axis=0))
    return found


def room(shape: Shape, least: Ints, most: Ints) -> Ints:
    """Units to take of each segment, in as few segments as do, besides what must be taken always."""
    taken = least.copy()
    rest = shape.total - int(least.sum())
    for segment in np.argsort(-most, kind="stable").tolist():
        more = min(rest, int(most[segment] - taken[segment]))
        taken[segment] += more
        rest -= more
    return taken


def whole_stages(shape: Shape, room: Ints) -> Ints:
    """Stages whole where they fit; then from two segments, the smaller just large enough; else from the largest."""
    found = np.zeros((shape.stages, len(room)), dtype=np.int64)
    stage = 0
    for segment in np.argsort(-room, kind="stable").tolist():
        fit = min(int(room[segment]) // shape.units, shape.stages - stage)
        found[stage : stage + fit, segment] = shape.units
        room[segment] -= fit * shape.units
        stage += fit
    for left in range(stage, shape.stages):
        need = shape.units
        while need:
            enough = np.flatnonzero(room >= need)
            segment = int(enough[np.argmin(room[enough])] if len(enough) else np.argmax(room))
            take = min(need, int(room[segment]))
            found[left, segment] += take
            room[segment] -= take
            need -= take
    return found


def chained(counts: Ints) -> Ints:
    """The same stages in an order in which neighbours share segments: each time the one that shares most."""
    rest = list(range(len(counts)))
    order = [rest.pop(0)]
    shared = np.minimum(counts[:, None, :], counts[None, :, :]).sum(axis=2) if len(counts) <= 512 else None
    while rest:
        last = order[-1]
        same = shared[last, rest] if shared is not None else np.minimum(counts[last], counts[rest]).sum(axis=1)
        order.append(rest.pop(int(np.argmax(same))))
    return counts[order]


def coarse(shape: Shape) -> Shape:
    """The shape with whole expert groups for units."""
    e, prices = shape.expert, shape.prices
    scaled = Prices(
        ring=prices.ring, tree=prices.tree, pairs=prices.pairs * e * e,
        pipeline=prices.pipeline * e, wrap=prices.wrap * e,
    )  # fmt: skip
    return Shape(shape.stages, shape.units // e, shape.hosts * e, 1, scaled)


def without_experts(shape: Shape) -> Shape:
    """The shape without what expert groups cost: a relaxation."""
    return replace(shape, expert=1, prices=replace(shape.prices, expert_ring=0, expert_pairs=0))
