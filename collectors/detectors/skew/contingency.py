"""Does the member a flow takes depend on the one it took a tier below: a test of independence by permutation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from collectors.detectors.skew.phi import Floats, Ints

MOST = 2048
"""Flows that are permuted; more say no more."""


def dependence(upstream: Ints, member: Ints, permutations: int = 400, seed: int = 3) -> tuple[float, float]:
    """χ² over its mean under independence, and p; NaN and 1 where either has one value only.

    ``upstream`` and ``member``: one value a flow. The margins are kept: a member that all take more often, or an
    upstream link that is down, is no dependence.
    """
    if len(upstream) > MOST:
        rows = np.linspace(0, len(upstream) - 1, MOST).astype(np.int64)
        upstream, member = upstream[rows], member[rows]
    up, r = np.unique(upstream, return_inverse=True)
    down, c = np.unique(member, return_inverse=True)
    if len(up) < 2 or len(down) < 2:
        return float("nan"), 1.0
    expected = np.outer(np.bincount(r), np.bincount(c)) / len(r)
    inverse = 1.0 / expected
    own, above, total = _permuted(r.astype(np.int64), c.astype(np.int64), inverse, permutations, np.uint64(seed))
    return float(own / (total / permutations)), (1 + int(above)) / (1 + permutations)


@njit(cache=True, nogil=True)
def _permuted(r: Ints, c: Ints, inverse: Floats, permutations: int, seed: Any) -> Any:
    """χ² + n of the flows as they are, permutations that reach it, and the sum of χ² over permutations."""
    np.random.seed(seed & np.uint64(0xFFFF))
    c = c.copy()
    n = float(len(r))
    own = _squares(r, c, inverse) - n
    above, total = 0, 0.0
    for _ in range(permutations):
        for i in range(len(c) - 1, 0, -1):
            j = np.random.randint(0, i + 1)
            c[i], c[j] = c[j], c[i]
        found = _squares(r, c, inverse) - n
        total += found
        above += found >= own - 1e-9 * n
    return own, above, total


@njit(cache=True, nogil=True)
def _squares(r: Ints, c: Ints, inverse: Floats) -> float:
    """Σ n²/e over the cells, counted up flow by flow: n² is the sum of 1, 3, 5, …"""
    table = np.zeros(inverse.shape)
    total = 0.0
    for i in range(len(r)):
        total += (2.0 * table[r[i], c[i]] + 1.0) * inverse[r[i], c[i]]
        table[r[i], c[i]] += 1.0
    return float(total)
