"""What wrong cables are called: a swap, a rotation, a shift, a wrong rail, a wrong port, missing, extra."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from collectors.detectors import Signal
from collectors.detectors.view import NONE
from collectors.detectors.wiring.claims import Claims
from collectors.detectors.wiring.moves import Move, Work
from collectors.detectors.wiring.plugs import Plugs


@dataclass(frozen=True)
class Fault:
    """Moves that belong together (none: a cable too many or too few), and every port that is concerned."""

    cause: str
    moves: tuple[Move, ...]
    cables: tuple[int, ...]
    ports: tuple[int, ...]
    link: int = NONE
    """The planned link that is missing."""


def faults(todo: Work, plugs: Plugs) -> list[Fault]:
    """The moves in groups with a name each, then what is missing or too much; sorted."""
    groups = list(_groups(todo.moves))
    open_ones = [moves for moves in groups if not _closed(moves)]
    shifts, others = _shifts(open_ones, plugs)
    named = [("swap" if len(moves) == 2 else "rotation", moves) for moves in groups if _closed(moves)]
    named += [("shift", moves) for moves in shifts]
    for moves in others:
        astray = all(_wrong_rail(move, plugs) for move in moves)
        named.append(("wrong-rail" if astray else "wrong-port", moves))
    found = [_fault(cause, moves, todo, plugs) for cause, moves in named]
    found += [Fault("extra", (), (number,), _ports(todo, (number,))) for number in todo.extra]
    links = plugs.view.plan.fabric.links
    for link in todo.missing:
        ends = tuple(int(links[column][link]) for column in ("a_port", "b_port"))
        found.append(Fault("missing", (), (), ends, link))
    return sorted(found, key=lambda fault: (fault.cause, fault.ports))


def _groups(moves: Iterable[Move]) -> Iterator[list[Move]]:
    """Moves that hang together: of one cable, or one into the socket that the other leaves."""
    parent: dict[object, object] = {}

    def root(key: object) -> object:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    listed = list(moves)
    for move in listed:
        for key in (("cable", move.cable), move.source, move.target):
            parent[root(key)] = root(("move", move))
    found: dict[object, list[Move]] = defaultdict(list)
    for move in listed:
        found[root(("move", move))].append(move)
    yield from found.values()


def _closed(moves: Iterable[Move]) -> bool:
    """Whether every end goes where another of them was."""
    return {move.target for move in moves} == {move.source for move in moves}


def _shifts(groups: Iterable[list[Move]], plugs: Plugs) -> tuple[list[list[Move]], list[list[Move]]]:
    """Two or more ends of one device that are all off by as much; and the rest."""
    by_step: dict[tuple[int, int, int], list[list[Move]]] = defaultdict(list)
    rest: list[list[Move]] = []
    for moves in groups:
        steps = {_step(move, plugs) for move in moves}
        step = steps.pop() if len(steps) == 1 else None
        if step is None:
            rest.append(moves)
        else:
            by_step[step].append(moves)
    shifts: list[list[Move]] = []
    for _, found in sorted(by_step.items()):
        together = [move for moves in found for move in moves]
        if len(together) > 1 and not all(_wrong_rail(move, plugs) for move in together):
            shifts.append(together)
        else:
            rest += found
    return shifts, rest


def _step(move: Move, plugs: Plugs) -> tuple[int, int, int] | None:
    """Device, network, and by how many ports the end is off; None where it has to go to another device."""
    if move.source < 0 or plugs.device[move.source] != plugs.device[move.target]:
        return None
    ports = plugs.view.plan.fabric.ports["number"]
    near, far = plugs.first(move.source), plugs.first(move.target)
    if plugs.view.network[near] != plugs.view.network[far]:
        return None
    return int(plugs.device[move.source]), int(plugs.view.network[near]), int(ports[near]) - int(ports[far])


def _wrong_rail(move: Move, plugs: Plugs) -> bool:
    """Whether the end is at a switch or NIC of another rail than the cable's."""
    rail = int(plugs.view.rail[plugs.first(move.target)])
    if move.source < 0 or rail == NONE:
        return False
    fabric = plugs.view.plan.fabric
    device = int(plugs.device[move.source]) - fabric.hosts.height
    if device < 0:
        own = int(plugs.view.rail[plugs.first(move.source)])
        return own not in (NONE, rail)
    first, rails = fabric.switches["rail"][device], int(fabric.switches["rails"][device])
    return first is not None and not first <= rail < first + rails


def _ports(todo: Work, cables: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({p for n in cables for link in todo.cables[n].links for p in link if p != NONE}))


def _fault(cause: str, moves: list[Move], todo: Work, plugs: Plugs) -> Fault:
    cables = tuple(sorted({move.cable for move in moves}))
    ends = {plugs.first(move.target) for move in moves}
    return Fault(cause, tuple(moves), cables, tuple(sorted({*_ports(todo, cables), *ends})))


def signal(fault: Fault, todo: Work, claims: Claims, plugs: Plugs) -> Signal:
    """A fault as detectors tell it."""
    if fault.link != NONE:
        return Signal("miswire", fault.cause, plugs.view.link_of(fault.ports[0]), {"level": 1}, fault.ports)
    tell = _Tell(todo, claims, plugs)
    at = [tell.port_of(move) for move in fault.moves if move.source >= 0]
    kept = [port for number in fault.cables for port in _ports(todo, (number,))]
    subject = {"ends": [plugs.view.end(port) for port in sorted(set(at) or set(kept))]}
    evidence = {
        "level": max(1, len(fault.moves)),
        "moves": [tell.move(move) for move in fault.moves],
        "links": [list(pair) for number in fault.cables for pair in tell.links(number)],
    }
    astray = sum(_wrong_rail(move, plugs) for move in fault.moves)
    if astray:
        evidence["wrong_rails"] = astray
    return Signal("miswire", fault.cause, subject, evidence, fault.ports)


class _Tell:
    """Cables and moves by name."""

    def __init__(self, todo: Work, claims: Claims, plugs: Plugs) -> None:
        self.todo, self.claims, self.plugs = todo, claims, plugs

    def port_of(self, move: Move) -> int:
        """The port at which the end is."""
        return dict(self.todo.cables[move.cable].plugs)[move.source]

    def move(self, move: Move) -> Mapping[str, Any]:
        """From where, to where, and where the cable's other ends are."""
        cable = self.todo.cables[move.cable]
        others = [self._end(socket, port) for socket, port in cable.plugs if socket != move.source]
        source = self._end(move.source, dict(cable.plugs)[move.source])
        return {"from": source, "to": self.plugs.view.end(self.plugs.first(move.target)), "other": others}

    def links(self, number: int) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
        """The links of a cable as heard."""
        for x, y in self.todo.cables[number].links:
            yield self.plugs.view.end(x), self._end(-2 - x if y == NONE else 0, y)

    def _end(self, socket: int, port: int) -> Mapping[str, str]:
        if port != NONE:
            return self.plugs.view.end(port)
        return {"neighbour": " ".join(filter(None, self.claims.said.get(-2 - socket, ())))}
