"""The linear programs, and with whole queue pairs the mixed-integer one (OR-Tools: GLOP and SCIP)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ortools.linear_solver.python import model_builder as mb

from planner.borrowing.options import hopping, loads
from planner.borrowing.problem import Floats, Ints, Options, Pair, Row

SLACK = 1e-9
"""How much T may grow, relatively, while what comes after it is settled: the solver's own tolerance."""
EVEN = 1e-3
"""Price of the largest part of a lost port, beside a relative load of 1: settles what loads leave open."""
NODES = 2_000
"""Most branches looked at for whole queue pairs (never a time: the same answer on every machine)."""


@dataclass(frozen=True)
class Program:
    """Shares of options, and the rows that they load."""

    pair: Pair
    options: Options
    rows: list[Row]
    queue_pairs: int | None = None


@dataclass(frozen=True)
class Found:
    """A solution: T, what T cannot go below, and the share of each option."""

    status: str
    load: float
    bound: float
    share: Floats


@dataclass
class _Model:
    """A program while it is built."""

    model: mb.Model
    load: mb.Variable
    share: list[mb.Variable]


def least_load(program: Program) -> Found | None:
    """min T; None where branching ended without an answer."""
    built = _built(program)
    if program.queue_pairs:
        _whole(built, program, program.queue_pairs)
        least = pigeonholes(program.pair, program.options, program.queue_pairs)
        built.model.add(built.load >= least * (1 - SLACK))
    built.model.minimize(built.load)
    return _solved(built, program)


def evenly(program: Program, first: Found) -> Floats:
    """Shares with the same T that lend least; of those, least on the most loaded lender, and then in even parts."""
    built = _built(program)
    built.model.add(built.load <= first.load * (1 + SLACK))
    prices = _lent(program.pair, program.options)
    lent = mb.LinearExpr.weighted_sum(built.share, prices.tolist())
    built.model.minimize(lent)
    second = _solved(built, program)
    if second is None:
        return first.share
    built.model.add(lent <= float(prices @ second.share) * (1 + SLACK) + SLACK)
    most = built.model.new_num_var(0.0, np.inf, "most")
    for row in _lenders(program, first.load):
        built.model.add(_used(built, row) - row.capacity * most <= -row.base)
    part = built.model.new_num_var(0.0, 1.0, "part")
    for same in _together(program.pair, program.options):
        built.model.add(sum(built.share[option] for option in same.tolist()) <= part)
    built.model.minimize(most + EVEN * part)
    third = _solved(built, program)
    return third.share if third else second.share


def _built(program: Program) -> _Model:
    """Σ shares of a port = 1; base + Σ demand·share ≤ T·capacity."""
    model = mb.Model()  # type: ignore[no-untyped-call]
    load = model.new_num_var(0.0, np.inf, "T")
    built = _Model(model, load, [model.new_num_var(0.0, 1.0, "") for _ in range(len(program.options))])
    for port in np.unique(program.options.port).tolist():
        mine = np.flatnonzero(program.options.port == port).tolist()
        model.add(sum(built.share[option] for option in mine) == 1)
    for row in program.rows:
        model.add(_used(built, row) - row.capacity * load <= -row.base)
    return built


def _used(built: _Model, row: Row) -> mb.LinearExpr:
    shares = [built.share[option] for option in row.option.tolist()]
    return mb.LinearExpr.weighted_sum(shares, row.coefficient.tolist())


def _solved(built: _Model, program: Program) -> Found | None:
    solver = mb.Solver("SCIP" if program.queue_pairs else "GLOP")
    if program.queue_pairs:
        solver.set_solver_specific_parameters(f"limits/nodes = {NODES}")
    status = solver.solve(built.model)
    if status not in (mb.SolveStatus.OPTIMAL, mb.SolveStatus.FEASIBLE):
        return None
    share = np.clip(np.array([solver.value(one) for one in built.share], dtype=np.float64), 0.0, 1.0)
    if program.queue_pairs:
        _snap(program, share, program.queue_pairs)
    value = float(loads(program.rows, share).max())
    bound = value if status == mb.SolveStatus.OPTIMAL else float(solver.best_objective_bound)
    return Found(status.name, value, bound, share)


def _lenders(program: Program, load: float) -> list[Row]:
    """Ports that can take more traffic of lost ones than none without being loaded to T by what is there anyway."""
    moved = np.isin(program.options.port, program.pair.lost)
    found = []
    for row in program.rows:
        stays = row.base + float(row.coefficient[~moved[row.option]].sum())
        if row.kind == "nic" and stays < load * row.capacity * (1 - 1e-6):
            found.append(row)
    return found


def _whole(built: _Model, program: Program, queue_pairs: int) -> None:
    """Of each lost port, what goes out by one port and in by another is whole queue pairs."""
    for same in _together(program.pair, program.options):
        number = built.model.new_int_var(0, queue_pairs, "")
        built.model.add(queue_pairs * sum(built.share[option] for option in same.tolist()) == number)


def _snap(program: Program, shares: Floats, queue_pairs: int) -> None:
    """Take the solver's tolerance out of what is whole."""
    for same in _together(program.pair, program.options):
        total = float(shares[same].sum())
        whole = round(total * queue_pairs) / queue_pairs
        shares[same] *= whole / total if whole else 0.0


def _together(pair: Pair, options: Options) -> list[Ints]:
    """Options of a lost port that leave by one port and arrive by another, over whichever links."""
    keys = np.stack([options.port, options.out, options.into])[:, np.isin(options.port, pair.lost)]
    where = np.flatnonzero(np.isin(options.port, pair.lost))
    _, group = np.unique(keys, axis=1, return_inverse=True)
    group = group.reshape(-1)
    return [where[group == number] for number in range(int(group.max()) + 1 if len(group) else 0)]


def pigeonholes(pair: Pair, options: Options, queue_pairs: int) -> float:
    """No answer with k whole queue pairs a lost port is below this T: the least at which ports hold enough of them.

    With q the smallest queue pair that must find a port at one end: Σ over ports floor((T·capacity - what stays
    there)/q) ≥ queue pairs. One of g rails lost and g - 1 lenders: T = 1 + ceil(k/(g - 1))/k.
    """
    best = 0.0
    for end, moved in ((pair.here, options.out), (pair.there, options.into)):
        stays, free, movers = end.load_gbps.copy(), np.zeros(len(end), dtype=np.bool_), []
        for port in np.unique(options.port).tolist():
            targets = np.unique(moved[options.port == port])
            if len(targets) == 1:
                stays[targets] += pair.demand_gbps[port]
            else:
                movers.append(float(pair.demand_gbps[port]) / queue_pairs)
                free[targets] = True
        if movers:
            steps = np.arange(len(movers) * queue_pairs + 1)[None, :] * min(movers)
            filled = np.sort(((stays[free, None] + steps) / end.gbps[free, None])[:, 1:].ravel())
            best = max(best, float(filled[len(movers) * queue_pairs - 1]))
    return best


def _lent(pair: Pair, options: Options) -> Floats:
    """Price of each option: Gb/s that hop between GPUs at either end, and a thousandth of those that pass links."""
    ends = ((pair.here, options.out), (pair.there, options.into))
    hops = sum(hopping(end, options.port, moved).astype(np.float64) for end, moved in ends)
    links = np.array([len(way) for way in options.way], dtype=np.float64)
    price: Floats = pair.demand_gbps[options.port] * (hops + links / 1000)
    return price
