"""Miswire: what neighbours say over LLDP against the plan's cables; see ``collectors.detectors.wiring``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import compress, islice
from operator import ne

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.policy import Policy
from collectors.detectors.view import Ints, Mask, View
from collectors.detectors.wiring.claims import Claims, disputed
from collectors.detectors.wiring.compare import compare
from collectors.detectors.wiring.names import Names, told
from collectors.detectors.wiring.plugs import plugs

COLUMNS = ("lldp_system", "lldp_chassis", "lldp_port", "lldp_port_description")
LATER = int(np.iinfo(np.int64).max)
DOWN = 2
"""``oper_status`` of a port without a link."""
Words = tuple[str | None, ...]


class Miswire:
    """Compares again when a neighbour changed; in between, what it found holds."""

    code = "miswire"

    def __init__(self, view: View, policy: Policy) -> None:
        """Nothing heard yet."""
        self.view, self.policy = view, policy.miswire
        self.plugs, self.names = plugs(view), Names(view)
        self.claims = Claims.none(view.ports)
        self.changed_ns: Ints = np.full(view.ports, NEVER)
        """By port: the end of the interval in which it heard of another neighbour."""
        self._part = view.device * len(view.networks) + view.network
        self.since_ns: Ints = np.full(len(view.device_names) * len(view.networks), LATER)
        """By device and network: when it was first heard, or heard of another."""
        self._seen: dict[str, list[str]] = {column: [] for column in COLUMNS}
        self._stale: Mask = np.zeros(view.ports, dtype=bool)
        self._signals: tuple[Signal, ...] = ()

    def step(self, interval: Interval) -> Iterable[Signal]:
        """Wrong cables that nobody is at work on, and silent links of devices that have had time to speak."""
        changed = self._listen(interval)
        stale = self._outdated(interval.end_ns)
        if changed or not np.array_equal(stale, self._stale):
            self._stale = stale
            self._signals = compare(self.claims.without(stale) if stale.any() else self.claims, self.plugs).signals
        if not self._signals:
            return []
        down = _down(interval)
        return [signal for signal in self._signals if self._holds(signal, interval.end_ns, down)]

    def _listen(self, interval: Interval) -> bool:
        """Take over the texts that are new; whether there were any."""
        new: set[int] = set()
        for column in COLUMNS:
            new |= _differences(interval.texts.get(column, {}), self._seen, column)
        ids = sorted(new)
        if not ids:
            return False
        systems, chassis, ports, descriptions = (_words(interval.texts.get(c, {}), ids) for c in COLUMNS)
        systems = tuple(name or other for name, other in zip(systems, chassis, strict=True))
        far, device = self.names.resolve(systems, ports, descriptions)
        before = self.claims.far[ids], self.claims.far_device[ids]
        self.claims.take(ids, far.to_numpy(), device.to_numpy(), list(map(told, systems, ports, descriptions)))
        moved = (before[0] != self.claims.far[ids]) | (before[1] != self.claims.far_device[ids])
        self.changed_ns[np.asarray(ids)[moved]] = interval.end_ns
        far_ports = self.claims.far[ids]
        for heard in (np.asarray(ids)[moved], far_ports[far_ports >= 0]):
            parts = self._part[heard]
            self.since_ns[parts] = np.minimum(self.since_ns[parts], interval.end_ns)
        return bool(moved.any())

    def _outdated(self, now_ns: int) -> Mask:
        """Ports whose word another, newer one has contradicted for as long as theirs is good."""
        newer = np.flatnonzero(disputed(self.claims, self.plugs))
        far = self.claims.far[newer]
        old = self.changed_ns[newer] > self.changed_ns[far]
        old &= self.changed_ns[newer] <= now_ns - round(self.policy.ttl_s * 1e9)
        found = np.zeros(self.view.ports, dtype=bool)
        found[far[old]] = True
        return found

    def _holds(self, signal: Signal, now_ns: int, down: Mask) -> bool:
        ports = list(signal.ports)
        if signal.cause != "missing":
            return bool((self.changed_ns[ports] <= now_ns - round(self.policy.settle_s * 1e9)).all())
        since = self.since_ns[self._part[ports]]
        return not down[ports].any() and bool((since <= now_ns - round(self.policy.ttl_s * 1e9)).all())


def _down(interval: Interval) -> Mask:
    """Ports that said last that they have no link: those are told as such."""
    found = interval.now.get("oper_status")
    if found is None:
        return np.zeros(interval.view.ports, dtype=bool)
    down: Mask = (found.time_ns != NEVER) & (found.value == DOWN)
    return down


def _differences(texts: Mapping[int, str], seen: dict[str, list[str]], column: str) -> set[int]:
    """Ports whose text is another than before; texts come in the same order each time, new ports last."""
    now, before = list(texts.values()), seen[column]
    if now == before:
        return set()
    seen[column] = now
    return {*compress(texts, map(ne, now, before)), *islice(texts, len(before), None)}


def _words(texts: Mapping[int, str], ids: Iterable[int]) -> Words:
    return tuple(map(texts.get, ids))
