"""Pause storms: the root is told and not its victims, whatever waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storms import CODES, LEAF, SPINE, Hands, hits, opened, simulated, the_job, walked, watched
from test_simulate import four

from benchmarks.detection.cases import Case, made
from benchmarks.detection.wire_compare import carried
from collectors.detectors.pauses.graph import Root, Waits
from collectors.detectors.pfc_storm import WARNINGS, PfcStorm
from collectors.detectors.policy import PfcStorm as Thresholds
from collectors.detectors.policy import Policy
from collectors.detectors.run import watch
from collectors.detectors.view import NONE, View, view
from fabric.findings import Severity
from planner.simulate.telemetry import intervals

STORM = {"kind": "pfc-storm", "host": "gpu-0000", "rail": 0, "start": 13, "end": 47}


@cache
def seen() -> View:
    return view(four())


def waits(ports: Iterable[int], busy: Iterable[int] = ()) -> list[Root]:
    """Roots of a set of ports that are paused, where others send at line rate."""
    stuck = np.zeros(seen().ports, dtype=bool)
    stuck[list(ports)] = True
    full = list(busy)
    return list(Waits(seen(), stuck).roots(lambda device: [p for p in full if seen().device[p] == device]))


def egress(a: str, b: str) -> int:
    """A port of a device to another."""
    names = seen().device_names
    mine, other = names.index(a), names.index(b)
    found = np.flatnonzero((seen().device == mine) & (seen().peer != NONE))
    return int(next(port for port in found if seen().device[seen().peer[port]] == other))


@pytest.mark.parametrize("watchdog", [True, False])
@pytest.mark.parametrize("collective", ["all-reduce", "all-to-all"])
@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_a_storm_is_told_once_at_its_root(watchdog: bool, collective: str, refresh: float) -> None:
    fault = STORM | {"watchdog": watchdog}
    found = watched(simulated([fault], the_job(collective), refresh=refresh))
    hits(found, fault, within=2)
    (first, *_) = [finding for _, finding in found]
    assert first.severity == Severity.CRITICAL
    assert first.evidence["nic_storm_events"] > 0


def test_victims_are_evidence_and_no_findings() -> None:
    found = watched(simulated([STORM | {"watchdog": False}]), codes=["pfc-storm"])
    assert len(opened(found)) == 1
    level = max(finding.evidence["level"] for _, finding in found)
    assert level > 2
    victims = [finding.evidence["victims"] for _, finding in found if finding.evidence["level"] == level]
    assert all(one["device"] != LEAF or one["port"] != "Ethernet0" for one in victims[0])


def test_two_storms_are_two_findings() -> None:
    other = STORM | {"host": "gpu-0012", "rail": 3}
    assert len(opened(watched(simulated([STORM, other])))) == 2


@pytest.mark.parametrize("made", [("all-reduce", None), ("all-to-all", None), ("all-reduce", "tree")])
@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_a_healthy_run_with_pauses_gives_nothing(made: tuple[str, str | None], refresh: float) -> None:
    """ECMP's collisions pause NICs for most of the time, and watermarks reach their ends in bursts."""
    run = simulated(made=the_job(*made), refresh=refresh, seconds=120.0)
    assert watched(run, CODES) == []
    assert run[-1].counters["rx_pfc_pause_seconds_p3"].drop_nulls().to_numpy().max() > 10


# who waits for whom


def test_what_leads_to_a_host_is_its_storm() -> None:
    chain = [egress("gpu-0009", "leaf-compute-s001-l0-p0"), egress("leaf-compute-s001-l0-p0", SPINE)]
    chain += [egress(SPINE, LEAF), egress(LEAF, "gpu-0000")]
    assert waits(chain) == [Root("nic-storm", (chain[-1],), tuple(sorted(chain[:-1])))]


def test_hosts_send_nothing_on_so_a_victims_own_storm_is_a_root() -> None:
    victim, other = egress("gpu-0001", LEAF), egress("leaf-compute-s000-l1-p0", "gpu-0001")
    roots = waits([egress(LEAF, "gpu-0000"), victim, other])
    assert [(root.cause, root.victims) for root in roots] == [("nic-storm", (victim,)), ("nic-storm", ())]
    assert roots[1].ports == (other,)


def test_what_leads_to_line_rate_is_contention_and_line_rate_alone_is_nothing() -> None:
    up, victim = egress("gpu-0009", "leaf-compute-s001-l0-p0"), egress("leaf-compute-s001-l0-p0", SPINE)
    assert waits([up], [victim]) == [Root("contention", (victim,), (up,))]
    assert waits([], [victim]) == []


def test_a_circle_is_a_deadlock_and_who_waits_for_it_a_victim() -> None:
    a, b, c, d = LEAF, SPINE, "leaf-compute-s001-l0-p0", "spine-compute-d00-001"
    circle = [egress(a, b), egress(b, c), egress(c, d), egress(d, a)]
    victim = egress("gpu-0001", LEAF)
    assert waits([*circle, victim]) == [Root("deadlock", tuple(sorted(circle)), (victim,))]


def test_the_end_of_a_chain_without_a_reason_is_told_as_such() -> None:
    chain = [egress("gpu-0009", "leaf-compute-s001-l0-p0"), egress("leaf-compute-s001-l0-p0", SPINE)]
    assert waits(chain) == [Root("unexplained", (chain[1],), (chain[0],))]


