"""Bipartite edge colouring: flows from leaf to leaf, colours so that none is twice at a leaf on either side.

König (1916): as many colours suffice as the largest degree. Colours are halved as long as they are even: an Euler
split gives each half at most half of every degree, rounded up (Gabow, "Using Euler partitions to edge color bipartite
multigraphs", 1976). What cannot be halved (an odd number of colours, all of them needed) is coloured an edge at a
time along alternating paths. Several flows may have the same ends.

An Euler split needs no circuits here: pair the edges at each node, at most one is left over; then every edge has at
most one partner a side, what hangs together is a path or a cycle of even length, and its edges go to the halves in
turn. Left-over edges may be paired again in a coarser grouping (the pod of the leaf): that is balanced too.
"""

from __future__ import annotations

import numpy as np

from planner.routing.jit import Ints, compiled


def degree(left: Ints, right: Ints) -> int:
    """The largest number of edges at a node of either side; 0 without edges."""
    if not len(left):
        return 0
    return int(max(np.bincount(left).max(), np.bincount(right).max()))


def color(left: Ints, right: Ints, colors: int, groups: tuple[Ints, Ints] | None = None) -> Ints:
    """A colour, 0 … ``colors`` − 1, for each edge; no two edges of one colour share a node.

    ``left`` and ``right`` are node numbers, an edge each. ``groups`` gives each edge a coarser group a side (or −1 for
    none), which the halves share evenly where that costs nothing. Raises ValueError where the degree is above
    ``colors``: no colouring exists.
    """
    if degree(left, right) > colors:
        raise ValueError(f"{colors} colours do for a degree of {colors}, not of {degree(left, right)}")
    left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    if not len(left):
        return np.empty(0, np.int64)
    outer = groups or (np.full(len(left), -1), np.full(len(left), -1))
    nodes = int(left.max()) + 1, int(right.max()) + 1
    coarse = int(outer[0].max()) + 1, int(outer[1].max()) + 1
    return _color(left, right, outer[0].astype(np.int64), outer[1].astype(np.int64), nodes, coarse, colors)


