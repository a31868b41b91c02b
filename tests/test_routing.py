"""Routes on whole plans: every path is walked link by link, loads are counted anew, bounds are reached or told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import planned
from small_plans import plan_of
from traffic import permutation, walked

from fabric.errors import InputError
from fabric.flowfile import FLOWS, Dead
from fabric.plan import Plan
from planner.routing import METHODS, Method, Routes, routes, update
from planner.routing.explain import explain
from planner.routing.network import network
from planner.routing.realise import NONE, source_ports

SMALL = ("two-tier", "twin-cages", "three-tier", "rail-only")
SHIPPED = ("ascend-a3", "hpn7-pod", "superpod-h100-4su", "megascale-block")


def some_plan(name: str) -> Plan:
    return planned(name) if name in SHIPPED else plan_of(name)


def ports(plan: Plan, tier: str, step: int, first: int = 0) -> Dead:
    """Every so many-th link of a tier dead, by its lower port."""
    rows = plan.fabric.links.filter(pl.col("network") == "compute", pl.col("tier") == tier)
    return Dead(ports=rows["a_port"].to_numpy()[first::step])


def one_flow(plan: Plan, source: str, target: str, gbps: float, rails: tuple[int, int] = (0, 0)) -> pl.DataFrame:
    names = plan.fabric.device_names().to_list()
    row = (0, names.index(source), rails[0], names.index(target), rails[1], gbps, None, 1)
    return pl.DataFrame([row], schema=FLOWS, orient="row")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*SMALL, *SHIPPED])
def test_paths_hang_together_and_loads_are_theirs(name: str, method: Method) -> None:
    plan = some_plan(name)
    flows = permutation(plan)
    found = routes(plan, flows, method=method)
    assert found.paths["flow"].to_list() == flows["flow"].to_list()
    assert found.unrouted.height == 0
    assert walked(plan, flows, found) == pytest.approx(found.max_load)
    assert found.host_load == pytest.approx(1)
    assert found.max_load >= found.bound - 1e-9


@pytest.mark.parametrize("name", [*SMALL, *SHIPPED])
def test_a_permutation_is_coloured_as_well_as_can_be(name: str) -> None:
    """Every plan here is non-blocking, so the bound is at most 1."""
    plan = some_plan(name)
    found = routes(plan, permutation(plan))
    assert found.status == "OPTIMAL"
    assert found.max_load == pytest.approx(found.bound)
    assert found.max_load <= 1 + 1e-9


@pytest.mark.slow
def test_three_tiers_of_131072_gpus_are_coloured_without_contention() -> None:
    plan = planned("roce-131072")
    found = routes(plan, permutation(plan))
    assert (found.status, found.max_load) == ("OPTIMAL", 1.0)


def test_coloured_is_better_than_greedy_is_better_than_hashing() -> None:
    plan = planned("hpn7-pod")
    flows = permutation(plan, seed=3)
    load = {method: routes(plan, flows, method=method).max_load for method in METHODS}
    assert load["colored"] <= load["greedy"] < load["ecmp"]
    assert load["ecmp"] >= 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tier", ["leaf-spine", "spine-core", "host-leaf"])
@pytest.mark.parametrize("name", SMALL)
def test_dead_links_are_left_alone(name: str, tier: str, method: Method) -> None:
    plan = plan_of(name)
    flows, dead = permutation(plan), ports(plan, tier, 5, 1)
    found = routes(plan, flows, dead, method)
    assert walked(plan, flows, found, dead) == pytest.approx(found.max_load)
    assert found.max_load >= found.bound - 1e-9
    other = routes(plan, flows, dead, "greedy")
    assert set(found.unrouted["flow"]) == set(other.unrouted["flow"])


@settings(max_examples=20)
@given(st.sampled_from(SMALL), st.integers(0, 10_000), st.floats(0, 0.5))
def test_whatever_is_dead_paths_live_and_no_flow_is_lost_that_has_one(name: str, seed: int, share: float) -> None:
    plan, rng = plan_of(name), np.random.default_rng(seed)
    flows = permutation(plan, seed=seed)
    links = plan.fabric.links.filter(network="compute")
    dead = Dead(ports=links["b_port"].to_numpy()[rng.random(links.height) < share])
    found = routes(plan, flows, dead)
    assert walked(plan, flows, found, dead) == pytest.approx(found.max_load)
    assert found.max_load >= found.bound - 1e-9
    lost = set(found.unrouted["flow"])
    assert lost == unreachable(plan, flows, dead)


def unreachable(plan: Plan, flows: pl.DataFrame, dead: Dead) -> set[int]:
    """Flows without a path up and down again in any plane, by walking sets of switches."""
    links = plan.fabric.links.filter(pl.Series(~dead.dead_links(plan)) & (pl.col("network") == "compute"))
    up: dict[int, set[int]] = {}
    for row in links.filter(pl.col("tier").is_in(["leaf-spine", "spine-core"])).iter_rows(named=True):
        up.setdefault(row["a_device"], set()).add(row["b_device"])
    leaves: dict[tuple[int, int], dict[int, set[int]]] = {}
    for row in links.filter(pl.col("tier") == "host-leaf").iter_rows(named=True):
        leaves.setdefault((row["a_device"], row["rail"]), {}).setdefault(row["plane"], set()).add(row["b_device"])
    lost = set()
    for flow, src, src_rail, dst, dst_rail in flows.select(flows.columns[:5]).iter_rows():
        here, there = leaves.get((src, src_rail), {}), leaves.get((dst, dst_rail), {})
        if not any(_meet(here[plane], there[plane], up) for plane in here.keys() & there.keys()):
            lost.add(flow)
    return lost


def _meet(here: set[int], there: set[int], up: dict[int, set[int]]) -> bool:
    for _ in range(3):
        if here & there:
            return True
        here, there = ({far for one in side for far in up.get(one, ())} for side in (here, there))
    return False


def test_queue_pairs_of_a_flow_share_its_rate_and_the_planes_of_its_nic() -> None:
    plan = plan_of("two-tier")
    flows = permutation(plan, gbps=400, queue_pairs=2)
    found = routes(plan, flows)
    assert found.paths.height == 2 * flows.height
    assert (found.paths["gbps"] == 200).all()
    assert found.paths.group_by("flow").agg(pl.col("plane").n_unique())["plane"].to_list() == [2] * flows.height
    assert (found.status, found.host_load) == ("OPTIMAL", 1.0)


def test_unequal_flows_are_near_the_bound() -> None:
    plan = planned("hpn7-pod")
    rng = np.random.default_rng(1)
    flows = permutation(plan)
    flows = flows.with_columns(gbps=pl.Series(rng.choice([25.0, 50.0, 100.0, 200.0], flows.height)))
    found, greedy = routes(plan, flows), routes(plan, flows, method="greedy")
    assert walked(plan, flows, found) == pytest.approx(found.max_load)
    assert found.bound <= found.max_load <= 1.3 * found.bound
    assert found.max_load <= greedy.max_load


def test_an_exact_bound_beside_dead_links() -> None:
    """Two of a leaf's four spines left, and all it sends goes to one leaf that has those two and two more."""
    plan = plan_of("twin-cages")
    flows = permutation(plan)
    found = routes(plan, flows, ports(plan, "leaf-spine", 16))
    assert found.bounds.lp is not None
    assert found.bounds.leaf <= found.bounds.lp + 1e-9
    assert found.max_load >= found.bound