@pytest.mark.parametrize("number", [0, 3])
def test_where_switches_tell_no_pauses_no_end_of_a_chain_is_known(number: int) -> None:
    """By OpenConfig all that is known of pauses are those that NICs count: of chains, only the first link."""
    drawn = made(Case("small", "single", ("pfc-storm",), number))
    switches = drawn.scenario.plan.fabric.switches["name"].to_list()
    run = [replace(one, counters=carried(one.counters, switches, "openconfig")) for one in intervals(drawn.scenario)]
    found = opened(walked(run, watch(drawn.scenario.plan, codes=["pfc-storm"])))
    assert [row[1:] for row in found] == [("pfc-storm", "nic-storm", dict(drawn.truths[0].subject))]


# what counters have to say before a port counts as stuck


def said(
    ports: Mapping[int, Mapping[str, float]], steps: int = 1, **thresholds: Any
) -> list[tuple[str | None, dict[str, Any]]]:
    """Causes and subjects told in the last of some intervals of 10 s in which counters of ports rise by so much."""
    made = Hands(PfcStorm(seen(), Policy(pfc_storm=Thresholds(**thresholds))))
    nothing = {port: dict.fromkeys(rises, 0.0) for port, rises in ports.items()}
    assert made.run(2, nothing) == []
    return [(signal.cause, dict(signal.subject)) for signal in made.run(steps, ports)]


PAUSED = "rx_pfc_pause_seconds_p3"
HOST = {"host": "gpu-0000", "rail": 0}


@pytest.mark.parametrize(("seconds", "told"), [(9.85, []), (9.95, [("nic-storm", HOST)])])
def test_at_ten_seconds_a_storm_is_a_pause_of_99_of_100(seconds: float, told: list[Any]) -> None:
    assert said({egress(LEAF, "gpu-0000"): {PAUSED: seconds}}) == told
    assert said({egress("gpu-0000", LEAF): {"tx_pfc_pause_seconds_p3": seconds}}) == told


def test_the_switches_watchdog_alone_tells_of_a_storm() -> None:
    """Storms of 0.2 s, restored in between, do not add up to 99 of 100."""
    port = egress(LEAF, "gpu-0000")
    assert said({port: {PAUSED: 3.0, "pfc_watchdog_storms_q3": 1}}) == [("nic-storm", HOST)]
    assert said({port: {PAUSED: 3.0, "pfc_watchdog_storms_q3": 0}}) == []


@pytest.mark.parametrize("event", WARNINGS)
def test_a_nics_own_event_alone_tells_of_a_storm(event: str) -> None:
    own, far = egress("gpu-0000", LEAF), egress(LEAF, "gpu-0000")
    assert said({own: {event: 1}, far: {PAUSED: 3.0}}) == [("nic-storm", HOST)]
    assert said({own: {event: 0}, far: {PAUSED: 3.0}}) == []


def test_a_circle_of_counters_is_a_deadlock_at_once_and_not_the_hosts_that_wait_for_it() -> None:
    a, b, c, d = LEAF, SPINE, "leaf-compute-s001-l0-p0", "spine-compute-d00-001"
    circle = [egress(a, b), egress(b, c), egress(c, d), egress(d, a)]
    paused = {port: {PAUSED: 10.0} for port in [*circle, egress("gpu-0001", LEAF)]}
    ((cause, subject),) = said(paused)
    assert cause == "deadlock"
    assert subject["ends"] == [seen().end(port) for port in sorted(circle)]
    del paused[circle[0]]
    assert all(cause != "deadlock" for cause, _ in said(paused, steps=5))


def test_contention_and_what_nobody_knows_are_told_after_three_intervals() -> None:
    up, full = egress("gpu-0009", "leaf-compute-s001-l0-p0"), egress("leaf-compute-s001-l0-p0", SPINE)
    line = {"tx_bytes": 0.97 * 10 * seen().capacity[full], PAUSED: 0.0}
    assert said({up: {PAUSED: 10.0}, full: line}, steps=2) == []
    assert [cause for cause, _ in said({up: {PAUSED: 10.0}, full: line}, steps=3)] == ["contention"]


LINKS = st.integers(0, 400)


@given(st.sets(LINKS, max_size=60), st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_roots_are_what_a_graph_library_says(links: set[int], seed: int) -> None:
    """Ancestors of sinks, strongly connected components and what is left, by networkx."""
    v = seen()
    rng = np.random.default_rng(seed)
    joined = np.flatnonzero((v.peer != NONE) & (v.network == v.network[egress(LEAF, SPINE)]))
    few = rng.choice(v.device[joined], 5)
    near = joined[np.isin(v.device[joined], few) | np.isin(v.device[v.peer[joined]], few)]
    stuck = sorted({int(near[n % len(near)]) for n in links})
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(stuck)
    for p in stuck:
        graph.add_edges_from((p, q) for q in stuck if v.device[q] == v.device[v.peer[p]] and q != v.peer[p])
    graph.remove_edges_from([(p, q) for p, q in graph.edges if not v.on_switch[q]])
    sinks = {p for p in stuck if v.host_facing[p]}
    behind: set[Any] = set().union(*(nx.ancestors(graph, sink) for sink in sinks)) - sinks
    roots = waits(stuck)
    told = [port for root in roots for port in (*root.ports, *root.victims)]
    assert sorted(told) == stuck, "every port is told of once"
    storms = [root for root in roots if root.cause == "nic-storm"]
    assert {root.ports[0] for root in storms} == sinks
    assert {victim for root in storms for victim in root.victims} == behind
    rest = graph.subgraph(set(stuck) - sinks - behind)
    circles = {frozenset(c) for c in nx.strongly_connected_components(rest) if len(c) > 1}
    assert {frozenset(root.ports) for root in roots if root.cause == "deadlock"} <= circles
    assert bool(circles) == any(root.cause == "deadlock" for root in roots)
    ends = {root.ports[0] for root in roots if root.cause == "unexplained"}
    assert all(rest.out_degree(end) == 0 for end in ends)