@compiled
def _color(
    left: Ints, right: Ints, left_group: Ints, right_group: Ints, nodes: tuple[int, int], coarse: tuple[int, int],
    colors: int,
) -> Ints:  # fmt: skip
    """Parts of the edges with their colours, halved until there is one colour a part."""
    edges = len(left)
    order, result = np.arange(edges), np.zeros(edges, np.int64)
    partner_left, partner_right, half = np.empty(edges, np.int64), np.empty(edges, np.int64), np.empty(edges, np.int64)
    open_left, open_right = np.full(nodes[0], -1), np.full(nodes[1], -1)
    group_left, group_right = np.full(coarse[0] + 1, -1), np.full(coarse[1] + 1, -1)
    count_left, count_right = np.zeros(nodes[0], np.int64), np.zeros(nodes[1], np.int64)
    stack = [(0, edges, 0, colors)]
    while len(stack):
        begin, end, first, many = stack.pop()
        part = order[begin:end]
        if many == 1 or end == begin:
            result[part] = first
            continue
        if many % 2 and _degree(part, left, right, count_left, count_right) == many:
            _alternate(part, left, right, nodes, first, many, result)
            continue
        _pair(part, left, left_group, open_left, group_left, partner_left)
        _pair(part, right, right_group, open_right, group_right, partner_right)
        middle = begin + _halve(part, partner_left, partner_right, half, first)
        stack.append((begin, middle, first, (many + 1) // 2))
        stack.append((middle, end, first + (many + 1) // 2, many // 2))
    return result


@compiled
def _degree(part: Ints, left: Ints, right: Ints, count_left: Ints, count_right: Ints) -> int:
    most = 0
    for edge in part:
        count_left[left[edge]] += 1
        count_right[right[edge]] += 1
        most = max(most, count_left[left[edge]], count_right[right[edge]])
    for edge in part:
        count_left[left[edge]] = 0
        count_right[right[edge]] = 0
    return most


@compiled
def _pair(part: Ints, node: Ints, group: Ints, at_node: Ints, at_group: Ints, partner: Ints) -> None:
    """Partners at nodes, then of what is left over in groups; ``at_node`` and ``at_group`` are −1 before and after."""
    for edge in part:
        waiting = at_node[node[edge]]
        partner[edge] = waiting
        if waiting >= 0:
            partner[waiting] = edge
            at_node[node[edge]] = -1
        else:
            at_node[node[edge]] = edge
    for edge in part:
        at_node[node[edge]] = -1
        if partner[edge] < 0 and group[edge] >= 0:
            waiting = at_group[group[edge]]
            if waiting >= 0:
                partner[edge], partner[waiting] = waiting, edge
                at_group[group[edge]] = -1
            else:
                at_group[group[edge]] = edge
    for edge in part:
        if group[edge] >= 0:
            at_group[group[edge]] = -1


@compiled
def _halve(part: Ints, partner_left: Ints, partner_right: Ints, half: Ints, turn: int) -> int:
    """Order the part by halves, partners apart; how many are in the first half. Single edges go to either in turn."""
    for edge in part:
        half[edge] = -1
    side = turn & 1
    for start in part:
        if half[start] >= 0:
            continue
        half[start] = side
        _walk(start, partner_left, partner_right, half)
        _walk(start, partner_right, partner_left, half)
        side = 1 - side
    firsts = 0
    seconds = part.copy()
    rest = 0
    for edge in part.copy():
        if half[edge] == 0:
            part[firsts] = edge
            firsts += 1
        else:
            seconds[rest] = edge
            rest += 1
    part[firsts:] = seconds[:rest]
    return firsts


@compiled
def _walk(start: int, first: Ints, second: Ints, half: Ints) -> None:
    """From an edge along partners, one side and the other in turn, until there is none or all are done."""
    edge, here, other = start, first, second
    while here[edge] >= 0 and half[here[edge]] < 0:
        half[here[edge]] = 1 - half[edge]
        edge = here[edge]
        here, other = other, here


@compiled
def _alternate(
    part: Ints, left: Ints, right: Ints, nodes: tuple[int, int], first: int, many: int, result: Ints
) -> None:
    """Colour the edges one by one; where no colour is free at both ends, exchange two along an alternating path."""
    at_left, at_right = np.full((nodes[0], many), -1), np.full((nodes[1], many), -1)
    for edge in part:
        u, v = left[edge], right[edge]
        free_left, free_right, both = -1, -1, -1
        for c in range(many):
            if at_left[u, c] < 0:
                free_left = c
                if at_right[v, c] < 0:
                    both = c
                    break
            elif at_right[v, c] < 0:
                free_right = c
        if both < 0:
            _exchange(v, free_left, free_right, left, right, at_left, at_right)
            both = free_left
        at_left[u, both] = edge
        at_right[v, both] = edge
    for edge in part:
        for c in range(many):
            if at_left[left[edge], c] == edge:
                result[edge] = first + c


@compiled
def _exchange(v: int, one: int, other: int, left: Ints, right: Ints, at_left: Ints, at_right: Ints) -> None:
    """Make ``one`` free at the right node ``v``, where ``other`` is: swap both on the path that begins there.

    The path cannot come to the left node where ``one`` is free: it comes to left nodes by edges of colour ``one``.
    """
    edge = at_right[v, one]
    at_right[v, one] = -1
    arriving, leaving, node = one, other, v
    right_side = True
    while edge >= 0:
        if right_side:
            at_right[node, leaving] = edge
            node = left[edge]
            following = at_left[node, leaving]
            at_left[node, leaving] = edge
            if at_left[node, arriving] == edge:
                at_left[node, arriving] = -1
        else:
            at_left[node, leaving] = edge
            node = right[edge]
            following = at_right[node, leaving]
            at_right[node, leaving] = edge
            if at_right[node, arriving] == edge:
                at_right[node, arriving] = -1
        edge = following
        arriving, leaving = leaving, arriving
        right_side = not right_side
