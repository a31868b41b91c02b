"""One interval's numbers by port: what each counter rose, what each gauge said, and the flows that were sampled.

``Intervals`` is fed tables of samples (``fabric.samples``) in any order within an interval and keeps, of each counter
and port, the last sample before the interval and the last one in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from collectors.detectors.view import Floats, Ints, Mask, View
from collectors.rates import DISCONTINUITY, UPTIME, reason
from fabric.counters import parse
from fabric.samples import KEYS, empty_flows, empty_outcomes

NEVER = int(np.iinfo(np.int64).min)
ALL = slice(None)
MOST_COLUMNS = 512
"""Of one fabric: every counter with each of its priorities, queues, lanes and bins is fewer."""
Values = npt.NDArray[Any]


@dataclass
class Last:
    """The last sample of one column by port: value, the device's time and ours; NEVER where there is none."""

    value: Values
    time_ns: Ints
    received_ns: Ints

    @classmethod
    def none(cls, ports: int, dtype: npt.DTypeLike) -> Last:
        """Nothing seen yet."""
        return cls(np.zeros(ports, dtype), np.full(ports, NEVER), np.full(ports, NEVER))

    def of(self, rows: Ints | slice) -> Last:
        """Those of some ports."""
        return Last(self.value[rows], self.time_ns[rows], self.received_ns[rows])

    def copy(self) -> Last:
        """The same, apart from later changes."""
        return Last(self.value.copy(), self.time_ns.copy(), self.received_ns.copy())


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

    @property
    def nominal_s(self) -> float:
        """The interval's length."""
        return (self.end_ns - self.start_ns) / 1e9

    def numbers(self, name: str) -> Iterator[tuple[int, str]]:
        """Priorities, queues, lanes or bins of a counter that were ever seen, and their columns."""
        found = ((parse(column), column) for column in self.now)
        rows = [(known[1], column) for known, column in found if known is not None and known[0].name == name]
        yield from sorted((number, column) for number, column in rows if number is not None)

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
        now, before = self.now.get(column), self.before.get(column)
        if now is None or before is None:
            return np.full(self.view.ports, np.nan)
        both = self._fresh(now) & (before.time_ns != NEVER)
        changed = np.flatnonzero(both & (now.value != before.value))
        found = np.where(both, 0.0, np.nan)
        if len(changed):
            found[changed] = self._arithmetic(column, changed)[0]
        return found

    def seconds(self, column: str) -> Floats:
        """How long that took, by the device's clock."""
        return self._pair(column)[1]

    def rate(self, column: str) -> Floats:
        """Rise a second."""
        delta, seconds = self._pair(column)
        return delta / seconds

    def gauge(self, column: str) -> Floats:
        """The last value in the interval."""
        found = self.now.get(column)
        if found is None:
            return np.full(self.view.ports, np.nan)
        return np.where(self._fresh(found), found.value.astype(np.float64), np.nan)

    def fresh(self, column: str) -> Mask:
        """Ports of which a sample of the column came in the interval."""
        found = self.now.get(column)
        return np.zeros(self.view.ports, dtype=bool) if found is None else self._fresh(found)

    def _fresh(self, found: Last) -> Mask:
        return (found.time_ns > self.start_ns) & (found.time_ns <= self.end_ns)

    def _pair(self, column: str) -> tuple[Floats, Floats]:
        if column not in self._risen:
            self._risen[column] = self._arithmetic(column)
        return self._risen[column]

    def _arithmetic(self, column: str, rows: Ints | slice = ALL) -> tuple[Floats, Floats]:
        """The rules of ``collectors.rates`` on whole arrays, or on some ports."""
        now, before, known = self.now.get(column), self.before.get(column), parse(column)
        if now is None or before is None or known is None:
            return np.full(self.view.ports, np.nan), np.full(self.view.ports, np.nan)
        now, before = now.of(rows), before.of(rows)
        both = self._fresh(now) & (before.time_ns != NEVER) & (now.time_ns > before.time_ns)
        frame = pl.DataFrame(self._columns(now, before, both, rows))
        floating = now.value.dtype.kind == "f"
        bad = reason(known[0].bits or 64, floating=floating, discontinuity=DISCONTINUITY in frame.columns)
        good = frame.select(bad.is_null()).to_series().to_numpy() & both
        delta = np.where(good, now.value - before.value, 0).astype(np.float64)
        seconds = np.where(good, now.time_ns - before.time_ns, 1) / 1e9
        return np.where(good, delta, np.nan), np.where(good, seconds, np.nan)

    def _columns(self, now: Last, before: Last, both: Mask, rows: Ints | slice) -> dict[str, Values | pl.Series]:
        """What the rules look at; where there are not both samples, anything harmless."""
        boots = self.boots_ns[self.view.device[rows]]
        found: dict[str, Values | pl.Series] = {
            "value": now.value,
            "value_before": before.value,
            "time_ns": np.where(both, now.time_ns, 0),
            "time_ns_before": np.where(both, before.time_ns, 0),
            "received_ns": np.where(both, now.received_ns, 0),
            "received_ns_before": np.where(both, before.received_ns, 0),
            "boot_ns": boots,
        }
        first, second = self.now.get(DISCONTINUITY), self.before.get(DISCONTINUITY)
        if first is not None and second is not None:
            first, second = first.of(rows), second.of(rows)
            seen = (first.time_ns != NEVER) & (second.time_ns != NEVER)
            found[DISCONTINUITY] = np.where(seen, first.value, 0.0)
            found[f"{DISCONTINUITY}_before"] = np.where(seen, second.value, 0.0)
        return found


