"""What devices, networks and other tools do to samples is no fault of the fabric: nothing is found in any of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.detection.plans import NETWORK, plan_of, rings
from collectors.detectors.run import watch
from fabric.counters import parse
from fabric.samples import KEYS
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

STEP = 10_000_000_000
MANY = 10
CLOCK = ("silence", "clock")
"""Told of a device whose clock is off: that is no false finding."""
Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
Change = Callable[[list[Frames], np.random.Generator], list[Frames]]


@cache
def healthy(refresh: float = 0.0) -> tuple[Frames, ...]:
    """Counters, flow samples and outcomes of a healthy run, an interval an element."""
    plan = plan_of("small")
    jobs = rings(plan, np.random.default_rng(5), 2)
    run = Settings(seconds=10.0 * MANY, sampling=50_000_000, refresh=refresh, seed=9, detail=False)
    tracks = workload(plan, jobs, NETWORK)
    made = intervals(Scenario(plan, NETWORK, jobs, tracks, method="colored", settings=run))
    return tuple((one.counters, one.flows, one.outcomes) for one in made)


def found(steps: Sequence[Frames]) -> list[str]:
    """What all detectors say, as code, cause and subject."""
    watching = watch(plan_of("small"))
    said: list[str] = []
    for number, frames in enumerate(steps):
        watching.intervals.feed(*frames)
        told = watching.step(START_NS + (number + 1) * STEP)
        said += [f"{one.code}/{one.cause} {one.subject}" for one in told if (one.code, one.cause) != CLOCK]
    return said


def cumulative(frame: pl.DataFrame) -> list[str]:
    """The columns that count."""
    known = {name: parse(name) for name in frame.columns if name not in KEYS}
    return [name for name, one in known.items() if one is not None and one[0].kind == "counter" and one[0].unit != "s"]


def rows(steps: Sequence[Frames], change: Callable[[int, pl.DataFrame], pl.DataFrame]) -> list[Frames]:
    """The run with other counters; ``change`` is given the interval's number and its table."""
    return [(change(number, one[0]), *one[1:]) for number, one in enumerate(steps)]


