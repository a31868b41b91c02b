"""One interval's numbers by port: what each counter rose, what each gauge said, and the flows that were sampled.

``Intervals`` is fed tables of samples (``fabric.samples``) in any order within an interval and keeps, of each counter
and port, the last sample before the interval and the last one in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from collectors.detectors.columns import NEVER, Bits, Ids, Last, Rows, Texts, Values, arrays, counted, one_table
from collectors.detectors.view import Floats, Ints, Mask, View
from collectors.rates import DISCONTINUITY, UPTIME, plain, refused_times, refused_values
from fabric.counters import parse
from fabric.samples import empty_flows, empty_outcomes

MOST_COLUMNS = 512
"""Of one fabric: every counter with each of its priorities, queues, lanes and bins is fewer."""
MOST_UPTIME_S = 1e9
MOST_AHEAD = 360
"""Intervals that samples wait for theirs; a device whose clock is further ahead has none that count."""
__all__ = ["NEVER", "Interval", "Intervals", "Last"]


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


class Intervals:
    """Turns tables of samples into intervals. It holds two samples a counter and port, and what is yet to come."""

    def __init__(self, view: View, interval_ns: int) -> None:
        """``interval_ns``: length of an interval."""
        self.view, self.interval_ns = view, interval_ns
        self._now: dict[str, Last] = {}
        self._texts = Texts(view.ports)
        self._boots = np.full(len(view.device_names), NEVER)
        self._ids = Ids(view)
        self._no_flows = empty_flows().with_columns(in_id=pl.lit(None, pl.Int64), out_id=pl.lit(None, pl.Int64))
        self._never = np.full(view.ports, NEVER)
        self._waiting: tuple[list[pl.DataFrame], list[pl.DataFrame], list[pl.DataFrame]] = ([], [], [])

    def feed(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """Take samples; those of intervals already stepped over are left out by the next step."""
        for frame, waiting in zip((counters, flows, outcomes), self._waiting, strict=True):
            if frame is not None and not frame.is_empty():
                waiting.append(frame)

    @property
    def waiting(self) -> int:
        """Rows that are held for their interval."""
        return sum(frame.height for frames in self._waiting for frame in frames)

    def step(self, end_ns: int) -> Interval:
        """The interval that ends at ``end_ns``; samples after it wait."""
        start_ns = end_ns - self.interval_ns
        last_ns = end_ns + MOST_AHEAD * self.interval_ns
        parts = [_parted(frames, start_ns, end_ns, last_ns) for frames in self._waiting]
        (rows, flows, outcomes), later = [part[0] for part in parts], [part[1] for part in parts]
        self._waiting = (later[0], later[1], later[2])
        before, self._now = self._now, dict(self._now)
        heard = np.zeros(self.view.ports, dtype=bool)
        strangers = self._take(one_table([counted(frame) for frame in rows]), heard) if rows else 0
        return Interval(
            self.view, start_ns, end_ns, before, self._now, self._texts.by_column, self._boots.copy(),
            self._named(flows), pl.concat(outcomes) if outcomes else empty_outcomes(), strangers, heard,
        )  # fmt: skip

    def _take(self, frame: pl.DataFrame, heard: Mask) -> int:
        """Take over the last values of a table; gives the number of rows of ports that the plan does not have."""
        devices, ids = self._ids.of(frame["device"], frame["port"])
        mine = ids[ids >= 0]
        heard[mine] = True
        received = frame["received_ns"].fill_null(NEVER).to_numpy()
        single = int(np.count_nonzero(heard)) == len(mine)
        rows = Rows(ids, frame["time_ns"].to_numpy(), received, self.view.ports, single)
        for column, values, valid in arrays(frame):
            if column == UPTIME and values is not None:
                self._uptimes(devices, rows.time_ns, values, valid)
            if column not in self._now and len(self._now) >= MOST_COLUMNS:
                continue
            if values is None:
                self._texts.take(column, frame[column], rows, valid)
            elif len(at := rows.pick(valid)):
                self._now[column] = rows.onto(self._last(column, values), values, at)
        return frame.height - frame["port"].null_count() - len(mine)

    def _last(self, column: str, values: Values) -> Last:
        found = self._now.get(column)
        return Last(np.zeros(self.view.ports, values.dtype), self._never, self._never) if found is None else found

    def _uptimes(self, devices: Ints, time_ns: Ints, uptime_s: Values, valid: Bits) -> None:
        """Take over when agents started, by the last sample of each that tells it."""
        good = (devices >= 0) & (uptime_s >= 0) & (uptime_s <= MOST_UPTIME_S)
        if len(valid):
            good &= np.unpackbits(valid, count=len(good), bitorder="little").astype(bool)
        rows = np.flatnonzero(good)
        rows = rows[np.argsort(time_ns[rows], kind="stable")]
        self._boots[devices[rows]] = time_ns[rows] - (uptime_s[rows] * 1e9).astype(np.int64)

    def _named(self, flows: list[pl.DataFrame]) -> pl.DataFrame:
        if not flows:
            return self._no_flows
        found = pl.concat(flows)
        for side in ("in", "out"):
            keys = self.view.keys.rename({"port": f"{side}_port", "id": f"{side}_id"})
            found = found.join(keys, on=["device", f"{side}_port"], how="left", maintain_order="left")
        return found


def _parted(
    frames: list[pl.DataFrame], start_ns: int, end_ns: int, last_ns: int
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Rows of the interval, and rows after it up to the last, table by table; rows before it are late and left out."""
    mine: list[pl.DataFrame] = []
    later: list[pl.DataFrame] = []
    for frame in frames:
        if _all_inside(frame["time_ns"], start_ns, end_ns):
            mine.append(frame)
            continue
        inside = (pl.col("time_ns") > start_ns) & (pl.col("time_ns") <= end_ns)
        for rows, into in ((inside, mine), (pl.col("time_ns").is_between(end_ns + 1, last_ns), later)):
            part = frame.filter(rows)
            if not part.is_empty():
                into.append(part)
    return mine, later


def _all_inside(times: pl.Series, start_ns: int, end_ns: int) -> bool:
    if times.null_count() or times.dtype != pl.Int64:
        return False
    return bool(times.min() > start_ns and times.max() <= end_ns)  # type: ignore[operator]
