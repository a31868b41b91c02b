"""How long what is kept how finely, and the down-sampling of what is older."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from collectors.store.tidy import MILLISECOND_NS
from fabric.counters import parse
from fabric.errors import InputError, Problem
from fabric.samples import KEYS

SECOND_NS = 1_000_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_PART = re.compile(r"(\d{1,9})([smhdw])")


@dataclass(frozen=True)
class Retention:
    """What is older than ``keep_ns`` goes; of counters older than ``fine_ns`` one row each ``step_ns`` stays.

    None: kept for ever, kept as fine as it came. Ages count back from ``now_ns``.
    """

    now_ns: int
    keep_ns: int | None = None
    fine_ns: int | None = None
    step_ns: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError where the ages do not go together."""
        problems = []
        if (self.fine_ns is None) != (self.step_ns is None):
            problems.append(Problem("retention", "down-sampling needs an age and a step", "give both or none"))
        if any(value is not None and value <= 0 for value in (self.keep_ns, self.fine_ns, self.step_ns)):
            problems.append(Problem("retention", "an age or step is not positive", "write one such as 30d"))
        if self.step_ns is not None and self.step_ns % SECOND_NS:
            problems.append(Problem("retention", "the step is no whole number of seconds", "write one such as 5m"))
        if problems:
            raise InputError(problems)

    @property
    def oldest_ns(self) -> int | None:
        """What came before is deleted."""
        return None if self.keep_ns is None else self.now_ns - self.keep_ns

    @property
    def coarse_before_ns(self) -> int | None:
        """What came before is down-sampled: a whole number of steps since 1970."""
        if self.fine_ns is None or self.step_ns is None:
            return None
        before = self.now_ns - self.fine_ns
        return before - before % self.step_ns


def duration_ns(text: str, where: str = "duration") -> int:
    """Nanoseconds of ``90s``, ``5m``, ``1h30m``, ``7d``, ``2w``; raises InputError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InputError(Problem(where, f'"{text[:40]}" is no duration', "write one such as 90s, 5m, 1h30m, 7d"))
    return sum(int(number) * _UNITS[unit] for number, unit in parts) * SECOND_NS


def coarse_time(step_ns: int) -> pl.Expr:
    """The time of the one row that stays of a step: its last millisecond."""
    time = pl.col("time_ns")
    return time - time % step_ns + step_ns - MILLISECOND_NS


def downsampled(frame: pl.DataFrame, step_ns: int) -> pl.DataFrame:
    """One row a port and step, at the step's last millisecond; again of itself, it is the same.

    ``frame``: counters sorted by time. Counters and texts: the last value; states and watermarks: the largest;
    other gauges: the mean.
    """
    if frame.is_empty():
        return frame
    columns = [name for name in frame.columns if name not in KEYS]
    steps = frame.with_columns(coarse_time(step_ns))
    kept = steps.group_by("time_ns", "device", "port", maintain_order=True).agg(
        pl.col("received_ns").last(), *(_kept(name) for name in columns)
    )
    return kept.select(*KEYS, *columns).sort("device", "port", "time_ns")


def aggregate_of(column: str) -> str:
    """What stays of a column when it is down-sampled: ``last``, ``max`` or ``mean``."""
    found = parse(column)
    kind = found[0].kind if found else "text"
    if kind == "state" or "watermark" in column:
        return "max"
    return "mean" if kind == "gauge" else "last"


def _kept(column: str) -> pl.Expr:
    how = aggregate_of(column)
    values = pl.col(column)
    return values.drop_nulls().last() if how == "last" else values.max() if how == "max" else values.mean()
