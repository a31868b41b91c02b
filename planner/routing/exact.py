"""Exact answers for small cases: OR-Tools says whether so many edges of each kind fit, and the least load if split.

Edges with the same ends and kind are one variable a colour: how many of them take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.routing.jit import Floats, Ints, Mask

MOST_CELLS = 40_000
"""Bundles × colours above which neither is tried."""
EFFORT = 1.0
"""Deterministic seconds of CP-SAT."""


@dataclass(frozen=True)
class Bundles:
    """Edges with the same ends and kind as one."""

    left: Ints
    right: Ints
    kind: Ints
    of_edge: Ints
    """Bundle of each edge."""

    @classmethod
    def of(cls, left: Ints, right: Ints, kind: Ints) -> Bundles:
        """Bundles in the order of left, right, kind."""
        wide, kinds = int(right.max(initial=0)) + 1, int(kind.max(initial=0)) + 1
        keys, index = np.unique((left * wide + right) * kinds + kind, return_inverse=True)
        ends = keys // kinds
        return cls(ends // wide, ends % wide, keys % kinds, index.reshape(-1))

    def open(self, room_left: Ints, room_right: Ints, allowed: Mask) -> Mask:
        """Bundle × colour: whether it may have it at all."""
        found: Mask = (room_left[self.left] > 0) & (room_right[self.right] > 0) & allowed[self.kind]
        return found


def fitting(bundles: Bundles, room_left: Ints, room_right: Ints, allowed: Mask) -> tuple[str, Ints]:
    """``OPTIMAL`` with a colour for each edge, ``INFEASIBLE``, or ``UNKNOWN`` (too large, or not found in time)."""
    nothing = np.empty(0, np.int64)
    may = bundles.open(room_left, room_right, allowed)
    if may.size > MOST_CELLS:
        return "UNKNOWN", nothing
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    many = np.bincount(bundles.of_edge, minlength=len(bundles.left))
    cells: dict[tuple[int, int], Any] = {}
    for bundle, c in np.argwhere(may).tolist():
        cells[bundle, c] = model.new_int_var(0, int(many[bundle]), "")
    _all_placed(model, cells, many.tolist())
    for side, room in ((bundles.left, room_left), (bundles.right, room_right)):
        _within_room(model, cells, side, room)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = EFFORT
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return "INFEASIBLE", nothing
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return "UNKNOWN", nothing
    taken = {cell: solver.value(variable) for cell, variable in cells.items()}
    return "OPTIMAL", _handed_out(bundles.of_edge, taken)


def _all_placed(model: Any, cells: dict[tuple[int, int], Any], many: list[int]) -> None:
    """Σ over colours of a bundle's edges = its edges."""
    rows: dict[int, list[Any]] = {bundle: [] for bundle in range(len(many))}
    for (bundle, _), variable in cells.items():
        rows[bundle].append(variable)
    for bundle, variables in rows.items():
        model.add(sum(variables) == many[bundle])


def _within_room(model: Any, cells: dict[tuple[int, int], Any], node: Ints, room: Ints) -> None:
    """Σ over bundles at a node of one colour's edges ≤ the node's room for it."""
    rows: dict[tuple[int, int], list[Any]] = {}
    for (bundle, c), variable in cells.items():
        rows.setdefault((int(node[bundle]), c), []).append(variable)
    for (at, c), variables in rows.items():
        model.add(sum(variables) <= int(room[at, c]))


def _handed_out(of_edge: Ints, taken: dict[tuple[int, int], int]) -> Ints:
    """Each edge its own of the colours that its bundle takes."""
    order = np.argsort(of_edge, kind="stable")
    colors = np.concatenate([np.full(number, c) for (_, c), number in sorted(taken.items()) if number])
    result = np.empty(len(of_edge), np.int64)
    result[order] = colors
    return result


def split_load(bundles: Bundles, amount: Floats, rate_left: Floats, rate_right: Floats, allowed: Mask) -> float | None:
    """The least largest load where ``amount`` (one a bundle) may be split at will over the colours; None if too large.

    Minimise T with Σ_c x[b, c] = amount[b], Σ_{b at u} x[b, c] ≤ T·rate_left[u, c], and the same on the right. Bundles
    that no colour takes count for nothing.
    """
    open_left, open_right = (rate_left > 0).astype(np.int64), (rate_right > 0).astype(np.int64)
    may = bundles.open(open_left, open_right, allowed)
    if may.size > MOST_CELLS:
        return None
    from ortools.linear_solver import pywraplp  # type: ignore[attr-defined, import-untyped, unused-ignore]

    solver = pywraplp.Solver.CreateSolver("GLOP")
    load = solver.NumVar(0, solver.infinity(), "")
    rows: dict[tuple[str, int, int], Any] = {}
    for bundle in np.flatnonzero(may.any(axis=1)).tolist():
        whole = solver.Constraint(float(amount[bundle]), float(amount[bundle]))
        for c in np.flatnonzero(may[bundle]).tolist():
            part = solver.NumVar(0, solver.infinity(), "")
            whole.SetCoefficient(part, 1)
            for side, node, rate in (("l", bundles.left, rate_left), ("r", bundles.right, rate_right)):
                key = (side, int(node[bundle]), c)
                if key not in rows:
                    rows[key] = solver.Constraint(-solver.infinity(), 0)
                    rows[key].SetCoefficient(load, -float(rate[key[1], c]))
                rows[key].SetCoefficient(part, 1)
    solver.Minimize(load)
    return float(load.solution_value()) if solver.Solve() == pywraplp.Solver.OPTIMAL else None
