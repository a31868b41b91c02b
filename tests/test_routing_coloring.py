"""Colourings: exact where links live, list colouring with dead links, small cases against an exact solver."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model
from traffic import dead_uplinks, switch_permutation

from planner.routing import exact
from planner.routing.coloring import color, degree
from planner.routing.kempe import place, state
from planner.routing.spread import Edges, Spread, spread
from planner.routing.unequal import assign

Ints = npt.NDArray[np.int64]
SIZES = [(16, 16), (64, 16), (128, 60), (256, 61), (1024, 64)]


def most(node: Ints, colors: Ints) -> int:
    """Edges of one colour at one node, at most."""
    return int(np.unique(np.stack([node, colors]), axis=1, return_counts=True)[1].max(initial=0))


def loads(edges: Edges, found: Ints) -> float:
    """The most edges a unit of room on either side; every edge has a colour that is open to it."""
    worst = 0.0
    for node, room in ((edges.left, edges.room_left), (edges.right, edges.room_right)):
        many = np.zeros_like(room)
        np.add.at(many, (node, found), 1)
        assert not many[room == 0].any()
        worst = max(worst, float((many / np.maximum(room, 1)).max()))
    return worst


@pytest.mark.parametrize(("leaves", "spines"), SIZES)
def test_a_permutation_takes_every_link_once(leaves: int, spines: int) -> None:
    source, target = switch_permutation(leaves, spines)
    room = np.ones((leaves, spines), np.int64)
    found = spread(Edges.plain(source, target, room, room))
    assert most(source, found.color) == most(target, found.color) == 1
    assert (found.times, found.least) == (1, 1)


@pytest.mark.parametrize("dead", [1, 2, 4])
@pytest.mark.parametrize(("leaves", "spines"), [(16, 16), (128, 60), (1024, 64)])
def test_dead_uplinks_with_fewer_active_hosts_leave_a_load_of_one(leaves: int, spines: int, dead: int) -> None:
    """At most S − 2f active hosts a leaf: two leaves have as many live spines in common, which Galvin asks."""
    source, target = switch_permutation(leaves, spines - 2 * dead)
    room = dead_uplinks(leaves, spines, dead)
    edges = Edges.plain(source, target, room, room)
    found = spread(edges)
    assert (found.times, loads(edges, found.color)) == (1, 1.0)


@pytest.mark.parametrize(("spines", "dead", "hosts"), [(16, 2, 14), (16, 4, 14), (32, 2, 31), (64, 4, 62)])
def test_beyond_that_what_is_reached_stands_beside_what_counting_says(spines: int, dead: int, hosts: int) -> None:
    source, target = switch_permutation(64, hosts)
    room = dead_uplinks(64, spines, dead)
    edges = Edges.plain(source, target, room, room)
    found = spread(edges)
    need = -(-degree(source, target) // (spines - dead))
    assert need <= found.least <= found.times <= 2
    assert loads(edges, found.color) == found.times


@pytest.mark.parametrize(("dead", "hosts"), [(1, 15), (2, 14), (4, 12)])
def test_leaves_that_need_every_live_uplink_are_mostly_coloured_too(dead: int, hosts: int) -> None:
    """Beyond any theorem, and too large for the exact solver: the tabu search finds it."""
    source, target = switch_permutation(64, hosts)
    room = dead_uplinks(64, 16, dead)
    edges = Edges.plain(source, target, room, room)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "MOST_CELLS", 0)
        found = spread(edges)
    assert (found.times, loads(edges, found.color)) == (1, 1.0)


def test_trunks_count_as_their_links() -> None:
    source, target = switch_permutation(20, 24)
    room = np.full((20, 8), 3)
    found = spread(Edges.plain(source, target, room, room))
    assert (found.times, most(source, found.color), most(target, found.color)) == (1, 3, 3)


def test_more_flows_than_links_share_them_evenly() -> None:
    source, target = switch_permutation(20, 50)
    room = np.ones((20, 8), np.int64)
    found = spread(Edges.plain(source, target, room, room))
    assert found.times == found.least == -(-degree(source, target) // 8)
    assert most(source, found.color) == found.times


def test_a_coarser_grouping_is_balanced_where_it_costs_nothing() -> None:
    """Halves of a NIC's flows also halve those of its leaf."""
    source, target = np.arange(64), np.random.default_rng(1).permutation(64)
    halves = color(source, target, 2, (source // 8, target // 8))
    for group in (source // 8, target // 8):
        assert (np.bincount(group, weights=halves) == 4).all()


def test_too_few_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="not of 3"):
        color(np.zeros(3, np.int64), np.arange(3), 2)


GRAPHS = st.integers(1, 7).flatmap(
    lambda nodes: st.tuples(
        st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), min_size=1, max_size=30),
        st.integers(0, 5),
    )
)


@given(GRAPHS)
def test_any_multigraph_is_coloured_with_its_degree(graph: tuple[list[tuple[int, int]], int]) -> None:
    pairs, more = graph
    source, target = np.array(pairs).T
    colors = degree(source, target) + more
    found = color(source, target, colors)
    assert found.min() >= 0
    assert found.max() < colors
    assert most(source, found) == most(target, found) == 1


# ------------------------------------------------------------------------------------------------- against exact search


