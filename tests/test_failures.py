"""What failures cost, against removing every set of elements and asking networkx."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import networkx as nx
import polars as pl
import pytest
from small_plans import plan_of

from fabric import failures
from fabric.failing.effects import LOST
from fabric.plan import Plan

Link = dict[str, Any]
Figures = dict[str, float]


class Brute:
    """One network, by plain loops over its links."""

    def __init__(self, plan: Plan, network: str) -> None:
        fabric = plan.fabric
        ports = fabric.ports.rows_by_key("id", named=True, unique=True)
        self.switch = fabric.switches.rows_by_key("id", named=True, unique=True)
        rows = fabric.links.filter(pl.col("network") == network, pl.col("b_port").is_not_null()).to_dicts()
        self.links: list[Link] = [
            {
                **row,
                "a_cage": ports[row["a_port"]]["cage"],
                "b_cage": ports[row["b_port"]]["cage"],
                "nic": ports[row["a_port"]]["nic"],
            }
            for row in rows
        ]
        self.memo: dict[Any, Any] = {}
        self.near: dict[Any, list[tuple[int, int]]] = {}
        self.intact = self.state(frozenset())

    def elements(self, kind: str) -> Iterator[tuple[str, frozenset[int]]]:
        """Label and links of everything that can fail."""
        groups: dict[Any, set[int]] = defaultdict(set)
        ends = {"host-leaf": ("host", "leaf"), "leaf-spine": ("leaf", "spine"), "spine-core": ("spine", "core")}
        ends["leaf-leaf"] = ("leaf", "leaf")
        for place, link in enumerate(self.links):
            tier = link["tier"]
            if kind == "link":
                groups[tier, place].add(place)
            elif kind == "optic":
                for side, end in zip("ab", ends[tier], strict=True):
                    groups[f"{tier} at {end}", link[f"{side}_device"], link[f"{side}_cage"]].add(place)
            else:
                for device in (link["a_device"], link["b_device"]):
                    if device in self.switch:
                        groups[self.switch[device]["tier"], device].add(place)
        for key, links in groups.items():
            yield key[0], frozenset(links)

    def state(self, lost: frozenset[int]) -> dict[str, Any]:
        """Gb/s left by host, NIC, segment and trunk."""
        left: dict[str, Any] = {key: defaultdict(int) for key in ("host", "nic", "down", "up", "trunk", "pair")}
        for place, link in enumerate(self.links):
            gbps = 0 if place in lost else link["speed_gbps"]
            if link["tier"] == "host-leaf":
                left["host"][link["a_device"]] += gbps
                left["nic"][link["a_device"], link["nic"]] += gbps
                left["down"][self.switch[link["b_device"]]["segment"]] += gbps
            elif link["tier"] == "leaf-leaf":
                left["pair"][0] += gbps
            else:
                left["trunk"][link["a_device"], link["b_device"]] += gbps
                if link["tier"] == "leaf-spine":
                    left["up"][self.switch[link["a_device"]]["segment"]] += gbps
        return left

    def flow(self, trunks: dict[tuple[int, int], int], sources: frozenset[int], sinks: frozenset[int]) -> float:
        if (sources, sinks) not in self.near:
            ends = sources | sinks
            pods = {self.switch[leaf]["pod"] for leaf in ends}
            above = [
                t
                for t in self.intact["trunk"]
                if self.switch[t[0]]["tier"] == "spine" and self.switch[t[0]]["pod"] in pods
            ]
            self.near[sources, sinks] = [*(t for t in self.intact["trunk"] if t[0] in ends), *above]
        key = (sources, sinks, *(trunks[t] for t in self.near[sources, sinks]))
        if key not in self.memo:
            near = {t: trunks[t] for t in self.near[sources, sinks]}
            graph: nx.DiGraph[Any] = nx.DiGraph()
            graph.add_nodes_from(("from", "to"))
            for (low, high), gbps in near.items():
                graph.add_edge(("climbs", low), ("climbs", high), capacity=gbps)
                graph.add_edge(("descends", high), ("descends", low), capacity=gbps)
                graph.add_edge(("climbs", high), ("descends", high))
            graph.add_edges_from(("from", ("climbs", leaf)) for leaf in sources)
            graph.add_edges_from((("descends", leaf), "to") for leaf in sinks)
            self.memo[key] = float(nx.maximum_flow_value(graph, "from", "to"))
        return float(self.memo[key])

    def least_flow(self, now: dict[str, Any], groups: dict[Any, frozenset[int]], alike: Any) -> float:
        shares = []
        for a, b in combinations(groups, 2):
            if alike(a) == alike(b):
                before = self.flow(self.intact["trunk"], groups[a], groups[b])
                shares += [self.flow(now["trunk"], groups[a], groups[b]) / before] if before else []
        return min(shares, default=1.0)

    def flows(self, lost: frozenset[int], now: dict[str, Any]) -> tuple[float, float]:
        if lost not in self.memo:
            leaves = [d for d in {t[0] for t in self.intact["trunk"]} if self.switch[d]["tier"] == "leaf"]
            by_segment: dict[Any, set[int]] = defaultdict(set)
            for leaf in leaves:
                by_segment[self.switch[leaf]["segment"]].add(leaf)
            pair = self.least_flow(now, {s: frozenset(d) for s, d in by_segment.items()}, lambda _: 0)
            position = {leaf: (self.switch[leaf]["rail"], self.switch[leaf]["plane"]) for leaf in leaves}
            rail = self.least_flow(now, {leaf: frozenset([leaf]) for leaf in leaves}, position.__getitem__)
            self.memo[lost] = (pair, rail)
        found: tuple[float, float] = self.memo[lost]
        return found

    def figures(self, lost: frozenset[int]) -> Figures:
        now = self.state(lost)
        dead: dict[int, int] = defaultdict(int)
        for (host, nic), gbps in now["nic"].items():
            dead[host] += gbps == 0 and self.intact["nic"][host, nic] > 0
        share = {h: now["host"][h] / g for h, g in self.intact["host"].items()}
        segments = [now[w][s] / g for w in ("down", "up") for s, g in self.intact[w].items()]
        found: Figures = {
            "hosts_cut": sum(s == 0 for s in share.values()),
            "hosts_degraded": sum(0 < s < 1 for s in share.values()),
            "rails_lost": max(dead.values(), default=0),
            "host_left": min(share.values()),
            "segment_left": min(segments),
            "pair_left": math.nan,
            "rail_left": math.nan,
        }
        if self.intact["pair"]:
            found["pair_left"] = now["pair"][0] / self.intact["pair"][0]
        if self.intact["trunk"]:
            above = frozenset(place for place in lost if self.links[place]["tier"] != "host-leaf")
            found["pair_left"], found["rail_left"] = self.flows(above, now)
        return found

    def worst(self, kind: str, lost: int) -> dict[str, Figures]:
        """Worst of each figure by the labels of what was lost."""
        found: dict[str, Figures] = {}
        for chosen in combinations(list(self.elements(kind)), lost):
            where = " + ".join(sorted(label for label, _ in chosen))
            figures = self.figures(frozenset().union(*(links for _, links in chosen)))
            known = found.setdefault(where, figures)
            for name, value in figures.items():
                more = name in LOST
                known[name] = max(known[name], value) if more else min(known[name], value)
        return found


CASES = [
    ("two-tier", "compute"),
    ("two-tier", "frontend"),
    ("twin-cages", "compute"),
    ("three-tier", "compute"),
    ("rail-only", "compute"),
    ("pair", "frontend"),
]


@pytest.mark.parametrize(("name", "network"), CASES)
@pytest.mark.parametrize("kind", failures.KINDS)
def test_one_element_of_each_kind_stands_for_all(name: str, network: str, kind: str) -> None:
    _compare(name, network, kind, 1)


@pytest.mark.parametrize(("name", "network"), CASES)
@pytest.mark.parametrize("kind", failures.KINDS)
def test_one_pair_of_each_kind_stands_for_all_pairs(name: str, network: str, kind: str) -> None:
    _compare(name, network, kind, 2)


def _compare(name: str, network: str, kind: str, lost: int) -> None:
    plan = plan_of(name)
    brute = Brute(plan, network).worst(kind, lost)
    table = failures.analyse(plan).filter(network=network, kind=kind, lost=lost)
    assert table["where"].to_list() == sorted(brute)
    for row in table.iter_rows(named=True):
        for figure, expected in brute[row["where"]].items():
            got = math.nan if row[figure] is None else row[figure]
            assert got == pytest.approx(expected, nan_ok=True), (row["where"], figure)


def test_a_twin_port_optic_takes_its_two_links() -> None:
    table = failures.analyse(plan_of("twin-cages"), most=1).filter(kind="optic", where="host-leaf at host")
    assert table["rails_lost"].item() == 2


def test_failures_are_told_by_name() -> None:
    table = failures.analyse(plan_of("two-tier"), most=1).filter(network="compute", kind="switch")
    assert dict(table.select("where", "example").iter_rows()) == {
        "leaf": "leaf-compute-s000-l0-p0",
        "spine": "spine-compute-d00-p0-000",
    }


def test_the_same_bytes_twice() -> None:
    first, second = (failures.analyse(plan_of("three-tier")).write_csv() for _ in range(2))
    assert first == second
