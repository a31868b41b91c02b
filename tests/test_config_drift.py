"""Settings that are not as planned: what ports tell of them, and what they do not do."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from storms import LEAF, SPINE, hits, opened, simulated, the_job, walked, watched
from test_simulate import four
from test_simulate_faults import up_ports

from collectors.detectors.policy import Policy
from collectors.detectors.run import watch
from fabric.counters import counters
from planner.simulate.reports import Interval

TIMES = {"start": 13, "end": 77}


def drift(setting: str, device: str = LEAF, **more: Any) -> dict[str, Any]:
    """A fault."""
    return {"kind": "config-drift", "device": device, "setting": setting} | TIMES | more


@pytest.mark.parametrize(
    ("setting", "device"),
    [("mtu", LEAF), ("mtu", "gpu-0003"), ("pfc", SPINE), ("pcie", "gpu-0003"), ("gid", "gpu-0003")],
)
@pytest.mark.parametrize("made", [("all-reduce", None), ("all-to-all", None)])
def test_a_setting_is_found_when_it_is_next_told(setting: str, device: str, made: tuple[str, str | None]) -> None:
    fault = drift(setting, device)
    hits(watched(simulated([fault], the_job(*made), seconds=120.0)), fault, within=3)


@pytest.mark.parametrize("setting", ["mtu", "pfc"])
def test_one_port_is_named_and_not_the_switch(setting: str) -> None:
    fault = drift(setting, port=up_ports(four())[1])
    hits(watched(simulated([fault], seconds=120.0)), fault, within=3)


@pytest.mark.parametrize("device", [LEAF, SPINE])
@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_ecn_that_is_off_shows_by_the_marks_that_are_missing(device: str, refresh: float) -> None:
    fault = drift("ecn", device)
    hits(watched(simulated([fault], refresh=refresh, seconds=120.0)), fault, within=4)


def test_a_chip_that_never_counts_marks_is_not_blamed() -> None:
    run = simulated(seconds=60.0)
    without = [pl.col("queue_ecn_marked_packets_q3").clip(upper_bound=0)]
    unmarked = [Interval(i.number, i.seconds, i.counters.with_columns(without), i.flows, i.outcomes) for i in run]
    assert watched(unmarked) == []


@pytest.mark.parametrize("collective", ["all-reduce", "all-to-all"])
def test_a_hash_without_ports_shows_in_the_members_of_queue_pairs(collective: str) -> None:
    fault = drift("hash")
    run = simulated([fault], the_job(collective), queue_pairs=8, sampling=1_000_000, seconds=150.0)
    hits(watched(run), fault, within=2)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "polarised-hash", "tier": "spine"}, {"kind": "low-entropy"}, {"kind": "regular-ports"},
        {"kind": "link-flap", "device": LEAF, "port": up_ports(four())[0]},
    ],
)  # fmt: skip
def test_other_faults_of_hashes_are_none(fault: dict[str, Any]) -> None:
    run = simulated([fault | TIMES], the_job("all-to-all"), queue_pairs=8, sampling=1_000_000, seconds=60.0)
    assert watched(run) == []


def told(run: list[Interval], column: str, value: float) -> list[Interval]:
    """The run, with another value of a setting wherever one is told."""
    change = pl.when(pl.col(column).is_not_null()).then(pl.lit(value)).cast(counters()[column].dtype).alias(column)
    return [
        Interval(i.number, i.seconds, i.counters.with_columns(change), i.flows, i.outcomes)
        if column in i.counters.columns else i
        for i in run
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "found"), [(9216, 0), (9230, 0), (9000, 1)])
def test_a_larger_mtu_is_fine(value: float, found: int) -> None:
    run = told(simulated(seconds=10.0), "mtu_bytes", value)
    devices = {str(row[3]) for row in opened(watched(run))}
    assert bool(devices) == bool(found)
    if found:
        assert len(devices) == run[0].counters["device"].n_unique()


@pytest.mark.parametrize(("value", "found"), [(32.0, 0), (64.0, 0), (16.0, 1)])
def test_pcie_must_carry_the_line_rate(value: float, found: int) -> None:
    """16 lanes of 16 GT/s carry 252 Gb/s: too few for 400, though all hosts are alike."""
    assert bool(opened(watched(told(simulated(seconds=10.0), "pcie_gigatransfers", value)))) == bool(found)


def test_what_was_told_long_ago_counts_no_more() -> None:
    run = simulated([drift("mtu", start=0, end=1e6)], seconds=1200.0, interval=60.0, states_every=1e9)

    found = walked(run, watch(four(), Policy(interval_s=60.0), codes=["config-drift"]))
    assert next(finding.state.value for _, finding in found) == "open"
    assert found[-1][1].state.value == "cleared"
    assert 900 <= found[-1][0] <= 1200
