"""One network as directed channels between numbered devices, with what is dead left out.

Channel 2·l is link l from its ``a`` end to its ``b`` end, 2·l + 1 the other way; l is the link's id in the plan. After
the links come two channels a GPU, out of it and into it over the scale-up fabric (NVLink, HCCS).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from planner.simulate.kept import kept

if TYPE_CHECKING:
    from fabric.plan import Plan

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEVELS = {"host": 0, "leaf": 1, "spine": 2, "core": 3}
UNLIMITED_GBPS = 1e9
"""Of a scale-up fabric whose speed the catalogue does not have: it never holds anything up."""


@dataclass(frozen=True)
class Csr:
    """Lists of numbers a row: row i is ``items[start[i]:start[i + 1]]``."""

    start: Small
    items: Small


def grouped(rows: Ints, items: Ints, count: int) -> Csr:
    """Items by row, in the order given within a row."""
    order = np.argsort(rows, kind="stable")
    start = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=start[1:])
    return Csr(start, items[order].astype(np.int32))


@dataclass(frozen=True)
class Wires:
    """The channels of one network. ``tail`` and ``head`` are devices, −1 of a link that is not the network's.

    ``up`` and ``down`` are, by device, the live channels to the tier above and below in the order of their ports;
    ``across`` those to the other leaf of a pair. ``gbps`` is the speed of each channel, 0 where it is dead.
    """

    plan: Plan
    network: str
    tail: Small
    head: Small
    gbps: Floats
    level: Small
    leaves: Small
    """Device ids of the leaves; the columns of distances."""
    up: Csr
    down: Csr
    across: Csr
    gpu_start: Ints
    """By host id: channel of its first GPU's way out; GPU g of host h has ``gpu_start[h] + 2·g`` and the next."""
    like: Wires | None = None
    """The whole network, where all of its links work here too, if at other speeds."""

    @property
    def links(self) -> int:
        """Links of the plan; channels below twice that are on links."""
        return self.plan.fabric.links.height

    @cached_property
    def leaf_column(self) -> Small:
        """By device: its place among the leaves, −1 of others."""
        column = np.full(len(self.level), -1, dtype=np.int32)
        column[self.leaves] = np.arange(len(self.leaves))
        return column

    def live(self, channels: npt.NDArray[np.integer]) -> Mask:
        """Which channels work."""
        found: Mask = self.gbps[channels] > 0
        return found


def wires(plan: Plan, network: str, dead: Mask | None = None, slower: dict[int, float] | None = None) -> Wires:
    """The channels of a network; ``dead``: which links do not work; ``slower``: Gb/s of channels that lost speed."""
    whole = kept(plan, ("wires", network), lambda: _whole(plan, network))
    down = np.zeros(whole.links, dtype=np.bool_) if dead is None else dead & (whole.tail[::2] >= 0)
    if not down.any() and not slower:
        return whole
    gbps = whole.gbps.copy()
    gbps[: 2 * whole.links][down.repeat(2)] = 0.0
    for channel, speed in (slower or {}).items():
        gbps[channel] = min(gbps[channel], speed)
    if not down.any() and gbps[list(slower or {})].all():
        return replace(whole, gbps=gbps, like=whole)
    up, down_lists, across = _lists(plan, whole.tail, whole.head, whole.level, gbps[: 2 * whole.links])
    return replace(whole, gbps=gbps, up=up, down=down_lists, across=across)


def _whole(plan: Plan, network: str) -> Wires:
    links = plan.fabric.links
    own = (links["network"].cast(pl.String) == network).to_numpy() & links["b_device"].is_not_null().to_numpy()
    ends = [links[f"{side}_device"].fill_null(0).to_numpy().astype(np.int32) for side in "ab"]
    tail, head = (
        np.where(own.repeat(2), np.stack(pair, 1).ravel(), -1).astype(np.int32) for pair in (ends, ends[::-1])
    )
    gbps = np.where(own, links["speed_gbps"].to_numpy(), 0).astype(np.float64).repeat(2)
    level = _levels(plan, network)
    local, gpu_start = _scale_up(plan, len(gbps))
    leaves = np.flatnonzero(level == LEVELS["leaf"]).astype(np.int32)
    up, down, across = _lists(plan, tail, head, level, gbps)
    return Wires(
        plan, network, tail, head, np.concatenate([gbps, local]), level, leaves, up, down, across, gpu_start,
    )  # fmt: skip


def _lists(plan: Plan, tail: Small, head: Small, level: Small, gbps: Floats) -> tuple[Csr, Csr, Csr]:
    """Live channels up, down and across by device, in the order of their ports."""
    links = plan.fabric.links
    live = np.flatnonzero(gbps > 0)
    rise = level[head[live]] - level[tail[live]]
    switch = level[tail[live]] > 0
    port = np.stack([links["a_port"].to_numpy(), links["b_port"].fill_null(0).to_numpy()], 1).ravel()[live]
    ordered = np.argsort(port, kind="stable")
    lists = []
    for wanted in ((rise > 0) & switch, (rise < 0) & (level[head[live]] > 0), (rise == 0) & switch):
        chosen = live[ordered][wanted[ordered]]
        lists.append(grouped(tail[chosen].astype(np.int64), chosen, len(level)))
    return lists[0], lists[1], lists[2]


def _levels(plan: Plan, network: str) -> Small:
    """By device: 0 of hosts, 1 to 3 of the network's leaves, spines and cores, −1 of other switches."""
    switches = plan.fabric.switches
    tier = switches["tier"].cast(pl.String).replace_strict(LEVELS, return_dtype=pl.Int32).to_numpy()
    own = (switches["network"].cast(pl.String) == network).to_numpy()
    return np.concatenate([np.zeros(plan.fabric.hosts.height, np.int32), np.where(own, tier, -1)]).astype(np.int32)


def _scale_up(plan: Plan, first: int) -> tuple[Floats, Ints]:
    """Gb/s of the channels of all GPUs, and where each host's begin."""
    hosts = plan.fabric.hosts
    gpus = hosts["gpus"].to_numpy().astype(np.int64)
    servers = plan.catalogue.servers
    speeds = {name: float(s.scale_up.gbps_per_gpu) for name, s in servers.items() if s.scale_up}
    by_host = hosts["model"].cast(pl.String).replace_strict(speeds, default=UNLIMITED_GBPS, return_dtype=pl.Float64)
    start = first + 2 * (np.cumsum(gpus) - gpus)
    return by_host.to_numpy().repeat(2 * gpus), start


def domains(plan: Plan) -> Ints:
    """By host id: which scale-up domain it is in; hosts without one are domains of their own."""
    return kept(plan, "domains", lambda: _domains(plan))


def _domains(plan: Plan) -> Ints:
    hosts = plan.fabric.hosts
    spans = {name: s.scale_up.hosts for name, s in plan.catalogue.servers.items() if s.scale_up}
    span = hosts["model"].cast(pl.String).replace_strict(spans, default=1, return_dtype=pl.Int64)
    frame = pl.DataFrame({"group": hosts["group"].cast(pl.String), "part": hosts["index"].cast(pl.Int64) // span})
    return frame.select(pl.struct("group", "part").rank("dense")).to_series().to_numpy().astype(np.int64)
