"""Recorded time that goes on by steps, as whoever plays a recording says: a day on the wire in as long as it takes.

Sources stamp what they read with this machine's clock. ``Steps`` remembers when it stood at which recorded time, so
that stamps, the kernel's of datagrams too, become recorded time again before samples go to the collector.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

import polars as pl

from collectors.sources import Poll

TIMES = ("time_ns", "received_ns")


class Steps:
    """A clock that stands still at a recorded time until it is put on; agents and servers take it for ``Clock``."""

    def __init__(self, times: Sequence[int]) -> None:
        """``times``: of the samples, in order. It stands before the first of them."""
        self.times = list(times)
        self._ours, self._recorded = [time.time_ns()], [self.times[0] - 1]

    def to(self, recorded_ns: int) -> None:
        """From now on it is that time, which must not be before the one until now."""
        assert recorded_ns >= self._recorded[-1]
        self._recorded.append(recorded_ns)
        self._ours.append(max(time.time_ns(), self._ours[-1] + 1))

    def now_ns(self) -> int:
        """Recorded time now."""
        return self._recorded[-1]

    def sample(self) -> int:
        """Time of the newest sample that is not in the future; before the first, a time of which there are none."""
        at = bisect_right(self.times, self._recorded[-1])
        return self.times[at - 1] if at else self.times[0] - 1

    def over(self) -> bool:
        """Never: whoever steps ends it."""
        return False

    def ours(self, recorded_ns: int) -> int:
        """The clock of this machine when it first was that recorded time, or later."""
        at = bisect_left(self._recorded, recorded_ns)
        return self._ours[min(at, len(self._ours) - 1)]

    def recorded(self, ours_ns: int) -> int:
        """Recorded time at a moment of this machine's clock."""
        return self._recorded[max(bisect_right(self._ours, ours_ns) - 1, 0)]

    def translated(self, polls: Iterable[Poll]) -> list[Poll]:
        """Polls with recorded times. One belongs to the time at which it ended."""
        return [
            replace(
                poll,
                started_ns=self.recorded(poll.started_ns + round(poll.seconds * 1e9)),
                seconds=0.0,
                rows=self._table(poll.rows),
                flows=self._table(poll.flows),
            )
            for poll in polls
        ]

    def _table(self, table: pl.DataFrame) -> pl.DataFrame:
        if table.is_empty():
            return table
        columns = (table[name].to_list() for name in TIMES)
        return table.with_columns(
            pl.Series(name, [self.recorded(ours_ns) for ours_ns in column])
            for name, column in zip(TIMES, columns, strict=True)
        )
