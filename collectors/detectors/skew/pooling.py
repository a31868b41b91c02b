"""Many groups at once: which are one observation, a quick screen, and the control of false discoveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

from collectors.detectors.skew.phi import Ints, chi2_tail
from fabric.hashing import murmur3

SKETCH = 64
"""Hash functions of a sketch: the part in which two agree is the Jaccard index of their sets, ± 0.06."""
ALIKE = 0.2
"""Jaccard index from which two groups are taken to carry one pattern: samples of a third of the flows of each give it,
sets of 2,000 random ports 0.06."""
Words = npt.NDArray[np.uint32]


def patterns(ports: Sequence[Ints]) -> Ints:
    """A number a group; groups whose flows have the same source ports have the same, though samples miss some.

    A job's rails often reuse one set of ports. Hashes that are linear then give all of them the same members but for
    a fixed XOR: eight rails are one observation. Found by min-wise hashing (Broder 1997).
    """
    sketch = np.full((len(ports), SKETCH), 0xFFFFFFFF, dtype=np.uint32)
    some = np.array([len(own) > 0 for own in ports], dtype=np.bool_)
    if some.any():
        start = np.cumsum([0, *(len(own) for own in ports if len(own))])[:-1]
        distinct, at = np.unique(np.concatenate(ports), return_inverse=True)
        stirred = murmur3(np.ascontiguousarray(distinct.astype("<u4")).view(np.uint8).reshape(-1, 4))
        for place in range(SKETCH):
            seed = np.uint32((place + 1) * 0x9E3779B1 & 0xFFFFFFFF | 1)
            sketch[some, place] = np.minimum.reduceat(_stir(stirred * seed ^ seed)[at], start)
    return np.asarray(_joined(sketch, int(ALIKE * SKETCH)))


def _stir(words: Words) -> Words:
    words = (words ^ (words >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    return words ^ (words >> np.uint32(13))


@njit(cache=True, nogil=True)
def _joined(sketch: Words, least: int) -> Ints:
    """Groups joined by a first one that agrees with them in so many places."""
    found = np.arange(len(sketch))
    for i in range(len(sketch)):
        if found[i] != i:
            continue
        for j in range(i + 1, len(sketch)):
            if found[j] == j and (sketch[i] == sketch[j]).sum() >= least:
                found[j] = i
    return found


def screen(phis: Sequence[float], freedom: Sequence[int]) -> float:
    """P of the χ² of independent groups together: Σ (m − 1)·Phi with Σ (m − 1) degrees.

    Only good to say that nothing is there. A pattern is one observation: its mean Phi, with m − 1 degrees.
    """
    return chi2_tail(float(np.dot(phis, freedom)), float(sum(freedom)))


def discoveries(p: Iterable[float], level: float) -> npt.NDArray[np.bool_]:
    """Which tests hold when the part of false ones among them is to be at most ``level`` (Benjamini, Hochberg 1995)."""
    values = np.asarray(list(p), dtype=np.float64)
    order = np.argsort(values, kind="stable")
    good = values[order] <= level * np.arange(1, len(values) + 1) / max(len(values), 1)
    last = int(np.flatnonzero(good).max(initial=-1))
    found = np.zeros(len(values), dtype=np.bool_)
    found[order[: last + 1]] = True
    return found
