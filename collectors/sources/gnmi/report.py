"""What an interval of one stream gave: its rows, and its outcome with the reason."""

from __future__ import annotations

import time
from collections.abc import Iterator

import polars as pl

from collectors.sources import Outcome, Poll
from collectors.sources.gnmi.client import printable
from collectors.sources.gnmi.decoder import Counts
from collectors.sources.gnmi.stream import Stream
from fabric.samples import stacked

PATIENCE = 2.0
"""Periods without an update that are not yet silence: devices' clocks and ours do not agree when one ends."""
TOLERANCE = 0.001
"""Of a period: leaves of one sample stamped this close are one row, and a rate is off by at most twice that."""
CLOCK_NS = 60 * 10**9
"""A clock further off than this is remarked on."""
NAMED = 5
"""Ports that a detail names before it only counts."""
_LOST = {
    "malformed": "messages malformed", "oversized": "messages with too many updates",
    "dropped": "values over the bound", "unusable": "values that their counter cannot have",
}  # fmt: skip


class Report:
    """The intervals of one stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._told = self._polled = time.monotonic()
        self._polled_ns = time.time_ns()
        self._before = Counts()
        self._ports: set[str] = set()

    def poll(self) -> Poll | None:
        """What came since last time and how it stands; None while a quiet period is not yet silence."""
        stream = self.stream
        stream.watch()
        stream.decode()
        tolerance = int(stream.period * TOLERANCE * 1e9)
        taken = [decoder.take(stream.target.device, tolerance) for decoder in stream.decoders.values()]
        stream.emptied()
        rows, unknown = stacked(frame for frame, _ in taken), sum(number for _, number in taken)
        started_ns, seconds, counts = self._polled_ns, time.monotonic() - self._polled, stream.counts()
        outcome, reason = self._outcome(rows, counts)
        detail = "; ".join(filter(None, (reason, *self._remarks(counts), _clock(rows))))
        stream.failed, self._before = None, counts
        self._polled, self._polled_ns = time.monotonic(), time.time_ns()
        if outcome is None:
            return None
        return Poll("gnmi", stream.target.device, outcome, started_ns, seconds, rows, detail=detail, unknown=unknown)

    def _outcome(self, rows: pl.DataFrame, counts: Counts) -> tuple[Outcome | None, str]:
        end = self.stream.failed or self.stream.failure
        if not rows.is_empty():
            return self._partial(rows, counts)
        if counts.malformed > self._before.malformed:
            return Outcome.MALFORMED, ""
        if counts.oversized > self._before.oversized:
            return Outcome.OVERSIZED, ""
        if end is not None:
            return end.outcome, end.detail
        return self._quiet(counts)

    def _partial(self, rows: pl.DataFrame, counts: Counts) -> tuple[Outcome, str]:
        """Rows came: all that should have, or some."""
        self._told = time.monotonic()
        self._ports.update(rows["port"].drop_nulls().unique())
        end = self.stream.failed or self.stream.failure
        lost = any(getattr(counts, name) > getattr(self._before, name) for name in _LOST if name != "unusable")
        missing = self._missing()
        detail = "; ".join(filter(None, (end.detail if end else "", missing)))
        return (Outcome.PARTIAL if end or lost or missing else Outcome.OK), detail

    def _quiet(self, counts: Counts) -> tuple[Outcome | None, str]:
        """No rows, and nothing went wrong that is known of."""
        now = time.monotonic()
        if now - max(self._told, self.stream.connected) < PATIENCE * self.stream.period:
            return None, ""
        if self.stream.connected and counts.syncs and not self._ports:
            return Outcome.EMPTY, "it has none of what was asked for"
        return Outcome.SILENT, f"no update for {now - self._told:.0f} s"

    def _missing(self) -> str:
        """Ports of the plan that have never been told of, once two periods have passed."""
        connected = self.stream.connected
        if not connected or time.monotonic() - connected < PATIENCE * self.stream.period:
            return ""
        lacking = sorted({*self.stream.target.ports.values()} - self._ports)
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        return f"nothing of {', '.join(lacking[:NAMED])}{more}" if lacking else ""

    def _remarks(self, counts: Counts) -> Iterator[str]:
        for name, what in _LOST.items():
            lost = getattr(counts, name) - getattr(self._before, name)
            if lost:
                yield f"{lost} {what}"
        for decoder in self.stream.decoders.values():
            yield printable(decoder.error)
            decoder.error = ""


def _clock(rows: pl.DataFrame) -> str:
    """How far off the device's clock is, where that matters."""
    if rows.is_empty():
        return ""
    behind = (rows["received_ns"] - rows["time_ns"]).min()
    assert isinstance(behind, int)
    return (
        f"its clock is {abs(behind) / 1e9:.0f} s {'behind' if behind > 0 else 'ahead'}"
        if abs(behind) > CLOCK_NS
        else ""
    )