# ------------------------------------------------------------------------------------------------------- other wirings


def full_mesh() -> Plan:
    """Three tiers in which every spine has a link to every core, instead of two to each of its own group."""
    plan = plan_of("three-tier")
    cores = plan.fabric.switches.filter(network="compute", tier="core")["id"].to_list()
    downs = plan.fabric.ports.filter(pl.col("device").is_in(cores), pl.col("use") == "down").sort("device", "number")
    free = {core: downs.filter(device=core)["id"].to_list() for core in cores}
    rows = plan.fabric.links.to_dicts()
    for number, row in enumerate(row for row in rows if row["tier"] == "spine-core"):
        row["b_device"] = cores[number % len(cores)]
        row["b_port"] = free[row["b_device"]].pop(0)
    return replace(plan, fabric=replace(plan.fabric, links=pl.DataFrame(rows, schema=plan.fabric.links.schema)))


@pytest.mark.parametrize("seed", range(6))
def test_where_every_spine_has_every_core_a_permutation_is_coloured_too(seed: int) -> None:
    plan = full_mesh()
    net = network(plan)
    assert len(set(net.spine_class.tolist())) == 1
    assert len(set(net.pod[0].tolist())) == 3
    flows = permutation(plan, seed=seed)
    found = routes(plan, flows)
    assert walked(plan, flows, found) == pytest.approx(found.max_load)
    assert found.status == "OPTIMAL"
    assert found.max_load <= 1
    ports_found = source_ports(net, found)
    assert (ports_found != NONE).all()


