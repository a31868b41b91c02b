"""Source ports are tried on the hashes themselves; fits to probes predict what they have not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from planned import planned
from small_plans import plan_of
from test_routing import ports, some_plan
from traffic import permutation

from fabric.errors import InputError
from fabric.flowfile import Dead
from fabric.hashing import FUNCTIONS, EcmpHash, five_tuples
from fabric.plan import Plan
from planner.routing import Routes, routes
from planner.routing.ecmp import FIRST_PORT, PORTS, ROCE_PORT, Hashes, Walk, ends_of, hashes_of, keys_of
from planner.routing.network import Net, network
from planner.routing.probes import LEAST_PROBES, fit
from planner.routing.realise import (
    LINEAR,
    NONE,
    Wanted,
    find_ports,
    idle_links,
    port_differences,
    queue_pair_counts,
    source_ports,
    weights,
)
from planner.routing.split import split

Ints = npt.NDArray[np.int64]
STAGES = ("leaf_spine", "spine_core", "core_spine", "spine_leaf")
MIXING = Hashes(EcmpHash("murmur3", 1), EcmpHash("linux", 2, threshold=True), EcmpHash("crc32c"))
RANGES = Hashes(EcmpHash("crc32", threshold=True), EcmpHash("toeplitz", offset=3), EcmpHash("crc32-koopman"))


def replayed(plan: Plan, net: Net, found: Routes, chosen: Ints, hashes: Hashes) -> list[int]:
    """Rows whose packets, with these source ports, take other links than the routes say."""
    paths, links = found.paths, plan.fabric.links
    keys, destination = keys_of(net, paths, chosen)
    leaves = [
        np.where(
            paths[column].is_null(),
            -1,
            np.searchsorted(net.leaf, links["b_device"].gather(paths[column].fill_null(0)).to_numpy()),
        )
        for column in ("host_leaf", "leaf_host")
    ]
    taken = Walk(net, hashes).take(leaves[0], leaves[1], keys, destination).links
    wanted = [paths[column].cast(pl.Int64).fill_null(-1).to_numpy() for column in STAGES]
    wrong = np.any([one != other for one, other in zip(taken, wanted, strict=True)], axis=0) & (chosen != NONE)
    return [int(row) for row in np.flatnonzero(wrong)]


@pytest.mark.parametrize("hashes", [None, MIXING, RANGES], ids=["planned", "mixing", "ranges"])
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
@pytest.mark.parametrize("name", ["two-tier", "twin-cages", "three-tier", "hpn7-pod", "ascend-a3"])
def test_source_ports_send_every_queue_pair_along_its_links(name: str, broken: bool, hashes: Hashes | None) -> None:
    plan = some_plan(name)
    dead = ports(plan, "leaf-spine", 17) if broken else Dead()
    net = network(plan, None, dead)
    found = routes(plan, permutation(plan), dead)
    chosen = source_ports(net, found, hashes)
    routed = found.paths["leaf_host"].is_not_null().to_numpy()
    assert ((chosen[routed] >= FIRST_PORT) & (chosen[routed] < FIRST_PORT + PORTS)).all()
    assert (chosen[~routed] == NONE).all()
    assert replayed(plan, net, found, chosen, hashes or hashes_of(net)) == []


def test_ecmp_is_what_the_drawn_ports_do() -> None:
    plan = planned("ascend-a3")
    net, found = network(plan), routes(plan, permutation(plan), method="ecmp")
    chosen = source_ports(net, found)
    assert replayed(plan, net, found, chosen, hashes_of(net)) == []


def test_infiniband_has_no_source_ports() -> None:
    plan = planned("superpod-h100-4su")
    assert (source_ports(network(plan), routes(plan, permutation(plan))) == NONE).all()


def test_queue_pairs_of_one_flow_get_different_ports() -> None:
    plan = plan_of("twin-cages")
    flows = permutation(plan, queue_pairs=16)
    net, found = network(plan), routes(plan, flows)
    here, there = ends_of(net, found.paths)
    chosen = source_ports(net, found)
    assert len({*zip(here.tolist(), there.tolist(), chosen.tolist(), strict=True)}) == found.paths.height


def test_what_no_port_does_is_told_apart() -> None:
    """Two tiers that hash alike agree: the second cannot be asked for the other link."""
    keys = five_tuples(np.arange(50), 1 << 20, FIRST_PORT, ROCE_PORT)
    alike, two = EcmpHash("crc32"), np.full(50, 2)
    wants = [Wanted(alike, two, np.zeros(50, np.int64)), Wanted(alike, two, np.ones(50, np.int64))]
    assert (find_ports(keys, wants, np.full(50, FIRST_PORT)) == NONE).all()


@pytest.mark.parametrize("function", sorted(LINEAR))
def test_a_linear_hash_changes_by_the_port_alone(function: str) -> None:
    chosen, rng = EcmpHash(function, 77, offset=5), np.random.default_rng(1)
    at = rng.integers(0, PORTS, 100)
    ends = rng.integers(0, 1 << 32, (2, 100))
    first = chosen.hashes(five_tuples(ends[0], ends[1], FIRST_PORT, ROCE_PORT))
    changed = chosen.hashes(five_tuples(ends[0], ends[1], FIRST_PORT + at, ROCE_PORT))
    assert (changed == first ^ port_differences(chosen)[at]).all()


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - LINEAR))
def test_the_others_do_not(function: str) -> None:
    chosen, ends = EcmpHash(function, 77), np.arange(100)
    first = chosen.hashes(five_tuples(ends, 7, FIRST_PORT, ROCE_PORT))
    changed = chosen.hashes(five_tuples(ends, 7, FIRST_PORT + 1, ROCE_PORT))
    assert not (changed == first ^ port_differences(chosen)[1]).all()


def test_weights_and_counts_say_what_the_routes_do() -> None:
    plan = planned("ascend-a3")
    flows = permutation(plan, queue_pairs=4)
    net, found = network(plan), routes(plan, flows)
    counts = queue_pair_counts(found, net)
    crossing = found.paths.drop_nulls("leaf_spine")
    assert counts["queue_pairs"].sum() == crossing.height
    weighted = weights(found, net)
    assert weighted["weight"].is_between(1, 255).all()
    load = crossing.group_by(port=plan.fabric.links["a_port"].gather(crossing["leaf_spine"])).agg(pl.len())
    assert set(weighted["port"]) == set(load["port"])
    one = weighted.filter(pl.len().over("leaf", "to_leaf") > 1)
    assert (one.group_by("leaf", "to_leaf").agg(pl.col("weight").min())["weight"] == 1).all()


def test_idle_links_carry_nothing() -> None:
    plan = planned("hpn7-pod")
    net, found = network(plan), routes(plan, permutation(plan).head(40))
    idle = idle_links(found, net)
    used = {link for column in STAGES for link in found.paths[column].drop_nulls()}
    assert not used & set(idle)
    assert len(used) + len(idle) == len(net.up.link)


def test_unequal_flows_become_equal_queue_pairs() -> None:
    plan = planned("hpn7-pod")
    rng = np.random.default_rng(1)
    flows = permutation(plan)
    flows = flows.with_columns(gbps=pl.Series(rng.choice([50.0, 100.0, 200.0], flows.height)))
    parts = split(flows, 8)
    assert set((parts["gbps"] / parts["queue_pairs"]).to_list()) == {50.0}
    assert routes(plan, parts).status == "OPTIMAL"
    odd = split(flows.with_columns(gbps=pl.Series(rng.uniform(10, 200, flows.height))), 4)
    sizes = odd["gbps"] / odd["queue_pairs"]
    assert odd["queue_pairs"].max() == 4
    assert sizes.max() == pytest.approx(50, abs=1)
    assert split(flows.clear(), 4).height == 0


# --------------------------------------------------------------------------------------------------------------- probes


def probed(count: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    ends = 0x0A000000 + rng.integers(0, 1 << 12, (2, count))
    return five_tuples(ends[0], ends[1], FIRST_PORT + rng.integers(0, PORTS, count), ROCE_PORT)


@pytest.mark.parametrize("members", [16, 60, 64])
@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_known_function_is_recognised(function: str, members: int) -> None:
    chosen = EcmpHash(function)
    found = fit(probed(200), chosen.pick(probed(200), members), members)
    assert found is not None
    later = probed(500, seed=9)
    assert (found.pick(later) == chosen.pick(later, members)).all()
    assert found.right == 1
    assert found.known is not None
    assert found.chance == 1 / members


@pytest.mark.parametrize("function", ["crc16-arc", "crc16-ccitt", "crc32-lo"])
def test_an_unknown_seed_is_found_with_it(function: str) -> None:
    """A seed changes a linear hash by a constant: all of 16 bits are tried where the group is no power of two."""
    chosen = EcmpHash(function, seed=0x5AB1, fields=("src_ip", "protocol", "src_port", "dst_port"))
    found = fit(probed(400), chosen.pick(probed(400), 60), 60)
    assert found is not None
    assert found.name == f"{function} without dst_ip"
    assert (found.pick(probed(99, 5)) == chosen.pick(probed(99, 5), 60)).all()


@pytest.mark.parametrize("members", [2, 4, 8, 16])
def test_any_linear_hash_is_fitted_for_small_powers_of_two(members: int) -> None:
    """A Toeplitz hash under a secret key that no table has, turned."""
    chosen = EcmpHash("toeplitz", seed=13, offset=11)
    keys = probed(300)
    found = fit(keys, chosen.pick(keys, members), members)
    assert found is not None
    assert found.name == "linear, fitted bit by bit"
    later = probed(1000, seed=4)
    assert (found.pick(later) == chosen.pick(later, members)).all()


def test_no_fit_is_made_up() -> None:
    keys = probed(400)
    secret = EcmpHash("murmur3", seed=99)
    for members in (4, 16, 60):
        assert fit(keys, secret.pick(keys, members), members) is None
    assert fit(keys, np.random.default_rng(2).integers(0, 4, 400), 4) is None


def test_probes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match=f"at least {LEAST_PROBES}"):
        fit(probed(8), np.zeros(8, np.int64), 4)
    with pytest.raises(InputError, match="a group of 4 has not"):
        fit(probed(100), np.full(100, 4), 4)
