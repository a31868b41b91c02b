"""Are source ports regular: in steps, so that bits a hash needs never change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

SMALL, LARGEST = 64, 4096
"""Steps up to ``SMALL`` are looked at one by one, then powers of two up to ``LARGEST``."""


@dataclass(frozen=True)
class Steps:
    """``share`` of the distinct ports have one remainder over ``step``; step 1 where there is no regularity."""

    step: int
    share: float
    ports: int


def steps(ports: npt.ArrayLike, least: int, share: float) -> Steps:
    """The largest step over which at least ``share`` of the distinct ports agree; at least ``least`` ports.

    A port agrees by chance with probability 1/step: 16 of 16 at step 2 are 3e-5, and rarer for larger steps.
    """
    distinct = np.unique(np.asarray(ports, dtype=np.int64))
    found = Steps(1, 1.0, len(distinct))
    if len(distinct) < least:
        return found
    powers = [2**k for k in range(7, 20) if 2**k <= LARGEST]
    for step in [*range(2, SMALL + 1), *powers]:
        agree = _agreeing(distinct, step) / len(distinct)
        # a step that holds as many ports as the spread of a small set allows says nothing
        if agree >= share and len(distinct) * step <= 2 * (distinct[-1] - distinct[0] + step):
            found = Steps(step, agree, len(distinct))
    return found


@njit(cache=True, nogil=True)
def _agreeing(ports: npt.NDArray[np.int64], step: int) -> int:
    """How many have the commonest remainder."""
    count = np.zeros(step, dtype=np.int64)
    for port in ports:
        count[port % step] += 1
    return int(count.max())
