"""From a job and what is free to hosts in rank order, with the bound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from fabric.errors import InfeasibleError, Problem
from fabric.jobfile import Job
from planner.placement import exact
from planner.placement.bound import simple_bound
from planner.placement.counts import Counts, counted
from planner.placement.order import in_order, inside_cost
from planner.placement.shape import Shape, shape_of
from planner.placement.start import coarse, starts, without_experts
from planner.placement.supply import Supply
from planner.placement.traffic import Ints, crossing_bytes

SECONDS = 1.5
"""CP-SAT's deterministic time for the bytes, and half of it for the holes: the same answer on every machine."""


@dataclass(frozen=True)
class Placed:
    """``hosts`` in rank order; ``row``: number of the segment of each unit, stages × units.

    ``crossing``: bytes an iteration between segments by group, counted rank by rank; ``bound``: what no placement on as
    few lost ports undercuts.
    """

    job: Job
    shape: Shape
    supply: Supply
    hosts: tuple[str, ...]
    row: Ints
    crossing: dict[str, int]
    bound: int
    lost: int

    @property
    def bytes_(self) -> int:
        """Bytes an iteration that cross segments."""
        return sum(self.crossing.values())

    @property
    def gap(self) -> float:
        """How much less an optimum may be, relatively; 0 where this is one."""
        return (self.bytes_ - self.bound) / self.bytes_ if self.bytes_ > self.bound else 0.0

    @property
    def status(self) -> str:
        """OPTIMAL where nothing can cross less, else FEASIBLE."""
        return "OPTIMAL" if self.bytes_ <= self.bound else "FEASIBLE"

    @property
    def left(self) -> Ints:
        """Free units that remain, by segment."""
        return self.supply.free - np.bincount(self.row.reshape(-1), minlength=len(self.supply.segments))

    @property
    def spread(self) -> float:
        """Chance that two free units drawn from what remains are in different segments: 0 is one hole."""
        left = self.left.astype(np.float64)
        return float(1 - (left**2).sum() / left.sum() ** 2) if left.sum() else 0.0


def place(job: Job, supply: Supply, reserve: int = 0) -> Placed:
    """Place a job; raises InputError where its groups do not fill hosts, InfeasibleError where too little is free."""
    shape = shape_of(job)
    have = int(supply.free.sum())
    if have < shape.total:
        raise InfeasibleError(_too_few(job, shape, have, reserve))
    least, most = supply.limits(shape.total)
    row, bound = _rows(shape, least, most, supply.free)
    hosts, lost = _seated(supply, row)
    segments = np.repeat(np.array(supply.segments)[row.reshape(-1)], shape.hosts)
    return Placed(job, shape, supply, hosts, row, crossing_bytes(job, segments), bound, lost)


def _too_few(job: Job, shape: Shape, have: int, reserve: int) -> Problem:
    what = f"{job.name} takes {job.host_count:,} hosts and {have * shape.hosts:,} are free"
    if shape.hosts > 1:
        what += f" in whole groups of {shape.hosts} of one scale-up domain"
    held = f"; {reserve:,} more are in reserve" if reserve else ""
    return Problem("", what + held, "free more hosts, or ask for fewer")


def _rows(shape: Shape, least: Ints, most: Ints, free: Ints) -> tuple[Ints, int]:
    """Segment of each unit and the bound of the bytes: by counts, and for small jobs exactly where a gap is left."""
    bound = simple_bound(shape, most)
    row = min((in_order(shape, start) for start in _starts(shape, least, most)), key=partial(row_cost, shape))
    if row_cost(shape, row) > bound:
        row, bound = _improved(shape, least, most, row, bound)
    if row_cost(shape, row) > bound and exact.small(shape, most):
        found = exact.solved(shape, least, most, free, row)
        return (found.units, max(found.bound, bound)) if found else (row, bound)
    if int(free.sum()) > shape.total:
        row = _tidied(shape, least, most, free, row)
    return row, bound


def _blocks(shape: Shape, least: Ints, most: Ints) -> bool:
    """Expert groups can all be kept whole, and make the model smaller."""
    return shape.expert > 1 and not least.any() and int((most // shape.expert).sum()) * shape.expert >= shape.total


def _starts(shape: Shape, least: Ints, most: Ints) -> list[Ints]:
    found = starts(shape, least, most)
    if _blocks(shape, least, most):
        found += [shape.expert * start for start in starts(coarse(shape), least, most // shape.expert)]
    return found


def _improved(shape: Shape, least: Ints, most: Ints, row: Ints, bound: int) -> tuple[Ints, int]:
    """What CP-SAT finds and proves: expert groups whole where they can be, the bound then without what they cost."""
    hint = _counts(row, len(most))
    if not _blocks(shape, least, most):
        found = counted(Counts(shape, least, most, most), hint, SECONDS)
        return (_better(shape, found.units, row), max(bound, found.bound)) if found else (row, bound)
    e = shape.expert
    rough = counted(Counts(coarse(shape), least, most // e, most // e), hint // e, SECONDS / 2)
    row = _better(shape, e * rough.units, row) if rough else row
    fine = counted(Counts(without_experts(shape), least, most, most), _counts(row, len(most)), SECONDS / 2)
    return (_better(shape, fine.units, row), max(bound, fine.bound)) if fine else (row, bound)


def _tidied(shape: Shape, least: Ints, most: Ints, free: Ints, row: Ints) -> Ints:
    """A row that crosses no more and leaves holes together."""
    each = shape.expert if _blocks(shape, least, most) and not (_counts(row, len(most)) % shape.expert).any() else 1
    asked = Counts(coarse(shape) if each > 1 else shape, least, most // each, free, each)
    value = row_cost(shape, row)
    best = counted(asked, _counts(row, len(most)) // each, SECONDS / 2, value)
    tidy = in_order(shape, each * best.units) if best else row
    return tidy if row_cost(shape, tidy) <= value else row


def _better(shape: Shape, counts: Ints, row: Ints) -> Ints:
    """The better of a table of units by stage and segment, put in order, and a row."""
    return min((row, in_order(shape, counts)), key=partial(row_cost, shape))


def _counts(row: Ints, segments: int) -> Ints:
    return np.stack([np.bincount(stage, minlength=segments) for stage in row]).astype(np.int64)


def row_cost(shape: Shape, row: Ints) -> int:
    """Bytes between segments, from the prices."""
    found = sum(inside_cost(shape, stage) for stage in row)
    found += shape.prices.pipeline * int((row[1:] != row[:-1]).sum())
    if shape.stages > 1:
        found += shape.prices.wrap * int((row[0] != row[-1]).sum())
    return found


def _seated(supply: Supply, row: Ints) -> tuple[tuple[str, ...], int]:
    """Host names in rank order, each segment's best units first; and ports lost in all."""
    taken = [0] * len(supply.segments)
    hosts: list[str] = []
    lost = 0
    for segment in row.reshape(-1).tolist():
        number = taken[segment]
        taken[segment] += 1
        hosts += supply.units[segment][number]
        lost += supply.lost[segment][number]
    return tuple(hosts), lost
