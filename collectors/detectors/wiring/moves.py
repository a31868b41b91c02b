"""The fewest moves that make a fabric's cables what the plan says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collectors.detectors.view import NONE, Ints, Mask
from collectors.detectors.wiring.cables import Cable, Option, options, wrong_cables
from collectors.detectors.wiring.claims import Links
from collectors.detectors.wiring.matching import assign
from collectors.detectors.wiring.plugs import Plugs


@dataclass(frozen=True)
class Move:
    """One end of ``cable`` (its number among the wrong ones) goes from a socket to another.

    ``source`` is negative where it is at none of the plan's ports (``Cable``).
    """

    cable: int
    source: int
    target: int


@dataclass(frozen=True)
class Work:
    """All that is to be done: moves, cables the plan does not have (numbers), planned links (ids) without a cable."""

    cables: list[Cable]
    moves: list[Move]
    extra: list[int]
    missing: list[int]


def work(found: Links, good: Mask, silent: Ints, plugs: Plugs) -> Work:
    """What makes it right. ``good``: which links are; ``silent``: planned links on which nothing is heard."""
    cables = wrong_cables(found, good, plugs)
    if not cables:
        return Work([], [], [], silent.tolist())
    used = _used(found, cables, plugs)
    spare = _by_devices(silent, plugs)
    choices = [options(cable, plugs, spare.get(_devices(cable, plugs), ())) for cable in cables]
    taken = np.bincount(plugs.run[used & (plugs.slot == 0)], minlength=len(plugs.cables))
    room = {run: int(plugs.cables[run] - taken[run]) for choice in choices for run in choice}
    runs = assign([{run: option.cost for run, option in choice.items()} for choice in choices], room)
    chosen = [(None if run is None else choice[run]) for run, choice in zip(runs, choices, strict=True)]
    moves, filled = _moves(cables, runs, chosen, used, plugs)
    missing = [link for link in silent.tolist() if not any(s in filled for s in _sockets(link, plugs))]
    return Work(cables, moves, [n for n, option in enumerate(chosen) if option is None], missing)


def _used(found: Links, cables: Sequence[Cable], plugs: Plugs) -> Mask:
    """Sockets of the cables that are right."""
    used = np.zeros(len(plugs.run), dtype=bool)
    used[plugs.socket[found.ports]] = True
    used[[socket for cable in cables for socket, _ in cable.plugs if socket >= 0]] = False
    return used


def _devices(cable: Cable, plugs: Plugs) -> frozenset[int]:
    return frozenset(int(plugs.device[socket]) if socket >= 0 else NONE for socket, _ in cable.plugs)


def _sockets(link: int, plugs: Plugs) -> tuple[int, int]:
    row = plugs.view.plan.fabric.links.row(link, named=True)
    return int(plugs.socket[row["a_port"]]), int(plugs.socket[row["b_port"]])


def _by_devices(silent: Ints, plugs: Plugs) -> dict[frozenset[int], set[int]]:
    """Runs that lack cables, by the devices they are between: a cable between the same devices may be theirs."""
    found: dict[frozenset[int], set[int]] = defaultdict(set)
    for link in silent.tolist():
        a, b = _sockets(link, plugs)
        run = int(plugs.run[a])
        if run != NONE and plugs.slots[run] == 2:
            found[frozenset({int(plugs.device[a]), int(plugs.device[b])})].add(run)
    return found


def _moves(
    cables: Sequence[Cable], runs: Sequence[int | None], chosen: Sequence[Option | None], used: Mask, plugs: Plugs
) -> tuple[list[Move], set[int]]:
    """Each move with the socket it ends in, and all sockets that are then filled."""
    filled: set[int] = set()
    wanted: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for number, (run, option) in enumerate(zip(runs, chosen, strict=True)):
        if run is None or option is None:
            continue
        moved = dict(option.moves)
        for at, (socket, _) in enumerate(cables[number].plugs):
            if at in moved:
                wanted[run, moved[at]].append((socket, number))
            else:
                filled.add(socket)
    vacated = {socket for movers in wanted.values() for socket, _ in movers}
    moves: list[Move] = []
    for (run, slot), movers in sorted(wanted.items()):
        free = [s for s in plugs.places(run, slot).tolist() if not used[s] and s not in filled]
        best = sorted(free, key=lambda socket: (socket not in vacated, socket))[: len(movers)]
        pairs = zip(sorted(movers), sorted(best), strict=True)
        moves += [Move(number, source, target) for (source, number), target in pairs]
        filled.update(best)
    return sorted(moves, key=lambda move: (move.cable, move.source)), filled
