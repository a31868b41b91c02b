"""Counter arithmetic: against an oracle that knows what really happened, and one case a reason to refuse."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.rates import INTERVALS, Why, intervals, rates
from fabric.counters import counters
from fabric.samples import schema

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Samples each ten seconds of port p of device d, but for what a row says; ``n`` is the time in periods."""
    columns = sorted({name for row in rows for name in row} - {"n", "time_ns", "received_ns", "device", "port"})
    made = []
    for place, row in enumerate(rows):
        time_ns = START + row.get("n", place) * 10 * SECOND
        keys = {"time_ns": time_ns, "received_ns": time_ns, "device": "d", "port": "p"}
        made.append(keys | {name: value for name, value in row.items() if name != "n"})
    return pl.DataFrame([{name: row.get(name) for name in schema(columns)} for row in made], schema=schema(columns))


def told(found: pl.DataFrame) -> list[tuple[float | None, str | None]]:
    return [(delta, why) for delta, why in found.select("delta", "why").iter_rows()]


def test_what_rises_has_a_rate() -> None:
    found = intervals(frame({"rx_bytes": 100}, {"rx_bytes": 350}, {"rx_bytes": 350}), "rx_bytes")
    assert dict(found.schema) == INTERVALS
    assert found.select("delta", "seconds", "why").rows() == [(250.0, 10.0, None), (0.0, 10.0, None)]
    assert found["since_ns"].to_list() == [START, START + 10 * SECOND]


@pytest.mark.parametrize(
    ("column", "before", "after", "why"),
    [
        ("rx_bytes", 100, 99, Why.FELL),
        ("rx_errors", 2**32 - 5, 5, Why.FELL),
        ("rx_bytes", 2**64 - 5, 5, Why.FELL),
        ("tx_wait_ticks", 7, 2**32 - 1, Why.STUCK),
        ("tx_wait_ticks", 2**32 - 1, 2**32 - 1, Why.STUCK),
        ("tx_wait_ticks", 2**32 - 1, 3, Why.STUCK),
        ("link_recoveries", 250, 255, Why.STUCK),
        ("buffer_overrun_errors", 14, 15, Why.STUCK),
        ("rx_errors", 0, 2**31, Why.JUMPED),
        ("rx_errors", 0, 2**31 - 1, None),
        ("rx_bytes", 0, 2**63 - 1, None),
        ("rx_errors", 2**32 + 7, 2**32 + 9, None),
        ("rx_pfc_pause_seconds_p3", 7.5, 7.25, Why.FELL),
        ("rx_pfc_pause_seconds_p3", 7.5, 8.25, None),
    ],
)
def test_what_cannot_be_told_is_refused(column: str, before: float, after: float, why: Why | None) -> None:
    ((delta, said),) = told(intervals(frame({column: before}, {column: after}), column))
    assert said == why
    assert delta == (pytest.approx(after - before) if why is None else None)


def test_a_discontinuity_a_restart_and_a_clock_are_reasons() -> None:
    known = "counter_discontinuity_seconds"
    rows = frame({"rx_bytes": 1, known: 5.0}, {"rx_bytes": 9, known: 5.0}, {"rx_bytes": 20, known: 77.0})
    assert told(intervals(rows, "rx_bytes")) == [(8.0, None), (None, Why.DISCONTINUOUS)]
    boots = frame(
        {"rx_bytes": 1}, {"rx_bytes": 9}, {"rx_bytes": 20}, {"rx_bytes": 30},
        {"n": 0, "port": None, "uptime_seconds": 900.0}, {"n": 1, "port": None, "uptime_seconds": 910.0},
        {"n": 2, "port": None, "uptime_seconds": 4.0}, {"n": 3, "port": None, "uptime_seconds": 14.0},
    )  # fmt: skip
    assert told(intervals(boots, "rx_bytes")) == [(8.0, None), (None, Why.RESTARTED), (10.0, None)]
    clock = frame(
        {"rx_bytes": 1}, {"rx_bytes": 9, "time_ns": START + 70 * SECOND, "received_ns": START + 10 * SECOND},
        {"rx_bytes": 17, "time_ns": START + 80 * SECOND, "received_ns": START + 20 * SECOND},
    )  # fmt: skip
    assert told(intervals(clock, "rx_bytes")) == [(None, Why.CLOCK), (8.0, None)]


