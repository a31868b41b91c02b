"""ECMP groups in one interval, measured all at once: usable members, flows on them, and how uneven they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit

from collectors.detectors.skew.montecarlo import Thrown, counted, sampled
from collectors.detectors.skew.observe import Flows
from collectors.detectors.skew.pairs import inverse_members
from collectors.detectors.view import Floats, Ints, Mask, View


@dataclass(frozen=True)
class Group:
    """One group: its usable members in the order of their ids, its flows, and what carried what."""

    number: int
    ports: Ints
    flows: Flows
    member: Ints
    """Place of each flow's member among the usable ones."""
    loads: Ints
    """Samples on each member."""
    phi: float
    """How uneven it is; 1 in the mean."""
    excess: float
    level: float | None = None
    """Where its loads are bytes that counters say, beside its flows' samples: what p is to be held to."""

    @property
    def freedom(self) -> int:
        """Degrees of freedom."""
        return len(self.ports) - 1

    @cached_property
    def thrown(self) -> Thrown:
        """Its flows, the heaviest first: the same draws whatever order they came in."""
        weights = np.sort(self.flows.samples)[::-1]
        return sampled(weights, self.loads) if self.level is None else counted(weights, self.loads, self.level)


@dataclass(frozen=True)
class Groups:
    """Groups in the order of their numbers; flows ``start[k]`` to ``start[k + 1]`` are those of the k-th.

    By member (``port_start``): ``ports``, ``loads`` (samples), ``counts`` (flows). By flow: ``member``. By group:
    ``effective`` flows, ``phi``, ``heaviest`` flow, ``busiest`` member's load.
    """

    number: Ints
    start: Ints
    flows: Flows
    member: Ints
    ports: Ints
    port_start: Ints
    loads: Ints
    counts: Ints
    effective: Floats
    phi: Floats
    heaviest: Ints
    busiest: Ints
    beside: bool = False
    """Loads are bytes that counters say, beside flows that other switches sampled: no flow's member is known."""

    def __len__(self) -> int:
        return len(self.number)

    def __iter__(self) -> Iterator[Group]:
        return (self.one(row) for row in range(len(self)))

    def one(self, row: int, level: float = 1e-4) -> Group:
        """The group of a row; ``level``: what its p beside counters is to be held to."""
        first, last = int(self.start[row]), int(self.start[row + 1])
        own = slice(int(self.port_start[row]), int(self.port_start[row + 1]))
        return Group(
            int(self.number[row]), self.ports[own], self.flows.part(first, last), self.member[first:last],
            self.loads[own], float(self.phi[row]), float(self.excess[row]),
            level if self.beside else None,
        )  # fmt: skip

    def take(self, which: Ints) -> Groups:
        """Some rows, in their order."""
        if len(which) == len(self):
            return self
        flows, ports = self.rows_of(which, self.start), self.rows_of(which, self.port_start)
        return Groups(
            self.number[which], starts(self.sizes[which]), self.flows.take(flows), self.member[flows],
            self.ports[ports], starts(self.members[which]), self.loads[ports], self.counts[ports],
            self.effective[which], self.phi[which], self.heaviest[which], self.busiest[which], self.beside,
        )  # fmt: skip

    @cached_property
    def sizes(self) -> Ints:
        """Flows of each."""
        return np.diff(self.start)

    @cached_property
    def members(self) -> Ints:
        """Usable members of each."""
        return np.diff(self.port_start)

    @property
    def freedom(self) -> Ints:
        """Degrees of freedom of each."""
        return self.members - 1

    @cached_property
    def mean(self) -> Floats:
        """Samples a member of each."""
        total: Floats = np.add.reduceat(self.loads, self.port_start[:-1]).astype(np.float64)
        return total / self.members

    @cached_property
    def excess(self) -> Floats:
        """The busiest member over the mean, or over the heaviest flow where that is more: no hash does better."""
        return np.asarray(self.busiest / np.maximum(self.mean, self.heaviest))

    @cached_property
    def row(self) -> Ints:
        """The row of each flow's group."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def rows_of(self, which: Ints, start: Ints) -> Ints:
        """Places of some rows in an array that ``start`` divides among all."""
        if len(which) == len(self):
            return np.arange(start[-1])
        parts = [np.arange(start[row], start[row + 1]) for row in which.tolist()]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def inverse_members(self, which: Ints) -> float:
        """1/m_hat of some rows together; NaN without a pair of flows."""
        bounds = zip(self.port_start[which].tolist(), self.port_start[which + 1].tolist(), strict=True)
        return inverse_members(self.counts[first:last] for first, last in bounds)


def groups_of(view: View, flows: Flows, usable: Mask, which: Mask, least: int) -> Groups:
    """Those of some groups that have so many flows, on two usable members at least. Flows on others are left out."""
    ports = sorted_members(view)
    good = usable[ports]
    group = np.repeat(np.arange(view.groups), np.diff(view.group_start))
    members = np.bincount(group[good], minlength=view.groups)
    flows = flows.take(which[flows.group] & usable[flows.port])
    sizes = np.bincount(flows.group, minlength=view.groups)
    enough = (sizes >= max(least, 1)) & (members > 1)
    flows, kept = flows.take(enough[flows.group]), ports[good & enough[group]]
    number = np.flatnonzero(enough)
    start, port_start = starts(sizes[number]), starts(members[number])
    place = np.zeros(view.ports, dtype=np.int64)
    place[kept] = np.arange(len(kept)) - np.repeat(port_start[:-1], members[number])
    member = place[flows.port]
    return Groups(
        number, start, flows, member, kept, port_start, *_measured(member, flows.samples, start, port_start)
    )  # fmt: skip


def sorted_members(view: View) -> Ints:
    """Members of all groups, in the order of their ids within each."""
    group = np.repeat(np.arange(view.groups), np.diff(view.group_start))
    return np.asarray(view.group_ports[np.argsort(group * view.ports + view.group_ports, kind="stable")])


def starts(sizes: Ints) -> Ints:
    """Where each of these many begin, and the end of all."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])


@njit(cache=True, nogil=True)
def _measured(member: Ints, samples: Ints, start: Ints, port_start: Ints) -> Any:
    """Loads, counts, effective flows ((Σc)²/Σc²), Phi, heaviest flow and busiest member."""
    loads, counts = np.zeros(port_start[-1], np.int64), np.zeros(port_start[-1], np.int64)
    n = len(start) - 1
    effective, phi = np.empty(n), np.empty(n)
    heaviest, busiest = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(n):
        squares, total, base = 0.0, 0, port_start[k]
        for i in range(start[k], start[k + 1]):
            c = samples[i]
            loads[base + member[i]] += c
            counts[base + member[i]] += 1
            total += c
            squares += float(c) * c
            heaviest[k] = max(heaviest[k], c)
        members = port_start[k + 1] - base
        mean, spread = total / members, 0.0
        for j in range(base, port_start[k + 1]):
            spread += (loads[j] - mean) ** 2
            busiest[k] = max(busiest[k], loads[j])
        effective[k] = float(total) ** 2 / squares
        phi[k] = effective[k] * (spread / members / mean**2) / (members - 1)
    return loads, counts, effective, phi, heaviest, busiest
