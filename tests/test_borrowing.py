"""Borrowed rails against closed forms, against all ways to spread whole queue pairs, and against all vertices.

The oracle states the loads once more, with plain loops, and shares no code with the planner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import planned
from small_plans import plan_of

from fabric.bundle import write_plan
from fabric.errors import InputError
from fabric.flowfile import Dead, parse_dead
from fabric.runtimes import runtimes
from planner.borrowing.answer import Asked, borrow, instead_of, left
from planner.borrowing.hosts import Wish, answers
from planner.borrowing.loadfile import parse_load
from planner.borrowing.options import same_nic
from planner.borrowing.plan import View
from planner.borrowing.problem import End, Links, Mode, Pair
from planner.borrowing.reserve import Pool, pool_of
from planner.borrowing.solve import Answer, nic_bound, solve
from planner.borrowing.told import json_of, shares, words_of
from planner.freehosts import parse_free, scopes
from railwright.cli import main

ERRORS = ROOT / "tests/golden/errors/borrowing"
GBPS = 400.0


def end(
    name: str, rails: int, planes: int = 1, dead: Sequence[int] = (), load: Sequence[float] = (), up: float = 3600.0
) -> End:
    """A host of equal ports, one GPU a rail, one leaf a port; ``load`` as shares of a port."""
    ports = rails * planes
    rail = np.repeat(np.arange(rails), planes)
    alive = ~np.isin(np.arange(ports), dead)
    loads = GBPS * np.array([*load, *[0.0] * (ports - len(load))])
    plane = np.tile(np.arange(planes), rails)
    return End(name, rail, plane, rail.copy(), np.arange(ports), np.full(ports, GBPS), alive, loads, up)


def pair(here: End, there: End, spine: float | None = None, spine_load: float = 0.0, at_once: int = 1) -> Pair:
    """Two hosts below the same leaves; ``spine``: Gb/s of each leaf to the one spine, and back, if there is one."""
    ports = len(here)
    ways: dict[tuple[int, int], tuple[tuple[int, ...], ...]] = {(leaf, leaf): ((),) for leaf in range(ports)}
    if spine is None:
        return Pair(here, there, here.gbps.copy(), Links(np.zeros(0), np.zeros(0)), ways, at_once)
    for one, other in product(range(ports), repeat=2):
        if one != other and here.plane[one] == here.plane[other]:
            ways[one, other] = ((one, ports + other),)
    links = Links(np.full(2 * ports, spine), np.full(2 * ports, spine_load), tuple(f"l{n}" for n in range(2 * ports)))
    return Pair(here, there, here.gbps.copy(), links, ways, at_once)


def kept(answer: Answer) -> float:
    return left(1.0, answer.load)


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rails", [2, 4, 8, 16])
def test_one_rail_of_g_lost_leaves_g_minus_1_over_g(rails: int) -> None:
    answer = solve(pair(end("a", rails, dead=[0]), end("b", rails)), "both-ends")
    assert kept(answer) == pytest.approx((rails - 1) / rails)
    assert nic_bound(answer.pair, "both-ends") == pytest.approx(rails / (rails - 1))
    assert sorted(shares(answer, 0, out=True)) == list(range(1, rails))
    assert shares(answer, 0, out=True).values() == pytest.approx([1 / (rails - 1)] * (rails - 1))


@pytest.mark.parametrize(
    ("queue_pairs", "reached"), [(1, 1 / 2), (2, 2 / 3), (4, 4 / 5), (7, 7 / 8), (8, 4 / 5), (14, 7 / 8)]
)
def test_what_equal_queue_pairs_reach_of_seven_eighths(queue_pairs: int, reached: float) -> None:
    answer = solve(pair(end("a", 8, dead=[3]), end("b", 8)), "both-ends", queue_pairs)
    assert answer.status == "OPTIMAL"
    assert kept(answer) == pytest.approx(reached)
    assert answer.load == pytest.approx(1 + -(-queue_pairs // 7) / queue_pairs)


def test_two_lost_rails_leave_six_eighths() -> None:
    assert kept(solve(pair(end("a", 8, dead=[0, 5]), end("b", 8)), "both-ends")) == pytest.approx(6 / 8)


def test_one_of_sixteen_ports_lost_leaves_fifteen_sixteenths() -> None:
    answer = solve(pair(end("a", 8, 2, dead=[0]), end("b", 8, 2)), "both-ends")
    assert answer.load == pytest.approx(16 / 15)


def test_different_rails_lost_at_both_ends() -> None:
    both = pair(end("a", 8, dead=[0]), end("b", 8, dead=[1]), spine=8 * GBPS)
    assert kept(solve(both, "both-ends")) == pytest.approx(6 / 8)
    assert kept(solve(both, "one-end")) == pytest.approx(7 / 8)


def test_the_same_rail_lost_at_both_ends_costs_no_more_than_at_one() -> None:
    assert kept(solve(pair(end("a", 8, dead=[2]), end("b", 8, dead=[2])), "both-ends")) == pytest.approx(7 / 8)


def test_a_spine_without_room_is_what_binds() -> None:
    """All of a rail's 400 Gb/s comes down one leaf's 100 Gb/s."""
    answer = solve(pair(end("a", 8, dead=[0]), end("b", 8), spine=100.0), "one-end")
    assert answer.bottleneck == "l8"
    assert answer.load == pytest.approx(4.0)
    assert shares(answer, 0, out=True).values() == pytest.approx([1 / 7] * 7)


def test_many_hosts_at_once_share_the_spine() -> None:
    """A whole leaf: 16 hosts, each 400 Gb/s down to one leaf of 3,200."""
    answer = solve(pair(end("a", 8, dead=[0]), end("b", 8), spine=8 * GBPS, at_once=16), "one-end")
    assert answer.load == pytest.approx(16 * GBPS / (8 * GBPS))


def test_a_scale_up_link_without_room_is_what_binds() -> None:
    answer = solve(pair(end("a", 8, dead=[0], up=100.0), end("b", 8)), "both-ends")
    assert [answer.load, answer.scale_up_load] == pytest.approx([4.0, 4.0])
    assert answer.bottleneck == "a scale-up link from GPU 0"


def test_the_jobs_own_scale_up_traffic_counts() -> None:
    here = replace(end("a", 8, dead=[0], up=1000.0), scale_up_load_gbps=800.0)
    assert solve(pair(here, end("b", 8)), "both-ends").load == pytest.approx(1.2)


def test_a_loaded_lender_lends_less() -> None:
    """Rail 1 is loaded by half a port: the other six carry the lost one, and T is what rail 1 has anyway."""
    answer = solve(pair(end("a", 8, dead=[0], load=[0, 0.1]), end("b", 8)), "both-ends")
    lent = shares(answer, 0, out=True)
    assert answer.load == pytest.approx((8 + 0.1) / 7)
    assert lent[1] == pytest.approx(lent[2] - 0.1)


def test_of_equal_loads_the_surviving_port_of_the_nic_comes_first() -> None:
    """A lender elsewhere is loaded to 1.5 whatever is done; within that, half a port stays on the NIC itself."""
    answer = solve(pair(end("a", 4, 2, dead=[0], load=[0, 0, 0.5]), end("b", 4, 2)), "both-ends")
    assert answer.load == pytest.approx(1.5)
    assert shares(answer, 0, out=True)[1] == pytest.approx(0.5)


def test_one_nic_alone_keeps_half() -> None:
    """What failover inside a merged NIC reaches; a NIC of one port has nothing to fail over to."""
    dual = pair(end("a", 8, 2, dead=[0]), end("b", 8, 2))
    assert kept(solve(dual, "both-ends", 1, same_nic)) == pytest.approx(1 / 2)
    single = solve(pair(end("a", 8, dead=[0]), end("b", 8)), "both-ends", 1, same_nic)
    assert (single.status, single.why) == ("INFEASIBLE", "rail 0 plane 0: the NIC has no other port alive at both ends")


@pytest.mark.parametrize(
    ("asked", "mode", "why"),
    [
        (pair(end("a", 2, dead=[0, 1]), end("b", 2)), "both-ends", "a has no port left"),
        (pair(end("a", 2, dead=[0]), end("b", 2, dead=[1])), "both-ends", "no rail is alive at both a and b"),
        (pair(end("a", 2, dead=[0], up=0.0), end("b", 2)), "both-ends", "a has no scale-up link"),
        (pair(end("a", 2, dead=[0]), end("b", 2)), "one-end", "no switch with room joins the leaf of a lender"),
        (pair(end("a", 2, dead=[0]), end("b", 2), spine=100.0, spine_load=100.0), "one-end", "no switch with room"),
    ],
)
def test_infeasible_says_why(asked: Pair, mode: Mode, why: str) -> None:
    answer = solve(asked, mode)
    assert (answer.status, answer.found, np.isfinite(answer.load)) == ("INFEASIBLE", False, False)
    assert why in answer.why


# --- the oracle -------------------------------------------------------------------------------------------------------

Move = tuple[int, int, int]
"""Port, the port that its traffic leaves by, the port that it arrives by."""


def moves(case: Pair, mode: Mode) -> dict[int, list[Move]]:
    """By port all that its traffic may do, in words of the definition."""
    ports = range(len(case.here))
    ok_here, ok_there = case.here.alive.tolist(), case.there.alive.tolist()
    found = {}
    for port in ports:
        if ok_here[port] and ok_there[port]:
            found[port] = [(port, port, port)]
        elif mode == "both-ends":
            found[port] = [(port, other, other) for other in ports if ok_here[other] and ok_there[other]]
        else:
            leaves_by = [port] if ok_here[port] else [other for other in ports if ok_here[other]]
            arrives_by = [port] if ok_there[port] else [other for other in ports if ok_there[other]]
            found[port] = [(port, a, b) for a in leaves_by for b in arrives_by if (a, b) in case.ways]
    return found


Thing = tuple[str, int]
"""A port, a scale-up link or a link between switches: what it is, and its number."""


def carried(case: Pair, traffic: Mapping[Move, Fraction]) -> dict[Thing, Fraction]:
    """Gb/s of everything that the traffic passes."""
    found: dict[Thing, Fraction] = {}
    for (port, out, into), share in traffic.items():
        gbps = share * Fraction(case.demand_gbps[port])
        passed: list[Thing] = [("here", out), ("there", into)]
        for what, one, moved in (("here", case.here, out), ("there", case.there, into)):
            if one.gpu[port] != one.gpu[moved]:
                passed += [(f"{what}-from", int(one.gpu[port])), (f"{what}-to", int(one.gpu[moved]))]
        for thing in passed:
            found[thing] = found.get(thing, Fraction(0)) + gbps
        for link in case.ways[out, into][0]:
            found["link", link] = found.get(("link", link), Fraction(0)) + gbps * case.at_once
    return found


def limit(case: Pair, thing: Thing) -> tuple[Fraction, Fraction]:
    """What others send there, and its capacity."""
    what, number = thing
    one = case.here if what.startswith("here") else case.there
    if what == "link":
        return Fraction(case.links.load_gbps[number]), Fraction(case.links.gbps[number])
    if what in ("here", "there"):
        return Fraction(one.load_gbps[number]), Fraction(one.gbps[number])
    return Fraction(one.scale_up_load_gbps), Fraction(one.scale_up_gbps)


def largest_load(case: Pair, traffic: Mapping[Move, Fraction]) -> Fraction:
    """The relative load of whatever is loaded most."""
    passed = {thing: (gbps, *limit(case, thing)) for thing, gbps in carried(case, traffic).items()}
    return max((base + gbps) / capacity for gbps, base, capacity in passed.values())


def exhaustive(case: Pair, mode: Mode, queue_pairs: int) -> Fraction | None:
    """The least largest load over all ways to give k queue pairs of each lost port a move."""
    by_port = moves(case, mode)
    ways = [list(combinations_with_replacement(m, queue_pairs if len(m) > 1 else 1)) for m in by_port.values()]
    best = None
    for chosen in product(*ways):
        traffic: dict[Move, Fraction] = {}
        for port_moves in chosen:
            for move in port_moves:
                traffic[move] = traffic.get(move, Fraction(0)) + Fraction(1, len(port_moves))
        worst = largest_load(case, traffic)
        best = worst if best is None else min(best, worst)
    return best


def vertices(case: Pair, mode: Mode) -> float:
    """The least largest load over all vertices of the polytope of shares and T: as many rows tight as unknowns."""
    by_port = moves(case, mode)
    free = [move for options in by_port.values() if len(options) > 1 for move in options]
    fixed = {options[0]: Fraction(1) for options in by_port.values() if len(options) == 1}
    anyway = carried(case, fixed)
    unit = [carried(case, {move: Fraction(1)}) for move in free]
    things = sorted({thing for some in (anyway, *unit) for thing in some})
    table = []  # load(x) - T <= -load anyway, and -x <= 0
    for thing in things:
        base, capacity = limit(case, thing)
        table.append(
            [
                *(float(one.get(thing, 0) / capacity) for one in unit),
                -1.0,
                -float((base + anyway.get(thing, 0)) / capacity),
            ]
        )
    table += [[*(-float(move == other) for other in free), 0.0, 0.0] for move in free]
    lost = [options for options in by_port.values() if len(options) > 1]
    rows = np.array(table)
    same = np.array([[*(float(move in options) for move in free), 0.0, 1.0] for options in lost]).reshape(len(lost), -1)
    best = np.inf
    for tight in combinations(range(len(rows)), len(free) + 1 - len(same)):
        system = np.concatenate([same, rows[list(tight)]])
        if abs(np.linalg.det(system[:, :-1])) > 1e-9:
            point = np.linalg.solve(system[:, :-1], system[:, -1])
            if (rows[:, :-1] @ point <= rows[:, -1] + 1e-9).all():
                best = min(best, float(point[-1]))
    return best


@st.composite
def cases(draw: st.DrawFn) -> tuple[Pair, Mode]:
    """Three or four ports, one or two of them lost at either end, with loads and short links."""
    rails = draw(st.integers(2, 4))
    planes = 1 if rails > 2 else draw(st.integers(1, 2))
    ports = rails * planes
    some = st.lists(st.integers(0, ports - 1), max_size=2, unique=True)
    eighths = st.lists(st.sampled_from([0.0, 0.0, 0.125, 0.5]), min_size=ports, max_size=ports)
    up = st.sampled_from([3600.0, 400.0, 150.0])
    here = end("a", rails, planes, draw(some), draw(eighths), draw(up))
    there = end("b", rails, planes, draw(some), draw(eighths), draw(up))
    spine = draw(st.sampled_from([None, 1600.0, 500.0, 200.0]))
    return pair(here, there, spine, draw(st.sampled_from([0.0, 100.0]))), draw(
        st.sampled_from(["both-ends", "one-end"])
    )


@settings(max_examples=150)
@given(cases(), st.integers(1, 3))
def test_whole_queue_pairs_are_as_an_exhaustive_search_has_them(case: tuple[Pair, Mode], queue_pairs: int) -> None:
    asked, mode = case
    answer, best = solve(asked, mode, queue_pairs), exhaustive(asked, mode, queue_pairs)
    assert (best is None) == (not answer.found)
    if best is not None:
        assert answer.load == pytest.approx(float(best), abs=1e-6)
        assert solve(asked, mode).load <= answer.load + 1e-6


@settings(max_examples=60)
@given(cases())
def test_shares_are_as_the_best_of_all_vertices(case: tuple[Pair, Mode]) -> None:
    asked, mode = case
    answer, by_port = solve(asked, mode), moves(asked, mode)
    assert answer.found == all(by_port.values())
    if answer.found and 1 < sum(len(options) for options in by_port.values() if len(options) > 1) <= 4:
        assert answer.load == pytest.approx(vertices(asked, mode), abs=1e-6)


# --- on plans ---------------------------------------------------------------------------------------------------------

SPINES_OF_RAIL_0 = "device\nleaf-compute-s000-l0-p0\n"


def view(example: str, dead: str) -> View:
    plan = planned(example)
    return View(plan, "compute", parse_dead(dead, plan))


def asked_of(seen: View, host: str, **more: Any) -> Asked:
    number = seen.plan.fabric.hosts["name"].to_list().index(host)
    return replace(Asked(seen, number, seen.neighbours(number)), **more)


def test_a_superpod_host_borrows_from_seven_rails() -> None:
    seen = view("superpod-h100-2su", "device,port\ndgx-0003,enp24s0np0\n")
    found = borrow(asked_of(seen, "dgx-0003"))
    assert [answer.pair.there.name for answer in found.answers] == ["dgx-0004", "dgx-0002"]
    assert found.mode == "both-ends"
    assert [found.left, found.bound, found.reachable] == pytest.approx([7 / 8, 7 / 8, 4 / 5])
    assert {key: max(reach for _, reach, _ in r) for key, r in found.reached.items()} == {
        "nccl": pytest.approx(1 / 2), "r2ccl": pytest.approx(7 / 8)
    }  # fmt: skip
    data = json_of(found)
    assert [lender["nic"] for lender in data["lost"][0]["lenders"]][:2] == ["enp64s0np0", "enp79s0np0"]
    assert data["runtime"]["nccl"]["remedies"][1]["settings"]["NCCL_IB_HCA"] == "^=mlx5_0"


def test_neighbours_that_lost_other_rails_cross_rails_in_the_spines() -> None:
    seen = view("superpod-h100-2su", "device,port\ndgx-0003,enp24s0np0\ndgx-0004,enp64s0np0\n")
    found = borrow(asked_of(seen, "dgx-0003"))
    assert found.mode == "one-end"
    assert found.left == pytest.approx(7 / 8)
    assert borrow(asked_of(seen, "dgx-0003", mode="both-ends")).left == pytest.approx(6 / 8)
    links = json_of(found)["peers"][0]["links"]
    assert sum(gbps for name, gbps in links.items() if " to spine" in name) == pytest.approx(800, abs=0.1)


def test_a_replacement_has_the_same_peers() -> None:
    """A whole host beside a peer without a rail is no better than the host that is replaced."""
    seen = view("superpod-h100-2su", "device,port\ndgx-0003,enp24s0np0\ndgx-0004,enp64s0np0\n")
    asked = asked_of(seen, "dgx-0003")
    pool = Pool(("dgx-0010",), (), scopes(seen.plan))
    assert instead_of(asked, pool).bandwidth_left == pytest.approx(7 / 8)
    assert instead_of(replace(asked, peers=asked.peers[1:]), pool).bandwidth_left == 1.0


def test_a_dual_port_nic_keeps_fifteen_sixteenths() -> None:
    seen = view("hpn7-pod", "device,port\ngpu-0003,nic-2p0\n")
    found = borrow(asked_of(seen, "gpu-0003"))
    assert [found.left, found.worst.load] == pytest.approx([15 / 16, 16 / 15])
    assert {r.what[:13]: reach for r, reach, _ in found.reached["nccl"]}["port failover"] == pytest.approx(1 / 2)


def test_what_others_send_is_counted_before_and_after() -> None:
    """A lender that others load by half is full at 1.5 already: the other six carry the rail, and nothing is slower."""
    plan = planned("superpod-h100-2su")
    loaded = parse_load("device,port,gbps\ndgx-0003,enp64s0np0,200\n", plan)
    seen = View(plan, "compute", parse_dead("device,port\ndgx-0003,enp24s0np0\n", plan), loaded)
    found = borrow(asked_of(seen, "dgx-0003"))
    assert [found.worst.load, found.before[0], found.left] == pytest.approx([1.5, 1.5, 1.0])
    assert [row["nic"] for row in json_of(found)["lost"][0]["lenders"]] == [
        "enp79s0np0", "enp94s0np0", "enp154s0np0", "enp192s0np0", "enp206s0np0", "enp220s0np0"
    ]  # fmt: skip
    idle = replace(seen, load_gbps={}, demand=0.5)
    assert borrow(asked_of(idle, "dgx-0003")).left == 1.0


def test_two_lost_rails_are_lent_in_even_parts() -> None:
    answer = solve(pair(end("a", 8, dead=[0, 5]), end("b", 8)), "both-ends")
    for port in (0, 5):
        assert list(shares(answer, port, out=True).values()) == pytest.approx([1 / 6] * 6, abs=1e-5)


def test_a_whole_leaf_moves_its_segment_at_once() -> None:
    """128 hosts talk across segments on 15 ports: leaves 1.067:1 carry 16/15 of that, and no replacement helps."""
    plan = planned("hpn7-pod")
    seen = View(plan, "compute", parse_dead(SPINES_OF_RAIL_0, plan))
    assert len(seen.lost) == 136
    asked = replace(asked_of(seen, "gpu-0000"), peers=(300,), at_once=128)
    found = borrow(asked)
    assert found.before[0] == pytest.approx(128 * 200 / (60 * 400))
    assert found.worst.load == pytest.approx(128 * 200 / (60 * 400) * 16 / 15)
    assert found.left == pytest.approx(15 / 16)
    pool = pool_of(plan, None, {seen.name(host): len(ports) for host, ports in seen.lost.items()})
    other = instead_of(asked, pool)
    assert (other.host, other.source) == ("gpu-0128", "reserve")
    assert other.bandwidth_left == pytest.approx(15 / 16)
    assert replace(found, instead=other).pays_after_hours is None


def test_three_tiers_are_crossed_by_spines_and_cores() -> None:
    plan = plan_of("three-tier")
    hosts = plan.fabric.hosts.filter(role="compute").sort("id")
    far = hosts.filter(hosts["pod"] != hosts["pod"][0])["id"][0]
    answer = solve(View(plan, "compute", Dead()).pair(int(hosts["id"][0]), int(far)), "both-ends")
    assert answer.found
    assert answer.options is not None
    assert {len(way) for way in answer.options.way} == {4}


# --- the reserve ------------------------------------------------------------------------------------------------------

SCOPE = {name: f"segment {name[0]}" for name in ("0a", "0b", "0c", "0d", "1a", "1b")}


def test_free_hosts_come_before_the_reserve_and_none_across_the_scope() -> None:
    pool = Pool(("1a", "0b"), ("0c", "1b", "0d"), SCOPE, {"segment 0": 2, "segment 1": 1})
    assert pool.candidates("0a") == ("0b", "0c", "0d")
    assert replace(pool, lost={"0b": 1}).candidates("0a") == ("0c", "0d", "0b")
    assert Pool((), ("1b",), SCOPE).candidates("0a") == ()


def test_the_reserve_rotates_and_is_refilled_first() -> None:
    pool = Pool((), ("0c", "0d"), SCOPE, {"segment 0": 2})
    pool = pool.taken("0c")
    assert pool.candidates("0a") == ("0d",)
    pool = pool.returned("0a")
    assert (pool.free, pool.reserve) == ((), ("0d", "0a"))
    pool = pool.returned("0b")
    assert (pool.free, pool.reserve) == (("0b",), ("0d", "0a"))


@given(st.lists(st.sampled_from(sorted(SCOPE)), max_size=20))
def test_no_host_is_lost_or_doubled_by_the_pool(gone: list[str]) -> None:
    pool, working = Pool(("0b", "1a"), ("0c", "1b"), SCOPE, {"segment 0": 1, "segment 1": 1}), {"0a", "0d"}
    for host in gone:
        if host in working and (near := pool.candidates(host)):
            assert {SCOPE[name] for name in near} == {SCOPE[host]}
            pool, working = pool.taken(near[0]).returned(host), working - {host} | {near[0]}
            assert sum(SCOPE[name] == SCOPE[host] for name in pool.reserve) <= 1
        assert sorted([*pool.free, *pool.reserve, *working]) == sorted(SCOPE)


def test_a_supernode_is_the_scope_where_scale_up_spans_hosts() -> None:
    found = scopes(planned("ascend-a3"))
    assert set(found.values()) >= {f"segment {n} domain 0" for n in range(4)}
    assert set(scopes(planned("superpod-h100-2su")).values()) >= {"segment 0", "segment 1"}


# --- rules, files, the command ----------------------------------------------------------------------------------------


def test_every_rule_of_a_runtime_has_its_source() -> None:
    assert sorted(runtimes()) == ["hccl", "nccl", "r2ccl"]
    for runtime in runtimes().values():
        assert all(len(remedy.source) > 10 for remedy in runtime.remedies), runtime.name


def test_hccl_borrows_the_other_die_and_nothing_else() -> None:
    seen = view("ascend-a3", "device,port\nnpu-0000," + planned("ascend-a3").fabric.ports["name"][0] + "\n")
    found = borrow(asked_of(seen, "npu-0000"))
    ((remedy, reach, why),) = found.reached["hccl"]
    assert (remedy.returns, reach) == (False, 0.0)
    assert "no other port" in why


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.txt")))
def test_every_error_of_a_file_is_as_written(case: str) -> None:
    """``golden/errors/borrowing/KIND-NAME.txt``: the file, a line of dashes, the errors."""
    golden = ERRORS / f"{case}.txt"
    text, _, expected = golden.read_text(encoding="utf-8").partition("-----\n")
    plan = plan_of("two-tier")
    names = frozenset(plan.fabric.hosts["name"])
    with pytest.raises(InputError) as raised:
        parse_load(text, plan) if case.startswith("load") else parse_free(text, names)
    said = "".join(f"{problem}\n" for problem in raised.value.problems)
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_text(f"{text}-----\n{said}", encoding="utf-8")
    assert said == expected


@given(st.text(max_size=200))
def test_whatever_a_file_holds_is_read_or_refused(text: str) -> None:
    plan = plan_of("two-tier")
    for read in (lambda: parse_load(text, plan), lambda: parse_free(text, frozenset(plan.fabric.hosts["name"]))):
        problems: tuple[object, ...] = ("none",)
        try:
            read()
        except InputError as error:
            problems = error.problems
        assert 0 < len(problems) <= 50


ONE = "device,port\ndgx-0003,enp24s0np0\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan on disk and what is dead of it."""
    folder = tmp_path_factory.mktemp("borrow")
    plan = planned("superpod-h100-2su")
    write_plan(plan, folder / "plan")
    (folder / "one.csv").write_text(ONE)
    (folder / "all.csv").write_text("device\ndgx-0003\n")
    (folder / "leaf.csv").write_text("device\nleaf-compute-s000-l0-p0\n")
    (folder / "free.txt").write_text("dgx-0010\ndgx-0040\ndgx-0005,reserve\n")
    return folder


