"""From rates to time: flows run at max–min fair rates until some end, and the rest share anew.

Work is a list of *tracks* (a job's stages, one after another; tracks run beside each other). Ends are batched: a solve
holds until a part of the flows that are left have ended (``batch``; 0: until the next one), or a track's stage has.
What a flow that ended early leaves free within a batch stays idle, so times come out late rather than early.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from planner.simulate.maxmin import fair_rates

if TYPE_CHECKING:
    from planner.simulate.walk import Hops
    from planner.simulate.wires import Floats, Ints, Mask, Small

BYTES_A_GBPS_SECOND = 1e9 / 8
BATCH = 0.05
"""Part of a stage's flows whose ends are one event."""


@dataclass(frozen=True)
class Work:
    """Flows of one stage: channels of each (rows of ``hops``), bytes, and what each would send at most, in Gb/s."""

    hops: Hops
    size: Floats
    gbps: Floats

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class Span:
    """A stretch of time in which rates do not change.

    ``rows``: track, stage and flow of each flow that runs, n × 3; ``rates``: Gb/s; ``until``: seconds after ``begin``
    at which each flow ends, at most ``seconds``. ``start`` and ``items``: its channels.
    """

    begin: float
    seconds: float
    rows: Ints
    rates: Floats
    until: Floats
    start: Small
    items: Small
    blocked: Mask | None = None
    """Channels that pauses hold still, where a storm goes on."""

    @property
    def endless(self) -> bool:
        """Whether it goes on for ever, at the rates that flows without end have."""
        return not np.isfinite(self.seconds)


@dataclass(frozen=True)
class Storms:
    """Channels that a host's pauses hold still, and whether that spreads to those behind them.

    A lossless queue is first in, first out: a flow that stands still at its head stops every channel it takes before,
    and all flows there with it. ``drained``: a PFC watchdog drops what is held up, so that nothing spreads.
    """

    held: Ints
    drained: bool

    def blocked(self, start: Small, items: Small, channels: int) -> Mask:
        """Every channel that stands still, given the flows that run."""
        found: Mask = np.zeros(channels, dtype=np.bool_)
        found[self.held] = True
        if not self.drained:
            spread(start, items, found)
        return found


@njit(cache=True, nogil=True)
def spread(start: Small, items: Small, blocked: Mask) -> None:
    """Mark every channel that a flow takes before one that is marked, until no more are found."""
    found = True
    while found:
        found = False
        for i in range(len(start) - 1):
            held = False
            for at in range(start[i + 1] - 1, start[i] - 1, -1):
                if held and not blocked[items[at]]:
                    blocked[items[at]] = found = True
                held = held or blocked[items[at]]


@dataclass
class Clock:
    """How a run ended: seconds at which each stage of each track began and ended (infinite: never)."""

    began: list[list[float]] = field(default_factory=list)
    ended: list[list[float]] = field(default_factory=list)
    solves: int = 0
    stuck: int = 0
    """Flows that could not move when nothing else was left to do."""

    @property
    def seconds(self) -> float:
        """When the last stage ended."""
        return max((end for track in self.ended for end in track[-1:]), default=0.0)


def spans(
    tracks: Sequence[Sequence[Work]], gbps: Floats, clock: Clock, batch: float = BATCH, storms: Storms | None = None
) -> Iterator[Span]:
    """The stretches of a run, in order; ``clock`` is filled as it goes. ``gbps``: of each channel.

    Flows of infinite size run as long as others do, or one second where there are no others. Where nothing can move
    any more the last stretch is infinite and only flows of infinite size have a rate.
    """
    clock.began = [[] for _ in tracks]
    clock.ended = [[] for _ in tracks]
    now, running = 0.0, _Running(tracks, clock)
    running.begin(range(len(tracks)), now)
    while len(running.left):
        blocked = storms.blocked(running.start, running.items, len(gbps)) if storms else None
        speeds = gbps if blocked is None else np.where(blocked, 0.0, gbps)
        rates = fair_rates(running.start, running.items, speeds, running.limit)
        clock.solves += 1
        until = np.full(len(rates), np.inf)
        np.divide(running.left / BYTES_A_GBPS_SECOND, rates, out=until, where=rates > 0)
        endless = ~np.isfinite(running.left)
        if endless.all():
            if now == 0:
                whole = np.ones(len(rates))
                yield Span(0.0, 1.0, running.rows, rates, whole, running.start, running.items, blocked)
            return
        seconds = running.batch_end(np.where(endless, 0.0, until), endless, batch)
        if not np.isfinite(seconds):
            clock.stuck = int((~np.isfinite(until) & ~endless).sum())
            running.give_up()
            lasting = np.where(endless, rates, 0.0)
            until = np.where(endless, np.inf, 0.0)
            yield Span(now, np.inf, running.rows, lasting, until, running.start, running.items, blocked)
            return
        moved = np.minimum(until, seconds)
        if seconds > 0:
            yield Span(now, seconds, running.rows, rates, moved, running.start, running.items, blocked)
        now += seconds
        running.advance(until, rates, seconds, now)


