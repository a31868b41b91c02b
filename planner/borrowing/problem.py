"""Two hosts that talk, one of them with ports that are lost: what may carry what, on plain arrays.

Loads are relative: Gb/s over Gb/s of capacity. A pair of hosts is looked at in one direction; the other is its mirror,
since a dead port is dead both ways. Whatever mix of such pairs a job makes, no port or link is loaded more than in the
worst of them (loads add in proportion to the time or the share of each pair), so that pairs are solved one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Way = tuple[int, ...]
"""Links that traffic passes between two leaves, by their place in ``Links``; empty where the leaf is the same."""

Mode = Literal["both-ends", "one-end"]
"""both-ends: traffic of a lost port leaves and arrives by the same other port; one-end: each end moves only what it has
lost itself, and the spines carry it from one rail to the other."""
MODES: tuple[Mode, ...] = ("both-ends", "one-end")


@dataclass(frozen=True)
class End:
    """One host: arrays over its U ports on the network, in the order of rail and then plane (or port of the NIC).

    ``load_gbps``: what others already send by the port. ``scale_up_gbps``: of a GPU, one direction, 0 where GPUs of the
    host do not reach each other; ``scale_up_load_gbps``: what the job itself sends there.
    """

    name: str
    rail: Ints
    plane: Ints
    gpu: Ints
    leaf: Ints
    gbps: Floats
    alive: Bools
    load_gbps: Floats
    scale_up_gbps: float
    scale_up_load_gbps: float = 0.0

    def __len__(self) -> int:
        return len(self.rail)


@dataclass(frozen=True)
class Links:
    """Links between switches: capacity, and what others already send; names say which spine is passed."""

    gbps: Floats
    load_gbps: Floats
    name: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two hosts with equal NICs, and all ways between their leaves.

    ``demand_gbps``: what the job sends by each port when nothing is lost (U). ``ways``: by leaf here and leaf there;
    two leaves without an entry do not reach each other. ``at_once``: pairs of hosts that move in the same manner at
    the same time, over the same links (a leaf under maintenance moves a whole segment).
    """

    here: End
    there: End
    demand_gbps: Floats
    links: Links
    ways: Mapping[tuple[int, int], tuple[Way, ...]]
    at_once: int = 1

    @property
    def lost(self) -> Ints:
        """Ports whose traffic must move, because they are dead here or there."""
        return np.flatnonzero((self.demand_gbps > 0) & ~(self.here.alive & self.there.alive))


@dataclass(frozen=True)
class Options:
    """Every way in which traffic may go: of ``port``, out by ``out``, in by ``into``, through ``way``."""

    port: Ints
    out: Ints
    into: Ints
    way: tuple[Way, ...]

    def __len__(self) -> int:
        return len(self.port)


@dataclass(frozen=True)
class Row:
    """One thing with a capacity: base + Σ coefficient·share of the options ≤ T·capacity. All in Gb/s."""

    kind: Literal["nic", "scale-up", "link"]
    what: str
    capacity: float
    base: float
    option: Ints
    coefficient: Floats
