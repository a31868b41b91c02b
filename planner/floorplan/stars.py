"""Stars: one or two racks of leaves and the racks of hosts around them, as cheap as they can be.

A star is looked at in a room without ends: rows enough on both sides, nothing else in it. Its host racks take the
cheapest places around, each a place of its own. Two racks of leaves that serve the same hosts are looked at together: a
host rack cannot be next to both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from planner.floorplan.flows import Flows, Places
from planner.floorplan.levels import HOSTS, LEAVES
from planner.floorplan.racks import Floats, Ints, Racks

ROWS_APART = 4
"""Two racks of leaves farther apart than so many rows are looked at as if they were just so far."""
ALIKE = 0.2
"""Share by which prices of host racks may differ that share a curve, the lowest; what they cost more is added apart."""
HEAVY = 0.8
"""Host racks whose cables cost at least this share of the heaviest's take places of their own in a star."""

MOST_CELLS = 1e8
"""Places around racks of leaves that are looked at in all."""
Curve = tuple[int, ...]
"""Classes of which the lowest price counts."""
Extra = tuple[int, int, Curve]
"""Class, number of host racks, and the curve that is counted already."""


@dataclass(frozen=True)
class Star:
    """``number`` host racks around one or two racks of leaves; ``share`` of a host rack's place is paid here."""

    curves: tuple[Curve, ...]
    number: int
    share: float
    extra: tuple[tuple[Extra, ...], ...]
    """By rack of leaves: what else there is, at its cheapest, without a place of its own."""


