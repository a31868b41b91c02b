"""Coloured routes over two or three tiers: three colourings, each the same problem.

1. The leaves of a zone: every flow gets a class of spines. Where class j is the j-th spine of every pod (linked only to
   core group j), that is the spine; to colour the pods first would load leaves 3 to 8 times.
2. The pods, inside each class: every flow between pods gets a core.
3. Each pod and class with several spines: {leaf up, core down} × {core up, leaf down}, colours are spines. In two tiers
   this is the only one; where every spine has links to every core, the cores come first (there is one class).

With dead links step 1 and 2 see how many links of a class live, not which: a flow can find no spine in step 3. Such
flows are left to the greedy search over whole paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.routing.jit import Floats, Ints, Mask
from planner.routing.network import Net
from planner.routing.spread import Edges
from planner.routing.unequal import assign


@dataclass
class Choice:
    """By flow: spine on the way up, core, spine on the way down (numbers; −1: none). Core is −1 inside a pod."""

    up: Ints
    core: Ints
    down: Ints
    least: int | None = None
    """Flows that some link must have, proved by search; None where none was made."""

    @classmethod
    def none(cls, flows: int) -> Choice:
        """Nothing chosen yet."""
        return cls(np.full(flows, -1), np.full(flows, -1), np.full(flows, -1))


@dataclass(frozen=True)
class Zone:
    """Flows between leaves of one zone, and the whole network's rooms."""

    net: Net
    number: int
    source: Ints
    target: Ints
    gbps: Floats
    up: Ints
    """Living links, leaf × spine."""
    top: Ints
    """Living links, spine × core."""

    @property
    def spines(self) -> Ints:
        """Spines of the zone."""
        return np.flatnonzero(self.net.zone[1] == self.number)

    @property
    def pods(self) -> tuple[Ints, Ints]:
        """Pod that each flow leaves and reaches."""
        pod = self.net.pod[0]
        return pod[self.source], pod[self.target]


def colored(zone: Zone) -> Choice:
    """Spines and cores for the flows of a zone, by colouring."""
    choice = Choice.none(len(zone.source))
    numbers, spine_class = np.unique(zone.net.spine_class[zone.spines], return_inverse=True)
    between = zone.pods[0] != zone.pods[1]
    classes = _classes(zone, spine_class.reshape(-1), len(numbers), between)
    least = []
    for number in range(len(numbers)):
        spines = zone.spines[spine_class.reshape(-1) == number]
        mine = classes == number
        if mine.any():
            choice.core[mine & between] = _cores(zone, spines, mine & between)
            least.append(_spines(zone, spines, mine, between, choice))
    if len(least) == 1 and not between.any():
        choice.least = least[0]
    return choice


def _classes(zone: Zone, spine_class: Ints, many: int, between: Mask) -> Ints:
    """Class of each flow; flows between pods need one that still joins them."""
    if many == 1:
        return np.zeros(len(zone.source), np.int64)
    room = np.zeros((len(zone.up), many), np.int64)
    np.add.at(room.T, spine_class, zone.up[:, zone.spines].T)
    pods, pod = np.unique(np.concatenate(zone.pods), return_inverse=True)
    here, there = pod.reshape(2, -1)
    kind = np.where(between, 1 + here * len(pods) + there, 0)
    allowed = np.ones((1 + len(pods) ** 2, many), np.bool_)
    for number in range(many):
        joined = _rooms_of_pods(zone, zone.spines[spine_class == number], pods) > 0
        allowed[1:, number] = (joined.astype(np.int64) @ joined.T.astype(np.int64) > 0).ravel()
    groups = np.where(between, here, -1), np.where(between, there, -1)
    edges = Edges(zone.source, zone.target, room, room, kind, allowed, groups)
    return assign(edges, zone.gbps).color


def _rooms_of_pods(zone: Zone, spines: Ints, pods: Ints) -> Ints:
    """Living links to cores from the spines (of one class) of each pod, pod × core."""
    room = np.zeros((len(pods), zone.top.shape[1]), np.int64)
    place = np.searchsorted(pods, zone.net.pod[1][spines])
    known = (place < len(pods)) & (pods[np.minimum(place, len(pods) - 1)] == zone.net.pod[1][spines])
    np.add.at(room, place[known], zone.top[spines[known]])
    return room


def _cores(zone: Zone, spines: Ints, mine: Mask) -> Ints:
    """Core of each flow between pods in one class of spines."""
    if not mine.any():
        return np.empty(0, np.int64)
    here, there = (pod[mine] for pod in zone.pods)
    pods = np.unique(np.concatenate([here, there]))
    room = _rooms_of_pods(zone, spines, pods)
    cores = np.flatnonzero(room.any(axis=0))
    left, right = np.searchsorted(pods, here), np.searchsorted(pods, there)
    if not len(cores):
        return np.full(len(left), -1)
    edges = Edges.plain(left, right, room[:, cores], room[:, cores])
    found = assign(edges, zone.gbps[mine]).color
    return np.where(found >= 0, cores[found], -1)


def _spines(zone: Zone, spines: Ints, mine: Mask, between: Mask, choice: Choice) -> int:
    """Spines of the flows of one class, pod by pod; the most that counting or search proved of any."""
    leaving, reaching = zone.pods
    pod_of_spine = zone.net.pod[1][spines]
    least = 0
    for pod in np.unique(pod_of_spine):
        own = spines[pod_of_spine == pod]
        inside = np.flatnonzero(mine & ~between & (leaving == pod))
        out = np.flatnonzero(mine & between & (leaving == pod) & (choice.core >= 0))
        into = np.flatnonzero(mine & between & (reaching == pod) & (choice.core >= 0))
        if len(inside) + len(out) + len(into):
            least = max(least, _pod(zone, own, inside, out, into, choice))
    return least


def _pod(zone: Zone, own: Ints, inside: Ints, out: Ints, into: Ints, choice: Choice) -> int:
    """Left nodes are leaves, then cores coming down; right nodes are leaves, then cores going up."""
    leaves = np.unique(np.concatenate([zone.source[inside], zone.source[out], zone.target[inside], zone.target[into]]))
    cores = np.unique(np.concatenate([choice.core[out], choice.core[into]]))
    room = np.concatenate([zone.up[np.ix_(leaves, own)], zone.top[np.ix_(own, cores)].T])
    first = len(leaves)
    left = np.concatenate([
        np.searchsorted(leaves, zone.source[np.concatenate([inside, out])]),
        first + np.searchsorted(cores, choice.core[into]),
    ])  # fmt: skip
    right = np.concatenate([
        np.searchsorted(leaves, zone.target[inside]),
        first + np.searchsorted(cores, choice.core[out]),
        np.searchsorted(leaves, zone.target[into]),
    ])  # fmt: skip
    flows = np.concatenate([inside, out, into])
    found = assign(Edges.plain(left, right, room, room), zone.gbps[flows])
    spine = np.where(found.color >= 0, own[found.color], -1)
    ups, many = len(inside) + len(out), len(inside)
    choice.up[flows[:ups]] = spine[:ups]
    choice.down[flows[:many]] = spine[:many]
    choice.down[flows[ups:]] = spine[ups:]
    return found.least
