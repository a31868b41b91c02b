"""Who has which share of a pool: shares depend on the pool alone, so that growth moves nobody.

A pool is cut in fixed parts, network by network and kind by kind. The classes of a network begin far apart within
their part (class 0 at its start, 1 at its half, 2 at a quarter, 3 at three quarters …) and grow towards each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fabric.errors import Problem

Share = tuple[Fraction, Fraction]
"""Begin and size as parts of a whole."""

_HALF, _QUARTER, _EIGHTH = Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)
NETWORKS: dict[str, Share] = {
    "compute": (Fraction(0), _HALF),
    "storage": (_HALF, _QUARTER),
    "frontend": (Fraction(3, 4), _EIGHTH),
    "oob": (Fraction(7, 8), _EIGHTH),
}
"""Of loopbacks, links and AS numbers."""
HOST_NETWORKS: dict[str, Share] = {**NETWORKS, "frontend": (Fraction(3, 4), _QUARTER)}
"""Of host addresses, where oob has none."""
SWITCHES: dict[str, Share] = {
    "leaf": (Fraction(0), _HALF),
    "spine": (_HALF, _QUARTER),
    "core": (Fraction(3, 4), _QUARTER),
}
"""Of a network's loopbacks and AS numbers."""
LINKS: dict[str, Share] = {
    "leaf-spine": (Fraction(0), _HALF),
    "spine-core": (_HALF, _QUARTER),
    "leaf-leaf": (Fraction(3, 4), _EIGHTH),
    "uplink": (Fraction(7, 8), _EIGHTH),
}
"""Of a network's links."""


@dataclass(frozen=True)
class Claim:
    """What one kind of thing takes of a pool, in units of the pool: ``count`` things of ``stride`` from ``begin``."""

    what: str
    begin: int
    share: Fraction
    """Units until the next claim may begin, exactly: half a unit where the pool is that small."""
    stride: int
    count: int

    @property
    def room(self) -> int:
        """Whole units until the next claim may begin."""
        return int(self.share)

    @property
    def needed(self) -> int:
        """Units taken from ``begin``."""
        return self.stride * self.count

    @property
    def missing(self) -> int:
        """Units too few; 0 where all fits."""
        return max(0, self.needed - self.room)


@dataclass(frozen=True)
class Part:
    """Units ``begin`` … of a pool; ``size`` is exact, and below 1 where the pool is that small."""

    begin: int
    size: Fraction


def part(size: int, *shares: Share) -> Part:
    """A part of a part of ``size`` units."""
    begin, length = Fraction(0), Fraction(1)
    for first, share in shares:
        begin, length = begin + first * length, length * share
    return Part(int(begin * size), length * size)


def class_begin(number: int) -> Fraction:
    """Where a class begins within its part: 0, 1/2, 1/4, 3/4, 1/8 … (the number's bits, mirrored)."""
    begin, weight = Fraction(0), _HALF
    while number:
        begin += weight * (number & 1)
        number, weight = number >> 1, weight / 2
    return begin


def classes(size: Fraction, strides: Sequence[int], counts: Sequence[int], what: Sequence[str]) -> Iterator[Claim]:
    """Claims of the classes of a part of ``size`` units; a class has room until the next one begins."""
    begins = [class_begin(number) * size for number in range(len(counts))]
    for number, begin in enumerate(begins):
        end = min((other for other in begins if other > begin), default=size)
        yield Claim(what[number], int(begin), end - begin, strides[number], counts[number])


def times_larger(claims: Iterable[Claim]) -> int:
    """By how many times (a power of two) a pool must grow until all claims fit; 1 where they do."""
    worst = max((claim.needed / claim.share for claim in claims), default=Fraction(1))
    factor = 1
    while factor < worst:
        factor *= 2
    return factor


def exhausted(where: str, pool: str, claims: Sequence[Claim], unit: str, remedy: str) -> Iterator[Problem]:
    """A problem for each claim that does not fit."""
    for claim in claims:
        if claim.missing:
            what = f"{pool} is too small: {claim.what} {claim.needed:,} {unit}, its share of the pool is {claim.room:,}"
            yield Problem(where, f"{what}, {claim.missing:,} too few", remedy)
