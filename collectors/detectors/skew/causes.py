"""Why a tier or a group is uneven, and the signal that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.policy import HashSkew
from collectors.detectors.skew.contingency import dependence
from collectors.detectors.skew.observe import Entries
from collectors.detectors.skew.pairs import expected, factor, inverse_members
from collectors.detectors.skew.phi import chi2_tail, cov2
from collectors.detectors.skew.planned import fits
from collectors.detectors.skew.pooling import screen
from collectors.detectors.skew.regularity import steps
from collectors.detectors.skew.tiers import Group, Judged, upstream_of
from collectors.detectors.view import Mask, View

CODE = "hash-skew"
NAMED = 8
"""Switches that evidence names, at most."""
SOURCE_PORTS = 0x4000
"""That RoCE drivers draw from (Linux, ``rdma_flow_label_to_udp_sport``)."""
ENOUGH_PAIRS = 16
MEDIAN = 0.5
UNUSED = 0.25
"""Of a group's members: more that carry nothing are not weights, or routes that are missing."""


@dataclass(frozen=True)
class Found:
    """A judged tier."""

    view: View
    network: str
    tier: str
    result: Judged
    good: Mask
    policy: HashSkew

    def numbers(self, groups: Sequence[Group]) -> dict[str, Any]:
        """Evidence that all causes share."""
        verdict = self.result.verdict
        phis = np.array([group.phi for group in groups])
        weights = np.array([group.freedom for group in groups])
        phi = float((phis * weights).sum() / weights.sum())
        found: dict[str, Any] = {
            "level": round(phi, 3), "phi": round(phi, 3), "groups": len(groups), "patterns": self.result.patterns,
            "flows": sum(len(group.flows) for group in groups), "members": max(len(group.ports) for group in groups),
            "max_over_mean": round(max(float(g.loads.max() / g.loads.mean()) for g in groups), 2),
            "switches": sorted({self._name(group) for group in groups})[:NAMED],
        }  # fmt: skip
        if verdict is not None:
            found |= {"p": float(f"{verdict.p:.2g}"), "draws": verdict.draws}
        return found

    def _name(self, group: Group) -> str:
        name: str = self.view.device_names[self.view.group_device[group.number]]
        return name

    def ports(self, groups: Sequence[Group]) -> tuple[int, ...]:
        """All usable members."""
        return tuple(sorted({int(port) for group in groups for port in group.ports}))

    def subject(self, group: Group) -> dict[str, Any]:
        """A group as findings name it, with all of its members."""
        ports = self.view.members(group.number)
        return {"switch": self._name(group), "ports": [self.view.port_names[port] for port in ports]}


@dataclass(frozen=True)
class Why:
    """A cause, what shows it, and what it is about where that is a whole network."""

    cause: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    network: str | None = None

    def signal(self, found: Found, level: float) -> Signal | None:
        """What a network's source ports do to a tier: a warning where the draws say so, else for information.

        None where they do no harm: neither do the draws say so nor are busiest members over the objective in the mean.
        """
        assert self.network is not None
        groups = found.result.groups
        shown = found.result.holds(level) or bool(found.result.single)
        if not shown and np.mean([group.excess for group in groups]) < found.policy.objective:
            return None
        severity = None if shown or self.cause == "low-entropy" else "info"
        evidence = {**found.numbers(groups), **self.evidence}
        return Signal(
            CODE, self.cause, {"network": self.network}, evidence, found.ports(groups), severity=severity
        )  # fmt: skip


def entropy(view: View, entries: Mapping[int, Entries], policy: HashSkew) -> dict[str, Why]:
    """By network: what is wrong with the source ports that hosts choose, if anything."""
    found = {}
    for network, own in entries.items():
        name = view.networks[network]
        regular = steps(own.ports, policy.regular_ports, policy.regular_share)
        if regular.step > 1:
            evidence = {"step": regular.step, "share": round(regular.share, 3), "source_ports": regular.ports}
            found[name] = Why("key-regularity", evidence, name)
        elif own.queue_pairs >= ENOUGH_PAIRS and _few(own, policy):
            evidence = {"source_ports": len(own.ports), "queue_pairs": own.queue_pairs}
            found[name] = Why("low-entropy", evidence, name)
    return found


