"""Bandwidth above the leaves, before and after links are lost.

A leaf's traffic through the i-th spine of its pod can use only the cores of group i and the i-th spine of the other
pod; traffic keeps its plane. So the max-flow from A to B along paths that go up and then down has a closed form:

    flow(A, B) = Σ_i min(up(A, i), up(B, i))                                           in one pod
    flow(A, B) = Σ_i min(up(A, i), Σ_c min(w(i, c, pod A), w(i, c, pod B)), up(B, i))  across pods

with up(A, i) the Gb/s from A to the i-th spine and w those of a spine to core c.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from fabric.failing.network import CORE, SPINE, Floats, Ints, Network, dense


@dataclass(frozen=True)
class Rows:
    """Leaves, or segments: their Gb/s to each spine of their pod (``up``: rows × slots).

    Rows of one ``key`` must reach each other. ``of_link``: row of each leaf-spine link, −1 for others.
    """

    up: Floats
    pod: Ints
    key: Ints
    of_link: Ints


class Climb:
    """The tiers above the leaves of one network that has spines."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._intact: dict[tuple[bool, int], tuple[Ints, Floats]] = {}
        self.segments = self._rows(("leaf_pod", "leaf_segment"), ())
        self.leaves = self._rows(("leaf_pod", "a_device"), ("leaf_rail", "leaf_plane"))

    @cached_property
    def spines(self) -> tuple[Ints, Ints]:
        """By device id: the slot of a spine, its place among its pod's spines, and its pod; −1 for others."""
        view = self.network.view
        spines = view.switches.filter(pl.col("network") == self.network.name, pl.col("tier") == "spine")
        slot, pod = (np.full(view.hosts.height + view.switches.height, -1, np.int64) for _ in range(2))
        ids = spines["id"].to_numpy()
        slot[ids] = spines.select(pl.struct("rail", "plane", "index").rank("dense").cast(pl.Int64) - 1).to_series()
        pod[ids] = spines["pod"].cast(pl.Int64).fill_null(0)
        return slot, pod

    @cached_property
    def core(self) -> Floats:
        """Gb/s of each spine to each core of its group: pods × slots × cores; empty where there is no core."""
        slot, pod = self.spines
        links = np.flatnonzero(self.network.tier == CORE)
        width = int(self.network.column("b_index")[links].max(initial=-1)) + 1
        total = np.zeros((int(pod.max()) + 1, int(slot.max()) + 1, width))
        np.add.at(total, self._at_core(links), self.network.gbps[links])
        return total

    def _at_core(self, links: Ints) -> tuple[Ints, Ints, Ints]:
        slot, pod = self.spines
        spine = self.network.column("a_device")[links]
        return pod[spine], slot[spine], self.network.column("b_index")[links]

    def _rows(self, columns: tuple[str, ...], key: tuple[str, ...]) -> Rows:
        network, slot = self.network, self.spines[0]
        links = np.flatnonzero(network.tier == SPINE)
        row = dense(np.stack([network.column(name)[links] for name in columns]))
        first = np.unique(row, return_index=True)[1]
        up = np.zeros((len(first), int(slot.max()) + 1))
        np.add.at(up, (row, slot[network.column("b_device")[links]]), network.gbps[links])
        of_link = np.full(len(network.tier), -1, np.int64)
        of_link[links] = row
        keys = dense(np.stack([network.column(name)[links[first]] for name in key])) if key else np.zeros_like(first)
        return Rows(up, np.maximum(network.column("leaf_pod")[links[first]], 0), keys, of_link)

    def left(self, lost: Ints) -> tuple[float, float]:
        """Least share of the flow left between two segments, and between two leaves of one position and plane."""
        tier = self.network.tier[lost]
        to_core, to_spine = lost[tier == CORE], lost[tier == SPINE]
        core = self.core
        if len(to_core):
            core = core.copy()
            np.subtract.at(core, self._at_core(to_core), self.network.gbps[to_core])
        pods = np.unique(self._at_core(to_core)[0]).tolist()
        return self._least(self.segments, to_spine, core, pods), self._least(self.leaves, to_spine, core, pods)

    def _least(self, table: Rows, lost: Ints, core: Floats, pods: list[int]) -> float:
        """Over pairs with a row that lost uplinks, or with one of each kind in a pod that lost links to the core."""
        up, touched = table.up, table.of_link[lost]
        if len(lost):
            up = up.copy()
            np.subtract.at(
                up, (touched, self.spines[0][self.network.column("b_device")[lost]]), self.network.gbps[lost]
            )
        rows = {*touched.tolist(), *(row for pod in pods for row in _kinds(table, up, pod))}
        return min((self._share(table, up, core, row) for row in sorted(rows)), default=1.0)

    def _share(self, table: Rows, up: Floats, core: Floats, row: int) -> float:
        others, before = self._before(table, row)
        after = _flows(up, table.pod, core, row, others)
        return float((after / before).min(initial=1.0))

    def _before(self, table: Rows, row: int) -> tuple[Ints, Floats]:
        """The rows that ``row`` reaches, and the flow to each, with nothing lost."""
        key = (table is self.leaves, row)
        if key not in self._intact:
            others = np.flatnonzero((table.key == table.key[row]) & (np.arange(len(table.up)) != row))
            flows = _flows(table.up, table.pod, self.core, row, others)
            self._intact[key] = others[flows > 0], flows[flows > 0]
        return self._intact[key]


def _kinds(table: Rows, up: Floats, pod: int) -> list[int]:
    """The first row of each kind in a pod: key and uplinks."""
    mine = np.flatnonzero(table.pod == pod)
    alike = np.unique(np.column_stack([table.key[mine], up[mine]]), axis=0, return_index=True)[1]
    return [int(row) for row in mine[alike]]


def _flows(up: Floats, pod: Ints, core: Floats, row: int, others: Ints) -> Floats:
    """flow(row, b) for every b of ``others``."""
    least = np.minimum(up[row], up[others])
    if core.shape[2]:
        across = np.minimum(core[pod[row]], core).sum(axis=2)
        far = pod[others] != pod[row]
        least[far] = np.minimum(least[far], across[pod[others[far]]])
    flows: Floats = least.sum(axis=1)
    return flows
