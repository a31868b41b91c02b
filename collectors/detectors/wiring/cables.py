"""Cables that are not as planned, and what each of them could be with the fewest ends moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from collectors.detectors.view import NONE, Mask
from collectors.detectors.wiring.claims import Links
from collectors.detectors.wiring.plugs import Plugs

MOVE = 1 << 24
"""Cost of a move; what is below it decides among equally many moves."""
UNLIKELY = 1 << 44
"""Cost of taking a cable that shows two ends for a breakout: better than none, worse than any other."""


@dataclass(frozen=True)
class Cable:
    """A cable as heard: ``links`` (ports x, y) and ``plugs``, the socket of each end with one of its ports.

    An end that is at none of the plan's ports has the socket −2 − x and the port NONE.
    """

    links: tuple[tuple[int, int], ...]
    plugs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Option:
    """A cable as one of a run: the ends that have to move (by number) and the slots they belong in, and its cost."""

    cost: int
    moves: tuple[tuple[int, int], ...]


def wrong_cables(found: Links, good: Mask, plugs: Plugs) -> list[Cable]:
    """The cables that carry a link that is not the plan's."""
    chosen = _with_siblings(found, ~good, plugs)
    groups: dict[int, int] = {}

    def root(socket: int) -> int:
        while groups.setdefault(socket, socket) != socket:
            groups[socket] = socket = groups[groups[socket]]
        return socket

    pairs = list(zip(found.x[chosen].tolist(), found.y[chosen].tolist(), strict=True))
    ends = [(int(plugs.socket[x]), int(plugs.socket[y]) if y != NONE else -2 - x) for x, y in pairs]
    for a, b in ends:
        groups[root(a)] = root(b)
    cables: dict[int, tuple[list[tuple[int, int]], dict[int, int]]] = defaultdict(lambda: ([], {}))
    for (x, y), (a, b) in zip(pairs, ends, strict=True):
        links, sockets = cables[root(a)]
        links.append((x, y))
        sockets.setdefault(a, x)
        sockets.setdefault(b, y)
    made = (Cable(tuple(links), tuple(sockets.items())) for links, sockets in cables.values())
    return sorted(made, key=lambda cable: cable.links)


def _with_siblings(found: Links, wrong: Mask, plugs: Plugs) -> Mask:
    """Wrong links, and the right ones that are in one cable with them."""
    chosen = wrong.copy()
    touched = np.zeros(len(plugs.run), dtype=bool)
    while True:
        touched[plugs.socket[found.chosen(chosen).ports]] = True
        both = touched[plugs.socket[found.x]] | touched[plugs.socket[np.where(found.y == NONE, found.x, found.y)]]
        if (both == chosen).all():
            return chosen
        chosen = both


def options(cable: Cable, plugs: Plugs, others: Iterable[int] = ()) -> dict[int, Option]:
    """What the cable could be, by run: the runs that own one of its sockets, and ``others``."""
    runs = {int(plugs.run[socket]) for socket, _ in cable.plugs if socket >= 0} | set(others)
    found: dict[int, Option] = {}
    for run in sorted(runs - {NONE}):
        fits = list(_fits(cable, run, plugs))
        if fits:
            found[run] = min(fits, key=lambda option: (option.cost, option.moves))
    return found


def _fits(cable: Cable, run: int, plugs: Plugs) -> Iterator[Option]:
    """Every way of seeing the cable as one of the run."""
    numbers = {socket: number for number, (socket, _) in enumerate(cable.plugs)}
    main = max(numbers, key=lambda socket: (_size(socket, plugs), -numbers[socket]))
    for slot in range(int(plugs.slots[run])):
        wanted = _wanted(cable, main, run, slot, plugs)
        if wanted is not None:
            moves = tuple(
                (numbers[socket], at) for socket, at in wanted.items()
                if socket < 0 or plugs.run[socket] != run or plugs.slot[socket] != at
            )  # fmt: skip
            cost = sum(MOVE + _effort(cable.plugs[number][0], run, at, plugs) for number, at in moves)
            split = plugs.slots[run] > 2 and _size(main, plugs) == 1
            yield Option(cost + UNLIKELY * int(split), moves)


def _size(socket: int, plugs: Plugs) -> int:
    return plugs.size(socket) if socket >= 0 else 0


def _wanted(cable: Cable, main: int, run: int, slot: int, plugs: Plugs) -> Mapping[int, int] | None:
    """The slot of each of the cable's sockets if ``main`` is in ``slot``; None where they do not fit."""
    wanted = {main: slot}
    for x, y in cable.links:
        a, b = int(plugs.socket[x]), int(plugs.socket[y]) if y != NONE else -2 - x
        near, other = (x, b) if a == main else (y, a)
        at = plugs.leg(run, slot, int(plugs.rank[near]) if near != NONE else 0)
        if at == NONE or wanted.setdefault(other, at) != at:
            return None
    return wanted if len(set(wanted.values())) == len(wanted) else None


def _effort(socket: int, run: int, slot: int, plugs: Plugs) -> int:
    """Among equally many moves: rather within a device than between two, and rather at switches than at hosts."""
    if socket < 0:
        return 0
    target = int(plugs.device[plugs.places(run, slot)[0]])
    device = int(plugs.device[socket])
    return 2 * (device != target) + (device < plugs.view.plan.fabric.hosts.height)
