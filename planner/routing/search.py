"""Whole paths one flow at a time: the greedy method, and the last resort for flows that the colouring could not place.

Every path there is is looked at: leaf, spine and leaf, or leaf, spine, core, spine and leaf.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.routing.jit import Floats, Ints, compiled


class Paths(NamedTuple):
    """Living rates (Gb/s), loads (Gb/s) in both directions, and the spines and cores that each switch reaches."""

    up: Floats
    """Leaf × spine."""
    top: Floats
    """Spine × core."""
    leaf_up: Floats
    leaf_down: Floats
    spine_up: Floats
    spine_down: Floats
    first_spine: Ints
    spines: Ints
    """Spines of leaf i: ``spines[first_spine[i]:first_spine[i + 1]]``."""
    first_core: Ints
    cores: Ints
    first_below: Ints
    below: Ints
    """Spines below each core."""


def paths(up: Floats, top: Floats) -> Paths:
    """No load yet."""
    lists = (*_neighbours(up), *_neighbours(top), *_neighbours(top.T))
    empty = (np.zeros_like(up), np.zeros_like(up), np.zeros_like(top), np.zeros_like(top))
    return Paths(up, top, *empty, *lists)


def _neighbours(rates: Floats) -> tuple[Ints, Ints]:
    row, column = np.nonzero(rates)
    first = np.zeros(len(rates) + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=len(rates)), out=first[1:])
    return first, column.astype(np.int64)


@compiled
def load(p: Paths, source: Ints, target: Ints, gbps: Floats, up: Ints, core: Ints, down: Ints) -> None:
    """Add flows whose spines and cores are known (up −1: not known)."""
    for flow in range(len(source)):
        if up[flow] >= 0 and down[flow] >= 0:
            _add(p, source[flow], target[flow], gbps[flow], up[flow], core[flow], down[flow])


@compiled
def _add(p: Paths, u: int, v: int, gbps: float, up: int, core: int, down: int) -> None:
    p.leaf_up[u, up] += gbps
    p.leaf_down[v, down] += gbps
    if core >= 0:
        p.spine_up[up, core] += gbps
        p.spine_down[down, core] += gbps


@compiled
def greedy(p: Paths, source: Ints, target: Ints, gbps: Floats, up: Ints, core: Ints, down: Ints) -> None:
    """A path for each flow that has none, in turn: the one whose fullest link is the emptiest, then the next links.

    ``up``, ``core`` and ``down`` are filled in; they stay −1 where there is no path.
    """
    for flow in range(len(source)):
        if up[flow] >= 0 and down[flow] >= 0:
            continue
        u, v, w = source[flow], target[flow], gbps[flow]
        one, middle, two = _inside(p, u, v, w)
        if one < 0:
            one, middle, two = _across(p, u, v, w)
        up[flow], core[flow], down[flow] = one, middle, two
        if one >= 0:
            _add(p, u, v, w, one, middle, two)


@compiled
def _inside(p: Paths, u: int, v: int, w: float) -> tuple[int, int, int]:
    """The best spine that both leaves have."""
    best, high, total = -1, np.inf, np.inf
    for at in range(p.first_spine[u], p.first_spine[u + 1]):
        s = p.spines[at]
        if p.up[v, s] <= 0:
            continue
        a, b = (p.leaf_up[u, s] + w) / p.up[u, s], (p.leaf_down[v, s] + w) / p.up[v, s]
        if max(a, b) < high or (max(a, b) == high and a + b < total):
            best, high, total = s, max(a, b), a + b
    return best, -1, best


@compiled
def _across(p: Paths, u: int, v: int, w: float) -> tuple[int, int, int]:
    """The best way over a core."""
    best, high, total = (-1, -1, -1), np.inf, np.inf
    for at in range(p.first_spine[u], p.first_spine[u + 1]):
        s = p.spines[at]
        a = (p.leaf_up[u, s] + w) / p.up[u, s]
        if a > high:
            continue
        for near in range(p.first_core[s], p.first_core[s + 1]):
            c = p.cores[near]
            b = (p.spine_up[s, c] + w) / p.top[s, c]
            if b > high:
                continue
            for far in range(p.first_below[c], p.first_below[c + 1]):
                t = p.below[far]
                if p.up[v, t] <= 0:
                    continue
                d, e = (p.spine_down[t, c] + w) / p.top[t, c], (p.leaf_down[v, t] + w) / p.up[v, t]
                most, summed = max(max(a, b), max(d, e)), a + b + d + e
                if most < high or (most == high and summed < total):
                    best, high, total = (s, c, t), most, summed
    return best
