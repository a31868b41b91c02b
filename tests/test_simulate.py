"""The flow simulator: paths by the planned hashes, collectives as published, times in closed form."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned
from small_plans import plan_of

from fabric.catalogue import load_catalogue
from fabric.errors import InputError
from fabric.flowfile import Dead, parse_dead, parse_flows
from fabric.hashing import EcmpHash, five_tuples
from fabric.intent import parse_intent
from fabric.jobfile import Job, job_from
from fabric.plan import Plan
from planner.build import build
from planner.simulate import prepare, router, simulate_flows, simulate_jobs
from planner.simulate.collectives import bus_factor, shares
from planner.simulate.entries import BYTES, entries
from planner.simulate.events import Clock, Work, spans
from planner.simulate.flows import ROCE_PORT, Flows, flows
from planner.simulate.job import run_jobs, workload
from planner.simulate.paths import paths, routing, tier_hashes
from planner.simulate.result import explained, flows_json, jobs_json
from planner.simulate.trees import double_tree, parent
from planner.simulate.wires import Ints
from planner.sizing import size

NIC = 400e9 / 8
INTENT = """\
name: four
hosts: [{name: gpu, model: hgx-h100, count: 32}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    rails_per_leaf: 1
    segment_hosts: 8
    tiers: 2
    uplink_speed_gbps: {leaf: 400}
    switches: {leaf: [sn5400], spine: [sn5400]}
"""
"""Four segments of eight hosts; not cabled."""


@cache
def four() -> Plan:
    intent = parse_intent(INTENT)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def job(hosts: int | list[str], collective: str, group: str = "dp", **more: Any) -> Job:
    """A job whose groups take one rank of each host, unless ``more`` says otherwise."""
    count = hosts if isinstance(hosts, int) else len(hosts)
    step = {"collective": collective, "group": group, "bytes": 1_000_000_000}
    step |= {name: more.pop(name) for name in ("algorithm", "skew", "bytes") if name in more}
    sizes = {"tp": 8, "dp": count} if not {"tp", "pp", "dp"} & set(more) else {}
    return job_from({"name": "j", "hosts": hosts, "gpus_per_host": 8, **sizes, **more, "steps": [step]})


def one_flow_set(plan: Plan, made: Job) -> Flows:
    (stage,) = workload(plan, [made], "compute", 1)[0]
    return stage.flows


# paths


def some_flows(plan: Plan, count: int = 400) -> Flows:
    rng = np.random.default_rng(1)
    hosts = plan.fabric.hosts.filter(pl.col("gpus") > 0)["id"].to_numpy().astype(np.int64)
    src, dst = (hosts[rng.integers(0, len(hosts), count)] for _ in range(2))
    nics = plan.fabric.nics.filter(pl.col("network").cast(pl.String) == "compute")
    rail = rng.integers(0, int(nics["rail"].max() or 0) + 1, count)  # type: ignore[arg-type]
    apart = src != dst
    ends = [(column[apart], rail[apart], rail[apart]) for column in (src, dst)]
    return flows(ends[0], ends[1], np.ones(int(apart.sum())), np.arange(int(apart.sum())))


@pytest.mark.parametrize("name", ["two-tier", "three-tier", "rail-only", "twin-cages"])
def test_paths_are_unbroken_and_rise_before_they_descend(name: str) -> None:
    now = prepare(plan_of(name))
    wires, many = now.wires, some_flows(plan_of(name))
    hops = paths(now, many)
    assert (hops[:, 0] >= 0).all()
    for row, src, dst in zip(hops, many.src_host, many.dst_host, strict=True):
        used = row[row >= 0]
        assert wires.tail[used[0]] == src
        assert wires.head[used[-1]] == dst
        assert (wires.head[used[:-1]] == wires.tail[used[1:]]).all()
        climb = np.sign(np.diff(wires.level[wires.tail[used]]))
        assert (np.diff(climb) <= 0).all(), "a path that turns upward again"


def test_a_leaf_takes_the_member_that_its_planned_hash_picks() -> None:
    plan = four()
    now = prepare(plan)
    many = some_flows(plan)
    hops = paths(now, many)
    leaf_hash = tier_hashes(now.wires)["leaf"]
    groups = plan.fabric.ecmp_groups().filter(pl.col("direction").cast(pl.String) == "up")
    ports = groups.group_by("device", maintain_order=True).agg("port")
    members = dict(zip(ports["device"], ports["port"].to_list(), strict=True))
    links = plan.fabric.links
    climbing = hops[:, 2] >= 0
    ip = [now.ends.ipv4[h, r, 0, 0] for h, r in ((many.src_host, many.src_rail), (many.dst_host, many.dst_rail))]
    keys = five_tuples(ip[0], ip[1], many.src_port, ROCE_PORT)
    picked = leaf_hash.pick(keys, 8)
    for row, choice in zip(hops[climbing], picked[climbing], strict=True):
        link = links.row(int(row[1]) // 2, named=True)
        assert members[link["a_device"]][int(choice)] == link["a_port"]
    assert climbing.sum() > 100


def test_dead_links_are_gone_around_and_what_has_no_way_stands_still() -> None:
    plan = four()
    up = plan.fabric.links.filter(pl.col("tier").cast(pl.String) == "leaf-spine")
    leaf = up["a_device"][0]
    mine = up.filter(pl.col("a_device") == leaf)
    some = Dead(ports=mine["a_port"][: mine.height - 1].to_numpy())
    now = prepare(plan, dead=some)
    many = some_flows(plan)
    hops = paths(now, many)
    left = {2 * mine["id"][-1], 2 * mine["id"][-1] + 1}
    away = (now.wires.head[hops[:, 0]] == leaf) & (hops[:, 2] >= 0)
    assert away.any()
    assert set(hops[away, 1].tolist()) <= left
    gone = Dead(ports=mine["a_port"].to_numpy())
    result = simulate_jobs(plan, [job(32, "all-reduce")], dead=gone)
    assert result.stuck > 0
    assert jobs_json(result)["seconds"] is None


def test_a_pinned_flow_takes_its_pin() -> None:
    now = prepare(four())
    many = some_flows(four())
    free = paths(now, many)
    climbs = free[:, 2] >= 0
    leaf = now.wires.head[free[:, 0]]
    pins = np.array([now.wires.up.items[now.wires.up.start[d]] for d in leaf], dtype=np.int32)[:, None]
    pinned = paths(now, many, pins)
    assert (pinned[climbs, 1] == pins[climbs, 0]).all()
    assert (pinned[~climbs] == free[~climbs]).all()


def test_weights_share_flows_out_and_a_drained_member_takes_none() -> None:
    plan = four()
    plain = prepare(plan)
    many = some_flows(plan, 4000)
    climbs = paths(plain, many)[:, 2] >= 0
    leaf = plain.wires.head[paths(plain, many)[:, 0]]
    start = plain.wires.up.start
    first = {int(d): int(plain.wires.up.items[start[d]]) for d in np.unique(leaf)}
    for weight, low, high in ((3, 0.25, 0.35), (0, 0.0, 0.0), (1, 0.09, 0.16)):
        now = routing(plain.wires, weights=dict.fromkeys(first.values(), weight))
        took = paths(now, many)[climbs, 1] == np.array([first[int(d)] for d in leaf[climbs]])
        assert low <= took.mean() <= high
    alone = routing(plain.wires, weights=dict.fromkeys(range(2 * plain.wires.links), 0))
    assert (paths(alone, many)[:, 0] >= 0).all(), "weights of 0 alone are no reason to stand still"


def test_a_seed_or_offset_of_a_tier_moves_its_flows() -> None:
    plan = four()
    plain = prepare(plan)
    many = some_flows(plan)
    leaves = np.flatnonzero(plain.wires.level == 1).tolist()
    for other in (EcmpHash("murmur3", 7), EcmpHash("toeplitz", 3), EcmpHash("crc32", 5, offset=4)):
        moved = paths(routing(plain.wires, dict.fromkeys(leaves, other)), many)
        assert 0.5 < (moved[:, 1] != paths(plain, many)[:, 1]).mean() <= 1


# collectives


def sent(many: Flows) -> Ints:
    """Bytes that leave each GPU, by host and GPU."""
    return np.bincount(many.src_host * 8 + many.src_gpu, weights=many.size)


@pytest.mark.parametrize(
    ("collective", "share"), [("all-reduce", 2 * 31 / 32), ("all-gather", 31 / 32), ("reduce-scatter", 31 / 32)]
)
def test_a_ring_takes_its_closed_form(collective: str, share: float) -> None:
    """Each NIC sends the ring's share of the buffer at its own speed, where routes do not collide."""
    result = simulate_jobs(four(), [job(32, collective)], method="colored")
    assert result.seconds == pytest.approx(share * 1e9 / NIC, rel=1e-9)
    assert result.seconds == pytest.approx(result.bound_seconds, rel=1e-9)
    assert result.steps[0].bus_gbps == pytest.approx(400, rel=1e-9)
    assert result.loads.max == pytest.approx(1.0)


def test_a_ring_over_all_gpus_is_held_by_nics_or_by_nvlink() -> None:
    """Eight channels of a ring over 256 GPUs: an NIC carries 1/8 of 2·(n − 1)/n·S, NVLink 7/8 of it a GPU."""
    result = simulate_jobs(four(), [job(32, "all-reduce", tp=1, dp=256)], method="colored")
    scale_up = four().catalogue.servers["hgx-h100"].scale_up
    assert scale_up is not None
    whole = 2 * 255 / 256 * 1e9
    expected = max(whole / 8 / NIC, whole * 7 / 8 / (scale_up.gbps_per_gpu * 1e9 / 8))
    assert result.seconds == pytest.approx(expected, rel=1e-9)


def test_all_to_all_sends_a_share_to_every_other_rank() -> None:
    many = one_flow_set(four(), job(32, "all-to-all"))
    assert len(many) == 8 * 32 * 31
    assert sent(many) == pytest.approx(np.full(256, 31 / 32 * 1e9))
    assert (many.src_rail == many.dst_rail).all()


@given(st.integers(1, 5), st.integers(2, 40), st.floats(0, 3))
def test_skewed_shares_sum_to_one_and_follow_zipf(groups: int, n: int, skew: float) -> None:
    found = shares(groups, n, skew)
    assert found.sum(axis=1) == pytest.approx(np.ones(groups))
    for row in found:
        ordered = np.sort(row)[::-1]
        assert ordered[0] / ordered[-1] == pytest.approx(n**skew)


def test_a_skewed_expert_makes_all_to_all_slower() -> None:
    seconds = [simulate_jobs(four(), [job(32, "all-to-all", skew=s)], method="colored").seconds for s in (0.0, 1.0)]
    assert seconds[1] > 2 * seconds[0]


@pytest.mark.parametrize("ranks", [2, 3, 4, 5, 8, 13, 32, 100])
def test_double_trees_span_all_ranks_and_share_the_work(ranks: int) -> None:
    child, above = double_tree(ranks)
    half = len(child) // 2
    inner = []
    for part in (slice(0, half), slice(half, None)):
        assert len(set(child[part].tolist())) == ranks - 1
        up = dict(zip(child[part].tolist(), above[part].tolist(), strict=True))
        for rank in range(ranks):
            steps = 0
            while rank in up:
                rank, steps = up[rank], steps + 1
            assert steps <= np.ceil(np.log2(ranks)) + 1
        counts = np.bincount(above[part], minlength=ranks)
        assert counts.max() <= 2
        inner.append(counts > 0)
    if ranks % 2 == 0:
        assert not (inner[0] & inner[1]).any(), "a rank is inside one tree at most"
    assert parent(0, ranks) == -1


def test_a_tree_moves_as_much_as_it_must() -> None:
    """Each of two trees carries half of the buffer up and down each of its n − 1 edges."""
    many = one_flow_set(four(), job(32, "all-reduce", algorithm="tree"))
    assert many.size.sum() == pytest.approx(8 * 2 * 31 * 2 * 0.5e9)


def test_hierarchical_all_reduce_adds_its_stages() -> None:
    """Groups of 256: reduce-scatter and all-gather in the host, a ring of 32 hosts on an eighth between them."""
    made = job(32, "all-reduce", tp=1, dp=256, algorithm="hierarchical")
    result = simulate_jobs(four(), [made], method="colored")
    scale_up = four().catalogue.servers["hgx-h100"].scale_up
    assert scale_up is not None
    inside = 7 / 8 * 1e9 / (scale_up.gbps_per_gpu * 1e9 / 8)
    assert result.seconds == pytest.approx(2 * inside + 2 * 31 / 32 * 1e9 / 8 / NIC, rel=1e-9)


def test_a_pipeline_sends_to_the_next_stage_alone() -> None:
    many = one_flow_set(four(), job(32, "send-recv", "pp", tp=8, dp=8, pp=4))
    assert len(many) == 3 * 64
    assert set((many.dst_host - many.src_host).tolist()) == {8}


@pytest.mark.parametrize(("collective", "factor"), [("all-reduce", 1.75), ("all-gather", 0.875), ("send-recv", 1.0)])
def test_bus_bandwidth_counts_as_nccls_tests_do(collective: Any, factor: float) -> None:
    assert bus_factor(collective, 8) == factor


# time


def test_steps_follow_each_other_and_jobs_run_beside_each_other() -> None:
    plan = four()
    hosts = plan.fabric.hosts["name"].to_list()
    step = {"collective": "all-reduce", "group": "dp", "bytes": 1_000_000_000}
    base = {"gpus_per_host": 8, "tp": 8, "dp": 16}
    twice = job_from({"name": "a", "hosts": hosts[:16], **base, "steps": [step, step]})
    once = job_from({"name": "b", "hosts": hosts[16:32], **base, "steps": [step]})
    result = simulate_jobs(plan, [twice, once], method="colored")
    single = simulate_jobs(plan, [once], method="colored").seconds
    assert [s.seconds for s in result.steps] == pytest.approx([single] * 3)
    assert result.seconds == pytest.approx(2 * single)


def test_two_jobs_on_the_same_ports_take_twice_as_long() -> None:
    plan = four()
    jobs = [job(32, "all-reduce"), job(32, "all-reduce")]
    assert simulate_jobs(plan, jobs, method="greedy").seconds == pytest.approx(
        2 * simulate_jobs(plan, jobs[:1], method="colored").seconds, rel=0.05
    )


@given(st.integers(0, 1000))
def test_batched_ends_conserve_bytes_and_are_never_early(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 80))
    hops = np.stack([rng.integers(0, 6, n), rng.integers(6, 12, n)], axis=1).astype(np.int32)
    work = Work(hops, rng.exponential(1e9, n) + 1, np.full(n, np.inf))
    gbps = rng.choice([10.0, 100.0, 400.0], 12)
    ends = []
    for batch in (0.0, 0.2):
        clock = Clock()
        found = list(spans([[work]], gbps, clock, batch))
        carried = np.sum([entries(span, gbps).sums[:, BYTES] for span in found], axis=0)
        asked = np.bincount(hops.ravel(), weights=np.repeat(work.size, 2), minlength=12)
        np.testing.assert_allclose(carried, asked, rtol=1e-6)
        assert clock.seconds == pytest.approx(sum(span.seconds for span in found))
        ends.append(clock.seconds)
    assert ends[1] >= ends[0] * (1 - 1e-9)
    busiest = (np.bincount(hops.ravel(), weights=np.repeat(work.size, 2), minlength=12) / (gbps * 1e9 / 8)).max()
    assert ends[0] >= busiest * (1 - 1e-9)


