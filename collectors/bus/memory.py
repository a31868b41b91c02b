"""The bus inside one process: a queue a group, bounded in bytes; a full one makes publishers wait."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from collectors.bus import BusError
from collectors.codec import Batch

MOST_BYTES = 1 << 28
"""Of the batches that wait in one group: 256 MiB, about half a minute of 19,200 rows/s."""
REMEMBERED = 10_000
"""Ids of batches published lately: one that is published again is dropped."""


@dataclass(eq=False)
class _Group:
    """What waits for one group, oldest first, and what its workers hold."""

    shard: str | None
    waiting: deque[Batch] = field(default_factory=deque)
    held: dict[str, Batch] = field(default_factory=dict)
    bytes: int = 0


class MemoryBus:
    """A bus for one event loop."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._groups: dict[tuple[str, str | None], _Group] = {}
        self._changed = asyncio.Condition()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._counts = dict.fromkeys(("published", "published_bytes", "waits", "redelivered", "repeated"), 0)
        self._closed = False

    async def publish(self, batch: Batch) -> None:
        """Hand the batch to every group, once each has room for it."""
        async with self._changed:
            self._refuse_closed()
            if batch.id in self._seen:
                self._counts["repeated"] += 1
                return
            size = batch.size()
            if self._full(size):
                self._counts["waits"] += 1
                await self._changed.wait_for(lambda: self._closed or not self._full(size))
                self._refuse_closed()
            self._hand_out(batch, size)

    def _hand_out(self, batch: Batch, size: int) -> None:
        self._seen[batch.id] = None
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._counts["published"] += 1
        self._counts["published_bytes"] += size
        for group in self._groups.values():
            if group.shard in (None, batch.shard):
                group.waiting.append(batch)
                group.bytes += size
        self._changed.notify_all()

    def _full(self, size: int) -> bool:
        """Whether a group has no room; an empty one takes any batch, or a large one could never pass."""
        return any(group.bytes and group.bytes + size > self.most_bytes for group in self._groups.values())

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BusError("the bus is closed")

    async def declare(self, group: str, shard: str | None = None) -> None:
        """Let batches wait for the group from now on."""
        self._groups.setdefault((group, shard), _Group(shard))

    async def consume(self, group: str, shard: str | None = None) -> MemoryConsumer:
        """A worker of the group."""
        self._refuse_closed()
        return MemoryConsumer(self, self._groups.setdefault((group, shard), _Group(shard)))

    async def divide(self, role: str, shards: Collection[str]) -> MemoryShare:
        """All of them: there is one process."""
        return MemoryShare(frozenset(shards))

    def health(self) -> Mapping[str, float]:
        """Counts since the start; ``waiting_…`` is what no worker has acknowledged yet, of the fullest group."""
        waiting = max((len(g.waiting) + len(g.held) for g in self._groups.values()), default=0)
        held = max((g.bytes for g in self._groups.values()), default=0)
        return {**self._counts, "waiting_batches": waiting, "waiting_bytes": held}

    async def close(self) -> None:
        """Wake whoever waits; nothing is published any more, what waits can still be taken."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def _take(self, group: _Group, most: int, timeout: float) -> list[Batch]:
        async with self._changed:
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait_for(lambda: bool(group.waiting) or self._closed)
            except TimeoutError:
                return []
            taken = [group.waiting.popleft() for _ in range(min(most, len(group.waiting)))]
            group.held |= {batch.id: batch for batch in taken}
            return taken

    async def _done(self, group: _Group, batch: Batch) -> None:
        async with self._changed:
            if group.held.pop(batch.id, None) is not None:
                group.bytes -= batch.size()
                self._changed.notify_all()

    async def _give_back(self, group: _Group, batches: list[Batch]) -> None:
        """Put batches that a worker holds in front again, in their order."""
        async with self._changed:
            back = [batch for batch in batches if group.held.pop(batch.id, None) is not None]
            group.waiting.extendleft(reversed(back))
            self._counts["redelivered"] += len(back)
            self._changed.notify_all()


class MemoryConsumer:
    """A worker in the same process."""

    def __init__(self, bus: MemoryBus, group: _Group) -> None:
        self._bus, self._group = bus, group
        self._mine: dict[str, Batch] = {}

    async def take(self, most: int = 1, timeout: float = 1.0) -> list[MemoryDelivery]:
        """Up to ``most`` batches, oldest first."""
        batches = await self._bus._take(self._group, most, timeout)
        self._mine |= {batch.id: batch for batch in batches}
        return [MemoryDelivery(self, batch) for batch in batches]

    async def close(self) -> None:
        """Give back what was not acknowledged."""
        mine, self._mine = list(self._mine.values()), {}
        await self._bus._give_back(self._group, mine)

    async def _settle(self, batch: Batch, done: bool) -> None:
        if self._mine.pop(batch.id, None) is None:
            return
        if done:
            await self._bus._done(self._group, batch)
        else:
            await self._bus._give_back(self._group, [batch])


@dataclass(frozen=True, slots=True)
class MemoryDelivery:
    """A batch that a worker holds."""

    consumer: MemoryConsumer
    batch: Batch

    async def ack(self) -> None:
        """Done."""
        await self.consumer._settle(self.batch, done=True)

    async def nack(self) -> None:
        """Again, by whoever comes first."""
        await self.consumer._settle(self.batch, done=False)

    async def renew(self) -> None:
        """Nothing to do: within a process a worker holds a batch until it closes."""


@dataclass(frozen=True, slots=True)
class MemoryShare:
    """All shards, for as long as the process runs."""

    mine: frozenset[str]

    async def changed(self, timeout: float) -> frozenset[str]:
        """The same, later."""
        await asyncio.sleep(timeout)
        return self.mine

    async def close(self) -> None:
        """Nobody to leave them to."""
