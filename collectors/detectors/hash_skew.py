"""hash-skew: an ECMP group spreads its flows less evenly than a good hash would, or than its links can bear.

A tier's groups are judged together on flows that were not judged before, and then one by one (``skew.tiers``). What
holds is told as long as the same flows stay where they are. Where flows do not stay on one member (spraying, adaptive
routing), or tables are InfiniBand's, there is no hash to judge: ``notes`` says so once, and nothing is called skew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import pi
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.policy import Policy
from collectors.detectors.skew.beside import Beside, Shares
from collectors.detectors.skew.busy import busy_signals
from collectors.detectors.skew.causes import Found, Why, entropy, group_signals, tier_signal
from collectors.detectors.skew.groups import Groups, groups_of
from collectors.detectors.skew.members import usable, working
from collectors.detectors.skew.memory import Memory
from collectors.detectors.skew.observe import Flows, Observer, moving, rows_of
from collectors.detectors.skew.planned import EXPLAINED, as_planned, explained
from collectors.detectors.skew.tiers import Judged, judged
from collectors.detectors.view import NONE, Floats, Mask, View

HOLD = 12
"""Intervals without flows to judge after which what was said is no longer said: the warm-up of a replay."""
UNSTEADY = 3
"""Intervals in a row of moving flows that are no reroute."""
MOST_NOTES = 1000
LEAST_MOVING = 4
"""Flows with two samples from which a group's steadiness is known."""


@dataclass
class _Tier:
    """A network's switches of one tier, all their up groups or all their trunks, and what was said of them."""

    network: str
    tier: str
    which: Mask
    """By group: whether it is one of them."""
    memory: Memory = field(default_factory=Memory)
    signals: tuple[Signal, ...] = ()
    idle: int = 0
    beside: Shares = field(default_factory=Shares)
    beside_signals: tuple[Signal, ...] = ()
    beside_idle: int = 0

    @property
    def judged(self) -> int:
        """Judgements within a day."""
        return len(self.memory.judged_ns) + len(self.beside.memory.judged_ns)

    def waits(self) -> tuple[Signal, ...]:
        """What is still said after one more interval without flows to judge."""
        self.idle += 1
        if self.idle > HOLD:
            self.signals = ()
        return self.signals

    def waits_beside(self) -> tuple[Signal, ...]:
        """The same of groups beside counters."""
        self.beside_idle += 1
        if self.beside_idle > HOLD:
            self.beside_signals = ()
        return self.beside_signals


