"""From what neighbours say to the signals of a fabric's wrong cables."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.detectors import Signal
from collectors.detectors.wiring.claims import Claims, Links, links, right, silent
from collectors.detectors.wiring.moves import work
from collectors.detectors.wiring.patterns import faults, signal
from collectors.detectors.wiring.plugs import Plugs


@dataclass(frozen=True)
class Compared:
    """The links that were heard, how many of them are right, and a signal a fault, sorted."""

    links: Links
    right: int
    signals: tuple[Signal, ...]


def compare(claims: Claims, plugs: Plugs) -> Compared:
    """Everything that is not as planned, with the fewest moves that mend it."""
    found = links(claims, plugs)
    good = right(found, plugs)
    todo = work(found, good, silent(claims, found, plugs), plugs)
    told = tuple(signal(fault, todo, claims, plugs) for fault in faults(todo, plugs))
    return Compared(found, int(good.sum()), told)
