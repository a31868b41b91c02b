"""A job as units in stages, and what it costs that neighbours are in different segments."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.errors import InputError, Problem
from fabric.jobfile import Job, Step


@dataclass(frozen=True)
class Prices:
    """Bytes an iteration that cross segments, for each crossing; integers.

    ``ring``: two neighbours in the data-parallel rings of a stage; ``tree``: each segment of a stage beyond the first;
    ``pairs``: two units of a stage that exchange all-to-all, one way; ``expert_ring``, ``expert_pairs``: the same
    inside an expert group; ``pipeline``: a unit and its counterpart of the next stage; ``wrap``: of last and first.
    """

    ring: int = 0
    tree: int = 0
    pairs: int = 0
    expert_ring: int = 0
    expert_pairs: int = 0
    pipeline: int = 0
    wrap: int = 0


@dataclass(frozen=True)
class Shape:
    """``stages`` × ``units`` units of ``hosts`` hosts each, in rank order; expert groups are ``expert`` units long.

    ``expert`` is 1 where such groups send nothing. Where a unit holds several pipeline stages it counts as one.
    """

    stages: int
    units: int
    hosts: int
    expert: int
    prices: Prices

    @property
    def total(self) -> int:
        """Units of the job."""
        return self.stages * self.units


def shape_of(job: Job) -> Shape:
    """The shape of a job; raises InputError where its groups do not fill whole hosts."""
    gpus = job.gpus_per_host
    problems = [p for p in (_fits(job.tp, gpus, "tp", "a tensor-parallel group"),) if p]
    hosts = max(1, job.tp // gpus)
    ranks = hosts * gpus
    problems += [p for p in (_fits(job.tp * job.dp, ranks, "dp", "a stage (tp · dp)"),) if p]
    problems += [p for p in (_fits(job.tp * job.ep, ranks, "ep", "an expert group (tp · ep)"),) if p]
    if wrong := [step for step in job.steps if step.group == "pp" and step.collective == "all-to-all"]:
        problems.append(Problem("steps", f"{len(wrong)} all-to-all of group pp", "a pipeline has send-recv or rings"))
    if problems:
        raise InputError(problems)
    units = max(1, job.tp * job.dp // ranks)
    expert = max(1, job.tp * job.ep // ranks)
    prices = _prices(job, ranks, units, expert)
    if not (prices.expert_ring or prices.expert_pairs):
        expert = 1
    return Shape(job.host_count // hosts // units, units, hosts, expert, prices)


def _fits(group: int, whole: int, field: str, what: str) -> Problem | None:
    if group % whole == 0 or whole % group == 0:
        return None
    remedy = f"make {field} such that it fills whole hosts, or that whole ones fit a host"
    return Problem(field, f"{what} has {group} ranks and neither fills hosts of {whole} GPUs nor divides them", remedy)


def ring_bytes(step: Step, size: int) -> int:
    """What one rank of a ring sends to the next: 2(n-1)/n of the buffer in an all-reduce, (n-1)/n of it in the others.

    A send-recv sends its message. Rounded to whole bytes. Source: NCCL tests, PERFORMANCE.md (bus bandwidth).
    """
    if step.collective == "send-recv":
        return step.bytes if size > 1 else 0
    times = 2 if step.collective == "all-reduce" else 1
    return round(times * (size - 1) * step.bytes / size)


def pair_bytes(step: Step, size: int) -> int:
    """What one rank of an even all-to-all sends to each of the others."""
    return round(step.bytes / (size - 1)) if size > 1 else 0


def _prices(job: Job, ranks: int, units: int, expert: int) -> Prices:
    """Prices by unit; every unit holds ``ranks`` ranks, ``tp`` of each data-parallel place."""
    found = dict.fromkeys(Prices.__dataclass_fields__, 0)
    for step in job.steps:
        if step.group == "dp":
            _data(found, step, job, units)
        elif step.group == "ep" and step.collective == "all-to-all":
            found["expert_pairs"] += job.tp * (job.ep // expert) ** 2 * pair_bytes(step, job.ep)
        elif step.group == "ep":
            found["expert_ring"] += job.tp * ring_bytes(step, expert if step.algorithm == "hierarchical" else job.ep)
        elif step.group == "pp":
            price = min(ranks, job.tp * job.dp) * ring_bytes(step, job.pp)
            found["pipeline"] += price
            found["wrap"] += price if step.collective != "send-recv" else 0
    return Prices(**found)


def _data(found: dict[str, int], step: Step, job: Job, units: int) -> None:
    if step.collective == "all-to-all":
        found["pairs"] += job.tp * (job.dp // units) ** 2 * pair_bytes(step, job.dp)
    elif step.algorithm == "tree":
        found["tree"] += job.tp * 2 * step.bytes
    else:
        found["ring"] += job.tp * ring_bytes(step, units if step.algorithm == "hierarchical" else job.dp)