class Intervals:
    """Turns tables of samples into intervals. It holds two samples a counter and port, and what is yet to come."""

    def __init__(self, view: View, interval_ns: int) -> None:
        """``interval_ns``: length of an interval."""
        self.view, self.interval_ns = view, interval_ns
        self._now: dict[str, Last] = {}
        self._texts: dict[str, dict[int, str]] = {}
        self._boots = np.full(len(view.device_names), NEVER)
        self._waiting: tuple[list[pl.DataFrame], list[pl.DataFrame], list[pl.DataFrame]] = ([], [], [])

    def feed(
        self, counters: pl.DataFrame, flows: pl.DataFrame | None = None, outcomes: pl.DataFrame | None = None
    ) -> None:
        """Take samples; those of intervals already stepped over are left out by the next step."""
        for frame, waiting in zip((counters, flows, outcomes), self._waiting, strict=True):
            if frame is not None and not frame.is_empty():
                waiting.append(frame)

    def step(self, end_ns: int) -> Interval:
        """The interval that ends at ``end_ns``; samples after it wait."""
        start_ns = end_ns - self.interval_ns
        parts = [_parted(frames, start_ns, end_ns) for frames in self._waiting]
        (rows, flows, outcomes), later = [part[0] for part in parts], [part[1] for part in parts]
        self._waiting = (later[0], later[1], later[2])
        before = {name: last.copy() for name, last in self._now.items()}
        heard = np.zeros(self.view.ports, dtype=bool)
        strangers = sum(self._take(frame, heard) for frame in rows)
        return Interval(
            self.view, start_ns, end_ns, before, self._now, self._texts, self._boots.copy(),
            self._named(flows), pl.concat(outcomes) if outcomes else empty_outcomes(), strangers, heard,
        )  # fmt: skip

    def _take(self, frame: pl.DataFrame, heard: Mask) -> int:
        """Take over the last values of a table; gives the number of rows of ports that the plan does not have."""
        self._uptimes(frame)
        ported = frame.filter(pl.col("port").is_not_null())
        if ported.is_empty():
            return 0
        rows = ported.sort("time_ns").join(self.view.keys, on=["device", "port"], how="inner", maintain_order="left")
        ids = rows["id"].to_numpy()
        heard[ids] = True
        for column in rows.columns:
            known = parse(column) if column not in KEYS else None
            if known is None or (column not in self._now and len(self._now) >= MOST_COLUMNS):
                continue
            held = rows[column].is_not_null().to_numpy()
            if held.any():
                self._keep(column, known[0].kind == "text", rows.filter(held), ids[held])
        return ported.height - rows.height

    def _keep(self, column: str, text: bool, rows: pl.DataFrame, ids: Ints) -> None:
        if text:
            self._texts.setdefault(column, {}).update(zip(ids.tolist(), rows[column], strict=True))
            return
        values = rows[column].to_numpy()
        last = self._now.setdefault(column, Last.none(self.view.ports, values.dtype))
        last.value[ids] = values
        last.time_ns[ids] = rows["time_ns"].to_numpy()
        last.received_ns[ids] = rows["received_ns"].to_numpy()

    def _uptimes(self, frame: pl.DataFrame) -> None:
        if UPTIME not in frame.columns:
            return
        known = frame.filter(pl.col(UPTIME).is_not_null()).sort("time_ns").select("device", "time_ns", UPTIME)
        for device, time_ns, uptime in known.iter_rows():
            number = self.view.device_ids.get(device)
            if number is not None:
                self._boots[number] = time_ns - int(uptime * 1e9)

    def _named(self, flows: list[pl.DataFrame]) -> pl.DataFrame:
        found = pl.concat(flows) if flows else empty_flows()
        for side in ("in", "out"):
            keys = self.view.keys.rename({"port": f"{side}_port", "id": f"{side}_id"})
            found = found.join(keys, on=["device", f"{side}_port"], how="left", maintain_order="left")
        return found


def _parted(frames: list[pl.DataFrame], start_ns: int, end_ns: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Rows of the interval and rows after it, table by table; rows before it are late and left out."""
    mine: list[pl.DataFrame] = []
    later: list[pl.DataFrame] = []
    for frame in frames:
        inside = (pl.col("time_ns") > start_ns) & (pl.col("time_ns") <= end_ns)
        for rows, into in ((inside, mine), (pl.col("time_ns") > end_ns, later)):
            part = frame.filter(rows)
            if not part.is_empty():
                into.append(part)
    return mine, later
