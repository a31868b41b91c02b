"""How loaded links are, and the time below which no routes can bring a stage.

The *load* of a link is the time that its bytes take at its speed, over the time that the busiest host port needs for
its own: 1 is a link that keeps up with what hosts can send and take, 2 one that makes them wait twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.events import BYTES_A_GBPS_SECOND

if TYPE_CHECKING:
    from planner.simulate.events import Work
    from planner.simulate.flows import Flows
    from planner.simulate.paths import Routing
    from planner.simulate.wires import Floats, Ints


@dataclass(frozen=True)
class Loads:
    """Loads of the channels between switches that carry anything; ``channel`` and ``load`` are columns."""

    channel: Ints
    load: Floats
    max: float
    p99: float

    @staticmethod
    def none() -> Loads:
        """Nothing crosses a switch."""
        return Loads(np.empty(0, np.int64), np.empty(0), 0.0, 0.0)


def link_loads(now: Routing, work: Work) -> Loads:
    """Loads of the links between switches by the bytes of a stage (by what is asked, where flows have no end)."""
    wires = now.wires
    used = work.hops >= 0
    endless = not np.isfinite(work.size).all()
    amount = work.gbps if endless else work.size / BYTES_A_GBPS_SECOND
    carried = np.bincount(work.hops[used], weights=np.repeat(amount, used.sum(axis=1)), minlength=len(wires.gbps))
    seconds = np.divide(carried, wires.gbps, out=np.zeros_like(carried), where=wires.gbps > 0)[: 2 * wires.links]
    tail, head = wires.tail, wires.head
    between = (tail >= 0) & (head >= 0) & (wires.level[tail] > 0) & (wires.level[head] > 0) & (seconds > 0)
    ends = (tail >= 0) & ((wires.level[tail] == 0) | (wires.level[head] == 0))
    unit = 1.0 if endless else float(seconds[ends].max(initial=0.0))
    channel = np.flatnonzero(between)
    if not len(channel) or unit <= 0:
        return Loads.none()
    load = seconds[channel] / unit
    return Loads(channel, load, float(load.max()), float(np.quantile(load, 0.99)))


def bound_seconds(now: Routing, many: Flows) -> float:
    """No routes bring the flows faster: the most of bytes over speed of any NIC, GPU, and leaf's links up and down.

    NICs count with all their planes together, leaves with all their live up links; flows below one leaf do not climb.
    """
    wires, ends = now.wires, now.ends
    away = ~many.local
    if not np.isfinite(many.size).all():
        return 0.0
    size = many.size / BYTES_A_GBPS_SECOND
    least = 0.0
    for host, gpu, rail, way in (
        (many.src_host, many.src_gpu, many.src_rail, 0), (many.dst_host, many.dst_gpu, many.dst_rail, 1),
    ):  # fmt: skip
        nic = host[away] * ends.link.shape[1] + rail[away]
        speed = np.where(ends.link >= 0, wires.gbps[2 * np.maximum(ends.link, 0) + way], 0.0).sum(axis=(2, 3)).ravel()
        least = max(least, _worst(nic, size[away], speed))
        inside = (wires.gpu_start[host] + 2 * gpu + way)[many.local]
        least = max(least, _worst(inside, size[many.local], wires.gbps))
    return max(least, _leaf_bound(now, many, size))


def _worst(at: Ints, amount: Floats, speed: Floats) -> float:
    """Most seconds of any place."""
    if not len(at):
        return 0.0
    total = np.bincount(at, weights=amount, minlength=len(speed))
    busy = np.flatnonzero(total)
    return float((total[busy] / np.maximum(speed[busy], 1e-12)).max())


def _leaf_bound(now: Routing, many: Flows, size: Floats) -> float:
    """The same of leaves that serve all planes of a NIC; with several planes the plane is the routes' choice."""
    wires, ends = now.wires, now.ends
    if ends.planes > 1 or ends.link.shape[3] > 1:
        return 0.0
    rows = np.flatnonzero(~many.local)
    links = [
        ends.link[h[rows], r[rows], 0, 0] for h, r in ((many.src_host, many.src_rail), (many.dst_host, many.dst_rail))
    ]
    src, dst = (wires.head[2 * link] for link in links)
    climbs = src != dst
    least = 0.0
    for leaf, way in ((src, 0), (dst, 1)):
        total = np.bincount(leaf[climbs], weights=size[rows][climbs], minlength=len(wires.level))
        for device in np.flatnonzero(total):
            up = wires.up.items[wires.up.start[device] : wires.up.start[device + 1]]
            speed = float(wires.gbps[up ^ way].sum())
            least = max(least, float(total[device]) / speed if speed else np.inf)
    return least
