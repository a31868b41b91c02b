"""Max-flow on the switch graph of one network, with trunks as capacities, along paths that go up and then down.

Traffic of a Clos climbs to a common switch and descends; it never turns upward again (the spines of a pod share an ASN,
and up-down routing forbids it). So each switch is two nodes, one for traffic that climbs and one for traffic that
descends, and a leaf's traffic enters at the first of its own and leaves at the second of another.

The graph is not given to the algorithm as it is. Switches that cannot be told apart by capacities (the coarsest
*equitable partition* that respects supplies and demands) are merged: every member of a class has the same total
capacity to every other class, so a flow between classes spreads evenly over their members and each member's flow is
conserved. The max-flow of the merged graph is therefore that of the whole one, exactly, also when links are missing
(the partition is then finer). 131,072 GPUs merge to some ten nodes.
(Equitable partitions: Grohe, Kersting, Mladenov, Selman, "Dimension reduction via colour refinement", ESA 2014.)
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
UNBOUNDED = -1


@dataclass(frozen=True)
class Graph:
    """Directed edges between numbered nodes; ``capacity`` is an integer, ``UNBOUNDED`` for none."""

    nodes: int
    tail: Ints
    head: Ints
    capacity: Ints


@dataclass(frozen=True)
class Trunks:
    """The switch graph of one network: ``device`` ids, and trunks between positions in it, the lower tier first.

    ``tier`` is 0 for leaf, 1 for spine, 2 for core, by position.
    """

    device: Ints
    tier: Ints
    lower: Ints
    upper: Ints
    gbps: Ints
    links: Ints

    def up_down(self) -> Graph:
        """Nodes i (climbing) and n + i (descending); trunks of one tier (a pair's) go straight from i to n + j."""
        n = len(self.device)
        level = self.tier[self.lower] == self.tier[self.upper]
        low, high, own = self.lower, self.upper, np.arange(n)
        tail = np.concatenate([np.where(level, high, low), np.where(level, low, high + n), own])
        head = np.concatenate([np.where(level, low + n, high), np.where(level, high + n, low + n), own + n])
        turn = np.full(n, UNBOUNDED, dtype=np.int64)
        return Graph(2 * n, tail, head, np.concatenate([self.gbps, self.gbps, turn]))

    def keep(self, wanted: npt.NDArray[np.bool_]) -> Trunks:
        """The trunks that are wanted, all switches."""
        pick = (self.lower[wanted], self.upper[wanted], self.gbps[wanted], self.links[wanted])
        return Trunks(self.device, self.tier, *pick)

    def component(self) -> Ints:
        """Least position each switch reaches, whatever the direction: equal for switches that are connected."""
        return components(len(self.device), self.lower, self.upper)


def trunks(switches: pl.DataFrame, links: pl.DataFrame) -> Trunks:
    """Parallel links between two switches as one trunk.

    ``switches`` has ``id, tier``, ``links`` has ``a_device, b_device, speed_gbps``; links to others are left out.
    """
    device = switches["id"].cast(pl.Int64).to_numpy()
    order = {"leaf": 0, "spine": 1, "core": 2}
    tier = switches["tier"].cast(pl.String).replace_strict(order, default=0, return_dtype=pl.Int64).to_numpy()
    place = switches.select(pl.col("id"), pl.int_range(pl.len(), dtype=pl.Int64).alias("place"))
    pairs = links.select("a_device", "b_device", "speed_gbps").join(
        place.rename({"id": "a_device", "place": "a"}), on="a_device"
    )
    pairs = pairs.join(place.rename({"id": "b_device", "place": "b"}), on="b_device")
    sums = (
        pairs.group_by("a", "b").agg(pl.col("speed_gbps").sum().cast(pl.Int64), pl.len().cast(pl.Int64)).sort("a", "b")
    )
    a, b, gbps, count = (sums[name].to_numpy() for name in ("a", "b", "speed_gbps", "len"))
    swap = tier[a] > tier[b]
    return Trunks(device, tier, np.where(swap, b, a), np.where(swap, a, b), gbps, count)


def components(nodes: int, tail: Ints, head: Ints) -> Ints:
    """Least node of each node's component, by propagating least labels along edges and halving paths."""
    label = np.arange(nodes)
    while True:
        before = label.copy()
        least = np.minimum(label[tail], label[head])
        np.minimum.at(label, tail, least)
        np.minimum.at(label, head, least)
        label = label[label]
        if np.array_equal(before, label):
            return label


def refine(graph: Graph, colours: Ints) -> Ints:
    """The coarsest equitable partition finer than ``colours``: a class number a node, dense, from 0.

    Within a class all nodes have the same total capacity to, and from, every class. Totals are compared by a 64-bit
    hash that is fixed, so that the answer never depends on the machine.
    """
    _, colours = np.unique(colours, return_inverse=True)
    capacity = graph.capacity.astype(np.uint64)
    count = int(colours.max(initial=-1)) + 1
    while True:
        salt = mix(colours.astype(np.uint64))
        out, into = np.zeros(graph.nodes, np.uint64), np.zeros(graph.nodes, np.uint64)
        np.add.at(out, graph.tail, capacity * salt[graph.head])
        np.add.at(into, graph.head, capacity * salt[graph.tail])
        _, colours = np.unique(mix(out) ^ mix(mix(into) + salt), return_inverse=True)
        finer = int(colours.max(initial=-1)) + 1
        if finer == count:
            return colours.astype(np.int64)
        count = finer


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a fixed scrambling of 64 bits."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def merged(graph: Graph, classes: Ints) -> Graph:
    """One node a class; capacities between classes are summed."""
    n = int(classes.max(initial=-1)) + 1
    key = classes[graph.tail] * n + classes[graph.head]
    pairs, place = np.unique(key, return_inverse=True)
    total = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(total, place, np.maximum(graph.capacity, 0))
    total[place[graph.capacity == UNBOUNDED]] = UNBOUNDED
    return Graph(n, pairs // n, pairs % n, total)


def max_flow(graph: Graph, supply: Ints, demand: Ints) -> int:
    """Most that flows from the supplies to the demands (by node; capacity units; 0 for neither)."""
    alike = np.unique(np.stack([supply, demand]), axis=1, return_inverse=True)[1]
    classes = refine(graph, alike.reshape(-1))
    small = merged(graph, classes)
    n = small.nodes
    view: nx.DiGraph[int] = nx.DiGraph()
    view.add_nodes_from((n, n + 1))
    for tail, head, capacity in zip(small.tail.tolist(), small.head.tolist(), small.capacity.tolist(), strict=True):
        if tail != head:
            view.add_edge(tail, head, **({} if capacity == UNBOUNDED else {"capacity": capacity}))
    for node, (give, take) in enumerate(zip(_totals(supply, classes, n), _totals(demand, classes, n), strict=True)):
        if give:
            view.add_edge(n, node, capacity=give)
        if take:
            view.add_edge(node, n + 1, capacity=take)
    return int(nx.maximum_flow_value(view, n, n + 1))


def _totals(amount: Ints, classes: Ints, n: int) -> list[int]:
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, classes, amount)
    return [int(x) for x in total]


def between(trunks: Trunks, sources: Ints, sinks: Ints) -> int:
    """Gb/s that flow at once from the leaves ``sources`` to the leaves ``sinks`` (positions), for all trunks allow."""
    near = around(trunks, sources, sinks)
    if not len(near.gbps):
        return 0
    used = np.unique(np.concatenate([near.lower, near.upper, sources, sinks]))
    small = _renumbered(near, used)
    graph, n = small.up_down(), len(used)
    plenty = int(small.gbps.sum()) + 1
    supply, demand = np.zeros(2 * n, np.int64), np.zeros(2 * n, np.int64)
    supply[np.searchsorted(used, sources)] = plenty
    demand[np.searchsorted(used, sinks) + n] = plenty
    return max_flow(graph, supply, demand)


def around(trunks: Trunks, *leaves: Ints) -> Trunks:
    """The trunks that an up-down path from or to these leaves can take."""
    reach = np.zeros(len(trunks.device), dtype=bool)
    reach[np.concatenate(leaves)] = True
    first = reach[trunks.lower] | (reach[trunks.upper] & (trunks.tier[trunks.lower] == trunks.tier[trunks.upper]))
    reach[trunks.upper[first]] = True
    return trunks.keep(first | (reach[trunks.lower] & (trunks.tier[trunks.lower] == 1)))


def _renumbered(trunks: Trunks, used: Ints) -> Trunks:
    lower, upper = np.searchsorted(used, trunks.lower), np.searchsorted(used, trunks.upper)
    return Trunks(trunks.device[used], trunks.tier[used], lower, upper, trunks.gbps, trunks.links)
