"""Counter arithmetic, written once: what a counter rose between two samples, or why nobody can say.

A counter that fell was reset or wrapped: that interval has no rate, and nothing is guessed. The same where it stands at
its maximum (InfiniBand's counters stick there), where the device restarted or says that its counters are discontinuous,
where it rose by more than half of its range, and where its clock disagrees with ours about how long the interval was.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import polars as pl

from fabric.counters import parse

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
    why = reason(bits, floating=frame.schema[column].is_float(), discontinuity=bool(extra))
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


def reason(bits: int, *, floating: bool, discontinuity: bool) -> pl.Expr:
    """The first reason that holds, as text; null where none does.

    Of columns ``value``, ``time_ns``, ``received_ns`` and the same with ``_before``, ``boot_ns`` (null where unknown),
    and with ``discontinuity`` of DISCONTINUITY and the same with ``_before``.
    """
    value, before = pl.col("value"), pl.col("value_before")
    took = pl.col("time_ns") - pl.col("time_ns_before")
    took_here = pl.col("received_ns") - pl.col("received_ns_before")
    allowed = pl.max_horizontal(pl.lit(CLOCK_NS), (took_here.abs() * CLOCK_SHARE).cast(pl.Int64))
    reasons: list[tuple[pl.Expr, Why]] = [
        (((took - took_here).abs() > allowed) | (took_here < 0), Why.CLOCK),
        (_within(pl.col("boot_ns")), Why.RESTARTED),
    ]
    if discontinuity:
        now, then = pl.col(DISCONTINUITY), pl.col(f"{DISCONTINUITY}_before")
        reasons.append(((now - then).abs() > 0, Why.DISCONTINUOUS))
    if not floating:
        most = (1 << bits) - 1
        narrow = (value <= most) & (before <= most)
        reasons.append(((value == most) | (before == most), Why.STUCK))
        reasons.append((value < before, Why.FELL))
        reasons.append((narrow & (value - before > most // 2), Why.JUMPED))
    else:
        reasons.append((value < before, Why.FELL))
    chain = pl.lit(None, dtype=pl.String)
    for holds, why in reversed(reasons):
        chain = pl.when(holds.fill_null(value=False)).then(pl.lit(why.value)).otherwise(chain)
    return chain


def _within(time_ns: pl.Expr) -> pl.Expr:
    """Whether a time is in the interval; its end may be a second late, because uptimes are rounded."""
    return (time_ns > pl.col("time_ns_before")) & (time_ns <= pl.col("time_ns") + 1_000_000_000)


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
