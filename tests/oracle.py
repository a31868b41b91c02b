"""Exhaustive search of the sizing problem, written from ``docs/sizing.md`` alone.

It shares no code and no idea with the solver: plain loops over every letter of the text's table, integers and
fractions only. ``pose`` turns an intent into a ``Net`` (plain numbers), ``search`` finds the best design of a ``Net``.

A loop is cut short for three reasons only:

* *monotone*: more ports of a use never fit where fewer did not, because every limit of a switch is an upper bound;
* *dominated*: a larger value asks for at least as much of everything, is first in no comparison and last in the tuple;
* *bound*: every part of a design adds to the objective and to each count, so a part already worse than the best
  whole design cannot become better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, NamedTuple

# ---------------------------------------------------------------------------------------------------- what is given


class End(NamedTuple):
    """One end of a link: the numbers of lanes that it can run on, and whether several ports share a connector."""

    speed: int
    lanes: frozenset[int]
    split: bool = False

    def joins(self, other: End) -> bool:
        """A number of lanes in common, or 100GBASE-DR or 400GBASE-DR4 between them."""
        pairs = {(a, b) for a in self.lanes for b in other.lanes}
        pairs |= {(b, a) for a, b in pairs}
        bridged = {100: {(4, 1), (2, 1)}, 400: {(8, 4)}}.get(self.speed, set())
        return any(a == b for a, b in pairs) or bool(pairs & bridged)

    def meets(self, other: End) -> bool:
        """Whether two switches may be linked so: the lanes join, and not both ends are split."""
        return self.joins(other) and not (self.split and other.split)


@cache
def lanes(speed: int, most: int, fastest: Fraction) -> frozenset[int]:
    """n ≤ most lanes, a power of two, none faster than ``fastest``."""
    return frozenset(n for n in (1, 2, 4, 8) if n <= most and Fraction(speed, n) <= fastest)


@dataclass(frozen=True)
class Cages:
    """Equal cages of a switch; a mode is (ports, Gb/s of a port)."""

    count: int
    connectors: int
    modes: tuple[tuple[int, int], ...]
    rj45: bool = False
    lanes: int = 8

    def end(self, ports: int, speed: int) -> End:
        """What a port of a mode is to the other end of a link: n ≤ L/P lanes, none faster than bandwidth / L."""
        fastest = Fraction(max(p * gbps for p, gbps in self.modes), self.lanes)
        return End(speed, lanes(speed, self.lanes // ports, fastest), ports > self.connectors)


@dataclass(frozen=True, eq=False)
class Box:
    """A switch model: ``price`` is what one costs in the unit of the objective, without transceivers.

    Compared by identity, which makes it a cheap key: the same model is the same object in every tier.
    """

    name: str
    groups: tuple[Cages, ...]
    price: int
    max_ports: int | None = None
    bank: tuple[int, int] | None = None
    """Neighbouring cages of a group in a bank, and the ports that a bank may have."""

    @lru_cache(maxsize=10_000)  # noqa: B019 - boxes are few
    def ends(self, speed: int) -> frozenset[End]:
        """What ports of this speed can be to the other end of an inter-switch link."""
        found = (g.end(p, at) for g in self.groups if not g.rj45 for p, at in g.modes if at == speed)
        return frozenset(found)

    def room(self, speed: int) -> int:
        """At most so many inter-switch ports of this speed, whatever else there is."""
        return sum(
            group.count * max((ports for ports, at in group.modes if at == speed), default=0)
            for group in self.groups
            if not group.rj45
        )

    def speeds(self) -> list[int]:
        """Speeds of the cages that carry inter-switch links, all but rj45."""
        return sorted({speed for group in self.groups if not group.rj45 for _, speed in group.modes})


@dataclass(frozen=True)
class Kind:
    """A class of hosts on the network: R rails of ``ports`` ports of ``speed`` Gb/s, ``hosts`` of them."""

    hosts: int
    rails: int
    ports: int
    speed: int
    over: Fraction = Fraction(1)
    spares: int = 0
    rj45: bool = False
    lanes: frozenset[int] = frozenset((1, 2, 4, 8))
    """Numbers of lanes that a port of the NIC can run on."""
    host_cages: int = 0
    """Pluggable cages of one host on this network."""
    host_cage_gbps: int = 0


class Tariff(NamedTuple):
    """What transceivers cost: ``objective`` is cost, power or switches; ``copper``: there are none."""

    objective: str = "switches"
    copper: bool = False

    def transceiver(self, gbps: int) -> int:
        """Cents (cost), tenths of a watt (power) or nothing for one occupied cage of so many Gb/s."""
        if self.copper or self.objective == "switches":
            return 0
        return round_half_up(Fraction((19_900 if self.objective == "cost" else 85) * gbps, 400))


@dataclass(frozen=True)
class Net:
    """One network, in numbers. ``None`` stands for auto, or for what was not written."""

    kinds: tuple[Kind, ...]
    leaf: tuple[Box, ...]
    spine: tuple[Box, ...] = ()
    core: tuple[Box, ...] = ()
    tiers: int | None = None
    planes: int = 1
    join: str = "never"
    layout: str = "auto"
    rails_per_leaf: int | None = None
    segment_hosts: int | None = None
    max_segments: int = 0
    min_spines: int = 1
    leaf_given: bool = False
    spine_given: bool = False
    over_spine: Fraction = Fraction(1)
    pin_leaf: int | None = None
    pin_spine: int | None = None
    free: int = 0
    service_ports: int = 0
    external: tuple[int, int] = (0, 0)
    """Uplinks of each leaf, and their speed."""
    external_inside: bool = False
    """The uplinks end on another network's leaves."""
    interswitch: Fraction = Fraction(0)
    oob: bool = False
    tariff: Tariff = Tariff()  # noqa: RUF009 - a tuple


