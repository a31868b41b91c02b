"""hash-skew from end to end: simulated fabrics, their counters and flow samples, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from test_simulate import INTENT, four

from collectors.detectors import Signal
from collectors.detectors.hash_skew import HashSkew
from collectors.detectors.interval import Interval
from collectors.detectors.intervals import Intervals
from collectors.detectors.policy import Policy
from collectors.detectors.skew.memory import Memory
from collectors.detectors.skew.observe import Flows
from collectors.detectors.view import View, view
from fabric.catalogue import load_catalogue
from fabric.detections import DETECTIONS
from fabric.intent import parse_intent
from fabric.jobfile import job_from
from fabric.plan import Plan
from fabric.samples import FLOW_SCHEMA
from planner.build import build
from planner.simulate.faults import faults_from, truth
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals
from planner.sizing import size

SECOND = 10**9
TEN = 10 * SECOND


@cache
def three() -> Plan:
    """Eight segments of eight hosts under three tiers."""
    text = INTENT.replace("count: 32", "count: 64").replace("tiers: 2", "tiers: 3")
    text = text.replace("{leaf: 400}", "{leaf: 400, spine: 400}").replace(
        "spine: [sn5400]", "spine: [sn5400], core: [sn5400]"
    )
    intent = parse_intent(text)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


@cache
def seen(plan_of: Any) -> View:
    return view(plan_of())


def run(plan_of: Any, *faults: dict[str, Any], collective: str = "all-reduce", **more: Any) -> list[list[Signal]]:
    """Signals of each interval of a run in which the hosts of all segments take turns in a ring."""
    plan, pairs, notes = plan_of(), more.pop("pairs", 4), more.pop("notes", [])
    hosts = plan.fabric.hosts.filter(~pl.col("spare")).sort("place", "segment")["name"].to_list()
    step = {"collective": collective, "group": "dp", "bytes": 1e9}
    made = job_from({"name": "j", "hosts": hosts, "gpus_per_host": 8, "tp": 8, "dp": len(hosts), "steps": [step]})
    settings = Settings(**{"seconds": 40.0, "detail": False, "batch": 0.0, "sampling": 400_000} | more)
    tracks = workload(plan, [made], "compute", pairs)
    own = faults_from({"faults": list(faults)}, plan, "compute")
    scenario = Scenario(plan, "compute", [made], tracks, faults=own, settings=settings)
    detector, read = HashSkew(seen(plan_of), Policy()), Intervals(seen(plan_of), TEN)
    found = []
    for interval in intervals(scenario):
        read.feed(interval.counters, interval.flows)
        found.append(list(detector.step(read.step(START_NS + round(interval.seconds * SECOND)))))
    notes.extend(detector.notes)
    return found


def said(signals: Sequence[Signal]) -> list[tuple[str, dict[str, Any]]]:
    return [(signal.cause, dict(signal.subject)) for signal in signals]


@pytest.mark.parametrize(("pairs", "collective"), [(1, "all-reduce"), (4, "all-reduce"), (1, "all-to-all")])
def test_healthy_traffic_is_never_called_skewed(pairs: int, collective: str) -> None:
    for signals in run(four, collective=collective, pairs=pairs, seconds=30.0):
        assert signals == []


@pytest.mark.parametrize(
    ("plan_of", "fault"),
    [
        (four, {"kind": "low-entropy"}),
        (four, {"kind": "regular-ports", "step": 16}),
        (three, {"kind": "polarised-hash", "tier": "spine"}),
        (three, {"kind": "polarised-hash", "tier": "core"}),
    ],
)
def test_a_fault_is_found_within_two_intervals_and_ends_with_it(plan_of: Any, fault: dict[str, Any]) -> None:
    found = run(plan_of, {**fault, "start": 10, "end": 30})
    (row,) = truth(
        plan_of(), "compute", faults_from({"faults": [{**fault, "start": 10, "end": 30}]}, plan_of(), "compute")
    )
    wanted = (row["cause"], row["subject"])
    assert found[0] == []
    assert said(found[2]) == [wanted], "in the second interval at the latest"
    assert found[3] == []
    (signal,) = found[2]
    assert signal.cause in DETECTIONS["hash-skew"].causes
    assert signal.ports
    assert signal.evidence["p"] <= 1e-4 or signal.cause == "low-entropy"


def test_polarisation_names_its_factor_and_the_hash_that_it_shares() -> None:
    found = run(three, {"kind": "polarised-hash", "tier": "spine", "start": 0, "end": 20}, seconds=20.0)
    (signal,) = found[0]
    evidence = signal.evidence
    assert evidence["factor"] == pytest.approx(evidence["factor_same_seed"], rel=0.15)
    assert evidence["hashes_as"]["leaf"] == pytest.approx(1)
    assert evidence["hashes_as"]["spine"] < 0.2
    assert evidence["p"] <= 1e-4
    assert found[1] == [signal], "the same flows on the same members are said again, and not judged again"


def test_flows_that_few_samples_miss_are_no_change() -> None:
    """Of 400 flows half are seen in an interval, others each time: judged once, and again when they have moved."""
    rng, memory = np.random.default_rng(3), Memory()
    place = rng.integers(0, 8, 400)
    judged = []
    for number in range(20):
        drawn, samples = np.unique(rng.integers(0, 400, 280), return_counts=True)
        seen = flows_of(drawn, place[drawn] if number < 10 else (place[drawn] + 1) % 8, samples)
        if memory.changed(seen, 0.25):
            judged.append(number)
            memory.remember(seen, number * TEN)
    assert judged == [0, 10, 11]


def flows_of(identity: npt.NDArray[np.int64], port: npt.NDArray[np.int64], samples: npt.NDArray[np.int64]) -> Flows:
    zero = np.zeros(len(identity), dtype=np.int64)
    return Flows(
        zero, identity.astype(np.uint64), port, samples, zero, zero, zero > 0, zero, zero, zero, zero
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["link-down", "slow-link"])
def test_a_link_that_is_down_or_slow_is_no_skew(kind: str) -> None:
    leaf = four().fabric.links.filter(pl.col("tier").cast(str) == "leaf-spine").row(0, named=True)
    names, ports = four().fabric.device_names(), four().fabric.ports["name"]
    link = {"device": names[leaf["a_device"]], "port": ports[leaf["a_port"]]}
    for signals in run(four, {"kind": kind, **link, "start": 10, "end": 30}):
        assert signals == []


# made-up flows on one leaf


def leaf_group() -> tuple[int, list[str], str]:
    """A leaf's up group, names of its members, and a port to a host."""
    own = seen(four)
    ports = own.members(0)
    into = int(np.flatnonzero(own.host_facing & (own.device == own.group_device[0]))[0])
    return 0, [own.port_names[port] for port in ports], own.port_names[into]