KEYS = {
    "version", "host", "mode", "lost", "peers", "max_relative_load", "scale_up_load", "bandwidth_left", "bound",
    "reachable", "status", "alternative", "runtime",
}  # fmt: skip


def test_the_command_prints_what_programs_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["borrow", str(folder / "plan"), "--dead", str(folder / "one.csv"), "--host", "dgx-0003"]
    assert main([*line, "--free", str(folder / "free.txt"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) >= KEYS
    assert (data["max_relative_load"], data["bandwidth_left"], data["reachable"]) == (1.142857, 0.875, 0.5)
    assert data["alternative"]["replace_with"] == "dgx-0010"
    assert data["alternative"]["pays_after_hours"] == pytest.approx(68 / 60 / (1 / 8), abs=0.01)
    assert main([*line, "--queue-pairs", "7", "--explain"]) == 0
    said = capsys.readouterr().out
    assert "Borrowing leaves 87.5 % of the bandwidth" in said
    assert "7 equal queue pairs a port reach 87.5 %" in said
    assert "Why queue pairs reach less" not in said


def test_the_command_answers_for_all_hosts_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["borrow", str(folder / "plan"), "--dead", str(folder / "leaf.csv"), "--json"]) == 0
    (data,) = json.loads(capsys.readouterr().out)
    assert (data["at_once"], len(data["same_for"]), data["bandwidth_left"]) == (32, 31, 0.875)


def test_the_command_says_that_nothing_can_be_borrowed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["borrow", str(folder / "plan"), "--dead", str(folder / "all.csv"), "--free", str(folder / "free.txt")]
    assert main([*line, "--host", "dgx-0003", "--explain"]) == 1
    said = capsys.readouterr().out
    assert "Nothing can be borrowed: dgx-0003 has no port left: nothing is there to borrow from." in said
    assert "Replacing it with dgx-0010 (free) leaves 100 %" in said
    assert main([*line, "--json"]) == 1
    (data,) = json.loads(capsys.readouterr().out)
    assert (data["status"], data["max_relative_load"], data["bandwidth_left"]) == ("INFEASIBLE", None, 0.0)


def test_a_host_that_lost_nothing_is_an_error() -> None:
    plan = planned("superpod-h100-2su")
    wish = Wish(parse_dead(ONE, plan), "dgx-0010", ("dgx-0011",))
    with pytest.raises(InputError, match="dgx-0010 has all of its ports on the compute network"):
        answers(plan, wish)
    with pytest.raises(InputError, match="did you mean"):
        answers(plan, replace(wish, host="dgx-00030"))


def test_a_peers_loss_is_borrowed_for_as_well() -> None:
    plan = planned("superpod-h100-2su")
    (found,) = answers(plan, Wish(parse_dead(ONE, plan), "dgx-0010", ("dgx-0003",)))
    assert found.left == pytest.approx(7 / 8)
    assert "dgx-0010 lost nothing itself" in words_of(found, explain=True)
