"""Sums over the flows of every channel in a stretch of time: each pass goes over all paths once, flow by flow.

A channel's sums are one row, so that a step of a path touches one place of the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from planner.simulate.events import BYTES_A_GBPS_SECOND

if TYPE_CHECKING:
    from planner.simulate.events import Span
    from planner.simulate.wires import Floats, Ints, Mask, Small

FULL = 1 - 1e-6
LOAD, TOP, FLOWS, FIRST, BYTES, ACTIVE = range(6)
"""Columns of ``sums``: Gb/s of all flows, of the fastest; flows, those that begin; bytes; part of the time used."""


@dataclass(frozen=True)
class Entries:
    """Flows and channels of a stretch. ``sums``: channels × what is above; ``wanted``: Gb/s of each flow's NIC share.

    ``bottleneck``: the channel that holds each flow, −1: none; ``over``: overload of each channel.
    """

    span: Span
    sums: Floats
    wanted: Floats
    bottleneck: Ints
    over: Floats

    def echoed(self, share: Floats) -> Floats:
        """Marked Gb/s of each flow, on its first and its last channel; ``share`` of marks by channel."""
        if not share.any():
            return np.zeros(len(share))
        return _echoed(self.span.start, self.span.items, self.span.rates, share)

    def back_pressure(self, pauses: Mask) -> Floats:
        """Share of time that each channel is paused by what lies behind it; ``pauses``: channels that pause others."""
        held = np.append(pauses, np.zeros(len(self.sums) - len(pauses) + 1, dtype=np.bool_))[self.bottleneck]
        if not held.any():
            return np.zeros(len(self.sums))
        span, load = self.span, self.sums[:, LOAD]
        asked, touched = _held_up(span.start, span.items, span.rates, self.wanted, self.bottleneck, held, len(load))
        share: Floats = 1 - np.divide(load, asked, out=np.ones(len(load)), where=asked > 0)
        return np.where(touched, np.clip(share, 0.0, 1.0), 0.0)


def entries(span: Span, gbps: Floats) -> Entries:
    """All sums of a stretch; ``gbps``: speed of each channel."""
    moved = (span.rates if span.endless else span.rates * span.until) * BYTES_A_GBPS_SECOND
    part = np.ones(len(span.rates)) if span.endless else span.until / span.seconds
    sums = _sums(span.start, span.items, span.rates, moved, part, len(gbps))
    full = (sums[:, LOAD] >= gbps * FULL) & (gbps > 0)
    bar = np.where(full, sums[:, TOP] * FULL, np.inf)
    fair = gbps / np.maximum(sums[:, FIRST], 1.0)
    wanted, bottleneck, asked = _bottlenecks(span.start, span.items, span.rates, bar, fair)
    over = np.divide(asked, gbps, out=np.zeros(len(gbps)), where=gbps > 0)
    return Entries(span, sums, wanted, bottleneck, over)


@njit(cache=True, nogil=True)
def _sums(start: Small, items: Small, rates: Floats, moved: Floats, part: Floats, channels: int) -> Floats:
    sums = np.zeros((channels, 6))
    for i in range(len(rates)):
        for at in range(start[i], start[i + 1]):
            own = sums[items[at]]
            own[LOAD] += rates[i]
            own[TOP] = max(own[TOP], rates[i])
            own[FLOWS] += 1.0
            own[BYTES] += moved[i]
            own[ACTIVE] = max(own[ACTIVE], part[i])
        if start[i] < start[i + 1]:
            sums[items[start[i]], FIRST] += 1.0
    return sums


@njit(cache=True, nogil=True)
def _bottlenecks(
    start: Small, items: Small, rates: Floats, bar: Floats, fair: Floats
) -> tuple[Floats, Ints, Floats]:  # fmt: skip
    """What each flow wants; the first channel whose ``bar`` its rate reaches; and Gb/s asked of each channel."""
    wanted, bottleneck = rates.copy(), np.full(len(rates), -1, np.int64)
    asked = np.zeros(len(bar))
    for i in range(len(rates)):
        if start[i] < start[i + 1]:
            wanted[i] = max(fair[items[start[i]]], rates[i])
        for at in range(start[i], start[i + 1]):
            if rates[i] >= bar[items[at]]:
                bottleneck[i] = items[at]
                break
        for at in range(start[i], start[i + 1]):
            asked[items[at]] += wanted[i] if items[at] == bottleneck[i] else rates[i]
    return wanted, bottleneck, asked


@njit(cache=True, nogil=True)
def _held_up(
    start: Small, items: Small, rates: Floats, wanted: Floats, bottleneck: Ints, held: Mask, channels: int
) -> tuple[Floats, Mask]:
    """Gb/s asked of each channel where flows want more than they get before what holds them; which these are."""
    asked, touched = np.zeros(channels), np.zeros(channels, np.bool_)
    for i in range(len(rates)):
        end = start[i]
        if held[i]:
            for at in range(start[i], start[i + 1]):
                if items[at] == bottleneck[i]:
                    end = at
        for at in range(start[i], start[i + 1]):
            asked[items[at]] += wanted[i] if at < end else rates[i]
            if at < end:
                touched[items[at]] = True
    return asked, touched


@njit(cache=True, nogil=True)
def _echoed(start: Small, items: Small, rates: Floats, share: Floats) -> Floats:
    """On each channel that flows begin or end at; those after the last share are inside hosts and mark nothing."""
    found = np.zeros(len(share))
    for i in range(len(rates)):
        if start[i] == start[i + 1]:
            continue
        marked = 0.0
        for at in range(start[i], start[i + 1]):
            if items[at] < len(share):
                marked += share[items[at]]
        for end in (items[start[i]], items[start[i + 1] - 1]):
            if end < len(share):
                found[end] += min(marked, 1.0) * rates[i]
    return found
