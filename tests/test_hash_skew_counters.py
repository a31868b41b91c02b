"""hash-skew of switches without flow samples: byte counters of members beside flows that other switches sampled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from test_hash_skew import TEN, said, seen, three
from test_hash_skew_statistics import weights
from test_simulate import four

from collectors.detectors import Signal
from collectors.detectors.hash_skew import HashSkew
from collectors.detectors.intervals import Intervals
from collectors.detectors.policy import Policy
from collectors.detectors.skew.beside import Beside, measured
from collectors.detectors.skew.groups import Groups, starts
from collectors.detectors.skew.members import usable, working
from collectors.detectors.skew.montecarlo import bound, counted, judge
from collectors.detectors.skew.observe import Flows, rows_of
from collectors.detectors.skew.pairs import met_of_loads
from collectors.detectors.skew.phi import beside_counters, phi
from collectors.detectors.skew.tiers import judged
from collectors.detectors.view import NONE
from fabric.jobfile import job_from
from planner.simulate.faults import faults_from, truth
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings, intervals

Table = tuple[pl.DataFrame, pl.DataFrame]
FAULT = {"kind": "polarised-hash", "tier": "spine", "start": 10, "end": 30}
UPPER = pl.col("device").str.contains("^(spine|core)")


@cache
def simulated(plan_of: Any, skewed: bool, seconds: float) -> tuple[Table, ...]:
    """Counters, and flow samples of all switches, of each interval of a ring through all segments."""
    plan = plan_of()
    hosts = plan.fabric.hosts.filter(~pl.col("spare")).sort("place", "segment")["name"].to_list()
    step = {"collective": "all-reduce", "group": "dp", "bytes": 1e9}
    job = job_from({"name": "j", "hosts": hosts, "gpus_per_host": 8, "tp": 8, "dp": len(hosts), "steps": [step]})
    faults = faults_from({"faults": [FAULT] if skewed else []}, plan, "compute")
    settings = Settings(seconds=seconds, detail=False, batch=0.0, sampling=400_000)
    tracks = workload(plan, [job], "compute", 4)
    scenario = Scenario(plan, "compute", [job], tracks, faults=faults, settings=settings)
    return tuple((one.counters, one.flows) for one in intervals(scenario))


def steps(plan_of: Any, tables: tuple[Table, ...], change: Callable[[Table], Table]) -> list[list[Signal]]:
    detector, read = HashSkew(seen(plan_of), Policy()), Intervals(seen(plan_of), TEN)
    found = []
    for number, table in enumerate(tables):
        read.feed(*change(table))
        found.append(list(detector.step(read.step(START_NS + (number + 1) * TEN))))
    return found


def leaves(table: Table) -> Table:
    """Only leaves sample."""
    return table[0], table[1].filter(~UPPER)


def judgeable(plan_of: Any, change: Callable[[Table], Table]) -> Groups | None:
    """The groups that counters can be read beside, in the second interval of a healthy run."""
    view = seen(plan_of)
    read = Intervals(view, TEN)
    for number, table in enumerate(simulated(plan_of, False, 30.0)[:2]):
        read.feed(*change(table))
        interval = read.step(START_NS + (number + 1) * TEN)
    return Beside(view).groups(interval, rows_of(interval), usable(view, working(interval)), 4)


def test_spines_without_samples_are_judged_by_their_counters() -> None:
    """Polarised from 10 to 30 s; the counters of the first interval have nothing before them."""
    found = steps(three, simulated(three, True, 40.0), leaves)
    (row,) = truth(three(), "compute", faults_from({"faults": [FAULT]}, three(), "compute"))
    assert found[0] == []
    assert said(found[1]) == said(found[2]) == [("polarisation", row["subject"])]
    assert found[3] == []
    evidence = found[1][0].evidence
    assert evidence["judged_by"] == "byte counters beside flows that other switches sampled"
    assert evidence["p"] <= 1e-4
    assert evidence["explained_by"]["leaf"] > 0.9 > 0.3 > evidence["explained_by"]["spine"]
    assert evidence["factor"] == pytest.approx(8, rel=0.1), "as their flows say where spines sample"


@pytest.mark.parametrize("plan_of", [three, four])
def test_healthy_spines_without_samples_are_not_called_skewed(plan_of: Any) -> None:
    assert steps(plan_of, simulated(plan_of, False, 30.0), leaves) == [[]] * 3
    assert steps(plan_of, simulated(plan_of, False, 30.0), at_hosts(plan_of)) == [[]] * 3


def at_hosts(plan_of: Any) -> Callable[[Table], Table]:
    """Leaves alone sample, and only what comes from hosts."""
    view = seen(plan_of)
    ends = [(view.device_names[view.device[port]], view.port_names[port]) for port in np.flatnonzero(view.host_facing)]
    into = pl.DataFrame(ends, schema=["device", "in_port"], orient="row")
    return lambda table: (table[0], leaves(table)[1].join(into, on=["device", "in_port"], how="semi"))


def test_what_comes_down_is_known_where_all_of_it_came_up() -> None:
    """Trunks to leaves under two tiers; under three, frames come down from cores that nobody sampled."""
    both = judgeable(four, at_hosts(four)), judgeable(three, at_hosts(three))
    down, up = (seen(plan).group_peer[found.number] for plan, found in zip((four, three), both, strict=True) if found)
    assert len(down)
    assert (down != NONE).all()
    assert len(up)
    assert (up == NONE).all()


def test_what_the_next_switch_tells_is_not_judged_by_counters_too() -> None:
    """Leaves that sample all that comes in tell of spines' trunks."""
    detector, read = HashSkew(seen(four), Policy()), Intervals(seen(four), TEN)
    for number, table in enumerate(simulated(four, False, 30.0)):
        read.feed(*leaves(table))
        detector.step(read.step(START_NS + (number + 1) * TEN))
    assert [tier.memory.judged_ns != [] for tier in detector._tiers if tier.tier == "spine"] == [True]
    assert all(not tier.beside.memory.judged_ns for tier in detector._tiers)


