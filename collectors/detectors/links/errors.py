"""Errors that come back: a cumulative sum (CUSUM, Page 1954) of bad codewords an interval, each interval's cut off.

Errors of links come in bursts: a Poisson test takes each burst for a fault. The sum S ← max(0, S + min(x, cap) − k)
alarms at S ≥ h; one burst, however large, adds cap − k < h. docs/link-detectors.md states the average run lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.links.rises import most
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import Floats, Mask, View

RETRAINED = ("link_recoveries", "local_link_integrity_errors")
"""Counters of InfiniBand that rise once for many errors."""


class Errors:
    """The sums, a port (that receives) an element."""

    def __init__(self, view: View, policy: Thresholds) -> None:
        """Nothing seen yet."""
        self.policy = policy
        self.sum = np.zeros(view.ports)
        self.since_ns = np.full(view.ports, NEVER)
        self.bad = np.full(view.ports, np.nan)
        """Bad codewords (or frames) of the latest interval."""

    def step(self, interval: Interval) -> None:
        """Add an interval; where nothing is known the sum stays."""
        self.add(self._bad(interval), interval.start_ns)

    def add(self, bad: Floats, start_ns: int) -> None:
        """Add what arrived broken in an interval, by port; NaN where nothing is known."""
        self.bad = bad
        added = np.minimum(self.bad, self.policy.errors_cap) - self.policy.errors_reference
        most_kept = self.policy.errors_alarm + self.policy.errors_cap
        after = np.clip(self.sum + np.nan_to_num(added), 0.0, most_kept)
        self.since_ns = np.where((self.sum == 0) & (after > 0), start_ns, self.since_ns)
        self.sum = after

    @property
    def alarmed(self) -> Mask:
        """Ports whose sum is over the alarm."""
        return self.sum >= self.policy.errors_alarm

    def _bad(self, interval: Interval) -> Floats:
        """What arrived broken: one broken codeword shows in several counters, so the largest stands for it."""
        found = most(interval.risen("fec_uncorrectable_codewords"), interval.risen("rx_fcs_errors"))
        if np.isnan(found).any():
            others = most(interval.risen("rx_symbol_errors"), interval.risen("rx_errors"))
            found = np.where(np.isnan(found), others, found)
        for column in RETRAINED:
            found = most(found, interval.risen(column) * self.policy.errors_cap)
        return found


def run_length(chances: Sequence[float], policy: Thresholds) -> float:
    """Mean intervals until the alarm, where an interval has i bad codewords with ``chances[i]`` (cap and more: last).

    Exact: the sum moves on a grid of halves, a Markov chain (Brook and Evans 1972). Raises ValueError where the
    policy's numbers are no multiples of a half.
    """
    steps = [2 * (min(i, policy.errors_cap) - policy.errors_reference) for i in range(len(chances))]
    states = round(2 * policy.errors_alarm)
    if any(step != round(step) for step in (*steps, 2 * policy.errors_alarm)):
        raise ValueError("the policy's numbers are no multiples of a half")
    moves = np.zeros((states, states))
    for state in range(states):
        for step, chance in zip(steps, chances, strict=True):
            after = max(state + round(step), 0)
            if after < states:
                moves[state, after] += chance
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0])