def flows(members: Sequence[int], number: int = 0, samples: int = 3, **columns: Any) -> pl.DataFrame:
    """Samples of flows on the given members of the group, within interval ``number``."""
    group, names, into = leaf_group()
    n = len(members)
    at = START_NS + number * TEN + SECOND
    base: dict[str, Any] = {
        "time_ns": [at] * n, "received_ns": [at] * n, "in_port": [into] * n,
        "device": [seen(four).device_names[seen(four).group_device[group]]] * n,
        "out_port": [names[member] for member in members], "src_ip": [f"10.9.{k // 200}.{k % 200}" for k in range(n)],
        "dst_ip": ["10.8.0.1"] * n, "src_port": [0xC000 + 7919 * k % 0x4000 for k in range(n)], "dst_port": [4791] * n,
        "dest_qp": list(range(n)), "opcode": [7] * n, "ecn": [2] * n, "priority": [None] * n, "frame_bytes": [4096] * n,
        "sampling_rate": [1000] * n, "sample_pool": [0] * n, "drops": [0] * n,
    }  # fmt: skip
    rows = {name: [row for row in values for _ in range(samples)] for name, values in (base | columns).items()}
    return pl.DataFrame(rows, schema=FLOW_SCHEMA)


def steps(*tables: pl.DataFrame) -> tuple[HashSkew, list[list[Signal]]]:
    detector, read = HashSkew(seen(four), Policy()), Intervals(seen(four), TEN)
    found = []
    for number, table in enumerate(tables):
        read.feed(pl.DataFrame(), table)
        interval: Interval = read.step(START_NS + (number + 1) * TEN)
        found.append(list(detector.step(interval)))
    return detector, found


