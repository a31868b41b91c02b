"""Who waits for whom among ports that are paused: from every victim to the root that it waits for.

A port that is paused waits for its neighbour, because something that the neighbour has to send on stands still: one of
the neighbour's other ports that are paused. Which of them is not known from counters, so any will do. What leads to a
host is a storm of that host's NIC; what leads to a port at line rate is contention; of the rest, a circle of ports that
wait for each other is a deadlock, and where a chain ends at a neighbour that waits for nothing, nobody knows why.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from collectors.detectors.view import Mask, View


@dataclass(frozen=True)
class Root:
    """What holds others up. ``ports``: those of the root itself; ``victims``: ports that wait for it, sorted."""

    cause: str
    ports: tuple[int, ...]
    victims: tuple[int, ...]


class Waits:
    """The graph of the ports that are paused (``stuck``)."""

    def __init__(self, view: View, stuck: Mask) -> None:
        self.view = view
        self.stuck: list[int] = np.flatnonzero(stuck).tolist()
        self.into: Mapping[int, list[int]] = self._by_device(int(view.device[view.peer[p]]) for p in self.stuck)
        self.out: Mapping[int, list[int]] = self._by_device(int(view.device[p]) for p in self.stuck)

    def _by_device(self, devices: Iterable[int]) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for port, device in zip(self.stuck, devices, strict=True):
            found[device].append(port)
        return found

    def roots(self, busy: Callable[[int], Iterable[int]]) -> Iterator[Root]:
        """Every root, in the order of causes and ports. ``busy``: a device's ports that send at line rate."""
        left = set(self.stuck)
        sinks = [port for port in self.stuck if self.view.host_facing[port]]
        yield from self._behind(sinks, "nic-storm", left)
        full = sorted({q for device in {self._next(p) for p in left} for q in busy(device)})
        yield from self._behind(full, "contention", left)
        circles = self._circles(left)
        yield from self._behind_all(circles, "deadlock", left)
        ends = sorted(port for port in left if not self._waits_for(port, left))
        yield from self._behind(ends, "unexplained", left)

    def _next(self, port: int) -> int:
        return int(self.view.device[self.view.peer[port]])

    def _waits_for(self, port: int, among: set[int]) -> list[int]:
        """Ports that a port may wait for."""
        back = self.view.peer[port]
        return [q for q in self.out.get(self._next(port), ()) if q in among and q != back]

    def _behind(self, roots: Iterable[int], cause: str, left: set[int]) -> Iterator[Root]:
        """A root a port; what it explains is taken from ``left``."""
        yield from self._behind_all([(root,) for root in roots], cause, left)

    def _behind_all(self, roots: Iterable[tuple[int, ...]], cause: str, left: set[int]) -> Iterator[Root]:
        for ports in roots:
            if cause != "contention" and not left.issuperset(ports):
                continue
            left.difference_update(ports)
            victims = self._upstream(ports, left)
            left.difference_update(victims)
            if victims or cause != "contention":
                yield Root(cause, ports, tuple(sorted(victims)))

    def _upstream(self, ports: Iterable[int], left: set[int]) -> set[int]:
        """Ports of ``left`` that wait for these, or for others that do."""
        found: set[int] = set()
        queue = deque(ports)
        seen: dict[int, int] = defaultdict(int)
        while queue:
            port = queue.popleft()
            device, back = int(self.view.device[port]), int(self.view.peer[port])
            # hosts send nothing on; and two ports of a device have explained all that wait for it
            if seen[device] > 1 or not self.view.on_switch[port]:
                continue
            seen[device] += 1
            for waiting in self.into.get(device, ()):
                if waiting in left and waiting not in found and waiting != back:
                    found.add(waiting)
                    queue.append(waiting)
        return found

    def _circles(self, left: set[int]) -> list[tuple[int, ...]]:
        """Ports that wait for each other in circles: strongly connected ones, a tuple each."""
        rest = set(left)
        while True:
            ends = {port for port in rest if not self._waits_for(port, rest)}
            waited = {q for port in rest - ends for q in self._waits_for(port, rest)}
            if not ends and waited == rest:
                break
            rest = (rest - ends) & waited
        found = []
        while rest:
            port = min(rest)
            circle = _reach(port, rest, self._waits_for) & _reach(port, rest, self._waited_by)
            if len(circle) > 1:
                found.append(tuple(sorted(circle)))
            rest -= circle
        return found

    def _waited_by(self, port: int, among: set[int]) -> list[int]:
        back = self.view.peer[port]
        return [p for p in self.into.get(int(self.view.device[port]), ()) if p in among and p != back]


def _reach(port: int, among: set[int], step: Callable[[int, set[int]], list[int]]) -> set[int]:
    """All that a port comes to, itself too."""
    found, queue = {port}, [port]
    while queue:
        for other in step(queue.pop(), among):
            if other not in found:
                found.add(other)
                queue.append(other)
    return found
