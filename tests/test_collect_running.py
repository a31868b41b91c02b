"""Sources of one process: who is asked follows the shards, and a source that fails is started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from planned import planned
from virtual_time import run_virtually

from collectors import registry
from collectors.bus.memory import MemoryBus
from collectors.collector import Collector
from collectors.running import Running, all_targets
from collectors.schedule import Pace
from collectors.service import Roles, Service, Site
from collectors.settings import Chosen, Collect, CollectSettings, SourceSettings
from collectors.sources import Emit, Outcome, Poll, Target
from collectors.store import open_store
from fabric.errors import InputError

SHARDS = {f"leaf-{number}": f"s{number // 2}" for number in range(6)}
TARGETS = [Target(device, "192.0.2.1", 1, {}) for device in SHARDS]


class Asks:
    """A polled source that counts."""

    name = "asks"

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.forgotten: list[str] = []
        self.closed = False

    async def poll(self, target: Target, timeout: float) -> Poll:
        self.asked[target.device] += 1
        return Poll(self.name, target.device, Outcome.EMPTY, 0, 0.0)

    def forget(self, device: str) -> None:
        self.forgotten.append(device)

    async def close(self) -> None:
        self.closed = True


class Listens:
    """A listening source that fails as often as it is told to."""

    name = "listens"

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.failures: list[Exception] = []
        self.cancelled = 0

    async def run(self, targets: Sequence[Target], emit: Emit, interval: float) -> None:
        self.runs.append([target.device for target in targets])
        if self.failures:
            raise self.failures.pop(0)
        try:
            while True:
                await asyncio.sleep(interval)
                await emit([Poll(self.name, target.device, Outcome.SILENT, 0, 0.0) for target in targets])
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def health(self) -> Mapping[str, float]:
        return {"runs": len(self.runs)}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Collect:
    monkeypatch.setitem(registry.SOURCES, "asks", registry.Entry("test_collect_running:Asks", "switch", 0, 10))
    monkeypatch.setitem(
        registry.SOURCES, "listens", registry.Entry("test_collect_running:Listens", "switch", 0, 10, True)
    )
    chosen = (Chosen(name, SourceSettings(), Pace(10, 1, 0, 0), {}, {}) for name in ("asks", "listens"))
    return Collect(CollectSettings(), tuple(chosen))


def started(settings: Collect, told: list[str]) -> tuple[Running, Asks, Listens, Collector]:
    collector = Collector(MemoryBus(), SHARDS)
    made = Running(settings, dict.fromkeys(("asks", "listens"), TARGETS), collector, tell=told.append)
    asks, listens = made.sources["asks"], made.sources["listens"]
    assert isinstance(asks, Asks)
    assert isinstance(listens, Listens)
    made.start()
    return made, asks, listens, collector


def test_who_is_asked_follows_the_shards(settings: Collect) -> None:
    async def work() -> None:
        made, asks, listens, collector = started(settings, [])
        await asyncio.sleep(30)
        assert not asks.asked, "somebody was asked before any shard was ours"
        await made.assign(SHARDS, frozenset({"s0", "s1"}))
        await asyncio.sleep(30)
        assert set(asks.asked) == {"leaf-0", "leaf-1", "leaf-2", "leaf-3"}
        await made.assign(SHARDS, frozenset({"s1", "s2"}))
        asks.asked.clear()
        await asyncio.sleep(30)
        assert set(asks.asked) == {"leaf-2", "leaf-3", "leaf-4", "leaf-5"}
        assert all(2 <= number <= 4 for number in asks.asked.values()), "a device is asked twice a period"
        assert asks.forgotten == ["leaf-0", "leaf-1"]
        assert listens.runs == [["leaf-0", "leaf-1", "leaf-2", "leaf-3"], ["leaf-2", "leaf-3", "leaf-4", "leaf-5"]]
        await made.assign(SHARDS, frozenset({"s1", "s2"}))
        assert len(listens.runs) == 2, "listening began anew though nothing changed"
        await made.stop()
        assert asks.closed
        assert listens.cancelled == 2
        assert {source for source, _, _ in collector.outcomes} == {"asks", "listens"}

    run_virtually(work())


def test_a_listening_source_that_fails_is_told_and_started_again(settings: Collect) -> None:
    async def work() -> None:
        told: list[str] = []
        made, _, listens, _ = started(settings, told)
        listens.failures = [InputError("listens.address: is in use"), RuntimeError("token=hunter2")]
        await made.assign(SHARDS, frozenset({"s0"}))
        await asyncio.sleep(30)
        assert told == [
            "listens cannot listen: listens.address: is in use",
            "listens failed (RuntimeError) and is started again",
        ]
        assert len(listens.runs) == 3
        assert made.health()["schedule"]["failures"] == 2
        assert made.health()["source_listens"] == {"runs": 3}
        await made.stop()

    run_virtually(work())


def test_mistakes_of_all_sources_are_told_together() -> None:
    plan = planned("starter-32")
    chosen = (
        Chosen("snmp", SourceSettings(), Pace(), {}, {"user": "x"}),
        Chosen("sflow", SourceSettings(devices=("leef-*",)), Pace(), {}, {}),
    )
    with pytest.raises(InputError) as caught:
        all_targets(plan, Collect(CollectSettings(), chosen))
    said = str(caught.value)
    assert "collect.snmp.auth_secret" in said
    assert 'collect.sflow.devices: "leef-*" matches no device' in said


def test_a_service_without_anybody_to_ask_says_so() -> None:
    async def work() -> None:
        with pytest.raises(InputError, match=r"there is nobody to ask; add \[collect.snmp\]"):
            Service(Site({}, {}), Collect(CollectSettings(), ()), MemoryBus(), Roles())

    asyncio.run(work())


def test_a_part_that_cannot_go_on_ends_the_service(settings: Collect, tmp_path: Path) -> None:
    """A fault of ours must not look like a quiet network."""

    async def work() -> None:
        store = open_store(f"duckdb:{tmp_path / 'samples.duckdb'}")
        site = Site(SHARDS, {"asks": TARGETS})
        service = Service(site, settings, MemoryBus(), Roles(True, store))
        running = asyncio.create_task(service.run(asyncio.Event()))
        while service.writer is None or service.writer.task is None:
            await asyncio.sleep(0.01)
        service.writer._consumer.take = None  # type: ignore[assignment, method-assign]
        with pytest.raises(TypeError):
            await asyncio.wait_for(running, 30)
        store.close()

    asyncio.run(work())
