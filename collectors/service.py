"""``railwright collect`` without its terminal: sources to bus, bus to store, in one process or in many.

A process collects, writes, or both. Collectors share the shards out among themselves, writers the batches; roll-ups are
one writer's. It stops in the order in which samples flow, so that what was asked for is on disk or with the bus.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.bus import MEMORY, Bus, Share
from collectors.collector import Collector, Watch
from collectors.running import Running, all_targets
from collectors.settings import Collect
from collectors.sources import Target
from collectors.targets import shards
from collectors.tasks import end
from collectors.writer import GROUP, ROLLUPS, Roller, Tell, Writer
from fabric.errors import InputError, Problem
from fabric.plan import Plan

if TYPE_CHECKING:
    from collectors.exposition import Sampled
    from collectors.store import Store

ROLE = "collect"
ROLLUP_SECONDS = 10
SNAPSHOT_SECONDS = 1.0


@dataclass(frozen=True)
class Roles:
    """What this process does: ask devices, write to the store (None: it does not)."""

    collects: bool = True
    store: Store | None = None


@dataclass(frozen=True)
class Site:
    """Who is there: the shard of each device, and the targets of each source; without a plan there are no roll-ups."""

    shard_of: Mapping[str, str]
    targets: Mapping[str, Sequence[Target]]
    plan: Plan | None = None

    @staticmethod
    def of(plan: Plan, collect: Collect) -> Site:
        """That of a plan. Raises InputError with all that is wrong with the settings of the sources."""
        return Site(shards(plan), all_targets(plan, collect), plan)


class Service:
    """The parts of one process, in the order of the samples' way."""

    def __init__(
        self,
        site: Site,
        collect: Collect,
        bus: Bus,
        roles: Roles,
        *,
        tell: Tell | None = None,
        watch: Watch | None = None,
    ) -> None:
        """``tell`` gets lines for the operator, ``watch`` sees every poll. Raises InputError where nobody is asked."""
        self._plan, self._bus, self._roles, self._tell = site.plan, bus, roles, tell or (lambda _: None)
        self._memory = collect.shared.bus == MEMORY
        self._shard_of, self._found = site.shard_of, site.targets
        if roles.collects and not any(self._found.values()):
            raise InputError(Problem("collect", "there is nobody to ask", "add [collect.snmp]; see docs/collect.md"))
        self.collector = Collector(bus, self._shard_of, interval=collect.shared.interval, watch=watch)
        self.running = Running(collect, self._found, self.collector, tell=tell) if roles.collects else None
        self.writer: Writer | None = None
        self.roller: Roller | None = None
        self._share: Share | None = None
        self._rollup_share: Share | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._snapshot: tuple[Mapping[str, Mapping[str, float]], Counter[tuple[str, str, str]]] = ({}, Counter())

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; raises what a part raised that cannot go on."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            waiting = asyncio.create_task(stop.wait())
            stack.push_async_callback(end, waiting)
            parts = [part.task for part in (self.collector, self.writer) if part is not None and part.task is not None]
            done, _ = await asyncio.wait({waiting, *parts, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _start(self, stack: AsyncExitStack) -> None:
        """Writers before collectors; each part is stopped in the order in which samples pass it."""
        await self._bus.declare(GROUP)
        if self._roles.store is not None:
            self.writer = Writer(await self._bus.consume(GROUP), self._roles.store, tell=self._tell)
            self.writer.start()
            stack.push_async_callback(self._stop_writer, self.writer)
            if self._plan is not None:
                self._rollup_share = await self._bus.divide(ROLLUPS, ["all"])
                stack.push_async_callback(self._stop_rollups)
                self._tasks.append(asyncio.create_task(self._keep_rolling(self._rollup_share)))
        if self.running is not None:
            ours = {self._shard_of[target.device] for found in self._found.values() for target in found}
            self._share = await self._bus.divide(ROLE, ours)
            stack.push_async_callback(self._share.close)
            self.collector.start()
            stack.push_async_callback(self._stop_collector)
            self.running.start()
            stack.push_async_callback(self.running.stop)
            await self.running.assign(self._shard_of, self._share.mine)
            self._tasks.append(asyncio.create_task(self._keep_assigned(self.running, self._share)))
        self._tasks.append(asyncio.create_task(self._keep_snapshot()))
        stack.push_async_callback(end, *self._tasks)

    async def _keep_assigned(self, running: Running, share: Share) -> None:
        """Follow what falls to us while others come and go."""
        while True:
            await running.assign(self._shard_of, await share.changed(5.0))

    async def _keep_rolling(self, share: Share) -> None:
        """Roll up while that is ours to do."""
        assert self._roles.store is not None
        assert self._plan is not None
        from collectors.store.rollups import Members, Rolling

        members = Members.of(self._plan)
        while True:
            if share.mine and self.roller is None:
                consumer = await self._bus.consume(ROLLUPS)
                self.roller = Roller(consumer, self._roles.store, Rolling(members, ROLLUP_SECONDS * 10**9))
                self.roller.start()
            elif not share.mine and self.roller is not None:
                roller, self.roller = self.roller, None
                await roller.stop()
            await share.changed(5.0)

    async def _stop_collector(self) -> None:
        if lost := await self.collector.stop():
            self._tell(f"{lost:,} rows are lost: the bus took nothing in the last 10 s")

    async def _stop_writer(self, writer: Writer) -> None:
        """In a process that ends, what waits in memory is written or lost; on a server it waits for another."""
        drained = await writer.stop(drain=30.0 if self._memory else 1.0)
        waiting = self._bus.health()["waiting_batches"]
        if self._memory and not drained:
            self._tell(f"{waiting:,.0f} batches are lost: the store took nothing in the last 30 s")

    async def _stop_rollups(self) -> None:
        if self.roller is not None:
            await self.roller.stop()
        if self._rollup_share is not None:
            await self._rollup_share.close()

    async def _keep_snapshot(self) -> None:
        """Numbers for threads that may not look at what the loop changes."""
        while True:
            self._snapshot = (self.health(), self.collector.outcomes.copy())
            await asyncio.sleep(SNAPSHOT_SECONDS)

    def health(self) -> dict[str, Mapping[str, float]]:
        """The numbers of every part by its name; from the loop's own thread."""
        found: dict[str, Mapping[str, float]] = {"bus": dict(self._bus.health())}
        if self.running is not None:
            mine = float(len(self._share.mine)) if self._share is not None else 0.0
            found |= {"collector": {**self.collector.health(), "shards": mine}, **self.running.health()}
        if self.writer is not None:
            rolled = dict(self.roller.health()) if self.roller is not None else {}
            found["writer"] = {**self.writer.health(), **rolled}
        return {name: dict(numbers) for name, numbers in found.items()}

    def samples(self) -> Iterable[Sampled]:
        """The same for ``/metrics``, with how polls ended and the latest roll-ups; from any thread."""
        from collectors.exposition import Sampled, health_samples, rollup_samples

        health, outcomes = self._snapshot
        labels = ("source", "device", "outcome")
        yield Sampled("railwright_polls_ended", "Polls by how they ended", "counter", labels, _floats(outcomes))
        for name, numbers in health.items():
            yield from health_samples(name, numbers)
        latest = self.roller.latest if self.roller is not None else None
        if latest is not None:
            yield from rollup_samples(latest)


def _floats(outcomes: Mapping[tuple[str, str, str], int]) -> dict[tuple[str, ...], float]:
    return {key: float(number) for key, number in outcomes.items()}