def missing(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """A fifth of all rows, by chance."""
    return rows(steps, lambda _, frame: frame.filter(pl.Series(rng.random(frame.height) > 0.2)))


def missing_columns(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """A tenth of all values, by chance."""

    def change(_: int, frame: pl.DataFrame) -> pl.DataFrame:
        holes = [
            pl.when(pl.Series(rng.random(frame.height) > 0.1)).then(pl.col(name)).alias(name)
            for name in frame.columns if name not in KEYS
        ]  # fmt: skip
        return frame.with_columns(holes)

    return rows(steps, change)


def missing_intervals(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """Nothing at all for an interval, as when the collector restarts."""
    gone = int(rng.integers(1, MANY))
    return [tuple(frame.clear() for frame in one) if n == gone else one for n, one in enumerate(steps)]  # type: ignore[misc]


def twice(steps: list[Frames], _: np.random.Generator) -> list[Frames]:
    """Every row again, in any order, and those of the interval before too."""

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        before = [steps[number - 1][0]] if number else []
        return pl.concat([frame, frame.reverse(), *before], how="diagonal")

    return rows(steps, change)


def late(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """A fifth of the ports' rows arrive an interval late."""
    held: list[pl.DataFrame] = []

    def change(_: int, frame: pl.DataFrame) -> pl.DataFrame:
        slow = pl.Series(rng.random(frame.height) < 0.2)
        before, held[:] = list(held), [frame.filter(slow)]
        return pl.concat([frame.filter(~slow), *before], how="diagonal")

    return rows(steps, change)


def resets(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """Somebody clears the counters of a device, or of a port, without a restart."""
    counters = steps[0][0].filter(pl.col("port").is_not_null())
    device, port = counters.select("device", "port").row(int(rng.integers(counters.height)))
    whole = rng.random() < 0.5
    mine = (pl.col("device") == device) & (pl.lit(whole) | (pl.col("port") == port))
    return rows(steps, _less(steps, int(rng.integers(1, MANY)), mine))


def restarts(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """The agent of a device starts anew, and with it its counters and its uptime."""
    device = str(rng.choice(steps[0][0]["device"].unique().sort().to_numpy()))
    since = int(rng.integers(1, MANY))
    less = _less(steps, since, pl.col("device") == device)

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        up = pl.when(pl.col("uptime_seconds").is_not_null() & (pl.col("device") == device) & (number >= since))
        uptime = up.then(10.0 * (number - since) + 5).otherwise("uptime_seconds")
        return less(number, frame).with_columns(uptime_seconds=uptime)

    return rows(steps, change)


def _less(steps: list[Frames], since: int, mine: pl.Expr) -> Callable[[int, pl.DataFrame], pl.DataFrame]:
    """Counters of some rows begin at zero in an interval."""
    base = steps[since - 1][0]
    names = cumulative(base)
    start = base.select("device", "port", *(pl.col(name).alias(f"{name} before") for name in names))

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        if number < since:
            return frame
        both = frame.join(start, on=["device", "port"], how="left", nulls_equal=True, maintain_order="left")
        new = [
            pl.when(mine).then(pl.col(name) - pl.col(f"{name} before")).otherwise(name).alias(name) for name in names
        ]
        return both.with_columns(new).select(frame.columns)

    return change


def wraps(steps: list[Frames], _: np.random.Generator) -> list[Frames]:
    """Every counter passes its highest value, at 64 or at 32 bits, on the way."""

    def change(_: int, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(_shifted(name) for name in cumulative(frame) if frame.schema[name] == pl.UInt64)

    return rows(steps, change)


def _shifted(name: str) -> pl.Expr:
    bits = _most(name).bit_length()
    small = pl.col(name) % 2**31
    return (small + (2**bits - 2**32) if bits == 64 else (small + (2**32 - 2**10)) % 2**32).cast(pl.UInt64).alias(name)


def stuck(steps: list[Frames], _: np.random.Generator) -> list[Frames]:
    """Counters of errors and drops stand at their highest value, or at some other, and stay there."""

    def change(_: int, frame: pl.DataFrame) -> pl.DataFrame:
        names = [name for name in cumulative(frame) if any(word in name for word in ("errors", "discards", "events"))]
        top = [pl.when(pl.col(n).is_not_null()).then(pl.lit(2**32 - 1, pl.UInt64)).alias(n) for n in names]
        return frame.with_columns(top)

    return rows(steps, change)


def sticks(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """All counters of a device, or of a port, reach their highest value and stay there, as InfiniBand's do."""
    counters = steps[0][0].filter(pl.col("port").is_not_null())
    device, port = counters.select("device", "port").row(int(rng.integers(counters.height)))
    whole, since = rng.random() < 0.5, int(rng.integers(1, MANY))
    mine = (pl.col("device") == device) & (pl.lit(whole) | (pl.col("port") == port))

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        top = [pl.when(mine & pl.col(n).is_not_null()).then(pl.lit(_most(n), pl.UInt64)) for n in names(frame)]
        high = [one.otherwise(n).alias(n) for one, n in zip(top, names(frame), strict=True)]
        return frame.with_columns(high) if number >= since else frame

    def names(frame: pl.DataFrame) -> list[str]:
        return [name for name in cumulative(frame) if frame.schema[name] == pl.UInt64]

    return rows(steps, change)


def _most(name: str) -> int:
    known = parse(name)
    return int(2 ** ((known[0].bits if known else None) or 64) - 1)


def clock_steps(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """A device's clock jumps, by seconds or by hours, forwards or back."""
    device = str(rng.choice(steps[0][0]["device"].unique().sort().to_numpy()))
    since = int(rng.integers(1, MANY))
    by = int(rng.choice([-3_600, -30, -3, 3, 30, 3_600])) * 1_000_000_000
    mine = pl.col("device") == device

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            time_ns=pl.when(mine & (number >= since)).then(pl.col("time_ns") + by).otherwise("time_ns")
        )

    return rows(steps, change)


def strangers(steps: list[Frames], _: np.random.Generator) -> list[Frames]:
    """Devices and ports that the plan does not have, with numbers of any kind."""

    def change(number: int, frame: pl.DataFrame) -> pl.DataFrame:
        names = cumulative(frame)
        wild = [(pl.col(name) * (number % 3)).alias(name) for name in names]
        other = frame.with_columns(device=pl.lit("nobody"))
        port = frame.filter(pl.col("port").is_not_null()).with_columns(port=pl.lit("Ethernet9999"))
        return pl.concat([frame, other.with_columns(wild), port.with_columns(wild)])

    return rows(steps, change)


def jumps(steps: list[Frames], rng: np.random.Generator) -> list[Frames]:
    """One poll in ten is a second early or late."""

    def change(_: int, frame: pl.DataFrame) -> pl.DataFrame:
        off = pl.Series(np.where(rng.random(frame.height) < 0.1, -1_000_000_000, 0))
        return frame.with_columns(time_ns=pl.col("time_ns") + off)

    return rows(steps, change)


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        missing, missing_columns, missing_intervals, twice, late, resets, restarts, wraps, stuck, sticks,
        clock_steps, strangers, jumps,
    )
}  # fmt: skip


NAMES = st.sampled_from(sorted(CHANGES))


def test_the_run_itself_is_healthy() -> None:
    assert found(healthy()) == []
    assert sum(one[1].height for one in healthy()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
@settings(max_examples=2, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32 - 1), refresh=st.sampled_from([0.0, 5.0]))
def test_nothing_is_found_in(name: str, seed: int, refresh: float) -> None:
    assert found(CHANGES[name](list(healthy(refresh)), np.random.default_rng(seed))) == []


@dataclass(frozen=True)
class Pair:
    """Two corruptions, one after the other."""

    first: str
    second: str


@pytest.mark.slow
@settings(max_examples=4, phases=[Phase.generate])
@given(
    pair=st.builds(Pair, st.sampled_from(sorted(CHANGES)), st.sampled_from(sorted(CHANGES))), seed=st.integers(0, 99)
)
def test_nothing_is_found_in_two_at_once(pair: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert found(CHANGES[pair.second](CHANGES[pair.first](list(healthy()), rng), rng)) == []


def test_a_plan_that_changed_while_running_is_no_fault() -> None:
    """Another plan's detectors take over: names that both have go on, the others are strangers, or not heard of yet."""
    steps = healthy()
    watching = watch(plan_of("small-3"))
    said = []
    for number, frames in enumerate(steps):
        watching.intervals.feed(*frames)
        said += watching.step(START_NS + (number + 1) * STEP)
    wrong = [f"{one.code}/{one.cause} {one.subject}" for one in said if one.code not in ("miswire", "silence")]
    assert wrong == [], "cables and devices do differ; nothing else does"