# ------------------------------------------------------------------------------------------------------ what is found


@dataclass(frozen=True)
class Found:
    """A design by the comparisons of the text; ``letters`` says the same for people and is not compared."""

    objective: int
    tiers: int
    switches: int
    cables: int
    optics: int
    pods: int
    links: int
    segment_hosts: int
    decisions: tuple[int, ...]
    """(leaf model, spine model, core model, q, u…, v, s, m…, w, y, b); 0 for what there is not."""
    letters: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)

    def rank(self) -> tuple[Any, ...]:
        """Smaller is better."""
        head = (self.objective, self.tiers, self.switches, self.cables, self.optics, self.pods, self.links)
        return (*head, -self.segment_hosts, self.decisions)


@dataclass(frozen=True)
class Sum:
    """What a part of a design adds to the comparisons."""

    objective: int = 0
    switches: int = 0
    cables: int = 0
    optics: int = 0
    links: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            self.objective + other.objective,
            self.switches + other.switches,
            self.cables + other.cables,
            self.optics + other.optics,
            self.links + other.links,
        )

    def times(self, n: int) -> Sum:
        """The same part n times."""
        return Sum(self.objective * n, self.switches * n, self.cables * n, self.optics * n, self.links * n)


def round_half_up(value: Fraction) -> int:
    """Nearest whole number, halves upwards."""
    return math.floor(value + Fraction(1, 2))


