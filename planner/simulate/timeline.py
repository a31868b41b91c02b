"""A stretch of a run in which the same faults hold: one iteration of the jobs, repeated, as rates in time.

Between two changes of faults the jobs repeat the same iteration, so that any interval is a weighted sum of the
iteration's stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from planner.simulate.events import BYTES_A_GBPS_SECOND
from planner.simulate.pressure import Pressure

if TYPE_CHECKING:
    from planner.simulate.bursts import Drawn
    from planner.simulate.events import Span
    from planner.simulate.wires import Floats, Ints

    Moving = tuple[Ints, Floats]
    """Numbers of flows, and Gb/s of each over the whole of a stretch."""


@dataclass(frozen=True)
class Timeline:
    """``begins`` and ``ends`` of the stretches within a period (infinite: what follows the last never ends)."""

    spans: tuple[Span, ...]
    pressures: tuple[Pressure, ...]
    period: float

    def weights(self, begin: float, end: float) -> Floats:
        """Seconds of each stretch between two times after the first iteration began."""
        if not np.isfinite(self.period):
            return np.array([_overlap(s.begin, s.begin + s.seconds, begin, end) for s in self.spans])
        starts = np.array([span.begin for span in self.spans])
        stops = np.minimum(starts + np.array([span.seconds for span in self.spans]), self.period)
        whole = np.floor(begin / self.period), np.floor(end / self.period)
        part = [np.clip(t - n * self.period, 0, None) for t, n in zip((begin, end), whole, strict=True)]
        upto = [n * (stops - starts) + np.clip(p - starts, 0, stops - starts) for n, p in zip(whole, part, strict=True)]
        found: Floats = upto[1] - upto[0]
        return found


@dataclass(frozen=True)
class Window:
    """A time within a timeline: ``weights`` are its seconds of each stretch, ``beside`` what else goes on."""

    line: Timeline
    weights: Floats
    beside: Drawn | None = None
    _totals: dict[str, Floats] = field(default_factory=dict)

    def total(self, name: str) -> Floats:
        """Sum over time of a rate or share of every channel."""
        if name not in self._totals:
            found: Floats = np.zeros_like(getattr(self.line.pressures[0], name))
            for weight, one in self._parts(name):
                _add(found, one, weight)
            if self.beside is not None and name == "bytes":
                found += self.beside.bytes
            found.flags.writeable = False
            self._totals[name] = found
        return self._totals[name]

    def peak(self, name: str) -> Floats:
        """The most of a quantity of every channel in the time."""
        found: Floats = np.zeros_like(getattr(self.line.pressures[0], name))
        for _, one in self._parts(name):
            np.maximum(found, one, out=found)
        if self.beside is not None and name == "watermark":
            np.maximum(found, self.beside.watermark, out=found)
        return found

    def _parts(self, name: str) -> list[tuple[float, Floats]]:
        both = zip(self.weights.tolist(), self.line.pressures, strict=True)
        return [(weight, getattr(one, name)) for weight, one in both if weight > 0]


@njit(cache=True, nogil=True)
def _add(to: Floats, of: Floats, times: float) -> None:
    for at in range(len(to)):
        to[at] += times * of[at]


def _overlap(begin: float, end: float, first: float, last: float) -> float:
    return max(min(end, last) - max(begin, first), 0.0)


def moving(spans: Sequence[Span], offsets: Sequence[Sequence[int]]) -> list[Moving]:
    """Of each stretch: its flows and their rates; ``offsets[track][stage]``: number of the stage's first flow."""
    first = np.zeros((len(offsets), max(map(len, offsets), default=0)), dtype=np.int64)
    for track, own in enumerate(offsets):
        first[track, : len(own)] = own
    return [_moving(span, first) for span in spans]


def _moving(span: Span, first: Ints) -> Moving:
    """In a stretch that does not end only flows without end move."""
    track, stage, flow = span.rows.T
    return first[track, stage] + flow, span.rates if span.endless else span.rates * span.until / span.seconds


def flow_bytes(weights: Floats, parts: Sequence[Moving], count: int) -> Floats:
    """Bytes of every flow in the time; ``weights``: seconds of each stretch, ``parts``: ``moving``."""
    total = np.zeros(count)
    for weight, (flow, gbps) in zip(weights.tolist(), parts, strict=True):
        if weight > 0:
            _move(total, flow, gbps, weight)
    return total


@njit(cache=True, nogil=True)
def _move(total: Floats, flow: Ints, gbps: Floats, seconds: float) -> None:
    for at in range(len(flow)):
        total[flow[at]] += gbps[at] * seconds * BYTES_A_GBPS_SECOND
