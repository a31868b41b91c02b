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


def placings(group: Ints, sender: Ints, place: Ints, members: Ints) -> Ints:
    """A number a group; groups of one size in which the same senders take the same places have the same.

    So do rails whose paths are pinned: whatever their ports, they are one observation. One row a flow: its group
    (0, 1, …), the device that it came from (NONE: unknown) and its member's place; ``members``: by group. Senders whose
    flows take several places say nothing.
    """
    known = sender >= 0
    devices, column = np.unique(sender[known], return_inverse=True)
    low = np.full((len(members), len(devices)), 1 << 30, dtype=np.int64)
    high = np.full_like(low, -1)
    np.minimum.at(low, (group[known], column), place[known])
    np.maximum.at(high, (group[known], column), place[known])
    return np.asarray(_agreeing(np.where(low == high, low, -1), members))


@njit(cache=True, nogil=True)
def _agreeing(place: Ints, members: Ints) -> Ints:
    """Groups joined by a first one, which takes over what they know.

    At least two senders agree, half of those that both know, and two standard deviations more than by chance.
    """
    found = np.arange(len(place))
    for i in range(len(place)):
        for j in range(i):
            if found[j] != j or members[i] != members[j]:
                continue
            both = agree = 0
            for k in range(place.shape[1]):
                if place[i, k] >= 0 and place[j, k] >= 0:
                    both += 1
                    agree += place[i, k] == place[j, k]
            chance = both / members[i]
            if agree >= 2 and 2 * agree >= both and agree - chance >= 2 * np.sqrt(chance * (1 - 1 / members[i])):
                found[i] = j
                for k in range(place.shape[1]):
                    if place[j, k] < 0:
                        place[j, k] = place[i, k]
                break
    return found


def merged(one: Ints, other: Ints) -> Ints:
    """Groups that either numbering takes for the same."""
    found = one.copy()
    for i, j in enumerate(other.tolist()):
        if j != i:
            found[found == found[i]] = found[j]
    return found


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
