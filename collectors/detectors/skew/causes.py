"""Why a tier or a group is uneven, and the signal that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.policy import HashSkew
from collectors.detectors.skew.contingency import dependence
from collectors.detectors.skew.groups import Group, Groups
from collectors.detectors.skew.observe import Entries
from collectors.detectors.skew.pairs import expected, factor, met_of_loads
from collectors.detectors.skew.phi import chi2_tail, chi2_tails, cov2
from collectors.detectors.skew.planned import EXPLAINED, explained, fits
from collectors.detectors.skew.pooling import screen
from collectors.detectors.skew.regularity import steps
from collectors.detectors.skew.tiers import Judged, upstream_of
from collectors.detectors.view import Ints, Mask, View

CODE = "hash-skew"
NAMED = 8
"""Switches that evidence names, at most."""
SOURCE_PORTS = 0x4000
"""That RoCE drivers draw from (Linux, ``rdma_flow_label_to_udp_sport``)."""
BESIDE = "byte counters beside flows that other switches sampled"
IDLE = 0.01
"""Of the mean: a counter always counts a little."""
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

    @property
    def groups(self) -> Groups:
        """Its groups; methods take rows of them."""
        return self.result.groups

    @property
    def all(self) -> Ints:
        """All rows."""
        return np.arange(len(self.groups))

    def numbers(self, rows: Ints) -> dict[str, Any]:
        """Evidence that all causes share."""
        verdict, groups = self.result.verdict, self.groups
        weights = groups.freedom[rows]
        phi = float((groups.phi[rows] * weights).sum() / weights.sum())
        found: dict[str, Any] = {
            "level": round(phi, 3), "phi": round(phi, 3), "groups": len(rows), "patterns": self.result.patterns,
            "flows": int(groups.sizes[rows].sum()), "members": int(groups.members[rows].max()),
            "max_over_mean": round(float((groups.busiest / groups.mean)[rows].max()), 2),
            "switches": sorted({self._name(number) for number in groups.number[rows].tolist()})[:NAMED],
        }  # fmt: skip
        if verdict is not None:
            found |= {"p": float(f"{verdict.p:.2g}"), "draws": verdict.draws}
        return found | ({"judged_by": BESIDE} if groups.beside else {})

    def _name(self, group: int) -> str:
        name: str = self.view.device_names[self.view.group_device[group]]
        return name

    def ports(self, rows: Ints) -> tuple[int, ...]:
        """All usable members."""
        return tuple(np.unique(self.groups.ports[self.groups.rows_of(rows, self.groups.port_start)]).tolist())

    def subject(self, group: Group) -> dict[str, Any]:
        """A group as findings name it, with all of its members."""
        ports = self.view.members(group.number)
        return {"switch": self._name(group.number), "ports": [self.view.port_names[port] for port in ports]}


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
        shown = found.result.holds(level) or bool(found.result.single)
        if not shown and found.groups.excess.mean() < found.policy.objective:
            return None
        severity = None if shown or self.cause == "low-entropy" else "info"
        evidence = {**found.numbers(found.all), **self.evidence}
        return Signal(
            CODE, self.cause, {"network": self.network}, evidence, found.ports(found.all), severity=severity
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


def why(found: Found, rows: Ints) -> Why:
    """The cause of unevenness that the draws have shown in these groups."""
    if found.groups.beside:
        return _why_beside(found, rows)
    sizes = found.groups.members[rows]
    members = int(sizes.max())
    g = factor(members, found.groups.inverse_members(rows[sizes == members]))
    up, member = upstream_of(found.groups, rows)
    ratio, p = dependence(up, member) if len(up) else (float("nan"), 1.0)
    evidence: dict[str, Any] = {"factor": round(g, 2)}
    evidence |= _hashes(found, rows)
    if p > found.policy.dependent or g < found.policy.factor:
        return Why("unexplained", evidence)
    size = int(up.max()) + 1
    evidence |= {
        "dependence": round(ratio, 2), "upstream_members": size,
        "factor_same_seed": expected(size, members, same_seed=True),
        "factor_other_seed": expected(size, members, same_seed=False),
    }  # fmt: skip
    return Why("polarisation", evidence)


def _why_beside(found: Found, rows: Ints) -> Why:
    """The cause where members of flows are not known: the hash that explains what counters say."""
    groups = found.groups
    largest = groups.take(np.sort(rows[np.argsort(-groups.sizes[rows], kind="stable")][:NAMED]))
    g = float(np.mean([met_of_loads(group.loads, group.flows.samples) * len(group.ports) for group in largest]))
    share = {tier: float(part.mean()) for tier, part in explained(found.view, found.network, largest).items()}
    evidence = {"factor": round(g, 2), "explained_by": {tier: round(part, 2) for tier, part in share.items()}}
    others = [part for tier, part in share.items() if tier != found.tier]
    polarised = g >= found.policy.factor and max(others, default=0.0) >= EXPLAINED
    return Why("polarisation" if polarised else "unexplained", evidence)


def _hashes(found: Found, rows: Ints) -> dict[str, Any]:
    """Which planned hash puts the flows where they are."""
    share: dict[str, float] = {}
    for row in rows[np.argsort(-found.groups.sizes[rows], kind="stable")][:NAMED].tolist():
        for tier, part in fits(found.view, found.network, found.groups.one(row).flows, found.good).items():
            share[tier] = share.get(tier, 0.0) + part / min(len(rows), NAMED)
    return {"hashes_as": {tier: round(part, 2) for tier, part in share.items()}} if share else {}


def tier_signal(found: Found) -> Signal:
    """One signal of a tier where most of its groups show it, else of the group that shows it most."""
    worst = int(np.argmax(found.groups.phi))
    if not _spread(found, np.delete(found.all, worst)):
        group, alone = found.groups.one(worst), np.array([worst])
        cause = _of_one(found, worst)
        evidence = {**found.numbers(alone), **cause.evidence}
        return Signal(CODE, cause.cause, found.subject(group), evidence, found.ports(alone))
    cause = why(found, found.all)
    subject = {"network": found.network, "tier": found.tier}
    evidence = {**found.numbers(found.all), **cause.evidence}
    return Signal(CODE, cause.cause, subject, evidence, found.ports(found.all))


def _spread(found: Found, rest: Ints) -> bool:
    """Whether the groups are uneven without the worst of them too, and most of them are."""
    phi, freedom = found.groups.phi[rest], found.groups.freedom[rest]
    if not len(rest) or screen(phi, freedom) > found.policy.screen:
        return False
    showing = int((chi2_tails(phi * freedom, freedom) < MEDIAN).sum())
    return showing >= found.policy.spread * len(rest)


def group_signals(found: Found) -> Iterator[Signal]:
    """Signals of groups that stand out alone."""
    for row, verdict in found.result.single.items():
        alone = np.array([row])
        numbers = found.numbers(alone) | {"p": float(f"{verdict.p:.2g}"), "draws": verdict.draws}
        cause, subject = _of_one(found, row), found.subject(found.groups.one(row))
        yield Signal(CODE, cause.cause, subject, {**numbers, **cause.evidence}, found.ports(alone))


def _of_one(found: Found, row: int) -> Why:
    """Why one group is uneven when its tier is not."""
    group = found.groups.one(row)
    used = group.loads > (IDLE * group.loads.mean() if found.groups.beside else 0)
    unused = int((~used).sum())
    if 0 < unused <= UNUSED * len(used) and used.sum() > 1:
        rest = group.thrown.effective * cov2(group.loads[used])
        if chi2_tail(rest, int(used.sum()) - 1) > found.policy.screen:
            return Why("capacity", {"unused": [found.view.port_names[port] for port in group.ports[~used]]})
    regular = steps(group.flows.source_port, found.policy.regular_ports, found.policy.regular_share)
    if regular.step > 1 and found.tier == "leaf":
        return Why("key-regularity", {"step": regular.step, "share": round(regular.share, 3)})
    return why(found, np.array([row]))
