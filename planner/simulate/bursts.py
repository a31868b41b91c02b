"""Ordinary bursts beside the jobs: transfers between hosts that come and go, and fill no queue up to its marks.

Checkpoints, data sets, other people's jobs: pairs of NICs drawn once a run, whose transfers take the switches' hashes'
paths in the lossless class. A burst raises the watermarks of the queues that it crosses, always below Kmin, so that
nothing marks, pauses or drops; and it takes of a link what the jobs leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.endpoints import endpoints
from planner.simulate.events import BYTES_A_GBPS_SECOND
from planner.simulate.flows import Flows, flows
from planner.simulate.paths import paths

if TYPE_CHECKING:
    from planner.simulate.paths import Routing
    from planner.simulate.timeline import Window
    from planner.simulate.walk import Hops
    from planner.simulate.wires import Floats, Wires

PAIRS = 4
"""Pairs of ends, over the NICs of the network: each NIC sends to so many others, of its own rail."""
SELDOM = 0.5
"""Part of the pairs that move anything in an interval."""
SHAPE = 0.5
"""Of the gamma distribution of a burst's bytes: a few are large."""
ROOM = 0.8
"""Part of what the jobs leave of a link that bursts take at most."""
HIGH = (0.05, 0.9)
"""Watermark of a queue that a burst crosses, over Kmin."""


@dataclass(frozen=True)
class Drawn:
    """Bursts of an interval: ``moved`` by flow, ``bytes`` and ``watermark`` by channel."""

    moved: Floats
    bytes: Floats
    watermark: Floats


def pool(whole: Wires, seed: int) -> Flows:
    """Pairs of NICs that have something to say to each other, the same in all of a run."""
    rng = np.random.default_rng([seed, 1])
    link = endpoints(whole).link.max(axis=(2, 3))
    link[whole.plan.fabric.hosts["gpus"].to_numpy() == 0] = -1
    src, rail = (np.repeat(column, PAIRS) for column in np.nonzero(link >= 0))
    dst = rng.permutation(src)
    apart = (src != dst) & (link[dst, rail] >= 0)
    src, dst, rail = src[apart], dst[apart], rail[apart]
    zero = np.zeros(len(src), dtype=np.int64)
    line = whole.gbps[2 * link[src, rail]]
    return flows((src, zero, rail), (dst, zero, rail), np.full(len(src), np.inf), zero - 1, gbps=line)


@dataclass(frozen=True)
class Bursts:
    """Pairs with their paths now. ``share``: of its line rate that a NIC sends in bursts, on average over a run."""

    flows: Flows
    hops: Hops
    kmin: Floats
    gbps: Floats
    share: float

    def drawn(self, window: Window, seconds: float, rng: np.random.Generator) -> Drawn:
        """Bursts of an interval in which the jobs do what ``window`` says."""
        count = len(self.kmin)
        many = len(self.flows)
        asked = self.share * self.flows.gbps * BYTES_A_GBPS_SECOND * seconds * rng.gamma(SHAPE, 1 / SHAPE, many)
        asked *= (rng.random(many) < SELDOM) & (self.hops[:, 0] >= 0)
        asked *= self.nics / max(many * SELDOM, 1.0)
        line = self.gbps * BYTES_A_GBPS_SECOND * seconds
        open_part = np.clip(1 - window.total("paused") / seconds, 0.0, 1.0)
        room = ROOM * np.clip(line * open_part - window.total("bytes"), 0.0, None)
        wanted = self._sums(asked, count)
        fits = np.append(np.divide(room, wanted, out=np.ones(count), where=wanted > 0).clip(max=1.0), 1.0)
        moved = asked * fits[np.where(self.hops >= 0, self.hops, count)].min(axis=1)
        total = self._sums(moved, count)
        high = self.kmin * rng.uniform(*HIGH, count)
        return Drawn(moved, total, np.where(total > 0, high, 0.0))

    @property
    def nics(self) -> int:
        """NICs that send."""
        return len(np.unique(self.flows.src_host * 1024 + self.flows.src_rail))

    def _sums(self, of: Floats, count: int) -> Floats:
        used = self.hops >= 0
        found: Floats = np.bincount(self.hops[used], np.repeat(of, used.sum(axis=1)), count).astype(np.float64)
        return found


def bursts(now: Routing, pairs: Flows, kmin: Floats, share: float) -> Bursts:
    """The pairs on the network as it is now."""
    return Bursts(pairs, paths(now, pairs), kmin, now.wires.gbps[: len(kmin)], share)
