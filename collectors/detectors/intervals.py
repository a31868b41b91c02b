"""Tables of samples into intervals: ``Intervals`` is fed them in any order within an interval.

It keeps, of each counter and port, the last sample before the interval and the last one in it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from collectors.detectors.columns import NEVER, Bits, Last, Rows, Texts, Values, arrays, counted, one_table
from collectors.detectors.ids import Ids
from collectors.detectors.interval import Interval
from collectors.detectors.view import Ints, Mask, View
from collectors.rates import UPTIME
from fabric.samples import empty_flows, empty_outcomes

MOST_COLUMNS = 512
"""Of one fabric: every counter with each of its priorities, queues, lanes and bins is fewer."""
MOST_UPTIME_S = 1e9
MOST_AHEAD = 360
"""Intervals that samples wait for theirs; a device whose clock is further ahead has none that count."""


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
        """The flow samples with the ids of their ports; no other column is touched, however many rows there are."""
        if not flows:
            return self._no_flows
        found = pl.concat(flows)
        devices = self._ids.devices(found["device"])
        ids = {side: pl.Series(self._ids.ports(devices, found[f"{side}_port"])) for side in ("in", "out")}
        return found.with_columns(pl.when(known >= 0).then(known).alias(f"{side}_id") for side, known in ids.items())


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
