"""Small jobs: CP-SAT gives each unit a segment, so that the order is decided with the counts, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from ortools.sat.python import cp_model

from planner.placement.counts import Counted
from planner.placement.shape import Shape
from planner.placement.traffic import Ints

MOST_CHOICES = 150
"""Units × segments (a boolean each) up to which the exact model is tried."""
DETERMINISTIC_SECONDS = 2.0


def small(shape: Shape, most: Ints) -> bool:
    """The exact model is small enough to be tried."""
    return shape.total * len(most) <= MOST_CHOICES


def solved(shape: Shape, least: Ints, most: Ints, free: Ints, hint: Ints) -> Counted | None:
    """Segment of each unit (P × H) with least bytes and then least spread; status and bound are those of the bytes."""
    first = _once(shape, least, most, free, hint, None)
    if first is None or first.status != "OPTIMAL":
        return first
    second = _once(shape, least, most, free, first.units, first.bound)
    return Counted(second.units, first.status, first.bound) if second else first


def _once(shape: Shape, least: Ints, most: Ints, free: Ints, hint: Ints, within: int | None) -> Counted | None:
    model = cp_model.CpModel()
    x = [[model.new_bool_var("") for _ in most] for _ in range(shape.total)]
    for mine in x:
        model.add_exactly_one(mine)
    for s in range(len(most)):
        model.add_linear_constraint(sum(mine[s] for mine in x), int(least[s]), int(most[s]))
    terms: list[cp_model.LinearExprT] = [
        price * _apart(model, x[a], x[b]) for (a, b), price in sorted(_prices(shape).items())
    ]
    terms += _trees(model, shape, x)
    if within is None:
        model.minimize(sum(terms))
    else:
        model.add(sum(terms) <= within)
        model.minimize(-sum(_squares(model, x, free)))
    for mine, segment in zip(x, hint.reshape(-1).tolist(), strict=True):
        for s, chosen in enumerate(mine):
            model.add_hint(chosen, s == segment)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = DETERMINISTIC_SECONDS
    status = str(solver.status_name(solver.solve(model)))
    if status not in ("OPTIMAL", "FEASIBLE"):
        return None
    where = [next(s for s, chosen in enumerate(mine) if solver.boolean_value(chosen)) for mine in x]
    row = np.array(where, dtype=np.int64).reshape(shape.stages, shape.units)
    return Counted(row, status, int(np.ceil(solver.best_objective_bound - 1e-6)))


def _apart(model: cp_model.CpModel, one: list[cp_model.IntVar], other: list[cp_model.IntVar]) -> cp_model.IntVar:
    """1 where two units are in different segments."""
    apart = model.new_bool_var("")
    for a, b in zip(one, other, strict=True):
        model.add(apart >= a - b)
    return apart


def _prices(shape: Shape) -> Counter[tuple[int, int]]:
    """Bytes between each two units that talk, by their numbers in rank order."""
    found: Counter[tuple[int, int]] = Counter()
    prices, height = shape.prices, shape.units
    for first in range(0, shape.total, height):
        _group(found, first, height, prices.ring, prices.pairs)
        for group in range(first, first + height, shape.expert):
            _group(found, group, shape.expert, prices.expert_ring, prices.expert_pairs)
    for unit in range(shape.total - height):
        found[unit, unit + height] += prices.pipeline
    if shape.stages > 1:
        for unit in range(height):
            found[unit, shape.total - height + unit] += prices.wrap
    return Counter({pair: price for pair, price in found.items() if price})


def _group(found: Counter[tuple[int, int]], first: int, size: int, ring: int, pairs: int) -> None:
    if size < 2:
        return
    for place in range(size):
        one, other = first + place, first + (place + 1) % size
        found[min(one, other), max(one, other)] += ring
        for later in range(place + 1, size):
            found[first + place, first + later] += 2 * pairs


def _trees(model: cp_model.CpModel, shape: Shape, x: list[list[cp_model.IntVar]]) -> Iterator[cp_model.LinearExprT]:
    if not shape.prices.tree:
        return
    for first in range(0, shape.total, shape.units):
        used = [model.new_bool_var("") for _ in x[0]]
        for mine in x[first : first + shape.units]:
            for s, chosen in enumerate(mine):
                model.add_implication(chosen, used[s])
        yield shape.prices.tree * (sum(used) - 1)


def _squares(model: cp_model.CpModel, x: list[list[cp_model.IntVar]], free: Ints) -> Iterator[cp_model.IntVar]:
    for s, have in enumerate(free.tolist()):
        left, square = model.new_int_var(0, have, ""), model.new_int_var(0, have * have, "")
        model.add(left == have - sum(mine[s] for mine in x))
        model.add_element(left, [n * n for n in range(have + 1)], square)
        yield square
