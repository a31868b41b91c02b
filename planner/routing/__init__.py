"""Which links each flow takes.

``routes`` is the way in: paths for flows under one of three methods. ``colored`` assigns them so that no link gets more
than it must (docs/routes.md), ``greedy`` gives each flow in turn the least loaded path, and ``ecmp`` is what the
switches' own hashes do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.routing.answer import METHODS, PATHS, Bounds, Method, Routes, directed_gbps

if TYPE_CHECKING:
    import polars as pl

    from fabric.flowfile import Dead
    from fabric.plan import Plan

__all__ = ["METHODS", "PATHS", "Bounds", "Method", "Routes", "directed_gbps", "routes", "update"]


def routes(
    plan: Plan, flows: pl.DataFrame, dead: Dead | None = None, method: Method = "colored", network: str | None = None
) -> Routes:
    """A path for every queue pair of ``flows`` (columns of ``fabric.flowfile.FLOWS``) over what is not dead.

    ``network`` is the one that the flows' rails are of (default: the plan's first). Raises InputError where the plan
    has no such network. A flow without a path is no error: its links are null and the status is INFEASIBLE.
    """
    from planner.routing.solve import route

    return route(plan, flows, dead, method, network)


def update(
    plan: Plan,
    before: Routes,
    flows: pl.DataFrame,
    dead: Dead | None = None,
    most_moved: int = 8,
) -> Routes:
    """``before`` for other flows or other dead links: what lives stays where it is, but for ``most_moved`` at most.

    Each new queue pair goes in by one Kempe chain over the live spines; where none is short enough it takes the least
    loaded path, and ``notes`` say so. Queue pairs whose path died count as new ones.
    """
    from planner.routing.change import change

    return change(plan, before, flows, dead, most_moved)
