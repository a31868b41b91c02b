"""The detector of wrong cables: what it says when neighbours come late, disagree, or are silent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import planned
from rewired import Rewired, told
from test_simulate import four
from test_simulate_faults import run, up_ports

from collectors.detectors import Signal
from collectors.detectors.intervals import Intervals
from collectors.detectors.miswire import Miswire
from collectors.detectors.policy import Policy
from collectors.detectors.view import NONE, view
from fabric.samples import schema
from planner.simulate.faults import faults_from, truth
from planner.simulate.telemetry import START_NS

SECOND = 1_000_000_000
START = 1_767_225_600
TEXTS = ("lldp_system", "lldp_port", "lldp_port_description")
LEAF = "leaf-compute-s000-l0-p0"
SETTLED, TTL = 40, 130
"""s after which a change is told: the policy's times, and the interval in which it came."""


class Running:
    """A detector on a fabric that is polled each 10 s."""

    def __init__(self) -> None:
        self.bench = Rewired(planned("superpod-h100-1su"))
        self.detector, self.intervals = Miswire(self.bench.view, Policy()), Intervals(self.bench.view, 10 * SECOND)
        self.now = START

    def samples(self, ports: Iterable[int] | None = None, status: int = 1) -> pl.DataFrame:
        """What ports hear now; all that hear anything, where none are named."""
        seen, peer = self.bench.view, self.bench.peer
        own = np.flatnonzero(peer != NONE) if ports is None else np.array(list(ports))
        far = [int(peer[p]) for p in own]
        ends = [seen.end(p) if p != NONE else None for p in far]
        names = [seen.end(int(p)) for p in own]
        data = {
            "time_ns": [(self.now + 5) * SECOND] * len(own), "received_ns": [(self.now + 5) * SECOND] * len(own),
            "device": [name["device"] for name in names], "port": [name["port"] for name in names],
            "lldp_system": [end["device"] if end else None for end in ends],
            "lldp_port": [end["port"] if end else None for end in ends],
            "lldp_port_description": [None] * len(own), "oper_status": [status] * len(own),
        }  # fmt: skip
        return pl.DataFrame(data, schema=schema([*TEXTS, "oper_status"]))

    def step(self, *frames: pl.DataFrame) -> list[Signal]:
        """The next interval."""
        for frame in frames:
            self.intervals.feed(frame)
        self.now += 10
        return list(self.detector.step(self.intervals.step(self.now * SECOND)))

    def go(self, seconds: int, poll: Callable[[], pl.DataFrame] | None = None) -> list[list[tuple[str, int]]]:
        """Intervals with a poll each: cause and moves of their signals."""
        return [told(self.step((poll or self.samples)())) for _ in range(seconds // 10)]

    def pair(self) -> tuple[int, int]:
        """Two leaf ports with a host each."""
        (_, a), (_, b) = self.bench.links(tier="host-leaf", b_device=LEAF)[:2]
        return a, b


def test_a_healthy_fabric_is_never_told_of() -> None:
    running = Running()
    assert not any(running.go(300))


def test_a_swap_is_told_once_both_ends_have_the_news_and_until_it_is_mended() -> None:
    running = Running()
    running.go(20)
    running.bench.exchange(*running.pair())
    seen = running.go(SETTLED + 20)
    assert seen[: SETTLED // 10 - 1] == [[]] * (SETTLED // 10 - 1)
    assert seen[SETTLED // 10 - 1 :] == [[("swap", 2)]] * 3
    running.bench.exchange(*running.pair())
    assert running.go(30) == [[]] * 3


def test_one_end_polled_before_the_other_says_nothing_false() -> None:
    running = Running()
    running.go(150)
    running.bench.exchange(*running.pair())
    leaf = np.flatnonzero(running.bench.view.device == running.bench.view.device_ids[LEAF])
    some = [int(p) for p in leaf if running.bench.peer[p] != NONE]
    assert running.go(60, lambda: running.samples(some)) == [[]] * 6
    assert running.go(SETTLED)[-1] == [("swap", 2)]


def test_the_newer_word_counts_once_the_older_has_run_out() -> None:
    running = Running()
    running.go(20)
    running.bench.exchange(*running.pair())
    leaf = np.flatnonzero(running.bench.view.device == running.bench.view.device_ids[LEAF])
    some = [int(p) for p in leaf if running.bench.peer[p] != NONE]
    seen = running.go(TTL + 10, lambda: running.samples(some))
    assert seen[: TTL // 10 - 1] == [[]] * (TTL // 10 - 1)
    assert seen[-1] == [("swap", 2)]


def test_a_cable_that_was_never_there_is_told_after_the_time_to_live() -> None:
    running = Running()
    port, _ = running.pair()
    running.bench.unplug(port)
    seen = running.go(TTL + 10)
    assert seen[: TTL // 10 - 1] == [[]] * (TTL // 10 - 1)
    assert seen[-1] == [("missing", 0)]


def test_a_replays_warm_up_is_enough_for_it_where_neighbours_are_read_each_minute() -> None:
    running = Running()
    running.bench.unplug(running.pair()[0])
    number = iter(range(100))
    some = Policy().warm_up * 10
    poll = running.samples
    seen = running.go(some + 10, lambda: poll() if next(number) % 6 == 5 else poll().clear())
    assert seen[-1] == [("missing", 0)]


def test_a_link_that_is_down_is_left_to_the_detector_of_links() -> None:
    running = Running()
    port, _ = running.pair()
    running.bench.unplug(port)
    down = running.samples([port], status=2)
    assert not any(running.go(TTL + 30, lambda: pl.concat([running.samples(), down])))


def test_a_link_that_goes_down_keeps_its_neighbour() -> None:
    running = Running()
    running.go(150)
    running.bench.unplug(running.pair()[0])
    assert not any(running.go(TTL + 30))


def test_doubled_late_and_strange_samples_say_nothing() -> None:
    running = Running()
    first = running.samples()
    running.step(first, first)
    stranger = first.with_columns(device=pl.lit("nobody"), lldp_system=pl.lit("nobody else"))
    running.bench.exchange(*running.pair())
    late = running.samples().with_columns(pl.col("time_ns") - 60 * SECOND)
    running.bench.exchange(*running.pair())
    for _ in range(20):
        assert running.step(running.samples(), stranger, late) == []


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 1019), *[st.none() | st.text(max_size=8)] * 3), max_size=10))
def test_whatever_neighbours_say_is_a_finding_or_none(
    said: list[tuple[int, str | None, str | None, str | None]],
) -> None:
    running = Running()
    rows = running.samples([row[0] for row in said])
    texts = {name: pl.Series([row[n + 1] for row in said], dtype=pl.String) for n, name in enumerate(TEXTS)}
    running.step(running.samples())
    for _ in range(SETTLED // 10):
        found = running.step(rows.with_columns(**texts))
    assert {signal.cause for signal in found} <= {"wrong-port", "extra"}


@pytest.mark.parametrize("at", [0, 10])
def test_the_simulators_miswire_is_the_truths_swap(at: int) -> None:
    ports = up_ports(four())
    ends = {"device": LEAF, "port": ports[0], "other_device": LEAF, "other_port": ports[2]}
    script = {"kind": "miswire", "start": at, "end": 300, **ends}
    (row,) = truth(four(), "compute", faults_from({"faults": [script]}, four(), "compute"))
    seen = view(four())
    detector, intervals = Miswire(seen, Policy()), Intervals(seen, 10 * SECOND)
    told_at = []
    for number, made in enumerate(run(script, seconds=at + 60.0, states_every=10)):
        intervals.feed(made.counters)
        signals = list(detector.step(intervals.step(START_NS + (number + 1) * 10 * SECOND)))
        if signals:
            told_at.append(number * 10)
            (signal,) = signals
            assert (signal.code, signal.cause) == (row["code"], row["cause"])
            assert signal.subject == row["subject"]
    assert told_at
    assert min(told_at) <= at + SETTLED
