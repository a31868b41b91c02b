"""Spread edges over colours so that no node has more of a colour than it must: the one solver behind every tier.

Edges are flows, nodes the leaves (pods, cores) they leave and reach, colours the spines (cores) they may take, and
``room`` the live links from a node to a colour, so that a trunk of t links counts as t. What is minimised is ``times``:
the most flows on one link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.routing.coloring import color, degree
from planner.routing.exact import Bundles, fitting
from planner.routing.jit import Ints, Mask
from planner.routing.kempe import state
from planner.routing.listcolor import stable
from planner.routing.partial import settle

CHAIN = 64
"""Moves of one Kempe chain at most."""
TURNS = 50_000
"""Turns of the tabu search at most before another flow a link is allowed."""
PATIENCE = 5_000, 30_000, 20_000_000
"""Turns without a new best after which it gives up: at least, at most, and between them so many over the edges."""


@dataclass(frozen=True)
class Edges:
    """What is to be spread; ``kind`` picks the row of ``allowed`` (kind × colour), which forbids what rooms do not."""

    left: Ints
    right: Ints
    room_left: Ints
    """Left node × colour."""
    room_right: Ints
    kind: Ints
    allowed: Mask
    groups: tuple[Ints, Ints] | None = None
    """A coarser group of each end, to be balanced too where that costs nothing."""

    @classmethod
    def plain(cls, left: Ints, right: Ints, room_left: Ints, room_right: Ints) -> Edges:
        """Where only rooms forbid."""
        kind = np.zeros(len(left), np.int64)
        return cls(left, right, room_left, room_right, kind, np.ones((1, room_left.shape[1]), np.bool_))

    def only(self, wanted: Mask) -> Edges:
        """Some of the edges."""
        groups = (self.groups[0][wanted], self.groups[1][wanted]) if self.groups else None
        ends = (self.left[wanted], self.right[wanted], self.room_left, self.room_right)
        return Edges(*ends, self.kind[wanted], self.allowed, groups)

    def possible(self) -> Mask:
        """Which edges have some colour that is open at both ends."""
        bundles = Bundles.of(self.left, self.right, self.kind)
        some: Mask = np.any(bundles.open(self.room_left, self.room_right, self.allowed), axis=1)
        return some[bundles.of_edge]


@dataclass(frozen=True)
class Spread:
    """A colour for each edge (−1: none is open to it), the most edges a unit of room, and what is proved of that."""

    color: Ints
    times: int
    least: int
    """No fewer ``times`` will do."""


def spread(edges: Edges, effort: int = TURNS) -> Spread:
    """The best that is found; proved where ``times`` equals ``least``."""
    result = np.full(len(edges.left), -1)
    possible = edges.possible() if len(result) else np.zeros(0, np.bool_)
    if not possible.any():
        return Spread(result, 0, 0)
    part = edges.only(possible)
    found = _even(part) or _uneven(part, effort)
    result[possible] = found.color
    return Spread(result, found.times, found.least)


def _even(edges: Edges) -> Spread | None:
    """Where each node has the same room for every colour: exact, by König.

    A node with room r is r nodes that share its edges evenly; then C colours of K slots do for degrees up to C·K.
    """
    colors = edges.room_left.shape[1]
    used = edges.room_left[np.unique(edges.left)], edges.room_right[np.unique(edges.right)]
    if not edges.allowed.all() or any((room != room[:, :1]).any() for room in used):
        return None
    left = _copies(edges.left, edges.room_left[edges.left, 0])
    right = _copies(edges.right, edges.room_right[edges.right, 0])
    times = -(-degree(left, right) // colors)
    return Spread(color(left, right, colors * times, edges.groups) % colors, times, times)


def _copies(node: Ints, room: Ints) -> Ints:
    """Edges of a node dealt out to ``room`` copies of it, in turn; numbers of the copies, dense."""
    if (room == 1).all():
        return node
    order = np.argsort(node, kind="stable")
    begin = np.concatenate([[0], np.flatnonzero(np.diff(node[order])) + 1])
    turn = np.empty(len(node), np.int64)
    turn[order] = np.arange(len(node)) - np.repeat(begin, np.diff([*begin, len(node)]))
    return np.unique(node * int(room.max()) + turn % room, return_inverse=True)[1].reshape(-1)


def _uneven(edges: Edges, effort: int) -> Spread:
    """With dead links: stable matchings, chains and a tabu search, and for small cases the exact solver.

    What could not be placed with K − 1 flows a link is placed with K: only few links get so many.
    """
    bundles = Bundles.of(edges.left, edges.right, edges.kind)
    least = times = least_times(edges, bundles)
    few = max(least - 1, 1)
    current = _matched(edges, (edges.room_left * few, edges.room_right * few))
    while True:
        rooms = edges.room_left * times, edges.room_right * times
        current = _placed(edges, rooms, current, effort)
        if (current >= 0).all():
            return Spread(current, times, least)
        said, exact = fitting(bundles, *rooms, edges.allowed)
        if said == "OPTIMAL":
            return Spread(exact, times, least)
        if said == "INFEASIBLE":
            least = times + 1
        times += 1


def _placed(edges: Edges, rooms: tuple[Ints, Ints], start: Ints, effort: int) -> Ints:
    """Colours within the rooms, −1 where none was found; those of ``start`` are where to begin."""
    current = start.copy()
    if (current < 0).any():
        least, most, shared = PATIENCE
        patience = min(most, max(least, shared // len(current)))
        settle(state(edges.left, edges.right, edges.kind, edges.allowed, *rooms, current), CHAIN, effort, patience, 1)
    return current


def _matched(edges: Edges, rooms: tuple[Ints, Ints]) -> Ints:
    rank = color(edges.left, edges.right, degree(edges.left, edges.right))
    return stable(edges.left, edges.right, *rooms, edges.kind, edges.allowed, rank)


def least_times(edges: Edges, bundles: Bundles) -> int:
    """What counting says: edges of a node over its room, and of a pair of nodes over the room they have in common."""
    most = 1
    for node, room in ((edges.left, edges.room_left), (edges.right, edges.room_right)):
        total = room.sum(axis=1)
        many = np.bincount(node, minlength=len(room))
        used = many > 0
        most = max(most, int((-(-many[used] // total[used])).max()))
    common = np.minimum(edges.room_left[bundles.left], edges.room_right[bundles.right])
    together = np.where(edges.allowed[bundles.kind], common, 0).sum(axis=1)
    return max(most, int((-(-np.bincount(bundles.of_edge) // together)).max()))


def least_of(edges: Edges) -> int:
    """The same of the edges that some colour is open to."""
    part = edges.only(edges.possible())
    return least_times(part, Bundles.of(part.left, part.right, part.kind)) if len(part.left) else 1
