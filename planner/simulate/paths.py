"""The channels that each flow takes: by the planned hashes of the switches, or pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fabric.ecmp_hash import hash_of
from fabric.hashing import FUNCTIONS, EcmpHash, five_tuples
from planner.simulate.endpoints import Endpoints, endpoints, stirred
from planner.simulate.flows import ROCE_PORT
from planner.simulate.kept import kept
from planner.simulate.walk import MOST_HOPS, Hops, near, walk
from planner.simulate.wires import LEVELS, Wires

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.simulate.flows import Flows
    from planner.simulate.walk import Near
    from planner.simulate.wires import Ints, Mask, Small

INFINIBAND_HASH = EcmpHash("murmur3", 1, fields=("src_ip", "dst_ip"))
"""In place of InfiniBand's tables, which are by destination: any spread over ports that does not change."""


@dataclass(frozen=True)
class Routing:
    """How a network routes now: distances, and the hash of each device."""

    wires: Wires
    ends: Endpoints
    below: Near
    any_way: Near
    functions: tuple[EcmpHash, ...]
    hash_of: Small
    weight: Small
    """Of each channel among the members of its group."""


def routing(
    wires: Wires, hashes: Mapping[int, EcmpHash] | None = None, weights: Mapping[int, int] | None = None
) -> Routing:
    """The planned hashes of all tiers; ``hashes``: of devices that hash otherwise, ``weights``: of channels, not 1.

    A channel of weight 0 is drained: it takes nothing as long as another leads on.
    """
    below, any_way = near(wires)
    functions = list(tier_hashes(wires).values())
    by_level = np.zeros(1 + max(LEVELS.values()), dtype=np.int32)
    for number, tier in enumerate(tier_hashes(wires)):
        by_level[LEVELS[tier]] = number
    chosen = by_level[np.maximum(wires.level, 0)]
    for device, own in (hashes or {}).items():
        if own not in functions:
            functions.append(own)
        chosen[device] = functions.index(own)
    weight = np.ones(2 * wires.links, dtype=np.int32)
    for channel, number in (weights or {}).items():
        weight[channel] = number
    return Routing(wires, endpoints(wires), below, any_way, tuple(functions), chosen, weight)


def tier_hashes(wires: Wires) -> dict[str, EcmpHash]:
    """The hash of each tier that the network has."""
    return kept(wires.plan, ("hashes", wires.network), lambda: _tier_hashes(wires))


def _tier_hashes(wires: Wires) -> dict[str, EcmpHash]:
    network = wires.plan.design.networks[wires.network]
    models = {"leaf": network.classes[0].leaf, "spine": network.spine, "core": network.core}
    found = {}
    for tier, switch in models.items():
        if switch is not None:
            planned = hash_of(wires.plan, tier, network.nos, switch.model)
            found[tier] = planned.hash if planned else INFINIBAND_HASH
    return found


def paths(now: Routing, many: Flows, pins: Small | None = None) -> Hops:
    """Channels of each flow (n × MOST_HOPS, −1 after the last); a flow without a way has none.

    ``pins``: n × k channels that a flow takes where it comes by and they lead on.
    """
    first, last, src_ip, dst_ip = _doors(now, many)
    keys = five_tuples(src_ip, dst_ip, many.src_port, ROCE_PORT)
    hashes = np.stack([function.hashes(keys) for function in now.functions])
    bits = np.array([FUNCTIONS[f.function][1] if f.threshold else 0 for f in now.functions], dtype=np.int32)
    wires = now.wires
    lists = ((wires.up.start, wires.up.items), (wires.down.start, wires.down.items),
             (wires.across.start, wires.across.items))  # fmt: skip
    pins = np.full((len(many), 1), -1, dtype=np.int32) if pins is None else pins
    hops: Hops = walk(
        first,
        last,
        pins,
        hashes,
        now.hash_of,
        bits,
        now.below,
        now.any_way,
        lists,
        now.weight,
        wires.head,
        wires.leaf_column,
    )  # fmt: skip
    put_inside(now.wires, many, hops)
    return hops


def _doors(now: Routing, many: Flows) -> tuple[Small, Small, Ints, Ints]:
    """Channel in and channel out of the network, and both addresses; channels −1 where no plane has both ends.

    A flow that may use any plane takes one by hash, the next where a port is dead.
    """
    ends, wires = now.ends, now.wires
    away = ~many.local
    n = len(many)
    first, last = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    addresses = np.zeros((2, n), dtype=np.int64)
    wanted = np.where(many.plane >= 0, many.plane, stirred(many.src_host, many.dst_host, seed=3) + many.turn)
    for turn in range(ends.planes):
        open_rows = np.flatnonzero(away & (first < 0) & ((many.plane < 0) | (turn == 0)))
        if not len(open_rows):
            break
        plane = (wanted[open_rows] + turn) % ends.planes
        at = [
            (host[open_rows], rail[open_rows], plane, many.src_port[open_rows] % ends.link.shape[3])
            for host, rail in ((many.src_host, many.src_rail), (many.dst_host, many.dst_rail))
        ]
        link = [np.where(ends.link[where] < 0, ends.link[(*where[:3], 0)], ends.link[where]) for where in at]
        good = (link[0] >= 0) & (link[1] >= 0) & wires.live(2 * link[0]) & wires.live(2 * link[1] + 1)
        good &= _connected(now, link[0], link[1])
        rows = open_rows[good]
        first[rows], last[rows] = 2 * link[0][good], 2 * link[1][good] + 1
        for side in (0, 1):
            addresses[side, rows] = ends.ipv4[tuple(column[good] for column in at[side])]
    return first, last, addresses[0], addresses[1]


def _connected(now: Routing, src: Small, dst: Small) -> Mask:
    """Whether the leaves of two links can reach each other."""
    wires = now.wires
    column = np.maximum(wires.leaf_column[wires.head[2 * dst]], 0)
    found: Mask = now.any_way[np.maximum(wires.head[2 * src], 0), column] < MOST_HOPS
    return found


def put_inside(wires: Wires, many: Flows, hops: Hops) -> None:
    """Flows of a scale-up domain leave one GPU and enter another; one from a GPU to itself has no channel."""
    rows = np.flatnonzero(many.local)
    hops[rows, 0] = wires.gpu_start[many.src_host[rows]] + 2 * many.src_gpu[rows]
    hops[rows, 1] = wires.gpu_start[many.dst_host[rows]] + 2 * many.dst_gpu[rows] + 1
