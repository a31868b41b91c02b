"""Whether links are up, steady, and as fast and wide as planned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import BYTES_A_GIGABIT, Ints, Mask, View

UP, UNKNOWN = 1, 4
"""Values of ``oper_status`` (IF-MIB)."""
ADMIN_DOWN = 2
WIDEST = 4
"""Lanes that InfiniBand's ports have at most; a cage of 8 is two ports."""


@dataclass
class Ends:
    """Links by number: the ports at both ends (the same twice where the other end is none of ours)."""

    a: Ints
    b: Ints

    @classmethod
    def of(cls, view: View) -> Ends:
        """The plan's links."""
        links = view.plan.fabric.links
        a = links["a_port"].to_numpy().astype(np.int64)
        b = links["b_port"].fill_null(view.ports).to_numpy().astype(np.int64)
        return cls(a, np.where(b < view.ports, b, a))

    def any(self, ports: Mask) -> Mask:
        """Links with either end among the ports."""
        found: Mask = ports[self.a] | ports[self.b]
        return found


class State:
    """Down, flaps, speed and width, a link an element."""

    def __init__(self, view: View, policy: Thresholds, interval_s: float) -> None:
        """``interval_s``: length of an interval."""
        self.view, self.policy, self.ends = view, policy, Ends.of(view)
        count = len(self.ends.a)
        self.down_ns = np.full(count, NEVER)
        """End of the interval in which the link was first seen down."""
        self.excused_ns = np.full(count, NEVER)
        """Until when a device that starts is why the link is down."""
        self.settled_ns = np.full(count, NEVER)
        """Until when the link has a reason to bounce."""
        self.falls = np.zeros((max(math.ceil(policy.flap_window_s / interval_s), 1), count))
        """How often it went down in each of the latest intervals, ``turn`` the latest; ``times``: in all of them."""
        self.turn, self.times = 0, np.zeros(count)
        self.was_up = np.zeros(count, dtype=bool)
        self.met = np.zeros(len(view.device_names), dtype=bool)
        """Devices that ever said anything."""
        self.slow = np.zeros(count, dtype=bool)
        self.narrow = np.zeros(count, dtype=bool)
        self.planned = view.capacity / BYTES_A_GIGABIT
        self.lanes = np.minimum(view.plan.fabric.ports["lanes"].to_numpy(), WIDEST)
        self.none: Mask = np.zeros(count, dtype=bool)
        self.down, self.flapping, self.admin, self.restless = (self.none,) * 4

    def step(self, interval: Interval) -> None:
        """Bring everything up to the interval's end."""
        oper = interval.gauge("oper_status")
        known = np.isfinite(oper) & (oper != UNKNOWN)
        down = self.ends.any(known & (oper != UP))
        up = self.ends.any(known & (oper == UP)) & ~down
        self._down(interval, down, up)
        self._flaps(interval, down, up)
        self.was_up = np.where(down | up, up, self.was_up)
        self.admin = self.ends.any(interval.gauge("admin_status") == ADMIN_DOWN)
        self._below_plan(interval, down)

    def _down(self, interval: Interval, down: Mask, up: Mask) -> None:
        """A link is down when it stayed so; where its device is away, that is to be told of the device."""
        self.down_ns = np.where(up, NEVER, np.where(down & (self.down_ns == NEVER), interval.end_ns, self.down_ns))
        lasts = (self.down_ns != NEVER) & (interval.end_ns - self.down_ns >= self.policy.hold_down_s * 1e9)
        away = self._away(interval)
        excused = away | self._booted(interval)
        self.restless = lasts | excused
        told = lasts & ~away & (interval.end_ns > self.excused_ns)
        self.down = told | (self.down & lasts & ~away)
        until = interval.end_ns + round(self.policy.settle_s * 1e9)
        self.excused_ns = np.where(excused, until, self.excused_ns)
        self.settled_ns = np.where(self.restless, until, self.settled_ns)

    def _away(self, interval: Interval) -> Mask:
        """Links of devices that said something before and say nothing now."""
        here = np.zeros(len(self.met), dtype=bool)
        here[self.view.device[interval.heard]] = True
        gone = self.met & ~here
        self.met |= here
        return self.ends.any(gone[self.view.device])

    def _booted(self, interval: Interval) -> Mask:
        """Links of devices whose agents started in the interval, or just before."""
        boots = interval.boots_ns
        recent = (boots != NEVER) & (boots > interval.start_ns - round(self.policy.settle_s * 1e9))
        return self.ends.any(recent[self.view.device]) if recent.any() else self.none

    def _flaps(self, interval: Interval, down: Mask, up: Mask) -> None:
        """Falls of links that came back before they were down for good, and had no reason to fall."""
        counted = interval.risen("link_down_events")
        both = np.fmax(counted[self.ends.a], counted[self.ends.b])
        fell = np.where(np.isfinite(both), np.ceil(np.nan_to_num(both)), down & self.was_up)
        quiet = (interval.end_ns > self.settled_ns) & ~self.restless
        self.turn = (self.turn + 1) % len(self.falls)
        self.times -= self.falls[self.turn]
        self.falls[self.turn] = np.where(quiet, fell, 0.0)
        self.times += self.falls[self.turn]
        if self.restless.any():
            self.falls[:, self.restless] = 0.0
            self.times[self.restless] = 0.0
        times = self.times
        self.flapping = (times >= self.policy.flaps) | ((times >= 1) & up)

    def _below_plan(self, interval: Interval, down: Mask) -> None:
        """Speeds and widths; what is not told again holds on until the link is seen down or right."""
        for name, planned, least, mine in (
            ("speed_gbps", self.planned, self.policy.speed_share, self.slow),
            ("width_lanes", self.lanes, 1.0, self.narrow),
        ):
            told = interval.gauge(name)
            known = np.isfinite(told) & (told > 0)
            below = known & (told < planned * least)
            some = self.ends.any(known)
            mine[some] = self.ends.any(below)[some]
            mine[down] = False
