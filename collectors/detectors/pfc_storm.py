"""pfc-storm: a port paused for so long that nothing passes, and what it waits for in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.pauses.graph import Root, Waits
from collectors.detectors.pauses.lossless import lossless, stirred
from collectors.detectors.pauses.places import host_rail, rails
from collectors.detectors.policy import Policy
from collectors.detectors.view import NONE, Floats, View

WARNINGS = ("pause_storm_warnings", "pause_storm_errors")
EXPLAINS = ("slow-rail", "incast", "lossless-drop")
"""Codes that a storm's ports and its victims would have too."""
MOST_NAMED = 20
"""Victims that the evidence names, at most."""


class PfcStorm:
    """The detector. It keeps each port's share of pause in the last interval, and how often each root was seen."""

    code = "pfc-storm"

    def __init__(self, view: View, policy: Policy) -> None:
        """``policy.pfc_storm`` has the thresholds."""
        self.view, self.policy = view, policy.pfc_storm
        self.rules = lossless(view)
        self.rail = rails(view)
        self.joined = view.peer != NONE
        self._before = np.zeros(view.ports)
        self._seen: dict[tuple[str, tuple[int, ...]], int] = {}

    def step(self, interval: Interval) -> Iterable[Signal]:
        """The roots of all that stands still."""
        share, watchdog, warned = self._paused(interval), self._watchdog(interval), self._warned(interval)
        stuck = self.joined & ((share >= self.policy.paused_share) | (watchdog > 0) | (warned > 0))
        if not stuck.any():
            self._seen = {}
            return []
        full = self._full(interval)
        roots = list(Waits(self.view, stuck).roots(lambda device: full.get(device, ())))
        patient = [root for root in self._patient(roots) if self._known(root, interval)]
        return list(self._signals(patient, share, watchdog, warned))

    def _paused(self, interval: Interval) -> Floats:
        """Share of the interval that each port was paused, as it says or as its neighbour does."""
        least = interval.nominal_s * self.policy.paused_share / 2
        mine = self.rules.rate(interval, "rx_pfc_pause_seconds", least)
        theirs = self.rules.rate(interval, "tx_pfc_pause_seconds", least)
        now = np.nan_to_num(np.fmax(mine, self._at_peer(theirs)))
        # over 1 the counter stood still before: the truth is between the two intervals
        found = np.where(now > self.policy.stale_share, (now + self._before) / 2, now)
        self._before = now
        return found

    def _at_peer(self, values: Floats) -> Floats:
        return np.where(self.joined, values[self.view.peer], np.nan)

    def _watchdog(self, interval: Interval) -> Floats:
        return np.nan_to_num(self.rules.rise(interval, "pfc_watchdog_storms"))

    def _warned(self, interval: Interval) -> Floats:
        """Storm events of the NIC at each port's other end."""
        found = np.zeros(self.view.ports)
        for column in WARNINGS:
            if stirred(interval, column):
                found += np.nan_to_num(self._at_peer(interval.delta(column)))
        return np.where(self.view.host_facing & self.rules.ports, found, 0.0)

    def _full(self, interval: Interval) -> dict[int, list[int]]:
        """Ports that send at line rate, by device."""
        fast = interval.rate("tx_bytes") >= self.policy.line_share * self.view.capacity
        found: dict[int, list[int]] = defaultdict(list)
        for port in np.flatnonzero(fast & self.view.on_switch & self.rules.ports).tolist():
            found[int(self.view.device[port])].append(port)
        return found

    def _patient(self, roots: Iterable[Root]) -> Iterator[Root]:
        """Roots that were seen often enough; a NIC's storm and a deadlock are told at once."""
        before, self._seen = self._seen, {}
        for root in roots:
            key = (root.cause, root.ports)
            self._seen[key] = before.get(key, 0) + 1
            if root.cause in ("nic-storm", "deadlock") or self._seen[key] >= self.policy.patience:
                yield root

    def _known(self, root: Root, interval: Interval) -> bool:
        """Of a chain's end it must be known that the neighbour's own ports are not paused.

        Where the neighbour tells no pauses at all, only NICs' are known, and nobody knows where a chain goes on.
        """
        if root.cause != "unexplained":
            return True
        mine = self.view.device == self.view.device[self.view.peer[root.ports[0]]]
        told = [interval.now.get(column) for _, column in self.rules.columns("rx_pfc_pause_seconds")]
        known = any(last.known[mine].any() for last in told if last is not None)
        return bool(known and interval.heard[mine].any())

    def _signals(self, roots: Iterable[Root], share: Floats, watchdog: Floats, warned: Floats) -> Iterator[Signal]:
        """One signal a subject: the planes of one NIC are one."""
        by_subject: dict[str, list[Root]] = defaultdict(list)
        for root in roots:
            by_subject[str(self._subject(root))].append(root)
        for same in by_subject.values():
            yield self._signal(same, share, watchdog, warned)

    def _signal(self, roots: list[Root], share: Floats, watchdog: Floats, warned: Floats) -> Signal:
        own = sorted({port for root in roots for port in root.ports})
        victims = sorted({port for root in roots for port in root.victims})
        ports = _with_peers(self.view, own)
        evidence: dict[str, Any] = {
            "level": 1 + len(victims),
            "paused_share": round(min(float(share[own].max()), 1.0), 4),
            "watchdog_storms": int(watchdog[own].sum()),
            "nic_storm_events": int(warned[own].sum()),
            "at": [self.view.end(port) for port in own[:MOST_NAMED]],
            "victims": [self.view.end(port) for port in victims[:MOST_NAMED]],
        }
        touched = (*ports, *_with_peers(self.view, victims))
        masks = tuple((code, port) for port in touched for code in EXPLAINS)
        return Signal(self.code, roots[0].cause, self._subject(roots[0]), evidence, ports, masks=masks)

    def _subject(self, root: Root) -> dict[str, Any]:
        """The host's rail of a storm or of a port to a host, the link of another, the ports of a circle."""
        if root.cause == "deadlock":
            return {"ends": [self.view.end(port) for port in root.ports]}
        (port,) = root.ports
        if self.view.host_facing[port]:
            return host_rail(self.view, self.rail, int(self.view.peer[port]))
        return self.view.link_of(port)


def _with_peers(view: View, ports: Iterable[int]) -> tuple[int, ...]:
    """Ports and those at their other ends."""
    return tuple(int(end) for port in ports for end in (port, view.peer[port]))
