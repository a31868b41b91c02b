"""The schedule: when each device is asked, how long it may take, what is tried again, and what fell behind.

Each job (a source and a device) has a place of its own in the period, so that devices are asked one after the other
and not all at once. A poll that takes longer than ``patience`` gives up its place among the quick ones, and a device
that was slow starts among the slow ones: whoever is slow or silent waits for his like and delays nobody else.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.sources import Emit, Outcome, Poll, Polled, Target
from collectors.tasks import end
from fabric.errors import InputError

AGAIN = frozenset({Outcome.SILENT, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.MALFORMED, Outcome.FAILED})
"""Outcomes that may be another the next moment."""
PATIENT_AFTER = 3
"""Failed polls in a row after which a device is asked once a period."""
BACK_OFF = 0.2
"""Seconds before the first retry; doubled for each further one."""
GOLDEN = 0.6180339887498949
SPREAD = 60.0
"""Seconds over which first polls are spread at most, however long the period."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, and how patiently, in seconds.

    ``timeout`` is of one attempt, ``deadline`` of a poll with its retries (default: the period), ``jitter`` the share
    of the period by which a poll may be later than its place.
    """

    period: float = 10.0
    timeout: float = 5.0
    retries: int = 1
    jitter: float = 0.02
    deadline: float | None = None

    @property
    def whole(self) -> float:
        """Seconds that a poll with its retries may take."""
        return self.period if self.deadline is None else self.deadline


@dataclass(eq=False, slots=True)
class _Job:
    """A device that a source asks again and again."""

    source: Polled
    target: Target
    pace: Pace
    base: float
    """Its place: the loop's time of the next poll without jitter."""
    due: float = 0.0
    """When the poll that waits or runs was due."""
    task: asyncio.Task[None] | None = None
    stuck: asyncio.Task[Poll] | None = None
    slow: bool = False
    waiting: bool = False
    removed: bool = False
    failures: int = 0

    @property
    def busy(self) -> bool:
        """Whether the poll before has not ended."""
        return self.waiting or self.task is not None or (self.stuck is not None and not self.stuck.done())


@dataclass(eq=False, slots=True)
class _Lane:
    """Jobs that may start, and how many of their kind run."""

    room: int
    ready: deque[_Job] = field(default_factory=deque)
    running: int = 0