# flows with rates


def test_an_incast_shares_the_victims_port() -> None:
    lines = ["flow,src_host,src_rail,dst_host,dst_rail,gbps"]
    lines += [f"{n},gpu-{n + 1:04d},0,gpu-0000,0,400" for n in range(8)]
    result = simulate_flows(four(), parse_flows("\n".join(lines), four(), "compute"))
    assert result.rates == pytest.approx(np.full(8, 50.0))
    told = flows_json(result)
    assert told["share"] == {"least": 0.125, "total": 0.125}
    assert (told["seconds"], told["steps"]) == (None, [])


def test_colored_routes_carry_a_permutation_whole() -> None:
    lines = ["flow,src_host,src_rail,dst_host,dst_rail,gbps"]
    lines += [f"{n},gpu-{n:04d},0,gpu-{(n + 8) % 32:04d},0,400" for n in range(32)]
    table = parse_flows("\n".join(lines), four(), "compute")
    assert simulate_flows(four(), table, method="colored").total_share == pytest.approx(1.0)
    assert simulate_flows(four(), table).total_share < 1.0


# what is told


def test_the_json_is_as_published() -> None:
    found = jobs_json(simulate_jobs(four(), [job(32, "all-reduce")], method="colored"))
    assert {"version", "seconds", "steps", "links", "bound_seconds"} <= set(found)
    assert {"collective", "seconds", "bus_gbps"} <= set(found["steps"][0])
    assert set(found["links"]) == {"max_load", "p99_load"}


