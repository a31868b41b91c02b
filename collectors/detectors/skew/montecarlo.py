"""The verdict: how often a good hash would be at least as uneven with just these flows, by drawing.

A good hash throws each flow to a member independently of how much it carries; so given the weights the distribution is
known, whatever they are. p = (1 + draws at least as uneven)/(1 + draws) is at most any level with at most that chance
(Davison and Hinkley 1997, 4.2). Drawing stops early where p can no longer be small (Besag and Clifford 1991).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from collectors.detectors.skew.moments import fourth, variance
from collectors.detectors.skew.phi import Floats, Ints, beside_counters, cov2, same_samples

STOP = 20
"""Draws at least as uneven after which drawing ends: p is known to about a fifth."""
FIRST = 1_000
ROUNDING = 1e-9
SURE = 4.0
"""Draws over 1/level, none as uneven, after which p is taken to be below the level."""
BLURS = 64
"""Sets of weights that could have given the samples, beside counters."""
UNLUCKY = 0.1
"""Part of the level that samples are allowed to be unluckier with than the weights made of them (Berger, Boos 1994)."""


@dataclass(frozen=True)
class Thrown:
    """One group: ``rows`` holds sets of weights of its flows (sets × n, each sums to 1), ``loads`` those of members.

    ``effective``: flows; it weights the group among those that are judged together.
    """

    rows: Floats
    loads: Floats
    effective: float

    @property
    def members(self) -> int:
        """Members of the group."""
        return len(self.loads)

    @property
    def statistic(self) -> float:
        """n_eff·CoV², about m − 1 under a good hash."""
        return self.effective * cov2(self.loads)

    @property
    def phi(self) -> float:
        """The same over its degrees of freedom."""
        return self.statistic / (self.members - 1)


def sampled(weights: npt.ArrayLike, loads: npt.ArrayLike) -> Thrown:
    """A group whose loads and weights are of the same samples, or both exact."""
    c = np.asarray(weights, dtype=np.float64)
    return Thrown((c / c.sum())[None, :], np.asarray(loads, dtype=np.float64), same_samples(c))


def counted(samples: npt.ArrayLike, loads: npt.ArrayLike, level: float = 1e-4, seed: int = 0) -> Thrown:
    """A group whose loads are counters, with c samples of each flow beside them; p is to be held to ``level``.

    What a flow really carried is known from its samples only; draws take turns with weights that could have given them
    (Dirichlet(c), the Bayesian bootstrap), so that luck in sampling is no evidence. Luck with the heaviest flows is the
    same in all draws, so these weights are first tilted to as much Σw² as the samples allow.
    """
    c = np.asarray(samples, dtype=np.float64)
    shape = c.sum() * _feared(c, NormalDist().inv_cdf(1 - UNLUCKY * level))
    drawn = np.random.default_rng(seed).standard_gamma(np.broadcast_to(shape, (BLURS, len(c))))
    rows = drawn / drawn.sum(axis=1, keepdims=True)
    return Thrown(rows, np.asarray(loads, dtype=np.float64), beside_counters(c))


def _feared(samples: Floats, errors: float) -> Floats:
    """Weights with Σw² so many standard errors over what c samples of each flow say; they sum to 1.

    The weights nearest to c/C for that are c/C·exp(t·c/C) (exponential tilting, Efron 1981). Σw² of Dirichlet(c) is
    2(1 − Σw²)/C too large in the mean already: only what is missing is tilted, and flat weights not at all. No exponent
    exceeds ``errors``, as w(w − Σw²)² is at most the variance.
    """
    total = samples.sum()
    w = samples / total
    squares = float((w**2).sum())
    spread = float((w * (w - squares) ** 2).sum()) * total
    tilt = errors / math.sqrt(spread) - (1 - squares) / spread if spread > 0 else 0.0
    tilted = w * np.exp(max(tilt, 0.0) * (w - squares))
    return np.asarray(tilted / tilted.sum())


def enough(samples: npt.ArrayLike, members: int) -> bool:
    """Whether a group beside counters can be judged: half as many sampled flows as members.

    With fewer, hardly any two flows meet, and CoV² says how unequal the flows are, which nobody knows exactly.
    """
    return 2 * np.asarray(samples).size >= members


@dataclass(frozen=True)
class Verdict:
    """``p`` and what it was counted from; ``draws`` is less than asked for where p is known well enough.

    Without draws ``p`` is a bound from above.
    """

    p: float
    draws: int
    above: int


def bound(groups: Sequence[Thrown], statistic: float) -> float:
    """What P(Σ n_eff·CoV² ≥ statistic) is at most, by Markov's inequality for the fourth moment; 1 where unknown.

    It needs no draws and is no approximation: 13 standard deviations are certainly below 1e-4. Where draws take turns
    with sets of weights, which they do evenly, it is the mean of the sets' bounds; that is known for one group alone.
    """
    if len(groups) == 1 and len(groups[0].rows) > 1:
        sets = [replace(groups[0], rows=row[None, :]) for row in groups[0].rows]
        return float(np.mean([bound([one], statistic) for one in sets]))
    if any(len(group.rows) != 1 for group in groups):
        return 1.0
    over = statistic - sum(group.effective * (group.members - 1) * float((group.rows**2).sum()) for group in groups)
    scale = np.array([2.0 * group.effective for group in groups])
    squares = scale**2 * [variance(group.rows[0], group.members) for group in groups]
    fourths = scale**4 * [fourth(group.rows[0], group.members) for group in groups]
    moment = float(fourths.sum() + 3 * (squares.sum() ** 2 - (squares**2).sum()))
    return min(moment / over**4, 1.0) if over > 0 else 1.0


def judge(
    groups: Sequence[Thrown], draws: int, statistic: float | None = None, level: float | None = None, seed: int = 1,
    hopeless: float = 1.0,
) -> Verdict:  # fmt: skip
    """P(Σ n_eff·CoV² at least as large) over groups of independent flows.

    ``statistic``: what to compare with, where a group stands for others of its pattern (default: the groups' own).
    ``level``: p is only to be told from it. Nothing is drawn where ``bound`` is below, and drawing ends when none of
    ``SURE``/level draws is as uneven: with a p above the level that happens in exp(−4)/4 of the level's cases at most,
    less than a hundredth of what the level allows (after Gandy 2009). ``hopeless``: a p above it is not asked for; one
    that is below is taken for such in 4 of a million cases (four draws or more where a tenth was to be expected).
    """
    least = float(sum(group.statistic for group in groups)) if statistic is None else statistic
    if level is not None and (most := bound(groups, least)) <= level:
        return Verdict(most, 0, 0)
    rows = max(len(group.rows) for group in groups)
    flat = np.concatenate([np.resize(group.rows, (rows, group.rows.shape[1])) for group in groups], axis=1)
    start = np.cumsum([0, *(group.rows.shape[1] for group in groups)]).astype(np.int64)
    members = np.array([group.members for group in groups], dtype=np.int64)
    effective = np.array([group.effective for group in groups])
    sure = math.ceil(SURE / level) if level is not None else draws
    above, drawn = _above(
        np.ascontiguousarray(flat), start, members, effective, least, draws, STOP, sure, hopeless, np.uint64(seed)
    )
    return Verdict((1 + above) / (1 + drawn), drawn, above)


def throws(rows: Floats, members: int, effective: float, draws: int, seed: int) -> Floats:
    """n_eff·CoV² of so many draws of one group, in the order drawn."""
    return np.asarray(_throws(np.ascontiguousarray(rows), members, effective, draws, np.uint64(seed)))


@njit(cache=True, nogil=True, inline="always")
def _next(state: Any) -> Any:
    """SplitMix64 (Steele, Lea, Flood 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _thrown(rows: Floats, row: int, first: int, last: int, members: int, x: Floats, state: Any) -> Any:
    """Σx² of one draw of the flows ``first`` to ``last``; a random word serves three flows, 21 bits each."""
    x[:members] = 0.0
    m, low, by = np.uint64(members), np.uint64(0x1FFFFF), np.uint64(21)
    i = first
    while i + 2 < last:
        state, word = _next(state)
        x[((word & low) * m) >> by] += rows[row, i]
        x[(((word >> by) & low) * m) >> by] += rows[row, i + 1]
        x[(((word >> np.uint64(42)) & low) * m) >> by] += rows[row, i + 2]
        i += 3
    state, word = _next(state)
    while i < last:
        x[((word & low) * m) >> by] += rows[row, i]
        word = word >> by
        i += 1
    total = 0.0
    for j in range(members):
        total += x[j] * x[j]
    return total, state


@njit(cache=True, nogil=True)
def _above(
    rows: Floats,
    start: Ints,
    members: Ints,
    effective: Floats,
    least: float,
    draws: int,
    stop: int,
    sure: int,
    hopeless: float,
    state: Any,
) -> Any:
    """How many draws reach ``least``, and how many there were: ``sure`` where none of so many does."""
    by = 40.0 * hopeless
    x = np.zeros(members.max())
    limit = least * (1 - ROUNDING)
    above = 0
    for draw in range(draws):
        total = 0.0
        for k in range(len(members)):
            squares, state = _thrown(rows, draw % len(rows), start[k], start[k + 1], members[k], x, state)
            total += effective[k] * (members[k] * squares - 1.0)
        above += total >= limit
        none = above >= 4 and above >= by * (draw + 1)
        if none or (above >= stop and draw >= FIRST) or (above == 0 and draw + 1 == sure):
            return above, draw + 1
    return above, draws


@njit(cache=True, nogil=True)
def _throws(rows: Floats, members: int, effective: float, draws: int, state: Any) -> Any:
    x, found = np.zeros(members), np.empty(draws)
    for draw in range(draws):
        squares, state = _thrown(rows, draw % len(rows), 0, rows.shape[1], members, x, state)
        found[draw] = effective * (members * squares - 1.0)
    return found
