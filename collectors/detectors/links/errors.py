"""Errors that come back: a cumulative sum (CUSUM, Page 1954) of bad codewords an interval, each interval's cut off.

Errors of links come in bursts: a Poisson test takes each burst for a fault. The sum S ← max(0, S + min(x, cap) − k)
alarms at S ≥ h; one burst, however large, adds cap − k < h. docs/link-detectors.md states the average run lengths.
"""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.links.rises import most, risen
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
        self.bad = self._bad(interval)
        added = np.minimum(self.bad, self.policy.errors_cap) - self.policy.errors_reference
        most_kept = self.policy.errors_alarm + self.policy.errors_cap
        after = np.clip(self.sum + np.nan_to_num(added), 0.0, most_kept)
        self.since_ns = np.where((self.sum == 0) & (after > 0), interval.start_ns, self.since_ns)
        self.sum = after

    @property
    def alarmed(self) -> Mask:
        """Ports whose sum is over the alarm."""
        return self.sum >= self.policy.errors_alarm

    def _bad(self, interval: Interval) -> Floats:
        """What arrived broken: one broken codeword shows in several counters, so the largest stands for it."""
        found = most(risen(interval, "fec_uncorrectable_codewords"), risen(interval, "rx_fcs_errors"))
        if np.isnan(found).any():
            others = most(risen(interval, "rx_symbol_errors"), risen(interval, "rx_errors"))
            found = np.where(np.isnan(found), others, found)
        for column in RETRAINED:
            found = most(found, risen(interval, column) * self.policy.errors_cap)
        return found
