"""Flows that have a rate instead of a size (``flows.csv``): who gets how much of what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.events import Span, Work
from planner.simulate.load import Loads, link_loads
from planner.simulate.maxmin import fair_rates
from planner.simulate.paths import Routing, paths

if TYPE_CHECKING:
    from planner.simulate.flows import Flows
    from planner.simulate.job import Router
    from planner.simulate.wires import Floats


@dataclass(frozen=True)
class OfferedResult:
    """Rates of the queue pairs in Gb/s, beside what they ask for; ``unrouted``: how many have no way."""

    rates: Floats
    asked: Floats
    loads: Loads
    unrouted: int

    @property
    def least_share(self) -> float:
        """The smallest part of what it asks for that any queue pair gets."""
        return float((self.rates / self.asked).min(initial=1.0))

    @property
    def total_share(self) -> float:
        """What all get together, of what all ask for."""
        return float(self.rates.sum() / max(self.asked.sum(), 1e-12))


def run_flows(
    now: Routing, many: Flows, router: Router = paths, seconds: float = 1.0
) -> tuple[OfferedResult, Span, Work]:
    """Max–min fair rates of flows without end, the stretch of ``seconds`` in which they run, and their channels."""
    work = Work(router(now, many), np.full(len(many), np.inf), many.gbps)
    used = work.hops >= 0
    start = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int32)
    items = work.hops[used].astype(np.int32)
    rates = fair_rates(start, items, now.wires.gbps, np.where(used[:, 0], many.gbps, 0.0))
    zero = np.zeros(len(many), dtype=np.int64)
    rows = np.stack([zero, zero, np.arange(len(many))], axis=1)
    span = Span(0.0, seconds, rows, rates, np.full(len(many), seconds), start, items)
    result = OfferedResult(rates, many.gbps, link_loads(now, work), int((~used[:, 0]).sum()))
    return result, span, work
