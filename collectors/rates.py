"""Counter arithmetic, written once: what a counter rose between two samples, or why nobody can say.

A counter that fell was reset or wrapped: that interval has no rate, and nothing is guessed. The same where it stands at
its maximum (InfiniBand's counters stick there), where the device restarted or says that its counters are discontinuous,
where it rose by more than half of its range, and where its clock disagrees with ours about how long the interval was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.counters import parse

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]
NEVER = int(np.iinfo(np.int64).min)
"""Stands for a time that is not known."""
CLOCK_NS = 2_000_000_000
"""A device's clock and ours may differ this much about an interval: polls are answered late, seconds are rounded."""
CLOCK_SHARE = 0.25
"""… or by this share of it, whichever is more."""
DISCONTINUITY, UPTIME = "counter_discontinuity_seconds", "uptime_seconds"
INTERVALS: dict[str, type[pl.DataType]] = {
    "time_ns": pl.Int64, "since_ns": pl.Int64, "device": pl.String, "port": pl.String, "delta": pl.Float64,
    "seconds": pl.Float64, "why": pl.String,
}  # fmt: skip
"""Columns of ``intervals``."""


class Why(StrEnum):
    """Why an interval has no rate."""

    FELL = "fell"
    """The counter is lower than it was: reset or wrapped."""
    STUCK = "stuck"
    """It stands at its maximum, or did."""
    JUMPED = "jumped"
    """It rose by more than half of its range: a reset cannot be told from that."""
    RESTARTED = "restarted"
    """The device's agent, and with it maybe the counter, started in between."""
    DISCONTINUOUS = "discontinuous"
    """The device says that its counters were interrupted in between."""
    CLOCK = "clock"
    """The device's clock was set in between, or a row came late: how long it was is not known."""


