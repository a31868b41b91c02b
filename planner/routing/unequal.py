"""Edges of unequal size: larger ones first to the emptiest links, then local search.

A move takes an edge off one of the fullest links where another colour leaves both its new links below that load; an
exchange gives its new colour's edge at the same node the old colour. What then remains around the fullest link is
solved exactly (``residue``). Equal edges go to the colouring instead, which is exact where links live.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.routing import residue
from planner.routing.jit import Floats, Ints, Mask, compiled
from planner.routing.kempe import State, fits, state
from planner.routing.spread import Edges, Spread, spread

ROUNDS = 4_000
"""Improvements looked for at most."""


def assign(edges: Edges, gbps: Floats) -> Spread:
    """Colours that keep the largest load of a link low; ``times`` counts edges only where all are equal."""
    if not len(gbps) or gbps.max() - gbps.min() <= 1e-9 * gbps.max():
        return spread(edges)
    weight = gbps / gbps.max()
    first = _greedy(edges, weight)
    second = spread(edges).color
    best = min((first, second), key=lambda color: _largest(edges, color, weight))
    if (best >= 0).all():
        best = residue.improved(edges, _improved(edges, best, weight), weight)
    return Spread(best, 0, 0)


def _loads(edges: Edges, color: Ints, weight: Floats) -> tuple[Floats, Floats]:
    """Weight on each node and colour, left and right."""
    left, right = np.zeros(edges.room_left.shape), np.zeros(edges.room_right.shape)
    has = color >= 0
    np.add.at(left, (edges.left[has], color[has]), weight[has])
    np.add.at(right, (edges.right[has], color[has]), weight[has])
    return left, right


def _largest(edges: Edges, color: Ints, weight: Floats) -> float:
    """The largest weight a unit of room; edges without a colour weigh more than all."""
    left, right = _loads(edges, color, weight)
    full = max(np.max(left / np.maximum(edges.room_left, 1)), np.max(right / np.maximum(edges.room_right, 1)))
    return float(full) + float((color < 0).sum()) * 1e9


def _greedy(edges: Edges, weight: Floats) -> Ints:
    order = np.lexsort((edges.right, edges.left, -weight))
    return fill(order, edges.left, edges.right, edges.room_left, edges.room_right, edges.kind, edges.allowed, weight)


@compiled
def fill(
    order: Ints, left: Ints, right: Ints, room_left: Ints, room_right: Ints, kind: Ints, allowed: Mask, weight: Floats
) -> Ints:
    """Each edge in turn to the colour whose fuller end is the emptiest, then to the emptier other end; −1: none."""
    colors = room_left.shape[1]
    load_left, load_right = np.zeros(room_left.shape), np.zeros(room_right.shape)
    result = np.full(len(left), -1)
    for edge in order:
        u, v, best = left[edge], right[edge], -1
        high, low = np.inf, np.inf
        for c in range(colors):
            if room_left[u, c] == 0 or room_right[v, c] == 0 or not allowed[kind[edge], c]:
                continue
            one = (load_left[u, c] + weight[edge]) / room_left[u, c]
            two = (load_right[v, c] + weight[edge]) / room_right[v, c]
            if max(one, two) < high or (max(one, two) == high and min(one, two) < low):
                best, high, low = c, max(one, two), min(one, two)
        if best >= 0:
            result[edge] = best
            load_left[u, best] += weight[edge]
            load_right[v, best] += weight[edge]
    return result


def _improved(edges: Edges, color: Ints, weight: Floats) -> Ints:
    result = color.copy()
    rooms = edges.room_left, edges.room_right
    work = Work(
        state(edges.left, edges.right, edges.kind, edges.allowed, *rooms, result),
        weight, *_loads(edges, result, weight),
    )  # fmt: skip
    _search(work, ROUNDS)
    return result


class Work(NamedTuple):
    """Edges with their weights, and the weight on each node and colour."""

    edges: State
    weight: Floats
    load_left: Floats
    load_right: Floats


@compiled
def _search(w: Work, rounds: int) -> None:
    """Improve the fullest link again and again, until nothing helps it."""
    for _ in range(rounds):
        full, node, c, on_left = _fullest(w)
        if not _relieve(w, full * (1 - 1e-9), node, c, on_left):
            return


@compiled
def _fullest(w: Work) -> tuple[float, int, int, bool]:
    full, node, color, on_left = -1.0, 0, 0, True
    for side in (True, False):
        load, room = (w.load_left, w.edges.room_left) if side else (w.load_right, w.edges.room_right)
        for u in range(load.shape[0]):
            for c in range(load.shape[1]):
                if room[u, c] > 0 and load[u, c] / room[u, c] > full:
                    full, node, color, on_left = load[u, c] / room[u, c], u, c, side
    return full, node, color, on_left


@compiled
def _relieve(w: Work, limit: float, node: int, c: int, on_left: bool) -> bool:
    """One move or exchange that leaves every link it touches below ``limit``; whether there was one."""
    s = w.edges
    start, edges = (s.start_left, s.at_left) if on_left else (s.start_right, s.at_right)
    for at in range(start[node], start[node + 1]):
        edge = edges[at]
        if s.color[edge] != c:
            continue
        for to in range(s.room_left.shape[1]):
            if to == c or not fits(s, edge, to):
                continue
            u, v = s.left[edge], s.right[edge]
            over_left = (w.load_left[u, to] + w.weight[edge]) / s.room_left[u, to] >= limit
            over_right = (w.load_right[v, to] + w.weight[edge]) / s.room_right[v, to] >= limit
            if over_left and over_right:
                continue
            if over_left or over_right:
                other = _partner(w, limit, edge, c, to, over_left)
                if other < 0:
                    continue
                _recolor(w, other, c)
            _recolor(w, edge, to)
            return True
    return False


@compiled
def _partner(w: Work, limit: float, edge: int, c: int, to: int, at_left: bool) -> int:
    """A lighter edge of colour ``to`` at the end that is too full, which can have ``c`` in exchange; −1 for none."""
    s = w.edges
    node = s.left[edge] if at_left else s.right[edge]
    start, edges = (s.start_left, s.at_left) if at_left else (s.start_right, s.at_right)
    near, near_room = (w.load_left, s.room_left) if at_left else (w.load_right, s.room_right)
    far, far_room = (w.load_right, s.room_right) if at_left else (w.load_left, s.room_left)
    for at in range(start[node], start[node + 1]):
        other = edges[at]
        less = w.weight[other]
        if s.color[other] != to or less >= w.weight[edge] or not fits(s, other, c):
            continue
        end = s.right[other] if at_left else s.left[other]
        own = (near[node, to] + w.weight[edge] - less) / near_room[node, to]
        if own < limit and (far[end, c] + less) / far_room[end, c] < limit:
            return int(other)
    return -1


@compiled
def _recolor(w: Work, edge: int, to: int) -> None:
    s, weight = w.edges, w.weight[edge]
    before = s.color[edge]
    w.load_left[s.left[edge], before] -= weight
    w.load_right[s.right[edge], before] -= weight
    w.load_left[s.left[edge], to] += weight
    w.load_right[s.right[edge], to] += weight
    s.color[edge] = to
