"""PORT and BREAKOUT_CFG: every cage of the switch, set up as planned; what is not used is down."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fabric.catalogue.models import CageGroup, Mode, Switch
from fabric.exports.sonic.template import Table, slot
from fabric.portnames import Place, support, switch_ports

MOST_MTU = 9216
"""SONiC's largest."""
FEC = {"none": "none", "fc": "fc", "rs528": "rs", "rs544": "rs"}


@dataclass(frozen=True)
class Port:
    """A port of a kind of switch; what differs from switch to switch is in the columns that ``row`` indexes."""

    row: int
    cage: int
    """From 1."""
    lane: int
    """First lane within the cage, from 0."""
    lanes: int
    ports: int
    """Of its cage."""
    mode: str
    name: str
    alias: str
    speed_gbps: int
    use: str
    fec: str | None
    autoneg: bool | None
    linked: bool
    routed: bool
    ipv4: bool
    ipv6: bool
    lossless: bool

    @property
    def split(self) -> bool:
        """One of several ports of its cage."""
        return self.ports > 1


def port_table(switch: Switch, ports: Sequence[Port], mtu: int) -> Table:
    """PORT: planned ports and, in cages that have no plan, one each as long as the chip allows it."""
    lanes = first_lanes(switch)
    table: Table = {port.name: _fields(port, lanes, mtu) for port in ports}
    for port in _idle(switch, ports):
        table[port.name] = _fields(port, lanes, mtu)
    return table


def breakout_table(switch: Switch, ports: Sequence[Port]) -> Table:
    """BREAKOUT_CFG: the mode of each cage, by its first port, as the platform's ``platform.json`` calls it."""
    first = {port.cage: port for port in sorted([*ports, *_idle(switch, ports)], key=lambda port: -port.lane)}
    hwsku = support(switch, "sonic").hwsku or ""
    return {
        first[cage].name: {"brkout_mode": _modes().get((hwsku, first[cage].mode), f"{first[cage].mode}G")}
        for cage in sorted(first)
    }


def _fields(port: Port, lanes: Sequence[int], mtu: int) -> dict[str, str]:
    first = lanes[port.cage - 1] + port.lane
    fields = {
        "admin_status": "up" if port.linked else "down",
        "alias": port.alias,
        "description": slot("peer", port.row) if port.linked else "",
        "index": str(port.cage),
        "lanes": ",".join(str(lane) for lane in range(first, first + port.lanes)),
        "mtu": str(mtu),
        "speed": str(port.speed_gbps * 1000),
        "subport": str(port.lane // port.lanes + 1 if port.split else 0),
    }
    if port.fec is not None:
        fields["fec"] = FEC[port.fec]
    if port.autoneg is not None:
        fields["autoneg"] = "on" if port.autoneg else "off"
    return fields


def _idle(switch: Switch, ports: Sequence[Port]) -> Iterator[Port]:
    """One port, down, for each cage without a plan, as far as the chip's limits allow."""
    taken = [0] * switch.cage_count
    for port in ports:
        taken[port.cage - 1] += 1
    bank = switch.max_ports_per_cage_group
    free = (switch.max_logical_ports or len(ports) + switch.cage_count) - len(ports)
    for cage, group in enumerate(_groups(switch)):
        if taken[cage] or free <= 0:
            continue
        first = cage - cage % bank.cages if bank else cage
        mode = min(group.modes, key=lambda mode: mode.ports)
        if bank and sum(taken[first : first + bank.cages]) + mode.ports > bank.ports:
            continue
        taken[cage] = mode.ports
        free -= mode.ports
        yield from _vacant(switch, cage, group, mode)


def _vacant(switch: Switch, cage: int, group: CageGroup, mode: Mode) -> Iterator[Port]:
    lanes = group.lanes // mode.ports
    places = [
        Place(cage, index, mode.ports, index * group.connectors_used(mode) // mode.ports, index * lanes)
        for index in range(mode.ports)
    ]
    for place, name in zip(places, switch_ports(switch, "sonic", places), strict=True):
        yield Port(
            0, cage + 1, place.lane, lanes, mode.ports, str(mode), name.name, name.alias, mode.speed_gbps, "free",
            None, None, linked=False, routed=False, ipv4=False, ipv6=False, lossless=False,
        )  # fmt: skip


def _groups(switch: Switch) -> Iterator[CageGroup]:
    for group in switch.cages:
        yield from (group for _ in range(group.count))


def first_lanes(switch: Switch) -> tuple[int, ...]:
    """The chip's first lane of each cage: the platform's own numbers, else counted in the order of cages (a guess)."""
    known = _lanes().get(support(switch, "sonic").hwsku or "")
    if known is not None and len(known) == switch.cage_count:
        return known
    found, lane = [], 0
    for group in _groups(switch):
        found.append(lane)
        lane += group.lanes
    return tuple(found)


@cache
def _lanes() -> dict[str, tuple[int, ...]]:
    return {row["hwsku"]: tuple(map(int, row["first_lanes"].split())) for row in _rows("lanes.csv")}


@cache
def _modes() -> dict[tuple[str, str], str]:
    return {(row["hwsku"], row["mode"]): row["brkout_mode"] for row in _rows("modes.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("fabric.exports.sonic") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
