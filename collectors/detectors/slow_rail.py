"""Rails of hosts that take or send more slowly, while active, than their neighbours' do.

Bytes an interval are equal on all rails of a synchronous job, whatever is slow: only the rate while active says which.
It is compared host × rail by two-way median polish, a table a segment; three windows in a row make a signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.policy import Policy
from collectors.detectors.rails.evidence import Evidence, Slots, evidence
from collectors.detectors.rails.polish import medians, polished, scores
from collectors.detectors.rails.table import Rails
from collectors.detectors.view import Floats, Ints, Mask, View

LEAST = 3
"""Hosts on a leaf, or rails of a host, of which most are slow, before the leaf or host is."""
NEW_JOB = float(np.log(1.25))
"""A table's own level that moves more than so is other work."""


class SlowRail:
    """The detector of slow rails, hosts and leaves."""

    code = "slow-rail"

    def __init__(self, view: View, policy: Policy) -> None:
        """Nothing seen yet."""
        self.view, self.policy = view, policy.slow_rail
        self.rails = Rails.of(view)
        self.slots = Slots(self.rails)
        shape = self.rails.shape
        self.taking, self.sending, self.reading = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        """Windows in a row in which a cell took, sent, or read what it sends from the host, more slowly than others."""
        self.starving: Ints = np.zeros(shape, dtype=np.int64)
        """The last of them, in which its NIC waited so long that no pause has to confirm it."""
        self.idle, self.level = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        """Windows without evidence since the last one that had some; windows beside its neighbours, before."""
        self.fell: Mask = np.zeros(shape, dtype=bool)
        """Cells that sent as their neighbours did before they were slow."""
        self.sender: Mask = np.zeros(shape, dtype=bool)
        """Cells that are slow and were seen to send slowly."""
        self.usual = np.full(shape[0], np.nan)
        self.onset_ns = np.zeros(shape, dtype=np.int64)
        self.ratio = np.full(shape, np.nan)
        self.score = np.full(shape, np.nan)

    def step(self, interval: Interval) -> Iterator[Signal]:
        """Signals in the order of segments, hosts and rails."""
        self.slots.step(interval)
        if not self.rails.port.size:
            return
        found = evidence(interval, self.rails, self.policy, self.slots.drifted)
        self._takes(found, interval)
        self._reads(found)
        self._sends(found)
        if interval.nominal_s > self.policy.fine_s:
            self.fell[:] = False
        known = np.isfinite(found.takes) | np.isfinite(found.sends)
        self.idle = np.where(known, 0, self.idle + 1)
        self._forget(found.explained | (self.idle * interval.nominal_s > self.policy.hold_s))
        sends = np.maximum(self.sending, self.reading)
        self.sender = (self.sender | (sends >= self.policy.windows - 1)) & ((self.taking > 0) | (sends > 0))
        alone = (self.fell & (self.sending >= self.policy.windows)) | (self.starving >= self.policy.windows)
        slow = (self.taking >= self.policy.windows) | alone
        if slow.any():
            yield from self._signals(slow, np.isfinite(found.takes) | slow, found, interval)

    def _forget(self, gone: Mask) -> None:
        for windows in (self.taking, self.sending, self.reading, self.starving):
            windows[gone] = 0

    def _takes(self, found: Evidence, interval: Interval) -> None:
        """Windows in which the host paused its leaf more than others did."""
        takes = self._enough(found.takes)
        paused = found.paused >= self.policy.paused_share
        made = self._scored(takes, paused, effects=True)
        low = (made.score < -self.policy.mads) & paused
        self.onset_ns = np.where(low & (self.taking == 0), interval.start_ns, self.onset_ns)
        self.taking = _counted(self.taking, low, np.isfinite(takes))
        self._show(low, made)

    def _reads(self, found: Evidence) -> None:
        """Windows in which the host's NIC waited for what it was to send more than others did."""
        reads = self._enough(found.reads)
        stalled = found.stalled >= self.policy.stalled_share
        made = self._scored(reads, stalled, effects=True)
        low, known = (made.score < -self.policy.mads) & stalled, np.isfinite(reads)
        self.reading = _counted(self.reading, low, known)
        self.starving = _counted(self.starving, low & (found.stalled >= self.policy.stalled_alone), known)
        self._show(low & (self.taking == 0), made)

    def _sends(self, found: Evidence) -> None:
        """Windows in which the host sent less than others did though nothing held it back."""
        sends = self._enough(found.sends)
        level = medians(sends.reshape(len(sends), -1), 1)[:, 0]
        made = self._scored(sends, self._below(sends, level), effects=False)
        known, low = np.isfinite(sends), made.score < -self.policy.mads
        with np.errstate(invalid="ignore"):
            other = np.abs(level - self.usual) > NEW_JOB
        self.level[other] = 0
        self.usual = np.where(np.isfinite(level), level, self.usual)
        began = low & (self.sending == 0)
        self.fell = np.where(began, self.level >= self.policy.level_before, self.fell)
        self.sending = _counted(self.sending, low, known)
        self.level = np.where(known, np.where(low, 0, self.level + 1), self.level)
        self._show(low & (self.taking == 0) & (self.reading == 0), made)

    def _below(self, values: Floats, level: Floats) -> Mask:
        """Cells of tables in which values differ by as much as the least that counts."""
        least = self.policy.mads * self.policy.least_deviation
        with np.errstate(invalid="ignore"):
            found: Mask = np.abs(values - level[:, None, None]) > least / 2
        return found

    def _enough(self, values: Floats) -> Floats:
        """Values of tables with neighbours to compare."""
        few = np.isfinite(values).sum(axis=(1, 2), keepdims=True) < self.policy.least_cells
        return np.where(few, np.nan, values)

    def _scored(self, values: Floats, suspects: Mask, *, effects: bool) -> Scored:
        """Deviations of the tables that have a suspect, and their scores; ``effects``: hosts' and rails' own count."""
        deviation, score = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        tables = np.flatnonzero((suspects & np.isfinite(values)).any(axis=(1, 2)))
        if len(tables):
            made = polished(values[tables])
            deviation[tables] = made.whole if effects else made.rest
            score[tables] = scores(deviation[tables], made.rest, self.policy.least_deviation)
        return Scored(deviation, score)

    def _show(self, low: Mask, made: Scored) -> None:
        """Keep what a signal tells of a cell."""
        self.ratio[low], self.score[low] = np.exp(made.deviation[low]), made.score[low]

    def _signals(self, slow: Mask, known: Mask, found: Evidence, interval: Interval) -> Iterator[Signal]:
        """Of whole leaves, whole hosts, and what is left of both, cell by cell."""
        leaves = _most(slow, known, axis=1)
        left = slow & ~leaves[:, None, :]
        hosts = _most(left, known, axis=2)
        left &= ~hosts[:, :, None]
        for table, rail in np.argwhere(leaves).tolist():
            cells = slow & (np.arange(slow.shape[2]) == rail) & (np.arange(len(slow)) == table)[:, None, None]
            name = self.view.device_names[self.rails.leaf(table, rail)]
            yield self._signal("slow-leaf", {"switch": name}, cells, found, interval)
        for table, row in np.argwhere(hosts).tolist():
            cells = np.zeros_like(slow)
            cells[table, row] = slow[table, row]
            yield self._signal("slow-host", {"host": self._host(table, row)}, cells, found, interval)
        for table, row, rail in np.argwhere(left).tolist():
            cells = np.zeros_like(slow)
            cells[table, row, rail] = True
            cause = "slow-nic" if self.sender[table, row, rail] else "slow-receiver"
            yield self._signal(cause, {"host": self._host(table, row), "rail": rail}, cells, found, interval)

    def _host(self, table: int, row: int) -> str:
        return self.view.device_names[int(self.rails.host[table, row])]

    def _signal(self, cause: str, subject: dict[str, Any], cells: Mask, found: Evidence, interval: Interval) -> Signal:
        at = np.flatnonzero(cells)
        worst = int(at[np.argmin(np.nan_to_num(self.ratio.ravel()[at], nan=1.0))])
        ports = sorted({port for cell in at.tolist() for port in self.rails.ports(cell)})
        paused = float(np.nan_to_num(found.paused.ravel()[worst]))
        values = {
            "rate_of_neighbours": float(self.ratio.ravel()[worst]), "mads": float(self.score.ravel()[worst]),
            "paused_share": paused, "stalled_share": float(np.nan_to_num(found.stalled.ravel()[worst])),
            "windows": max(int(many.ravel()[worst]) for many in (self.taking, self.sending, self.reading)),
            "rails": len(at), "window_s": interval.nominal_s,
        }  # fmt: skip
        onset = int(self.onset_ns.ravel()[worst]) or None
        return Signal(self.code, cause, subject, values, tuple(ports), onset)


@dataclass(frozen=True)
class Scored:
    """Of each cell: log of its rate over its neighbours', and that in deviations; NaN where nothing is suspected."""

    deviation: Floats
    score: Floats


def _counted(windows: Ints, low: Mask, known: Mask) -> Ints:
    """Windows in a row that are low; those that say nothing leave the count alone."""
    return np.where(known, np.where(low, windows + 1, 0), windows)


def _most(slow: Mask, known: Mask, axis: int) -> Mask:
    """Rows or columns of which all cells that say anything, and enough of them, are slow."""
    count, of = slow.sum(axis=axis), known.sum(axis=axis)
    found: Mask = (count >= LEAST) & (count >= 0.75 * of)
    return found
