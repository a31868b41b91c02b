"""A stretch of a run in which the same faults hold: one iteration of the jobs, repeated, as rates in time.

Between two changes of faults the jobs repeat the same iteration, so that any interval is a weighted sum of the
iteration's stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.pressure import Pressure

if TYPE_CHECKING:
    from planner.simulate.events import Span
    from planner.simulate.wires import Floats, Ints


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

    def total(self, weights: Floats, name: str) -> Floats:
        """Sum over time of a rate or share of every channel."""
        return sum(
            (w * getattr(p, name) for w, p in zip(weights, self.pressures, strict=True) if w > 0),
            start=np.zeros_like(self._some(name)),
        )

    def peak(self, weights: Floats, name: str) -> Floats:
        """The most of a quantity of every channel in the time."""
        found = np.zeros_like(self._some(name))
        for weight, one in zip(weights, self.pressures, strict=True):
            if weight > 0:
                np.maximum(found, getattr(one, name), out=found)
        return found

    def _some(self, name: str) -> Floats:
        found: Floats = getattr(self.pressures[0], name)
        return found


def _overlap(begin: float, end: float, first: float, last: float) -> float:
    return max(min(end, last) - max(begin, first), 0.0)


def flow_bytes(line: Timeline, weights: Floats, offsets: Sequence[Sequence[int]], count: int) -> Floats:
    """Bytes of every flow in the time; ``offsets[track][stage]``: number of the stage's first flow."""
    from planner.simulate.events import BYTES_A_GBPS_SECOND

    total = np.zeros(count)
    for weight, span in zip(weights, line.spans, strict=True):
        if weight <= 0 or not np.isfinite(span.seconds):
            continue
        number: Ints = np.array([offsets[t][s] for t, s in span.rows[:, :2].tolist()], dtype=np.int64)
        moved = span.rates * span.until / span.seconds * weight * BYTES_A_GBPS_SECOND
        total += np.bincount(number + span.rows[:, 2], weights=moved, minlength=count)
    return total
