"""Which ports are lossless, in which priority, and what was planned for them; numbers of that priority by port."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.view import NONE, Floats, Ints, Mask, View
from fabric.counters import counters
from fabric.qos import qos

OUTSIDE = ("uplink", "oob")
"""Tiers whose links leave a network: PFC stays off there (``fabric.qos.port_headroom``)."""


@dataclass(frozen=True)
class Lossless:
    """Arrays by port id. ``priority``: the lossless one (its queue has the same number), NONE where all are lossy.

    ``kmin``, ``kmax``: bytes of queue at which marking begins and reaches ``pmax`` (a share); ``mtu`` in bytes;
    ``pfc_mask``: priorities with PFC, a bit each. NaN where nothing is planned.
    """

    priority: Ints
    kmin: Floats
    kmax: Floats
    pmax: Floats
    mtu: Floats
    pfc_mask: Floats

    @cached_property
    def priorities(self) -> list[int]:
        """Every lossless priority in use."""
        found: list[int] = np.unique(self.priority[self.ports]).tolist()
        return found

    @cached_property
    def ports(self) -> Mask:
        """Ports with a lossless priority."""
        found: Mask = self.priority != NONE
        return found

    def columns(self, name: str) -> list[tuple[int, str]]:
        """The lossless priorities in use, and the counter's column of each."""
        return [(number, counters()[name].column(number)) for number in self.priorities]

    def rise(self, interval: Interval, name: str, least: float = 0.0) -> Floats:
        """What the counter of each port's lossless priority rose by; NaN where that is not known.

        NaN too for a whole column in which no port rose by more than ``least``: that is cheap to see, and common.
        """
        return self._of(interval, name, least, rate=False)

    def rate(self, interval: Interval, name: str, least: float = 0.0) -> Floats:
        """The same a second."""
        return self._of(interval, name, least, rate=True)

    def rose(self, interval: Interval, name: str) -> Mask:
        """Ports whose counter may have risen: a first look that costs little, before the rules of ``rise``."""
        return self.crude(interval, name) > 0

    def crude(self, interval: Interval, name: str) -> Floats:
        """By how much the counter's last two values differ, resets and all; 0 where nothing is known."""
        found = np.zeros(interval.view.ports)
        for number, column in self.columns(name):
            now, before = interval.now.get(column), interval.before.get(column)
            if now is not None and before is not None:
                mine = (self.priority == number) & (before.time_ns != NEVER) & (now.value > before.value)
                found[mine] = now.value[mine] - before.value[mine]
        return found

    def gauge(self, interval: Interval, name: str) -> Floats:
        """The gauge of each port's lossless priority."""
        found = np.full(interval.view.ports, np.nan)
        for number, column in self.columns(name):
            mine = self.priority == number
            found[mine] = interval.gauge(column)[mine]
        return found

    def told(self, interval: Interval, name: str) -> Mask:
        """Ports that ever told the counter of their lossless priority."""
        found = np.zeros(interval.view.ports, dtype=bool)
        for number, column in self.columns(name):
            last = interval.now.get(column)
            if last is not None:
                found |= (self.priority == number) & (last.time_ns != NEVER)
        return found

    def _of(self, interval: Interval, name: str, least: float, *, rate: bool) -> Floats:
        found = np.full(interval.view.ports, np.nan)
        for number, column in self.columns(name):
            if stirred(interval, column, least):
                mine = self.priority == number
                found[mine] = (interval.rate(column) if rate else interval.delta(column))[mine]
        return found


def stirred(interval: Interval, column: str, least: float = 0.0) -> bool:
    """Whether any port's counter may have risen by more than ``least``."""
    now, before = interval.now.get(column), interval.before.get(column)
    return now is not None and before is not None and bool((now.value > before.value + least).any())


def lossless(view: View) -> Lossless:
    """The lossless ports of every RoCE network of a plan: of its switches, and of the hosts at their other ends."""
    found = Lossless(np.full(view.ports, NONE), *(np.full(view.ports, np.nan) for _ in range(5)))
    inside = (view.peer != NONE) & ~np.isin(view.tier, [n for n, tier in enumerate(view.tiers) if tier in OUTSIDE])
    speeds = view.plan.fabric.ports["speed_gbps"].to_numpy()
    for code, network in enumerate(view.networks):
        rules = qos(view.plan, network) if network in view.plan.design.networks else None
        if rules is None:
            continue
        mine = inside & (view.network == code)
        found.priority[mine] = rules.roce_class
        found.mtu[mine] = rules.mtu
        found.pfc_mask[mine] = sum(1 << priority for priority in rules.pfc_priorities)
        for speed in np.unique(speeds[mine]).tolist():
            curve = rules.ecn(int(speed))
            at = mine & (speeds == speed)
            found.kmin[at], found.kmax[at] = curve.kmin_kb * 1000.0, curve.kmax_kb * 1000.0
            found.pmax[at] = float(curve.pmax)
    return found
