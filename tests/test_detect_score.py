"""The suite's scorer on truths and findings made by hand, and the suite's own cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.detection.cases import Case, cases, made, overlaps
from benchmarks.detection.plans import plan_of
from benchmarks.detection.score import Tally, Told, score, wilson
from benchmarks.detection.scripts import places
from benchmarks.detection.truths import Truth, truths
from fabric.detections import DETECTIONS
from fabric.findings import Finding, Severity, State
from planner.simulate.faults import KINDS

PLAN = "small"
TRUTH = Truth("link", "down", "link-down", {}, 100, 200, 140)


def link(number: int = 0) -> dict[str, Any]:
    end = places(PLAN).below[number]
    return {"link": [{"device": end.device, "port": end.port}, {"device": end.far, "port": end.far_port}]}


def told(at: int, subject: dict[str, Any], code: str = "link", cause: str = "down", state: State = State.OPEN) -> Told:
    finding = Finding(code, cause, Severity.ERROR, subject, {}, first_seen=at, last_seen=at, state=state)
    return Told(finding, at)


def tally(truths_of: list[Truth], *said: Told) -> tuple[int, int, int, int, int]:
    found = score(plan_of(PLAN), truths_of, said, 100.0)
    return found.faults, found.hits, found.causes, found.false, found.late


def test_one_hit_a_fault_and_repeats_do_not_count() -> None:
    truth = replace(TRUTH, subject=link())
    assert tally([truth], told(120, link()), told(130, link()), told(180, link())) == (1, 1, 1, 0, 0)
    assert tally([truth], told(120, link(), cause="flap")) == (1, 1, 0, 0, 0)
    assert tally([truth], told(120, link()), told(150, link(), state=State.CLEARED)) == (1, 1, 1, 0, 0)


def test_late_early_and_wrong_subjects_are_false() -> None:
    truth = replace(TRUTH, subject=link())
    assert tally([truth], told(141, link())) == (1, 0, 0, 1, 1)
    assert tally([truth], told(100, link())) == (1, 0, 0, 1, 0)
    assert tally([truth], told(120, link(1))) == (1, 0, 0, 1, 0)
    assert tally([truth], told(120, link(), code="miswire")) == (1, 0, 0, 1, 0)
    assert tally([], told(120, link())) == (0, 0, 0, 1, 0)
    assert tally([truth]) == (1, 0, 0, 0, 0)


def test_a_masked_fault_may_be_found_and_need_not() -> None:
    hidden = replace(TRUTH, subject=link(1), masked=True)
    truth = replace(TRUTH, subject=link())
    assert tally([truth, hidden], told(120, link())) == (1, 1, 1, 0, 0)
    assert tally([truth, hidden], told(120, link()), told(120, link(1))) == (1, 1, 1, 0, 0)
    same = replace(hidden, subject=link(), cause="errors")
    assert tally([truth, same], told(120, link()), told(130, link())) == (1, 1, 1, 0, 0)
    assert tally([same, truth], told(120, link(), cause="errors")) == (1, 1, 0, 0, 0), "one subject has one finding"


def test_two_faults_are_two_hits() -> None:
    both = [replace(TRUTH, subject=link()), replace(TRUTH, subject=link(1))]
    assert tally(both, told(120, link()), told(120, link(1))) == (2, 2, 2, 0, 0)


@pytest.mark.parametrize("turn", [False, True])
def test_a_link_matches_by_either_end(turn: bool) -> None:
    end = places(PLAN).below[0]
    ends = [{"device": end.device, "port": end.port}, {"device": end.far, "port": end.far_port}]
    subject = {"link": [ends[int(turn)]]}
    assert tally([replace(TRUTH, subject=link())], told(120, subject)) == (1, 1, 1, 0, 0)


def test_a_rail_matches_by_the_leafs_port_and_not_by_another_rail() -> None:
    end = next(e for e in places(PLAN).below if e.far == places(PLAN).hosts[0])
    rail = next(r for r in range(8) if f"-l{r}-" in end.device)
    storm = Truth("pfc-storm", "nic-storm", "pfc-storm", {"host": end.far, "rail": rail}, 100, 200, 140)
    by_port = {"switch": end.device, "ports": [end.port]}
    for subject, hits in (
        ({"host": end.far, "rail": rail}, 1), ({"host": end.far, "rail": (rail + 1) % 8}, 0), (by_port, 1),
        ({"host": end.far, "rail": rail, "plane": 0}, 1), ({"host": end.far}, 0), ({"switch": end.device}, 0),
    ):  # fmt: skip
        assert tally([storm], told(120, subject, "pfc-storm", "nic-storm"))[1] == hits, subject


def test_a_group_matches_by_any_member_and_a_device_by_its_name() -> None:
    drop = Truth("lossless-drop", "drop", "lossless-drop", {"switch": "s", "ports": ["p1", "p2"]}, 100, 200, 140)
    for subject, hits in (
        ({"switch": "s", "ports": ["p2", "p3"]}, 1), ({"switch": "s", "ports": ["p3"]}, 0), ({"switch": "t"}, 0),
    ):  # fmt: skip
        assert tally([drop], told(120, subject, "lossless-drop", "drop"))[1] == hits
    quiet = Truth("silence", "stopped", "silence", {"switch": "s"}, 100, 200, 140)
    assert tally([quiet], told(120, {"switch": "s"}, "silence", "stopped"))[1] == 1
    assert tally([quiet], told(120, {"host": "t"}, "silence", "stopped"))[1] == 0


def test_a_fault_of_the_network_matches_any_switch_there() -> None:
    leaf, spine = places(PLAN).below[0].device, "spine-compute-d00-000"
    anywhere = Truth("hash-skew", "low-entropy", "low-entropy", {"network": "compute"}, 100, 200, 140)
    on_spines = replace(anywhere, subject={"network": "compute", "tier": "spine"})
    for truth, device, hits in ((anywhere, leaf, 1), (anywhere, spine, 1), (on_spines, leaf, 0), (on_spines, spine, 1)):
        assert tally([truth], told(120, {"switch": device, "ports": ["x"]}, "hash-skew", "low-entropy"))[1] == hits
    assert tally([anywhere], told(120, {"network": "compute"}, "hash-skew", "low-entropy"))[1] == 1
    assert tally([on_spines], told(120, {"network": "compute"}, "hash-skew", "low-entropy"))[1] == 0
    whole = {"network": "compute", "tier": "spine"}
    assert tally([on_spines], told(120, whole, "hash-skew", "low-entropy"))[1] == 1


def test_wilson() -> None:
    """The figures of Newcombe (1998), Table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_tallies_add_up() -> None:
    sums = Tally()
    sums += Tally(runs=1, faults=2, hits=1, false=1, seconds=43_200, wrong={"link/down": 1})
    sums += Tally(runs=1, false=2, seconds=43_200, delays=[3.0], wrong={"link/down": 2})
    assert (sums.runs, sums.faults, sums.hits, sums.false, sums.wrong) == (2, 2, 1, 3, {"link/down": 3})
    assert sums.false_a_day == 3