def test_late_and_doubled_rows() -> None:
    late = frame({"rx_bytes": 1}, {"rx_bytes": 5, "received_ns": START + 25 * SECOND}, {"rx_bytes": 9})
    assert told(intervals(late, "rx_bytes")) == [(None, Why.CLOCK), (None, Why.CLOCK)]
    rows = frame({"rx_bytes": 1}, {"rx_bytes": 5}, {"rx_bytes": 9})
    doubled = pl.concat([rows, rows.with_columns(received_ns=pl.col("received_ns") + SECOND), rows[::-1]])
    assert intervals(doubled, "rx_bytes").equals(intervals(rows, "rx_bytes"))


def test_other_ports_and_rows_of_other_sources_do_not_matter() -> None:
    rows = frame(
        {"rx_bytes": 1}, {"rx_bytes": 5, "n": 2}, {"tx_bytes": 7, "n": 1}, {"rx_bytes": 900, "port": "q", "n": 1},
        {"rx_bytes": 3, "device": "e", "n": 1},
    )  # fmt: skip
    assert told(intervals(rows, "rx_bytes")) == [(4.0, None)]
    found = rates(rows, ["rx_bytes", "tx_bytes"])
    assert found.rows() == [(START + 20 * SECOND, "d", "p", 0.2, None)]


@pytest.mark.parametrize("column", ["oper_status", "speed_gbps", "lldp_port", "nonsense"])
def test_what_is_no_counter_has_no_rate(column: str) -> None:
    with pytest.raises(ValueError, match=f"{column} is no counter"):
        intervals(frame({"rx_bytes": 1}), column)


steps = st.lists(
    st.tuples(
        st.integers(0, 2**20), st.sampled_from(["counts", "counts", "counts", "clears", "late", "twice", "steps clock"])
    ),
    min_size=2, max_size=12,
)  # fmt: skip


@given(steps=steps, column=st.sampled_from(["rx_bytes", "rx_errors", "vl15_dropped_packets"]), dice=st.randoms())
def test_a_rate_is_the_truth_or_missing(steps: list[tuple[int, str]], column: str, dice: Any) -> None:
    """A device that counts, wraps, is cleared, answers late or twice: each delta given is what was really counted.

    Nobody can see more than half of a counter's range go by, nor a reset after which it passed its old value again:
    the pretended device does neither.
    """
    bits = counters()[column].bits
    assert bits is not None
    true = shown = 2**bits - 2**19 if bits < 64 else 2**20
    rows, truth, offset = [], [true], 0
    for n, (count, what) in enumerate(steps):
        count %= 2 ** (bits - 1)
        if what == "clears":
            shown, count = 0, min(count, max(0, shown - 1))
        offset += 100 if what == "steps clock" else 0
        true, shown = true + count, (shown + count) % 2**bits
        time_ns = START + n * 10 * SECOND
        received = time_ns + (25 * SECOND if what == "late" else 0)
        row = {"time_ns": time_ns + offset * SECOND, "received_ns": received, column: shown}
        rows += [row, row] if what == "twice" else [row]
        truth.append(true)
    truth = truth[1:]
    dice.shuffle(rows)
    found = intervals(frame(*rows), column)
    times = sorted({row["time_ns"]: None for row in rows})
    for time_ns, since_ns, delta in found.select("time_ns", "since_ns", "delta").iter_rows():
        if delta is not None:
            counted = truth[times.index(time_ns)] - truth[times.index(since_ns)]
            assert delta == counted
    assert found.height == len(times) - 1
