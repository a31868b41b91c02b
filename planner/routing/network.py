"""One network as routing sees it: numbered leaves, spines and cores, and the links between them, dead or alive.

A *zone* is what hangs together above the leaves (a plane, where planes do not join). A *pod* is what hangs together
below the cores. A *class* of spines is what hangs together above the leaves' own links: spines that share cores. Where
the i-th spines of all pods share a group of cores, a class has one spine a pod; where every spine has links to every
core, there is one class; without cores, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.errors import InputError, Problem
from fabric.flow import components
from fabric.flowfile import Dead
from fabric.validation import suggest
from planner.routing.jit import Floats, Ints, Mask

if TYPE_CHECKING:
    from fabric.plan import Plan


@dataclass(frozen=True)
class Tier:
    """Links between two tiers of switches, by the lower end and its port; ends are numbers within their tier."""

    link: Ints
    lower: Ints
    upper: Ints
    upper_port: Ints
    gbps: Floats
    live: Mask

    def rooms(self, lowers: int, uppers: int) -> Ints:
        """Live links, lower × upper."""
        found = np.zeros((lowers, uppers), np.int64)
        np.add.at(found, (self.lower[self.live], self.upper[self.live]), 1)
        return found

    def rates(self, lowers: int, uppers: int) -> Floats:
        """Gb/s of the live links, lower × upper."""
        found = np.zeros((lowers, uppers))
        np.add.at(found, (self.lower[self.live], self.upper[self.live]), self.gbps[self.live])
        return found


@dataclass(frozen=True)
class Net:
    """A network: device ids by number (``leaf``, ``spine``, ``core``), its links, and what hangs together."""

    plan: Plan
    name: str
    leaf: Ints
    spine: Ints
    core: Ints
    up: Tier
    top: Tier
    dead: Mask
    """By link id of the fabric."""

    @property
    def joined(self) -> bool:
        """Whether the planes of a host meet in the network."""
        return self.plan.design.networks[self.name].planes_join != "never"

    @cached_property
    def zone(self) -> tuple[Ints, Ints, Ints]:
        """Zone of each leaf, spine and core."""
        labels = self._components([self.up, self.top])
        return self._by_tier(np.unique(labels, return_inverse=True)[1].reshape(-1))

    @cached_property
    def pod(self) -> tuple[Ints, Ints]:
        """Pod of each leaf and spine, numbered over the network."""
        leaves, spines, _ = self._by_tier(self._components([self.up]))
        labels = np.unique(np.concatenate([leaves, spines]), return_inverse=True)[1].reshape(-1)
        return labels[: len(leaves)], labels[len(leaves) :]

    @cached_property
    def spine_class(self) -> Ints:
        """Class of each spine, numbered over the network; without cores, that of its zone."""
        if not len(self.core):
            return self.zone[1]
        return self._by_tier(self._components([self.top]))[1]

    @cached_property
    def whole(self) -> bool:
        """Whether all links between switches live."""
        return bool(self.up.live.all() and self.top.live.all())

    @cached_property
    def reach(self) -> Mask:
        """Leaf × leaf: whether a living path joins them (itself included)."""
        up = (self.up.rooms(len(self.leaf), len(self.spine)) > 0).astype(np.float32)
        top = (self.top.rooms(len(self.spine), len(self.core)) > 0).astype(np.float32)
        over = np.minimum(up @ top, 1)
        found: Mask = (up @ up.T + over @ over.T + np.eye(len(up), dtype=np.float32)) > 0
        return found

    def _components(self, tiers: list[Tier]) -> Ints:
        spines, cores = len(self.leaf), len(self.leaf) + len(self.spine)
        offsets = {id(self.up): (0, spines), id(self.top): (spines, cores)}
        tails = [tier.lower + offsets[id(tier)][0] for tier in tiers]
        heads = [tier.upper + offsets[id(tier)][1] for tier in tiers]
        return components(cores + len(self.core), np.concatenate(tails), np.concatenate(heads))

    def _by_tier(self, labels: Ints) -> tuple[Ints, Ints, Ints]:
        first, second = len(self.leaf), len(self.leaf) + len(self.spine)
        return labels[:first], labels[first:second], labels[second:]

    @cached_property
    def attached(self) -> pl.DataFrame:
        """Ports of hosts on living links: ``host, rail, plane, link, leaf`` (a number), in the order of links."""
        links = self.plan.fabric.links
        live = pl.Series(~self.dead)
        rows = links.filter(live & (pl.col("network") == self.name) & (pl.col("tier") == "host-leaf"))
        rows = rows.filter(pl.col("rail").is_not_null(), pl.col("b_device").is_in(self.leaf.tolist()))
        leaf = np.searchsorted(self.leaf, rows["b_device"].to_numpy())
        return rows.select(
            host="a_device", rail="rail", plane=pl.col("plane").fill_null(0), link="id", leaf=pl.Series(leaf)
        ).sort("link")


def network(plan: Plan, name: str | None = None, dead: Dead | None = None) -> Net:
    """The network of that name (default: the plan's first). Raises InputError where there is none."""
    names = list(plan.design.networks)
    name = name or names[0]
    if name not in names:
        raise InputError(Problem("network", f'the plan has no network "{name[:60]}"', suggest(name, names)))
    switches = plan.fabric.switches.filter(pl.col("network") == name)
    ids = {
        tier: switches.filter(pl.col("tier") == tier)["id"].sort().to_numpy().astype(np.int64)
        for tier in ("leaf", "spine", "core")
    }
    gone = (dead or Dead()).dead_links(plan)
    links = plan.fabric.links.filter(pl.col("network") == name)
    up = _tier(links.filter(pl.col("tier") == "leaf-spine"), ids["leaf"], ids["spine"], gone)
    top = _tier(links.filter(pl.col("tier") == "spine-core"), ids["spine"], ids["core"], gone)
    return Net(plan, name, ids["leaf"], ids["spine"], ids["core"], up, top, gone)


def _tier(links: pl.DataFrame, lower: Ints, upper: Ints, dead: Mask) -> Tier:
    rows = links.filter(
        pl.col("a_device").is_in(lower.tolist()), pl.col("b_device").is_in(upper.tolist())
    ).sort("a_device", "a_port")  # fmt: skip
    link = rows["id"].to_numpy().astype(np.int64)
    return Tier(
        link=link,
        lower=np.searchsorted(lower, rows["a_device"].to_numpy()),
        upper=np.searchsorted(upper, rows["b_device"].to_numpy()),
        upper_port=rows["b_port"].to_numpy().astype(np.int64),
        gbps=rows["speed_gbps"].to_numpy().astype(np.float64),
        live=~dead[link],
    )
