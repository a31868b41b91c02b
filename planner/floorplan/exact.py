"""Small rooms: CP-SAT places every rack, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from planner.floorplan.flows import Flows, Places, alike
from planner.floorplan.racks import Ints, Racks

MOST_PAIRS = 5_000
"""Pairs of racks and places (a boolean each) up to which the exact model is tried."""
DETERMINISTIC_SECONDS = 1.5


@dataclass(frozen=True)
class Exact:
    """What CP-SAT says: its status, the placement if there is one, and its bound in cents."""

    status: str
    where: Ints | None
    bound: float


def small(racks: Racks, flows: Flows, places: Places) -> bool:
    """The exact model is small enough to be tried."""
    return int((flows.b >= 0).sum()) * len(places) ** 2 + len(racks) * len(places) <= MOST_PAIRS


def solved(racks: Racks, flows: Flows, places: Places, hint: Ints) -> Exact:
    """Place racks with CP-SAT: one worker, deterministic time.

    x[r, p]: rack r stands at p. For each pair of racks with cables, y[p, q] links the two choices, row by row and
    column by column, which is as tight as an assignment.
    """
    model = cp_model.CpModel()
    size = len(places)
    x = [[model.new_bool_var("") for _ in range(size)] for _ in range(len(racks))]
    for mine in x:
        model.add_exactly_one(mine)
    for place in range(size):
        model.add_at_most_one(x[rack][place] for rack in range(len(racks)))
    # Racks that are alike stand in their order: each arrangement is looked at once.
    at = [sum(place * chosen for place, chosen in enumerate(mine)) for mine in x]
    for same in alike(len(racks), flows):
        for one, other in pairwise(same):
            model.add(at[one] < at[other])
    terms: list[cp_model.LinearExprT] = []
    for a, b, kind in zip(flows.a.tolist(), flows.b.tolist(), flows.kind.tolist(), strict=True):
        cents = np.rint(np.minimum(flows.cents[kind], 1e11)).astype(np.int64)
        if b < 0:
            terms += [int(cents[places.out[p]]) * x[a][p] for p in range(size)]
        else:
            terms += _pair(model, x[a], x[b], cents[places.between])
    for rack, mine in enumerate(x):
        for place, chosen in enumerate(mine):
            model.add_hint(chosen, bool(hint[rack] == place))
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = DETERMINISTIC_SECONDS
    status = str(solver.status_name(solver.solve(model)))
    if status not in ("OPTIMAL", "FEASIBLE"):
        return Exact(status, None, 0.0)
    racks_at = [next(p for p, chosen in enumerate(mine) if solver.boolean_value(chosen)) for mine in x]
    empty = np.setdiff1d(np.arange(size), racks_at)
    return Exact(status, np.concatenate([racks_at, empty]).astype(np.int64), float(solver.best_objective_bound))


def _pair(
    model: cp_model.CpModel, one: list[cp_model.IntVar], other: list[cp_model.IntVar], cents: Ints
) -> list[cp_model.LinearExprT]:
    """Cost terms of two racks at each pair of places; the least cost is taken out as a constant."""
    size = len(one)
    apart = ~np.eye(size, dtype=np.bool_)
    least = int(cents[apart].min())
    y = {(p, q): model.new_bool_var("") for p, q in np.argwhere(apart).tolist()}
    for p in range(size):
        others = [q for q in range(size) if q != p]
        model.add(sum(y[p, q] for q in others) == one[p])
        model.add(sum(y[q, p] for q in others) == other[p])
    return [least, *(int(cents[at] - least) * chosen for at, chosen in y.items() if cents[at] > least)]
