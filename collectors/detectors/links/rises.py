"""Counters of which one shows what another does too."""

from __future__ import annotations

import numpy as np

from collectors.detectors.view import Floats


def most(*columns: Floats) -> Floats:
    """The largest that is known, by port; NaN where none is."""
    found = columns[0]
    for column in columns[1:]:
        found = np.fmax(found, column)
    return found
