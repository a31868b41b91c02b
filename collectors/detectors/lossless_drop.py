"""lossless-drop: packets dropped where none may be, on the way in or out of a lossless port."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.pauses.lossless import lossless, stirred
from collectors.detectors.pauses.places import device
from collectors.detectors.policy import Policy
from collectors.detectors.view import NONE, Floats, Ints, Mask, View

STORMS = ("pause_storm_warnings", "pause_storm_errors")
MASK, DOWN, TOTAL = "pfc_enabled_mask", "link_down_events", "tx_discards"
LONG = 1 << 30


class LosslessDrop:
    """The detector. Of each port it keeps how long ago a storm and a link down were, and since when it drops."""

    code = "lossless-drop"

    def __init__(self, view: View, policy: Policy) -> None:
        """``policy.lossless_drop`` has the thresholds."""
        self.view, self.policy = view, policy.lossless_drop
        self.rules = lossless(view)
        self._storm = np.full(view.ports, LONG)
        self._down = np.full(view.ports, LONG)
        self._off = np.full(view.ports, LONG)
        self._waiting: dict[int, tuple[int, int, float]] = {}

    def step(self, interval: Interval) -> Iterable[Signal]:
        """A signal a port that drops."""
        self._storm = np.where(self._storms(interval), 0, np.minimum(self._storm + 1, LONG))
        self._down = np.where(self._downs(interval), 0, np.minimum(self._down + 1, LONG))
        self._off = np.where(self._offs(interval), 0, np.minimum(self._off + 1, LONG))
        others = (self._storm <= self.policy.after_storm) | (self._down <= self.policy.after_down)
        out, total = self._out(interval)
        into = self.rules.rise(interval, "priority_rx_discards")
        held = self._settled(interval, np.where(others, np.nan, into))
        ports = np.flatnonzero(~others & ((out > 0) | (total > 0)))
        return [self._signal(port, out, total, held) for port in sorted({*ports.tolist(), *held})]

    def _storms(self, interval: Interval) -> Mask:
        """Ports at which a watchdog or the NIC at the other end spoke of a storm."""
        found: Mask = self.rules.rise(interval, "pfc_watchdog_storms") > 0
        for column in STORMS:
            if stirred(interval, column):
                rose = interval.delta(column) > 0
                found |= np.where(self.view.peer != NONE, rose[self.view.peer], False)
        return found

    def _downs(self, interval: Interval) -> Mask:
        """Ports whose link was down, as either end says."""
        found: Mask = np.isin(interval.gauge("oper_status"), (2.0, 6.0, 7.0))
        if stirred(interval, DOWN):
            found |= interval.delta(DOWN) > 0
        return found | np.where(self.view.peer != NONE, found[self.view.peer], False)

    def _offs(self, interval: Interval) -> Mask:
        """Ports that said last that their PFC is not as planned: what they drop on the way in is config-drift's."""
        told = interval.now.get(MASK)
        if told is None:
            return np.zeros(self.view.ports, dtype=bool)
        found: Mask = self.rules.ports & (told.time_ns != NEVER) & (told.value != self.rules.pfc_mask)
        return found

    def _out(self, interval: Interval) -> tuple[Floats, Floats]:
        """Drops of the lossless queue; and where a port tells no queue's, of the whole port."""
        out = self.rules.rise(interval, "queue_dropped_packets")
        total = np.full(self.view.ports, np.nan)
        if stirred(interval, TOTAL):
            silent = self.rules.ports & ~self.rules.told(interval, "queue_dropped_packets")
            total = np.where(silent, interval.delta(TOTAL), np.nan)
        return out, total

    def _settled(self, interval: Interval, into: Floats) -> dict[int, float]:
        """Drops on the way in, of ports whose PFC is known to be on, or is not told in time."""
        told = interval.now.get(MASK)
        told_ns: Ints = np.full(self.view.ports, NEVER) if told is None else told.time_ns
        off = self._off <= self.policy.after_off
        for port in np.flatnonzero(~off & (into > 0)).tolist():
            since, waited, count = self._waiting.get(port, (interval.end_ns, 0, 0.0))
            self._waiting[port] = since, waited, count + float(into[port])
        found: dict[int, float] = {}
        for port, (since, waited, count) in sorted(self._waiting.items()):
            known = told_ns[port] >= since
            if off[port]:
                del self._waiting[port]
            elif known or told_ns[port] == NEVER or waited >= self.policy.settings_wait:
                found[port] = count
                del self._waiting[port]
            else:
                self._waiting[port] = since, waited + 1, count
        return found

    def _signal(self, port: int, out: Floats, total: Floats, held: dict[int, float]) -> Signal:
        sent, whole, came = (float(np.nan_to_num(v)) for v in (out[port], total[port], held.get(port, 0.0)))
        evidence = {
            "level": sent + whole + came,
            "queue_dropped_packets": sent,
            "port_dropped_packets": whole,
            "received_dropped_packets": came,
            "priority": int(self.rules.priority[port]),
        }
        subject = device(self.view, int(self.view.device[port])) | {"ports": [self.view.port_names[port]]}
        # a port's total has other classes too: whether it was the lossless one is not known
        sure = sent > 0 or came > 0
        return Signal(self.code, "drop", subject, evidence, (port,), severity=None if sure else "warning")
