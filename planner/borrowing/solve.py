"""How one pair of hosts goes on: the least largest load, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.borrowing.options import Allowed, anywhere, loads, nic_rows, options_of, rows_of, without_hops
from planner.borrowing.problem import Floats, Ints, Mode, Options, Pair
from planner.borrowing.programs import NODES, Program, evenly, least_load


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
    """Move what is lost so that the largest relative load T is least; of such answers, the one that lends most evenly.

    Before that, as little as can be passes scale-up links: the surviving port of a NIC comes before its lenders.
    min T over shares ≥ 0: Σ shares of a port = 1; base + Σ demand·share ≤ T·capacity for every port, scale-up link and
    link in use. With ``queue_pairs`` k a lost port moves in whole k-ths; how a k-th spreads over spines stays
    fractional, since it is the routes that settle it; and T alone is minimised, since it is what k reach.
    """
    options = without_hops(pair, options_of(pair, mode, allowed))
    if why := missing(pair, mode, options, allowed):
        return Answer(pair, mode, "INFEASIBLE", why=why)
    rows = rows_of(pair, options)
    program = Program(pair, options, rows, queue_pairs)
    first = least_load(program)
    if first is None:
        return Answer(pair, mode, "UNKNOWN", why=f"no answer in {NODES} branches")
    load, share = first.load, first.share if queue_pairs else evenly(program, first)
    all_loads = loads(rows, share)
    worst = int(np.argmax(all_loads - 1e-9 * np.arange(len(rows))))
    hops = [x for row, x in zip(rows, all_loads.tolist(), strict=True) if row.kind == "scale-up"]
    most = max(hops, default=0.0)
    return Answer(pair, mode, first.status, load, first.bound, options, share, most, rows[worst].what)


def nic_bound(pair: Pair, mode: Mode) -> float:
    """T where scale-up links and links between switches cost nothing: the bound of the NICs for this schedule."""
    options = options_of(pair, mode)
    if missing(pair, mode, options, anywhere):
        return np.inf
    first = least_load(Program(pair, options, list(nic_rows(pair, options))))
    return first.load if first else np.inf


def load_before(pair: Pair) -> float:
    """T of the NICs before anything was lost."""
    ends = (pair.here, pair.there)
    return max(float(((end.load_gbps + pair.demand_gbps) / end.gbps).max()) for end in ends)


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
