"""What both ends of each channel counted, side by side: interval after interval, over the same spans of time.

A poll that is missing at one end leaves the other's counters to go on alone: both are added up until both are told
again, and what they rose by is laid evenly over the intervals between. Where a counter began anew nothing is known of
the span, nor of how it hangs together with the time before.
"""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.links.rises import most
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import NONE, Floats, Ints, Mask, View


class Sums:
    """Packets an interval of each channel, named by the port that receives; NaN where nothing is known."""

    def __init__(self, view: View, policy: Thresholds) -> None:
        """Nothing seen yet."""
        self.policy, self.kept = policy, policy.lost_window + 1
        self.peered = view.peer != NONE
        self.peer = np.where(self.peered, view.peer, 0)
        self.sent = np.full((self.kept, view.ports), np.nan)
        self.received = np.full((self.kept, view.ports), np.nan)
        self.turn = 0
        """Row of the latest interval in both."""
        self.joint: Mask = np.zeros(view.ports, dtype=bool)
        """Channels of which the latest interval ends a span."""
        self._waiting = np.zeros((3, view.ports))
        """Sent, received whole, received broken since both ends were told last."""
        self._spans = np.zeros(view.ports, dtype=np.int64)
        self._broken: Mask = np.zeros(view.ports, dtype=bool)
        self._whole: Mask = np.zeros(view.ports, dtype=bool)
        """Channels both of whose ends count all packets; of the others unicast ones are compared."""

    def step(self, interval: Interval) -> None:
        """Take an interval."""
        told = self._add(interval)
        sent, received, broken = self._waiting
        lost = sent - received
        received = received + np.clip(lost, 0.0, broken)
        different = sent - received > self.policy.lost_most * sent
        good = told & ~self._broken & ~different
        self.turn = (self.turn + 1) % self.kept
        spans = np.maximum(self._spans, 1)
        self.sent[self.turn] = np.where(good, sent / spans, np.nan)
        self.received[self.turn] = np.where(good, received / spans, np.nan)
        self._fill(np.flatnonzero(good & (spans > 1)))
        cut = np.flatnonzero(told & ~good)
        self.sent[:, cut] = self.received[:, cut] = np.nan
        self.joint = good
        self._waiting[:, told] = 0.0
        self._spans[told] = 0
        self._broken &= ~told

    def window(self, channels: Ints, length: int) -> tuple[Floats, Floats]:
        """Sent and received of some channels in the latest intervals, the latest first, a row each."""
        rows = (self.turn - np.arange(length)) % self.kept
        return self.sent[np.ix_(rows, channels)], self.received[np.ix_(rows, channels)]

    def _fill(self, channels: Ints) -> None:
        """Spans of more than one interval, laid over the intervals before the latest."""
        for back in range(1, min(int(self._spans[channels].max(initial=0)), self.kept)):
            longer = channels[self._spans[channels] > back]
            row = (self.turn - back) % self.kept
            for kept in (self.sent, self.received):
                kept[row, longer] = kept[self.turn, longer]

    def _add(self, interval: Interval) -> Mask:
        """Add what is told; gives the channels both of whose ends were told."""
        sent, received, told, refused = self._pair(interval, "")
        begins = told & ~self._whole
        self._whole |= told
        if not self._whole[self.peered].all() and interval.fresh("rx_unicast_packets").any():
            both = zip((sent, received, told, refused), self._pair(interval, "unicast_"), strict=True)
            sent, received, told, refused = (np.where(self._whole, *two) for two in both)
        self._broken |= begins | refused
        self._waiting[0] += np.nan_to_num(sent)
        self._waiting[1] += np.nan_to_num(received)
        self._waiting[2] += _explained(interval)
        self._spans += 1
        return told

    def _pair(self, interval: Interval, kind: str) -> tuple[Floats, Floats, Mask, Mask]:
        """Sent, received, whether both are told, and whether the rise of either cannot be said."""
        tx, rx = f"tx_{kind}packets", f"rx_{kind}packets"
        sent, received = interval.delta(tx)[self.peer], interval.delta(rx)
        fresh = interval.fresh(tx)[self.peer] & self.peered, interval.fresh(rx) & self.peered
        refused = (fresh[0] & np.isnan(sent)) | (fresh[1] & np.isnan(received))
        return sent, received, fresh[0] & fresh[1], refused


def _explained(interval: Interval) -> Floats:
    """Packets that arrived broken, or were thrown away after they had arrived: other causes and codes tell of them."""
    broken = most(interval.risen("rx_fcs_errors"), interval.risen("rx_errors"))
    return np.nan_to_num(broken) + np.nan_to_num(interval.risen("rx_discards"))
