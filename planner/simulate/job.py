"""A job, or several at once, on a network: the stages of all steps as flows with paths, and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.collectives import Team, bus_factor, stages
from planner.simulate.events import BATCH, BYTES_A_GBPS_SECOND, Clock, Span, Work, spans
from planner.simulate.load import Loads, bound_seconds, link_loads
from planner.simulate.paths import Routing, paths
from planner.simulate.ranks import seats

if TYPE_CHECKING:
    from fabric.jobfile import Job, Step
    from fabric.plan import Plan
    from planner.simulate.flows import Flows
    from planner.simulate.walk import Hops

Router = Callable[[Routing, "Flows"], "Hops"]
"""From flows to channels: ``paths``, or what pins them first."""


@dataclass(frozen=True)
class Stage:
    """Flows of one stage of one step of one job, one a queue pair."""

    job: int
    step: int
    flows: Flows


@dataclass(frozen=True)
class StepResult:
    """One step of a job. ``seconds`` is infinite where it never ends; ``bus_gbps`` as NCCL's tests count it, a GPU."""

    job: str
    step: Step
    seconds: float
    bus_gbps: float
    bound_seconds: float
    loads: Loads


@dataclass(frozen=True)
class JobsResult:
    """What came of one iteration of all jobs."""

    seconds: float
    bound_seconds: float
    steps: tuple[StepResult, ...]
    loads: Loads
    """Of the step whose busiest link is busiest."""
    stuck: int
    """Flows that had no way, or none that works."""
    flows: int
    solves: int


def workload(plan: Plan, jobs: Sequence[Job], network: str, queue_pairs: int | None = None) -> list[list[Stage]]:
    """The stages of each job. ``queue_pairs``: of each pair of ends (default: one; of neighbours, one a plane)."""
    design = plan.design.networks[network]
    found: list[list[Stage]] = []
    for number, job in enumerate(jobs):
        sits = seats(plan, job, network)
        found.append([])
        for index, step in enumerate(job.steps):
            team = Team(job.groups(step.group), sits, same_rail=design.layout.startswith("rail"))
            pairs = queue_pairs or (1 if step.collective == "all-to-all" else design.planes)
            made = stages(team, step)
            found[-1] += [Stage(number, index, _split(flows, pairs)) for flows in made]
    return found


def _split(many: Flows, pairs: int) -> Flows:
    """Queue pairs for what crosses the network; one for what does not."""
    if pairs == 1:
        return many
    return many.split(np.where(many.local, 1, pairs))


def run_jobs(
    now: Routing, jobs: Sequence[Job], tracks: Sequence[Sequence[Stage]], router: Router = paths, batch: float = BATCH
) -> tuple[JobsResult, list[Span]]:
    """One iteration of all jobs at once; each job's steps follow each other. Also the stretches of time it took."""
    works = routed(now, tracks, router)
    clock = Clock()
    found = list(spans(works, now.wires.gbps, clock, batch))
    return _result(now, jobs, tracks, works, clock), found


def routed(now: Routing, tracks: Sequence[Sequence[Stage]], router: Router = paths) -> list[list[Work]]:
    """The stages with their channels; a stage that comes twice is routed once."""
    known: dict[int, Hops] = {}
    for track in tracks:
        for stage in track:
            if id(stage.flows) not in known:
                known[id(stage.flows)] = router(now, stage.flows)
    return [[Work(known[id(s.flows)], s.flows.size, s.flows.gbps) for s in track] for track in tracks]


def _result(
    now: Routing, jobs: Sequence[Job], tracks: Sequence[Sequence[Stage]], works: Sequence[Sequence[Work]], clock: Clock
) -> JobsResult:
    steps = []
    for number, job in enumerate(jobs):
        for index, step in enumerate(job.steps):
            at = [n for n, stage in enumerate(tracks[number]) if stage.step == index]
            begun = [n for n in at if n < len(clock.ended[number])]
            seconds = sum(clock.ended[number][n] - clock.began[number][n] for n in begun)
            seconds = float(seconds) if len(begun) == len(at) else float("inf")
            bound = sum(bound_seconds(now, tracks[number][n].flows) for n in at)
            loads = max((link_loads(now, works[number][n]) for n in at), key=lambda one: one.max, default=Loads.none())
            steps.append(StepResult(job.name, step, seconds, _bus_gbps(job, step, seconds), bound, loads))
    bound = max((sum(s.bound_seconds for s in steps if s.job == job.name) for job in jobs), default=0.0)
    loads = max((step.loads for step in steps), key=lambda one: one.max, default=Loads.none())
    count = sum(len(stage.flows) for track in tracks for stage in track)
    lost = sum(int((work.hops[:, 0] < 0).sum()) for track in works for work in track)
    return JobsResult(clock.seconds, bound, tuple(steps), loads, max(clock.stuck, lost), count, clock.solves)


def _bus_gbps(job: Job, step: Step, seconds: float) -> float:
    size = job.size(step.group)
    if size < 2 or seconds <= 0:
        return 0.0
    return step.bytes / seconds / BYTES_A_GBPS_SECOND * bus_factor(step.collective, size)
