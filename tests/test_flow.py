"""The max-flow on merged graphs, against networkx on the whole graph."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from fabric import flow

LEAVES, SPINES, CORES = 4, 3, 2


@st.composite
def fabrics(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Up to three tiers with trunks of 0, 1 or 2 links, mostly even, so that there is something to merge."""
    tier = ["leaf"] * LEAVES + ["spine"] * SPINES + ["core"] * CORES
    usual = draw(st.integers(min_value=0, max_value=2))
    links: list[tuple[int, int, int]] = []
    for low in range(LEAVES + SPINES):
        above = range(LEAVES, LEAVES + SPINES) if low < LEAVES else range(LEAVES + SPINES, LEAVES + SPINES + CORES)
        for high in above:
            count = draw(st.one_of(st.just(usual), st.just(usual), st.integers(min_value=0, max_value=2)))
            links += [(low, high, 400)] * count
    schema = {"a_device": pl.UInt32, "b_device": pl.UInt32, "speed_gbps": pl.UInt32}
    return pl.DataFrame({"id": range(len(tier)), "tier": tier}), pl.DataFrame(links, schema=schema, orient="row")


def by_networkx(switches: pl.DataFrame, links: pl.DataFrame, sources: list[int], sinks: list[int]) -> int:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(("from", "to"))
    graph.add_edges_from((("climbs", d), ("descends", d)) for d in switches["id"])
    for low, high, gbps in links.group_by("a_device", "b_device").agg(pl.col("speed_gbps").sum()).iter_rows():
        graph.add_edge(("climbs", low), ("climbs", high), capacity=gbps)
        graph.add_edge(("descends", high), ("descends", low), capacity=gbps)
    graph.add_edges_from(("from", ("climbs", leaf)) for leaf in sources)
    graph.add_edges_from((("descends", leaf), "to") for leaf in sinks)
    return int(nx.maximum_flow_value(graph, "from", "to"))


@given(fabrics(), st.sampled_from([([0], [1]), ([0, 1], [2, 3]), ([0, 2], [1]), ([3], [0, 1, 2])]))
def test_a_merged_graph_has_the_flow_of_the_whole(
    fabric: tuple[pl.DataFrame, pl.DataFrame], ends: tuple[list[int], list[int]]
) -> None:
    got = flow.between(flow.trunks(*fabric), np.array(ends[0]), np.array(ends[1]))
    assert got == by_networkx(*fabric, *ends)


@given(fabrics())
def test_components_are_those_of_networkx(fabric: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    label = flow.trunks(*fabric).component()
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(fabric[0]["id"])
    graph.add_edges_from(fabric[1].select("a_device", "b_device").iter_rows())
    for part in nx.connected_components(graph):
        assert {int(label[node]) for node in part} == {min(part)}


def test_an_even_fabric_merges_to_a_handful_of_nodes() -> None:
    leaves, spines = 240, 60
    switches = pl.DataFrame({"id": range(leaves + spines), "tier": ["leaf"] * leaves + ["spine"] * spines})
    pairs = pl.DataFrame({"a_device": range(leaves)}).join(
        pl.DataFrame({"b_device": range(leaves, leaves + spines)}), how="cross"
    )
    graph = flow.trunks(switches, pairs.with_columns(speed_gbps=pl.lit(400, dtype=pl.UInt32))).up_down()
    classes = flow.refine(graph, np.repeat([0, 1], graph.nodes // 2))
    assert int(classes.max()) + 1 == 4
    lost = np.arange(len(graph.tail)) != 7
    fewer = flow.Graph(graph.nodes, graph.tail[lost], graph.head[lost], graph.capacity[lost])
    assert int(flow.refine(fewer, np.repeat([0, 1], graph.nodes // 2)).max()) + 1 == 8


def test_traffic_does_not_climb_again_after_descending() -> None:
    switches = pl.DataFrame({"id": range(5), "tier": ["leaf"] * 3 + ["spine"] * 2})
    links = pl.DataFrame({"a_device": [0, 1, 1, 2], "b_device": [3, 3, 4, 4], "speed_gbps": [400] * 4})
    trunks = flow.trunks(switches, links)
    assert flow.between(trunks, np.array([0]), np.array([1])) == 400
    assert flow.between(trunks, np.array([0]), np.array([2])) == 0
    assert len(np.unique(trunks.component())) == 1


def test_the_leaves_of_a_pair_reach_each_other() -> None:
    switches = pl.DataFrame({"id": [7, 8], "tier": ["leaf", "leaf"]})
    links = pl.DataFrame({"a_device": [7, 7], "b_device": [8, 8], "speed_gbps": [400, 400]})
    trunks = flow.trunks(switches, links)
    assert flow.between(trunks, np.array([0]), np.array([1])) == 800
    assert flow.between(trunks, np.array([1]), np.array([0])) == 800
