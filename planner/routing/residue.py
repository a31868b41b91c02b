"""A small residue solved exactly: the edges around the fullest link are assigned anew by CP-SAT, the others stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.routing.jit import Floats, Ints, Mask
from planner.routing.spread import Edges

MOST_EDGES = 48
ROUNDS = 6
EFFORT = 0.5
"""Deterministic seconds of each round."""
UNITS = 1_000
"""Parts of the heaviest edge that weights are rounded up to while solving; loads are then compared unrounded."""


def improved(edges: Edges, color: Ints, weight: Floats) -> Ints:
    """Colours whose fullest link is at most as full as before."""
    best = color
    for _ in range(ROUNDS):
        full, chosen = _around_fullest(edges, best, weight)
        changed = _solved(edges, best, weight, chosen)
        if changed is None or _around_fullest(edges, changed, weight)[0] >= full * (1 - 1e-9):
            return best
        best = changed
    return best


def _loads(edges: Edges, color: Ints, weight: Floats, counted: Mask) -> tuple[Floats, Floats]:
    left, right = np.zeros(edges.room_left.shape), np.zeros(edges.room_right.shape)
    np.add.at(left, (edges.left[counted], color[counted]), weight[counted])
    np.add.at(right, (edges.right[counted], color[counted]), weight[counted])
    return left, right


def _around_fullest(edges: Edges, color: Ints, weight: Floats) -> tuple[float, Ints]:
    """The largest weight a unit of room, and the edges at its node: those on the link first, then the heaviest."""
    loads = _loads(edges, color, weight, np.ones(len(color), np.bool_))
    full = [load / np.maximum(room, 1) for load, room in zip(loads, (edges.room_left, edges.room_right), strict=True)]
    side = int(full[1].max() > full[0].max())
    node, c = np.unravel_index(int(full[side].argmax()), full[side].shape)
    end = edges.right if side else edges.left
    mine = np.flatnonzero(end == node)
    order = np.lexsort((-weight[mine], color[mine] != c))
    return float(full[side].max()), mine[order][:MOST_EDGES]


def _solved(edges: Edges, color: Ints, weight: Floats, chosen: Ints) -> Ints | None:
    """Minimise T: fixed weight and chosen edges of each node and colour together ≤ T · room; None: nothing found."""
    from ortools.sat.python import cp_model

    counted = np.ones(len(color), np.bool_)
    counted[chosen] = False
    fixed = [np.ceil(load * UNITS).astype(np.int64) for load in _loads(edges, color, weight, counted)]
    units = np.ceil(weight * UNITS).astype(np.int64)
    model = cp_model.CpModel()
    top = model.new_int_var(0, int(units.sum()) + UNITS, "")
    links: dict[tuple[int, int, int], list[Any]] = {}
    taken: dict[tuple[int, int], Any] = {}
    for edge in chosen.tolist():
        u, v = int(edges.left[edge]), int(edges.right[edge])
        may = (edges.room_left[u] > 0) & (edges.room_right[v] > 0) & edges.allowed[edges.kind[edge]]
        for c in np.flatnonzero(may).tolist():
            variable = taken[edge, c] = model.new_bool_var("")
            model.add_hint(variable, bool(color[edge] == c))
            for key in ((0, u, c), (1, v, c)):
                links.setdefault(key, []).append(int(units[edge]) * variable)
        model.add_exactly_one(taken[edge, c] for c in np.flatnonzero(may).tolist())
    for (side, node, c), terms in links.items():
        room = int((edges.room_right if side else edges.room_left)[node, c])
        model.add(sum(terms) + int(fixed[side][node, c]) <= room * top)
    model.minimize(top)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 1, 1
    solver.parameters.max_deterministic_time = EFFORT
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    result = color.copy()
    for (edge, c), variable in taken.items():
        if solver.value(variable):
            result[edge] = c
    return result
