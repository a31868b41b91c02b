"""Traffic for tests of routes, and an independent look at the paths that come out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.flowfile import FLOWS, Dead
from fabric.plan import Plan
from planner.routing import Routes

Ints = npt.NDArray[np.int64]


def permutation(plan: Plan, gbps: float | None = None, seed: int = 1, queue_pairs: int = 1) -> pl.DataFrame:
    """On each rail of the first network every compute host sends to another, and each receives once."""
    design = next(iter(plan.design.networks.values()))
    rng, parts = np.random.default_rng(seed), []
    hosts = plan.fabric.hosts.filter(pl.col("role") == "compute")["id"].to_numpy()
    for rail in range(design.classes[0].rails):
        order = rng.permutation(len(hosts))
        keep = order != np.arange(len(hosts))
        parts.append(pl.DataFrame({"src_host": hosts[keep], "dst_host": hosts[order][keep], "src_rail": rail}))
    rate = gbps or float(design.classes[0].speed_gbps)
    rows = pl.concat(parts).with_row_index("flow")
    rows = rows.with_columns(dst_rail="src_rail", gbps=pl.lit(rate), plane=pl.lit(None), queue_pairs=queue_pairs)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in FLOWS.items())


def switch_permutation(leaves: int, hosts: int, seed: int = 1) -> tuple[Ints, Ints]:
    """Leaves that flows of a permutation of hosts leave and reach; those that stay at a leaf are left out."""
    order = np.random.default_rng(seed).permutation(leaves * hosts)
    source, target = np.arange(leaves * hosts) // hosts, order // hosts
    return source[source != target], target[source != target]


def dead_uplinks(leaves: int, spines: int, each: int, seed: int = 1) -> Ints:
    """Live links, leaf × spine, with so many dead ones at every leaf."""
    rng, room = np.random.default_rng(seed), np.ones((leaves, spines), np.int64)
    for row in room:
        row[rng.permutation(spines)[:each]] = 0
    return room


def walked(plan: Plan, flows: pl.DataFrame, routes: Routes, dead: Dead | None = None) -> float:
    """Follow every path link by link from host to host; the largest load of a link between switches."""
    links, gone = plan.fabric.links, (dead or Dead()).dead_links(plan)
    ends = list(zip(links["a_device"], links["b_device"], strict=True))
    wanted = {row[0]: row[1:] for row in flows.select("flow", "src_host", "src_rail", "dst_host", "dst_rail").rows()}
    load: Counter[tuple[int, bool]] = Counter()
    for flow, _, gbps, plane, *path in routes.paths.iter_rows():
        if path[-1] is None:
            assert path == [None] * 6
            continue
        src, src_rail, dst, dst_rail = wanted[flow]
        assert links.row(path[0], named=True)["rail"] == src_rail
        assert links.row(path[0], named=True)["plane"] == plane
        assert links.row(path[5], named=True)["rail"] == dst_rail
        here = src
        for column, link in enumerate(path):
            if link is None:
                continue
            assert not gone[link]
            near, far = ends[link] if column < 3 else ends[link][::-1]
            assert near == here
            here = far
            if 0 < column < 5:
                load[link, column < 3] += gbps
        assert here == dst
    speed = links["speed_gbps"].to_list()
    return max((gbps / speed[link] for (link, _), gbps in load.items()), default=0.0)
