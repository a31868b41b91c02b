"""Links that work with little to spare: codewords that nearly could not be corrected, and light that faded."""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import Floats, Ints, View

BINS = 16
"""``fec_codewords_b0`` to ``_b15``: RS(544, 514) corrects up to 15 bad symbols."""


class Margin:
    """Intervals in a row with little margin, a port (that receives) an element."""

    def __init__(self, view: View, policy: Thresholds) -> None:
        """Nothing seen yet."""
        self.policy = policy
        self.tail, self.dim = np.zeros(view.ports, dtype=np.int64), np.zeros(view.ports, dtype=np.int64)
        self.worst = np.zeros(view.ports, dtype=np.int64)
        """Most bad symbols in a codeword of the latest interval, as far as bins over the policy's show."""
        self.usual = np.full(view.ports, np.nan)
        """Light of the weakest lane as it used to be, dBm."""
        self.light = np.full(view.ports, np.nan)

    @property
    def alarmed(self) -> Ints:
        """How many intervals in a row either was so."""
        return np.maximum(self.tail, self.dim)

    def step(self, interval: Interval) -> None:
        """Take an interval; where nothing is known all stays."""
        self._bins(interval)
        self._optics(interval)

    def _bins(self, interval: Interval) -> None:
        known = np.zeros(len(self.tail), dtype=bool)
        self.worst = np.zeros_like(self.worst)
        for number in range(self.policy.margin_bin, BINS):
            rose = interval.risen(f"fec_codewords_b{number}")
            known |= rose >= 0
            self.worst[np.flatnonzero(rose > 0)] = number
        self.tail = np.where(known, np.where(self.worst > 0, self.tail + 1, 0), self.tail)

    def _optics(self, interval: Interval) -> None:
        self.light = _weakest(interval)
        known = np.isfinite(self.light)
        if not known.any():
            return
        fresh = known & np.isnan(self.usual)
        self.usual = np.where(fresh, self.light, self.usual)
        low = self.light < self.usual - self.policy.margin_light_db
        self.dim = np.where(known, np.where(low, self.dim + 1, 0), self.dim)
        self.usual = np.where(known & ~low, 0.95 * self.usual + 0.05 * self.light, self.usual)


def _weakest(interval: Interval) -> Floats:
    """Light received on each port's weakest lane, dBm."""
    found = np.full(interval.view.ports, np.nan)
    for lane in range(8):
        column = f"rx_power_dbm_l{lane}"
        if column in interval.now:
            found = np.fmin(found, interval.gauge(column))
    return found
