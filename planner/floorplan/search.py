"""Improving a placement by swaps, priced exactly.

``where[r]`` is the place of rack r; every place holds one rack, numbers from ``len(racks)`` on stand for places left
empty. ``worth[r, p]`` is what rack r's cables would cost at place p, all others staying.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from planner.floorplan.flows import Flows, Places
from planner.floorplan.racks import Floats, Ints

MOST_WORK = 4e9
"""Matrix cells looked at before the search stops: some seconds, and the same on every machine."""
LEAST_GAIN = 0.5
"""Cents below which a swap is not worth making."""


@dataclass
class Standing:
    """A placement and what each rack would cost elsewhere."""

    flows: Flows
    places: Places
    where: Ints
    worth: Floats
    partners: list[tuple[Ints, Ints]]
    """By rack: its partners and the classes of the pairs."""

    @classmethod
    def of(cls, flows: Flows, places: Places, where: Ints) -> Standing:
        """The state of a placement of all places (racks and empty ones)."""
        size = len(places)
        inner = flows.b >= 0
        one = np.concatenate([flows.a[inner], flows.b[inner]])
        other = np.concatenate([flows.b[inner], flows.a[inner]])
        kind = np.tile(flows.kind[inner], 2)
        order = np.argsort(one, kind="stable")
        cuts = np.searchsorted(one[order], np.arange(size + 1))
        partners = [(other[order[s:e]], kind[order[s:e]]) for s, e in pairwise(cuts.tolist())]
        worth = np.zeros((size, size))
        for a, c in zip(flows.a[~inner], flows.kind[~inner], strict=True):
            worth[a] += flows.tidy[c, places.out]
        for rack, (mates, classes) in enumerate(partners):
            for mate, c in zip(mates, classes, strict=True):
                worth[rack] += flows.tidy[c, places.between[where[mate]]]
        return cls(flows, places, where.copy(), worth, partners)

    def gain(self, a: int, b: int) -> float:
        """Cents that a swap of two racks changes; below 0 it is cheaper."""
        here, there = self.where[a], self.where[b]
        change = self.worth[a, there] - self.worth[a, here] + self.worth[b, here] - self.worth[b, there]
        mates, classes = self.partners[a]
        joint = self.flows.tidy[classes[mates == b]]
        if len(joint):
            apart, none = self.places.between[here, there], self.places.between[here, here]
            change += 2 * float((joint[:, apart] - joint[:, none]).sum())
        return float(change)

    def swap(self, a: int, b: int) -> None:
        """Exchange the places of two racks."""
        here, there = self.where[a], self.where[b]
        self.where[a], self.where[b] = there, here
        for rack, old, new in ((a, here, there), (b, there, here)):
            mates, classes = self.partners[rack]
            if len(mates):
                cents, between = self.flows.tidy[classes], self.places.between
                # A rack joined twice to one mate is there in two rows: add.at, not +=.
                np.add.at(self.worth, mates, cents[:, between[new]] - cents[:, between[old]])

    def gains(self) -> Floats:
        """Cents that each swap changes, a square; pairs with cables between them are out by those."""
        moved = self.worth[:, self.where] - self.worth[np.arange(len(self.where)), self.where][:, None]
        return np.asarray(moved + moved.T)


def total(flows: Flows, places: Places, where: Ints) -> float:
    """Cents of the cables between racks."""
    inner = flows.b >= 0
    between = places.between[where[flows.a[inner]], where[flows.b[inner]]]
    cents = float(flows.cents[flows.kind[inner], between].sum())
    return cents + float(flows.cents[flows.kind[~inner], places.out[where[flows.a[~inner]]]].sum())


def polished(flows: Flows, places: Places, where: Ints) -> Ints:
    """The placement after all swaps that make it cheaper, the best of each rack first; the same one every time."""
    standing = Standing.of(flows, places, where)
    size = len(places)
    for _ in range(max(1, min(200, int(MOST_WORK / (8 * size * size))))):
        gains = standing.gains()
        best = gains.argmin(axis=1)
        value = gains[np.arange(size), best]
        made = 0
        for rack in np.lexsort((np.arange(size), value)).tolist():
            if value[rack] >= -LEAST_GAIN:
                break
            if standing.gain(rack, int(best[rack])) < -LEAST_GAIN:
                standing.swap(rack, int(best[rack]))
                made += 1
        if not made:
            break
    return standing.where