class _Running:
    """The flows that are under way."""

    def __init__(self, tracks: Sequence[Sequence[Work]], clock: Clock) -> None:
        self.tracks, self.clock = tracks, clock
        self.rows = np.empty((0, 3), dtype=np.int64)
        self.left, self.limit = np.empty(0), np.empty(0)
        self.start, self.items = np.zeros(1, np.int32), np.empty(0, np.int32)
        self.begun = [0] * len(tracks)

    def begin(self, tracks: Sequence[int], now: float) -> None:
        """Start the next stage of some tracks; stages without flows end at once."""
        for track in tracks:
            stage = len(self.clock.began[track])
            while stage < len(self.tracks[track]):
                self.clock.began[track].append(now)
                work = self.tracks[track][stage]
                if len(work) and work.size.max() > 0:
                    self._add(track, stage, work)
                    break
                self.clock.ended[track].append(now)
                stage += 1

    def _add(self, track: int, stage: int, work: Work) -> None:
        used = work.hops >= 0
        start = self.start[-1] + np.cumsum(used.sum(axis=1))
        here = np.broadcast_to(np.array([track, stage]), (len(work), 2))
        rows = np.concatenate([here, np.arange(len(work))[:, None]], axis=1)
        self.rows = np.concatenate([self.rows, rows])
        self.left = np.concatenate([self.left, work.size])
        # a flow that found no way has no channels and must not run free
        self.limit = np.concatenate([self.limit, np.where(used[:, 0], work.gbps, 0.0)])
        self.start = np.concatenate([self.start, start]).astype(np.int32)
        self.items = np.concatenate([self.items, work.hops[used]]).astype(np.int32)
        self.begun[track] = len(work)

    def batch_end(self, until: Floats, endless: Mask, batch: float) -> float:
        """Seconds until a part of the flows that end has ended, but no longer than until a track's stage has."""
        tracks, until = self.rows[~endless, 0], until[~endless]
        last = _most(tracks, until, len(self.tracks))
        under_way = np.flatnonzero(last >= 0)
        stage_end = float(last[under_way].min())
        wanted = max(int(batch * sum(self.begun[track] for track in under_way)), 1)
        if wanted >= len(until):
            return stage_end if np.isfinite(stage_end) else _finite_max(until)
        some = float(np.partition(until, wanted - 1)[wanted - 1])
        return min(some if np.isfinite(some) else _finite_max(until), stage_end)

    def advance(self, until: Floats, rates: Floats, seconds: float, now: float) -> None:
        """Take off what has moved, drop what has ended, begin what follows."""
        going = until > seconds * (1 + 1e-12)
        before = self._tracks()
        self.left = np.maximum(self.left - rates * seconds * BYTES_A_GBPS_SECOND, 0.0)[going]
        self.start, self.items = _kept(self.start, self.items, going, int(going.sum()))
        self.rows, self.limit = self.rows[going], self.limit[going]
        done = np.flatnonzero(before & ~self._tracks()).tolist()
        for track in done:
            self.clock.ended[track].append(now)
        self.begin(done, now)

    def _tracks(self) -> Mask:
        """Which tracks have a flow under way."""
        return np.bincount(self.rows[:, 0], minlength=len(self.tracks)) > 0

    def give_up(self) -> None:
        """What cannot move never ends."""
        for began, ended in zip(self.clock.began, self.clock.ended, strict=True):
            ended.extend([np.inf] * (len(began) - len(ended)))


@njit(cache=True, nogil=True)
def _most(tracks: Ints, until: Floats, count: int) -> Floats:
    """The longest time of any flow of each track, −1 of tracks without flows."""
    last = np.full(count, -1.0)
    for at in range(len(tracks)):
        last[tracks[at]] = max(last[tracks[at]], until[at])
    return last


@njit(cache=True, nogil=True)
def _kept(start: Small, items: Small, going: Mask, count: int) -> tuple[Small, Small]:
    """Channels of the flows that go on."""
    new_start, new_items = np.zeros(count + 1, np.int32), np.empty(len(items), np.int32)
    row, filled = 0, 0
    for i in range(len(going)):
        if going[i]:
            for at in range(start[i], start[i + 1]):
                new_items[filled] = items[at]
                filled += 1
            row += 1
            new_start[row] = filled
    return new_start, new_items[:filled].copy()


def _finite_max(until: Floats) -> float:
    finite = until[np.isfinite(until)]
    return float(finite.max()) if len(finite) else np.inf
