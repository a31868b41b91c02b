"""One interval's numbers by port: what each counter rose, what each gauge said, and the flows that were sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from collectors.detectors.columns import NEVER, Last, Values
from collectors.detectors.view import Floats, Ints, Mask, View
from collectors.rates import DISCONTINUITY, plain, refused_times, refused_values
from fabric.counters import parse

__all__ = ["NEVER", "Interval", "Last"]


class Times:
    """What the times of two samples say, for all columns that came in the same rows."""

    def __init__(self, interval: Interval, now: Last, before: Last) -> None:
        """Of the interval's two samples of a column."""
        self._interval, self._now, self._before = interval, now, before
        self.fresh = interval._is_fresh(now)
        self.both: Mask = self.fresh & before.known
        self.still: Floats = _closed(np.where(self.both, 0.0, np.nan))
        """0 where there are both samples, NaN elsewhere."""

    @cached_property
    def bad(self) -> Mask:
        """Ports without two samples with a known time between them."""
        found = ~self.both | (self._now.time_ns <= self._before.time_ns)
        rows = np.flatnonzero(~found)
        now, before = self._now, self._before
        boots = self._interval.boots_ns[self._interval.view.device[rows]]
        marks = self._interval.marks
        for wrong, _ in refused_times(
            now.time_ns[rows], before.time_ns[rows], now.received_ns[rows], before.received_ns[rows], boots,
            None if marks is None else (marks[0][rows], marks[1][rows]),
        ):  # fmt: skip
            found[rows[wrong]] = True
        return found

    @cached_property
    def seconds(self) -> Floats:
        """From one sample to the other; NaN where that is not known."""
        found = np.full(len(self.both), np.nan)
        good = np.flatnonzero(~self.bad)
        found[good] = (self._now.time_ns[good] - self._before.time_ns[good]) / 1e9
        return _closed(found)