def test_every_kind_has_cases_and_a_deadline() -> None:
    kinds = {case.kinds for case in cases(PLAN, 1, 1, 1)}
    assert {(kind,) for kind in KINDS} <= kinds
    assert () in kinds
    assert {(one.first, one.second) for one in overlaps()} <= kinds
    assert {about.code for about in KINDS.values()} <= set(DETECTIONS)


def test_a_case_is_the_same_each_time_and_another_number_another() -> None:
    case = Case(PLAN, "single", ("link-down",), 3)
    first, again = made(case).scenario, made(case).scenario
    assert first.faults == again.faults
    assert [job.name for job in first.jobs] == [job.name for job in again.jobs]
    assert made(replace(case, number=4)).scenario.faults != first.faults


def test_deadlines_are_whole_intervals_after_the_onset() -> None:
    run = made(Case(PLAN, "single", ("link-down",), 0))
    (truth,) = truths(run.scenario, [False])
    start, step = run.scenario.settings.start_ns, 10 * 10**9
    assert 2 * step <= truth.deadline_ns - truth.onset_ns < 3 * step
    assert (truth.deadline_ns - start) % step == 0


def test_separate_pairs_share_no_device() -> None:
    for number in range(5):
        scenario = made(Case(PLAN, "separate", ("link-down", "slow-rail"), number)).scenario
        link_down, slow = scenario.faults
        near = {e.far for e in places(PLAN).at(link_down.device or "") if e.port == link_down.port}
        assert slow.host not in {link_down.device, *near}
