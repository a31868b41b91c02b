"""List colouring by stable matchings: the constructive half of Galvin's theorem.

Where links are dead a flow may take some colours only. Galvin ("The list chromatic index of a bipartite multigraph",
1995): lists as long as the largest degree do. Colour the edges as if everything lived; let left nodes prefer edges of
high colours and right nodes those of low ones; then give out one colour after the other: of the edges that may have it,
those of a stable matching take it (Gale and Shapley, 1962). Borodin, Kostochka and Woodall (1997) need only lists as
long as the larger degree of the edge's own ends. Where lists are shorter this leaves edges over, for others to place.

``room`` is how many edges of a colour a node takes, node × colour; a colour is given out that many times, as slots.
"""

from __future__ import annotations

import numpy as np

from planner.routing.jit import Ints, Mask, compiled


@compiled
def stable(left: Ints, right: Ints, room_left: Ints, room_right: Ints, kind: Ints, allowed: Mask, rank: Ints) -> Ints:
    """Colours of the edges, −1 for what is left over. ``rank`` is a proper colouring; ``allowed`` is kind × colour."""
    edges, (nodes, colors) = len(left), room_left.shape
    result = np.full(edges, -1)
    start, mine = _preferred(left, rank, nodes)
    count = np.zeros(nodes, np.int64)
    for u in range(nodes):
        count[u] = start[u + 1] - start[u]
    held = np.full(len(room_right), -1)
    for c in range(colors):
        for slot in range(min(room_left[:, c].max(), room_right[:, c].max())):
            _match(c, slot, start, count, mine, left, right, room_left, room_right, kind, allowed, rank, held)
            for v in range(len(held)):
                if held[v] >= 0:
                    result[held[v]] = c
                    held[v] = -1
            for u in range(nodes):
                _drop(mine, start[u], count, u, result)
    return result


@compiled
def _preferred(left: Ints, rank: Ints, nodes: int) -> tuple[Ints, Ints]:
    """Edges by left node, highest rank first: where each node's begin, and the edges."""
    begin = np.zeros(nodes + 1, np.int64)
    for u in left:
        begin[u + 1] += 1
    begin = np.cumsum(begin)
    place, mine = begin.copy(), np.empty(len(left), np.int64)
    for edge in np.argsort(-rank, kind="mergesort"):
        mine[place[left[edge]]] = edge
        place[left[edge]] += 1
    return begin, mine


@compiled
def _match(
    c: int, slot: int, start: Ints, count: Ints, mine: Ints, left: Ints, right: Ints, room_left: Ints,
    room_right: Ints, kind: Ints, allowed: Mask, rank: Ints, held: Ints,
) -> None:  # fmt: skip
    """Left nodes propose in the order of their edges; a right node keeps the edge of the lowest rank in ``held``."""
    nodes = len(count)
    tried = np.zeros(nodes, np.int64)
    waiting = np.empty(nodes, np.int64)
    many = 0
    for u in range(nodes):
        if count[u] > 0 and slot < room_left[u, c]:
            waiting[many] = u
            many += 1
    while many > 0:
        u = waiting[many - 1]
        if tried[u] == count[u]:
            many -= 1
            continue
        edge = mine[start[u] + tried[u]]
        tried[u] += 1
        v = right[edge]
        if slot >= room_right[v, c] or not allowed[kind[edge], c]:
            continue
        before = held[v]
        if before < 0:
            held[v] = edge
            many -= 1
        elif rank[edge] < rank[before]:
            held[v] = edge
            waiting[many - 1] = left[before]


@compiled
def _drop(mine: Ints, begin: int, count: Ints, u: int, result: Ints) -> None:
    """Take what has a colour out of a node's list, the order kept."""
    kept = 0
    for at in range(begin, begin + count[u]):
        if result[mine[at]] < 0:
            mine[begin + kept] = mine[at]
            kept += 1
    count[u] = kept