@dataclass(frozen=True)
class Ground:
    """The room without rows: places along a row, rings of places equally far from the cross tray."""

    flows: Flows
    metres: Floats
    aside: Floats
    """Signed metres from the cross tray of each position of a row."""
    ring: Ints
    """Ring of each position."""
    capacity: Ints
    """Places of each ring in the whole room."""
    pitch: float
    rows: int
    known: dict[Extra, Floats] = field(default_factory=dict)
    """Costs of lighter host racks, as they were asked for."""

    @classmethod
    def of(cls, flows: Flows, places: Places) -> Ground:
        """The ground of a room."""
        site = places.room.site
        aside = places.room.aside_m(np.arange(1, site.racks_per_row + 1))
        rings, ring = np.unique(np.round(np.abs(aside), 3), return_inverse=True)
        capacity = np.bincount(ring[places.position - 1], minlength=len(rings))
        return cls(flows, places.metres, aside, ring, capacity, site.row_pitch_m, site.rows)

    def cents(self, kind: int, metres: Floats) -> Floats:
        """Price of a class at any metres; between two that are known, that of the shorter."""
        at = np.searchsorted(self.metres, metres + 1e-6, side="right") - 1
        return np.asarray(self.flows.cents[kind][np.maximum(at, 0)])

    def curve(self, curve: Curve, metres: Floats) -> Floats:
        """The lowest price of several classes."""
        return np.asarray(np.minimum.reduce([self.cents(kind, metres) for kind in curve]))

    def more(self, kind: int, curve: Curve, metres: Floats) -> Floats:
        """What a class costs more than a curve from there on, at least: it never falls with the metres."""
        cents = self.flows.cents
        over = cents[kind] - np.minimum.reduce([cents[other] for other in curve])
        at = np.searchsorted(self.metres, metres + 1e-6, side="right") - 1
        return np.asarray(np.minimum.accumulate(over[::-1])[::-1][np.maximum(at, 0)])

    def way(self, x: Floats, row: Ints, y: Floats) -> Floats:
        """Metres of tray between positions so many rows apart."""
        return np.where(row == 0, np.abs(x - y), np.abs(x) + np.abs(y) + np.abs(row) * self.pitch)

    @cached_property
    def near(self) -> Floats:
        """Metres by position, row (the same, the next) and position."""
        rows = np.arange(min(2, self.rows))[:, None]
        return self.way(self.aside[:, None, None], rows, self.aside)

    def steps(self, stars: tuple[Star, ...], most: int) -> int:
        """How often the stars can be priced in a reasonable time, up to ``most`` times."""
        rows = 2 * self.around(max((star.number for star in stars), default=1)) + 1
        cells = (ROWS_APART + 2) * rows * len(self.aside) ** 3
        return int(np.clip(MOST_CELLS / cells, 1, most))

    def around(self, number: int) -> int:
        """Rows to either side beyond which no place is among the ``number`` cheapest.

        Places of the same ring nearer by are at least as cheap, and already more.
        """
        each = 1 if len(self.aside) % 2 else 2
        return min(self.rows - 1, -(-number // each))


@dataclass
class Valued:
    """What a star costs at least by the position of either rack of leaves: half of it, where there are two."""

    least: list[Floats]
    rings: list[Floats]
    """By position: how many places of each ring the star takes, in shares like ``least``."""

    def take(self, which: int, at: int, times: float, taken: Floats) -> None:
        """Add what is taken."""
        taken += times * self.rings[which][at]


def stars_of(
    racks: Racks, flows: Flows, level: Ints
) -> tuple[tuple[Star, ...], dict[int, tuple[int, int]], npt.NDArray[np.bool_]]:
    """Distinct stars; star and place in it of each rack of leaves; which pairs of racks they count."""
    inner = flows.b >= 0
    other = np.where(inner, flows.b, flows.a)
    up = level[flows.a] <= level[other]
    low, top = np.where(up, flows.a, other), np.where(up, other, flows.a)
    counted = inner & (level[low] == HOSTS) & (level[top] == LEAVES)
    mates: dict[int, dict[int, int]] = defaultdict(dict)
    for host, hub, kind in zip(low[counted].tolist(), top[counted].tolist(), flows.kind[counted].tolist(), strict=True):
        mates[hub][host] = kind
    heavy = {hub: _heavy(found, flows) for hub, found in mates.items()}
    teams = _teams(racks, np.flatnonzero(level == LEAVES).tolist(), heavy)
    kinds = Counter(mates[hub][host] for team in teams for host in _common(team, heavy) for hub in team)
    curve = _curves(flows, [kind for kind, _ in sorted(kinds.items(), key=lambda found: (-found[1], found[0]))])
    times = Counter(host for team in teams for host in _common(team, heavy))
    stars: dict[Star, int] = {}
    number: dict[int, tuple[int, int]] = {}
    for team in teams:
        star = _star(team, _common(team, heavy), mates, curve, times)
        at = stars.setdefault(star, len(stars))
        number.update({hub: (at, which) for which, hub in enumerate(team)})
    return tuple(stars), number, counted


def _curves(flows: Flows, kinds: list[int]) -> dict[int, Curve]:
    """For each class those about as expensive, itself among them, found from the first on."""
    found: list[list[int]] = []
    of: dict[int, list[int]] = {}
    for kind in kinds:
        for members in found:
            first = flows.cents[members[0]]
            if (np.abs(first - flows.cents[kind]) <= ALIKE * first).all():
                members.append(kind)
                of[kind] = members
                break
        else:
            found.append([kind])
            of[kind] = found[-1]
    return {kind: tuple(members) for kind, members in of.items()}


def _heavy(mates: dict[int, int], flows: Flows) -> set[int]:
    """Host racks whose cables are at least half as expensive as the heaviest's."""
    cost = {host: float(flows.cents[kind].min()) for host, kind in mates.items()}
    most = max(cost.values())
    return {host for host, cents in cost.items() if cents >= HEAVY * most}


def _common(team: tuple[int, ...], heavy: dict[int, set[int]]) -> set[int]:
    return set.intersection(*(heavy.get(hub, set()) for hub in team))


def _teams(racks: Racks, hubs: list[int], heavy: dict[int, set[int]]) -> list[tuple[int, ...]]:
    """Racks of leaves two by two where a block has just two that serve mostly the same; else one by one."""
    blocks: dict[int, list[int]] = defaultdict(list)
    for hub in hubs:
        blocks[racks.block[hub]].append(hub)
    teams: list[tuple[int, ...]] = []
    for mine in blocks.values():
        pair = tuple(mine)
        if len(pair) == 2 and 2 * len(_common(pair, heavy)) > max(len(heavy.get(hub, ())) for hub in pair):
            teams.append(pair)
        else:
            teams += [(hub,) for hub in mine]
    return teams


def _star(
    team: tuple[int, ...],
    hosts: set[int],
    mates: dict[int, dict[int, int]],
    curve: dict[int, Curve],
    times: Counter[int],
) -> Star:
    """The star of a team: of the curves of its host racks that of most of them, all else as extra."""
    curves, extra = [], []
    most = [_most([curve[mates[hub][host]] for host in hosts]) for hub in team]
    near = {host for host in hosts if all(curve[mates[hub][host]] == c for hub, c in zip(team, most, strict=True))}
    for hub, chosen in zip(team, most, strict=True):
        found = Counter((kind, chosen if host in near else ()) for host, kind in mates.get(hub, {}).items())
        extra.append(tuple(sorted((kind, number, minus) for (kind, minus), number in found.items())))
        curves.append(chosen)
    share = 1 / max((times[host] for host in near), default=1)
    return Star(tuple(curves), len(near), share, tuple(extra))


def _most(curves: list[Curve]) -> Curve:
    return min(Counter(curves).items(), key=lambda found: (-found[1], found[0]), default=((), 0))[0]


# --- what they cost ----------------------------------------------------------------------------------------------


def valued(stars: tuple[Star, ...], ground: Ground, price: Floats) -> list[Valued]:
    """What each star costs at least with these prices of rings."""
    most: dict[tuple[tuple[Curve, ...], float], int] = {}
    for star in stars:
        key = (star.curves, star.share)
        most[key] = max(most.get(key, 0), star.number)
    sums = {key: _sums(key[0], key[1], number, ground, price) for key, number in most.items()}
    return [_valued(star, sums[star.curves, star.share], ground, price) for star in stars]


def _sums(curves: tuple[Curve, ...], share: float, number: int, ground: Ground, price: Floats) -> tuple[Floats, Ints]:
    """Rising costs of the ``number`` cheapest places and their rings, by rows apart and positions of the leaves."""
    if number == 0:
        shape = (1,) + (len(ground.aside),) * len(curves) + (0,)
        return np.zeros(shape), np.zeros(shape, dtype=np.int64)
    if len(curves) == 1:
        cost, ring = _one(curves[0], share, number, ground, price)
        return cost[None], ring[None]
    apart = range(min(ROWS_APART + 1, ground.rows))
    found = [_two(curves, share, number, ground, price, rows) for rows in apart]
    if ground.rows > len(apart):
        found.append(_far(curves, share, number, ground, price))
    return np.stack([cost for cost, _ in found]), np.stack([ring for _, ring in found])


def _cheapest(cost: Floats, ring: Ints, number: int) -> tuple[Floats, Ints]:
    """The ``number`` least along the last axis, rising, and the ring of each."""
    number = min(number, cost.shape[-1])
    at = np.argpartition(cost, number - 1, axis=-1)[..., :number]
    least = np.take_along_axis(cost, at, axis=-1)
    order = np.argsort(least, axis=-1, kind="stable")
    return np.take_along_axis(least, order, axis=-1), ring[np.take_along_axis(at, order, axis=-1)]


def _one(
    curve: Curve, share: float, number: int, ground: Ground, price: Floats, minus: Curve = ()
) -> tuple[Floats, Ints]:
    """Around one rack of leaves, by its position; ``minus`` is taken off the price."""
    around = ground.around(number)
    rows = np.arange(-around, around + 1)[:, None]
    metres = ground.way(ground.aside[:, None, None], rows, ground.aside)
    cents = ground.more(curve[0], minus, metres) if minus else ground.curve(curve, metres)
    cost = cents + share * price[ground.ring]
    here = np.arange(len(ground.aside))
    cost[here, around, here] = np.inf
    ring = np.broadcast_to(ground.ring, (len(rows), len(here))).ravel()
    return _cheapest(cost.reshape(len(here), -1), ring, number)


def _two(
    curves: tuple[Curve, ...], share: float, number: int, ground: Ground, price: Floats, apart: int
) -> tuple[Floats, Ints]:
    """Around two racks of leaves ``apart`` rows, by the position of each."""
    around = ground.around(number)
    rows = np.arange(-around, apart + around + 1)[:, None]
    x = ground.aside[:, None, None]
    a = ground.curve(curves[0], ground.way(x, rows, ground.aside))
    b = ground.curve(curves[1], ground.way(x, rows - apart, ground.aside))
    here = np.arange(len(ground.aside))
    a[here, around, here] = np.inf
    b[here, around + apart, here] = np.inf
    cost = a[:, None] + b[None] + share * price[ground.ring]
    if apart == 0:
        cost[here, here] = np.inf
    ring = np.broadcast_to(ground.ring, (len(rows), len(here))).ravel()
    return _cheapest(cost.reshape(len(here), len(here), -1), ring, number)


def _far(curves: tuple[Curve, ...], share: float, number: int, ground: Ground, price: Floats) -> tuple[Floats, Ints]:
    """Farther apart: every place is at least half of the rows between from one of the two."""
    beyond = np.array((ROWS_APART + 1) / 2 * ground.pitch)
    near = [_one(curve, share, number, ground, price) for curve in curves]
    size = len(ground.aside)
    a = near[0][0] + ground.curve(curves[1], beyond)
    b = near[1][0] + ground.curve(curves[0], beyond)
    both = [np.broadcast_to(a[:, None], (size, size, a.shape[-1])), np.broadcast_to(b[None], (size, size, b.shape[-1]))]
    rings = [np.broadcast_to(near[0][1][:, None], both[0].shape), np.broadcast_to(near[1][1][None], both[1].shape)]
    cost, ring = np.concatenate(both, axis=-1), np.concatenate(rings, axis=-1)
    order = np.argsort(cost, axis=-1, kind="stable")[..., :number]
    return np.take_along_axis(cost, order, axis=-1), np.take_along_axis(ring, order, axis=-1)


def _valued(star: Star, sums: tuple[Floats, Ints], ground: Ground, price: Floats) -> Valued:
    cost = sums[0][..., : star.number].sum(axis=-1)
    size, rings = len(ground.aside), len(price)
    own = [price[ground.ring] + _light(extra, ground) for extra in star.extra]
    if len(star.curves) == 1:
        total = cost[0] + own[0]
        taken = np.array([_counted(sums[1][0, at, : star.number], star.share, rings) for at in range(size)])
        taken[np.arange(size), ground.ring] += 1
        return Valued([total], [taken])
    cost = cost + own[0][:, None] + own[1][None]
    found = Valued([], [])
    for which in range(2):
        flat = np.moveaxis(cost, 1 + which, 0).reshape(size, -1)
        at = flat.argmin(axis=1).tolist()
        found.least.append(flat[np.arange(size), at] / 2)
        pairs = [_pair_taken(star, sums[1], ground, which, here, at[here], rings) for here in range(size)]
        found.rings.append(np.array(pairs))
    return found


def _pair_taken(star: Star, ring: Ints, ground: Ground, which: int, here: int, at: int, rings: int) -> Floats:
    """Half of the rings that a pair takes, one of its racks at ``here``."""
    apart, mate = divmod(at, len(ground.aside))
    a, b = (here, mate) if which == 0 else (mate, here)
    taken = _counted(ring[apart, a, b, : star.number], star.share, rings)
    taken[ground.ring[a]] += 1
    taken[ground.ring[b]] += 1
    return taken / 2


def _counted(rings: Ints, share: float, size: int) -> Floats:
    return share * np.bincount(rings, minlength=size).astype(np.float64)


def _light(extra: tuple[Extra, ...], ground: Ground) -> Floats:
    """The cheapest that all else can be, by position of the leaves."""
    known = ground.known
    total = np.zeros(len(ground.aside))
    free = np.zeros(len(ground.capacity))
    for kind, number, minus in extra:
        if minus == (kind,):
            continue
        if (kind, number, minus) not in known:
            known[kind, number, minus] = _one((kind,), 0.0, number, ground, free, minus)[0].sum(axis=-1)
        total = total + known[kind, number, minus]
    return total