@st.composite
def cases(draw: st.DrawFn) -> Edges:
    """Few leaves and spines, trunks of up to two links, many of them dead; some leaves have no spine in common."""
    leaves, spines = draw(st.integers(2, 5)), draw(st.integers(1, 5))
    rows = draw(
        st.lists(st.lists(st.integers(0, 2), min_size=spines, max_size=spines), min_size=leaves, max_size=leaves)
    )
    ends = st.tuples(st.integers(0, leaves - 1), st.integers(0, leaves - 1)).filter(lambda pair: pair[0] != pair[1])
    source, target = np.array(draw(st.lists(ends, min_size=1, max_size=14))).T
    room = np.array(rows)
    return Edges.plain(source, target, room, room)


def oracle(edges: Edges) -> tuple[int, set[int]]:
    """A boolean an edge and colour: the least flows a link, and the edges that no colour is open to."""
    model, colors = cp_model.CpModel(), edges.room_left.shape[1]
    times = model.new_int_var(0, len(edges.left), "times")
    lost: set[int] = set()
    chosen: dict[tuple[int, int], cp_model.IntVar] = {}
    for edge, (u, v) in enumerate(zip(edges.left.tolist(), edges.right.tolist(), strict=True)):
        open_to = [c for c in range(colors) if edges.room_left[u, c] and edges.room_right[v, c]]
        chosen |= {(edge, c): model.new_bool_var("") for c in open_to}
        if open_to:
            model.add_exactly_one(chosen[edge, c] for c in open_to)
        else:
            lost.add(edge)
    for node, room in ((edges.left, edges.room_left), (edges.right, edges.room_right)):
        for at in range(len(room)):
            for c in range(colors):
                mine = [taken for (edge, k), taken in chosen.items() if node[edge] == at and k == c]
                model.add(sum(mine) <= times * int(room[at, c]))
    model.minimize(times)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return solver.value(times), lost


@given(cases())
def test_small_cases_equal_an_exact_solver_those_without_a_solution_included(edges: Edges) -> None:
    found = spread(edges)
    times, lost = oracle(edges)
    assert set(np.flatnonzero(found.color < 0).tolist()) == lost
    assert (found.times, found.least) == (times, times)
    if not lost:
        assert loads(edges, found.color) == pytest.approx(times, abs=1 - 1e-9)


@given(cases())
def test_without_the_exact_solver_the_search_is_seldom_worse(edges: Edges) -> None:
    """Stable matchings, chains and the tabu search alone: never below the optimum, and within one flow a link of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "MOST_CELLS", 0)
        found = spread(edges)
    times, _ = oracle(edges)
    assert times <= found.times <= times + 1
    assert found.least <= times


@given(cases())
def test_what_borodin_kostochka_and_woodall_promise_is_found(edges: Edges) -> None:
    """Common live links at least max(out, in) for every flow: one flow a link."""
    room = np.minimum(edges.room_left[edges.left], edges.room_right[edges.right]).sum(axis=1)
    out, into = np.bincount(edges.left), np.bincount(edges.right)
    promised = room >= np.maximum(out[edges.left], into[edges.right])
    part = edges.only(promised)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "MOST_CELLS", 0)
        assert spread(part).times <= 1


def test_two_leaves_without_a_common_spine_get_no_colour() -> None:
    room = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
    found = spread(Edges.plain(np.array([0, 0]), np.array([1, 2]), room, room))
    assert found.color[0] == -1
    assert found.color[1] in (0, 1)


# ------------------------------------------------------------------------------------------------------ chains, weights


def test_a_chain_places_the_last_edge_and_a_cap_can_forbid_it() -> None:
    """0→0 has one colour, 1→1 the other: 0→1 has room at each end, but for no colour at both."""
    left, right, room = np.array([0, 1, 0]), np.array([0, 1, 1]), np.ones((2, 2), np.int64)
    kind, allowed, fixed = np.zeros(3, np.int64), np.ones((1, 2), np.bool_), np.zeros(3, np.bool_)
    for cap, expected in ((0, -1), (1, 1)):
        s = state(left, right, kind, allowed, room, room, np.array([0, 1, -1]))
        assert place(s, 2, cap, fixed) == expected
        assert not fixed.any()
    assert most(left, s.color) == most(right, s.color) == 1


def weighted_oracle(edges: Edges, weight: list[int]) -> int:
    """The least largest weight on a link, all rooms 0 or 1."""
    model, colors = cp_model.CpModel(), edges.room_left.shape[1]
    top = model.new_int_var(0, sum(weight), "")
    x = [[model.new_bool_var("") for _ in range(colors)] for _ in weight]
    for row in x:
        model.add_exactly_one(row)
    for node in (edges.left, edges.right):
        for at in set(node.tolist()):
            for c in range(colors):
                model.add(sum(w * x[e][c] for e, w in enumerate(weight) if node[e] == at) <= top)
    model.minimize(top)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return solver.value(top)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_unequal_flows_come_near_an_exact_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, 4, 14), rng.integers(0, 4, 14)
    weight = rng.choice([1, 2, 3, 4, 8], 14)
    room = np.ones((4, 4), np.int64)
    edges = Edges.plain(source, target, room, room)
    found = assign(edges, weight.astype(np.float64)).color
    load = np.zeros((2, 4, 4))
    np.add.at(load[0], (source, found), weight)
    np.add.at(load[1], (target, found), weight)
    best = weighted_oracle(edges, weight.tolist())
    assert best <= load.max() <= 1.15 * best


def test_spread_of_nothing() -> None:
    none = np.empty(0, np.int64)
    found = spread(Edges.plain(none, none, np.ones((1, 1), np.int64), np.ones((1, 1), np.int64)))
    assert isinstance(found, Spread)
    assert (found.times, len(found.color)) == (0, 0)