SKEWED = [0] * 40 + [1] * 10 + [2] * 4 + [3, 4, 5, 6, 7]
EVEN = [k % 8 for k in range(64)]


def test_one_switch_that_is_uneven_is_named_with_its_members() -> None:
    _, ((signal,),) = steps(flows(SKEWED))
    assert signal.cause == "unexplained"
    assert signal.subject["ports"] == leaf_group()[1]
    assert signal.evidence["p"] <= 1e-4


def test_a_member_that_carries_nothing_while_the_rest_is_even_is_capacity() -> None:
    _, ((signal,),) = steps(flows([k % 7 for k in range(350)]))
    assert (signal.cause, signal.evidence["unused"]) == ("capacity", [leaf_group()[1][7]])


def test_a_sprayed_group_is_never_skewed_and_noted_once() -> None:
    rng = np.random.default_rng(1)
    tables = []
    for number in range(5):
        parts = [flows(rng.choice(3, 59).tolist(), number, samples=1) for _ in range(6)]
        tables.append(pl.concat(parts))
    detector, found = steps(*tables)
    assert found == [[]] * 5
    assert len([note for note in detector.notes if "change members" in note]) == 1


def test_the_same_flows_are_no_new_evidence_and_say_the_same_until_they_move() -> None:
    detector, found = steps(flows(SKEWED), flows(SKEWED, 1, samples=5), flows(EVEN, 2), flows(EVEN, 3))
    assert said(found[0]) == said(found[1])
    assert found[0][0].evidence == found[1][0].evidence
    assert found[2:] == [[], []]
    assert max(len(tier.memory.judged_ns) for tier in detector._tiers) == 3, "moved ones are judged again when whole"


def test_the_order_of_samples_does_not_matter() -> None:
    mixed = flows(SKEWED).sample(fraction=1.0, shuffle=True, seed=3)
    assert steps(flows(SKEWED))[1] == steps(mixed)[1]


def test_samples_without_their_way_out_are_read_at_the_next_switch() -> None:
    own, table = seen(four), flows(SKEWED)
    far = {own.port_names[port]: own.end(int(own.peer[port])) for port in own.members(0)}
    ends = [far[name] for name in table["out_port"]]
    moved = table.with_columns(
        device=pl.Series([end["device"] for end in ends]), in_port=pl.Series([end["port"] for end in ends]),
        out_port=pl.lit(None, pl.String),
    )  # fmt: skip
    assert said(steps(moved)[1][0]) == said(steps(table)[1][0])


@pytest.mark.parametrize(
    "change",
    [{"src_ip": None}, {"dst_ip": "fe80::1"}, {"src_ip": "no address"}, {"out_port": "nowhere"}, {"device": "nobody"}],
)
def test_odd_samples_do_no_harm(change: dict[str, Any]) -> None:
    odd = flows(SKEWED).with_columns(**{name: pl.lit(value, pl.String) for name, value in change.items()})
    for signals in steps(odd)[1]:
        assert all(signal.cause in DETECTIONS["hash-skew"].causes for signal in signals)
    assert steps(pl.DataFrame(schema=FLOW_SCHEMA))[1] == [[]]


def test_a_fault_that_begins_within_an_interval_is_found_in_the_next() -> None:
    found = run(four, {"kind": "regular-ports", "step": 16, "start": 15, "end": 40})
    assert found[0] == []
    assert said(found[2]) == [("key-regularity", {"network": "compute"})]


def test_a_tier_that_is_uneven_as_planned_is_noted_and_not_called_skew() -> None:
    """Three planned hashes choose among 8, 32 and 32 links by few bits of ports: what each leaves is not even."""
    notes: list[str] = []
    assert run(three, seconds=10.0, notes=notes) == [[]]
    assert [note for note in notes if note.startswith("compute, core: hashes as planned")]