def intervals(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """What one counter rose between each sample and the one before of its port, a row an interval (``INTERVALS``).

    ``frame``: a table of counters in any order, rows of one key counted once. ``delta`` is null where ``why`` says so;
    both ends have the counter, samples without it in between do not matter. Where the frame has them, the columns
    ``counter_discontinuity_seconds`` and ``uptime_seconds`` are used. Raises ValueError for what is no counter.
    """
    bits = _bits(column)
    extra = [name for name in (DISCONTINUITY,) if name in frame.columns]
    boots = _boots(frame)
    rows = frame.select("time_ns", "received_ns", "device", "port", pl.col(column).alias("value"), *extra)
    rows = rows.filter(pl.col("value").is_not_null()).sort("device", "port", "time_ns", "received_ns")
    rows = rows.unique(["device", "port", "time_ns"], keep="first", maintain_order=True)
    before = [pl.col(name).shift().alias(f"{name}_before") for name in ("time_ns", "received_ns", "value", *extra)]
    same = pl.col("device").eq_missing(pl.col("device").shift()) & pl.col("port").eq_missing(pl.col("port").shift())
    rows = rows.with_columns(*before, same=same).filter(pl.col("same") & pl.col("time_ns_before").is_not_null())
    rows = _with_boots(rows, boots)
    why = _why(rows, bits, marks=bool(extra))
    delta = pl.when(pl.col("why").is_null()).then(pl.col("value") - pl.col("value_before"))
    return rows.with_columns(why=why).select(
        "time_ns", "device", "port", "why", since_ns="time_ns_before", delta=delta.cast(pl.Float64),
        seconds=(pl.col("time_ns") - pl.col("time_ns_before")) / 1e9,
    ).select(pl.col(name).cast(dtype) for name, dtype in INTERVALS.items())  # fmt: skip


def rates(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """``time_ns, device, port`` and each counter's rise a second in the interval that ended then, null where unknown.

    Sorted by device, port and time; a row for every time at which any of the counters has an interval.
    """
    keys = ["time_ns", "device", "port"]
    found = pl.DataFrame(schema={name: INTERVALS[name] for name in keys})
    for column in columns:
        one = intervals(frame, column).select(*keys, (pl.col("delta") / pl.col("seconds")).alias(column))
        found = found.join(one, on=keys, how="full", coalesce=True, nulls_equal=True)
    return found.sort("device", "port", "time_ns")


def _bits(column: str) -> int:
    found = parse(column)
    if found is None or found[0].kind != "counter":
        raise ValueError(f"{column} is no counter")
    return found[0].bits or 64


def _why(rows: pl.DataFrame, bits: int, *, marks: bool) -> pl.Series:
    """The first reason that holds, as text; null where none does."""
    time_ns, before_ns, received_ns, received_before_ns, boot_ns = (
        rows[name].fill_null(NEVER).to_numpy()
        for name in ("time_ns", "time_ns_before", "received_ns", "received_ns_before", "boot_ns")
    )
    told = [rows[name].cast(pl.Float64).to_numpy() for name in (DISCONTINUITY, f"{DISCONTINUITY}_before") if marks]
    value, before = rows["value"].to_numpy(), rows["value_before"].to_numpy()
    refused = [
        *refused_times(
            time_ns, before_ns, received_ns, received_before_ns, boot_ns, (told[0], told[1]) if marks else None
        ),
        *refused_values(bits, value, before),
    ]
    found = np.full(rows.height, -1)
    for place in reversed(range(len(refused))):
        found[refused[place][0]] = place
    return pl.Series("why", [None if place < 0 else refused[place][1].value for place in found], dtype=pl.String)


def refused_times(
    time_ns: Ints, before_ns: Ints, received_ns: Ints, received_before_ns: Ints, boot_ns: Ints,
    marks: tuple[Floats, Floats] | None = None,
) -> Iterator[tuple[Mask, Why]]:  # fmt: skip
    """Which intervals the times of both samples refuse, reason by reason, of arrays with an element an interval.

    Of what we received, and of boots (when the agent last started), NEVER is what is not known. ``marks``:
    DISCONTINUITY now and before, NaN where it is not known.
    """
    took, here = time_ns - before_ns, received_ns - received_before_ns
    allowed = np.maximum(CLOCK_NS, np.abs(here) * CLOCK_SHARE)
    known = (received_ns != NEVER) & (received_before_ns != NEVER)
    yield known & ((np.abs(took - here) > allowed) | (here < 0)), Why.CLOCK
    # an interval's end may be a second late, because uptimes are rounded
    yield (boot_ns > before_ns) & (boot_ns <= time_ns + 1_000_000_000), Why.RESTARTED
    if marks is not None:
        yield np.abs(marks[0] - marks[1]) > 0, Why.DISCONTINUOUS


def refused_values(bits: int, value: Values, before: Values) -> Iterator[tuple[Mask, Why]]:
    """Which intervals the values refuse: unsigned counters of so many bits, or floating ones."""
    if value.dtype.kind != "f":
        most = (1 << bits) - 1
        yield (value == most) | (before == most), Why.STUCK
        yield value < before, Why.FELL
        yield (value <= most) & (before <= most) & (value >= before) & (value - before > most // 2), Why.JUMPED
    else:
        yield value < before, Why.FELL


def plain(bits: int, value: Values, before: Values) -> bool:
    """Whether it is plain at first sight that the values refuse nothing: none fell, none has left half of its range."""
    return bool((value >= before).all()) and (value.dtype.kind == "f" or int(value.max(initial=0)) < 1 << (bits - 1))


def _boots(frame: pl.DataFrame) -> pl.DataFrame:
    """When each device's agent started, as each sample of its uptime tells: ``device, time_ns, boot_ns``."""
    if UPTIME not in frame.columns:
        return pl.DataFrame(schema={"device": pl.String, "time_ns": pl.Int64, "boot_ns": pl.Int64})
    known = frame.filter(pl.col(UPTIME).is_not_null()).select(
        "device", "time_ns", boot_ns=pl.col("time_ns") - (pl.col(UPTIME) * 1e9).cast(pl.Int64)
    )
    return known.sort("device", "time_ns")


def _with_boots(rows: pl.DataFrame, boots: pl.DataFrame) -> pl.DataFrame:
    """Beside each interval the latest start known at its end (or just after: uptime is asked in the same poll)."""
    if boots.is_empty():
        return rows.with_columns(boot_ns=pl.lit(None, dtype=pl.Int64))
    order = rows.with_row_index("at").sort("time_ns")
    found = order.join_asof(
        boots.sort("time_ns"), on="time_ns", by="device", strategy="nearest", tolerance=5 * CLOCK_NS,
        check_sortedness=False,
    )  # fmt: skip
    return found.sort("at").drop("at")
