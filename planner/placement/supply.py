"""What there is to place on: units by segment, the whole ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.placement.traffic import Ints


@dataclass(frozen=True)
class Supply:
    """Free units by segment, each segment's best first (fewest ports lost, then by place).

    ``units``: of each segment, the hosts of each unit; ``lost``: ports lost by each of them.
    """

    segments: tuple[int, ...]
    units: tuple[tuple[tuple[str, ...], ...], ...]
    lost: tuple[tuple[int, ...], ...]

    @property
    def free(self) -> Ints:
        """Units by segment."""
        return np.array([len(units) for units in self.units], dtype=np.int64)

    def limits(self, total: int) -> tuple[Ints, Ints]:
        """Least and most units of each segment with which ``total`` units lose fewest ports in all.

        A job runs at the pace of its slowest host, so that what is degraded comes last: units that lost fewer ports
        than the total-th best are all taken, those that lost more never.
        """
        order = np.sort(np.array([lost for row in self.lost for lost in row], dtype=np.int64))
        worst = int(order[total - 1])
        least = np.array([sum(lost < worst for lost in row) for row in self.lost], dtype=np.int64)
        most = np.array([sum(lost <= worst for lost in row) for row in self.lost], dtype=np.int64)
        return (least if worst > 0 else np.zeros_like(least)), most


def supply_of(
    hosts: Sequence[str],
    segment: Mapping[str, int],
    domain: Mapping[str, str],
    lost: Mapping[str, int],
    unit_hosts: int,
) -> Supply:
    """Units of ``unit_hosts`` hosts of one scale-up domain each (any host, where that is 1), by segment."""
    near: dict[tuple[int, str], list[str]] = {}
    for name in hosts:
        near.setdefault((segment[name], domain[name] if unit_hosts > 1 else ""), []).append(name)
    found: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
    for (where, _), names in near.items():
        names.sort(key=lambda name: lost.get(name, 0))
        for first in range(0, len(names) - unit_hosts + 1, unit_hosts):
            unit = tuple(names[first : first + unit_hosts])
            found.setdefault(where, []).append((sum(lost.get(name, 0) for name in unit), unit))
    segments = tuple(sorted(found))
    for row in found.values():
        row.sort(key=lambda one: one[0])
    return Supply(
        segments,
        tuple(tuple(unit for _, unit in found[s]) for s in segments),
        tuple(tuple(gone for gone, _ in found[s]) for s in segments),
    )
