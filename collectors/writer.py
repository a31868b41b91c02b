"""From the bus to the store: what was written is acknowledged, what was acknowledged is on disk.

A batch that comes again, because its worker died between the two, is written again, and changes nothing: the store
keeps one value a time, device, port and counter. So every sample is there once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from collectors.bus import Consumer, Delivery
from collectors.codec import Batch
from collectors.store.errors import StoreError
from collectors.tasks import end
from fabric.errors import InputError
from fabric.samples import empty_flows, empty_outcomes, stacked

if TYPE_CHECKING:
    from collectors.store import Store
    from collectors.store.rollups import Rolling

GROUP = "store"
ROLLUPS = "rollups"
MOST = 64
"""Batches written at once."""
REMEMBERED = 10_000
RENEW_SECONDS = 5.0
LONGEST_PAUSE = 30.0
Tell = Callable[[str], None]


class Writer:
    """One worker of the group ``store``."""

    def __init__(self, consumer: Consumer, store: Store, *, tell: Tell | None = None, pause: float = 0.5) -> None:
        """``tell``: is told once that writing fails and once that it works again; ``pause``: before trying again."""
        self._consumer, self._store, self._pause = consumer, store, pause
        self._tell: Tell = tell or (lambda _: None)
        self._written: OrderedDict[str, None] = OrderedDict()
        self._failing = False
        self._draining = False
        self.task: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(
            ("batches", "rows", "repeated", "failures", "refused", "write_seconds", "lag_seconds"), 0.0
        )

    def start(self) -> None:
        """Write what comes from now on."""
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            deliveries = await self._consumer.take(MOST, 0.2 if self._draining else 1.0)
            if deliveries:
                await self.write(deliveries)
            elif self._draining:
                return

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Write batches and acknowledge them; tries until it works, for nothing else may be done with them."""
        fresh = [delivery.batch for delivery in deliveries if delivery.batch.id not in self._written]
        self._counts["repeated"] += len(deliveries) - len(fresh)
        renewing = asyncio.create_task(_renew(deliveries))
        try:
            await self._keep(fresh)
        finally:
            await end(renewing)
        for delivery in deliveries:
            await delivery.ack()

    async def _keep(self, batches: Sequence[Batch]) -> None:
        pause = self._pause
        while batches:
            began = time.perf_counter()
            try:
                await asyncio.to_thread(self._store.write, *merged(batches))
            except InputError as error:
                await self._apart(batches, error)
                return
            except StoreError as error:
                self._failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            self._note(batches, time.perf_counter() - began)
            return

    async def _apart(self, batches: Sequence[Batch], error: InputError) -> None:
        """One batch holds what the store will never take: find it, leave it out, and say so."""
        if len(batches) == 1:
            self._counts["refused"] += 1
            self._tell(f"a batch of shard {batches[0].shard} was left out: {error}")
            return
        for batch in batches:
            await self._keep([batch])

    def _failed(self, error: StoreError) -> None:
        self._counts["failures"] += 1
        if not self._failing:
            self._tell(f"the store does not take samples, which wait: {error}")
        self._failing = True

    def _note(self, batches: Sequence[Batch], seconds: float) -> None:
        if self._failing:
            self._tell("the store takes samples again")
        self._failing = False
        self._counts["batches"] += len(batches)
        self._counts["rows"] += sum(batch.rows for batch in batches)
        self._counts["write_seconds"] += seconds
        times = [last for batch in batches if isinstance(last := batch.outcomes["received_ns"].min(), int)]
        self._counts["lag_seconds"] = max(0.0, time.time() - min(times) / 1e9) if times else 0.0
        for batch in batches:
            self._written[batch.id] = None
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    async def stop(self, drain: float = 0.0) -> bool:
        """End, after writing what still comes within ``drain`` seconds; whether nothing was left to the bus."""
        self._draining = True
        if self.task is not None and drain:
            await asyncio.wait({self.task}, timeout=drain)
        drained = self.task is not None and self.task.done()
        await end(self.task)
        await self._consumer.close()
        return drained

    def health(self) -> Mapping[str, float]:
        """Counts since the start; ``lag_seconds`` from a poll's end to its being on disk, of the last write."""
        return {**self._counts, "failing": float(self._failing)}


def merged(batches: Sequence[Batch]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The tables of all batches: counters, flow samples, outcomes."""
    flows = [batch.flows for batch in batches if batch.flows.height]
    outcomes = [batch.outcomes for batch in batches if batch.outcomes.height]
    return (
        stacked(batch.counters for batch in batches),
        pl.concat(flows) if flows else empty_flows(),
        pl.concat(outcomes) if outcomes else empty_outcomes(),
    )


async def _renew(deliveries: Sequence[Delivery]) -> None:
    """Keep batches ours while writing takes long."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        for delivery in deliveries:
            await delivery.renew()


class Roller:
    """Writes the roll-ups of each interval; one process does it, for a roll-up needs the ports of all shards."""

    def __init__(self, consumer: Consumer, store: Store, rolling: Rolling) -> None:
        self._consumer, self._store, self._rolling = consumer, store, rolling
        self.task: asyncio.Task[None] | None = None
        self.latest: pl.DataFrame | None = None
        self._counts = {"rollup_rows": 0.0, "rollup_failures": 0.0}

    def start(self) -> None:
        """Roll up what comes from now on."""
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            deliveries = await self._consumer.take(MOST, 1.0)
            counters = stacked(delivery.batch.counters for delivery in deliveries)
            found = await asyncio.to_thread(self._rolling.feed, counters, time.time_ns())
            if found.height:
                self.latest = found
                try:
                    await asyncio.to_thread(self._store.write_rollups, found)
                    self._counts["rollup_rows"] += found.height
                except StoreError:
                    self._counts["rollup_failures"] += 1
            for delivery in deliveries:
                await delivery.ack()

    async def stop(self) -> None:
        """End; the interval under way has no roll-up from here."""
        await end(self.task)
        await self._consumer.close()

    def health(self) -> Mapping[str, float]:
        """Counts since the start."""
        return self._counts