def ceil_div(a: int, b: int) -> int:
    """⌈a/b⌉."""
    return -(-a // b)


def divisors(n: int) -> list[int]:
    """Every d with n mod d = 0, upwards."""
    return [d for d in range(1, n + 1) if n % d == 0]


# -------------------------------------------------------------------------------------------- 1. cages of one switch


class Need(NamedTuple):
    """Ports of one use on a switch. ``occupied`` of them hold a link when the network is full."""

    ports: int
    speed: int
    occupied: int
    rj45: bool = False
    hosts: bool = False
    ends: frozenset[End] | None = None
    """What the ports may be to the other end; None: anything."""


Option = tuple[int, int]
"""(cage group, ports of the mode)."""
Pick = tuple[tuple[Option, int], ...]
"""Cages of each option in use."""


def covers(options: list[Option], most: list[int], ports: int) -> Iterator[dict[Option, int]]:
    """Every multiset of cages with at least ``ports`` ports from which no cage can be taken away.

    ``most`` cages of each option. Options with most ports come first: the last kind added is the smallest, and one
    less of it would not do. Larger multisets are dominated: all limits are upper bounds.
    """
    if ports <= 0:
        yield {}
        return
    if not options or sum(option[1] * n for option, n in zip(options, most, strict=True)) < ports:
        return
    first = options[0]
    for n in range(min(most[0], ceil_div(ports, first[1])) + 1):
        for others in covers(options[1:], most[1:], ports - n * first[1]):
            yield {first: n, **others} if n else others


@lru_cache(maxsize=200_000)
def picks(box: Box, need: Need, tariff: Tariff) -> list[tuple[Pick, tuple[int, int, int]]]:
    """Ways to give a use its cages, each with the least (money, host connectors, transceivers) of the occupied ones.

    The cages that the occupied ports fill are chosen first, those of ports kept for later besides them.
    """
    options = [
        (index, ports)
        for index, group in enumerate(box.groups)
        for ports, speed in group.modes
        if group.rj45 == need.rj45 and speed == need.speed
        if need.ends is None or group.end(ports, speed) in need.ends
    ]
    options.sort(key=lambda option: -option[1])
    most = [box.groups[group].count for group, _ in options]
    each = {option: worth(box, need, tariff, option) for option in options}
    found: dict[Pick, tuple[int, int, int]] = {}
    for used in covers(options, most, need.occupied):
        value = tuple(sum(n * each[option][part] for option, n in used.items()) for part in range(3))
        for extra in covers(options, most, need.ports - sum(option[1] * n for option, n in used.items())):
            key = tuple((o, used.get(o, 0) + extra.get(o, 0)) for o in options if o in used or o in extra)
            if key not in found or value < found[key]:
                found[key] = value  # type: ignore[assignment]
    return sorted(found.items(), key=lambda way: way[1])


def worth(box: Box, need: Need, tariff: Tariff, option: Option) -> tuple[int, int, int]:
    """(money, connectors that hosts occupy, transceivers) of one occupied cage."""
    group, ports = option
    connectors = min(box.groups[group].connectors, ports) if need.hosts else 0
    optics = 0 if need.rj45 or tariff.copper else 1
    return optics * tariff.transceiver(ports * need.speed), connectors, optics


@lru_cache(maxsize=200_000)
def fit(box: Box, needs: tuple[Need, ...], tariff: Tariff) -> tuple[int, int, int] | None:
    """Least (money, host connectors, transceivers) with which all uses fit in the switch; None if they do not."""
    ways = sorted((picks(box, need, tariff) for need in needs if need.ports), key=len)
    best: list[tuple[int, int, int]] = []

    def place(rest: int, cages: tuple[int, ...], taken: Pick, value: tuple[int, int, int]) -> None:
        if best and value >= best[0]:
            return  # bound
        if rest == len(ways):
            if banks_hold(box, taken):
                best[:] = [value]
            return
        for pick, more in ways[rest]:
            left = list(cages)
            for (group, _), n in pick:
                left[group] -= n
            if min(left) < 0 or not ports_hold(box, taken + pick):
                continue
            place(rest + 1, tuple(left), taken + pick, (value[0] + more[0], value[1] + more[1], value[2] + more[2]))

    place(0, tuple(group.count for group in box.groups), (), (0, 0, 0))
    return best[0] if best else None


def ports_hold(box: Box, taken: Pick) -> bool:
    """Ports of the cages in use, counted whole, are at most ``max_logical_ports``."""
    return box.max_ports is None or sum(ports * n for (_, ports), n in taken) <= box.max_ports


def banks_hold(box: Box, taken: Pick) -> bool:
    """The cages can be laid out so that no bank of neighbours has more ports than it may."""
    if box.bank is None:
        return True
    size, limit = box.bank
    banks = [
        (index,) * min(size, group.count - at)
        for index, group in enumerate(box.groups)
        for at in range(0, group.count, size)
    ]
    stock: dict[tuple[int, int], int] = {}
    for key, n in taken:
        stock[key] = stock.get(key, 0) + n
    return lay_out(tuple(banks), tuple(sorted(stock.items())), limit)


@lru_cache(maxsize=200_000)
def lay_out(banks: tuple[tuple[int, ...], ...], stock: Pick, limit: int) -> bool:
    """Put the stock into the banks, one after the other, in every way."""
    if not stock:
        return True
    if not banks:
        return False
    (first, *rest) = banks
    return any(lay_out(tuple(rest), left, limit) for left in fill(first, stock, limit))


def fill(bank: tuple[int, ...], stock: Pick, limit: int) -> set[Pick]:
    """What can be left of the stock once this bank has taken of it what it can or wants to."""
    lefts = {(stock, limit)}
    for group in bank:
        for left, room in tuple(lefts):
            for at, (key, n) in enumerate(left):
                if key[0] == group and key[1] <= room:
                    less = ((key, n - 1),) if n > 1 else ()
                    lefts.add((left[:at] + less + left[at + 1 :], room - key[1]))
    return {left for left, _ in lefts}


# ---------------------------------------------------------------------------------------------------- the whole search


@dataclass(frozen=True, eq=False)
class Side:
    """The leaves of one class: S, G, K, u."""

    kind: Kind
    hosts: int
    segments: int
    positions: int
    rails: int
    uplinks: int
    leaves: int

    @property
    def down(self) -> int:
        """Host bandwidth of a leaf that counts against its uplinks, Gb/s over π: S·q·h."""
        return self.hosts * self.rails * self.kind.speed


def vacancies(sides: tuple[Side, ...]) -> int:
    """Host ports at places of no host: Σ (G·S − N)·R·ports."""
    return sum((s.segments * s.hosts - s.kind.hosts) * s.kind.rails * s.kind.ports for s in sides)


def search(net: Net) -> Found | None:
    """The best design of a network, or None if there is none."""
    return Search(net).run()


class Search:
    """The best design so far, and the loops that look for a better one."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.best: Found | None = None
        self.upward: dict[tuple[int, Box, Need], list[Need]] = {}

    def run(self) -> Found | None:
        """Every number of tiers that is asked for."""
        if any(kind.ports % self.net.planes for kind in self.net.kinds):
            return None
        for tiers in (1, 2, 3) if self.net.tiers is None else (self.net.tiers,):
            kinds = merged(self.net.kinds) if tiers == 1 else self.net.kinds
            if tiers > 1 or len(kinds) == 1:
                for number, leaf in enumerate(self.net.leaf):
                    for q in rails_per_leaf(self.net, kinds):
                        Shape(self, tiers, kinds, leaf, number, q).run()
        return self.best

    def offer(self, found: Found) -> None:
        """Keep the better one."""
        if self.best is None or found.rank() < self.best.rank():
            self.best = found

    def hopeless(self, tiers: int, part: Sum) -> bool:
        """*Bound*: the part alone compares worse than the best whole design.

        Each count of the whole is at least the part's, so it compares worse as well.
        """
        if self.best is None:
            return False
        best = self.best
        whole = (best.objective, best.tiers, best.switches, best.cables, best.optics)
        return (part.objective, tiers, part.switches, part.cables, part.optics) > whole


def subsets(ends: frozenset[End]) -> list[frozenset[End]]:
    """Every choice of what may be plugged in at one end of the links; the whole choice first."""
    ordered = sorted(ends, key=lambda end: (end.split, sorted(end.lanes)))
    return [
        frozenset(some)
        for n in range(len(ordered), 0, -1)
        for some in itertools.combinations(ordered, n)
    ]  # fmt: skip


@cache
def joining(nic: End, ends: frozenset[End]) -> frozenset[End]:
    """Which of these a NIC can be plugged into."""
    return frozenset(end for end in ends if end.joins(nic))


@cache
def mates(ends: frozenset[End] | None, others: frozenset[End]) -> frozenset[End]:
    """What the other end of the links may then be: cage by cage, each must meet each."""
    return frozenset(other for other in others if all(other.meets(end) for end in ends or ()))


def merged(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """With a single tier oversubscription does not separate classes; the smallest counts."""
    groups: dict[Kind, list[Kind]] = {}
    for kind in kinds:
        groups.setdefault(replace(kind, hosts=0, over=Fraction(0)), []).append(kind)
    return tuple(
        replace(key, hosts=sum(k.hosts for k in group), over=min(k.over for k in group))
        for key, group in groups.items()
    )


def rails_per_leaf(net: Net, kinds: tuple[Kind, ...]) -> list[int]:
    """q: as given; all rails with top-of-rack; else the divisors of R (of the first class, if classes differ)."""
    if net.layout == "top-of-rack":
        return [max(kind.rails for kind in kinds)]
    if net.rails_per_leaf:
        return [net.rails_per_leaf]
    return divisors(kinds[0].rails)


@dataclass
class Shape:
    """Tiers, leaf model and q are chosen; the loops over the rest."""

    search: Search
    tiers: int
    kinds: tuple[Kind, ...]
    leaf: Box
    leaf_number: int
    q: int
    v: int = 0
    room: int = 0
    ends: frozenset[End] | None = None
    parts: dict[tuple[Side, int], tuple[Sum, int, int] | None] = field(default_factory=dict)

    @property
    def net(self) -> Net:
        """The network."""
        return self.search.net

    def run(self) -> None:
        """v, and what a leaf's uplinks may be to the spine; then every class's leaves."""
        for v in self.uplink_speeds():
            self.v, self.room = v, max((spine.room(v) for spine in self.net.spine), default=0)
            for ends in subsets(self.leaf.ends(v)) if self.tiers > 1 else [None]:
                self.ends, self.parts = ends, {}
                sides = [self.sides(kind) for kind in self.kinds]
                for combination in self.combinations(sides, (), Sum()):
                    self.leaves(combination)

    def combinations(self, sides: list[list[Side]], chosen: tuple[Side, ...], total: Sum) -> Iterator[tuple[Side, ...]]:
        """One of each class's leaves; *bound* by those chosen already, with no service on them."""
        if not sides:
            yield chosen
            return
        for side in sides[0]:
            part = self.part(side, self.net.free)
            if part and not self.search.hopeless(self.tiers, total + part[0]):
                yield from self.combinations(sides[1:], (*chosen, side), total + part[0])

    def uplink_speeds(self) -> list[int]:
        """v: none with a single tier that keeps nothing free; at least the fastest host port otherwise."""
        if self.tiers == 1 and not self.reserve:
            return [0]
        fastest = max(kind.speed for kind in self.kinds)
        return [v for v in self.leaf.speeds() if v >= fastest and self.net.pin_leaf in (None, v)]

    @property
    def reserve(self) -> bool:
        """Uplinks are kept free for a tier that is not built."""
        return self.tiers == 1 and self.net.tiers == 1 and self.net.leaf_given

    def sides(self, kind: Kind) -> list[Side]:
        """Every S, G and u of a class whose leaf fits with no service on it; cheapest first, to bound early."""
        found = []
        positions = ceil_div(kind.rails, self.q)
        rails = min(self.q, kind.rails)
        for hosts in (self.net.segment_hosts,) if self.net.segment_hosts else range(1, kind.hosts + 1):
            for segments in self.segments(kind, hosts):
                leaves = segments * self.net.planes * positions
                if self.tiers == 1 and not self.alone_is_enough(segments, positions, leaves):
                    continue
                for uplinks in self.uplinks(kind, hosts, rails):
                    side = Side(kind, hosts, segments, positions, rails, uplinks, leaves)
                    if not self.fits(side, self.net.free):
                        break  # monotone: more uplinks do not fit either
                    found.append(side)
        return sorted(found, key=lambda side: (side.leaves, side.uplinks))

    def segments(self, kind: Kind, hosts: int) -> range:
        """G: the least, and as many more as services can use.

        More are *dominated*: once every service has a vacant host port, another segment only adds switches.
        """
        least = ceil_div(kind.hosts, hosts)
        most = least
        if self.net.service_ports:
            most = ceil_div(kind.hosts + ceil_div(self.net.service_ports, kind.rails * kind.ports), hosts)
        return range(least, most + 1)

    def uplinks(self, kind: Kind, hosts: int, rails: int) -> Iterable[int]:
        """u with S·q·π·h ≤ o·u·v; the caller stops when the leaf is full."""
        if self.v == 0:
            return (0,)
        bandwidth = Fraction(hosts * rails * (kind.ports // self.net.planes) * kind.speed)
        least = max(1, math.ceil(bandwidth / (kind.over * self.v)))
        if self.tiers == 1:
            return (least,)  # dominated: a larger reserve gains nothing
        return itertools.count(least)

    def alone_is_enough(self, segments: int, positions: int, leaves: int) -> bool:
        """5. Reach with a single tier."""
        if self.net.oob:
            return True
        if segments != 1:
            return False
        if self.net.interswitch:
            return leaves == 2
        joined = self.net.planes == 1 or self.net.join == "never"
        return self.net.tiers == 1 or (positions == 1 and joined)

    def fits(self, side: Side, free: int) -> tuple[Sum, int, int] | None:
        """The least sum of one leaf, with the interswitch links it has and their speed; None if it does not fit."""
        kind = side.kind
        hosts = (side.hosts + kind.spares) * side.rails * (kind.ports // self.net.planes)
        occupied = 0 if self.reserve else side.uplinks
        count, speed = self.net.external
        needs = (
            Need(hosts, kind.speed, hosts, rj45=kind.rj45, hosts=True, ends=self.host_ends(kind)),
            Need(free, kind.speed, 0, rj45=kind.rj45, ends=self.host_ends(kind)),
            Need(side.uplinks, self.v, occupied, ends=self.ends),
            Need(count, speed, count),
        )
        choices = []
        for links, at in self.interswitch(side):
            alike = frozenset(end for end in self.leaf.ends(at) if not end.split)  # the other leaf is set up the same
            value = fit(self.leaf, (*needs, Need(links, at, links, ends=alike)), self.net.tariff)
            if value:
                choices.append((*value, links, at))
        if not choices:
            return None
        money, cables, optics, links, at = min(choices, key=lambda c: (c[0], 2 * c[1] + c[3], c[2:]))
        return Sum(self.price(self.leaf) + money, 1, cables, optics), links, at

    def host_ends(self, kind: Kind) -> frozenset[End] | None:
        """Ports that join with the NIC's; rj45 always does."""
        nic = End(kind.speed, kind.lanes)
        return None if kind.rj45 else joining(nic, self.leaf.ends(kind.speed))

    def interswitch(self, side: Side) -> list[tuple[int, int]]:
        """(i, speed): i·speed ≥ interswitch·S·q·π·h, of v where there is one, else of any. More are dominated."""
        if self.tiers > 1 or not self.net.interswitch:
            return [(0, 0)]
        demand = self.net.interswitch * side.down * (side.kind.ports // self.net.planes)
        pin = self.v or self.net.pin_leaf
        speeds = [s for s in self.leaf.speeds() if s >= side.kind.speed and pin in (None, s)]
        return [(math.ceil(demand / speed), speed) for speed in speeds]

    def price(self, box: Box) -> int:
        """What the switch adds to the objective."""
        return 1 if self.net.tariff.objective == "switches" else box.price

    def leaves(self, sides: tuple[Side, ...]) -> None:
        """7. Services, then what the leaves and hosts add up to, then the tiers above."""
        if self.tiers > 1 and self.least_down(sides) > self.room:
            return  # no spine takes as many links, whatever s and m
        for slots in self.service_slots(sides, self.net.service_ports - vacancies(sides)):
            if not any(self.too_many(sides, slots, at) for at in range(len(sides))):
                self.with_slots(sides, slots)

    def with_slots(self, sides: tuple[Side, ...], slots: tuple[int, ...]) -> None:
        """Leaves and hosts of every class, with the free ports of each class's leaves."""
        total = Sum()
        links = speed = 0
        for side, free in zip(sides, slots, strict=True):
            part = self.part(side, free)
            if not part:
                return
            total, links, speed = total + part[0], part[1], part[2]
        total += Sum(cables=links, links=links)
        if self.search.hopeless(self.tiers, total):
            return
        letters = {"x": slots, "i": links, "interswitch_speed": speed}
        if self.tiers == 1:
            self.offer(sides, total, letters=letters)
        else:
            Above(self, sides, total, letters).run()

    def part(self, side: Side, free: int) -> tuple[Sum, int, int] | None:
        """What the leaves of a class, its hosts and their links add up to; None if the leaf does not fit."""
        if (side, free) not in self.parts:
            fitted = self.fits(side, free)
            if fitted:
                total = fitted[0].times(side.leaves) + self.hosts(side) + self.upwards(side)
                fitted = (total, *fitted[1:])
            self.parts[side, free] = fitted
        return self.parts[side, free]

    def least_down(self, sides: tuple[Side, ...]) -> int:
        """Down ports that a spine has at least: the most spines, and pods of one segment with three tiers."""
        spines = math.gcd(*(side.uplinks for side in sides))
        apart = self.net.layout == "rail-only"
        planes = self.net.planes if self.net.join == "spine" else 1
        return sum(
            (side.segments if self.tiers == 2 else 1)
            * (1 if apart else side.positions) * planes * (side.uplinks // spines)
            for side in sides
        )  # fmt: skip

    def service_slots(self, sides: tuple[Side, ...], wanted: int) -> Iterator[tuple[int, ...]]:
        """max(free_leaf_ports, x) of each class, so that ``wanted`` service ports find a slot; more is dominated."""
        side, free = sides[0], self.net.free
        enough = max(free, ceil_div(wanted, side.leaves))
        if len(sides) == 1:
            yield (enough,)
            return
        for slots in range(free, enough + 1):
            for others in self.service_slots(sides[1:], wanted - slots * side.leaves):
                yield (slots, *others)

    def too_many(self, sides: tuple[Side, ...], slots: tuple[int, ...], at: int) -> bool:
        """With a segment less of this class, hosts and services have their ports still. *Dominated*."""
        side = sides[at]
        if (side.segments - 1) * side.hosts < side.kind.hosts:
            return False
        less = replace(side, segments=side.segments - 1, leaves=side.leaves - side.leaves // side.segments)
        fewer = (*sides[:at], less, *sides[at + 1 :])
        places = sum(slot * one.leaves for slot, one in zip(slots, fewer, strict=True))
        return self.net.service_ports <= max(0, vacancies(fewer) + places)

    def hosts(self, side: Side) -> Sum:
        """Places of the hosts, all counted full: their transceivers and links."""
        kind = side.kind
        places = side.segments * (side.hosts + kind.spares)
        cages = 0 if self.net.tariff.copper or kind.rj45 else kind.host_cages
        money = cages * self.net.tariff.transceiver(kind.host_cage_gbps)
        return Sum(money, 0, 0, cages, kind.rails * kind.ports).times(places)

    def upwards(self, side: Side) -> Sum:
        """Links from the leaves of a class to the spines and out of the network."""
        up = 0 if self.reserve else side.uplinks
        inside = self.net.external[0] if self.net.external_inside else 0
        return Sum(cables=up + inside, links=up + self.net.external[0]).times(side.leaves)

    def offer(self, sides: tuple[Side, ...], total: Sum, letters: dict[str, Any], above: Rest | None = None) -> None:
        """A whole design."""
        rest = above or Rest()
        ups = tuple(side.uplinks for side in sides)
        models = (self.leaf_number, rest.spine_number, rest.core_number)
        m = rest.segments_per_pod or (0,) * len(sides)
        decisions = (*models, self.q, *ups, self.v, rest.s, *m, rest.w, rest.y, rest.b)
        found = Found(
            total.objective,
            self.tiers,
            total.switches,
            total.cables,
            total.optics,
            rest.pods,
            total.links,
            sum(side.hosts for side in sides),
            decisions,
            letters
            | {"S": [side.hosts for side in sides], "G": [side.segments for side in sides], "u": ups, "v": self.v}
            | {"leaf": self.leaf.name, "q": self.q, "leaves": sum(side.leaves for side in sides)}
            | vars(rest),
        )
        self.search.offer(found)


@dataclass
class Rest:
    """What is decided above the leaves."""

    s: int = 0
    segments_per_pod: tuple[int, ...] = ()
    pods: int = 1
    w: int = 0
    y: int = 0
    b: int = 0
    e: int = 0
    spine_number: int = 0
    core_number: int = 0
    spine: str = ""
    core: str = ""
    spines: int = 0
    cores: int = 0


@dataclass
class Above:
    """The leaves are chosen; spines and cores."""

    shape: Shape
    sides: tuple[Side, ...]
    below: Sum
    letters: dict[str, Any]

    def run(self) -> None:
        """s, the spine model, and how segments make pods."""
        net = self.shape.net
        for s in divisors(math.gcd(*(side.uplinks for side in self.sides))):
            if s < net.min_spines:
                continue
            for number, spine in enumerate(net.spine):
                for pods, m, full in self.pods():
                    if self.down(m, s) > spine.room(self.shape.v):
                        continue
                    rest = Rest(s, m, pods, spine_number=number, spine=spine.name)
                    rest.spines = pods * self.groups("spine") * s
                    part = Sum(self.shape.price(spine), 1).times(rest.spines)
                    if not self.shape.search.hopeless(self.shape.tiers, self.below + part):
                        self.spines(spine, rest, full)

    def groups(self, *joined: str) -> int:
        """Groups of switches that are apart: planes unless they have joined, and leaf positions with rail-only."""
        net = self.shape.net
        planes = 1 if net.join in joined else net.planes
        return planes * (self.sides[0].positions if net.layout == "rail-only" else 1)

    def pods(self) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """(D, segments of each class that a pod has room for, segments of each class that are counted).

        T = 2: one pod. T = 3: m of the first class from 1 to all that it must ever take; one more is dominated.
        Of the other classes the least that D pods can share; more are dominated. No pod is without segments.
        """
        segments = tuple(side.segments for side in self.sides)
        room = max(segments[0], self.shape.net.max_segments)
        if self.shape.tiers == 2:
            yield 1, (room, *segments[1:]), segments
            return
        for m in range(1, room + 1):
            least = ceil_div(segments[0], m)
            for pods in range(least, max(least, *segments) + 1):
                each = (m, *(ceil_div(other, pods) for other in segments[1:]))
                if pods == max(map(ceil_div, segments, each)):
                    yield pods, each, each

    def down(self, segments: tuple[int, ...], s: int) -> int:
        """Down ports of a spine: Σ m·K·(P where planes join at the spine)·t; K = 1 with rail-only."""
        net = self.shape.net
        planes = net.planes if net.join == "spine" else 1
        ports = 0
        for m, side in zip(segments, self.sides, strict=True):
            positions = 1 if net.layout == "rail-only" else side.positions
            ports += m * positions * planes * (side.uplinks // s)
        return ports

    def spines(self, spine: Box, rest: Rest, full: tuple[int, ...]) -> None:
        """The spine's own ports; y and w where there is something above it."""
        down = Need(self.down(rest.segments_per_pod, rest.s), self.shape.v, self.down(full, rest.s))
        down = down._replace(ends=mates(self.shape.ends, spine.ends(self.shape.v)))
        net = self.shape.net
        if self.shape.tiers == 3:
            self.cores(spine, rest, down)
            return
        if not (net.tiers == 2 and net.spine_given):
            self.offer(spine, rest, (down,))
            return
        for up in self.upward(spine, down):
            self.offer(spine, replace(rest, w=up.ports, y=up.speed), (down, up))

    def upward(self, spine: Box, down: Need) -> list[Need]:
        """Every w and y, and which side of the links is not split, with which the spine's cages suffice."""
        known = self.shape.search.upward
        key = (self.shape.tiers, spine, down)
        if key not in known:
            known[key] = list(self.reserves(spine, down) if self.shape.tiers == 2 else self.ups(spine, down))
        return known[key]

    def reserves(self, spine: Box, down: Need) -> Iterator[Need]:
        """Uplinks kept free, of v unless pinned, and the least. Dominated: a larger reserve gains nothing."""
        for y, least in self.speeds(spine, down):
            up = Need(least, y, 0)
            if self.shape.net.pin_spine is None and y != down.speed:
                continue
            if fit(spine, (down, up), self.shape.net.tariff):
                yield up

    def ups(self, spine: Box, down: Need) -> Iterator[Need]:
        """Uplinks to cores, as many as fit."""
        for y, least in self.speeds(spine, down):
            for ends in subsets(spine.ends(y)):
                for w in itertools.count(least):
                    up = Need(w, y, w, ends=ends)
                    if not fit(spine, (down, up), self.shape.net.tariff):
                        break  # monotone
                    yield up

    def speeds(self, spine: Box, down: Need) -> list[tuple[int, int]]:
        """y ≥ v, or as pinned, with the least w for which down·v ≤ o_spine·w·y."""
        net = self.shape.net
        demand = Fraction(down.ports * down.speed) / net.over_spine
        return [
            (y, max(1, math.ceil(demand / y))) for y in spine.speeds() if y >= down.speed and net.pin_spine in (None, y)
        ]

    def offer(self, spine: Box, rest: Rest, needs: tuple[Need, ...]) -> None:
        """Two tiers: with the spines it is a whole design."""
        if fit(spine, needs, self.shape.net.tariff):
            self.shape.offer(self.sides, self.spines_of(spine, rest, needs), self.letters, rest)

    def cores(self, spine: Box, rest: Rest, down: Need) -> None:
        """w and y, then b and the core model."""
        for up in self.upward(spine, down):
            spines = self.spines_of(spine, rest, (down, up))
            for b in divisors(up.ports):
                if not self.shape.search.hopeless(self.shape.tiers, spines + Sum(0, b)):
                    self.core_models(replace(rest, w=up.ports, y=up.speed, b=b, e=up.ports // b), spines, up)

    def spines_of(self, spine: Box, rest: Rest, needs: tuple[Need, ...]) -> Sum:
        """What leaves, hosts and all spines add up to, with the links to the cores; the spine fits."""
        value = fit(spine, needs, self.shape.net.tariff)
        assert value is not None
        up = needs[1].occupied if len(needs) > 1 else 0
        one = Sum(self.shape.price(spine) + value[0], 1, up, value[2], up)
        return self.below + one.times(rest.spines)

    def core_models(self, rest: Rest, below: Sum, up: Need) -> None:
        """Cores that take every pod there may ever be: a whole design."""
        net = self.shape.net
        room = ceil_div(max(self.sides[0].segments, net.max_segments), rest.segments_per_pod[0])
        links = rest.e * (net.planes if net.join == "core" else 1)
        cores = rest.s * self.groups("spine", "core") * rest.b
        for number, core in enumerate(net.core):
            part = Sum(self.shape.price(core), 1).times(cores)
            if self.shape.search.hopeless(self.shape.tiers, below + part):
                continue
            ends = mates(up.ends, core.ends(rest.y))
            value = fit(core, (Need(max(room, rest.pods) * links, rest.y, rest.pods * links, ends=ends),), net.tariff)
            if value:
                total = below + part + Sum(value[0], 0, 0, value[2]).times(cores)
                design = replace(rest, core_number=number, core=core.name, cores=cores)
                self.shape.offer(self.sides, total, self.letters, design)


# ------------------------------------------------------------------------------------------- from an intent to numbers

ORDER = ("compute", "storage", "frontend", "oob")


@dataclass(frozen=True)
class Fleet:
    """What the networks before have installed: spare hosts by group; (switches, model) of every switch."""

    spares: dict[str, int]
    switches: tuple[tuple[int, str], ...] = ()


def solve(intent: Any, catalogue: Any) -> dict[str, Found] | None:
    """The best design of every network in order, or None if one of them has none.

    Networks whose uplinks end on another network are not for this search: there sizes depend on each other.
    """
    fleet = Fleet({})
    designs: dict[str, Found] = {}
    for name in (name for name in ORDER if name in intent.networks):
        net, groups = pose(intent, catalogue, name, fleet)
        found = search(net)
        if found is None:
            return None
        designs[name] = found
        fleet = grown(fleet, net, found, groups)
    return designs


def grown(fleet: Fleet, net: Net, found: Found, groups: list[list[str]]) -> Fleet:
    """The fleet with what this network adds. Spares of a class count for its first group."""
    installed = dict(fleet.spares)
    for kind, names, segments in zip(net.kinds, groups, found.letters["G"], strict=False):  # one, with a single tier
        if kind.spares:
            installed[names[0]] = kind.spares * segments
    letters = found.letters
    tiers = (("leaves", "leaf"), ("spines", "spine"), ("cores", "core"))
    counts = ((letters[many], letters[one]) for many, one in tiers)
    return Fleet(installed, (*fleet.switches, *((n, model) for n, model in counts if n)))


def pose(intent: Any, catalogue: Any, name: str, fleet: Fleet) -> tuple[Net, list[list[str]]]:
    """A network of an intent as numbers, and the host groups of each class."""
    asked = intent.networks[name]
    if asked.uplinks and asked.uplinks.to != "external":
        raise NotImplementedError("uplinks to another network")
    models = {model.name: box(model, intent.objective) for model in catalogue.switches.values()}
    present = [group for group in intent.hosts if group.role in asked.roles and nics_of(group, catalogue, name)]
    services = [group for group in present if group.role == "service"]
    if name == "oob" or len(services) == len(present):
        services = []
    classes = population(intent, catalogue, name, fleet, [group for group in present if group not in services])
    if name == "oob":
        classes = {management(intent, catalogue, fleet, present): [group.name for group in present]}
    planes = asked.planes if asked.planes != "auto" else math.gcd(*(kind.ports for kind in classes))
    net = Net(
        kinds=tuple(classes),
        leaf=candidates(asked, catalogue, "leaf", models),
        spine=candidates(asked, catalogue, "spine", models),
        core=candidates(asked, catalogue, "core", models),
        tiers=given(asked.tiers),
        planes=planes,
        join=asked.planes_join,
        layout=asked.layout,
        rails_per_leaf=given(asked.rails_per_leaf),
        segment_hosts=given(asked.segment_hosts),
        max_segments=given(asked.max_segments) or 0,
        min_spines=asked.min_spines,
        leaf_given=asked.oversubscription.leaf_given,
        spine_given=asked.oversubscription.spine_given,
        over_spine=asked.oversubscription.spine_or(1),
        pin_leaf=given(asked.uplink_speed_gbps.leaf),
        pin_spine=given(asked.uplink_speed_gbps.spine),
        free=asked.free_leaf_ports,
        service_ports=sum(group.count * math.prod(nics_of(group, catalogue, name)[:2]) for group in services),
        external=(asked.uplinks.count, asked.uplinks.speed_gbps) if asked.uplinks else (0, 0),
        interswitch=asked.interswitch,
        oob=name == "oob",
        tariff=Tariff(intent.objective, copper(asked.media)),
    )
    return net, list(classes.values())


def given(value: Any) -> int | None:
    """A number, or None for auto."""
    return None if value == "auto" else value


def copper(media: Any) -> bool:
    """Whether no link of the network may carry a transceiver."""
    return isinstance(media, tuple) and set(media) <= {"dac", "acc", "aec", "aoc", "copper"}


def nics_of(group: Any, catalogue: Any, name: str) -> tuple[int, int, Any]:
    """(NICs, ports of a NIC, the NIC group) of a host on a network; () where it has none."""
    groups = [nic for nic in catalogue.servers[group.model].nics if nic.network == name]
    count = sum(nic.count for nic in groups) if group.networks is None else group.networks.get(name, 0)
    return (count, groups[0].ports, groups[0]) if count else ()  # type: ignore[return-value]


def population(intent: Any, catalogue: Any, name: str, fleet: Fleet, groups: list[Any]) -> dict[Kind, list[str]]:
    """The classes: groups alike in rails, ports, speed, oversubscription of their role and spares."""
    asked = intent.networks[name]
    counts: dict[Kind, int] = {}
    names: dict[Kind, list[str]] = {}
    for group in groups:
        rails, ports, nic = nics_of(group, catalogue, name)
        first = is_primary(intent, catalogue, name, group)
        spares = group.spares_per_segment if first else 0
        over = asked.oversubscription.leaf_for(group.role)
        cages = 0 if nic.cage == "rj45" else ceil_div(rails * ports, nic.ports_per_cage)
        gbps = nic.ports_per_cage * nic.speed_gbps
        kind = Kind(0, rails, ports, nic.speed_gbps, over, spares, nic.cage == "rj45", nic_lanes(nic), cages, gbps)
        counts[kind] = counts.get(kind, 0) + group.count + (0 if first else fleet.spares.get(group.name, 0))
        names.setdefault(kind, []).append(group.name)
    return {replace(kind, hosts=count): names[kind] for kind, count in counts.items()}


CAGES = {"osfp": (8, 200), "qsfp-dd": (8, 100), "qsfp112": (4, 100), "qsfp56": (4, 50), "qsfp28": (4, 25)}
"""Lanes of a cage and the fastest of them, Gb/s; cages with one lane are left out."""


def nic_lanes(nic: Any) -> frozenset[int]:
    """n ≤ lanes of the cage / ports_per_cage, none faster than 100 Gb/s, or than the cage type's from 800G NICs on."""
    count, fastest = CAGES.get(nic.cage, (1, 100))
    limit = fastest if nic.speed_gbps >= 800 else min(fastest, 100)
    return lanes(nic.speed_gbps, count // nic.ports_per_cage, Fraction(limit))


def is_primary(intent: Any, catalogue: Any, name: str, group: Any) -> bool:
    """Whether this is the first network on which the group is not a service."""
    for other in ORDER:
        if other in intent.networks and group.role in intent.networks[other].roles and nics_of(group, catalogue, other):
            return other == name and group.role != "service"
    return False


def management(intent: Any, catalogue: Any, fleet: Fleet, groups: list[Any]) -> Kind:
    """oob: one class of endpoints with one port, of the fastest speed among them."""
    ends = [(intent_count(group, fleet) * math.prod(nics_of(group, catalogue, "oob")[:2]), group) for group in groups]
    speeds = [nics_of(group, catalogue, "oob")[2].speed_gbps for _, group in ends]
    ports = [catalogue.switches[model].management for _, model in fleet.switches]
    total = sum(count for count, _ in ends)
    total += sum(count * port.ports for (count, _), port in zip(fleet.switches, ports, strict=True))
    site = intent.site
    if site is not None:
        total += (site.rows * site.racks_per_row - len(site.occupied)) * site.pdus_per_rack
    over = intent.networks["oob"].oversubscription.leaf_for("compute")
    return Kind(total, 1, 1, max((*speeds, *(p.speed_gbps for p in ports if p.ports))), over, rj45=True)


def intent_count(group: Any, fleet: Fleet) -> int:
    """Hosts of a group, installed spares among them."""
    return int(group.count) + fleet.spares.get(group.name, 0)


def candidates(asked: Any, catalogue: Any, tier: str, models: dict[str, Box]) -> tuple[Box, ...]:
    """Candidates of a tier: as named, else all of the technology that run the NOS, in the catalogue's order."""
    if tier in asked.switches:
        return tuple(models[name] for name in asked.switches[tier])
    runs = [s for s in catalogue.switches.values() if asked.technology in s.technologies and asked.nos in s.nos]
    return tuple(models[switch.name] for switch in runs)


def box(model: Any, objective: str) -> Box:
    """A switch model in numbers."""
    groups = tuple(
        Cages(g.count, g.connectors, tuple((m.ports, m.speed_gbps) for m in g.modes), g.type == "rj45", g.lanes)
        for g in model.cages
    )
    gbps = sum(group.count * max(ports * speed for ports, speed in group.modes) for group in groups)
    price = round_half_up(Fraction(69_400 * gbps, 400)) if objective == "cost" else 1
    if objective == "power":
        price = round_half_up(Fraction(str(model.power_w.typical)) * 10)
    limit = model.max_ports_per_cage_group
    return Box(model.name, groups, price, model.max_logical_ports, (limit.cages, limit.ports) if limit else None)
