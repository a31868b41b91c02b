"""The flow simulator: how long collectives take on the planned links, and what every counter would show meanwhile.

``simulate_jobs`` and ``simulate_flows`` answer how fast; ``planner.simulate.telemetry`` makes tables of counters and
flow samples from the same runs, with faults as their script says. docs/simulator.md states the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from fabric.flowfile import Dead
    from fabric.jobfile import Job
    from fabric.plan import Plan
    from planner.routing import Method
    from planner.simulate.job import JobsResult, Router
    from planner.simulate.offered import OfferedResult
    from planner.simulate.paths import Routing
    from planner.simulate.walk import Hops

__all__ = ["default_network", "prepare", "router", "simulate_flows", "simulate_jobs"]


def default_network(plan: Plan) -> str:
    """The network that jobs are on: compute where there is one, else the plan's first."""
    networks = plan.design.networks
    return "compute" if "compute" in networks else next(iter(networks))


def prepare(plan: Plan, network: str | None = None, dead: Dead | None = None) -> Routing:
    """The network as it is wired and hashes now. Raises InputError where the plan has no such network."""
    from fabric.errors import InputError, Problem
    from planner.simulate.paths import routing
    from planner.simulate.wires import wires

    network = network or default_network(plan)
    if network not in plan.design.networks:
        known = ", ".join(plan.design.networks)
        raise InputError(Problem("network", f'the plan has no network "{network}"', f"it has {known}"))
    return routing(wires(plan, network, dead.dead_links(plan) if dead else None))


def router(method: Method = "ecmp", dead: Dead | None = None, known: dict[bytes, Hops] | None = None) -> Router:
    """Paths by the planned hashes (``ecmp``), or as ``planner.routing`` decides (``greedy``, ``colored``).

    ``known``: decisions that were made before and hold for the same flows and dead links.
    """
    from planner.simulate import paths

    if method == "ecmp":
        return paths.paths
    from planner.simulate import pinned

    return pinned.router(method, dead, known)


def simulate_jobs(
    plan: Plan,
    jobs: Sequence[Job],
    *,
    network: str | None = None,
    dead: Dead | None = None,
    method: Method = "ecmp",
    queue_pairs: int | None = None,
) -> JobsResult:
    """One iteration of all jobs at once. Raises InputError where a job does not fit the plan."""
    from planner.simulate.job import run_jobs, workload

    now = prepare(plan, network, dead)
    return run_jobs(now, jobs, workload(plan, jobs, now.wires.network, queue_pairs), router(method, dead))[0]


def simulate_flows(
    plan: Plan,
    flows: pl.DataFrame,
    *,
    network: str | None = None,
    dead: Dead | None = None,
    method: Method = "ecmp",
) -> OfferedResult:
    """Max–min fair rates of the flows of ``fabric.flowfile.read_flows``."""
    from planner.simulate.flows import from_file
    from planner.simulate.offered import run_flows

    return run_flows(prepare(plan, network, dead), from_file(flows), router(method, dead))[0]
