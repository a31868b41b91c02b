"""Which flows were judged already: the same flows on the same members are no new evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from collectors.detectors.skew.gather import Words
from collectors.detectors.skew.observe import Flows
from collectors.detectors.view import Ints, Mask

DAY_NS = 86_400_000_000_000
KEPT = 12
"""Intervals without a sample after which a flow is forgotten."""
SURELY_SEEN = 8
"""Samples of an interval from which a flow is seen in the next, even where it then carries half as much."""


ENOUGH = 0.1
"""Part of the samples that such flows have at least, where it is asked which of them are gone."""
TINY = 1e-9


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass
class Memory:
    """Flows judged so far, sorted by identity, with the member that each had when it was judged last."""

    identity: Words = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    port: Ints = field(default_factory=_none)
    samples: Ints = field(default_factory=_none)
    """Of those judged last; 0 for flows judged before."""
    unseen: Ints = field(default_factory=_none)
    """Intervals since it was seen."""
    judged_ns: list[int] = field(default_factory=list)
    mixed: bool = False
    """Whether what was seen last may hold flows of before and after a change: then the next are judged too."""

    def changed(self, flows: Flows, share: float) -> bool:
        """Whether so large a share of the samples is of flows that are new or moved, or was of flows that are gone.

        Samples miss flows, and the next ones see some of those: as much of them as was seen once of what was judged
        last (Good 1953), which is left out. What is left of a mixture, as of an interval in which a hash was changed,
        is worth judging whole. Gone are flows of which many samples were taken.
        """
        if not len(flows):
            return False
        if not len(self.identity):
            return True
        at, known = _found(self.identity, flows.identity)
        self.unseen += 1
        self.unseen[at[known]] = 0
        same = known & (self.port[at] == flows.port)
        missed = (self.samples == 1).sum() / max(self.samples.sum(), 1)
        new = flows.samples[~same].sum() / flows.samples.sum()
        sure = self.samples >= SURELY_SEEN
        still = np.zeros(len(self.identity), dtype=np.bool_)
        still[at[same]] = True
        many = self.samples[sure].sum()
        gone = self.samples[sure & ~still].sum() / many if many > ENOUGH * self.samples.sum() else 0.0
        before, self.mixed = self.mixed, bool(new - missed >= share * (1 - missed) + TINY or gone >= share)
        return before or self.mixed

    def remember(self, flows: Flows, now_ns: int) -> int:
        """These flows are judged now; gives the number of such judgements within a day."""
        keep = (self.unseen <= KEPT) & ~_found(flows.identity, self.identity)[1]
        old, none = int(keep.sum()), np.zeros(len(flows), dtype=np.int64)
        identity = np.concatenate([self.identity[keep], flows.identity])
        order = np.argsort(identity, kind="stable")
        self.identity = identity[order]
        self.port = np.concatenate([self.port[keep], flows.port])[order]
        self.samples = np.concatenate([np.zeros(old, dtype=np.int64), flows.samples])[order]
        self.unseen = np.concatenate([self.unseen[keep], none])[order]
        self.judged_ns = [at for at in self.judged_ns if at > now_ns - DAY_NS] + [now_ns]
        return len(self.judged_ns)


@njit(cache=True, nogil=True)
def _found(words: Words, asked: Words) -> tuple[Ints, Mask]:
    """Where each word that is asked for is among others, and whether it is; both sorted."""
    at, known = np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked), dtype=np.bool_)
    place = 0
    for row in range(len(asked)):
        while place < len(words) and words[place] < asked[row]:
            place += 1
        if place < len(words):
            at[row], known[row] = place, words[place] == asked[row]
    return at, known
