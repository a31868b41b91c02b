"""Incast: many senders into one host port, and what looks like it and is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from link_cases import seen
from storms import CODES, LEAF, Hands, hits, opened, simulated, the_job, walked, watched
from test_simulate import four

from benchmarks.detection.cases import Case
from benchmarks.detection.cases import made as drawn_case
from benchmarks.detection.wire_compare import carried
from collectors.detectors import Signal
from collectors.detectors.incast import Incast as IncastDetector
from collectors.detectors.incast import buffer_bytes, fill_seconds
from collectors.detectors.policy import Incast, Policy
from collectors.detectors.run import watch
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS, intervals

INCAST = {"kind": "incast", "host": "gpu-0005", "rail": 2, "start": 13, "end": 47}


@pytest.mark.parametrize("sampling", [0, 1_000_000])
@pytest.mark.parametrize("made", [("all-reduce", None), ("all-to-all", None), ("all-reduce", "tree")])
@pytest.mark.parametrize("senders", [8, 16])
def test_an_incast_is_found_beside_any_collective(sampling: int, made: tuple[str, str | None], senders: int) -> None:
    fault = INCAST | {"senders": senders}
    hits(watched(simulated([fault], the_job(*made), sampling=sampling)), fault, within=3)


def test_flow_samples_name_the_senders() -> None:
    run = simulated([INCAST | {"senders": 10}], sampling=500_000)
    (finding, *_) = [finding for _, finding in watched(run, ["incast"])]
    leaf = finding.evidence["at"][0]
    to = pl.concat([one.flows for one in run[1:4]]).filter(device=leaf["device"], out_port=leaf["port"])
    sources = to.group_by("src_ip").len().filter(pl.col("len") > 10).height
    assert finding.evidence["senders_by"] == "flow-samples"
    assert abs(finding.evidence["senders"] - sources) <= 1
    assert 10 <= len(finding.evidence["sender_hosts"]) <= 11, "the ring's own sender may be one more"
    assert "gpu-0005" not in finding.evidence["sender_hosts"]


def test_pauses_name_them_without() -> None:
    (finding, *_) = [finding for _, finding in watched(simulated([INCAST]), ["incast"])]
    assert finding.evidence["senders_by"] == "pauses"
    assert 10 <= finding.evidence["senders"] <= 20
    assert finding.evidence["fill_seconds"] > 0


def test_late_counters_delay_it_by_less_than_an_interval() -> None:
    hits(watched(simulated([INCAST], the_job("all-to-all"), refresh=7.0)), INCAST, within=3)


def test_without_marks_the_watermark_and_pauses_upstream_show_it() -> None:
    drift = {"kind": "config-drift", "device": "leaf-compute-s000-l2-p0", "setting": "ecn", "start": 0, "end": 90}
    run = simulated([drift, INCAST])
    assert [row[1:] for row in opened(watched(run, ["incast"]))] == [
        ("incast", "incast", {"host": "gpu-0005", "rail": 2})
    ]


@pytest.mark.parametrize("kind", ["slow-receiver", "slow-rail", "pfc-storm"])
@pytest.mark.parametrize("made", [("all-reduce", None), ("all-to-all", None), ("all-reduce", "tree")])
def test_a_host_that_takes_too_little_is_no_incast(kind: str, made: tuple[str, str | None]) -> None:
    fault: dict[str, Any] = {"kind": kind, "host": "gpu-0000", "rail": 0, "start": 13, "end": 47}
    assert watched(simulated([fault], the_job(*made)), ["incast"]) == []


def spoken(run: Sequence[Interval], way: str) -> list[Interval]:
    """A run as it is known where switches are asked in one way, and hosts by their agents."""
    switches = run[0].counters["device"].unique().to_list()
    switches = [name for name in switches if not name.startswith("gpu-")]
    return [replace(one, counters=carried(one.counters, switches, way)) for one in run]


@pytest.mark.parametrize("made", [("all-reduce", None), ("all-to-all", None), ("all-reduce", "tree")])
@pytest.mark.parametrize("senders", [8, 16])
def test_nics_tell_the_pauses_that_openconfig_lacks(made: tuple[str, str | None], senders: int) -> None:
    fault = INCAST | {"senders": senders}
    hits(watched(spoken(simulated([fault], the_job(*made)), "openconfig"), ["incast"]), fault, within=3)


@pytest.mark.parametrize("number", [0, 1])
def test_nics_tell_the_marks_that_snmp_lacks(number: int) -> None:
    drawn = drawn_case(Case("small", "single", ("incast",), number))
    watching = watch(drawn.scenario.plan, codes=["incast"])
    found = opened(walked(spoken(list(intervals(drawn.scenario)), "snmp"), watching))
    (truth,) = drawn.truths
    assert [row[1:] for row in found] == [("incast", "incast", dict(truth.subject))]
    assert found[0][0] <= (truth.deadline_ns - START_NS) / 1e9


def test_where_marks_come_from_everywhere_snmp_alone_does_not_tell_whose_they_are() -> None:
    """A ring that collides on its way up brings marks to most NICs, the victim's a fifth of its rail's."""
    assert watched(spoken(simulated([INCAST | {"senders": 8}]), "snmp"), ["incast"]) == []


@pytest.mark.parametrize("way", ["snmp", "openconfig"])
@pytest.mark.parametrize("kind", ["slow-receiver", "pfc-storm", ""])
def test_what_nics_tell_makes_no_incast_of_others(way: str, kind: str) -> None:
    fault: dict[str, Any] = {"kind": kind, "host": "gpu-0000", "rail": 0, "start": 13, "end": 47}
    run = simulated([fault] if kind else [], the_job("all-to-all"))
    assert watched(spoken(run, way), ["incast"]) == []


VICTIM = {"tx_bytes": 0.5, "queue_tx_packets_q3": 1.5e7, "queue_ecn_marked_packets_q3": 2e6}
LONG = {"queue_watermark_bytes_q3": 2.5, "queue_depth_bytes_q3": 1.0}
PAUSED = "tx_pfc_pause_seconds_p3"


def by_hand(victim: int, senders: int, **other: float) -> list[Signal]:
    """Signals of the third interval in which so many hosts are asked to pause and a port has a long queue.

    ``tx_bytes`` in line rate, queues in Kmax; ``other`` numbers in place of those of ``VICTIM`` and ``LONG``.
    """
    detector = IncastDetector(seen(), Policy())
    made = Hands(detector)
    facing = np.flatnonzero(seen().host_facing & (seen().rail == 0) & detector.rules.ports)
    own = VICTIM | LONG | other
    own["tx_bytes"] *= 10 * seen().capacity[victim]
    own = {name: value * detector.rules.kmax[victim] if name in LONG else value for name, value in own.items()}
    ports = {int(port): {PAUSED: 0.0} for port in facing if port != victim} | {victim: own}
    made.run(2, ports | {victim: dict.fromkeys(own, 0.0)}, list(LONG))
    ports |= {port: {PAUSED: 6.0} for port in [port for port in ports if port != victim][:senders]}
    return made.run(3, ports, list(LONG))


def facing(host: str) -> int:
    """The leaf's port to a host's rail 0."""
    device = seen().device_ids[host]
    (port,) = np.flatnonzero(seen().host_facing & (seen().rail == 0) & (seen().device[seen().peer] == device))
    return int(port)


def test_a_long_queue_to_a_host_with_many_senders_is_one_and_says_when_it_is_full() -> None:
    (told,) = by_hand(facing("gpu-0003"), 8)
    assert told.subject == {"host": "gpu-0003", "rail": 0}
    line, room = seen().capacity[facing("gpu-0003")], told.evidence["buffer_bytes"]
    assert told.evidence["fill_seconds"] == pytest.approx(room / (8 * line - line), rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        {"queue_watermark_bytes_q3": 1.0}, {"queue_ecn_marked_packets_q3": 1e5}, {"tx_bytes": 0.2},
        {"rx_pfc_pause_seconds_p3": 1.0},
    ],
    ids=["short queue", "hardly marked", "room", "paused by its host"],
)  # fmt: skip
def test_each_part_of_the_evidence_is_needed(other: dict[str, float]) -> None:
    assert by_hand(facing("gpu-0003"), 8, **other) == []


def test_where_nothing_is_marked_pauses_upstream_at_line_rate_are_evidence() -> None:
    unmarked = {"queue_ecn_marked_packets_q3": 0.0, "tx_bytes": 0.9}
    assert len(by_hand(facing("gpu-0003"), 8, **unmarked)) == 1
    assert by_hand(facing("gpu-0003"), 0, **unmarked) == []


NIC = {"rx_packets": 1.5e7, "ecn_marked_roce_packets": 2e6}


@pytest.mark.parametrize(("others", "told"), [(0, 1), (2, 1), (3, 0)])
def test_marks_that_nics_count_are_the_victims_where_most_come_to_it(others: int, told: int) -> None:
    """Of switches that tell neither queue nor marks; ``others``: NICs that get as many marked packets."""
    detector = IncastDetector(seen(), Policy())
    made = Hands(detector)
    victim, *rest = (facing(f"gpu-{number:04}") for number in (3, 0, 1, 2))
    ports = np.flatnonzero(seen().host_facing & (seen().rail == 0) & detector.rules.ports)
    rows: dict[int, dict[str, float]] = {int(port): {PAUSED: 0.0} for port in ports}
    rows[victim] = {"tx_bytes": 5 * seen().capacity[victim]}
    rows |= {int(seen().peer[port]): NIC for port in (victim, *rest[:others])}
    made.run(2, {port: dict.fromkeys(values, 0.0) for port, values in rows.items()}, [])
    rows |= {int(port): {PAUSED: 6.0} for port in ports[ports != victim][:8]}
    assert len(made.run(3, rows, [])) == told


@pytest.mark.parametrize("senders", [1, 5])
def test_one_sender_or_a_few_are_none(senders: int) -> None:
    assert by_hand(facing("gpu-0003"), senders) == []


def test_a_fabric_port_beside_idle_members_of_its_group_is_skew_and_none() -> None:
    leaf = seen().device[facing("gpu-0003")]
    (up, *_) = np.flatnonzero((seen().device == leaf) & (seen().group >= 0)).tolist()
    assert by_hand(up, 8) == []


def test_few_senders_are_none() -> None:
    """Two senders of line rate fill the queue all the same: a burst of a tree's children looks like it."""
    assert watched(simulated([INCAST | {"senders": 3}], sampling=1_000_000), ["incast"]) == []


def test_the_number_of_senders_is_policy() -> None:
    run = simulated([INCAST | {"senders": 4}], sampling=1_000_000)
    lower = watch(four(), Policy(incast=Incast(senders=3)), codes=["incast"])
    assert len(opened(walked(run, lower))) == 1


def test_a_burst_within_one_interval_is_none() -> None:
    assert watched(simulated([INCAST | {"start": 12, "end": 18}]), CODES) == []


def test_the_time_to_fill_is_that_of_what_is_too_much() -> None:
    """64 MB before 8 senders of 50 GB/s each into 50 GB/s: 64 MB over 350 GB/s."""
    assert fill_seconds(64e6, 8, 50e9, 50e9) == pytest.approx(64e6 / 350e9, abs=1e-9)
    assert fill_seconds(64e6, 1, 50e9, 50e9) is None
    room = buffer_bytes(seen(), int(seen().keys.filter(device=LEAF)["id"][0]))
    assert room is None or room > 1e6