@dataclass
class Interval:
    """The interval (start_ns, end_ns], good until the next is made. Arrays are by port id; NaN: nothing is known."""

    view: View
    start_ns: int
    end_ns: int
    before: dict[str, Last]
    now: dict[str, Last]
    texts: dict[str, dict[int, str]]
    boots_ns: Ints
    """By device: when its agent last started, NEVER where unknown."""
    flows: pl.DataFrame
    """Flow samples with ``in_id``, ``out_id`` (port ids, null where unknown)."""
    outcomes: pl.DataFrame
    strangers: int
    """Rows of devices or ports that the plan does not have."""
    heard: Mask
    """Ports of which anything came in the interval."""
    _risen: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)
    _seldom: dict[str, Floats] = field(default_factory=dict)
    _gauges: dict[str, Floats] = field(default_factory=dict)
    _rates: dict[str, Floats] = field(default_factory=dict)
    _times: dict[tuple[int, ...], Times] = field(default_factory=dict)
    _fresh: dict[int, Mask] = field(default_factory=dict)

    @property
    def nominal_s(self) -> float:
        """The interval's length."""
        return (self.end_ns - self.start_ns) / 1e9

    def numbers(self, name: str) -> Iterator[tuple[int, str]]:
        """Priorities, queues, lanes or bins of a counter that were ever seen, and their columns."""
        yield from self._numbers.get(name, ())

    @cached_property
    def _numbers(self) -> dict[str, list[tuple[int, str]]]:
        found: dict[str, list[tuple[int, str]]] = {}
        for column in self.now:
            known = parse(column)
            if known is not None and known[1] is not None:
                found.setdefault(known[0].name, []).append((known[1], column))
        return {name: sorted(columns) for name, columns in found.items()}

    def delta(self, column: str) -> Floats:
        """What the counter rose since its last sample before the interval; NaN without two good samples."""
        return self._pair(column)[0]

    def risen(self, column: str) -> Floats:
        """As ``delta``, for counters that seldom rise: one that shows the same as before is taken to have stood still.

        The rules are looked at for the ports whose counter changed; the same after a restart, or stuck, is 0 here.
        """
        if column not in self._seldom:
            self._seldom[column] = self._risen[column][0] if column in self._risen else self._changes(column)
        return self._seldom[column]

    def _changes(self, column: str) -> Floats:
        now, before, known = self.now.get(column), self.before.get(column), parse(column)
        if now is None or before is None or known is None:
            return self._nothing
        times = self._times_of(now, before)
        if now.value is before.value:
            return times.still
        changed = np.flatnonzero(times.both & (now.value != before.value))
        if not len(changed):
            return times.still
        found = times.still.copy()
        found[changed] = _rise(known[0].bits, now.value[changed], before.value[changed], times.bad[changed])
        return _closed(found)

    def seconds(self, column: str) -> Floats:
        """How long that took, by the device's clock."""
        return self._pair(column)[1]

    def rate(self, column: str) -> Floats:
        """Rise a second."""
        if column not in self._rates:
            delta, seconds = self._pair(column)
            self._rates[column] = _closed(delta / seconds)
        return self._rates[column]

    def gauge(self, column: str) -> Floats:
        """The last value in the interval."""
        if column not in self._gauges:
            found = self.now.get(column)
            if found is None:
                return self._nothing
            self._gauges[column] = _closed(np.where(self._is_fresh(found), found.value, np.nan).astype(np.float64))
        return self._gauges[column]

    def fresh(self, column: str) -> Mask:
        """Ports of which a sample of the column came in the interval."""
        found = self.now.get(column)
        return np.zeros(self.view.ports, dtype=bool) if found is None else self._is_fresh(found)

    def _is_fresh(self, found: Last) -> Mask:
        key = id(found.time_ns)
        if key not in self._fresh:
            fresh = (found.time_ns > self.start_ns) & (found.time_ns <= self.end_ns)
            fresh.flags.writeable = False
            self._fresh[key] = fresh
        return self._fresh[key]

    @cached_property
    def _nothing(self) -> Floats:
        return _closed(np.full(self.view.ports, np.nan))

    @cached_property
    def marks(self) -> tuple[Floats, Floats] | None:
        """When each port's counters were last interrupted, as told now and before; the same where one is unknown."""
        now, before = self.now.get(DISCONTINUITY), self.before.get(DISCONTINUITY)
        if now is None or before is None or now.value is before.value:
            return None
        return now.value, np.where(now.known & before.known, before.value, now.value)

    def _times_of(self, now: Last, before: Last) -> Times:
        key = id(now.time_ns), id(now.received_ns), id(before.time_ns), id(before.received_ns)
        if key not in self._times:
            self._times[key] = Times(self, now, before)
        return self._times[key]

    def _pair(self, column: str) -> tuple[Floats, Floats]:
        if column not in self._risen:
            self._risen[column] = self._arithmetic(column)
        return self._risen[column]

    def _arithmetic(self, column: str) -> tuple[Floats, Floats]:
        """The rules of ``collectors.rates`` on whole arrays."""
        now, before, known = self.now.get(column), self.before.get(column), parse(column)
        if now is None or before is None or known is None:
            return self._nothing, self._nothing
        times = self._times_of(now, before)
        delta = _closed(_rise(known[0].bits, now.value, before.value, times.bad))
        seconds = times.seconds
        refused = np.isnan(delta) & ~times.bad
        return delta, _closed(np.where(refused, np.nan, seconds)) if refused.any() else seconds


def _rise(bits: int | None, now: Values, before: Values, bad: Mask) -> Floats:
    """What counters rose, NaN where the times are bad or the rules refuse the values."""
    found: Floats = (now - before).astype(np.float64)
    found[bad] = np.nan
    if not plain(bits or 64, now, before):
        for wrong, _ in refused_values(bits or 64, now, before):
            found[wrong] = np.nan
    return found


def _closed(values: Floats) -> Floats:
    """An array that several detectors are given: none may change it."""
    values.flags.writeable = False
    return values
