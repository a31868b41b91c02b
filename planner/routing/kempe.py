"""Placing one more edge where its nodes are full: Kempe chains.

An edge from u to v that may have colour α at u and β at v, but neither at both, takes α; one α edge at v turns β, one β
edge at that edge's other end turns α, and so on, until a node has room. Every node takes ``room`` edges of each colour,
and every edge on the chain must be allowed its new colour; so a chain can fail, and all pairs of colours are tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.routing.jit import Ints, Mask, compiled


class State(NamedTuple):
    """Edges, their colours (−1: none yet), and how many of each colour every node has and takes."""

    left: Ints
    right: Ints
    kind: Ints
    allowed: Mask
    """Kind × colour."""
    room_left: Ints
    room_right: Ints
    used_left: Ints
    used_right: Ints
    color: Ints
    start_left: Ints
    at_left: Ints
    start_right: Ints
    at_right: Ints


def state(left: Ints, right: Ints, kind: Ints, allowed: Mask, room_left: Ints, room_right: Ints, color: Ints) -> State:
    """The state that these colours make; arrays are shared, so ``color`` changes with it."""
    used_left, used_right = np.zeros_like(room_left), np.zeros_like(room_right)
    has = color >= 0
    np.add.at(used_left, (left[has], color[has]), 1)
    np.add.at(used_right, (right[has], color[has]), 1)
    lists = (*_by_node(left, len(room_left)), *_by_node(right, len(room_right)))
    return State(left, right, kind, allowed, room_left, room_right, used_left, used_right, color, *lists)


def _by_node(node: Ints, nodes: int) -> tuple[Ints, Ints]:
    start = np.zeros(nodes + 1, np.int64)
    np.cumsum(np.bincount(node, minlength=nodes), out=start[1:])
    return start, np.argsort(node, kind="stable")


@compiled
def fits(s: State, edge: int, c: int) -> bool:
    """Whether the edge may have the colour, if there were room."""
    u, v = s.left[edge], s.right[edge]
    return bool(s.allowed[s.kind[edge], c] and s.room_left[u, c] > 0 and s.room_right[v, c] > 0)


@compiled
def give(s: State, edge: int, c: int) -> None:
    """Change the colour of an edge (−1: take it away)."""
    u, v, before = s.left[edge], s.right[edge], s.color[edge]
    if before >= 0:
        s.used_left[u, before] -= 1
        s.used_right[v, before] -= 1
    if c >= 0:
        s.used_left[u, c] += 1
        s.used_right[v, c] += 1
    s.color[edge] = c


@compiled
def _direct(s: State, edge: int) -> int:
    """The colour free at both ends that is least used there; −1 for none."""
    u, v = s.left[edge], s.right[edge]
    best, least = -1, 1 << 60
    for c in range(s.room_left.shape[1]):
        if s.used_left[u, c] < s.room_left[u, c] and s.used_right[v, c] < s.room_right[v, c] and fits(s, edge, c):
            used = s.used_left[u, c] + s.used_right[v, c]
            if used < least:
                best, least = c, used
    return best


@compiled
def _chain(s: State, edge: int, one: int, other: int, from_right: bool, most: int, path: Ints, fixed: Mask) -> int:
    """Edges to move so that ``edge`` can have colour ``one``, which overfills one end: their number, −1 for no chain.

    ``from_right``: it is the right end that is overfull, and ``other`` is free there. At most ``most`` are moved;
    they are left in ``path``, to take ``other``, ``one``, ``other`` … Edges that are ``fixed`` stay.
    """
    length, at_right = 0, from_right
    node = s.right[edge] if from_right else s.left[edge]
    have, get = one, other
    while True:
        used, room = (s.used_right, s.room_right) if at_right else (s.used_left, s.room_left)
        if used[node, have] < room[node, have]:
            return length
        if length == most:
            return -1
        start, edges = (s.start_right, s.at_right) if at_right else (s.start_left, s.at_left)
        found = -1
        for at in range(start[node], start[node + 1]):
            candidate = edges[at]
            if s.color[candidate] == have and candidate != edge and not fixed[candidate] and fits(s, candidate, get):
                found = candidate
                break
        if found < 0:
            for at in range(length):
                fixed[path[at]] = False
            return -1
        path[length] = found
        fixed[found] = True
        length += 1
        node = s.left[found] if at_right else s.right[found]
        at_right = not at_right
        have, get = get, have


@compiled
def _forget(path: Ints, length: int, fixed: Mask) -> None:
    for at in range(length):
        fixed[path[at]] = False


@compiled
def place(s: State, edge: int, most: int, fixed: Mask) -> int:
    """Give the edge a colour by the shortest chain of at most ``most`` moves: the moves, −1 where none fits."""
    c = _direct(s, edge)
    if c >= 0:
        give(s, edge, c)
        return 0
    u, v, colors = s.left[edge], s.right[edge], s.room_left.shape[1]
    path, best_path = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    best, best_one, best_other = most + 1, -1, -1
    for alpha in range(colors):
        if s.used_left[u, alpha] >= s.room_left[u, alpha]:
            continue
        for beta in range(colors):
            if best == 1 or alpha == beta or s.used_right[v, beta] >= s.room_right[v, beta]:
                continue
            for from_right in (True, False):
                one, other = (alpha, beta) if from_right else (beta, alpha)
                if not fits(s, edge, one):
                    continue
                length = _chain(s, edge, one, other, from_right, min(most, best - 1), path, fixed)
                if length < 0:
                    continue
                _forget(path, length, fixed)
                best, best_one, best_other = length, one, other
                best_path[:length] = path[:length]
    if best > most:
        return -1
    for at in range(best):
        give(s, best_path[at], best_other if at % 2 == 0 else best_one)
    give(s, edge, best_one)
    return best
