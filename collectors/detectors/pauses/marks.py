"""Queues that should have marked packets and did not: ECN that is off, seen by what it does not do."""

from __future__ import annotations

import numpy as np
import polars as pl

from collectors.detectors.interval import Interval
from collectors.detectors.pauses.lossless import Lossless
from collectors.detectors.policy import ConfigDrift
from collectors.detectors.view import Ints, Mask, View


class Marks:
    """Of each port it keeps for how many intervals its queue did not mark, and for how long that is remembered."""

    def __init__(self, view: View, rules: Lossless, policy: ConfigDrift) -> None:
        self.view, self.rules, self.policy = view, rules, policy
        self.streak: Ints = np.zeros(view.ports, dtype=np.int64)
        self.left: Ints = np.zeros(view.ports, dtype=np.int64)
        models = pl.concat([pl.Series([""] * view.plan.fabric.hosts.height), _models(view)])
        self.model = models.rank("dense").to_numpy().astype(np.int64)[view.device]
        self.able: Mask = np.zeros(int(self.model.max(initial=0)) + 1, dtype=bool)

    def step(self, interval: Interval) -> tuple[Mask, Mask]:
        """Ports that do not mark though they should, and ports that do."""
        marked = self.rules.rose(interval, "queue_ecn_marked_packets")
        # a chip that never counts a mark anywhere does not count them
        self.able[self.model[marked]] = True
        crowded = self._crowded(interval)
        if crowded.any() or self.left.any():
            marks = self.rules.rise(interval, "queue_ecn_marked_packets", -1.0)
            silent = crowded & (marks == 0) & self.able[self.model]
            self.streak = np.where(silent, self.streak + 1, np.where(crowded | marked, 0, self.streak))
            # where other ports of the switch mark, theirs may be marks of before, refreshed late
            fine = np.bincount(self.view.device[marked], minlength=len(self.view.device_names)) > 0
            beside = fine[self.view.device]
            found = silent & (self.streak >= np.where(beside, 2, 1) * self.policy.unmarked)
            self.left = np.where(found, self.policy.keep + 1, np.where(beside, 0, np.maximum(self.left - 1, 0)))
        return self.left > 0, marked

    def _crowded(self, interval: Interval) -> Mask:
        """Ports whose queue passed Kmax and stands beyond Kmin, while packets leave it and nobody pauses it."""
        high = self.rules.gauge(interval, "queue_watermark_bytes") >= self.policy.queue_kmax * self.rules.kmax
        # a watermark alone may be a burst too short for a single mark
        high &= self.view.on_switch & (self.rules.gauge(interval, "queue_depth_bytes") >= self.rules.kmin)
        if not high.any():
            return high
        moved = self.rules.rate(interval, "queue_tx_bytes") >= self.policy.moved_share * self.view.capacity
        paused = self.rules.rate(interval, "rx_pfc_pause_seconds") >= self.policy.paused_share
        found: Mask = high & moved & ~paused
        return found


def _models(view: View) -> pl.Series:
    return view.plan.fabric.switches["model"].cast(pl.String)
