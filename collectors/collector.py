"""From polls to batches: what the devices of a shard gave in an interval is one batch on the bus.

Memory is bounded: while the bus takes no more, sources wait, and the schedule counts what it could not ask.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from collectors.bus import Bus
from collectors.codec import Batch, new_id
from collectors.sources import Poll
from collectors.tasks import end
from fabric.samples import OUTCOME_SCHEMA, empty, empty_flows

MOST_ROWS = 500_000
"""Rows that wait to be published: half a minute of 1,500 switches with 128 ports."""
MOST_DETAIL = 300
Watch = Callable[[Sequence[Poll]], None]


class Collector:
    """Takes polls (``emit``) and publishes a batch a shard and interval."""

    def __init__(
        self,
        bus: Bus,
        shard_of: Mapping[str, str],
        *,
        interval: float = 1.0,
        most_rows: int = MOST_ROWS,
        watch: Watch | None = None,
    ) -> None:
        """``shard_of``: the shard of each device of the plan; ``watch`` sees the polls of known devices."""
        self._bus, self._shard_of, self.interval = bus, shard_of, interval
        self._most_rows, self._watch = most_rows, watch
        self._pending: defaultdict[str, list[Poll]] = defaultdict(list)
        self._rows = 0
        self._room = asyncio.Condition()
        self._flushing = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        """Polls by source, device, outcome."""
        self._counts = dict.fromkeys(
            ("polls", "rows", "flows", "batches", "unknown_devices", "unknown_ports", "waits", "publish_seconds"), 0.0
        )

    async def emit(self, polls: Sequence[Poll]) -> None:
        """Take polls; waits while too much waits to be published. Devices that the plan does not have are dropped."""
        known = [poll for poll in polls if poll.device in self._shard_of]
        self._counts["unknown_devices"] += len(polls) - len(known)
        async with self._room:
            if self._rows >= self._most_rows:
                self._counts["waits"] += 1
                await self._room.wait_for(lambda: self._rows < self._most_rows)
            for poll in known:
                self._pending[self._shard_of[poll.device]].append(poll)
                self._rows += _size(poll)
        self._count(known)
        if self._watch is not None:
            self._watch(known)

    def _count(self, polls: Sequence[Poll]) -> None:
        for poll in polls:
            self.outcomes[poll.source, poll.device, poll.outcome] += 1
            self._counts["polls"] += 1
            self._counts["rows"] += poll.rows.height
            self._counts["flows"] += poll.flows.height
            self._counts["unknown_ports"] += poll.unknown

    def start(self) -> None:
        """Publish each interval from now on."""
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self.interval, loop.time())
            await asyncio.sleep(due - loop.time())
            await self.flush()

    async def flush(self) -> None:
        """Publish all that came until now; returns when the bus has it. Raises BusError where there is no bus."""
        async with self._flushing:
            began = time.perf_counter()
            taken, self._pending = self._pending, defaultdict(list)
            for shard, polls in taken.items():
                await self._bus.publish(self._batch(shard, polls))
                self._counts["batches"] += 1
                async with self._room:
                    self._rows -= sum(map(_size, polls))
                    self._room.notify_all()
            self._counts["publish_seconds"] += time.perf_counter() - began

    def _batch(self, shard: str, polls: Sequence[Poll]) -> Batch:
        rows = self._ours(_joined([poll.rows for poll in polls]))
        flows = [poll.flows for poll in polls if poll.flows.height]
        return Batch(
            new_id(),
            shard,
            rows if rows.height else empty(),
            pl.concat(flows, rechunk=True) if flows else empty_flows(),
            _outcomes(polls),
        )

    def _ours(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Without rows of devices that the plan does not have, as a poll of a whole subnet may bring them."""
        strangers = [device for device in rows["device"].unique() if device not in self._shard_of]
        if not strangers:
            return rows
        named = pl.Series(strangers, dtype=pl.String).implode()
        ours = rows.filter(~pl.col("device").is_in(named, nulls_equal=True))
        self._counts["unknown_devices"] += rows.height - ours.height
        return ours

    async def stop(self, grace: float = 10.0) -> int:
        """Publish what is left, within ``grace`` seconds; the rows that the bus did not take.

        Nothing may be emitted any more.
        """
        await end(self.task)
        last = asyncio.create_task(self.flush())
        await asyncio.wait({last}, timeout=grace)
        await end(last)
        return self._rows

    def health(self) -> Mapping[str, float]:
        """Counts since the start; ``waiting_rows`` is what the bus has not got yet."""
        return {**self._counts, "waiting_rows": self._rows}


def _size(poll: Poll) -> int:
    return 1 + poll.rows.height + poll.flows.height


def _joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables on top of each other, in one piece; those of one shape need not be looked at column by column."""
    found = [frame for frame in frames if frame.height]
    if not found:
        return empty()
    same = all(frame.columns == found[0].columns for frame in found)
    return pl.concat(found, how="vertical" if same else "diagonal", rechunk=True)


def _outcomes(polls: Sequence[Poll]) -> pl.DataFrame:
    columns = {
        "time_ns": [poll.started_ns for poll in polls],
        "received_ns": [poll.started_ns + int(poll.seconds * 1e9) for poll in polls],
        "source": [poll.source for poll in polls],
        "device": [poll.device for poll in polls],
        "outcome": [str(poll.outcome) for poll in polls],
        "detail": [poll.detail[:MOST_DETAIL] for poll in polls],
        "seconds": [poll.seconds for poll in polls],
        "rows": [poll.rows.height + poll.flows.height for poll in polls],
    }
    return pl.DataFrame(columns, schema=OUTCOME_SCHEMA)