def test_full_mesh_with_dead_links_loses_no_flow_that_has_a_path() -> None:
    plan = full_mesh()
    flows = permutation(plan)
    for first in range(4):
        dead = Dead(ports=np.concatenate([ports(plan, tier, 4, first).ports for tier in ("leaf-spine", "spine-core")]))
        found = routes(plan, flows, dead)
        assert walked(plan, flows, found, dead) == pytest.approx(found.max_load)
        assert set(found.unrouted["flow"]) == unreachable(plan, flows, dead)


@pytest.mark.parametrize("method", METHODS)
def test_planes_that_join_at_the_spine_reach_each_other(method: Method) -> None:
    """The front end of two planes: one host has lost plane 0, the other plane 1."""
    plan = plan_of("two-tier")
    flows = one_flow(plan, "gpu-0000", "gpu-0010", 100)
    links = plan.fabric.links.filter(network="frontend", tier="host-leaf")
    gone = [
        links.filter(a_device=flows[end][0], plane=plane)["a_port"][0]
        for end, plane in (("src_host", 0), ("dst_host", 1))
    ]
    dead = Dead(ports=np.array(gone, np.uint32))
    found = routes(plan, flows, dead, method, "frontend")
    assert found.unrouted.height == 0
    path = found.paths.row(0, named=True)
    assert plan.fabric.links["plane"][path["host_leaf"]] == 1
    assert plan.fabric.links["plane"][path["leaf_host"]] == 0
    assert routes(plan, one_flow(plan, "gpu-0000", "gpu-0010", 100), dead, method, "compute").unrouted.height == 0


# ------------------------------------------------------------------------------------------------------------------- no


def test_no_is_an_answer_and_says_why() -> None:
    plan = plan_of("twin-cages")
    names = plan.fabric.device_names()
    spines = plan.fabric.switches.filter(network="compute", tier="spine")["id"].to_list()
    leaves = plan.fabric.switches.filter(network="compute", tier="leaf")["id"].to_list()
    flows = permutation(plan)
    links = plan.fabric.links.filter(tier="leaf-spine")
    cut = links.filter(
        ((pl.col("a_device") == leaves[0]) & (pl.col("b_device") == spines[0]))
        | ((pl.col("a_device") != leaves[0]) & (pl.col("b_device") == spines[1]))
    )
    dead = Dead(ports=cut["a_port"].to_numpy())
    found = routes(plan, flows, dead)
    assert found.status == "INFEASIBLE"
    assert found.unrouted.height > 0
    said = "\n".join(explain(network(plan, None, dead), flows, found))
    assert f"has no path: {names[leaves[0]]} has living links to these spines: {names[spines[1]]};" in said
    assert "none is in both lists" in said


def test_rails_that_never_meet_have_no_path() -> None:
    plan = plan_of("rail-only")
    flows = one_flow(plan, "gpu-0000", "gpu-0005", 100, (0, 1))
    found = routes(plan, flows)
    assert found.status == "INFEASIBLE"
    assert "joins them, dead or alive" in explain(network(plan), flows, found)[-1]


def test_a_dead_nic_is_told() -> None:
    plan = plan_of("twin-cages")
    flows = one_flow(plan, "gpu-0000", "gpu-0005", 100)
    dead = Dead(devices=flows["src_host"].to_numpy())
    found = routes(plan, flows, dead)
    assert found.paths.row(0)[4:] == (None,) * 6
    assert "has no living port" in explain(network(plan, None, dead), flows, found)[-1]


