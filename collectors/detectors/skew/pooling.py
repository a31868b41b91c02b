"""Many groups at once: which are one observation, a quick screen, and the control of false discoveries."""

from __future__ import annotations

from collections.abc import Iterable

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


def patterns(ports: Ints, start: Ints) -> Ints:
    """A number a group; groups whose flows have the same source ports have the same, though samples miss some.

    A job's rails often reuse one set of ports. Hashes that are linear then give all of them the same members but for
    a fixed XOR: eight rails are one observation. Found by min-wise hashing (Broder 1997). ``ports``: one a flow;
    ``start``: where each group's begin, and their end.
    """
    at = np.full(1 << 16, -1, dtype=np.int64)
    at[ports] = 0
    distinct = np.flatnonzero(at == 0)
    at[distinct] = np.arange(len(distinct))
    stirred = murmur3(np.ascontiguousarray(distinct.astype("<u4")).view(np.uint8).reshape(-1, 4))
    seeds = (np.arange(1, SKETCH + 1, dtype=np.uint64) * np.uint64(0x9E3779B1)).astype(np.uint32) | np.uint32(1)
    return np.asarray(_joined(_sketches(stirred, seeds, at[ports], start), int(ALIKE * SKETCH)))


@njit(cache=True, nogil=True)
def _sketches(words: Words, seeds: Words, at: Ints, start: Ints) -> Words:
    """By group the least of its words under each seed, all ones without any; ``at``: the word of each flow."""
    stirred = np.empty((len(words), len(seeds)), dtype=np.uint32)
    for i in range(len(words)):
        for j in range(len(seeds)):
            # numba makes 64 bits of a product of 32
            word = np.uint32(words[i] * seeds[j]) ^ seeds[j]
            word = np.uint32((word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            stirred[i, j] = word ^ (word >> np.uint32(13))
    least = np.full((len(start) - 1, len(seeds)), np.uint32(0xFFFFFFFF), dtype=np.uint32)
    for group in range(len(least)):
        for flow in range(start[group], start[group + 1]):
            for j in range(len(seeds)):
                least[group, j] = min(least[group, j], stirred[at[flow], j])
    return least


def placings(group: Ints, sender: Ints, place: Ints, members: Ints) -> Ints:
    """A number a group; groups of one size in which the same senders take the same places have the same.

    So do rails whose paths are pinned: whatever their ports, they are one observation. One row a flow: its group
    (0, 1, …), the device that it came from (NONE: unknown) and its member's place; ``members``: by group. Senders whose
    flows take several places say nothing.
    """
    devices = np.flatnonzero(np.bincount(sender[sender >= 0], minlength=1))
    column = np.full(int(sender.max(initial=0)) + 2, -1, dtype=np.int64)
    column[devices] = np.arange(len(devices))
    return np.asarray(_agreeing(_places(group, column[sender], place, len(members), len(devices)), members))


@njit(cache=True, nogil=True)
def _places(group: Ints, column: Ints, place: Ints, groups: int, columns: int) -> Ints:
    """Groups × senders: the place that all flows of the one to the other take; negative without, or with several."""
    found = np.full((groups, columns), -1, dtype=np.int64)
    for flow in range(len(group)):
        own, sender = group[flow], column[flow]
        if sender >= 0 and found[own, sender] != -2:
            found[own, sender] = place[flow] if found[own, sender] in (-1, place[flow]) else -2
    return found


@njit(cache=True, nogil=True)
def _agreeing(place: Ints, members: Ints) -> Ints:
    """Groups joined by a first one, which takes over what they know.

    At least two senders agree, half of those that both know, and two standard deviations more than by chance.
    """
    found: Ints = np.arange(len(place))
    for i in range(len(place)):
        known = np.flatnonzero(place[i] >= 0)
        for j in range(i if len(known) else 0):
            if found[j] != j or members[i] != members[j]:
                continue
            both, agree = 0, 0
            for k in known:
                if place[j, k] >= 0:
                    both += 1
                    agree += int(place[i, k] == place[j, k])
            chance = both / members[i]
            if agree >= 2 and 2 * agree >= both and agree - chance >= 2 * np.sqrt(chance * (1 - 1 / members[i])):
                found[i] = j
                for other in known:
                    if place[j, other] < 0:
                        place[j, other] = place[i, other]
                break
    return found


def merged(one: Ints, other: Ints) -> Ints:
    """Groups that either numbering takes for the same."""
    found = one.copy()
    for i, j in enumerate(other.tolist()):
        if j != i:
            found[found == found[i]] = found[j]
    return found


@njit(cache=True, nogil=True)
def _joined(sketch: Words, least: int) -> Ints:
    """Groups joined by a first one that agrees with them in so many places."""
    found = np.arange(len(sketch))
    for i in range(len(sketch)):
        if found[i] != i:
            continue
        for j in range(i + 1, len(sketch)):
            if found[j] != j:
                continue
            same = 0
            for k in range(sketch.shape[1]):
                same += sketch[i, k] == sketch[j, k]
            if same >= least:
                found[j] = i
    return found


def screen(phis: npt.ArrayLike, freedom: npt.ArrayLike) -> float:
    """P of the χ² of independent groups together: Σ (m − 1)·Phi with Σ (m − 1) degrees.

    Only good to say that nothing is there. A pattern is one observation: its mean Phi, with m − 1 degrees.
    """
    return chi2_tail(float(np.dot(phis, freedom)), float(np.sum(freedom)))


def discoveries(p: Iterable[float], level: float) -> npt.NDArray[np.bool_]:
    """Which tests hold when the part of false ones among them is to be at most ``level`` (Benjamini, Hochberg 1995)."""
    values = np.asarray(list(p), dtype=np.float64)
    order = np.argsort(values, kind="stable")
    good = values[order] <= level * np.arange(1, len(values) + 1) / max(len(values), 1)
    last = int(np.flatnonzero(good).max(initial=-1))
    found = np.zeros(len(values), dtype=np.bool_)
    found[order[: last + 1]] = True
    return found
