"""Rises of counters that hardly ever rise: the whole arithmetic only where one did."""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.view import Floats


def risen(interval: Interval, column: str) -> Floats:
    """What a counter rose by port, NaN where unknown; as ``interval.delta``, and cheap where all stand still.

    A counter that shows the same as before is taken to have stood still, also where its device restarted.
    """
    now, before = interval.now.get(column), interval.before.get(column)
    if now is None or before is None:
        return np.full(interval.view.ports, np.nan)
    both = interval.fresh(column) & (before.time_ns != NEVER)
    if np.any(both & (now.value != before.value)):
        return interval.delta(column)
    return np.where(both, 0.0, np.nan)


def most(*columns: Floats) -> Floats:
    """The largest that is known, by port; NaN where none is."""
    found = columns[0]
    for column in columns[1:]:
        found = np.fmax(found, column)
    return found
