"""Routes that were decided rather than hashed: ``planner.routing`` gives each queue pair its links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.flowfile import FLOWS, Dead
from planner.routing.network import network
from planner.routing.solve import chosen
from planner.simulate.kept import kept
from planner.simulate.paths import put_inside
from planner.simulate.walk import MOST_HOPS, Hops

if TYPE_CHECKING:
    from fabric.plan import Plan
    from planner.routing import Method
    from planner.routing.network import Net
    from planner.simulate.flows import Flows
    from planner.simulate.job import Router
    from planner.simulate.paths import Routing
    from planner.simulate.wires import Ints

ENDS = ("host_leaf", "leaf_host", "from_leaf", "to_leaf")
"""Columns of queue pairs: links of both hosts, and numbers of their leaves."""


def router(method: Method, dead: Dead | None = None, known: dict[bytes, Hops] | None = None) -> Router:
    """A router that asks ``planner.routing``; what stays inside a scale-up domain is not routed.

    ``known``: what it answered before, which it may answer again and adds to.
    """
    known = {} if known is None else known
    nets: dict[str, Net] = {}

    def pinned(now: Routing, many: Flows) -> Hops:
        away = np.flatnonzero(~many.local)
        hops = np.full((len(many), MOST_HOPS), -1, dtype=np.int32)
        if len(away):
            wires = now.wires
            net = nets[wires.network] = nets.get(wires.network) or _net(wires.plan, wires.network, dead)
            table = _table(now, many.take(away))
            key = net.dead.tobytes() + b"".join(column.to_numpy().tobytes() for column in table.fill_null(0xFFFF))
            if key not in known:
                known[key] = channels(*chosen(net, table, method)[:2])
            hops[away] = known[key]
        put_inside(now.wires, many, hops)
        return hops

    return pinned


def _net(plan: Plan, name: str, dead: Dead | None) -> Net:
    """The network as routing sees it; the one without dead links is kept."""
    if dead is not None and dead.dead_links(plan).any():
        return network(plan, name, dead)
    return kept(plan, ("net", name), lambda: network(plan, name))


def _table(now: Routing, many: Flows) -> pl.DataFrame:
    """The flows as routing reads them; rates in proportion to their sizes, the largest at its NIC port's speed."""
    ends = now.ends
    link = np.maximum(ends.link[many.src_host, many.src_rail].max(axis=(1, 2)), 0)
    speed = np.maximum(now.wires.gbps[2 * link], 1.0)
    share = many.size / many.size.max() if np.isfinite(many.size).all() else np.ones(len(many))
    gbps = np.where(np.isfinite(many.gbps), many.gbps, speed * share)
    plane = np.where(many.plane >= 0, many.plane, many.turn % ends.planes)
    wanted = (many.plane >= 0) | (many.turn > 0)
    columns = {
        "flow": np.arange(len(many)), "src_host": many.src_host, "src_rail": many.src_rail,
        "dst_host": many.dst_host, "dst_rail": many.dst_rail, "gbps": gbps,
        "plane": plane, "queue_pairs": np.ones(len(many), dtype=np.int64),
    }  # fmt: skip
    table = pl.DataFrame(columns).select(pl.col(name).cast(dtype) for name, dtype in FLOWS.items())
    split = pl.Series(wanted | _has_twin(many))
    return table.with_columns(plane=pl.when(split).then(pl.col("plane")))


def _has_twin(many: Flows) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which flows are the first of several queue pairs of their ends."""
    ends = pl.DataFrame(
        {"a": many.src_host, "b": many.src_gpu, "c": many.dst_host, "d": many.dst_gpu, "e": many.dst_rail}
    )
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = ends.is_duplicated().to_numpy()
    return found


def channels(pairs: pl.DataFrame, between: Ints) -> Hops:
    """The channels of each queue pair, −1 after the last; none where it has no path.

    ``between``: links of leaf to spine, spine to core, core to spine and spine to leaf, −1 where it has none.
    """
    first, last, source, target = (pairs[name].cast(pl.Int64).fill_null(-1).to_numpy() for name in ENDS)
    whole = (source >= 0) & ((source == target) | ((between[0] >= 0) & (between[3] >= 0)))
    links = np.stack([first, between[0], between[1], between[2], between[3], last], axis=1)
    down = np.arange(6) >= 3
    made = np.where((links >= 0) & whole[:, None], 2 * links + down, -1)
    packed = np.take_along_axis(made, np.argsort(made < 0, axis=1, kind="stable"), axis=1)
    hops = np.full((len(made), MOST_HOPS), -1, dtype=np.int32)
    hops[:, : packed.shape[1]] = packed
    return hops