def test_flows_and_bytes_are_those_that_samples_at_the_spine_would_say() -> None:
    view, found = seen(three), judgeable(three, leaves)
    assert found is not None
    read = Intervals(view, TEN)
    for number, table in enumerate(simulated(three, False, 30.0)[:2]):
        read.feed(*table)
        interval = read.step(START_NS + (number + 1) * TEN)
    own = HashSkew(view, Policy()).observer.flows(interval, rows_of(interval))
    for group in found:
        there = own.take(own.group == group.number)
        key = ("source", "target", "source_port")
        assert {*zip(*(getattr(group.flows, name) for name in key), strict=True)} == {
            *zip(*(getattr(there, name) for name in key), strict=True)
        }
        loads = np.bincount(np.searchsorted(group.ports, there.port), there.samples, len(group.ports))
        assert group.phi == pytest.approx(phi(group.loads, beside_counters(group.flows.samples)))
        assert np.abs(group.loads / group.loads.sum() - loads / loads.sum()).sum() < 0.25


SOME = pl.int_range(pl.len()) % 2 == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda c, f: (c, f.filter(~pl.col("device").str.starts_with("leaf-compute-s000"))),
        lambda c, f: (c.with_columns(tx_bytes=pl.when(UPPER).then(pl.col("tx_bytes") * 2).otherwise("tx_bytes")), f),
        lambda c, f: (c.with_columns(tx_bytes=pl.when(UPPER).then(None).otherwise("tx_bytes")), f),
        lambda c, f: (c.drop("tx_bytes"), f),
        lambda c, f: (c, f.with_columns(sampling_rate=pl.when(SOME).then(300_000).otherwise(500_000).cast(pl.UInt32))),
        lambda c, f: (c, f.with_columns(dst_ip=pl.when(SOME).then(pl.lit("203.0.113.7")).otherwise("dst_ip"))),
        lambda c, f: (c, f.with_columns(out_port=pl.lit(None, pl.String))),
        lambda c, f: (c, f.filter(SOME)),
        lambda c, f: (c, f.clear()),
    ],
    ids=["a leaf is silent", "double", "none", "no column", "two rates", "strange", "no way out", "half", "no samples"],
)
def test_groups_whose_flows_or_bytes_are_not_all_known_are_left_out(
    change: Callable[[pl.DataFrame, pl.DataFrame], Table],
) -> None:
    assert judgeable(three, lambda table: change(*leaves(table))) is None or len(_left(change)) == 0


