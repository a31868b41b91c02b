"""What ports are called: by the operating system, over LLDP and on the box.

The patterns and what their placeholders mean are the catalogue's (``fabric.catalogue.ports``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from fabric.catalogue.models import CageGroup, NicGroup, NosSupport, Switch
from fabric.catalogue.ports import DEFAULTS

LANE_GBPS = {
    "osfp": 100, "qsfp-dd": 50, "qsfp112": 100, "qsfp56": 50, "qsfp28": 25, "sfp56": 50, "sfp28": 25, "rj45": 10,
}  # fmt: skip
"""Lane that NICs with such a cage drive (the catalogue's figure is the fastest that fits the cage)."""


@dataclass(frozen=True)
class Place:
    """A port of a switch: ``index`` of the ``ports`` that its cage is set to; cage and index count from 0."""

    cage: int
    index: int
    ports: int
    connector: int
    """From 0, within the cage."""
    lane: int
    """First lane within the cage, from 0."""


@dataclass(frozen=True)
class PortName:
    """Name in the operating system, alias in LLDP, label on the box."""

    name: str
    alias: str
    label: str


def support(switch: Switch, nos: str) -> NosSupport:
    """How ``nos`` names things on the switch; its usual naming where the catalogue does not list it."""
    for name, entry in switch.nos.items():
        if name == nos:
            return entry
    return NosSupport.model_validate(DEFAULTS[nos])


def switch_ports(switch: Switch, nos: str, places: Sequence[Place]) -> list[PortName]:
    """Names of the ports of one switch, all cages that are set up among ``places`` (the most ports count)."""
    naming = support(switch, nos)
    steps = _steps(switch.cages, naming)
    before = [0, *accumulate(steps)]
    most = max((p.ports for p in places), default=1)
    return [_port_name(switch, naming, p, before[p.cage] + p.index * steps[p.cage] // p.ports, most) for p in places]


def _steps(cages: Sequence[CageGroup], naming: NosSupport) -> list[int]:
    """By how much ``{offset}`` grows with each cage."""
    per_group = naming.step or tuple(group.lanes for group in cages)
    return [step for group, step in zip(cages, per_group, strict=True) for _ in range(group.count)]


def _port_name(switch: Switch, naming: NosSupport, place: Place, offset: int, most: int) -> PortName:
    values: dict[str, int | str] = {
        "cage": place.cage + 1,
        "connector": place.connector + 1,
        "lane": place.lane + 1,
        "index": place.index,
        "letter": chr(ord("a") + place.index),
        "offset": offset,
        "number": place.cage * most + place.index * most // place.ports + 1,
    }
    name = naming.name.of(place.ports).format(**values)
    alias = naming.alias.of(place.ports).format(**values) if naming.alias else name
    return PortName(name, alias, switch.label.format(**values))


def management_ports(switch: Switch, nos: str) -> list[str]:
    """Names of the management ports: ``eth0``, and for further ones ``eth1`` …"""
    first = support(switch, nos).management
    match = re.fullmatch(r"(.*?)(\d+)", first)
    if match is None:
        return [first] + [f"{first}{n}" for n in range(1, switch.management.ports)]
    return [f"{match[1]}{int(match[2]) + n}" for n in range(switch.management.ports)]


def nic_name(nic: NicGroup, instance: int) -> str:
    """A NIC as the host shows it: its first interface where the catalogue lists them, else ``{group}-{instance}``."""
    if nic.interfaces is not None:
        return nic.interfaces[instance * nic.ports]
    return nic.name if nic.count == 1 else f"{nic.name}-{instance}"


def nic_port_name(nic: NicGroup, instance: int, port: int) -> str:
    """A port of a NIC: its interface, else the name of the NIC, with ``p{port}`` where it has several ports."""
    if nic.interfaces is not None:
        return nic.interfaces[instance * nic.ports + port]
    return nic_name(nic, instance) + (f"p{port}" if nic.ports > 1 else "")


def nic_lanes(nic: NicGroup, cage_lanes: int) -> int:
    """Lanes that one port of a NIC drives, at most its share of the cage."""
    wanted = max(1, -(-nic.speed_gbps // LANE_GBPS[nic.cage]))
    return max(1, min(1 << (wanted - 1).bit_length(), cage_lanes // nic.ports_per_cage))
