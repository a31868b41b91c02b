"""Partial colourings made whole: a tabu search for edges that no chain could place.

After Blöchliger and Zufferey ("A graph coloring heuristic using partial solutions and a reactive tabu scheme", 2008,
there for vertices): an edge without a colour takes the one that throws out the fewest others; those go back in by a
chain where one fits, and may not have that colour again for a while. The best colouring met is what remains.
"""

from __future__ import annotations

import numpy as np

from planner.routing.jit import Ints, compiled
from planner.routing.kempe import State, fits, give, place

LOOKED_AT = 64
"""Edges without a colour that are weighed each turn, at most."""


@compiled
def settle(s: State, chain: int, turns: int, patience: int, seed: int) -> int:
    """Place every edge without a colour; how many are left over.

    It ends when all have one, after ``turns``, or after ``patience`` turns without a new best. Chains have at most
    ``chain`` moves.
    """
    edges = len(s.left)
    fixed = np.zeros(edges, np.bool_)
    waiting, many = np.empty(edges, np.int64), 0
    for edge in range(edges):
        if s.color[edge] < 0 and place(s, edge, chain, fixed) < 0:
            waiting[many] = edge
            many += 1
    if many == 0:
        return 0
    until, moved = np.zeros((edges, s.room_left.shape[1]), np.int64), np.zeros(edges, np.int64)
    best, best_color, since = many, s.color.copy(), 0
    for turn in range(1, turns):
        if many == 0 or since > patience:
            break
        since, seed = since + 1, _next(seed)
        at, c = _choice(s, waiting, many, until, turn, best, seed)
        if at < 0:
            continue
        edge, many = waiting[at], many - 1
        waiting[at] = waiting[many]
        out = (_oldest(s, edge, c, False, moved), _oldest(s, edge, c, True, moved))
        for one in out:
            if one >= 0:
                give(s, one, -1)
                until[one, c] = turn + int(0.6 * many) + (seed >> 8) % 10
                moved[one] = turn
        give(s, edge, c)
        moved[edge] = turn
        for one in out:
            if one >= 0 and place(s, one, chain, fixed) < 0:
                waiting[many] = one
                many += 1
        if many < best:
            best, since = many, 0
            best_color[:] = s.color
    s.color[:] = best_color
    return best


@compiled
def _next(seed: int) -> int:
    """A linear congruential generator: the same in every run."""
    return (seed * 1103515245 + 12345) & 0x7FFFFFFF


@compiled
def _choice(s: State, waiting: Ints, many: int, until: Ints, turn: int, best: int, seed: int) -> tuple[int, int]:
    """Place in ``waiting`` and colour that throw out the fewest, ties by ``seed``; −1 where all are forbidden.

    A forbidden colour is taken where it leads to fewer edges without a colour than ever before.
    """
    at, color, least, ties = -1, -1, 3, 1
    first = (seed >> 8) % many
    for turned in range(min(many, LOOKED_AT)):
        here = (first + turned) % many
        edge = waiting[here]
        u, v = s.left[edge], s.right[edge]
        for c in range(s.room_left.shape[1]):
            if not fits(s, edge, c):
                continue
            cost = int(s.used_left[u, c] >= s.room_left[u, c]) + int(s.used_right[v, c] >= s.room_right[v, c])
            if until[edge, c] > turn and many - 1 + cost >= best:
                continue
            if cost < least:
                at, color, least, ties = here, c, cost, 1
            elif cost == least:
                ties, seed = ties + 1, _next(seed)
                if (seed >> 8) % ties == 0:
                    at, color = here, c
    return at, color


@compiled
def _oldest(s: State, edge: int, c: int, on_right: bool, moved: Ints) -> int:
    """The edge of colour ``c`` at an end of ``edge`` that was moved the longest ago; −1 where there is room."""
    node = s.right[edge] if on_right else s.left[edge]
    used, room = (s.used_right, s.room_right) if on_right else (s.used_left, s.room_left)
    if used[node, c] < room[node, c]:
        return -1
    start, edges = (s.start_right, s.at_right) if on_right else (s.start_left, s.at_left)
    found = -1
    for at in range(start[node], start[node + 1]):
        other = edges[at]
        if s.color[other] == c and (found < 0 or moved[other] < moved[found]):
            found = other
    return int(found)
