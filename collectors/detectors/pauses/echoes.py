"""Marks as NICs count what comes to them, for ports of which the switch tells neither queue nor marks."""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.pauses.lossless import Lossless
from collectors.detectors.policy import Incast
from collectors.detectors.view import NONE, Floats, Ints, Mask, View

TOLD_BY_SWITCHES = ("queue_ecn_marked_packets", "queue_watermark_bytes")


class Echoes:
    """A NIC's marks are of every queue on the way, so they count where most of its rail's come to it alone.

    Who is paused by a queue has passed it, and a queue that pauses marks. Six paused senders to as many NICs bring
    each about a sixth of all marked packets; six to one NIC bring it nearly all.
    """

    def __init__(self, view: View, policy: Incast, rules: Lossless) -> None:
        self.view, self.policy, self.rules = view, policy, rules
        self._leaf: Ints = np.flatnonzero(view.host_facing & (view.peer != NONE))
        """Leaves' ports to NICs, and what follows by these: the NICs' ports, and the rails of a network."""
        self._nic: Ints = view.peer[self._leaf]
        _, self._rail = np.unique(
            view.network[self._leaf].astype(np.int64) * (int(view.rail.max(initial=0)) + 2) + view.rail[self._leaf],
            return_inverse=True,
        )

    def untold(self, interval: Interval, among: Mask) -> Mask:
        """Those of some ports whose switch has never told queue or marks."""
        found = among.copy()
        for name in TOLD_BY_SWITCHES:
            for number, column in self.rules.columns(name):
                now = interval.now.get(column)
                if now is not None:
                    found &= (self.rules.priority != number) | (now.time_ns == NEVER)
        return found

    def shares(self, interval: Interval) -> Floats:
        """By leaf port: share of the packets to its host that came marked; NaN where others get as many marked ones."""
        found = np.full(self.view.ports, np.nan)
        marked = np.nan_to_num(interval.rate("ecn_marked_roce_packets")[self._nic])
        received = interval.rate("rx_packets")[self._nic]
        least = self.policy.echoed_share * np.bincount(self._rail, marked)[self._rail]
        mine = (marked >= least) & (marked > 0) & (received > 0)
        found[self._leaf[mine]] = marked[mine] / received[mine]
        return found
