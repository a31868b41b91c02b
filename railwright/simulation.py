"""What ``railwright simulate`` does between its options and its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabric.errors import InputError
from planner.simulate import prepare, router
from planner.simulate import result as told

if TYPE_CHECKING:
    from fabric.errors import Problem
    from fabric.flowfile import Dead
    from fabric.jobfile import Job
    from fabric.plan import Plan
    from planner.routing import Method
    from planner.simulate.flows import Flows
    from planner.simulate.job import Stage
    from planner.simulate.load import Loads
    from planner.simulate.paths import Routing


@dataclass(frozen=True)
class Asked:
    """What is to be simulated."""

    plan: Plan
    job_files: tuple[Path, ...]
    flow_file: Path | None
    dead: Dead | None
    method: Method
    network: str | None
    queue_pairs: int | None


@dataclass(frozen=True)
class Answer:
    """The result in JSON and in words; ``jobs`` and ``tracks`` are what ran, ``flows`` where there are no jobs."""

    now: Routing
    json: dict[str, Any]
    text: tuple[str, ...]
    why: Callable[[], Iterator[str]]
    loads: Loads
    code: int
    """0 where all flows move, else 1."""
    jobs: tuple[Job, ...] = ()
    tracks: Sequence[Sequence[Stage]] = ()
    flows: Flows | None = None


def simulated(asked: Asked) -> Answer:
    """The answer. Raises InputError where files are wrong or do not fit the plan."""
    now = prepare(asked.plan, asked.network, asked.dead)
    return _flows(asked, now) if asked.flow_file else _jobs(asked, now)


def _jobs(asked: Asked, now: Routing) -> Answer:
    from planner.simulate.job import run_jobs, workload

    jobs = read_jobs(asked.job_files)
    tracks = workload(asked.plan, jobs, now.wires.network, asked.queue_pairs)
    result, _ = run_jobs(now, jobs, tracks, router(asked.method, asked.dead))

    def why() -> Iterator[str]:
        return told.explained(now, result.loads, result.steps, asked.method)

    code, text = int(result.stuck > 0), tuple(told.jobs_text(result))
    return Answer(now, told.jobs_json(result), text, why, result.loads, code, tuple(jobs), tracks)


def _flows(asked: Asked, now: Routing) -> Answer:
    from fabric.flowfile import read_flows
    from planner.simulate.flows import from_file
    from planner.simulate.offered import run_flows

    assert asked.flow_file is not None
    flows = from_file(read_flows(asked.flow_file, asked.plan, now.wires.network))
    result, _, _ = run_flows(now, flows, router(asked.method, asked.dead))

    def why() -> Iterator[str]:
        return told.explained(now, result.loads, (), asked.method)

    code, text = int(result.unrouted > 0), tuple(told.flows_text(result))
    return Answer(now, told.flows_json(result), text, why, result.loads, code, flows=flows)


def read_jobs(paths: Sequence[Path]) -> list[Job]:
    """Every job, or InputError with what is wrong in all of the files."""
    from fabric.jobfile import read_job

    jobs: list[Job] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            jobs.append(read_job(path))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return jobs


def written(
    asked: Asked, answer: Answer, output: Path, faults: Path | None, seconds: float, interval: float, sampling: int,
    seed: int,
) -> None:  # fmt: skip
    """Write the folder, whole or not at all. Raises InputError, OutputError."""
    from fabric.bundle import whole_folder
    from planner.simulate.faults import read_faults
    from planner.simulate.telemetry import Scenario, Settings
    from planner.simulate.write import write

    script = read_faults(faults, asked.plan, answer.now.wires.network) if faults else ()
    settings = Settings(seconds=seconds, interval=interval, sampling=sampling, seed=seed)
    scenario = Scenario(
        asked.plan, answer.now.wires.network, answer.jobs, answer.tracks, answer.flows, script, asked.dead,
        asked.method, settings,
    )  # fmt: skip
    with whole_folder(output) as folder:
        write(scenario, answer.json, folder, told.loads_table(answer.now, answer.loads))
