"""Placements against every assignment of hosts, counted rank by rank with plain loops, and on planned pods."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import planned
from small_plans import plan_of

from fabric.bundle import write_plan
from fabric.errors import InfeasibleError, InputError
from fabric.flowfile import Dead, parse_dead
from fabric.jobfile import Job, Step, job_from
from planner.freehosts import parse_free
from planner.placement.bound import least_pieces, simple_bound
from planner.placement.counts import Counts, counted
from planner.placement.hosts import hosts_of, placed
from planner.placement.order import in_order
from planner.placement.place import Placed, place, row_cost
from planner.placement.shape import Prices, Shape, shape_of
from planner.placement.start import starts
from planner.placement.supply import Supply, supply_of
from planner.placement.told import json_of, split, words_of
from railwright.cli import main

HPN = (
    Step(collective="all-reduce", group="tp", bytes=560_000_000),
    Step(collective="all-reduce", group="dp", bytes=5_500_000_000),
    Step(collective="send-recv", group="pp", bytes=6_000_000),
)
"""An iteration of GPT-175B in the orders of magnitude of HPN's paper (SIGCOMM 2024): DP GB, PP MB, TP in the host."""
EXPERTS = (*HPN, Step(collective="all-to-all", group="ep", bytes=1_000_000_000))


def supply(free: Sequence[int], unit_hosts: int = 1, lost: Sequence[str] = ()) -> Supply:
    """Hosts ``s1h2`` of so many a segment, scale-up domains of ``unit_hosts``; those in ``lost`` lost a port."""
    hosts = [f"s{segment}h{number}" for segment, count in enumerate(free) for number in range(count)]
    segment = {name: int(name[1:].split("h")[0]) for name in hosts}
    domain = {name: f"{segment[name]}/{int(name.split('h')[1]) // unit_hosts}" for name in hosts}
    return supply_of(hosts, segment, domain, dict.fromkeys(lost, 1), unit_hosts)


def job(hosts: int, tp: int, pp: int, dp: int, ep: int = 1, steps: tuple[Step, ...] = HPN, gpus: int = 8) -> Job:
    return Job(name="j", hosts=hosts, gpus_per_host=gpus, tp=tp, pp=pp, dp=dp, ep=ep, steps=steps)


# --- the oracle -------------------------------------------------------------------------------------------------------


