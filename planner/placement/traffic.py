"""What crosses segments when a job's hosts stand in a given order: counted rank by rank, step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fabric.jobfile import Job, Step
from planner.placement.shape import pair_bytes, ring_bytes

Ints = npt.NDArray[np.int64]


def crossing_bytes(job: Job, segments: Ints) -> dict[str, int]:
    """Bytes an iteration between segments, by group; ``segments``: of each host, in rank order.

    A ring sends from each rank to the next; hierarchical ones from host to host; a tree is taken as one that joins
    each segment once (2·bytes a joint); an all-to-all is taken as even; of a pipeline's send-recv the last sends none.
    """
    of_rank = np.repeat(segments, job.gpus_per_host)
    found = {"tp": 0, "dp": 0, "ep": 0, "pp": 0}
    for step in job.steps:
        found[step.group] += _step(job, step, of_rank[job.groups(step.group)])
    return found


def _step(job: Job, step: Step, groups: Ints) -> int:
    """Bytes of one step; ``groups``: segment of each rank, groups × members."""
    size = groups.shape[1]
    if size < 2:
        return 0
    if step.collective == "all-to-all":
        same = sum(((groups == segment).sum(axis=1) ** 2).sum() for segment in np.unique(groups))
        return int(groups.size * size - same) * pair_bytes(step, size)
    if step.algorithm == "tree":
        row = np.sort(groups, axis=1)
        return int((row[:, 1:] != row[:, :-1]).sum()) * 2 * step.bytes
    if step.algorithm == "hierarchical":
        inside = _inside_a_host(job, step)
        groups, size = groups[:, ::inside], size // inside
    following = np.roll(groups, -1, axis=1)
    crossed = groups != following
    if step.collective == "send-recv" and step.group == "pp":
        crossed = crossed[:, :-1]
    return int(crossed.sum()) * ring_bytes(step, size)


def _inside_a_host(job: Job, step: Step) -> int:
    """Neighbours of a group that share a host."""
    stride = {"tp": 1, "dp": job.tp, "ep": job.tp, "pp": job.tp * job.dp}[step.group]
    return max(1, min(job.size(step.group), job.gpus_per_host // stride))
