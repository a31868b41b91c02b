"""How long routes take to choose, and how loaded the busiest link is: coloured, greedy, and ECMP, on one core.

``python benchmarks/routing.py`` routes a permutation of 65,536 hosts under 1,024 leaves and 64 spines, each flow at the
rate of a link, then finds the UDP source ports that bring the colouring about, and then does it with dead uplinks.
Every time is the least of several runs after one that warms up (compiles, and fills caches). Loads are counted from the
result, not taken from the method.

``--plans`` routes whole plans too (examples/hpn7-pod.yaml, and examples/roce-131072.yaml of three tiers), from flows to
links with all bounds. The peer is networkx, which colours edges by a greedy colouring of the line graph.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import polars as pl

from fabric.catalogue import load_catalogue, load_prices
from fabric.flowfile import FLOWS
from fabric.hashing import EcmpHash, five_tuples
from fabric.intent import load_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.routing import METHODS, routes
from planner.routing.coloring import color, degree
from planner.routing.ecmp import FIRST_PORT, PORTS, ROCE_PORT
from planner.routing.exact import Bundles, split_load
from planner.routing.jit import Ints
from planner.routing.realise import NONE, Wanted, find_ports
from planner.routing.search import greedy, paths
from planner.routing.spread import Edges, spread
from planner.sizing import size

LEAVES, SPINES = 1024, 64
SEED = 45
"""A permutation in which 65,485 flows leave their leaf."""
PEER_LEAVES, PEER_SPINES = 128, 16


def permutation(leaves: int, hosts: int, seed: int) -> tuple[Ints, Ints]:
    """Leaves that the flows of a permutation of hosts leave and reach, without those that stay at one leaf."""
    order = np.random.default_rng(seed).permutation(leaves * hosts)
    source, target = np.arange(leaves * hosts) // hosts, order // hosts
    return source[source != target], target[source != target]


def fastest(run: Callable[[], Ints], repeat: int) -> tuple[float, Ints]:
    """Least wall seconds of so many runs after one that does not count, and what it gave."""
    result, least = run(), np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        least = min(least, time.perf_counter() - start)
    return least, result


def busiest(source: Ints, target: Ints, spine: Ints, spines: int) -> int:
    """Flows on the fullest uplink or downlink."""
    return int(max(np.bincount(source * spines + spine).max(), np.bincount(target * spines + spine).max()))


def by_greedy(source: Ints, target: Ints) -> Ints:
    """Each flow in turn to the spine whose fuller link is the emptiest."""
    up, core, down = (np.full(len(source), -1) for _ in range(3))
    state = paths(np.ones((LEAVES, SPINES)), np.zeros((SPINES, 0)))
    greedy(state, source, target, np.ones(len(source)), up, core, down)
    return up


def keys_of(source: Ints, target: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Five-tuples with an address a flow, and source ports as good as random."""
    rng = np.random.default_rng(1)
    number = np.arange(len(source))
    ports = FIRST_PORT + rng.integers(0, PORTS, len(source))
    return five_tuples((10 << 24) + (source << 8) + number % 64, (10 << 24) + (target << 8) + number // 64 % 64, ports,
                       ROCE_PORT)  # fmt: skip


def methods(repeat: int) -> None:
    """The table of methods, and the source ports of the colouring."""
    source, target = permutation(LEAVES, SPINES, SEED)
    keys, chosen = keys_of(source, target), EcmpHash("crc32-lo")
    print(f"{len(source):,} flows, {LEAVES:,} leaves × {SPINES} spines, each at the rate of a link; bound 1")
    print(f"{'method':<32}{'ms':>9}{'busiest link':>14}")
    runs: dict[str, Callable[[], Ints]] = {
        "coloured": lambda: color(source, target, SPINES),
        "greedy": lambda: by_greedy(source, target),
        "ECMP (CRC-32, low half)": lambda: chosen.pick(keys, SPINES),
    }
    seconds = {}
    for name, run in runs.items():
        seconds[name], spine = fastest(run, repeat)
        print(f"{name:<32}{1e3 * seconds[name]:>9.1f}{busiest(source, target, spine, SPINES):>14}")
    wanted = color(source, target, SPINES)
    many, start = np.full(len(source), SPINES), FIRST_PORT + np.arange(len(source)) % PORTS
    for name, hashed in (("linear", chosen), ("mixing", EcmpHash("murmur3", 1))):
        took, ports = fastest(lambda one=hashed: find_ports(keys, [Wanted(one, many, wanted)], start), repeat)  # type: ignore[misc]
        print(f"{f'source ports, {name} hash':<32}{1e3 * took:>9.1f}{f'{int((ports != NONE).sum()):,} found':>14}")


