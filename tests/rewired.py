"""A plan's cables as they may really be: every link by its two ports, and the ways to plug them wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from collectors.detectors import Signal
from collectors.detectors.view import NONE, view
from collectors.detectors.wiring.claims import Claims
from collectors.detectors.wiring.compare import Compared, compare
from collectors.detectors.wiring.plugs import plugs
from fabric.plan import Plan

End = tuple[str, str]


class Rewired:
    """Cables of a plan. ``peer``: by port, the port at the other end, or NONE."""

    def __init__(self, plan: Plan) -> None:
        """As planned."""
        self.plan, self.view = plan, view(plan)
        self.plugs = plugs(self.view)
        self.peer = self.view.peer.copy()
        names = plan.fabric.device_names().gather(plan.fabric.ports["device"])
        self.ids = {end: port for port, end in enumerate(zip(names, plan.fabric.ports["name"], strict=True))}

    def sockets_ports(self, port: int) -> list[int]:
        """The ports of a port's socket."""
        socket = self.plugs.socket[port]
        found: list[int] = self.plugs.order[self.plugs.start[socket] : self.plugs.start[socket + 1]].tolist()
        return found

    def replug(self, moves: Mapping[int, int]) -> None:
        """Move plugs at once: each from the socket of one port to that of another, which has to be empty then."""
        place = np.arange(len(self.peer))
        for source, target in moves.items():
            for before, after in zip(self.sockets_ports(source), self.sockets_ports(target), strict=False):
                place[before] = after
        links = [(x, int(y)) for x, y in enumerate(self.peer) if x < y]
        self.peer[:] = NONE
        for x, y in links:
            for own, other in ((place[x], place[y]), (place[y], place[x])):
                assert self.peer[own] == NONE, "two plugs in a socket"
                self.peer[own] = other

    def exchange(self, one: int, other: int) -> None:
        """Swap two plugs."""
        self.replug({one: other, other: one})

    def unplug(self, port: int) -> None:
        """Take a cable away."""
        for own in self.sockets_ports(port):
            if self.peer[own] != NONE:
                self.peer[self.peer[own]] = NONE
                self.peer[own] = NONE

    def claims(self, silent: Iterable[int] = ()) -> Claims:
        """What every port hears; ports of the devices ``silent`` hear nothing, but are heard."""
        far = np.where(np.isin(self.view.device, list(silent)), NONE, self.peer)
        return Claims(far, np.where(far >= 0, self.view.device[far], NONE))

    def compared(self) -> Compared:
        """Against the plan."""
        return compare(self.claims(), self.plugs)

    def mend(self, signals: Iterable[Signal]) -> int:
        """Make the moves that the signals list; how many there were."""
        moves = {
            self.port(move["from"]): self.port(move["to"])
            for signal in signals for move in signal.evidence.get("moves", ())
        }  # fmt: skip
        self.replug(moves)
        return len(moves)

    def port(self, end: Mapping[str, str]) -> int:
        """Id of a port that a finding names."""
        return self.ids[end["device"], end["port"]]

    def links(self, **where: Any) -> list[tuple[int, int]]:
        """Ports of the links that have these values; ``a_device`` and ``b_device`` may be names."""
        names = self.view.device_ids
        rows = self.plan.fabric.links.filter(pl.col("b_port").is_not_null())
        for column, value in where.items():
            rows = rows.filter(pl.col(column).cast(pl.String) == str(names.get(value, value)))
        return [(int(a), int(b)) for a, b in rows.select("a_port", "b_port").iter_rows()]

    def empty(self, device: str, like: int) -> list[int]:
        """Ports of a device without a cable, in sockets like a port's, on its network."""
        ports = np.flatnonzero(self.view.device == self.view.device_ids[device])
        size = len(self.sockets_ports(like))
        return [
            int(p) for p in ports
            if self.view.network[p] == self.view.network[like] and len(self.sockets_ports(int(p))) == size
            and all(self.peer[q] == NONE for q in self.sockets_ports(int(p)))
        ]  # fmt: skip


def told(signals: Iterable[Signal]) -> list[tuple[str, int]]:
    """Cause and number of moves of each signal."""
    return [(signal.cause, len(signal.evidence.get("moves", ()))) for signal in signals]
