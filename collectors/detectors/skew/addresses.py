"""IPv4 addresses from text to numbers, a whole column at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from collectors.detectors.view import NONE, Ints

Bytes = npt.NDArray[np.uint8]
ZERO, NINE, DOT = ord("0"), ord("9"), ord(".")
ODD = 1 << 62
"""Added to the hash of what is no address, so that it is none by accident."""


def numbers(texts: pl.Series) -> Ints:
    """IPv4 addresses as numbers; NONE for what is none (as ``ipaddress`` has it: no leading zeros), and for null."""
    column: Any = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = column.buffers()
    start = np.frombuffer(offsets, np.int64, len(column) + 1, column.offset * 8)
    return np.asarray(_parsed(start, np.frombuffer(data or b"", np.uint8)))


def codes(texts: pl.Series, own: Ints) -> Ints:
    """The same, but with another number for each text that is no address; ``own``: what ``numbers`` says."""
    odd = np.flatnonzero(own == NONE)
    if not len(odd):
        return own
    found = own.copy()
    found[odd] = (texts.gather(odd).hash(7).to_numpy() >> np.uint64(2)).astype(np.int64) | ODD
    return found


@njit(cache=True, nogil=True)
def _parsed(start: Ints, data: Bytes) -> Ints:
    found = np.full(len(start) - 1, NONE)
    for row in range(len(found)):
        address = octet = digits = dots = 0
        good = True
        for at in range(start[row], start[row + 1]):
            letter = int(data[at])
            if letter == DOT:
                good = good and digits > 0
                address, octet, digits, dots = (address << 8) | octet, 0, 0, dots + 1
            else:
                good = good and ZERO <= letter <= NINE and not (digits > 0 and octet == 0)
                octet, digits = octet * 10 + letter - ZERO, digits + 1
            if not good or octet > 255 or dots > 3:
                good = False
                break
        if good and dots == 3 and digits:
            found[row] = (address << 8) | octet
    return found