def crossing(of: Job, segments: Sequence[int]) -> int:
    """Bytes between segments, rank by rank: tp fastest, then dp, then pp."""
    at = [segments[rank // of.gpus_per_host] for rank in range(of.ranks)]
    return sum(_bytes(of, step, group, at) for step in of.steps for group in _groups(of, step.group))


def _groups(of: Job, kind: str) -> list[list[int]]:
    tp, pp, dp = range(of.tp), range(of.pp), range(of.dp)

    def rank(t: int, d: int, p: int) -> int:
        return t + of.tp * (d + of.dp * p)

    if kind == "tp":
        return [[rank(t, d, p) for t in tp] for d in dp for p in pp]
    if kind == "pp":
        return [[rank(t, d, p) for p in pp] for t in tp for d in dp]
    size = of.ep if kind == "ep" else of.dp
    return [[rank(t, first + n, p) for n in range(size)] for t in tp for p in pp for first in range(0, of.dp, size)]


def _bytes(of: Job, step: Step, group: list[int], at: list[int]) -> int:
    if len(group) == 1:
        return 0
    if step.collective == "all-to-all":
        each = round(step.bytes / (len(group) - 1))
        return sum(each for one, other in product(group, repeat=2) if at[one] != at[other])
    if step.algorithm == "tree":
        return (len({at[rank] for rank in group}) - 1) * 2 * step.bytes
    if step.algorithm == "hierarchical":
        group = [rank for n, rank in enumerate(group) if rank // of.gpus_per_host not in
                 {other // of.gpus_per_host for other in group[:n]}]  # fmt: skip
    count, times = len(group), 2 if step.collective == "all-reduce" else 1
    edges = list(pairwise(group)) + (
        [] if step.collective == "send-recv" and step.group == "pp" else [(group[-1], group[0])]
    )
    each = step.bytes if step.collective == "send-recv" else round(times * (count - 1) * step.bytes / count)
    return sum(each for one, other in edges if at[one] != at[other]) if count > 1 else 0


def brute_force(of: Job, free: Sequence[int], unit_hosts: int) -> tuple[int, int]:
    """Least bytes, and then the most that the squares of free units left can sum to, over all assignments."""
    found = []
    for chosen in product(range(len(free)), repeat=of.host_count // unit_hosts):
        left = [count // unit_hosts - chosen.count(segment) for segment, count in enumerate(free)]
        if min(left) >= 0:
            segments = [segment for segment in chosen for _ in range(unit_hosts)]
            found.append((crossing(of, segments), -sum(n * n for n in left)))
    bytes_, squares = min(found)
    return bytes_, -squares


@st.composite
def steps(draw: st.DrawFn) -> Step:
    group = draw(st.sampled_from(["dp", "dp", "ep", "pp", "tp"]))
    inside = ["send-recv", "all-reduce"] if group == "pp" else ["all-reduce", "all-gather", "all-to-all", "send-recv"]
    collective = draw(st.sampled_from(inside))
    trees = ["ring", "hierarchical", "tree"] if group == "dp" and collective == "all-reduce" else ["ring"]
    size = draw(st.sampled_from([100, 1000, 5000, 7777]))
    algorithm = draw(st.sampled_from(trees))
    return Step.model_validate({"collective": collective, "group": group, "bytes": size, "algorithm": algorithm})


@st.composite
def small_jobs(draw: st.DrawFn) -> tuple[Job, list[int], int]:
    """Up to seven hosts of two GPUs in two or three segments, tensor-parallel groups of up to two hosts."""
    tp, pp = draw(st.sampled_from([1, 2, 2, 4])), draw(st.sampled_from([1, 2, 3]))
    dp = draw(st.sampled_from([1, 2, 3, 4, 6]))
    assume(tp * pp * dp % 2 == 0 and 2 <= tp * pp * dp <= 14)
    ep = draw(st.sampled_from([n for n in (1, 2, 3, 4, 6) if dp % n == 0]))
    hosts, unit = tp * pp * dp // 2, max(1, tp // 2)
    free = [unit * n for n in draw(st.lists(st.integers(0, 4), min_size=2, max_size=3))]
    assume(sum(free) >= hosts)
    found = job(hosts, tp, pp, dp, ep, tuple(draw(st.lists(steps(), min_size=1, max_size=3))), gpus=2)
    assume(all((size % 2 == 0 or 2 % size == 0) for size in (tp, tp * dp, tp * ep)))
    assume(all((size % (2 * unit) == 0 or 2 * unit % size == 0) for size in (tp * dp, tp * ep)))
    return found, free, unit


@settings(max_examples=150)
@given(small_jobs())
def test_a_small_placement_is_as_brute_force_has_it(case: tuple[Job, list[int], int]) -> None:
    of, free, unit = case
    found, best = place(of, supply(free, unit)), brute_force(of, free, unit)
    segments = [int(name[1:].split("h")[0]) for name in found.hosts]
    assert (found.bytes_, int((found.left**2).sum())) == best
    assert crossing(of, segments) == found.bytes_ == row_cost(found.shape, found.row)
    assert (found.status, found.gap) == ("OPTIMAL", 0.0)
    assert len(set(found.hosts)) == of.host_count


@settings(max_examples=100)
@given(small_jobs())
def test_no_bound_is_above_the_optimum(case: tuple[Job, list[int], int]) -> None:
    """Also that of the model by counts, which large jobs rely on."""
    of, free, unit = case
    shape, best = shape_of(of), brute_force(of, free, unit)[0]
    most = np.array(free, dtype=np.int64) // unit
    none = np.zeros_like(most)
    start = starts(shape, none, most)[0]
    found = counted(Counts(shape, none, most, most), start, 1.0)
    assert found is not None
    assert max(simple_bound(shape, most), found.bound) <= best
    assert row_cost(shape, in_order(shape, found.units)) >= best


@given(st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(0, 6), min_size=1, max_size=3))
def test_pieces_are_not_more_than_needed(stages: int, height: int, free: list[int]) -> None:
    """Against all tables of whole numbers, row by row."""
    assume(sum(free) >= stages * height)
    rows = [row for row in product(range(height + 1), repeat=len(free)) if sum(row) == height]
    states = {tuple(free): 0}
    for _ in range(stages):
        following: dict[tuple[int, ...], int] = {}
        for left, pieces in states.items():
            for row in rows:
                rest = tuple(have - take for have, take in zip(left, row, strict=True))
                if min(rest) >= 0:
                    now = pieces + sum(take > 0 for take in row)
                    following[rest] = min(now, following.get(rest, now))
        states = following
    reach = np.cumsum(np.sort(np.array(free))[::-1])
    assert least_pieces(stages, height, reach) <= min(states.values())


@given(st.integers(1, 5), st.integers(2, 5), st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_rings_are_not_bound_above_what_stages_in_segments_need(stages: int, height: int, free: list[int]) -> None:
    """The bound of rings alone against all tables of whole numbers: a stage in c ≥ 2 segments costs c."""
    assume(sum(free) >= stages * height)
    rows = [row for row in product(range(height + 1), repeat=len(free)) if sum(row) == height]
    states = {tuple(free): 0}
    for _ in range(stages):
        following: dict[tuple[int, ...], int] = {}
        for left, cost in states.items():
            for row in rows:
                rest = tuple(have - take for have, take in zip(left, row, strict=True))
                if min(rest) >= 0:
                    pieces = sum(take > 0 for take in row)
                    now = cost + (pieces if pieces > 1 else 0)
                    following[rest] = min(now, following.get(rest, now))
        states = following
    shape = Shape(stages, height, 1, 1, Prices(ring=1))
    assert simple_bound(shape, np.array(free)) <= min(states.values())


# --- pods -------------------------------------------------------------------------------------------------------------


def test_data_parallel_inside_segments_and_pipelines_across() -> None:
    """As HPN places jobs: each stage of 128 hosts is one segment, and only the pipeline changes segment."""
    found = place(job(7 * 128, 8, 7, 128, 16, EXPERTS), supply([128] * 15))
    assert (found.status, split(found)) == ("OPTIMAL", 0)
    assert found.crossing == {"tp": 0, "dp": 0, "ep": 0, "pp": 6 * 128 * 8 * 6_000_000}
    assert found.spread == pytest.approx(1 - 1 / 8)


@pytest.mark.slow
def test_a_pod_half_full() -> None:
    """15,360 GPUs, hosts busy at random: 960 are placed, the gap is known, all of them are free ones."""
    names = planned("hpn7-pod").fabric.hosts.filter(role="compute", spare=False)
    chosen = random.Random(5).sample(range(names.height), 1160)
    free = np.bincount(names["segment"].to_numpy()[chosen], minlength=15).tolist()
    found = place(job(960, 8, 8, 120, 8, EXPERTS), supply(free))
    assert found.gap < 0.15
    assert found.crossing["ep"] == found.crossing["tp"] == 0
    assert row_cost(found.shape, found.row) == found.bytes_ >= found.bound > 0
    assert set(found.hosts) <= {f"s{s}h{n}" for s, count in enumerate(free) for n in range(count)}


def test_a_job_that_fits_a_segment_takes_one_and_leaves_one_hole() -> None:
    found = place(job(16, 8, 4, 4), supply([40, 16, 30]))
    assert (found.bytes_, [int(n) for n in found.left]) == (0, [40, 0, 30])


def test_hosts_that_lost_ports_come_last() -> None:
    free, lost = [4, 4], ["s0h0", "s0h1"]
    whole = place(job(6, 8, 1, 6), supply(free, lost=lost))
    assert whole.lost == 0
    assert not set(lost) & set(whole.hosts)
    assert place(job(4, 8, 1, 4), supply(free, lost=lost)).hosts == ("s1h0", "s1h1", "s1h2", "s1h3")
    assert place(job(7, 8, 1, 7), supply(free, lost=lost)).lost == 1


def test_a_tensor_parallel_group_stays_in_its_domain() -> None:
    """NVL72: eight of four-GPU hosts' groups of 16 ranks, four hosts each; what is left of a domain stays free."""
    found = place(job(8, 16, 1, 2, gpus=4), supply([9, 6], unit_hosts=4))
    for first in range(0, 8, 4):
        group = found.hosts[first : first + 4]
        assert len({(name.split("h")[0], int(name.split("h")[1]) // 4) for name in group}) == 1
    with pytest.raises(InfeasibleError, match="in whole groups of 4 of one scale-up domain"):
        place(job(12, 16, 1, 3, gpus=4), supply([9, 3], unit_hosts=4))


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (job(3, 6, 1, 4), "a tensor-parallel group has 6 ranks"),
        (job(3, 4, 2, 3), r"a stage \(tp · dp\) has 12 ranks"),
        (job(3, 4, 1, 6, 3), r"an expert group \(tp · ep\) has 12 ranks"),
    ],
)
def test_groups_that_fill_no_hosts_are_refused(of: Job, why: str) -> None:
    with pytest.raises(InputError, match=why):
        place(of, supply([8]))


def test_too_few_free_hosts_are_told_with_the_reserve() -> None:
    with pytest.raises(InfeasibleError, match="j takes 9 hosts and 8 are free; 2 more are in reserve"):
        place(job(9, 8, 1, 9), supply([8]), reserve=2)


# --- plans and the command --------------------------------------------------------------------------------------------

JOB = {
    "name": "small", "hosts": 4, "gpus_per_host": 8, "tp": 8, "pp": 2, "dp": 2,
    "steps": [
        {"collective": "all-reduce", "group": "dp", "bytes": 1e9},
        {"collective": "send-recv", "group": "pp", "bytes": 1e6},
    ],
}  # fmt: skip


def on_two_su(free: str, dead: str | None = None, **changed: object) -> Placed:
    plan = planned("superpod-h100-2su")
    listed = parse_free(free, frozenset(plan.fabric.hosts["name"]))
    return placed(plan, job_from({**JOB, **changed}), listed, parse_dead(dead, plan) if dead else None)


FREE = "".join(f"dgx-{number:04d}\n" for number in (0, 1, 2, 3, 4, 40, 41))


def test_free_hosts_of_a_plan() -> None:
    found = on_two_su(FREE)
    assert found.hosts == ("dgx-0000", "dgx-0001", "dgx-0002", "dgx-0003")
    assert json_of(found)["segments"] == {"0": {"hosts": 4, "left": 1, "stages": {"0": 2, "1": 2}}}


def test_the_reserve_is_not_for_jobs() -> None:
    with pytest.raises(InfeasibleError, match="4 hosts and 3 are free; 1 more are in reserve"):
        on_two_su("dgx-0000\ndgx-0001\ndgx-0002\ndgx-0003,reserve\n")


def test_a_degraded_or_dead_host_is_taken_last_or_never() -> None:
    dead = "device,port\ndgx-0000,enp24s0np0\ndgx-0001,\n"
    found = on_two_su(FREE, dead)
    assert (found.lost, found.crossing["dp"], found.crossing["pp"]) == (0, 0, 2 * 8 * 1_000_000)
    assert sorted(found.hosts[:2]) in (["dgx-0002", "dgx-0003"], ["dgx-0002", "dgx-0004"], ["dgx-0040", "dgx-0041"])
    assert not {"dgx-0000", "dgx-0001"} & set(found.hosts)
    few = on_two_su(FREE.replace("dgx-0040\ndgx-0041\n", ""), dead)
    assert (few.lost, sorted(few.hosts)) == (1, ["dgx-0000", "dgx-0002", "dgx-0003", "dgx-0004"])


def test_a_job_that_names_its_hosts_is_only_put_in_order() -> None:
    names = ["dgx-0040", "dgx-0000", "dgx-0041", "dgx-0001"]
    found = on_two_su("dgx-0009\n", hosts=names)
    assert sorted(found.hosts) == sorted(names)
    assert (found.crossing["dp"], split(found)) == (0, 0)
    with pytest.raises(InputError, match='the plan has no host "dgx-9999"'):
        on_two_su("dgx-0009\n", hosts=[*names[:3], "dgx-9999"])


def test_hosts_without_the_jobs_gpus_are_no_hosts() -> None:
    with pytest.raises(InputError, match=r"no free host has 4 GPUs .*; its hosts have 8 GPUs"):
        on_two_su(FREE, gpus_per_host=4, tp=4)


def test_segments_are_those_of_the_leaves() -> None:
    plan = plan_of("two-tier")
    hosts = hosts_of(plan, "compute", Dead())
    assert (hosts["lost"] == 0).all()
    assert hosts["segment"].n_unique() == plan.design.networks["compute"].classes[0].segments


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_plan(planned("superpod-h100-2su"), tmp_path / "plan")
    (tmp_path / "job.yaml").write_text(json.dumps({**JOB, "hosts": 40, "dp": 20}))
    line = ["place", str(tmp_path / "plan"), "--job", str(tmp_path / "job.yaml")]
    assert main([*line, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    keys = {"version", "hosts", "segments", "cross_segment_bytes", "bound", "gap", "status"}
    assert set(data) >= keys
    assert (len(data["hosts"]), data["gap"], data["status"]) == (40, 0.0, "OPTIMAL")
    assert data["cross_segment_bytes"] == data["by_group"]["pp"] == 20 * 8 * 1_000_000
    assert main([*line, "--explain"]) == 0
    said = capsys.readouterr().out
    assert "small: 40 hosts in 2 of 2 segments with room." in said
    assert "0 of 2 stages are split" in said
    assert "Why so: tensor parallelism stays in the scale-up domain" in said


def test_words_say_what_is_split() -> None:
    said = words_of(place(job(12, 8, 3, 4, 2, EXPERTS), supply([5, 3, 4])), explain=True)
    assert "stages are split" in said
    assert "Each cut of a stage's rings costs" in said