class Schedule:
    """Polls on the running event loop; ``emit`` takes each poll as it ends."""

    def __init__(self, emit: Emit, *, concurrency: int = 512, patience: float = 1.0, seed: int = 0) -> None:
        """``concurrency``: polls under way at once that are not slow, and as many slow ones."""
        self._emit, self.patience = emit, patience
        self._random = random.Random(seed)  # noqa: S311  # spreads load, hides nothing
        self._jobs: dict[tuple[str, str], _Job] = {}
        self._heap: list[tuple[float, int, _Job]] = []
        self._order = 0
        self._quick, self._slow = _Lane(concurrency), _Lane(concurrency)
        self._wake = asyncio.Event()
        self._stopping = False
        self._skips: list[Poll] = []
        self._telling: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(("polls", "retries", "late", "late_seconds", "skipped", "missed", "stuck"), 0.0)

    def add(self, source: Polled, target: Target, pace: Pace) -> None:
        """Ask ``target`` from now on; the first time within the period."""
        loop = asyncio.get_running_loop()
        spread = min(pace.period, SPREAD) * (self._order * GOLDEN % 1.0)
        job = _Job(source, target, pace, loop.time() + spread)
        self._jobs[source.name, target.device] = job
        self._push(job)

    def remove(self, source: str, device: str) -> None:
        """Ask it no more; a poll under way ends as it will."""
        job = self._jobs.pop((source, device), None)
        if job is not None:
            job.removed = True

    def _push(self, job: _Job) -> None:
        self._order += 1
        at = job.base + self._random.random() * job.pace.jitter * job.pace.period
        heapq.heappush(self._heap, (at, self._order, job))
        self._wake.set()

    async def run(self) -> None:
        """Start polls when they are due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            while self._heap and self._heap[0][0] <= loop.time():
                at, _, job = heapq.heappop(self._heap)
                if not job.removed:
                    self._is_due(job, at, loop.time())
            wait = self._heap[0][0] - loop.time() if self._heap else None
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _is_due(self, job: _Job, at: float, now: float) -> None:
        """Line the job up, or count what it could not do; then give it its next place."""
        if job.busy:
            self._skip(job)
        else:
            job.waiting, job.due = True, at
            (self._slow if job.slow else self._quick).ready.append(job)
            self._start()
        missed = max(0, int((now - job.base) // job.pace.period))
        self._counts["missed"] += missed
        job.base += (missed + 1) * job.pace.period
        self._push(job)

    def _skip(self, job: _Job) -> None:
        """Record that the device was not asked, without waiting for whatever holds it up."""
        self._counts["skipped"] += 1
        if len(self._skips) <= len(self._jobs):
            detail = "the poll before was still under way"
            now = time.time_ns()
            self._skips.append(Poll(job.source.name, job.target.device, Outcome.SKIPPED, now, 0.0, detail=detail))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._skips:
            skips, self._skips = self._skips, []
            await self._emit(skips)

    def _start(self) -> None:
        """Start what has room."""
        for lane in (self._quick, self._slow):
            while lane.ready and lane.running < lane.room and not self._stopping:
                job = lane.ready.popleft()
                job.waiting = False
                if job.removed:
                    continue
                lane.running += 1
                job.task = asyncio.create_task(self._work(job, lane))

    async def _work(self, job: _Job, lane: _Lane) -> None:
        """One poll with its retries, in its lane until that is told otherwise."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._note_lateness(job, began)
        place = [lane]
        handle = loop.call_later(self.patience, self._make_room, place) if lane is self._quick else None
        try:
            poll = await self._with_retries(job, min(job.due, began) + job.pace.whole)
            job.slow = loop.time() - began > self.patience
            job.failures = job.failures + 1 if poll.outcome in AGAIN else 0
            await self._emit([poll])
        finally:
            if handle is not None:
                handle.cancel()
            place[0].running -= 1
            job.task = None
            self._start()

    def _make_room(self, place: list[_Lane]) -> None:
        """Move a poll that takes long among the slow ones."""
        place[0].running -= 1
        place[0] = self._slow
        self._slow.running += 1
        self._start()

    def _note_lateness(self, job: _Job, began: float) -> None:
        late = began - job.due
        if late > max(0.5, job.pace.period / 10):
            self._counts["late"] += 1
            self._counts["late_seconds"] += late

    async def _with_retries(self, job: _Job, deadline: float) -> Poll:
        """Ask until an answer, the last retry or the deadline; the last poll's outcome counts."""
        loop = asyncio.get_running_loop()
        retries = job.pace.retries if job.failures < PATIENT_AFTER else 0
        for attempt in range(retries + 1):
            left = max(deadline - loop.time(), 0.05)
            poll = await self._attempt(job, min(job.pace.timeout, left))
            pause = BACK_OFF * 2**attempt * (0.5 + self._random.random())
            enough = deadline - loop.time() - pause > job.pace.timeout / 4
            if poll.outcome not in AGAIN or attempt == retries or not enough or self._stopping or job.stuck:
                break
            self._counts["retries"] += 1
            await asyncio.sleep(pause)
        return poll

    async def _attempt(self, job: _Job, timeout: float) -> Poll:
        """One call of the source, which gets a little longer than it was told, and is then left behind."""
        self._counts["polls"] += 1
        began_ns, began = time.time_ns(), time.monotonic()
        task = asyncio.create_task(_asked(job, timeout))
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout + max(0.25, timeout / 10))
        except asyncio.CancelledError:
            await end(task)
            raise
        if done:
            job.stuck = None
            return task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=0.25)
        job.stuck = None if task.done() else task
        self._counts["stuck"] += 1
        detail = f"the source did not end within {timeout:g} s"
        return Poll(job.source.name, job.target.device, Outcome.LATE, began_ns, time.monotonic() - began, detail=detail)

    async def stop(self, grace: float = 2.0) -> None:
        """Start no more; give what is under way ``grace`` seconds, then record it as late."""
        self._stopping = True
        jobs = {job.task: job for job in self._jobs.values() if job.task is not None}
        if jobs:
            _, left = await asyncio.wait(jobs, timeout=grace)
            await end(*left)
            stopped = [jobs[task] for task in left]
            await self._emit([_stopped(job) for job in stopped])
        await end(self._telling, *(job.stuck for job in self._jobs.values()))

    def health(self) -> Mapping[str, float]:
        """Counts since the start; ``running``, ``slow``, ``waiting`` are polls now, ``lag_seconds`` of the oldest."""
        waiting = [job for lane in (self._quick, self._slow) for job in lane.ready]
        now = asyncio.get_running_loop().time() if waiting else 0.0
        return {
            **self._counts,
            "jobs": len(self._jobs),
            "running": self._quick.running + self._slow.running,
            "slow": self._slow.running,
            "waiting": len(waiting),
            "lag_seconds": max((now - job.due for job in waiting), default=0.0),
        }


async def _asked(job: _Job, timeout: float) -> Poll:
    """What the source says, or that it failed: a fault of a source is an outcome too."""
    began_ns, began = time.time_ns(), time.monotonic()
    try:
        return await job.source.poll(job.target, timeout)
    except InputError as error:
        detail = str(error)[:200]
    except Exception as error:  # noqa: BLE001  # whatever it is, the next device must be asked
        detail = f"the source raised {type(error).__name__}"
    return Poll(job.source.name, job.target.device, Outcome.FAILED, began_ns, time.monotonic() - began, detail=detail)


def _stopped(job: _Job) -> Poll:
    detail = "the collector was stopped"
    return Poll(job.source.name, job.target.device, Outcome.LATE, time.time_ns(), 0.0, detail=detail)
