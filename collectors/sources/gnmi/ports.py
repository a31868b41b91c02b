"""Which port of the plan a device means by a name, of an interface or of a transceiver and its lane."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.sources.gnmi.paths import LANE, PORT, TRANSCEIVER
from collectors.sources.gnmi.values import ELSEWHERE, UNKNOWN

MOST_COMPONENTS = 1 << 12
MOST_LANES = 64


class Ports:
    """The ports of one device by number; number 0 is the device itself."""

    def __init__(self, ports: Mapping[str, str]) -> None:
        self.names: list[str | None] = [None, *sorted(set(ports.values()))]
        self._named = dict(ports)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._components: dict[str, set[int]] = {}
        self._lanes: dict[int, set[str]] = {}

    def resolve(self, kind: str, subject: str) -> int:
        """Number of the port; UNKNOWN for one not in the plan, ELSEWHERE for a component that is no one port's."""
        component, _, lane = subject.partition(LANE)
        if component in self._named:
            return self._numbers[self._named[component]]
        if kind == PORT:
            return UNKNOWN
        held = self._components.get(component, set())
        if len(held) > 1:
            held = {port for port in held if lane in self._lanes.get(port, set())}
        return next(iter(held)) if len(held) == 1 else ELSEWHERE

    def link(self, place: str, port: int, value: object) -> bool:
        """Note which component a port's transceiver is, or which lanes are the port's; False if nothing is new."""
        if place == TRANSCEIVER:
            if not isinstance(value, str) or len(self._components) >= MOST_COMPONENTS:
                return False
            held = self._components.setdefault(value, set())
            new = port not in held
            held.add(port)
            return new
        listed = value if isinstance(value, list) else [value]
        lanes = {str(lane) for lane in listed[:MOST_LANES] if isinstance(lane, int)}
        new = lanes != self._lanes.get(port)
        self._lanes[port] = lanes
        return new
