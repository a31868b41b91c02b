"""Racks before they have a place: what each holds, counted in units and watts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fabric.intent.site import Site

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
EVERY = -1
"""Block of a rack that serves the whole room."""


@dataclass
class Devices:
    """What is put into racks: by device id, units, most watts, and where it ended up (-1: nowhere yet)."""

    units: Ints
    watts: Floats
    rack: Ints
    unit: Ints

    @classmethod
    def of(cls, units: Ints, watts: Floats) -> Devices:
        """None of them is in a rack."""
        none = np.full(len(units), -1)
        return cls(units, watts, none.copy(), none.copy())


@dataclass
class Racks:
    """Racks that are being filled: hosts from the bottom up, switches from the top down; a list entry a rack."""

    site: Site
    devices: Devices
    block: list[int] = field(default_factory=list)
    side: list[int] = field(default_factory=list)
    hosts: list[bool] = field(default_factory=list)
    low: list[int] = field(default_factory=list)
    """Units taken from the bottom."""
    high: list[int] = field(default_factory=list)
    """Units taken from the top."""
    watts: list[float] = field(default_factory=list)
    held: list[set[tuple[str, int]]] = field(default_factory=list)
    """Networks and planes of the switches."""

    def __len__(self) -> int:
        return len(self.block)

    @property
    def limit_w(self) -> float:
        """Power of a rack in watts; a thousandth of a watt forgives the rounding of sums."""
        return self.site.rack_power_kw * 1000 + 1e-3

    def add(self, block: int, side: int, hosts: bool) -> int:
        """A new, empty rack."""
        for column, value in ((self.block, block), (self.side, side), (self.low, 0), (self.high, 0)):
            column.append(value)
        self.hosts.append(hosts)
        self.watts.append(0.0)
        self.held.append(set())
        return len(self) - 1

    def fits(self, rack: int, units: int, watts: float) -> bool:
        """There is room for so much more."""
        free = self.site.rack_units - self.low[rack] - self.high[rack]
        return units <= free and self.watts[rack] + watts <= self.limit_w

    def put_hosts(self, rack: int, chosen: Ints) -> None:
        """Stack devices from the bottom up."""
        units = self.devices.units[chosen]
        self.devices.rack[chosen] = rack
        self.devices.unit[chosen] = np.where(units > 0, self.low[rack] + 1 + np.cumsum(units) - units, 0)
        self.low[rack] += int(units.sum())
        self.watts[rack] += float(self.devices.watts[chosen].sum())

    def put_switches(self, rack: int, chosen: Ints) -> None:
        """Hang devices from the top down."""
        units = self.devices.units[chosen]
        self.devices.rack[chosen] = rack
        self.devices.unit[chosen] = self.site.rack_units - self.high[rack] - np.cumsum(units) + 1
        self.high[rack] += int(units.sum())
        self.watts[rack] += float(self.devices.watts[chosen].sum())

    def total(self, chosen: Ints) -> tuple[int, float]:
        """Units and watts of devices."""
        return int(self.devices.units[chosen].sum()), float(self.devices.watts[chosen].sum())

    def each_fits(self, parts: Iterable[Ints]) -> bool:
        """Each part fits an empty rack."""
        return all(u <= self.site.rack_units and w <= self.limit_w for u, w in map(self.total, parts))


def runs(*columns: npt.NDArray[np.generic]) -> Iterator[tuple[int, int]]:
    """First and end of each run of rows that are alike in all columns."""
    if not len(columns[0]):
        return
    changed = np.zeros(len(columns[0]), dtype=np.bool_)
    changed[0] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    first = np.flatnonzero(changed)
    yield from zip(first.tolist(), [*first[1:].tolist(), len(columns[0])], strict=True)


def next_fit(racks: Racks, chosen: Ints, domain: Ints) -> list[Ints]:
    """Devices in their order, cut into racks: as many as fit, then the next rack.

    ``domain``: devices of one scale-up domain beside each other that one rack could hold are not parted, by device of
    ``chosen``. A run of equal devices is cut by arithmetic, not one by one.
    """
    parts: list[list[Ints]] = [[]]
    units_left, watts_left = racks.site.rack_units, racks.limit_w
    units, watts = racks.devices.units[chosen], racks.devices.watts[chosen]
    for first, end in runs(units, watts, domain):
        u, w, d = int(units[first]), float(watts[first]), int(domain[first])
        at = first
        while at < end:
            room = _most(u, w, units_left, watts_left)
            if d > 1 and _most(u, w, racks.site.rack_units, racks.limit_w) >= d:
                room = room // d * d if end - at >= d else room
            take = min(room, end - at)
            if take:
                parts[-1].append(chosen[at : at + take])
                units_left, watts_left, at = units_left - take * u, watts_left - take * w, at + take
            if at < end:
                parts.append([])
                units_left, watts_left = racks.site.rack_units, racks.limit_w
    return [np.concatenate(part) for part in parts if part]


def _most(units: int, watts: float, units_left: int, watts_left: float) -> int:
    """Equal devices that fit into what is left."""
    by_units = units_left // units if units else 1 << 30
    by_watts = int(watts_left / watts) if watts else 1 << 30
    return min(by_units, by_watts)


def spread(racks: Racks, chosen: Ints, key: Ints, least: int) -> list[Ints]:
    """Devices over the fewest racks that hold them, at least ``least``: device i into rack ``key[i]`` modulo it."""
    for count in range(max(1, least), max(len(chosen), least) + 1):
        parts = [chosen[key % count == number] for number in range(count)]
        if racks.each_fits(parts):
            return [part for part in parts if len(part)]
    return [chosen[i : i + 1] for i in range(len(chosen))]


def evenly(racks: Racks, chosen: Ints) -> list[Ints]:
    """Devices in their order, over the fewest racks that hold them, as evenly as may be."""
    for count in range(1, len(chosen) + 1):
        parts = np.array_split(chosen, count)
        if racks.each_fits(parts):
            return list(parts)
    return []


def too_large(site: Site, names: Sequence[str], units: Ints, watts: Floats) -> list[tuple[str, int, float]]:
    """Models (with units and watts) of which not even one fits an empty rack."""
    wrong = (units > site.rack_units) | (watts > site.rack_power_kw * 1000 + 1e-3)
    return sorted({(names[i], int(units[i]), float(watts[i])) for i in np.flatnonzero(wrong).tolist()})
