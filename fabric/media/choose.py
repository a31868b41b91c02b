"""The choice of parts for each kind of cable.

Kinds whose cages can hang together form a *family*: they get one way of doing it (``Way``: fibre between optics of one
lane speed, assemblies of one medium, or twisted pair), because the plug that fills a cage serves all of its cables. Of
the ways allowed the best has the fewest cables without a part, then the cheapest plugs and assemblies, then the least
reach, the least power, and the cheapest fibre; the catalogue's order breaks ties.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from fabric.catalogue import Cable, Catalogue, Optic, Prices
from fabric.media.kinds import OPTICAL, End, Kind
from fabric.media.prices import cable_cents, optic_cents

UNRESOLVED = "unresolved"
ASSEMBLIES = ("dac", "acc", "aec", "aoc")
"""Media of cables that have their own ends for pluggable cages."""


class Choice(NamedTuple):
    """What a cable is made of; optics are empty where it has its own ends, ``lane_gbps`` None where nothing says."""

    medium: str
    part: str
    polarity: str
    a_optic: str
    b_optic: str
    length_m: float
    lane_gbps: float | None = None
    own_ends: bool = False


class Score(NamedTuple):
    """What is compared, smaller first: cables without a part, cents of plugs, reach, watts, cents of fibre.

    The rule prices all optics of a speed alike; of those the one that reaches no further than it must is the cheaper.
    """

    missing: float = 0
    cents: float = 0
    reach_m: float = 0
    watts: float = 0
    fibre_cents: float = 0

    def plus(self, other: Score, times: int = 1) -> Score:
        """The sum with ``times`` others."""
        return Score(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


class Way(NamedTuple):
    """One way of doing a family: a medium, and for optics what both ends must have in common."""

    medium: str
    lane_gbps: float = 0
    wavelengths: int = 0


@dataclass
class Parts:
    """The catalogue with prices. ``stretch``: lengths are estimates, and bend to what a wanted medium reaches."""

    catalogue: Catalogue
    prices: Prices
    stretch: bool
    plugs: dict[tuple[End, Way], Optic | None] = field(default_factory=dict)
    """What the cages of the family at hand already hold."""


def choose(kinds: Sequence[Kind], catalogue: Catalogue, prices: Prices, *, stretch: bool = False) -> list[Choice]:
    """The choice for each kind, in their order."""
    families: dict[tuple[object, ...], list[int]] = {}
    for number, kind in enumerate(kinds):
        key = (kind.network, kind.tier, kind.media, kind.shape, kind.reach_m, _twisted(kind))
        families.setdefault(key, []).append(number)
    chosen: dict[int, Choice] = {}
    for numbers in families.values():
        family = sorted(numbers, key=lambda n: (-kinds[n].count, n))
        found = _choose_family([kinds[n] for n in family], catalogue, prices, stretch)
        chosen.update(zip(family, found, strict=True))
    return [chosen[number] for number in range(len(kinds))]


def _choose_family(family: list[Kind], catalogue: Catalogue, prices: Prices, stretch: bool) -> list[Choice]:
    best: tuple[Score, list[Choice]] | None = None
    for way in _ways(family[0], catalogue):
        parts = Parts(catalogue, prices, stretch)
        score, choices = Score(), []
        for kind in family:
            one, choice = _made(kind, way, parts)
            score = score.plus(one, kind.count)
            choices.append(choice)
        if best is None or score < best[0]:
            best = score, choices
    return best[1] if best else [_nothing(kind) for kind in family]


def _twisted(kind: Kind) -> bool:
    return any(end.cage == "rj45" for end in kind.ends)


def _ways(kind: Kind, catalogue: Catalogue) -> list[Way]:
    if _twisted(kind):
        return [Way("copper")]
    allowed = kind.media or (*ASSEMBLIES, *OPTICAL)
    optics = (Way(o.medium, o.lane_gbps, o.wavelengths) for o in catalogue.optics.values() if o.medium in allowed)
    assemblies = [Way(medium) for medium in ASSEMBLIES if medium in allowed and kind.shape != (0, 0)]
    return [*dict.fromkeys(optics), *assemblies]


def _made(kind: Kind, way: Way, parts: Parts) -> tuple[Score, Choice]:
    if way.medium in OPTICAL:
        return _optical(kind, way, parts)
    return _assembled(kind, way, parts)


def _nothing(kind: Kind) -> Choice:
    """No way at all: the medium is the first that was asked for."""
    medium = next(iter(kind.media), "singlemode")
    optic = UNRESOLVED if medium in OPTICAL else ""
    return Choice(medium, UNRESOLVED, "", optic, optic if kind.b else "", kind.way_m)


# --- fibre between optics ----------------------------------------------------------------------------------------


def _optical(kind: Kind, way: Way, parts: Parts) -> tuple[Score, Choice]:
    """The best pair of optics and a fibre that fits both; a cage that has its plug keeps it."""
    plugs = [_plugs(end, way, kind.reach_m, parts) for end in kind.ends]
    scored = [_with_fibre(kind, way, pair, parts) for pair in product(*plugs)]
    score, choice, pair = min(scored, key=lambda found: found[0])
    parts.plugs.update(((end, way), optic) for end, optic in zip(kind.ends, pair, strict=True))
    return score, choice


def _plugs(end: End, way: Way, reach_m: float, parts: Parts) -> list[Optic | None]:
    """Optics for a cage: right form, breakout, connectors, lanes and reach; ``None`` where there is none."""
    if (end, way) in parts.plugs:
        return [parts.plugs[end, way]]
    found = [
        optic
        for form in end.forms
        for optic in parts.catalogue.optics.values()
        if optic.cage == form
        and end.mode in optic.modes
        and optic.ports == end.connectors
        and Way(optic.medium, optic.lane_gbps, optic.wavelengths) == way
        and optic.reach_m >= reach_m
    ]
    return [*found] or [None]


def _with_fibre(
    kind: Kind, way: Way, pair: tuple[Optic | None, ...], parts: Parts
) -> tuple[Score, Choice, tuple[Optic | None, ...]]:
    fibre = min(_fibres(kind, way, pair, parts), key=lambda cable: _fibre_cents(kind, cable, parts), default=None)
    missing = sum(optic is None for optic in pair) + (fibre is None)
    plugged = [(_share(kind, side), optic) for side, optic in enumerate(pair) if optic is not None]
    score = Score(
        missing=missing,
        cents=sum(share * optic_cents(parts.prices, optic).cents for share, optic in plugged),
        reach_m=sum(share * optic.reach_m for share, optic in plugged),
        watts=sum(share * optic.power_w for share, optic in plugged),
        fibre_cents=0 if fibre is None else _fibre_cents(kind, fibre, parts),
    )
    names = [UNRESOLVED if optic is None else optic.name for optic in pair]
    choice = Choice(
        medium=way.medium,
        part=UNRESOLVED if missing or fibre is None else fibre.name,
        polarity=(fibre.polarity or "") if fibre and not missing else "",
        a_optic=names[0],
        b_optic=names[1] if kind.b else "",
        length_m=(fibre and fibre.length_at_least(kind.way_m)) or kind.way_m,
        lane_gbps=way.lane_gbps / way.wavelengths,
    )
    return score, choice, pair


def _share(kind: Kind, side: int) -> float:
    """Part of a plug that one cable takes."""
    ends = (kind.a_ends, kind.b_ends)[side]
    return ends / kind.ends[side].connectors


def _fibre_cents(kind: Kind, cable: Cable, parts: Parts) -> int:
    length = cable.length_at_least(kind.way_m)
    assert length is not None
    return cable_cents(parts.prices, cable, length).cents


def _fibres(kind: Kind, way: Way, pair: tuple[Optic | None, ...], parts: Parts) -> Iterator[Cable]:
    """Fibres long enough, split as the ends are, with the connectors of the optics (a missing optic asks nothing)."""
    a, b = pair[0], pair[1] if kind.b else None
    splits = kind.a.split, kind.b.split if kind.b else 1
    fan, rest = divmod(max(splits), min(splits))
    pairs = kind.a_ends if fan == 1 and kind.a_ends == kind.b_ends else 1
    trunk, tail = (b, a) if splits[1] > splits[0] else (a, b)
    for cable in parts.catalogue.cables.values():
        long_enough = cable.medium == way.medium and cable.length_at_least(kind.way_m) is not None
        if rest or not long_enough or cable.breakouts != fan or cable.pairs != pairs:
            continue
        if _joins(cable, trunk, tail) or (fan == 1 and _joins(cable, tail, trunk)):
            yield cable


def _joins(cable: Cable, a: Optic | None, b: Optic | None) -> bool:
    at_b = cable.connector_b or cable.connector
    return (a is None or a.connector == cable.connector) and (b is None or b.connector == at_b)


# --- cables with their own ends ----------------------------------------------------------------------------------


def _assembled(kind: Kind, way: Way, parts: Parts) -> tuple[Score, Choice]:
    """The cheapest assembly between whole cages, or a twisted pair."""
    fitting = [(cable, length) for cable in _assemblies(kind, way, parts) if (length := _length(kind, cable, parts))]
    if not fitting:
        return Score(missing=1), Choice(way.medium, UNRESOLVED, "", "", "", kind.way_m)
    share = _share(kind, 1 if kind.b and _fans_from_b(kind) else 0)
    cable, length = min(fitting, key=lambda found: cable_cents(parts.prices, *found).cents)
    watts = share * cable.power_w_per_end * (1 + cable.breakouts)
    score = Score(cents=share * cable_cents(parts.prices, cable, length).cents, watts=watts)
    own_ends = way.medium in ASSEMBLIES
    return score, Choice(way.medium, cable.name, cable.polarity or "", "", "", length, own_ends=own_ends)


def _length(kind: Kind, cable: Cable, parts: Parts) -> float | None:
    """The purchasable length for the longest way of the component."""
    wanted = kind.reach_m if cable.medium in ASSEMBLIES else kind.way_m
    return cable.length_at_least(min(wanted, cable.lengths_m[-1]) if parts.stretch else wanted)


def _fans_from_b(kind: Kind) -> bool:
    return kind.b is not None and kind.b.mode.total_gbps > kind.a.mode.total_gbps


def _assemblies(kind: Kind, way: Way, parts: Parts) -> Iterator[Cable]:
    """Assemblies whose plugs fit the cages and whose fan is what one cage has more of than the others."""
    if kind.b is None:
        return
    trunk, tail = (kind.b, kind.a) if _fans_from_b(kind) else (kind.a, kind.b)
    trunks, tails = kind.shape[::-1] if _fans_from_b(kind) else kind.shape
    fan, rest = divmod(trunk.mode.total_gbps, tail.mode.total_gbps)
    if rest or (way.medium in ASSEMBLIES and (trunks != 1 or not 1 <= tails <= fan)):
        return
    for cable in parts.catalogue.cables.values():
        fast = cable.speed_gbps is not None and cable.speed_gbps >= trunk.mode.total_gbps
        if cable.medium == way.medium and fast and cable.breakouts == fan and cable.cages is not None:
            a, b = cable.cages
            if (a in trunk.forms and b in tail.forms) or (fan == 1 and b in trunk.forms and a in tail.forms):
                yield cable
