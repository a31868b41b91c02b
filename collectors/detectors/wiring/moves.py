"""The fewest moves that make a fabric's cables what the plan says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collectors.detectors.view import NONE, Ints, Mask
from collectors.detectors.wiring.cables import Cable, Option, options, wrong_cables
from collectors.detectors.wiring.claims import Links, Silent
from collectors.detectors.wiring.matching import assign
from collectors.detectors.wiring.plugs import Plugs

MOST_TRIED = 100_000
"""Pairs of a cable without a run and a run without a cable that are looked at."""


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


def work(found: Links, good: Mask, silent: Silent, plugs: Plugs) -> Work:
    """What makes it right. ``good``: which links are; ``silent``: planned links on which nothing is heard."""
    cables = wrong_cables(found, good, plugs)
    if not cables and not len(silent.both) and not len(silent.one):
        return Work([], [], [], [])
    used = _used(found, cables, plugs)
    spare = _by_devices(silent.both, plugs)
    choices = [options(cable, plugs, spare.get(_devices(cable, plugs), ())) for cable in cables]
    taken = np.bincount(plugs.run[used & (plugs.slot == 0)], minlength=len(plugs.cables))
    runs = _assigned(choices, plugs.cables - taken)
    if None in runs and (bare := _bare(cables, runs, plugs.cables - taken, plugs)):
        alone = [number for number, run in enumerate(runs) if run is None]
        for number in alone if len(alone) * len(bare) <= MOST_TRIED else ():
            choices[number] = options(cables[number], plugs, bare)
        runs = _assigned(choices, plugs.cables - taken)
    chosen = [(None if run is None else choice[run]) for run, choice in zip(runs, choices, strict=True)]
    moves, filled = _moves(cables, runs, chosen, used, plugs)
    lacking = plugs.cables - taken - np.bincount([r for r in runs if r is not None], minlength=len(taken))
    missing = _missing(silent, lacking, used, filled, plugs)
    return Work(cables, moves, [n for n, option in enumerate(chosen) if option is None], missing)


def _assigned(choices: Sequence[Mapping[int, Option]], left: Ints) -> list[int | None]:
    """The run of each cable; ``left``: by run, how many cables it lacks."""
    room = {run: int(left[run]) for choice in choices for run in choice}
    return assign([{run: option.cost for run, option in choice.items()} for choice in choices], room)


def _bare(cables: Sequence[Cable], runs: Sequence[int | None], left: Ints, plugs: Plugs) -> list[int]:
    """Runs in whose sockets wrong cables are, and which still lack cables: those that have no run may be theirs."""
    touched = {int(plugs.run[socket]) for cable in cables for socket, _ in cable.plugs if socket >= 0} - {NONE}
    given = Counter(runs)
    return sorted(run for run in touched if left[run] > given[run])


def _missing(silent: Silent, lacking: Ints, used: Mask, filled: set[int], plugs: Plugs) -> list[int]:
    """Links that no move fills. Where one end has another cable, as many as their run still lacks."""
    both = [link for link in silent.both.tolist() if not any(s in filled for s in _sockets(link, plugs))]
    left = lacking.copy()
    cable = plugs.view.plan.fabric.links["cable"]
    for socket in {_main(link, plugs) for link in both}:
        left[plugs.run[socket]] -= not used[socket]
    found: dict[int, list[int]] = defaultdict(list)
    for link in silent.one.tolist():
        found[int(cable[link])].append(link)
    for links in found.values():
        run = plugs.run[_main(links[0], plugs)]
        if left[run] > 0:
            left[run] -= 1
            both += links
    return sorted(both)


def _main(link: int, plugs: Plugs) -> int:
    """The link's end that is in slot 0, or the ``a`` end of one whose cable has no such end here."""
    a, b = _sockets(link, plugs)
    return b if plugs.slot[b] == 0 else a


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
