"""What ``railwright collect`` shows while it runs: a live table on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from collectors.sources import Poll

MOST_ROWS = 24
WELL = ("ok", "empty")


@dataclass
class Line:
    """What is known of a device by one source."""

    outcome: str = ""
    detail: str = ""
    seconds: float = 0.0
    rows: int = 0
    polls: int = 0
    at: float = 0.0
    sums: tuple[float, float] | None = None
    rates: tuple[float, float] | None = None


class Board:
    """The latest of every device, fed with polls."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], Line] = {}
        self.outcomes: Counter[str] = Counter()

    def watch(self, polls: Sequence[Poll]) -> None:
        """Take what polls gave."""
        for poll in polls:
            line = self.lines.setdefault((poll.device, poll.source), Line())
            now = (poll.started_ns + poll.seconds * 1e9) / 1e9
            self._rate(line, poll, now)
            line.outcome, line.detail, line.seconds = str(poll.outcome), poll.detail, poll.seconds
            line.rows, line.polls, line.at = poll.rows.height + poll.flows.height, line.polls + 1, now
            self.outcomes[line.outcome] += 1

    def _rate(self, line: Line, poll: Poll, now: float) -> None:
        """Bits a second in and out of all ports, since the poll before; unknown where a counter went down."""
        if not {"rx_bytes", "tx_bytes"} <= set(poll.rows.columns):
            return
        sums = (float(poll.rows["rx_bytes"].sum() or 0), float(poll.rows["tx_bytes"].sum() or 0))
        if line.sums is not None and now > line.at and all(b >= a for a, b in zip(line.sums, sums, strict=True)):
            before = line.sums
            rates = [8 * (b - a) / (now - line.at) for a, b in zip(before, sums, strict=True)]
            line.rates = (rates[0], rates[1])
        line.sums = sums

    def shown(self) -> list[tuple[tuple[str, str], Line]]:
        """As many as fit, those that are not well first."""
        order = sorted(self.lines.items(), key=lambda item: (item[1].outcome in WELL, item[0]))
        return order[:MOST_ROWS]

    def table(self, health: Mapping[str, Mapping[str, float]]) -> Table:
        """For a terminal."""
        from rich.table import Table

        made = Table(caption=summary(self, health), caption_justify="left")
        for name in ("device", "source", "outcome"):
            made.add_column(name)
        for name in ("took", "rows", "in", "out", "polls", "age"):
            made.add_column(name, justify="right")
        for (device, source), line in self.shown():
            style = "" if line.outcome in WELL else "bold red"
            made.add_row(device, source, line.outcome, *_numbers(line), style=style)
        return made

    def text(self, health: Mapping[str, Mapping[str, float]]) -> str:
        """The same without colours or frames."""
        head = ("device", "source", "outcome", "took", "rows", "in", "out", "polls", "age")
        cells = [head, *((*key, line.outcome, *_numbers(line)) for key, line in self.shown())]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if n < 3 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        return "\n".join([*(line.rstrip() for line in lines), summary(self, health)])


def _numbers(line: Line) -> tuple[str, ...]:
    rates = ("", "") if line.rates is None else (bits(line.rates[0]), bits(line.rates[1]))
    age = max(0.0, time.time() - line.at)
    return (f"{line.seconds * 1000:.0f} ms", f"{line.rows:,}", *rates, f"{line.polls:,}", f"{age:.0f} s")


def bits(rate: float) -> str:
    """``1.5 Gb/s``."""
    for unit, size in (("Tb/s", 1e12), ("Gb/s", 1e9), ("Mb/s", 1e6), ("kb/s", 1e3)):
        if rate >= size:
            return f"{rate / size:.1f} {unit}"
    return f"{rate:.0f} b/s"


def summary(board: Board, health: Mapping[str, Mapping[str, float]]) -> str:
    """One line: devices, polls by outcome, rows stored, how late."""
    polls = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(board.outcomes.items()))
    said = [f"{len({device for device, _ in board.lines}):,} devices", f"polls: {polls or 'none yet'}"]
    writer: Mapping[str, Any] = health.get("writer", {})
    if writer:
        said.append(f"{writer['rows']:,.0f} rows stored, {writer['lag_seconds']:.1f} s after their poll")
    behind = health.get("schedule", {})
    if behind.get("late") or behind.get("skipped"):
        said.append(f"fell behind: {behind['late']:,.0f} late, {behind['skipped']:,.0f} skipped")
    return "; ".join(said)
