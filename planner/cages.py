"""How the cages of a switch can be divided among what is plugged into it.

Cages are taken in *banks*: one cage, or the neighbouring cages among which a chip limits the ports
(``max_ports_per_cage_group``). A *pattern* says what each cage of a bank is used for and how it is broken out; the
number of banks of each pattern is all that capacity, cost and optics depend on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

from fabric.catalogue.models import CageGroup, Mode, Switch
from fabric.design import Use
from fabric.lanes import joined, switch_lanes


@dataclass(frozen=True)
class Need:
    """Ports of one use on a switch: the speeds they may have, and whether rj45 cages take them (no others do)."""

    use: Use
    speeds: tuple[int, ...]
    rj45: bool = False
    occupied: bool = True
    """Carries a cable, and so an optic where the cage is pluggable."""
    between: bool = False
    """Belongs to an inter-switch link."""
    lanes: frozenset[int] = frozenset()
    """Numbers of lanes on which the other end runs; empty where it is not known yet."""


@dataclass(frozen=True)
class Slot:
    """One cage in one use and breakout."""

    need: Need
    mode: Mode
    connectors: int
    rj45: bool
    lanes: frozenset[int]
    """Numbers of lanes on which a port runs."""

    @property
    def split(self) -> bool:
        """More than one port on a connector, so that a splitter is needed."""
        return self.mode.ports > self.connectors

    @property
    def optic_gbps(self) -> int:
        """Bandwidth of the optic in the cage; 0 where there is none."""
        return 0 if self.rj45 or not self.need.occupied else self.mode.ports * self.mode.speed_gbps


Pattern = tuple[Slot, ...]


def slots(group: CageGroup, needs: tuple[Need, ...]) -> Iterator[Slot]:
    """Every (use, breakout) that a cage of the group can have."""
    rj45 = group.type == "rj45"
    for need in needs:
        for mode in group.modes:
            lanes = switch_lanes(group, mode)
            fits = rj45 or not need.lanes or joined(lanes, need.lanes, mode.speed_gbps)
            if mode.speed_gbps in need.speeds and need.rj45 == rj45 and fits:
                yield Slot(need, mode, group.connectors_used(mode), rj45, lanes)


def bank_size(switch: Switch, group: CageGroup, needs: tuple[Need, ...]) -> int:
    """Cages of a bank: 1 unless the switch limits the ports of neighbours and the limit can bind here."""
    limit = switch.max_ports_per_cage_group
    most = max((slot.mode.ports for slot in slots(group, needs)), default=0)
    return 1 if limit is None or most * limit.cages <= limit.ports else limit.cages


def patterns(switch: Switch, group: CageGroup, needs: tuple[Need, ...]) -> tuple[Pattern, ...]:
    """Every way to use a bank of the group: at most ``bank_size`` slots within the limit on ports."""
    size = bank_size(switch, group, needs)
    limit = switch.max_ports_per_cage_group
    most = limit.ports if limit and (size > 1 or limit.cages == 1) else None
    choices = tuple(slots(group, needs))
    return tuple(
        pattern
        for taken in range(1, size + 1)
        for pattern in combinations_with_replacement(choices, taken)
        if most is None or sum(slot.mode.ports for slot in pattern) <= most
    )


def most_ports(switch: Switch, speed_gbps: int, *, rj45: bool = False) -> int:
    """An upper bound on the ports of ``speed_gbps`` that a switch can have."""
    return sum(
        group.count * max((m.ports for m in group.modes if m.speed_gbps == speed_gbps), default=0)
        for group in switch.cages
        if (group.type == "rj45") == rj45
    )


def speeds(switch: Switch) -> tuple[int, ...]:
    """Speeds that the pluggable cages offer, ascending."""
    return tuple(sorted({m.speed_gbps for g in switch.cages if g.type != "rj45" for m in g.modes}))