def _few(own: Entries, policy: HashSkew) -> bool:
    """Far fewer source ports than so many queue pairs would draw."""
    drawn = SOURCE_PORTS * (1 - (1 - 1 / SOURCE_PORTS) ** own.queue_pairs)
    return len(own.ports) * policy.pairs_a_port <= drawn


def why(found: Found, groups: Sequence[Group]) -> Why:
    """The cause of unevenness that the draws have shown in these groups."""
    members = max(len(group.ports) for group in groups)
    g = factor(members, inverse_members([group.counts for group in groups if len(group.ports) == members]))
    up, member = upstream_of(groups)
    ratio, p = dependence(up, member) if len(up) else (float("nan"), 1.0)
    evidence: dict[str, Any] = {"factor": round(g, 2)}
    evidence |= _hashes(found, groups)
    if p > found.policy.dependent or g < found.policy.factor:
        return Why("unexplained", evidence)
    size = int(up.max()) + 1
    evidence |= {
        "dependence": round(ratio, 2), "upstream_members": size,
        "factor_same_seed": expected(size, members, same_seed=True),
        "factor_other_seed": expected(size, members, same_seed=False),
    }  # fmt: skip
    return Why("polarisation", evidence)


def _hashes(found: Found, groups: Sequence[Group]) -> dict[str, Any]:
    """Which planned hash puts the flows where they are."""
    share: dict[str, float] = {}
    for group in sorted(groups, key=lambda group: (-len(group.flows), group.number))[:NAMED]:
        for tier, part in fits(found.view, found.network, group.flows, found.good).items():
            share[tier] = share.get(tier, 0.0) + part / min(len(groups), NAMED)
    return {"hashes_as": {tier: round(part, 2) for tier, part in share.items()}} if share else {}


def tier_signal(found: Found) -> Signal:
    """One signal of a tier where most of its groups show it, else of the group that shows it most."""
    groups = found.result.groups
    worst = max(groups, key=lambda group: (group.phi, -group.number))
    if not _spread(found, [group for group in groups if group is not worst]):
        cause = _of_one(found, worst)
        evidence = {**found.numbers([worst]), **cause.evidence}
        return Signal(CODE, cause.cause, found.subject(worst), evidence, found.ports([worst]))
    cause = why(found, groups)
    subject = {"network": found.network, "tier": found.tier}
    evidence = {**found.numbers(groups), **cause.evidence}
    return Signal(CODE, cause.cause, subject, evidence, found.ports(groups))


def _spread(found: Found, rest: Sequence[Group]) -> bool:
    """Whether the groups are uneven without the worst of them too, and most of them are."""
    if not rest or screen([group.phi for group in rest], [group.freedom for group in rest]) > found.policy.screen:
        return False
    showing = sum(chi2_tail(group.thrown.statistic, group.freedom) < MEDIAN for group in rest)
    return showing >= found.policy.spread * len(rest)


def group_signals(found: Found) -> Iterator[Signal]:
    """Signals of groups that stand out alone."""
    for group in found.result.groups:
        verdict = found.result.single.get(group.number)
        if verdict is None:
            continue
        numbers = found.numbers([group]) | {"p": float(f"{verdict.p:.2g}"), "draws": verdict.draws}
        cause = _of_one(found, group)
        yield Signal(CODE, cause.cause, found.subject(group), {**numbers, **cause.evidence}, found.ports([group]))


def _of_one(found: Found, group: Group) -> Why:
    """Why one group is uneven when its tier is not."""
    used = group.loads > 0
    unused = int((~used).sum())
    if 0 < unused <= UNUSED * len(used) and used.sum() > 1:
        rest = group.thrown.effective * cov2(group.loads[used])
        if chi2_tail(rest, int(used.sum()) - 1) > found.policy.screen:
            return Why("capacity", {"unused": [found.view.port_names[port] for port in group.ports[~used]]})
    regular = steps(group.source_ports, found.policy.regular_ports, found.policy.regular_share)
    if regular.step > 1 and found.tier == "leaf":
        return Why("key-regularity", {"step": regular.step, "share": round(regular.share, 3)})
    return why(found, [group])