def test_why_names_hashes_and_the_hottest_link() -> None:
    plan = four()
    hosts = plan.fabric.hosts.sort("place", "segment")["name"].to_list()[:32]
    jobs = [job(hosts, "all-reduce")]
    now = prepare(plan)
    result, _ = run_jobs(now, jobs, workload(plan, jobs, "compute"), router("ecmp"))
    said = "\n".join(explained(now, result.loads, result.steps))
    assert "hashes put several flows on one link" in said
    assert f"load {result.loads.max:.2f}" in said


@pytest.mark.parametrize(
    ("hosts", "said"),
    [(33, "wants 33 hosts; the plan has 32"), (["gpu-0000", "gpu-9999"], 'the plan has no host "gpu-9999"')],
)
def test_a_job_that_does_not_fit_says_why(hosts: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        simulate_jobs(four(), [job(hosts, "all-reduce")])


def test_dual_plane_pairs_take_both_planes_and_live_through_one_dead_port() -> None:
    plan = planned("hpn7-segment")
    host = plan.fabric.hosts["name"][0]
    names = plan.fabric.hosts["name"].to_list()[:2]
    made = job(names, "all-reduce")
    whole = simulate_jobs(plan, [made])
    port = plan.fabric.links.filter((pl.col("a_device") == 0) & (pl.col("rail") == 0))["a_port"][0]
    dead = parse_dead(f"device,port\n{host},{plan.fabric.ports['name'][port]}\n", plan)
    half = simulate_jobs(plan, [made], dead=dead)
    assert whole.steps[0].bus_gbps == pytest.approx(400)
    assert half.seconds == pytest.approx(2 * whole.seconds)
