"""Intervals by port hold what the counter arithmetic says, whatever order samples come in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from collectors.detectors.intervals import MOST_AHEAD, Intervals
from collectors.detectors.view import View, view
from collectors.rates import intervals
from fabric.samples import schema

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
COLUMN, NARROW = "rx_bytes", "rx_errors"
Row = tuple[int, int, int, int, int, float]
"""time_ns, received_ns, port id, rx_bytes, rx_errors, counter_discontinuity_seconds."""


@cache
def seen() -> View:
    return view(planned("starter-32"))


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """A table of counters."""
    keys = seen().keys
    data = {
        "time_ns": [row[0] for row in rows],
        "received_ns": [row[1] for row in rows],
        "device": [keys["device"][row[2]] for row in rows],
        "port": [keys["port"][row[2]] for row in rows],
        COLUMN: [row[3] for row in rows],
        NARROW: [row[4] for row in rows],
        "counter_discontinuity_seconds": [row[5] for row in rows],
    }
    return pl.DataFrame(data, schema=schema([COLUMN, NARROW, "counter_discontinuity_seconds"]))


TIMES = st.integers(0, 40).map(lambda tenths: tenths * SECOND // 2)
VALUES = st.sampled_from([0, 1, 5, 1000, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)
NARROW_VALUES = st.sampled_from([0, 7, 2**31, 2**32 - 1])
ROWS = st.lists(
    st.tuples(
        TIMES, st.sampled_from([0, 1, SECOND, 30 * SECOND]), st.integers(0, 2), VALUES, NARROW_VALUES,
        st.sampled_from([0.0, 0.0, 0.0, 5.0]),
    ),
    max_size=24, unique_by=lambda row: (row[0], row[2]),
)  # fmt: skip


@given(ROWS, st.integers(2, 6))
def test_what_rose_is_what_the_arithmetic_says(rows: list[Row], seconds: int) -> None:
    rows = [(START + at, START + at + late, port, a, b, mark) for at, late, port, a, b, mark in rows]
    made = Intervals(seen(), seconds * SECOND)
    made.feed(frame(rows))
    for end in range(START, START + 22 * SECOND, seconds * SECOND):
        interval = made.step(end)
        kept = last_of_each(rows, end, seconds * SECOND)
        for column in (COLUMN, NARROW):
            told = {
                (row["device"], row["port"]): (row["delta"], row["seconds"])
                for row in intervals(frame(kept), column).to_dicts()
                if end - seconds * SECOND < row["time_ns"] <= end
            }
            for port in range(3):
                end_of = seen().keys.row(port, named=True)
                delta, took = told.get((end_of["device"], end_of["port"]), (None, None))
                mine = interval.delta(column)[port]
                assert np.isnan(mine) if delta is None else mine == delta
                assert delta is None or interval.seconds(column)[port] == pytest.approx(took)


def last_of_each(rows: Sequence[Row], end: int, interval: int) -> list[Row]:
    """The last sample of each port in the intervals up to ``end``: what intervals compare with each other."""
    kept = {(row[2], -(-(row[0] - end) // interval)): row for row in sorted(rows) if row[0] <= end}
    return list(kept.values())


def test_a_port_that_the_plan_does_not_have_is_counted() -> None:
    made = Intervals(seen(), 10 * SECOND)
    strange = frame([(START + 1, START + 1, 0, 1, 2, 0.0)]).with_columns(port=pl.lit("none"))
    made.feed(strange)
    interval = made.step(START + 10 * SECOND)
    assert interval.strangers == 1
    assert not interval.heard.any()
    assert np.isnan(interval.delta(COLUMN)).all()


def test_samples_wait_for_their_interval_and_late_ones_are_left_out() -> None:
    made = Intervals(seen(), 10 * SECOND)
    rows = [(START + at * SECOND, START + at * SECOND, 0, at, 0, 0.0) for at in (5, 15, 25)]
    made.feed(frame(rows))
    assert np.isnan(made.step(START + 10 * SECOND).delta(COLUMN)[0]), "one sample has no rise"
    assert made.step(START + 20 * SECOND).delta(COLUMN)[0] == 10
    made.feed(frame([(START + 12 * SECOND, START + 12 * SECOND, 0, 12, 0, 0.0)]))
    interval = made.step(START + 30 * SECOND)
    assert (interval.delta(COLUMN)[0], interval.seconds(COLUMN)[0]) == (10, 10.0)
    assert interval.heard[0]
    assert not made.step(START + 40 * SECOND).fresh(COLUMN)[0]


def test_samples_of_a_clock_that_is_far_ahead_do_not_pile_up() -> None:
    made = Intervals(seen(), 10 * SECOND)
    far = START + (MOST_AHEAD + 60) * 10 * SECOND
    for number in range(1, 4):
        made.feed(frame([(far, START, 0, 1, 0, 0.0), (START + number * 10 * SECOND, START, 1, number, 0, 0.0)]))
        assert made.step(START + number * 10 * SECOND).heard.sum() == 1
        assert made.waiting == 0


def test_the_order_of_tables_of_an_interval_does_not_matter() -> None:
    rows = [(START + at * SECOND, START + at * SECOND, 0, at, 0, 0.0) for at in (1, 5, 9)]
    for order in permutations(rows):
        made = Intervals(seen(), 10 * SECOND)
        for row in order:
            made.feed(frame([row]))
        assert made.step(START + 10 * SECOND).now[COLUMN].value[0] == 9


def test_what_detectors_are_given_is_not_theirs_to_change() -> None:
    made = Intervals(seen(), 10 * SECOND)
    for number in (1, 2):
        made.feed(frame([(START + number * 10 * SECOND, START, 0, number, 0, 0.0)]))
        interval = made.step(START + number * 10 * SECOND)
    for values in (interval.delta(COLUMN), interval.risen(NARROW), interval.rate(COLUMN), interval.gauge(COLUMN)):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        interval.fresh(COLUMN)[0] = True
