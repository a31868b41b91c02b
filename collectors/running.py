"""The sources of one process: polled ones on the schedule, listening ones as tasks, for the shards that are ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from collectors import registry
from collectors.collector import Collector
from collectors.registry import SOURCES
from collectors.schedule import Schedule
from collectors.settings import Chosen, Collect, check
from collectors.sources import Listening, Polled, Target
from collectors.targets import Places, read_places, targets
from collectors.tasks import end
from collectors.writer import Tell
from fabric.errors import InputError, Problem
from fabric.plan import Plan

RESTART_SECONDS = 5.0


def all_targets(plan: Plan, collect: Collect) -> dict[str, list[Target]]:
    """The targets of each source that the settings have. Raises InputError with all that is wrong with any."""
    places: Places = {}
    if collect.shared.targets is not None:
        places = read_places(Path(collect.shared.targets), plan, list(SOURCES))
    found: dict[str, list[Target]] = {}
    problems: list[Problem] = []
    for chosen in collect.sources:
        try:
            check(chosen)
            found[chosen.name] = _targets(plan, chosen, places)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def _targets(plan: Plan, chosen: Chosen, places: Places) -> list[Target]:
    made = targets(
        plan,
        chosen.port,
        asks=SOURCES[chosen.name].asks,
        networks=chosen.settings.networks,
        devices=chosen.settings.devices,
        source=chosen.name,
        places=places,
        options=chosen.options,
        family=chosen.settings.family,
    )
    return [_varied(target, chosen) for target in made]


def _varied(target: Target, chosen: Chosen) -> Target:
    for patterns, options in chosen.variants:
        if any(fnmatchcase(target.device, pattern) for pattern in patterns):
            return Target(target.device, target.address, target.port, target.ports, options)
    return target


class Running:
    """Sources at work; ``assign`` says for which shards, as often as that changes."""

    def __init__(
        self, collect: Collect, found: Mapping[str, Sequence[Target]], collector: Collector, *, tell: Tell | None = None
    ) -> None:
        shared = collect.shared
        self._collector, self._tell = collector, tell or (lambda _: None)
        self._chosen = {chosen.name: chosen for chosen in collect.sources}
        self._found = found
        self.schedule = Schedule(collector.emit, concurrency=shared.concurrency, patience=shared.patience)
        self.sources = {name: registry.make(name, chosen.own) for name, chosen in self._chosen.items()}
        self._polled: set[tuple[str, str]] = set()
        self._told: dict[str, list[Target]] = {}
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin; nothing is asked until shards are assigned."""
        self._task = asyncio.create_task(self.schedule.run())

    async def assign(self, shard_of: Mapping[str, str], mine: frozenset[str]) -> None:
        """Ask and listen to the devices of these shards, and no others."""
        for name, found in self._found.items():
            ours = [target for target in found if shard_of[target.device] in mine]
            if SOURCES[name].listens:
                await self._listen(name, ours)
            else:
                self._poll(name, ours)

    def _poll(self, name: str, ours: Sequence[Target]) -> None:
        source = cast(Polled, self.sources[name])
        wanted = {(name, target.device) for target in ours}
        for _, device in sorted(key for key in self._polled - wanted if key[0] == name):
            self.schedule.remove(name, device)
            self._polled.discard((name, device))
            if hasattr(source, "forget"):
                source.forget(device)
        for target in ours:
            if (name, target.device) not in self._polled:
                self.schedule.add(source, target, self._chosen[name].pace)
                self._polled.add((name, target.device))

    async def _listen(self, name: str, ours: list[Target]) -> None:
        if self._told.get(name) == ours:
            return
        await end(self._listening.pop(name, None))
        self._told[name] = ours
        if ours:
            self._listening[name] = asyncio.create_task(self._keep_listening(name, ours))

    async def _keep_listening(self, name: str, ours: list[Target]) -> None:
        """Until cancelled; a source that fails is started again, and said to have failed."""
        source = cast(Listening, self.sources[name])
        while True:
            try:
                await source.run(ours, self._collector.emit, self._chosen[name].pace.period)
            except InputError as error:
                self._tell(f"{name} cannot listen: {error}")
            except Exception as error:  # noqa: BLE001  # one source's fault is not the others'
                self._tell(f"{name} failed ({type(error).__name__}) and is started again")
            self._failures += 1
            await asyncio.sleep(RESTART_SECONDS)

    async def stop(self, grace: float = 2.0) -> None:
        """End polls and listening; what came goes to the collector first."""
        await end(self._task)
        await self.schedule.stop(grace)
        await end(*self._listening.values())
        for name, source in self.sources.items():
            if not SOURCES[name].listens:
                await cast(Polled, source).close()

    def health(self) -> Mapping[str, Mapping[str, float]]:
        """The schedule's numbers, and those of each source that has any."""
        found: dict[str, Mapping[str, float]] = {"schedule": {**self.schedule.health(), "failures": self._failures}}
        for name, source in self.sources.items():
            if hasattr(source, "health"):
                found[f"source_{name}"] = source.health()
        return found
