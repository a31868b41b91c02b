"""The suite's scorer on truths and findings made by hand, and the suite's own cases."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from benchmarks.detection.cases import Case, Made, cases, made, overlaps
from benchmarks.detection.plans import plan_of
from benchmarks.detection.run import in_turns
from benchmarks.detection.scenes import INTERVAL, busy_ports
from benchmarks.detection.score import Tally, Told, score, wilson
from benchmarks.detection.scripts import LEAST_ERRORS, places, senders
from benchmarks.detection.table import as_json, costs, table
from benchmarks.detection.truths import Truth, due, truths
from collectors.detectors.links.errors import run_length
from collectors.detectors.policy import Policy
from fabric.detections import DETECTIONS
from fabric.findings import Finding, Severity, State
from fabric.plan import Plan
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


def test_a_swap_is_the_same_at_the_other_ends_of_its_cables() -> None:
    here, there, third = places(PLAN).below[:3]
    ends = [{"device": end.device, "port": end.port} for end in (here, there)]
    truth = replace(TRUTH, code="miswire", cause="swap", kind="miswire", subject={"ends": ends})
    far = [{"device": end.far, "port": end.far_port} for end in (here, there, third)]
    assert tally([truth], told(120, {"ends": far[:2]}, "miswire", "swap")) == (1, 1, 1, 0, 0)
    assert tally([truth], told(120, {"ends": far[2:]}, "miswire", "swap")) == (1, 0, 0, 1, 0)


@cache
def run_of(kind: str, number: int = 0) -> Made:
    return made(Case(PLAN, "single", (kind,), number))


def counts(plan: Plan, truth: Truth, at: int, **changes: Any) -> tuple[int, int, int]:
    """Hits, false and late findings, where a detector says exactly this, once."""
    said = {"code": truth.code, "cause": truth.cause, "subject": dict(truth.subject)} | changes
    found = score(plan, [truth], [told(at, said["subject"], said["code"], said["cause"])], 100.0)
    return found.hits, found.false, found.late


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind_only_its_own_subject_in_time_is_a_hit(kind: str) -> None:
    run = run_of(kind)
    plan, (truth,) = run.scenario.plan, run.truths
    other = next(
        found for number in range(1, 20)
        if (found := run_of(kind, number).truths[0].subject) != truth.subject or "network" in found
    )  # fmt: skip
    if "network" in other:
        other = {**other, "network": "storage"}
    assert counts(plan, truth, truth.onset_ns + 1) == (1, 0, 0)
    assert counts(plan, truth, truth.deadline_ns) == (1, 0, 0)
    assert counts(plan, truth, truth.deadline_ns + 1) == (0, 1, 1)
    assert counts(plan, truth, truth.onset_ns) == (0, 1, 0), "before it began"
    assert counts(plan, truth, truth.deadline_ns, subject=other) == (0, 1, 0)
    for code in DETECTIONS:
        if code != truth.code:
            assert counts(plan, truth, truth.deadline_ns, code=code) == (0, 1, 0)


def test_victims_of_a_storm_are_false() -> None:
    """The leaf's other ports, its uplinks, the host's other rails, and the link itself under another code."""
    run = run_of("pfc-storm")
    plan, (truth,) = run.scenario.plan, run.truths
    host, rail = truth.subject["host"], truth.subject["rail"]
    (own,) = (end for end in places(PLAN).below if end.far == host and f"-l{rail}-" in end.device)
    up = next(end for end in places(PLAN).above if end.device == own.device)
    beside = next(end for end in places(PLAN).below if end.device == own.device and end.far != host)
    ends = [{"device": own.device, "port": own.port}, {"device": own.far, "port": own.far_port}]
    assert counts(plan, truth, truth.deadline_ns, subject={"switch": own.device, "ports": [own.port]}) == (1, 0, 0)
    for victim in (
        {"switch": up.device, "ports": [up.port]}, {"switch": up.far, "ports": [up.far_port]},
        {"switch": beside.device, "ports": [beside.port]}, {"host": beside.far, "rail": rail},
        {"host": host, "rail": (rail + 1) % 8}, {"switch": own.device},
    ):  # fmt: skip
        assert counts(plan, truth, truth.deadline_ns, subject=victim) == (0, 1, 0), victim
    assert counts(plan, truth, truth.deadline_ns, subject={"link": ends}, code="link") == (0, 1, 0)


def test_a_detector_that_is_late_names_a_neighbour_or_repeats_itself_loses_points() -> None:
    run = run_of("link-down")
    plan, (truth,) = run.scenario.plan, run.truths
    other = next(found for n in range(1, 9) if (found := run_of("link-down", n).truths[0].subject) != truth.subject)
    good = told(truth.deadline_ns, dict(truth.subject))
    late = told(truth.deadline_ns + 1, dict(truth.subject))
    wrong = told(truth.deadline_ns, dict(other))
    after = told(2 * truth.end_ns, dict(truth.subject))
    for said, expected in (
        ([good], (1, 0)), ([late], (0, 1)), ([wrong], (0, 1)), ([wrong, good], (1, 1)), ([good, late], (1, 0)),
        ([good, after], (1, 1)), ([late, late], (0, 2)), ([], (0, 0)),
    ):  # fmt: skip
        sums = score(plan, [truth], said, 100.0)
        assert (sums.hits, sums.false) == expected


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


def test_a_rate_of_errors_is_told_by_its_deadline_999_times_in_1000() -> None:
    """At the lowest rate that is drawn; one interval of the six is for counters that lag. By the sum's distribution."""
    policy = Policy().link
    factors, weights = hermegauss(40)
    mean = LEAST_ERRORS * INTERVAL * np.exp(0.3 * factors)
    chances = [float(np.sum(weights * np.exp(-mean) * mean**k / factorial(k)) / weights.sum()) for k in range(4)]
    chances.append(1 - sum(chances))
    assert run_length(chances, policy) == pytest.approx(2.36, abs=0.01)
    left = {0.0: 1.0}
    for _ in range(due("link-errors") - 1):
        after: dict[float, float] = {}
        for value, chance in left.items():
            for bad, share in enumerate(chances):
                now = max(value + min(bad, policy.errors_cap) - policy.errors_reference, 0.0)
                if now < policy.errors_alarm:
                    after[now] = after.get(now, 0.0) + chance * share
        left = after
    assert sum(left.values()) < 1e-3


