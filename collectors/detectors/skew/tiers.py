"""The groups of a tier, measured and judged together, then one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from collectors.detectors.policy import HashSkew
from collectors.detectors.skew.montecarlo import Thrown, Verdict, judge, sampled
from collectors.detectors.skew.observe import Flows
from collectors.detectors.skew.pairs import inverse_members
from collectors.detectors.skew.phi import chi2_tail
from collectors.detectors.skew.pooling import discoveries, merged, patterns, placings, screen
from collectors.detectors.view import NONE, Floats, Ints, Mask, View

AS_PLANNED = 0.95
"""Of the flows, where the tier's planned hash puts them: then the switches do as they were told."""
MOST_DRAWS = 20
"""Times the draws of a verdict, at most, where one of many groups is to be told."""


@dataclass(frozen=True)
class Group:
    """One group in one interval: its usable members, its flows on them, and what carried what."""

    number: int
    ports: Ints
    flows: Flows

    @cached_property
    def member(self) -> Ints:
        """Place of each flow's member among the usable ones."""
        return np.searchsorted(self.ports, self.flows.port)

    @cached_property
    def loads(self) -> Ints:
        """Samples on each member."""
        found: Ints = np.bincount(self.member, self.flows.samples, len(self.ports)).astype(np.int64)
        return found

    @cached_property
    def counts(self) -> Ints:
        """Flows on each member."""
        return np.bincount(self.member, minlength=len(self.ports))

    @cached_property
    def thrown(self) -> Thrown:
        """Its flows, the heaviest first: the same draws whatever order they came in."""
        return sampled(np.sort(self.flows.samples)[::-1], self.loads)

    @property
    def source_ports(self) -> Ints:
        """That of each flow."""
        return self.flows.source_port

    @property
    def phi(self) -> float:
        """How uneven it is; 1 in the mean."""
        return self.thrown.phi

    @property
    def freedom(self) -> int:
        """Degrees of freedom."""
        return len(self.ports) - 1

    @property
    def excess(self) -> float:
        """The busiest member over the mean, or over the heaviest flow where that is more: no hash does better."""
        return float(self.loads.max() / max(self.loads.mean(), self.flows.samples.max()))

    @property
    def factor(self) -> float:
        """m/m_hat of its own flows."""
        return len(self.ports) * inverse_members([self.counts])


def groups_of(view: View, flows: Flows, usable: Mask, which: Mask, least: int) -> list[Group]:
    """Those of some groups that have so many flows, on two usable members at least. Flows on others are left out."""
    flows = flows.take(which[flows.group] & usable[flows.port])
    numbers, start = np.unique(flows.group, return_index=True)
    found = []
    for number, first, last in zip(numbers.tolist(), start, np.append(start, len(flows))[1:], strict=True):
        ports = view.members(number)
        ports = np.sort(ports[usable[ports]])
        if last - first >= least and len(ports) > 1:
            found.append(Group(number, ports, flows.take(np.arange(first, last))))
    return found


@dataclass(frozen=True)
class Judged:
    """What came of a tier. ``p`` of all groups together, 1 where nothing was drawn; ``single``: groups told alone.

    ``planned``: its flows are where its planned hash puts them, so that nothing of it is drawn.
    """

    groups: list[Group]
    patterns: int
    screened: float
    verdict: Verdict | None
    single: dict[int, Verdict]
    planned: bool = False

    def holds(self, level: float) -> bool:
        """Whether the tier's groups together are uneven."""
        return self.verdict is not None and self.verdict.p <= level


def judged(groups: list[Group], planned: Floats, policy: HashSkew, level: float) -> Judged:
    """The screen, then the draws where it lets something through; groups alone only where all together say nothing.

    ``planned``: by group, the part of its flows that are where they were planned to be; such groups do as told.
    """
    pattern = merged(patterns([group.source_ports for group in groups]), _placings(groups))
    alone = [_pattern(groups, pattern, number) for number in np.unique(pattern).tolist()]
    screened = screen([phi for _, phi in alone], [group.freedom for group, _ in alone])
    flows = [len(group.flows) for group in groups]
    told = bool(np.average(planned, weights=flows) >= AS_PLANNED)
    verdict = _together(alone, policy, level) if screened <= policy.screen and not told else None
    found = Judged(groups, len(alone), screened, verdict, {}, told)
    if found.holds(level):
        return found
    others = [group for group, part in zip(groups, planned.tolist(), strict=True) if part < AS_PLANNED]
    return replace(found, single=_alone(others, policy, level))


def _placings(groups: Sequence[Group]) -> Ints:
    """Groups in which the same senders take the same members."""
    number = np.repeat(np.arange(len(groups)), [len(group.flows) for group in groups])
    sender = np.concatenate([group.flows.sender for group in groups])
    place = np.concatenate([group.member for group in groups])
    return placings(number, sender, place, np.array([len(group.ports) for group in groups]))


def _pattern(groups: Sequence[Group], pattern: Ints, number: int) -> tuple[Group, float]:
    """The group with the most flows of a pattern, and the pattern's mean Phi."""
    mine = [group for group, own in zip(groups, pattern.tolist(), strict=True) if own == number]
    return max(mine, key=lambda group: (len(group.flows), -group.number)), float(np.mean([g.phi for g in mine]))


def _together(alone: Sequence[tuple[Group, float]], policy: HashSkew, level: float) -> Verdict:
    """Draws of the groups with the most flows: that choice does not look at where they went."""
    chosen: list[tuple[Group, float]] = []
    thrown = 0
    for group, phi in sorted(alone, key=lambda item: (-len(item[0].flows), item[0].number)):
        thrown += len(group.flows)
        if chosen and thrown > policy.most_thrown:
            break
        chosen.append((group, phi))
    statistic = sum(group.freedom * phi for group, phi in chosen)
    return judge([group.thrown for group, _ in chosen], policy.draws, statistic, level)


def _alone(groups: Sequence[Group], policy: HashSkew, level: float) -> dict[int, Verdict]:
    """Groups whose unevenness is a discovery among all of them; what the screen stops is not drawn."""
    draws = int(min(max(policy.draws, 3 * len(groups) / level), MOST_DRAWS * policy.draws))
    p, verdicts = [], {}
    for group in groups:
        p.append(chi2_tail(group.thrown.statistic, group.freedom))
        if p[-1] <= policy.screen:
            verdicts[group.number] = judge([group.thrown], draws, level=level / len(groups))
            p[-1] = verdicts[group.number].p
    told = discoveries(p, level)
    return {
        group.number: verdicts[group.number]
        for group, holds in zip(groups, told.tolist(), strict=True)
        if holds and group.number in verdicts
    }


def upstream_of(groups: Sequence[Group]) -> tuple[Ints, Ints]:
    """Place below and place here of every flow whose place below is known, in an order of their own."""
    up = np.concatenate([group.flows.upstream for group in groups])
    member = np.concatenate([group.member for group in groups])
    order = np.lexsort((member, up))
    known = up[order] != NONE
    return up[order][known], member[order][known]