def _left(change: Callable[[pl.DataFrame, pl.DataFrame], Table]) -> list[str]:
    """Switches that are judged all the same, of those that the change concerns."""
    found = judgeable(three, lambda table: change(*leaves(table)))
    view = seen(three)
    names = [] if found is None else [view.device_names[view.group_device[number]] for number in found.number]
    near = {view.device[view.peer[port]] for port in range(view.ports) if _of_the_silent_leaf(port)}
    return [name for name in names if view.device_ids[name] in near]


def _of_the_silent_leaf(port: int) -> bool:
    view = seen(three)
    return view.device_names[view.device[port]].startswith("leaf-compute-s000") and bool(view.peer[port] >= 0)


def test_the_bound_of_sets_of_weights_is_not_below_what_drawing_them_says() -> None:
    rng = np.random.default_rng(5)
    for samples in (rng.integers(4, 40, 60), np.append(rng.integers(4, 9, 40), 300)):
        thrown = counted(samples, np.ones(16))
        for times in (2.0, 3.0, 5.0):
            least = times * (thrown.members - 1)
            drawn = judge([thrown], 20_000, least)
            assert bound([thrown], least) >= drawn.p - 4 * np.sqrt(drawn.p / drawn.draws) - 1 / drawn.draws


def test_members_that_are_used_are_known_from_loads_without_bias() -> None:
    """1/m_hat of 2,000 groups of unequal flows on 16 members, of which a hash uses 8 or all."""
    rng = np.random.default_rng(6)
    for used in (8, 16):
        found = []
        for _ in range(2_000):
            weight = rng.lognormal(0, 1, 60)
            loads = np.bincount(rng.integers(0, used, 60), weight, 16)
            found.append(met_of_loads(loads, rng.poisson(20 * weight)))
        assert np.mean(found) == pytest.approx(1 / used, rel=0.05)


@pytest.mark.parametrize("kind", ["equal", "lognormal", "pareto"])
@pytest.mark.parametrize(("members", "flows"), [([16] * 8, [64] * 8), ([2, 2, 2, 32], [20, 20, 20, 100])])
def test_a_tier_beside_counters_keeps_to_the_level(kind: str, members: list[int], flows: list[int]) -> None:
    """At 1e-2, groups alone too; groups of other sizes than the one that stands for all are in the mean as well."""
    rng, policy = np.random.default_rng(7), Policy().hash_skew.model_copy(update={"draws": 10_000, "screen": 0.1})
    wrong = 0
    for _ in range(200):
        found = judged(healthy(members, flows, kind, rng), lambda: np.zeros(len(members)), policy, 1e-2)
        wrong += found.holds(1e-2) + bool(found.single)
    assert wrong / 200 <= 2e-2 + 3 * (2e-2 / 200) ** 0.5


def healthy(members: list[int], flows: list[int], kind: str, rng: np.random.Generator) -> Groups:
    """Groups under a good hash, ten samples a flow in the mean."""
    sent, samples = [], []
    for m, n in zip(members, flows, strict=True):
        own = weights(kind, n, rng)
        sent.append(np.bincount(rng.integers(0, m, n), own, m) * 1e12)
        samples.append(rng.poisson(10 * n * own))
    c, group = np.concatenate(samples), np.repeat(np.arange(len(flows)), flows)
    c, group = c[c > 0], group[c > 0]
    none, ports = np.full(len(c), NONE), np.arange(sum(members))
    seen_flows = Flows(
        group, np.arange(len(c)).astype(np.uint64), none, c, none, none, none > 0, none, none,
        rng.integers(0xC000, 0x10000, len(c)), none,
    )  # fmt: skip
    start = starts(np.bincount(group, minlength=len(flows)))
    return measured(np.arange(len(flows)), start, seen_flows, ports, starts(np.array(members)), np.concatenate(sent))
