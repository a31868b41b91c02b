"""Collectives as flows: what each algorithm makes every rank send to which other.

A step is a tuple of stages that follow each other; the flows of a stage run at once. Sizes are those of the published
algorithms (Thakur, Rabenseifner, Gropp 2005; NCCL): with n ranks and S bytes a rank, a ring all-reduce sends
2·(n − 1)/n·S over each of its links, all-gather and reduce-scatter half of that, all-to-all S/n to each other rank.

A group with m ranks on each host runs as NCCL does: m channels, each a ring (or tree) over the hosts that leaves a host
by one of the m ranks' rails and carries S/m; inside the host the ranks pass everything on by scale-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.endpoints import stirred
from planner.simulate.flows import LOCAL, Flows, flows, joined
from planner.simulate.trees import double_tree

if TYPE_CHECKING:
    from fabric.jobfile import Collective, Step
    from planner.simulate.ranks import Seats
    from planner.simulate.wires import Floats, Ints

Stages = tuple[Flows, ...]


@dataclass(frozen=True)
class Team:
    """All groups of a kind: ranks (groups × size), and where each rank sits."""

    ranks: Ints
    seats: Seats
    same_rail: bool
    """Traffic for a GPU on another rail changes rails inside its own host (NCCL's PXN), as rail-only fabrics need."""

    @property
    def size(self) -> int:
        """Ranks of a group."""
        return int(self.ranks.shape[1])


def bus_factor(collective: Collective, ranks: int) -> float:
    """Bus bandwidth over buffer/time, as NCCL's tests define it (nccl-tests, doc/PERFORMANCE.md)."""
    if collective == "all-reduce":
        return 2 * (ranks - 1) / ranks
    return 1.0 if collective == "send-recv" else (ranks - 1) / ranks


def stages(team: Team, step: Step) -> Stages:
    """The stages of one step; empty where its groups have one rank."""
    if team.size < 2:
        return ()
    if step.collective == "all-to-all":
        return (_all_to_all(team, step.bytes, step.skew),)
    if step.collective == "send-recv":
        return (_send(team, step.bytes),)
    if step.algorithm == "hierarchical":
        return _hierarchical(team, step)
    if step.algorithm == "tree":
        return (_tree(team, step.bytes),)
    return (_ring(team, step.bytes * bus_factor(step.collective, team.size)),)


def _edges(team: Team, src: Ints, dst: Ints, size: Floats | float, label: Ints) -> Flows:
    """Flows between ranks: by scale-up inside a domain, else by the source's rail to the destination's."""
    seats = team.seats
    inside = seats.domain[src] == seats.domain[dst]
    out = seats.rail[dst] if team.same_rail else seats.rail[src]
    return flows(
        (seats.host[src], seats.gpu[src], np.where(inside, LOCAL, out)),
        (seats.host[dst], seats.gpu[dst], np.where(inside, LOCAL, seats.rail[dst])),
        np.broadcast_to(np.asarray(size, dtype=np.float64), src.shape).copy(), label,
    )  # fmt: skip


def _by_host(team: Team) -> Ints | None:
    """Ranks as groups × hosts × ranks a host; None where hosts have different numbers of a group's ranks."""
    hosts = team.seats.host[team.ranks]
    order = np.argsort(_first_seen(hosts), axis=1, kind="stable")
    ranks, hosts = np.take_along_axis(team.ranks, order, 1), np.take_along_axis(hosts, order, 1)
    changes = np.flatnonzero(np.diff(hosts[0])) + 1
    each = int(changes[0]) if len(changes) else team.size
    if team.size % each:
        return None
    split = hosts.reshape(len(hosts), -1, each)
    whole = (split == split[:, :, :1]).all() and (split.shape[1] == 1 or (np.diff(split[:, :, 0]) != 0).all())
    return ranks.reshape(split.shape) if whole else None


def _first_seen(hosts: Ints) -> Ints:
    """By group and rank: place at which the rank's host first comes in its group."""
    groups, size = hosts.shape
    key = (np.arange(groups)[:, None] * (hosts.max() + 1) + hosts).ravel()
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    found: Ints = (first[inverse] % size).reshape(groups, size)
    return found


def _ring(team: Team, size: float) -> Flows:
    """Rings over each group; ``size``: what each link of a ring over all of the group's data would carry."""
    grid = _by_host(team)
    if grid is None:
        return _circle(team, team.ranks, size)
    groups, hosts, each = grid.shape
    if hosts == 1 or each == 1:
        return _circle(team, team.ranks if hosts == 1 else grid[:, :, 0], size)
    channels = grid.transpose(0, 2, 1).reshape(groups * each, hosts)
    between = _circle(team, channels, size / each, per=each)
    return joined([between, _inside(team, grid, size * (each - 1) / each)])


def _circle(team: Team, rows: Ints, size: float, per: int = 1) -> Flows:
    """Each row's ranks send to their next; ``per`` rows have one label."""
    label = np.repeat(np.arange(len(rows)) // per, rows.shape[1])
    return _edges(team, rows.ravel(), np.roll(rows, -1, axis=1).ravel(), size, label)


def _inside(team: Team, grid: Ints, size: float) -> Flows:
    """Within every host each rank passes ``size`` to the next."""
    groups, hosts, each = grid.shape
    rows = grid.reshape(groups * hosts, each)
    return _circle(team, rows, size, per=hosts)


def _tree(team: Team, size: float) -> Flows:
    """NCCL's double binary tree: each of two trees carries half, up to its root and down again."""
    grid = _by_host(team)
    rows, each = team.ranks, 1
    if grid is not None and grid.shape[1] > 1:
        each = grid.shape[2]
        rows = grid.transpose(0, 2, 1).reshape(-1, grid.shape[1])
    child, parent = double_tree(rows.shape[1])
    label = np.repeat(np.arange(len(rows)) // each, 2 * len(child))
    ends = np.concatenate([child, parent]), np.concatenate([parent, child])
    made = _edges(team, rows[:, ends[0]].ravel(), rows[:, ends[1]].ravel(), size / each / 2, label)
    if each == 1 or grid is None:
        return made
    return joined([made, _inside(team, grid, 2 * size * (each - 1) / each)])


def _hierarchical(team: Team, step: Step) -> Stages:
    """Reduce-scatter inside, the collective between, all-gather inside; inside is a host, or else a segment."""
    grid = _by_host(team)
    if grid is None or grid.shape[2] == 1:
        grid = _by_segment(team)
    if grid is None or 1 in grid.shape[1:]:
        return (_ring(team, step.bytes * bus_factor(step.collective, team.size)),)
    groups, parts, each = grid.shape
    own = _circle(team, grid.reshape(groups * parts, each), step.bytes * (each - 1) / each, per=parts)
    columns = grid.transpose(0, 2, 1).reshape(groups * each, parts)
    between = _circle(team, columns, step.bytes / each * bus_factor(step.collective, parts), per=each)
    return {"all-reduce": (own, between, own), "all-gather": (between, own), "reduce-scatter": (own, between)}[
        step.collective
    ]


def _by_segment(team: Team) -> Ints | None:
    """Ranks as groups × segments × ranks a segment; None where segments have different numbers of them."""
    segment = team.seats.segment[team.ranks]
    order = np.argsort(segment, axis=1, kind="stable")
    ordered = np.take_along_axis(segment, order, 1)
    parts = len(np.unique(ordered[0]))
    if team.size % parts:
        return None
    split = ordered.reshape(len(ordered), parts, -1)
    if not (split == split[:, :, :1]).all():
        return None
    return np.take_along_axis(team.ranks, order, 1).reshape(split.shape)


def _all_to_all(team: Team, size: float, skew: float) -> Flows:
    """Every rank to every other; with a skew the ranks of a group are chosen by Zipf's law, in an order by hash."""
    groups, n = team.ranks.shape
    src = np.repeat(team.ranks, n, axis=1).ravel()
    dst = np.tile(team.ranks, (1, n)).ravel()
    share = np.repeat(shares(groups, n, skew), n, axis=0).ravel()
    label = np.repeat(np.arange(groups), n * n)
    other = src != dst
    return _edges(team, src[other], dst[other], size * share[other], label[other])


def shares(groups: int, n: int, skew: float) -> Floats:
    """Part of a rank's tokens that goes to each rank of its group: groups × n, each row sums to 1."""
    place = stirred(np.repeat(np.arange(groups), n), np.tile(np.arange(n), groups), seed=4).reshape(groups, n)
    weight = 1.0 / (1 + np.argsort(np.argsort(place, axis=1), axis=1)) ** skew
    found: Floats = weight / weight.sum(axis=1, keepdims=True)
    return found


def _send(team: Team, size: float) -> Flows:
    """Each stage of a pipeline to the next; the last sends nothing."""
    src, dst = team.ranks[:, :-1].ravel(), team.ranks[:, 1:].ravel()
    label = np.repeat(np.arange(len(team.ranks)), team.size - 1)
    return _edges(team, src, dst, size, label)
