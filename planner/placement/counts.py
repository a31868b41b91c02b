"""How many units of each stage go to each segment: CP-SAT, one function an inequality.

Letters: n[p, s] units of stage p in segment s; H units a stage, P stages; f the units a segment may give. The model
counts what any order must cross at least, so that its bound holds for every placement; ``order`` then mostly meets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from planner.placement.shape import Shape
from planner.placement.traffic import Ints

Var = cp_model.IntVar
Term = cp_model.LinearExprT


@dataclass
class Counts:
    """The model while it is built."""

    shape: Shape
    least: Ints
    most: Ints
    free: Ints
    each: int = 1
    """Free units that one unit of the model takes."""
    model: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    n: dict[tuple[int, int], Var] = field(default_factory=dict)
    used: dict[tuple[int, int], Var] = field(default_factory=dict)
    whole: dict[tuple[int, int], Var] = field(default_factory=dict)
    bytes_: list[Term] = field(default_factory=list)
    crossed: list[Term] = field(default_factory=list)
    """Units whose counterpart of the next stage is in another segment, by stage."""

    @property
    def segments(self) -> range:
        """Segments by number."""
        return range(len(self.most))

    @property
    def stages(self) -> range:
        """Stages by number."""
        return range(self.shape.stages)


@dataclass(frozen=True)
class Counted:
    """Units by stage and segment (P × S), CP-SAT's status, and the bytes that no placement undercuts."""

    units: Ints
    status: str
    bound: int


def counted(asked: Counts, hint: Ints, seconds: float, within: int | None = None) -> Counted | None:
    """Least bytes between segments; with ``within`` bytes may be that many, and the spread of holes is least."""
    variables(asked)
    stages_are_whole(asked)
    segments_suffice(asked)
    data_parallel(asked)
    expert_groups(asked)
    pipeline(asked)
    runs_of_whole_stages(asked)
    if within is None:
        asked.model.minimize(sum(asked.bytes_))
    else:
        asked.model.add(sum(asked.bytes_) <= within)
        asked.model.minimize(-sum(squares_left(asked)))
    for (p, s), count in asked.n.items():
        asked.model.add_hint(count, int(hint[p, s]))
    return _solved(asked, seconds)


def variables(asked: Counts) -> None:
    """n[p, s] ≤ min(f_s, H); used[p, s] where n > 0; whole[p, s] where n = H."""
    height, model = asked.shape.units, asked.model
    for p in asked.stages:
        for s in asked.segments:
            limit = min(int(asked.most[s]), height)
            n = asked.n[p, s] = model.new_int_var(0, limit, f"n{p},{s}")
            used = asked.used[p, s] = model.new_bool_var("")
            model.add(n <= limit * used)
            model.add(n >= used)
            if limit == height:
                whole = asked.whole[p, s] = model.new_bool_var("")
                model.add(n >= height * whole)


def stages_are_whole(asked: Counts) -> None:
    """Σ_s n[p, s] = H."""
    for p in asked.stages:
        asked.model.add(sum(asked.n[p, s] for s in asked.segments) == asked.shape.units)


