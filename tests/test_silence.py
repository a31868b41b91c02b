"""Sources that stop and devices that are down, and what is neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from storms import LEAF, SECOND, SPINE, hits, opened, simulated, watched
from test_simulate import four
from test_simulate_faults import up_ports

from collectors.detectors.life import Maintenance
from fabric.samples import empty_outcomes
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS

TIMES = {"start": 13, "end": 47}
DEVICES = [LEAF, SPINE, "gpu-0001"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["silence", "reboot"])
def test_who_says_nothing_is_told_apart_from_who_is_down(kind: str, device: str) -> None:
    fault = {"kind": kind, "device": device, **TIMES}
    hits(watched(simulated([fault], seconds=110.0)), fault, within=2)


def test_a_reboot_between_two_polls_shows_in_uptimes_and_links() -> None:
    fault: dict[str, Any] = {"kind": "reboot", "device": LEAF, "start": 12, "end": 18}
    hits(watched(simulated([fault])), fault, within=1)


def changed(run: list[Interval], change: Callable[[Interval], Interval]) -> list[Interval]:
    return [change(interval) for interval in run]


def test_an_agent_that_restarts_is_no_device_that_is_down() -> None:
    """The uptime begins anew, and no neighbour saw a link go."""

    def anew(one: Interval) -> Interval:
        own = (pl.col("device") == LEAF) & pl.col("uptime_seconds").is_not_null() & (one.seconds >= 40)
        uptime = pl.when(own).then(one.seconds - 35).otherwise("uptime_seconds").alias("uptime_seconds")
        return Interval(one.number, one.seconds, one.counters.with_columns(uptime), one.flows, one.outcomes)

    assert watched(changed(simulated(), anew)) == []


def test_announced_maintenance_gives_nothing() -> None:
    fault = {"kind": "reboot", "device": SPINE, **TIMES}
    window = Maintenance(START_NS, START_NS + 100 * SECOND, frozenset({SPINE}))
    assert watched(simulated([fault]), maintenance=[window]) == []


@pytest.mark.parametrize("lost", [1, 5])
def test_samples_that_were_lost_while_polls_are_answered_are_no_silence(lost: int) -> None:
    def without(one: Interval) -> Interval:
        gone = (pl.col("device") == LEAF) & (40 <= one.seconds < 40 + 10 * lost)
        return Interval(one.number, one.seconds, one.counters.filter(~gone), one.flows, one.outcomes)

    assert watched(changed(simulated(seconds=120.0), without)) == []


def test_one_poll_that_failed_is_none_and_two_are() -> None:
    def failing(until: float) -> Callable[[Interval], Interval]:
        def change(one: Interval) -> Interval:
            mine = (pl.col("device") == LEAF) & (40 <= one.seconds < until)
            counters = one.counters.filter(~mine)
            outcome = pl.when(mine).then(pl.lit("refused")).otherwise("outcome").alias("outcome")
            return Interval(one.number, one.seconds, counters, one.flows, one.outcomes.with_columns(outcome))

        return change

    run = simulated(seconds=120.0)
    assert watched(changed(run, failing(50))) == []
    assert [row[1:] for row in opened(watched(changed(run, failing(60))))] == [("silence", "stopped", {"switch": LEAF})]


def test_our_own_silence_is_not_the_devices() -> None:
    def nothing(one: Interval) -> Interval:
        if not 40 <= one.seconds < 110:
            return one
        return Interval(one.number, one.seconds, one.counters.clear(), one.flows.clear(), one.outcomes.clear())

    assert watched(changed(simulated(seconds=150.0), nothing)) == []


def test_without_outcomes_a_minute_of_absence_is_silence() -> None:
    def without(one: Interval) -> Interval:
        gone = (pl.col("device") == SPINE) & (one.seconds >= 40)
        return Interval(one.number, one.seconds, one.counters.filter(~gone), one.flows, empty_outcomes())

    found = opened(watched(changed(simulated(seconds=150.0), without)))
    assert found == [(90.0, "silence", "stopped", {"switch": SPINE})]


def test_a_clock_that_puts_samples_elsewhere_is_told_as_that() -> None:
    def late(one: Interval) -> Interval:
        own = pl.when(pl.col("device") == SPINE).then(pl.col("time_ns") - 500 * SECOND).otherwise("time_ns")
        moved = one.counters.with_columns(time_ns=own) if one.seconds >= 40 else one.counters
        return Interval(one.number, one.seconds, moved, one.flows, one.outcomes)

    found = opened(watched(changed(simulated(seconds=150.0), late)))
    assert [row[1:] for row in found] == [("silence", "clock", {"switch": SPINE})]


def test_who_was_never_heard_did_not_stop() -> None:
    fault = {"kind": "silence", "device": SPINE, "start": 0, "end": 90}
    assert watched(simulated([fault])) == []


@pytest.mark.parametrize("kind", ["link-down", "link-flap", "link-errors", "grey-loss", "slow-link"])
def test_faults_of_links_are_none_of_these(kind: str) -> None:
    fault: dict[str, Any] = {"kind": kind, "device": LEAF, "port": up_ports(four())[0], **TIMES}
    assert watched(simulated([fault], seconds=60.0)) == []
