"""What is to be found of each fault, and by when: the simulator's truth with deadlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.simulate.faults import KINDS, truth
from planner.simulate.telemetry import Scenario

DEADLINES = {
    "hash-skew": 2, "incast": 3, "pfc-storm": 2, "lossless-drop": 2, "link": 2, "slow-rail": 4, "miswire": 12,
    "config-drift": 5, "silence": 3,
}  # fmt: skip
"""Whole intervals after a fault's onset in which it has to be told, by code.

``miswire``: LLDP's usual time to live of 120 s. ``config-drift``: settings are read every third interval.
"""
BY_RATE = {"link-errors": 6, "grey-loss": 6}
"""Of faults that are rates, by kind: intervals within which 999 of 1,000 are told at the lowest rate that is drawn.

docs/detection.md has the run lengths.
"""


def due(kind: str) -> int:
    """Whole intervals after its onset in which a fault of the kind has to be told."""
    return BY_RATE.get(kind, DEADLINES[KINDS[kind].code])


@dataclass(frozen=True)
class Truth:
    """A fault as a detector should tell it, by ``deadline_ns``.

    ``masked``: another fault hides it, so that it need not be found, and may.
    """

    code: str
    cause: str
    kind: str
    subject: Mapping[str, Any]
    onset_ns: int
    end_ns: int
    deadline_ns: int
    masked: bool = False


def truths(scenario: Scenario, masked: Sequence[bool]) -> tuple[Truth, ...]:
    """The truth of a run, in the order of its faults."""
    settings = scenario.settings
    rows = truth(scenario.plan, scenario.network, scenario.faults, settings.start_ns)
    step = round(settings.interval * 1e9)
    found = []
    for row, hidden in zip(rows, masked, strict=True):
        whole = -(-(row["onset_ns"] - settings.start_ns) // step)
        by = settings.start_ns + (whole + due(row["kind"])) * step
        found.append(Truth(**row, deadline_ns=by, masked=hidden))
    return tuple(found)
