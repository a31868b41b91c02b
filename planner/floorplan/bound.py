"""What no placement of these racks can be cheaper than: a Lagrangian bound with exact, stepped prices.

That a place holds one rack is relaxed with a price u ≥ 0 a place; what is left falls apart. A rack of leaves l at p has
its n host racks at best at the n cheapest places around p:

    V_l(p) = u_p + Σ over classes of its host racks of the n least (cents(p, q) + θ·u_q),  q ≠ p

with θ = 1 / (racks of leaves a host rack has cables to), so that a host rack pays for its place once. A rack of spines
s stands somewhere, and every l somewhere; averaging over the s (shares λ_ls of l, Σ_s λ_ls = 1) gives

    L(u) = − Σ_q u_q + Σ_s min_t [ u_t + Σ_l min_p ( λ_ls · V_l(p) + cents_ls(p, t) ) ] + …

A subgradient is how often each place was taken, less one. All other cables count at their least distance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.floorplan.flows import Flows, Places
from planner.floorplan.lay import weights
from planner.floorplan.prices import TOO_LONG
from planner.floorplan.racks import EVERY, Floats, Ints, Racks

STEPS = 60
"""Subgradient steps where the room is small enough; each looks at every pair of places a few times."""
MOST_CELLS = 1.2e9
"""Pairs of places times classes looked at in all."""

Star = tuple[tuple[int, int, float], ...]
"""Classes of the host racks of a rack of leaves: class of the pair, how many, θ."""
Spoke = tuple[int, int, float]
"""Number of the star, class of the pair to the spines, λ."""


@dataclass(frozen=True)
class Tree:
    """Racks as a tree of three levels, alike ones counted: what the bound looks at."""

    stars: tuple[Star, ...]
    roots: tuple[tuple[tuple[tuple[Spoke, int], ...], int], ...]
    """Spokes of a rack of spines with how many of each; how many such racks."""
    alone: tuple[tuple[int, int], ...]
    """Stars without spines, and how many."""
    single: int
    """Racks that none of this looks at; they need a place all the same."""
    rest: float
    """Cents at least of all other cables."""


def tree_of(racks: Racks, flows: Flows, places: Places) -> Tree:
    """Level 0: hosts only; 1: switches of a block; 2: spines and cores. Cables within a level are in ``rest``."""
    count = len(racks)
    hosts, block, high = (np.array(column) for column in (racks.hosts, racks.block, racks.high))
    level = np.where(hosts & (high <= 2), 0, np.where(~hosts & (block == EVERY), 2, 1))
    inner = flows.b >= 0
    a, b = flows.a, np.where(inner, flows.b, flows.a)
    low = np.where(level[a] <= level[b], a, b)
    top = np.where(level[a] <= level[b], b, a)
    weighty = _weighty(flows, low, top, count)
    star = inner & weighty & (level[low] == 0) & (level[top] == 1)
    spoke = inner & weighty & (level[low] == 1) & (level[top] == 2)
    least = flows.cents.min(axis=1)
    rest = float(least[flows.kind[~star & ~spoke]].sum())
    hubs = np.bincount(low[star], minlength=count)
    members: list[Counter[tuple[int, float]]] = [Counter() for _ in range(count)]
    for host, hub, kind in zip(low[star].tolist(), top[star].tolist(), flows.kind[star].tolist(), strict=True):
        members[hub][kind, 1 / int(hubs[host])] += 1
    slope, _ = weights(flows, places, count)
    stars: dict[Star, int] = {}
    number = {
        hub: stars.setdefault(tuple((k, n, t) for (k, t), n in sorted(members[hub].items())), len(stars))
        for hub in np.flatnonzero(level == 1).tolist()
    }
    up = np.zeros(count)
    np.add.at(up, low[spoke], slope[flows.kind[spoke]])
    spokes: dict[int, Counter[Spoke]] = {hub: Counter() for hub in np.flatnonzero(level == 2).tolist()}
    for hub, root, kind in zip(low[spoke].tolist(), top[spoke].tolist(), flows.kind[spoke].tolist(), strict=True):
        spokes[root][number[hub], kind, float(slope[kind] / up[hub])] += 1
    roots = Counter(tuple(sorted(found.items())) for found in spokes.values())
    alone = Counter(number[hub] for hub in number if up[hub] == 0)
    single = int(((level == 0) & (hubs == 0)).sum())
    return Tree(tuple(stars), tuple(roots.items()), tuple(sorted(alone.items())), single, rest)


def _weighty(flows: Flows, low: Ints, top: Ints, count: int) -> npt.NDArray[np.bool_]:
    """Pairs whose price varies at least a tenth as much as that of the lower rack's pair that varies most."""
    finite = np.where(flows.cents < TOO_LONG / 2, flows.cents, flows.cents.min(axis=1, keepdims=True))
    range_ = np.ptp(finite, axis=1)[flows.kind]
    most = np.zeros(count)
    np.maximum.at(most, np.where(flows.b >= 0, low, 0), np.where(flows.b >= 0, range_, 0))
    return np.asarray(range_ >= 0.1 * most[low])


