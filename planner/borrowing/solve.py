"""The smallest largest load: a linear program, or with whole queue pairs a mixed-integer one (OR-Tools)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ortools.linear_solver.python import model_builder as mb

from planner.borrowing.options import Allowed, anywhere, hopping, loads, nic_rows, options_of, rows_of, without_hops
from planner.borrowing.problem import Floats, Ints, Mode, Options, Pair, Row

SLACK = 1e-9
"""How much T may grow, relatively, while less is lent: the solver's own tolerance."""
NODES = 2_000
"""Most branches looked at for whole queue pairs (never a time: the same answer on every machine)."""


@dataclass(frozen=True)
class Answer:
    """How one pair of hosts goes on.

    ``status``: OPTIMAL, FEASIBLE (whole queue pairs, out of time) or INFEASIBLE, then ``why`` says what is missing.
    ``load``: T, the largest relative load; ``bound``: what no answer undercuts; ``share``: of each option.
    """

    pair: Pair
    mode: Mode
    status: str
    load: float = np.inf
    bound: float = np.inf
    options: Options | None = None
    share: Floats | None = None
    scale_up_load: float = 0.0
    bottleneck: str = ""
    why: str = ""

    @property
    def found(self) -> bool:
        """There is an answer."""
        return self.share is not None


def solve(pair: Pair, mode: Mode, queue_pairs: int | None = None, allowed: Allowed = anywhere) -> Answer:
    """Move what is lost so that the largest relative load T is least; of such answers, the one that lends least.

    min T over shares ≥ 0: Σ shares of a port = 1; base + Σ demand·share ≤ T·capacity for every port, scale-up link and
    link in use. With ``queue_pairs`` k a lost port moves in whole k-ths; how a k-th spreads over spines stays
    fractional, since it is the routes that settle it; and T alone is minimised, since it is what k reach.
    """
    options = without_hops(pair, options_of(pair, mode, allowed))
    if why := missing(pair, mode, options, allowed):
        return Answer(pair, mode, "INFEASIBLE", why=why)
    rows = rows_of(pair, options)
    first = _minimised(pair, options, rows, queue_pairs, None)
    if first is None:
        return Answer(pair, mode, "UNKNOWN", why=f"no answer in {NODES} branches")
    status, load, bound, share = first
    if not queue_pairs and (second := _minimised(pair, options, rows, None, load)):
        share = second[3]
    all_loads = loads(rows, share)
    worst = int(np.argmax(all_loads - 1e-9 * np.arange(len(rows))))
    hops = [x for row, x in zip(rows, all_loads.tolist(), strict=True) if row.kind == "scale-up"]
    return Answer(
        pair, mode, status, load, bound, options, share, max(hops, default=0.0), rows[worst].what
    )  # fmt: skip


def nic_bound(pair: Pair, mode: Mode) -> float:
    """T where scale-up links and links between switches cost nothing: the bound of the NICs for this schedule."""
    options = options_of(pair, mode)
    if missing(pair, mode, options, anywhere):
        return np.inf
    first = _minimised(pair, options, list(nic_rows(pair, options)), None, None)
    return first[1] if first else np.inf


def load_before(pair: Pair) -> float:
    """T of the NICs before anything was lost."""
    ends = (pair.here, pair.there)
    return max(float(((end.load_gbps + pair.demand_gbps) / end.gbps).max()) for end in ends)


def _minimised(
    pair: Pair, options: Options, rows: list[Row], queue_pairs: int | None, within: float | None
) -> tuple[str, float, float, Floats] | None:
    """Status, T, its bound and shares; with ``within`` T may be that much, and what is lent is minimised instead."""
    model = mb.Model()  # type: ignore[no-untyped-call]
    load = model.new_num_var(0.0, np.inf, "T")
    share = [model.new_num_var(0.0, 1.0, "") for _ in range(len(options))]
    for port in np.unique(options.port).tolist():
        model.add(sum(share[option] for option in np.flatnonzero(options.port == port).tolist()) == 1)
    for row in rows:
        used = mb.LinearExpr.weighted_sum([share[option] for option in row.option.tolist()], row.coefficient.tolist())
        model.add(used - row.capacity * load <= -row.base)
    if queue_pairs:
        _whole(model, pair, options, share, queue_pairs)
        model.add(load >= pigeonholes(pair, options, queue_pairs) * (1 - SLACK))
    if within is None:
        model.minimize(load)
    else:
        model.add(load <= within * (1 + SLACK))
        model.minimize(mb.LinearExpr.weighted_sum(share, _lent(pair, options).tolist()))
    solver = mb.Solver("SCIP" if queue_pairs else "GLOP")
    if queue_pairs:
        solver.set_solver_specific_parameters(f"limits/nodes = {NODES}")
    status = solver.solve(model)
    if status not in (mb.SolveStatus.OPTIMAL, mb.SolveStatus.FEASIBLE):
        return None
    shares = np.clip(np.array([solver.value(one) for one in share], dtype=np.float64), 0.0, 1.0)
    if queue_pairs:
        _snap(pair, options, shares, queue_pairs)
    value = float(loads(rows, shares).max())
    bound = value if status == mb.SolveStatus.OPTIMAL else float(solver.best_objective_bound)
    return status.name, value, bound, shares


def _whole(model: mb.Model, pair: Pair, options: Options, share: list[mb.Variable], queue_pairs: int) -> None:
    """Of each lost port, what goes out by one port and in by another is whole queue pairs."""
    for same in _together(pair, options):
        number = model.new_int_var(0, queue_pairs, "")
        model.add(queue_pairs * sum(share[option] for option in same.tolist()) == number)


def _snap(pair: Pair, options: Options, shares: Floats, queue_pairs: int) -> None:
    """Take the solver's tolerance out of what is whole."""
    for same in _together(pair, options):
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


def missing(pair: Pair, mode: Mode, options: Options, allowed: Allowed) -> str:
    """Why some port's traffic has no way at all; empty where each has one."""
    stuck = np.setdiff1d(np.flatnonzero(pair.demand_gbps > 0), options.port)
    if not len(stuck):
        return ""
    here, there = pair.here, pair.there
    for end in (here, there):
        if not end.alive.any():
            return f"{end.name} has no port left: nothing is there to borrow from"
    what = f"rail {here.rail[stuck[0]]} plane {here.plane[stuck[0]]}"
    if mode == "both-ends" and not (here.alive & there.alive).any():
        return f"no rail is alive at both {here.name} and {there.name}: traffic would have to cross rails in the spines"
    if here.alive[stuck[0]] and there.alive[stuck[0]]:
        return f"{what}: no way with room is left between the leaves of {here.name} and {there.name}"
    if allowed is not anywhere:
        return f"{what}: the NIC has no other port alive at both ends"
    return _no_lender(pair, mode, stuck, what)


def _no_lender(pair: Pair, mode: Mode, stuck: Ints, what: str) -> str:
    ends = [end.name for end in (pair.here, pair.there) if end.scale_up_gbps <= 0 and not end.alive[stuck[0]]]
    if ends:
        return f"{what}: {ends[0]} has no scale-up link by which a GPU reaches another GPU's NIC"
    if mode == "one-end":
        return f"{what}: no switch with room joins the leaf of a lender with the leaf of the lost rail's other end"
    return f"{what}: no way with room is left by any lender"
