"""silence: a source that stopped, a device that is down, or one whose clock puts its samples out of the interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from collectors.detectors import Signal
from collectors.detectors.ids import Ids, codes
from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.pauses.places import device as place
from collectors.detectors.policy import Policy
from collectors.detectors.view import NONE, Ints, Mask, View
from fabric.samples import Outcome

FAILED = [str(one) for one in (
    Outcome.SILENT, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.DENIED, Outcome.FAILED,
)]  # fmt: skip
"""Outcomes of a source that says nothing at all."""
ANSWERED = [str(one) for one in (Outcome.OK, Outcome.PARTIAL, Outcome.EMPTY)]
OUTCOMES = pl.Enum([*ANSWERED, *FAILED])
"""Those that say something of a source: by its place in the list, which."""
DOWN_STATES = (2.0, 6.0, 7.0)
"""IF-MIB: down, not present, lower layer down."""
SOURCES_NAMED = 8


class Silence:
    """The detector. By device: when it was last heard; by device and source: how often in a row it failed."""

    code = "silence"

    def __init__(self, view: View, policy: Policy) -> None:
        """``policy.silence`` has the thresholds."""
        self.view, self.policy = view, policy.silence
        count = len(view.device_names)
        self.ids = Ids(view)
        self.heard_ns: Ints = np.full(count, NEVER)
        self.boots_ns: Ints = np.full(count, NEVER)
        self.streak: dict[str, Ints] = {}
        self.answered: dict[str, Mask] = {}
        self.unplaced: Ints = np.zeros(count, dtype=np.int64)
        self.absent: Ints = np.zeros(count, dtype=np.int64)

    def step(self, interval: Interval) -> Iterable[Signal]:
        """A signal a device."""
        heard = np.zeros(len(self.heard_ns), dtype=bool)
        heard[self.view.device[interval.heard]] = True
        answers, fails = self._polls(interval)
        if not (heard.any() or answers.any() or fails.any()):
            return []  # nothing at all came: that is our own side
        known = self.heard_ns != NEVER
        self.absent = np.where(heard | answers | fails, 0, self.absent + 1)
        self.unplaced = np.where(answers & ~heard, self.unplaced + 1, 0)
        gone = known & ~heard & ~answers
        down = self._down(interval, gone, heard) | self._restarted(interval, heard)
        stopped = known & ~down & (self._failing() | (gone & (self.absent >= self.policy.absent)))
        clock = known & (self.unplaced >= self.policy.absent)
        found = list(self._signals(interval, down, stopped, clock & ~down & ~stopped))
        self.heard_ns[heard] = interval.end_ns
        return found

    def _polls(self, interval: Interval) -> tuple[Mask, Mask]:
        """Devices of which a source answered with rows, and devices of which one failed."""
        count = len(self.heard_ns)
        answers, fails = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        for source, ids, good, bad, rows in self._by_source(interval.outcomes):
            streak = self.streak.setdefault(source, np.zeros(count, dtype=np.int64))
            answered = self.answered.setdefault(source, np.zeros(count, dtype=bool))
            streak[ids] = np.where(good, 0, np.where(bad, streak[ids] + 1, streak[ids]))
            answered[ids] |= good
            answers[ids] |= good & rows
            fails[ids] |= bad & ~good
        return answers, fails

    def _by_source(self, outcomes: pl.DataFrame) -> Iterator[tuple[str, Ints, Mask, Mask, Mask]]:
        """Of each source: devices, and whether any of their polls was answered, failed, brought rows."""
        if outcomes.is_empty():
            return
        sources = sorted(set(outcomes["source"].to_list()) - {None})
        ids, source = self.ids.devices(outcomes["device"]), codes(outcomes["source"], pl.Enum(sources))
        said, rows = codes(outcomes["outcome"], OUTCOMES), outcomes["rows"].cast(pl.Float64).to_numpy()
        mine = (ids >= 0) & (source >= 0)
        count = len(self.heard_ns)
        cell = (source.astype(np.int64) * count + ids)[mine]
        told, good, bad, some = (
            np.bincount(cell[which[mine]], minlength=len(sources) * count).reshape(-1, count) > 0
            for which in (mine, (said >= 0) & (said < len(ANSWERED)), said >= len(ANSWERED), rows > 0)
        )
        for number, name in enumerate(sources):
            here = np.flatnonzero(told[number])
            if len(here):
                yield name, here, good[number, here], bad[number, here], some[number, here]

    def _failing(self) -> Mask:
        """Devices of which a source that had answered failed often enough."""
        found: Mask = np.zeros(len(self.heard_ns), dtype=bool)
        for source, streak in self.streak.items():
            found |= self.answered[source] & (streak >= self.policy.failed)
        return found

    def _down(self, interval: Interval, gone: Mask, heard: Mask) -> Mask:
        """Devices that went away and whose neighbours say that the ports to them are down."""
        if not gone.any():
            return np.zeros(len(gone), dtype=bool)
        status = interval.gauge("oper_status")
        found: Mask = gone & self._agreed(np.isin(status, DOWN_STATES), np.isfinite(status), heard)
        return found

    def _restarted(self, interval: Interval, heard: Mask) -> Mask:
        """Devices whose agent began anew in the interval while their neighbours saw the links go."""
        boots = interval.boots_ns
        anew = heard & (self.boots_ns != NEVER) & (boots > interval.start_ns) & (boots > self.boots_ns)
        self.boots_ns = np.where(boots != NEVER, boots, self.boots_ns)
        if not anew.any():
            return np.zeros(len(anew), dtype=bool)
        lost = interval.delta("link_down_events")
        was_away = (self.heard_ns != NEVER) & (self.heard_ns < interval.start_ns)
        found: Mask = anew & (was_away | self._agreed(lost > 0, np.isfinite(lost), heard))
        return found

    def _agreed(self, says: Mask, known: Mask, heard: Mask) -> Mask:
        """Devices of whose neighbours that were heard enough say so of their ports to it."""
        peer, device = self.view.peer, self.view.device
        counts = (peer != NONE) & known & heard[device]
        about = device[peer[counts]]
        asked = np.bincount(about, minlength=len(heard))
        agreed = np.bincount(about, weights=says[counts], minlength=len(heard))
        found: Mask = (asked > 0) & (agreed >= self.policy.down_share * asked)
        return found

    def _signals(self, interval: Interval, down: Mask, stopped: Mask, clock: Mask) -> Iterator[Signal]:
        for number in np.flatnonzero(down | stopped | clock).tolist():
            cause = "down" if down[number] else "stopped" if stopped[number] else "clock"
            yield self._signal(interval, number, cause)

    def _signal(self, interval: Interval, number: int, cause: str) -> Signal:
        ports = np.flatnonzero(self.view.device == number)
        last = int(self.heard_ns[number])
        evidence: dict[str, Any] = {
            "last_heard_ns": last,
            "sources_failing": [s for s, streak in sorted(self.streak.items()) if streak[number]][:SOURCES_NAMED],
            "polls_failed": max((int(streak[number]) for streak in self.streak.values()), default=0),
        }
        masks: tuple[tuple[str, int], ...] = ()
        if cause == "down":
            peers = self.view.peer[ports]
            masks = tuple(("link", int(port)) for port in (*ports, *peers[peers != NONE]))
        onset = max(last, 0) if last < interval.start_ns else None
        subject = place(self.view, number)
        return Signal(self.code, cause, subject, evidence, tuple(ports.tolist()), onset_ns=onset, masks=masks)
