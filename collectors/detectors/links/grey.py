"""Grey loss: packets that one end sent and the other never received, with nothing counted as an error.

Switches bring counters up to date every 1 to 10 s: read at one time, both ends speak of different times, and a share
of what was sent seems lost, or found. As log(sent/received) that lag is the same both ways with opposite signs: the sum
of both directions does not feel it. Where only one direction carries traffic nothing is said of devices that lag (most
of whose ports show it), and the usual size of what comes and goes is a threshold.
"""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.links.rises import most
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import NONE, Floats, Mask, View

LEAST = 3
"""Ports with traffic of a device of which a share says anything."""
LAGGING = 0.25
"""Of a device's ports: one link that loses is less on any switch, counters that are late show on nearly all."""


class Grey:
    """Losses, a port (that receives) an element."""

    def __init__(self, view: View, policy: Thresholds) -> None:
        """Nothing seen yet."""
        self.view, self.policy = view, policy
        self.peered = view.peer != NONE
        self.peer = np.where(self.peered, view.peer, 0)
        self.latest, self.earlier = np.full(view.ports, np.nan), np.full(view.ports, np.nan)
        """Loss, log(sent/received), in the two latest intervals with traffic, freed of lag where that can be."""
        self.lag, self.earlier_lag = np.zeros(view.ports), np.zeros(view.ports)
        """Half of the difference of both directions in those intervals."""
        self.lagging = np.zeros(len(view.device_names))
        """By device, on what share of its ports what is sent and what is received disagreed lately."""
        self.usual = np.zeros(view.ports)
        """Largest loss or gain lately, the two latest left out."""
        self.seen = np.zeros(view.ports, dtype=np.int64)
        self.alarmed: Mask = np.zeros(view.ports, dtype=bool)

    def step(self, interval: Interval) -> None:
        """Take an interval; where nothing is known all stays."""
        loss = self._loss(interval)
        back = np.where(self.peered, loss[self.peer], np.nan)
        alone = np.where(self._lags(loss), np.nan, loss)
        both = np.where(np.isfinite(back), loss + back, alone)
        known = np.isfinite(both)
        self._learn(known)
        self.earlier, self.earlier_lag = (
            np.where(known, old, older) for old, older in ((self.latest, self.earlier), (self.lag, self.earlier_lag))
        )
        self.latest = np.where(known, both, self.latest)
        self.lag = np.where(known, np.nan_to_num(np.abs(loss - back) / 2), self.lag)
        # of the two directions the one that lost more is the one that loses
        mine = ~np.isfinite(back) | (loss >= back)
        begins = known & mine & self._over(loss)
        holds = self.alarmed & (~known | (self.latest >= self.policy.lost_share / 2))
        self.alarmed = begins | holds

    def _lags(self, loss: Floats) -> Mask:
        """Ports of links with a device at either end whose counters, on a good part of its ports, are late lately."""
        known = np.isfinite(loss)
        off = known & (np.abs(loss) > self.policy.lost_share / 2)
        late, of = (np.bincount(self.view.device[one], minlength=len(self.lagging)) for one in (off, known))
        share = np.where(of >= LEAST, late / np.maximum(of, 1), 0.0)
        self.lagging = np.maximum(share, self.lagging * self.policy.lost_fading)
        found = (self.lagging >= LAGGING)[self.view.device]
        late_either: Mask = found | (found[self.peer] & self.peered)
        return late_either

    def _learn(self, known: Mask) -> None:
        """The interval before the latest is history, but of links that lose."""
        old = known & np.isfinite(self.earlier) & ~self.alarmed
        faded = np.maximum(np.abs(self.earlier), self.usual * self.policy.lost_fading)
        self.usual = np.where(old, faded, self.usual)
        self.seen += old

    def _over(self, loss: Floats) -> Mask:
        """Lost more than a share, and more than usual, twice; the first time may have been part of an interval."""
        left, times = self.policy.lost_lag, self.policy.lost_usual
        now = np.maximum(np.maximum(self.policy.lost_share, times * self.usual), left * self.lag)
        before = np.maximum(np.maximum(self.policy.lost_share / 20, times / 2 * self.usual), left * self.earlier_lag)
        enough = (self.seen >= self.policy.lost_history) & (loss < -np.log1p(-self.policy.lost_most))
        found: Mask = enough & (self.latest >= now) & (self.earlier >= before)
        return found

    def _loss(self, interval: Interval) -> Floats:
        """Log of what the peer sent over what arrived, whole or broken; NaN without enough packets."""
        sent, received = self._packets(interval)
        received = received + np.nan_to_num(most(interval.risen("rx_fcs_errors"), interval.risen("rx_errors")))
        enough = (sent >= self.policy.lost_packets) & (received >= 1)
        return np.log(np.where(enough, sent, np.nan) / np.where(enough, received, 1.0))

    def _packets(self, interval: Interval) -> tuple[Floats, Floats]:
        """Packets that the peer sent, and those that arrived: all, or unicast where a device tells no more."""
        sent, received = self._pair(interval, "")
        unknown = np.isnan(sent) | np.isnan(received)
        if unknown.any() and (interval.fresh("rx_unicast_packets") & unknown).any():
            others = self._pair(interval, "unicast_")
            sent, received = np.where(unknown, others[0], sent), np.where(unknown, others[1], received)
        return sent, received

    def _pair(self, interval: Interval, kind: str) -> tuple[Floats, Floats]:
        sent = interval.delta(f"tx_{kind}packets")[self.peer]
        return np.where(self.peered, sent, np.nan), interval.delta(f"rx_{kind}packets")