def test_what_stops_a_job_begins_once_what_its_traffic_shows_is_due() -> None:
    for number in range(5):
        run = made(Case(PLAN, "separate", ("slow-rail", "pfc-storm"), number))
        (slow, storm), (truth, _) = run.scenario.faults, run.truths
        assert storm.start * 1e9 > truth.deadline_ns - run.scenario.settings.start_ns - 10e9
        assert slow.start < storm.start < slow.end
        assert run.scenario.settings.seconds >= storm.end


def test_packets_are_lost_where_some_arrive() -> None:
    run = made(Case(PLAN, "single", ("grey-loss",), 0))
    (fault,) = run.scenario.faults
    assert (fault.device, fault.port) in busy_ports(run.scenario)


def test_cases_take_turns() -> None:
    todo = in_turns(list(cases(PLAN, 20, 2, 10)))
    assert len(todo) == len(set(todo))
    first = todo[: len(todo) // 2]
    for kinds, runs in ((("link-down",), 10), ((), 5), (("link-down", "reboot"), 1)):
        assert abs(sum(case.kinds == kinds for case in first) - runs) <= 1


def test_the_table_and_the_json_have_every_tally() -> None:
    perfect = Tally(runs=2, faults=2, hits=2, causes=2, delays=[10.0, 20.0], seconds=360.0, cpu=1.0)
    poor = Tally(runs=1, faults=2, hits=1, causes=0, false=3, wrong={"link/x": 3}, delays=[9.0])
    quiet = Tally(runs=1, false=1, wrong={"incast/incast": 1}, seconds=43_200.0)
    found = {("single", "reboot"): perfect, ("separate", "reboot+silence"): poor, ("healthy", "healthy"): quiet}
    assert [row.replace(".000", "") for row in list(table(found))[2:]] == [
        "| reboot | 2 | 1 (0.342–1) | 1 (0.342–1) | 1 (0.342–1) | 15 |  |",
        "| pairs, separate | 1 | 0.500 (0.095–0.905) | 0.250 (0.046–0.699) | 0 (0–0.793) | 9 | 3: link/x 3 |",
        "| **all faults** | 3 | 0.750 (0.301–0.954) | 0.500 (0.188–0.812) | 0.667 (0.208–0.939) | 10 | 3: link/x 3 |",
        "| healthy | 1 | | | | | 1 in 0.50 fabric-days (2.00 a day): incast/incast 1 |",
    ]
    assert list(costs(found)) == ["CPU seconds a run: reboot 0.50, separate runs 0.00, healthy runs 0.00"]
    rows = json.loads(as_json({PLAN: found}))["rows"]
    assert [(row["scale"], row["name"], row["hits"]) for row in rows] == [
        (PLAN, "reboot", 2), (PLAN, "reboot+silence", 1), (PLAN, "healthy", 0),
    ]  # fmt: skip


def test_separate_pairs_share_no_device() -> None:
    for number in range(5):
        scenario = made(Case(PLAN, "separate", ("link-down", "slow-rail"), number)).scenario
        link_down, slow = scenario.faults
        near = {e.far for e in places(PLAN).at(link_down.device or "") if e.port == link_down.port}
        assert slow.host not in {link_down.device, *near}
        scenario = made(Case(PLAN, "separate", ("incast", "slow-rail"), number)).scenario
        many, slow = scenario.faults
        sending = senders(PLAN, {"host": many.host, "rail": many.rail, "senders": many.senders})
        assert len(sending) == many.senders
        assert slow.host not in {many.host, *sending}


def test_the_documentation_has_the_deadlines_and_the_overlapping_pairs() -> None:
    page = (Path(__file__).parent.parent / "docs/detection.md").read_text(encoding="utf-8")
    for one in overlaps():
        hidden = {"first": one.first, "second": one.second, "none": ""}[one.masked]
        assert f"| {one.first} | {one.second} | {one.shares} | {hidden} | {one.why} |" in page
    said = dict(re.findall(r"^\| (`.*`) \| (\d+) \|", page, flags=re.MULTILINE))
    stated = {name.strip("` "): int(number) for names, number in said.items() for name in names.split(",")}
    assert {kind: stated.get(kind, stated.get(KINDS[kind].code)) for kind in KINDS} == {k: due(k) for k in KINDS}
