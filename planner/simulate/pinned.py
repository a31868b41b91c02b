"""Routes that were decided rather than hashed: ``planner.routing`` gives each queue pair its links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.flowfile import FLOWS, Dead
from planner.routing import PATHS, Method, routes
from planner.routing.answer import DOWN, UP
from planner.simulate.paths import put_inside
from planner.simulate.walk import MOST_HOPS, Hops

if TYPE_CHECKING:
    from planner.simulate.flows import Flows
    from planner.simulate.job import Router
    from planner.simulate.paths import Routing

_ORDER = (*UP, *DOWN)
"""Columns of links in the order in which a flow travels them."""


def router(method: Method, dead: Dead | None = None) -> Router:
    """A router that asks ``planner.routing``; what stays inside a scale-up domain is not routed."""

    def pinned(now: Routing, many: Flows) -> Hops:
        away = np.flatnonzero(~many.local)
        hops = np.full((len(many), MOST_HOPS), -1, dtype=np.int32)
        if len(away):
            table = _table(now, many.take(away))
            hops[away] = channels(routes(now.wires.plan, table, dead, method, now.wires.network).paths)
        put_inside(now.wires, many, hops)
        return hops

    return pinned


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


def channels(paths: pl.DataFrame) -> Hops:
    """The channels of each row of ``Routes.paths``, −1 after the last; none where it has no path."""
    assert set(_ORDER) <= set(PATHS)
    columns = [paths[name].cast(pl.Int64).fill_null(-1).to_numpy() for name in _ORDER]
    links = np.stack(columns, axis=1)
    down = np.arange(len(_ORDER)) >= len(UP)
    made = np.where(links >= 0, 2 * links + down, -1)
    packed = np.take_along_axis(made, np.argsort(made < 0, axis=1, kind="stable"), axis=1)
    hops = np.full((len(made), MOST_HOPS), -1, dtype=np.int32)
    hops[:, : packed.shape[1]] = packed
    return hops