def test_a_network_that_is_not_there_is_told() -> None:
    plan = plan_of("twin-cages")
    with pytest.raises(InputError, match='no network "storage"'):
        routes(plan, permutation(plan), network="storage")


def test_no_flows_make_no_load() -> None:
    plan = plan_of("twin-cages")
    found = routes(plan, permutation(plan).clear())
    assert (found.max_load, found.bound, found.status) == (0, 0, "OPTIMAL")


# -------------------------------------------------------------------------------------------------------------- changes


def between_segments(plan: Plan) -> pl.DataFrame:
    """A permutation in which every host sends out of its segment: leaves have no uplink to spare."""
    hosts = plan.fabric.hosts.filter(role="compute")
    order = np.random.default_rng(2).permutation(32)
    rows = [
        (rail * hosts.height + host, host, rail, target, rail, 400.0, None, 1)
        for rail in range(8)
        for host in range(hosts.height)
        if (target := (host // 32 + 1) % 4 * 32 + int(order[(host + rail) % 32])) < hosts.height
    ]
    return pl.DataFrame(rows, schema=FLOWS, orient="row")


def swapped(flows: pl.DataFrame, every: int) -> pl.DataFrame:
    """Some flows of each rail with their destinations turned, under new numbers."""
    rows = flows.to_dict(as_series=False)
    for rail in set(rows["src_rail"]):
        mine = [n for n in range(flows.height) if rows["src_rail"][n] == rail][::every]
        targets = [rows["dst_host"][n] for n in mine]
        for n, target in zip(mine, targets[1:] + targets[:1], strict=True):
            rows["dst_host"][n] = target
            rows["flow"][n] += 1_000_000
    return pl.DataFrame(rows, schema=flows.schema).filter(pl.col("src_host") != pl.col("dst_host"))


@pytest.mark.parametrize("most", [0, 2, 50])
def test_an_update_moves_no_more_than_it_may(most: int) -> None:
    plan = planned("superpod-h100-4su")
    flows = between_segments(plan)
    before = routes(plan, flows)
    later = swapped(flows, 5)
    found = update(plan, before, later, most_moved=most)
    assert walked(plan, later, found) == pytest.approx(found.max_load)
    assert moved(before, found) == found.moved <= most
    if found.max_load > before.max_load:
        assert "by moving more than" in found.notes[0]
    if most == 50:
        assert found.status == "OPTIMAL"
        assert found.moved > 0


def moved(before: Routes, after: Routes) -> int:
    """Queue pairs that are in both and whose path is another."""
    both = before.paths.join(after.paths, on=["flow", "pair"])
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_right")) for name in before.paths.columns[4:])
    return both.filter(~same).height


def test_nothing_moves_without_a_reason() -> None:
    plan = plan_of("three-tier")
    flows = permutation(plan)
    before = routes(plan, flows)
    found = update(plan, before, flows)
    assert found.paths.equals(before.paths)
    assert found.moved == 0


def test_queue_pairs_of_several_sizes_are_never_moved_for_others() -> None:
    plan = plan_of("twin-cages")
    flows = permutation(plan)
    before = routes(plan, flows)
    later = swapped(flows, 2).with_columns(gbps=pl.int_range(pl.len()) % 3 * 50.0 + 50)
    found = update(plan, before, later, most_moved=9)
    assert walked(plan, later, found) == pytest.approx(found.max_load)
    assert moved(before, found) == found.moved == 0


@pytest.mark.parametrize("name", SMALL)
def test_only_what_died_and_few_others_get_another_path(name: str) -> None:
    plan = plan_of(name)
    flows = permutation(plan)
    before = routes(plan, flows)
    dead = ports(plan, "leaf-spine", 7)
    found = update(plan, before, flows, dead, most_moved=1)
    assert walked(plan, flows, found, dead) == pytest.approx(found.max_load)
    gone = np.flatnonzero(dead.dead_links(plan)).tolist()
    hurt = pl.any_horizontal(pl.col(column).is_in(gone).fill_null(value=False) for column in before.paths.columns[4:])
    living = replace(before, paths=before.paths.filter(~hurt))
    assert moved(living, found) == found.moved <= 1