def lower_bound(racks: Racks, flows: Flows, places: Places, best: float) -> float:
    """Cents of the cables between racks that no placement undercuts; ``best``: of one that was found."""
    tree = tree_of(racks, flows, places)
    near = np.round(np.abs(places.room.aside_m(places.position)), 3)
    _, ring = np.unique(near, return_inverse=True)
    room = np.bincount(ring)
    price = np.zeros(len(room))
    classes = sum(len(s) for s in tree.stars) + sum(len(r) for r, _ in tree.roots)
    steps = int(np.clip(MOST_CELLS / (max(classes, 1) * len(places) ** 2), 1, STEPS))
    found, scale, since = -np.inf, 0.3, 0
    for _ in range(steps):
        value, taken = _relaxed(tree, flows, places, price[ring])
        if value > found + 1e-4 * abs(best - found):
            found, since = value, 0
        else:
            found, since = max(found, value), since + 1
        if since == 3:
            scale, since = scale / 2, 0
        slope = np.bincount(ring, weights=taken) - room
        slope[(price <= 0) & (slope < 0)] = 0
        norm = float(slope @ slope)
        if norm == 0 or best - value <= 0.5:
            break
        price = np.maximum(0, price + scale * (best - value) / norm * slope)
    return found


def _relaxed(tree: Tree, flows: Flows, places: Places, price: Floats) -> tuple[float, Floats]:
    """L(u), and how often each place is taken in it."""
    cache: dict[tuple[int, int, float], Floats] = {}
    worth = [_star(star, flows, places, price, cache) for star in tree.stars]
    taken = np.zeros(len(price))
    value = tree.rest - float(price.sum())
    for spokes, count in tree.roots:
        cost = price.copy()
        for (star, kind, share), times in spokes:
            cost += times * (share * worth[star][:, None] + flows.cents[kind][places.between]).min(axis=0)
        at = int(cost.argmin())
        value += count * float(cost[at])
        taken[at] += count
        for (star, kind, share), times in spokes:
            p = int((share * worth[star] + flows.cents[kind][places.between[:, at]]).argmin())
            _take(taken, tree.stars[star], p, count * times * share, flows, places, price)
    for star, count in tree.alone:
        p = int(worth[star].argmin())
        value += count * float(worth[star][p])
        _take(taken, tree.stars[star], p, count, flows, places, price)
    if tree.single:
        value += tree.single * float(price.min())
        taken[int(price.argmin())] += tree.single
    return value, taken


def _star(
    star: Star, flows: Flows, places: Places, price: Floats, cache: dict[tuple[int, int, float], Floats]
) -> Floats:
    """V_l by place."""
    worth = price.copy()
    for key in star:
        if key not in cache:
            kind, number, theta = key
            cost = flows.cents[kind][places.between] + theta * price
            np.fill_diagonal(cost, np.inf)
            cache[key] = np.partition(cost, number - 1, axis=1)[:, :number].sum(axis=1)
        worth += cache[key]
    return worth


def _take(taken: Floats, star: Star, p: int, weight: float, flows: Flows, places: Places, price: Floats) -> None:
    """Count the places that a rack of leaves at ``p`` and its host racks take."""
    taken[p] += weight
    for kind, number, theta in star:
        cost = flows.cents[kind][places.between[p]] + theta * price
        cost[p] = np.inf
        taken[np.argsort(cost, kind="stable")[:number]] += weight * theta


__all__ = ["Ints", "lower_bound"]
