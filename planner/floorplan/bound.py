"""What no arrangement of these racks can be cheaper than: a Lagrangian bound with exact, stepped prices.

Relaxed are: which row a rack stands in (only metres between rows count), and, with a price u ≥ 0 for each distance from
the cross tray (a *ring*), that no more racks stand in a ring than it has places. What is left falls apart into
*stars* (``stars``): the one or two racks of leaves of a block with the racks of the hosts they serve, each of which has
a place of its own. A rack of spines s stands in some ring, and so does every rack of leaves l; averaging over the s
that l has cables to (shares λ, adding up to 1 for each l)

    L(u) = − Σ_ring places · u + Σ_s min_t [ u_t + Σ_l min_p ( λ · V_l(p) + cents_ls(p, t) ) ] + Σ_others

with V_l(p) the least that the star of l costs with l in ring p (half of it where two racks share the star). All other
cables count at their least price. The u are found by subgradient steps; any u gives a bound that holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from planner.floorplan.flows import Flows, Places
from planner.floorplan.lay import weights
from planner.floorplan.levels import CENTRAL, LEAVES, levels
from planner.floorplan.racks import Floats, Racks
from planner.floorplan.stars import Ground, Star, Valued, stars_of, valued

STEPS = 40
"""Subgradient steps; the best of their bounds counts."""

Spoke = tuple[int, int, int, float]
"""Number of the star, which of its racks of leaves, class of the pair to the spines, λ."""


@dataclass(frozen=True)
class Tree:
    """Stars and what holds them together, alike ones counted."""

    stars: tuple[Star, ...]
    roots: tuple[tuple[tuple[tuple[Spoke, int], ...], int], ...]
    """Spokes of a rack of spines with how many of each; how many such racks."""
    alone: tuple[tuple[tuple[int, int], int], ...]
    """Racks of leaves without spines, as star and which of it, and how many."""
    rest: float
    """Cents at least of all other cables."""


def lower_bound(racks: Racks, flows: Flows, places: Places, best: float) -> float:
    """Cents of the cables between racks that no arrangement undercuts; ``best``: of one that was found."""
    ground = Ground.of(flows, places)
    tree = tree_of(racks, flows)
    price = np.zeros(len(ground.capacity))
    found, scale, since = -np.inf, 0.5, 0
    for _ in range(ground.steps(tree.stars, STEPS)):
        value, taken = relaxed(tree, ground, price)
        better = value > found + 1e-4 * abs(best - found)
        found, since = max(found, value), 0 if better else since + 1
        if since == 3:
            scale, since = scale / 2, 0
        slope = taken - ground.capacity
        slope[(price <= 0) & (slope < 0)] = 0
        norm = float(slope @ slope)
        if norm <= 0 or best - value <= 0.5:
            break
        price = np.maximum(0, price + scale * (best - value) / norm * slope)
    return found


def tree_of(racks: Racks, flows: Flows) -> Tree:
    """The stars and spokes of the racks."""
    level = levels(racks)
    stars, number, counted = stars_of(racks, flows, level)
    inner = flows.b >= 0
    other = np.where(inner, flows.b, flows.a)
    up = level[flows.a] <= level[other]
    low, top = np.where(up, flows.a, other), np.where(up, other, flows.a)
    spoke = inner & (level[low] == LEAVES) & (level[top] == CENTRAL)
    rest = float(flows.cents.min(axis=1)[flows.kind[~counted & ~spoke]].sum())
    slope, _ = weights(flows, len(racks))
    total = np.zeros(len(racks))
    np.add.at(total, low[spoke], slope[flows.kind[spoke]])
    spokes: dict[int, Counter[Spoke]] = {root: Counter() for root in np.flatnonzero(level == CENTRAL).tolist()}
    for hub, root, kind in zip(low[spoke].tolist(), top[spoke].tolist(), flows.kind[spoke].tolist(), strict=True):
        spokes[root][*number[hub], kind, float(slope[kind] / total[hub])] += 1
    roots = Counter(tuple(sorted(found.items())) for found in spokes.values())
    alone = Counter(number[hub] for hub in np.flatnonzero(level == LEAVES).tolist() if total[hub] == 0)
    return Tree(stars, tuple(roots.items()), tuple(sorted(alone.items())), rest)


def relaxed(tree: Tree, ground: Ground, price: Floats) -> tuple[float, Floats]:
    """L(u), and how many racks stand in each ring in it."""
    worth = valued(tree.stars, ground, price)
    taken = np.zeros(len(price))
    value = tree.rest - float(price @ ground.capacity)
    for spokes, count in tree.roots:
        value += count * _root(spokes, count, worth, ground, price, taken)
    for (star, which), count in tree.alone:
        at = int(worth[star].least[which].argmin())
        value += count * float(worth[star].least[which][at])
        worth[star].take(which, at, count, taken)
    return value, taken


def _root(
    spokes: tuple[tuple[Spoke, int], ...], count: int, worth: list[Valued], ground: Ground, price: Floats, taken: Floats
) -> float:
    """The least that a rack of spines costs with its shares of the stars; adds what it takes to ``taken``."""
    cost = price[ground.ring].copy()
    chosen = []
    for (star, which, kind, share), times in spokes:
        # By aside of the spines, and row (the same, another) and aside of the leaves.
        each = share * worth[star].least[which] + ground.cents(kind, ground.near)
        least = each.reshape(len(cost), -1)
        chosen.append(least.argmin(axis=1) % len(cost))
        cost += times * least.min(axis=1)
    at = int(cost.argmin())
    taken[ground.ring[at]] += count
    for ((star, which, _, share), times), leaf in zip(spokes, chosen, strict=True):
        worth[star].take(which, int(leaf[at]), count * times * share, taken)
    return float(cost[at])