def dead_uplinks(leaves: int, spines: int, repeat: int) -> None:
    """The same with dead uplinks at every leaf, drawn at random; what is reached beside each bound."""
    print(
        f"\n{leaves:,} leaves × {spines} spines; bounds: out or in over live uplinks, a pair's demand over common live"
    )
    print("spines, the linear programme, and what counting and search say of whole flows")
    titles = ("dead", "active", "ms", "reached", "links so full", "leaf", "pair", "LP", "whole")
    print("".join(f"{title:>{14 if len(title) > 7 else 9}}" for title in titles))
    rng = np.random.default_rng(1)
    for dead in (1, 2, 4):
        room = np.ones((leaves, spines), np.int64)
        for row in room:
            row[rng.permutation(spines)[:dead]] = 0
        for hosts in (spines - 2 * dead, spines - dead, spines):
            source, target = permutation(leaves, hosts, SEED)
            edges = Edges.plain(source, target, room, room)
            took, spine = fastest(lambda one=edges: spread(one).color, repeat)  # type: ignore[misc]
            full = busiest(source, target, spine, spines)
            at = sum(int((np.bincount(end * spines + spine) == full).sum()) for end in (source, target))
            said = (*limits(edges), f"{spread(edges).least}")
            print(f"{dead:>9}{hosts:>9}{1e3 * took:>9.0f}{full:>9}{at:>14,}" + "".join(f"{one:>9}" for one in said))


def limits(edges: Edges) -> tuple[str, str, str]:
    """The bounds of leaves and pairs, and the linear programme where it is small."""
    bundles = Bundles.of(edges.left, edges.right, edges.kind)
    many = np.bincount(bundles.of_edge)
    room = edges.room_left
    busy = np.maximum(np.bincount(edges.left, minlength=len(room)), np.bincount(edges.right, minlength=len(room)))
    common = np.minimum(room[bundles.left], room[bundles.right]).sum(axis=1)
    rates = room.astype(np.float64)
    lp = split_load(bundles, many.astype(np.float64), rates, rates, edges.allowed)
    leaf, pair = (busy / room.sum(axis=1)).max(), (many / common).max()
    return f"{leaf:.3f}", f"{pair:.3f}", "large" if lp is None else f"{lp:.3f}"


def peer() -> None:
    """networkx on a smaller permutation: seconds and colours."""
    source, target = permutation(PEER_LEAVES, PEER_SPINES, 1)
    took, _ = fastest(lambda: color(source, target, PEER_SPINES), 3)
    graph: nx.MultiGraph[int] = nx.MultiGraph()
    graph.add_edges_from((int(u), PEER_LEAVES + int(v)) for u, v in zip(source, target, strict=True))
    start = time.perf_counter()
    theirs = nx.greedy_color(nx.line_graph(graph))
    their_time = time.perf_counter() - start
    print(f"\n{len(source):,} flows, {PEER_LEAVES} leaves × {PEER_SPINES} spines (degree {degree(source, target)})")
    print(f"{'coloured':<32}{1e3 * took:>9.1f} ms{PEER_SPINES:>6} colours")
    print(f"{'networkx, line graph, greedy':<32}{1e3 * their_time:>9.1f} ms{max(theirs.values()) + 1:>6} colours")
    print(f"times faster{their_time / took:>29.0f}")


def planned(example: str) -> Plan:
    """The plan of an example."""
    intent = load_intent(Path(__file__).parent.parent / "examples" / f"{example}.yaml")
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    fabric = cable(build(design, intent, catalogue), design, catalogue, prices=load_prices())
    return Plan(intent, catalogue, design, fabric)


def whole_plans() -> None:
    """Routes of a permutation on every rail of planned fabrics, all of it: flows to links, loads and bounds."""
    print(f"\n{'plan':<16}{'method':<10}{'flows':>10}{'seconds':>9}{'load':>7}{'bound':>7}  status")
    for example in ("hpn7-pod", "roce-131072"):
        plan = planned(example)
        flows = rail_permutation(plan)
        for method in METHODS:
            routes(plan, flows.head(1000), method=method)
            start = time.perf_counter()
            found = routes(plan, flows, method=method)
            took = time.perf_counter() - start
            load, bound = found.max_load, found.bound
            print(f"{example:<16}{method:<10}{flows.height:>10,}{took:>9.2f}{load:>7.2f}{bound:>7.2f}  {found.status}")


def rail_permutation(plan: Plan) -> pl.DataFrame:
    """Every compute host sends to another on each rail, at the rate of a port."""
    design, rng = plan.design.networks["compute"], np.random.default_rng(1)
    hosts = plan.fabric.hosts.filter(pl.col("role") == "compute")["id"].to_numpy()
    rails = [
        pl.DataFrame({"src_host": hosts, "dst_host": rng.permutation(hosts), "src_rail": rail})
        for rail in range(design.classes[0].rails)
    ]
    rows = pl.concat(rails).filter(pl.col("src_host") != pl.col("dst_host")).with_row_index("flow")
    speed = float(design.classes[0].speed_gbps)
    rows = rows.with_columns(dst_rail="src_rail", gbps=pl.lit(speed), plane=pl.lit(None), queue_pairs=pl.lit(1))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in FLOWS.items())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each after the first; the fastest counts")
    parser.add_argument("--plans", action="store_true", help="whole plans too")
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    methods(given.repeat)
    dead_uplinks(64, 16, given.repeat)
    dead_uplinks(LEAVES, SPINES, 1)
    peer()
    if given.plans:
        whole_plans()


if __name__ == "__main__":
    main()
