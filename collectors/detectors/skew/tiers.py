"""The groups of a tier, measured and judged together, then one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from collectors.detectors.policy import HashSkew
from collectors.detectors.skew.groups import Groups
from collectors.detectors.skew.montecarlo import Verdict, judge
from collectors.detectors.skew.phi import chi2_tails
from collectors.detectors.skew.pooling import discoveries, merged, patterns, placings, screen
from collectors.detectors.view import NONE, Floats, Ints

AS_PLANNED = 0.95
"""Of the flows, where the tier's planned hash puts them: then the switches do as they were told."""
MOST_DRAWS = 20
"""Times the draws of a verdict, at most, where one of many groups is to be told."""
MOST_BESIDE = 4
"""Groups beside counters that are judged alone, of a tier at once."""
MOST_THROWS = 1_000_000_000


@dataclass(frozen=True)
class Judged:
    """What came of a tier. ``p`` of all groups together, 1 where nothing was drawn; ``single``: groups told alone.

    ``planned``: its flows are where its planned hash puts them, so that nothing of it is drawn.
    """

    groups: Groups
    patterns: int
    screened: float
    verdict: Verdict | None
    single: dict[int, Verdict]
    """By row of ``groups``."""
    planned: bool = False

    def holds(self, level: float) -> bool:
        """Whether the tier's groups together are uneven."""
        return self.verdict is not None and self.verdict.p <= level


def judged(groups: Groups, planned: Callable[[], Floats], policy: HashSkew, level: float) -> Judged:
    """The screen, then the draws where it lets something through; groups alone only where all together say nothing.

    ``planned``: by group, the part of its flows that are where they were planned to be; such groups do as told.
    """
    rows, phis = _patterns(groups, policy.most_thrown)
    screened = screen(phis, groups.freedom[rows])
    p = chi2_tails(groups.phi * groups.freedom, groups.freedom)
    if screened > policy.screen and not (p <= policy.screen).any():
        return Judged(groups, len(rows), screened, None, {})
    share = planned()
    told = bool(np.average(share, weights=groups.sizes) >= AS_PLANNED)
    verdict = _together(groups, rows, phis, policy, level) if screened <= policy.screen and not told else None
    found = Judged(groups, len(rows), screened, verdict, {}, told)
    if found.holds(level):
        return found
    others = np.flatnonzero(share < AS_PLANNED)
    return replace(found, single=_alone(groups, others, p[others], policy, level))


def _patterns(groups: Groups, most: int) -> tuple[Ints, Floats]:
    """The group with the most flows of each pattern, the first of several, and the pattern's mean Phi.

    Beside counters nobody sees which groups' senders take the same members: all of them are one observation. The one
    that scatters most under a good hash stands for them, by its members and then its flows.
    """
    if groups.beside:
        many = np.maximum(groups.sizes - most, 0)
        order = np.lexsort((groups.number, groups.effective, many, groups.freedom))
        return order[:1], np.array([groups.phi.mean()])
    same = placings(groups.row, groups.flows.sender, groups.member, groups.members)
    pattern = merged(patterns(groups.flows.source_port, groups.start), same)
    numbers, own = np.unique(pattern, return_inverse=True)
    order = np.lexsort((groups.number, -groups.sizes, own))
    first = np.searchsorted(own[order], np.arange(len(numbers)))
    return order[first], np.bincount(own, groups.phi) / np.bincount(own)


def _together(groups: Groups, rows: Ints, phis: Floats, policy: HashSkew, level: float) -> Verdict:
    """Draws of the groups with the most flows: that choice does not look at where they went."""
    order = np.lexsort((groups.number[rows], -groups.sizes[rows]))
    thrown = np.cumsum(groups.sizes[rows][order])
    chosen = order[: max(int((thrown <= policy.most_thrown).sum()), 1)]
    statistic = float((groups.freedom[rows] * phis)[chosen].sum())
    own = [groups.one(row, level).thrown for row in rows[chosen].tolist()]
    return judge(own, _draws(groups, rows[chosen], policy.draws), statistic, level)


def _draws(groups: Groups, rows: Ints, draws: int) -> int:
    """Fewer draws of groups beside counters with very many flows: nothing else bounds how long that takes."""
    return min(draws, MOST_THROWS // int(groups.sizes[rows].sum())) if groups.beside else draws


def _alone(groups: Groups, rows: Ints, p: Floats, policy: HashSkew, level: float) -> dict[int, Verdict]:
    """Rows whose unevenness is a discovery among all of them; what the screen stops is not drawn.

    ``p``: of χ², by row.
    """
    draws = int(min(max(policy.draws, 3 * len(rows) / level), MOST_DRAWS * policy.draws))
    asked = np.flatnonzero(p <= policy.screen).tolist()
    if groups.beside:
        # sets of weights are costly to throw: those that are most uneven, the others are not told
        draws, asked = policy.draws, sorted(asked, key=lambda place: (p[place], place))[:MOST_BESIDE]
    p, verdicts, most = p.copy(), {}, level * len(asked) / max(len(rows), 1)
    for place in asked:
        own = [groups.one(int(rows[place]), level / len(rows)).thrown]
        verdicts[place] = judge(own, _draws(groups, rows[[place]], draws), level=level / len(rows), hopeless=most)
        p[place] = verdicts[place].p
    if groups.beside:
        p[np.setdiff1d(np.arange(len(p)), asked)] = 1.0
    told = discoveries(p, level)
    return {int(rows[place]): verdict for place, verdict in verdicts.items() if told[place]}


def upstream_of(groups: Groups, rows: Ints) -> tuple[Ints, Ints]:
    """Place below and place here of every flow whose place below is known, in an order of their own."""
    which = groups.rows_of(rows, groups.start)
    up, member = groups.flows.upstream[which], groups.member[which]
    up, member = up[up != NONE], member[up != NONE]
    order = np.lexsort((member, up))
    return up[order], member[order]
