"""Links: each fault by its cause within two intervals, and nothing of what only looks like one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from link_cases import Hand, fabric_links, found, hits, opened, seen
from test_simulate_faults import fault

from collectors.detectors.link import Link
from collectors.detectors.links.errors import Errors, run_length
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.policy import Policy

DUE_S = 20.0
GREY_S = 40.0
"""Loss has to go on for three whole intervals."""
QUIET: list[dict[str, Any]] = [
    fault("reboot", 33, 64), fault("silence", 33, 64), fault("incast", 33, 64), fault("lossless-drop", 33, 64),
    fault("low-entropy", 33, 64),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more"),
    [("link-down", {}), ("link-flap", {}), ("link-errors", {}), ("grey-loss", {"share": 0.001}), ("slow-link", {})],
)
@pytest.mark.parametrize("start", [42.0, 47.5])
def test_each_fault_is_told_once_and_soon(kind: str, more: dict[str, Any], start: float) -> None:
    one = fault(kind, start, 110, **more)
    assert hits(found(one), one, GREY_S if kind == "grey-loss" else DUE_S)


@pytest.mark.parametrize("more", [{}, {"method": "ecmp", "refresh": 7.0, "seconds": 200.0}, {"refresh": 10.0}])
def test_a_healthy_run_is_quiet(more: dict[str, Any]) -> None:
    assert opened(found(detail=len(more) == 0, **more)) == []


@pytest.mark.parametrize("one", QUIET, ids=[one["kind"] for one in QUIET])
@pytest.mark.parametrize("refresh", [0.0, 10.0])
def test_what_is_no_links_fault_is_left_to_others(one: dict[str, Any], refresh: float) -> None:
    assert opened(found(one, refresh=refresh)) == []


def test_grey_loss_shows_through_counters_that_are_late() -> None:
    one = fault("grey-loss", 82, 160, share=0.001)
    assert hits(found(one, refresh=10.0, seconds=160.0), one, 2 * GREY_S)


# by hand


def hand() -> Hand:
    return Hand(Link(seen(), Policy()))


A, B = next(fabric_links())


def test_one_burst_is_no_fault_and_two_are() -> None:
    one = hand()
    one.run(2, {A: {"rx_fcs_errors": 0}})
    assert one.step({A: {"rx_fcs_errors": 5000}}) == []
    (told,) = one.step({A: {"rx_fcs_errors": 40}})
    assert (told.cause, told.evidence["bad_a_second"], told.ports) == ("errors", 4.0, (A, B))
    assert one.run(8, {A: {"rx_fcs_errors": 0}}) == []


def test_counters_that_fell_say_nothing() -> None:
    one = hand()
    one.run(3, {A: {"rx_fcs_errors": 100_000}})
    assert one.step({A: {"rx_fcs_errors": -250_000}}) != []  # what holds is not cleared by what nobody knows
    other = hand()
    for rise in (100_000, -50_000, 0, 100_000, -60_000, 0):
        assert other.step({A: {"rx_fcs_errors": rise}}) == []


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [("speed_gbps", 100.0, "speed"), ("speed_gbps", 0.0, None), ("width_lanes", 2.0, "width")],
)
def test_speed_and_width_below_plan(name: str, value: float, cause: str | None) -> None:
    gauges = {"oper_status": 1.0, name: value}
    told = hand().run(2, {A: gauges}, list(gauges))
    assert [signal.cause for signal in told] == ([cause] if cause else [])


def test_a_link_that_is_down_was_switched_off_or_not() -> None:
    gauges = {"oper_status": 2.0, "admin_status": 2.0}
    one = hand()
    assert one.step({A: gauges}, list(gauges)) == []
    (told,) = one.step({A: gauges}, list(gauges))
    assert (told.cause, told.severity, told.evidence["switched_off"]) == ("down", "warning", True)
    assert one.step({A: gauges | {"oper_status": 4.0}}, list(gauges)) != []
    assert one.step({A: gauges | {"oper_status": 1.0}}, list(gauges)) == []


def test_codewords_that_were_nearly_lost_and_light_that_faded() -> None:
    one = hand()
    rows = {"fec_codewords_b3": 1000, "fec_codewords_b12": 0}
    one.run(3, {A: rows})
    assert one.run(2, {A: rows | {"fec_codewords_b12": 1}}) == []
    (told,) = one.step({A: rows | {"fec_codewords_b12": 1}})
    assert (told.cause, told.evidence["worst_bin"]) == ("margin", 12)
    other = hand()
    lanes = {"rx_power_dbm_l0": -1.0, "rx_power_dbm_l1": -2.0}
    other.run(5, {A: lanes}, list(lanes))
    assert other.run(2, {A: lanes | {"rx_power_dbm_l1": -5.0}}, list(lanes)) == []
    (told,) = other.step({A: lanes | {"rx_power_dbm_l1": -5.0}}, list(lanes))
    assert (told.cause, told.evidence["usual_rx_power_dbm"]) == ("margin", pytest.approx(-2.0))


def packets(sent: float, received: float, also: float = 1e6) -> dict[int, dict[str, float]]:
    """What A sent and B received; four more links of each of their switches work."""
    device, links = seen().device, list(fabric_links())[1:]
    near = [[two for two in links if device[two[end]] == device[(A, B)[end]]][:4] for end in (0, 1)]
    others = {port: {kind: also} for two in (*near[0], *near[1]) for port, kind in zip(two, (SENT, GOT), strict=True)}
    return {**others, A: {SENT: sent}, B: {GOT: received}}


SENT, GOT = "tx_packets", "rx_packets"


def test_loss_one_way_is_told_after_three_intervals() -> None:
    steady = hand()
    steady.run(5, packets(1e6, 1e6))
    assert steady.run(2, packets(1e6, 999_000)) == []
    (told,) = steady.step(packets(1e6, 999_000))
    assert (told.cause, told.evidence["at"]) == ("grey-loss", seen().end(B))
    assert told.evidence["lost_share"] == pytest.approx(1e-3)
    assert steady.run(4, packets(1e6, 1e6)) == []


def test_counters_that_are_late_now_and_then_hide_loss_one_way_and_make_none() -> None:
    late = hand()
    for turn in range(30):  # zero, then double
        assert late.step(packets(1e6, 2e6 if turn % 2 else 1.0)) == []
    for turn in range(10):
        assert late.step(packets(1e6, 0.8e6 if turn % 2 else 1.1e6)) == []


def test_what_all_ports_of_a_device_seem_to_lose_is_its_clock() -> None:
    one = hand()
    one.run(5, packets(1e6, 1e6))
    drift = {
        port: {kind: 999_000.0 if kind == GOT else n for kind, n in row.items()}
        for port, row in packets(1e6, 1e6).items()
    }
    assert one.run(8, drift) == []


def test_counters_of_different_things_are_no_loss() -> None:
    one = hand()
    one.run(6, packets(1e6, 1e6))
    assert one.run(5, packets(1e6, 1000.0)) == []


def test_packets_that_arrived_broken_are_errors_and_no_grey_loss() -> None:
    one = hand()
    whole: dict[int, dict[str, float]] = {A: {"tx_packets": 1e6}, B: {"rx_packets": 1e6, "rx_errors": 0}}
    one.run(6, whole)
    broken = whole | {B: {"rx_packets": 998_000, "rx_errors": 2000}}
    assert [signal.cause for signal in one.run(3, broken)] == ["errors"]


# run lengths


def alarms(counts: np.ndarray[Any, Any], policy: Thresholds) -> np.ndarray[Any, Any]:
    """In which interval each link (a column of counts) first alarms; the number of intervals where it does not."""
    many: Any = SimpleNamespace(ports=counts.shape[1])
    errors, first = Errors(many, policy), np.full(counts.shape[1], len(counts))
    for number, row in enumerate(counts):
        errors.add(row.astype(np.float64), number)
        first = np.where(errors.alarmed & (first == len(counts)), number + 1, first)
    return first


@pytest.mark.parametrize("chances", [(0.5, 0.5), (0.8, 0.1, 0.0, 0.05, 0.05), (0.95, 0, 0, 0, 0.05)])
def test_run_lengths_are_as_stated(chances: tuple[float, ...]) -> None:
    """Mean intervals to the alarm of 4,000 links, beside the exact mean of the Markov chain."""
    policy, links = Thresholds(), 4000
    stated = run_length(chances, policy)
    rng = np.random.default_rng(1)
    first = alarms(rng.choice(len(chances), (int(14 * stated) + 20, links), p=chances), policy)
    assert abs(first.mean() - stated) < 4 * first.std() / np.sqrt(links) + 1e-3


def test_a_link_as_bad_as_the_standard_allows_hardly_ever_alarms() -> None:
    """docs/link-detectors.md: one burst a day (8,640 intervals), and 1.2e-3 single errors an interval."""
    single, burst = 1.2e-3, 1 / 8640
    years = run_length((1 - single - burst, single, 0, 0, burst), Thresholds()) * 10 / (365.25 * 86_400)
    assert 5 < years < 10
    poisson = [np.exp(-2.0) * 2.0**i / np.prod(range(1, i + 1)) for i in range(4)]
    assert run_length((*poisson, 1 - sum(poisson)), Thresholds()) < 5.0
