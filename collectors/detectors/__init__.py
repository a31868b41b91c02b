"""Detectors: pure functions of an interval's numbers, the fabric and the policy. What holds is a ``Signal``.

A detector is made once for a fabric (``View``) and a ``Policy`` and steps through intervals in their order; all that it
remembers comes from the intervals it saw, so that a replay that begins a warm-up earlier says the same. What becomes of
signals (opened, updated, cleared findings; mutes; mass events) is ``collectors.detectors.life``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collectors.detectors.interval import Interval


@dataclass(frozen=True)
class Signal:
    """What one detector holds true of one interval.

    ``subject`` and ``evidence`` are as in a finding (names of the plan; plain JSON values); ``subject`` alone says
    whether two signals of a code are of the same thing. ``ports`` are the ids of the ports it is about, for jobs, mutes
    and mass events. ``onset_ns``: since when, where the detector knows better than the interval's beginning.
    """

    code: str
    cause: str
    subject: Mapping[str, Any]
    evidence: Mapping[str, Any]
    ports: tuple[int, ...] = ()
    onset_ns: int | None = None
    severity: str | None = None
    """Where it is not its cause's own (``fabric.detections``)."""
    masks: tuple[tuple[str, int], ...] = field(default=())
    """(code, port) whose signals this one explains: they are not told while it holds."""


class Detector(Protocol):
    """One code's detector."""

    code: str

    def step(self, interval: Interval) -> Iterable[Signal]:
        """What holds in this interval, sorted so that the same input gives the same order."""
        ...
