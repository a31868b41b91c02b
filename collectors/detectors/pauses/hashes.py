"""Switches that hash without the ports, seen in flow samples: all queue pairs of two hosts leave by one member."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.detectors.interval import Interval
from collectors.detectors.policy import ConfigDrift
from collectors.detectors.view import NONE, Floats, Ints, Mask, View

EVEN = 0.75
"""Of the members that a good hash would take; a polarised group takes half of them at most."""
MOST_ROWS = 1 << 16
"""Samples of an interval that are looked at: of more, those of a part of all pairs of hosts, another part each time."""
Words = npt.NDArray[np.uint64]
ODD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio (Knuth): spreads what it is multiplied with over all bits."""


@dataclass(frozen=True)
class Pairs:
    """A row a pair of hosts and group: how many queue pairs were seen, and the members that they left by."""

    group: Ints
    flows: Ints
    first: Ints
    last: Ints


class Hashes:
    """It keeps what it said for as long as flows are seen that neither support nor refute it."""

    def __init__(self, view: View, policy: ConfigDrift) -> None:
        self.view, self.policy = view, policy
        self.left: dict[int, tuple[int, dict[str, Any]]] = {}
        self.members = np.diff(view.group_start).astype(np.float64)
        self.leaf: Mask = np.zeros(len(view.device_names), dtype=np.bool_)
        self.leaf[list(view.hosts_below)] = True

    def step(self, interval: Interval) -> Iterator[tuple[int, dict[str, Any]]]:
        """Devices whose hash lacks the ports, with the numbers that show it, in the order of ids."""
        self.left = {device: (n - 1, said) for device, (n, said) in self.left.items() if n > 1}
        for device, pairs, split, chance in self._devices(interval):
            if split:
                self.left.pop(device, None)
            elif chance <= log(self.policy.hash_odds):
                said = {"host_pairs": pairs, "split_pairs": 0, "log10_chance": round(chance / log(10), 2)}
                self.left[device] = self.policy.keep + 1, said
        for device in sorted(self.left):
            yield device, self.left[device][1]

    def _devices(self, interval: Interval) -> Iterator[tuple[int, int, int, float]]:
        """Of each device: pairs of hosts with several queue pairs, those that spread, and the logarithm of a chance.

        It is the chance that a good hash sends each of the others by one member: 1/m to the power of its queue pairs
        less one. Groups whose pairs all take few members are polarised, whatever their fields are, and left out.
        """
        if interval.flows.is_empty():
            return
        pairs = self._pairs(interval)
        if not len(pairs.group):
            return
        members, device = self.members[pairs.group], self.view.group_device[pairs.group]
        # hosts send to leaves unsorted: polarisation begins a tier above
        judged = (members > 1) & (self.leaf[device] | self._even(pairs)[pairs.group])
        device, chance = device[judged], -np.log(members[judged]) * (pairs.flows[judged] - 1)
        split = (pairs.first != pairs.last)[judged]
        count = np.bincount(device)
        spread, total = np.bincount(device, weights=split), np.bincount(device, weights=chance)
        for one in np.flatnonzero(count).tolist():
            yield one, int(count[one]), int(spread[one]), float(total[one])

    def _pairs(self, interval: Interval) -> Pairs:
        """Pairs of hosts with several queue pairs in a group, sorted by a hash of both."""
        rows, out = self._rows(interval)
        flows, group = interval.flows, self.view.group[out]
        pair = _pair(flows["src_ip"].hash(7).to_numpy()[rows], flows["dst_ip"].hash(7).to_numpy()[rows])
        parts = -(-len(rows) // MOST_ROWS)
        if parts > 1:
            turn = interval.end_ns // (interval.end_ns - interval.start_ns) % parts
            mine = (pair >> np.uint64(32)) % np.uint64(parts) == turn
            rows, out, group, pair = rows[mine], out[mine], group[mine], pair[mine]
        source = flows["src_port"].fill_null(0).to_numpy()[rows].astype(np.int64)
        key = pair + group.astype(np.uint64) * ODD
        order = np.lexsort((source, key))
        key, source, out, group = key[order], source[order], out[order], group[order]
        new = np.append(True, key[1:] != key[:-1])[: len(key)]
        start = np.flatnonzero(new)
        if not len(start):
            return Pairs(*(np.empty(0, dtype=np.int64) for _ in range(4)))
        other = new | np.append(True, source[1:] != source[:-1])
        count = np.add.reduceat(other.astype(np.int64), start)
        several = count > 1
        first, last = np.minimum.reduceat(out, start), np.maximum.reduceat(out, start)
        return Pairs(group[start][several], count[several], first[several], last[several])

    def _rows(self, interval: Interval) -> tuple[Ints, Ints]:
        """Rows of flow samples that left by a member of a group, and the members."""
        out = interval.flows["out_id"].fill_null(NONE).to_numpy().astype(np.int64)
        rows = np.flatnonzero((out >= 0) & (self.view.group[out] >= 0))
        return rows, out[rows]

    def _even(self, pairs: Pairs) -> Mask:
        """Groups whose pairs together take as many members as a good hash would give them: m·(1 − (1 − 1/m)^n) of m."""
        count: Ints = np.bincount(pairs.group, minlength=len(self.members))
        taken = np.unique(pairs.first)
        used = np.bincount(self.view.group[taken], minlength=len(self.members))
        expected: Floats = self.members * (1 - (1 - 1 / np.maximum(self.members, 1)) ** count)
        found: Mask = used >= EVEN * expected
        return found


def _pair(source: Words, target: Words) -> Words:
    """A word a pair of hosts, one way."""
    both = source * ODD ^ target
    found: Words = (both ^ (both >> np.uint64(29))) * ODD
    return found