def segments_suffice(asked: Counts) -> None:
    """least_s ≤ Σ_p n[p, s] ≤ f_s; and whole stages: Σ_p whole[p, s] ≤ f_s // H."""
    for s in asked.segments:
        taken = sum(asked.n[p, s] for p in asked.stages)
        asked.model.add_linear_constraint(taken, int(asked.least[s]), int(asked.most[s]))
        whole = [asked.whole[p, s] for p in asked.stages if (p, s) in asked.whole]
        if whole:
            asked.model.add(sum(whole) <= int(asked.most[s]) // asked.shape.units)


def data_parallel(asked: Counts) -> None:
    """A stage in c ≥ 2 segments: its rings cross c times at least, a tree c - 1 times, and of n units H - n are far."""
    prices, height = asked.shape.prices, asked.shape.units
    if height == 1:
        return
    for p in asked.stages:
        spread = sum(asked.used[p, s] for s in asked.segments)
        whole = sum(asked.whole[p, s] for s in asked.segments if (p, s) in asked.whole)
        asked.model.add(spread >= 2 - whole)
        asked.bytes_.append(prices.ring * (spread - whole) + prices.tree * (spread - 1))
        if prices.pairs:
            table = [n * (height - n) for n in range(height + 1)]
            asked.bytes_ += [prices.pairs * _looked_up(asked, asked.n[p, s], table) for s in asked.segments]


def expert_groups(asked: Counts) -> None:
    """Of n units of e-long groups r = n mod e are in split groups: r·(e - r) pairs cross at least, and one ring's edge.

    Σ over groups of m·(e - m), with Σ m = n, is least where all but one group are full or absent, being concave.
    """
    prices, e = asked.shape.prices, asked.shape.expert
    if e == 1 or not (prices.expert_pairs or prices.expert_ring):
        return
    costs = [prices.expert_pairs * r * (e - r) + prices.expert_ring * (r > 0) for r in range(e)]
    table = [costs[n % e] for n in range(asked.shape.units + 1)]
    asked.bytes_ += [_looked_up(asked, n, table) for n in asked.n.values()]


def pipeline(asked: Counts) -> None:
    """Neighbouring stages keep at most Σ_s min(n[p, s], n[p+1, s]) of H counterparts in one segment."""
    steps = list(pairwise(asked.stages))
    if asked.shape.prices.wrap and asked.shape.stages > 1:
        steps.append((asked.shape.stages - 1, 0))
    for p, q in steps:
        same = []
        for s in asked.segments:
            kept = asked.model.new_int_var(0, min(int(asked.most[s]), asked.shape.units), "")
            asked.model.add(kept <= asked.n[p, s])
            asked.model.add(kept <= asked.n[q, s])
            same.append(kept)
        asked.crossed.append(asked.shape.units - sum(same))
        asked.bytes_.append((asked.shape.prices.pipeline if q else asked.shape.prices.wrap) * asked.crossed[-1])


def runs_of_whole_stages(asked: Counts) -> None:
    """Whole stages in k segments: the pipeline changes segment k - 1 times at least, all H counterparts each time.

    Implied by the others, but not by their linear relaxation: without it the bound is near 0.
    """
    if not asked.shape.prices.pipeline or not asked.whole:
        return
    height = asked.shape.units
    here = {s: asked.model.new_bool_var("") for s in sorted({s for _, s in asked.whole})}
    for s, some in here.items():
        whole = [asked.whole[p, s] for p in asked.stages]
        asked.model.add(sum(whole) <= int(asked.most[s]) // height * some)
        asked.model.add(sum(whole) >= some)
    forward = asked.crossed[: asked.shape.stages - 1]
    asked.model.add(sum(forward) >= height * (sum(here.values()) - 1))


def squares_left(asked: Counts) -> list[Term]:
    """(free_s - Σ_p n[p, s])² of each segment: the larger their sum, the less the holes are spread."""
    found: list[Term] = []
    for s in asked.segments:
        free = int(asked.free[s])
        left = asked.model.new_int_var(0, free, "")
        asked.model.add(left == free - asked.each * sum(asked.n[p, s] for p in asked.stages))
        found.append(_looked_up(asked, left, [n * n for n in range(free + 1)]))
    return found


def _looked_up(asked: Counts, index: Var, table: list[int]) -> Var:
    value = asked.model.new_int_var(min(table), max(table), "")
    asked.model.add_element(index, table, value)
    return value


def _solved(asked: Counts, seconds: float) -> Counted | None:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = seconds
    status = str(solver.status_name(solver.solve(asked.model)))
    if status not in ("OPTIMAL", "FEASIBLE"):
        return None
    units = np.array([[solver.value(asked.n[p, s]) for s in asked.segments] for p in asked.stages], dtype=np.int64)
    return Counted(units, status, int(np.ceil(solver.best_objective_bound - 1e-6)))