class HashSkew:
    """The detector of ``hash-skew``."""

    code = "hash-skew"

    def __init__(self, view: View, policy: Policy) -> None:
        """``notes``: what cannot be judged and why, a line each, said once."""
        self.view, self.policy = view, policy.hash_skew
        self.observer, self._beside = Observer(view), Beside(view)
        self.notes: list[str] = []
        self._tiers = list(self._classes())
        self._unsteady = np.zeros(view.groups, dtype=np.int64)
        self._noted = np.zeros(view.groups, dtype=np.bool_)

    def step(self, interval: Interval) -> Iterable[Signal]:
        """Signals of this interval, sorted."""
        if not self.view.groups:
            return []
        if interval.flows.is_empty():
            return self._idle()
        rows = rows_of(interval)
        flows = self.observer.flows(interval, rows)
        steady = self._steady(flows)
        good = usable(self.view, working(interval))
        load = self._load(interval)
        carries = steady & ~(self._mean(load, good) < self.policy.floor)
        causes = entropy(self.view, self.observer.entries(rows), self.policy)
        found: dict[str, Signal] = {}
        for tier in self._tiers:
            for signal in self._one(tier, interval, flows, good, carries, causes):
                found.setdefault(_key(signal), signal)
        beside = self._beside.groups(interval, rows, good, self.policy.least_flows)
        untold = carries & (np.bincount(flows.group, minlength=self.view.groups) == 0)
        for tier in self._tiers:
            for signal in self._by_counters(tier, interval, beside, good, untold, causes):
                found.setdefault(_key(signal), signal)
        for signal in busy_signals(self.view, flows, good, steady, load, self.policy):
            found.setdefault(_key(signal), signal)
        return [found[key] for key in sorted(found)]

    def _idle(self) -> Sequence[Signal]:
        """What is still said where no flows were sampled; no group is known to be unsteady then."""
        self._unsteady[:] = 0
        found = {
            _key(signal): signal
            for tier in reversed(self._tiers)
            for signal in reversed(tier.waits() + tier.waits_beside())
        }
        return [found[key] for key in sorted(found)]

    def _one(
        self, tier: _Tier, interval: Interval, flows: Flows, good: Mask, carries: Mask, causes: dict[str, Why]
    ) -> Sequence[Signal]:
        """What holds of a tier: judged anew where its flows are new, else what was said of them."""
        own = flows.take((tier.which & carries)[flows.group] & good[flows.port])
        if not len(own):
            return tier.waits()
        tier.idle = 0
        if not tier.memory.changed(own, self.policy.fresh):
            return tier.signals
        groups = groups_of(self.view, own, good, tier.which, self.policy.least_flows)
        if len(groups):
            tier.memory.remember(own, interval.end_ns)
            network = causes.get(tier.network)
            level = self._level(tier.judged) if network is None else self.policy.level
            result = judged(groups, partial(self._planned, tier, own, groups, good, network), self.policy, level)
            tier.signals = tuple(self._signals(tier, result, level, good, network))
        return tier.signals

    def _by_counters(
        self, tier: _Tier, interval: Interval, beside: Groups | None, good: Mask, untold: Mask, causes: dict[str, Why]
    ) -> Sequence[Signal]:
        """What holds of a tier's groups that are judged by byte counters beside flows."""
        groups = None if beside is None else beside.take(np.flatnonzero((tier.which & untold)[beside.number]))
        if groups is None or not len(groups):
            return tier.waits_beside()
        tier.beside_idle = 0
        if tier.beside.changed(groups, self.policy.fresh):
            tier.beside.remember(groups, self.view.ports, interval.end_ns)
            network = causes.get(tier.network)
            level = self._level(tier.judged) if network is None else self.policy.level
            result = judged(groups, partial(self._explained, tier, groups, network), self.policy, level)
            tier.beside_signals = tuple(self._signals(tier, result, level, good, network))
        return tier.beside_signals

    def _explained(self, tier: _Tier, groups: Groups, network: Why | None) -> Floats:
        """By group beside counters: 1 where the tier's planned hash explains what they say."""
        if network is not None:
            return np.zeros(len(groups))
        part = explained(self.view, tier.network, groups).get(tier.tier, np.zeros(len(groups)))
        return (part >= EXPLAINED).astype(np.float64)

    def _level(self, number: int) -> float:
        """That of a tier's so many-th set of flows within a day: all sets of all tiers together have the policy's.

        Σ 1/k² is π²/6.
        """
        spent = self.policy.level * 6 / (pi * number) ** 2 / len(self._tiers)
        return max(spent, self.policy.least_draws_level)

    def _planned(self, tier: _Tier, own: Flows, groups: Groups, good: Mask, network: Why | None) -> Floats:
        """By group: the part of its flows where the tier's planned hash puts them; none where the keys are at fault."""
        if network is not None:
            return np.zeros(len(groups))
        return as_planned(self.view, tier.network, tier.tier, own, good)[groups.number]

    def _signals(self, tier: _Tier, result: Judged, level: float, good: Mask, network: Why | None) -> Iterator[Signal]:
        found = Found(self.view, tier.network, tier.tier, result, good, self.policy)
        ports = network.signal(found, level) if network is not None else None
        if ports is not None:
            yield ports
        elif result.holds(level):
            yield tier_signal(found)
        else:
            yield from group_signals(found)
        if result.planned and result.screened <= level:
            self._note(f"{tier.network}, {tier.tier}: hashes as planned, and that is uneven with these flows")

    def _steady(self, flows: Flows) -> Mask:
        """By group: whether its flows keep to a member; says once which do not."""
        moves = moving(flows, self.view.groups, LEAST_MOVING, self.policy.moving)
        seen = np.bincount(flows.group, minlength=self.view.groups) > 0
        self._unsteady = np.where(moves, self._unsteady + 1, np.where(seen, 0, self._unsteady))
        for group in np.flatnonzero((self._unsteady >= UNSTEADY) & ~self._noted).tolist():
            self._noted[group] = True
            name = self.view.device_names[self.view.group_device[group]]
            ports = [self.view.port_names[port] for port in self.view.members(group)]
            self._note(f"{name} {ports[0]}…{ports[-1]}: flows change members; no hash to judge")
        return ~moves

    def _note(self, line: str) -> None:
        if line not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(line)

    def _load(self, interval: Interval) -> Floats:
        """By port: what it sent over what it can send; NaN where that is not known."""
        return interval.rate("tx_bytes") / self.view.capacity

    def _mean(self, load: Floats, good: Mask) -> Floats:
        """By group: mean of its usable members' loads; NaN where none is known."""
        ports = self.view.group_ports
        group = np.repeat(np.arange(self.view.groups), np.diff(self.view.group_start))
        known = good[ports] & ~np.isnan(load[ports])
        count = np.bincount(group[known], minlength=self.view.groups)
        total = np.bincount(group[known], load[ports][known], self.view.groups)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _classes(self) -> Iterator[_Tier]:
        """Networks × tiers × (up groups, trunks)."""
        view = self.view
        if not view.groups:
            return
        first = view.group_ports[view.group_start[:-1]]
        network = view.network[first].astype(np.int64)
        rows = np.maximum(view.group_device - view.plan.fabric.hosts.height, 0)
        tier = view.plan.fabric.switches["tier"].cast(str).to_numpy()[rows]
        for code, name in enumerate(view.networks):
            design = view.plan.design.networks.get(name)
            if design is None or not (network == code).any():
                continue
            if design.technology == "infiniband":
                self.notes.append(f"{name}: InfiniBand's tables choose by destination; no hash to judge")
                continue
            for level in ("leaf", "spine", "core"):
                for trunk in (False, True):
                    which = (network == code) & (tier == level) & ((view.group_peer != NONE) == trunk)
                    if which.any():
                        yield _Tier(name, level, which)


def _key(signal: Signal) -> str:
    subject: dict[str, Any] = dict(signal.subject)
    return repr(sorted(subject.items()))
