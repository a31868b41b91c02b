"""What both ends of each channel counted, side by side: span after span, from when both were told until both are again.

A poll that is missing at one end makes a span longer, and what was uneven in it cannot be seen: the window is cut
there, as it is where a counter began anew. Spans that are all as long (of a source that tells every 30 s) are fine.
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
        self.joint: Mask = np.zeros(view.ports, dtype=bool)
        """Channels of which the latest interval ends a span that is known."""
        self.latest = self.sent[0], self.received[0]
        """Sent and received in the latest interval, of channels that are joint."""
        self.ever: Mask = np.zeros(view.ports, dtype=bool)
        """Channels of which any span was ever known."""
        self._turn = np.zeros(view.ports, dtype=np.int64)
        """Row of the latest span in both."""
        self._waiting = np.zeros((3, view.ports))
        """Sent, received whole, received broken since both ends were told last."""
        self._spans, self._usual = np.zeros(view.ports, dtype=np.int64), np.ones(view.ports, dtype=np.int64)
        """Intervals since then, and in the span before."""
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
        self.joint = told & ~self._broken & ~different & (self._spans <= self._usual)
        sent, received = (np.where(self.joint, one / self._spans, np.nan) for one in (sent, received))
        self.latest = sent, received
        self.ever |= self.joint
        self._keep(*self.latest)
        cut = np.flatnonzero(told & ~self.joint)
        self.sent[:, cut] = self.received[:, cut] = np.nan
        self._usual = np.where(told, self._spans, self._usual)
        self._waiting[:, told] = 0.0
        self._spans[told] = 0
        self._broken &= ~told

    def window(self, channels: Ints, length: int) -> tuple[Floats, Floats]:
        """Sent and received of some channels in the latest spans, the latest first, a row each."""
        rows = (self._turn[channels] - np.arange(length)[:, None]) % self.kept
        return self.sent[rows, channels], self.received[rows, channels]

    def _keep(self, sent: Floats, received: Floats) -> None:
        mine = np.flatnonzero(self.joint)
        self._turn[mine] = (self._turn[mine] + 1) % self.kept
        for kept, values in ((self.sent, sent), (self.received, received)):
            kept[self._turn[mine], mine] = values[mine]

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
