"""From polls to the store: batches, back-pressure, strangers, exactly once, and stopping without losing anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from buses import made_batch
from polars.testing import assert_frame_equal

from collectors.bus.memory import MemoryBus
from collectors.codec import Batch
from collectors.collector import Collector
from collectors.sources import Outcome, Poll
from collectors.store import Store, open_store
from collectors.store.errors import StoreFullError
from collectors.writer import Writer
from fabric.errors import InputError
from fabric.samples import FLOW_SCHEMA, schema

SHARDS = {"leaf-1": "s0", "leaf-2": "s0", "leaf-3": "s1", "compute": "subnet"}
END = 2**62


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work()

    asyncio.run(bounded())


def poll(device: str, number: int = 0, rows: int = 2, columns: tuple[str, ...] = ("rx_bytes",), **more: Any) -> Poll:
    frame = pl.DataFrame(
        {"time_ns": [number * 10**9] * rows, "received_ns": [number * 10**9 + 10**6] * rows, "device": [device] * rows}
        | {"port": [f"Ethernet{n}" for n in range(rows)]}
        | {column: [number + n for n in range(rows)] for column in columns},
        schema=schema(columns),
    )
    return Poll("snmp", device, more.pop("outcome", Outcome.OK), number * 10**9, 0.25, frame, **more)


def flow(device: str, number: int) -> pl.DataFrame:
    row = {"time_ns": number, "received_ns": number, "device": device, "sample_pool": number, "frame_bytes": 1500}
    return pl.DataFrame({name: [row.get(name)] for name in FLOW_SCHEMA}, schema=FLOW_SCHEMA)


async def published(polls: Sequence[Poll]) -> tuple[list[Batch], Collector]:
    """The batches that come of polls in one interval."""
    bus = MemoryBus()
    consumer = await bus.consume("store")
    collector = Collector(bus, SHARDS)
    await collector.emit(polls)
    await collector.flush()
    return [delivery.batch for delivery in await consumer.take(99, 0.01)], collector


def test_an_interval_is_one_batch_a_shard() -> None:
    async def work() -> None:
        batches, _ = await published([poll("leaf-1"), poll("leaf-3"), poll("leaf-2"), poll("leaf-1", 1)])
        assert {batch.shard: batch.counters.height for batch in batches} == {"s0": 6, "s1": 2}
        assert {batch.shard: batch.outcomes.height for batch in batches} == {"s0": 3, "s1": 1}
        assert len({batch.id for batch in batches}) == 2

    run(work)


def test_polls_with_other_columns_fit_into_one_table() -> None:
    async def work() -> None:
        ((batch,), _) = await published([poll("leaf-1", columns=("rx_bytes", "tx_bytes")), poll("leaf-2")])
        assert set(batch.counters.columns) >= {"rx_bytes", "tx_bytes"}
        assert batch.counters.filter(device="leaf-2")["tx_bytes"].null_count() == 2

    run(work)


def test_every_outcome_is_there_with_what_is_said_of_it() -> None:
    async def work() -> None:
        silent = Poll("snmp", "leaf-1", Outcome.SILENT, 7 * 10**9, 5.0, detail="no answer")
        ((batch,), _) = await published([silent, poll("leaf-2", flows=flow("leaf-2", 1))])
        first, second = batch.outcomes.to_dicts()
        assert first == {
            "time_ns": 7 * 10**9, "received_ns": 12 * 10**9, "source": "snmp", "device": "leaf-1",
            "outcome": "silent", "detail": "no answer", "seconds": 5.0, "rows": 0,
        }  # fmt: skip
        assert (second["outcome"], second["rows"]) == ("ok", 3)
        assert batch.flows.height == 1

    run(work)


def test_devices_that_the_plan_does_not_have_are_counted_and_dropped() -> None:
    async def work() -> None:
        stranger, subnet = poll("leaf-9"), poll("compute")
        mixed = Poll("infiniband", "compute", Outcome.OK, 0, 0.1, pl.concat([poll("leaf-1").rows, stranger.rows]))
        batches, collector = await published([stranger, mixed, subnet])
        assert {batch.shard for batch in batches} == {"subnet"}
        assert set(batches[0].counters["device"]) == {"leaf-1", "compute"}
        assert collector.health()["unknown_devices"] == 1 + 2

    run(work)


def test_rows_without_a_device_are_strangers() -> None:
    async def work() -> None:
        rows = poll("leaf-1").rows.with_columns(device=pl.lit(None, pl.String))
        ((batch,), collector) = await published([Poll("snmp", "leaf-1", Outcome.OK, 0, 0.1, rows)])
        assert batch.counters.is_empty()
        assert collector.health()["unknown_devices"] == 2

    run(work)


def test_unknown_ports_and_outcomes_are_counted() -> None:
    async def work() -> None:
        _, collector = await published([poll("leaf-1", unknown=4), poll("leaf-1", 1, outcome=Outcome.PARTIAL)])
        assert collector.health()["unknown_ports"] == 4
        assert collector.outcomes == {("snmp", "leaf-1", "ok"): 1, ("snmp", "leaf-1", "partial"): 1}

    run(work)


def test_sources_wait_while_the_bus_takes_no_more() -> None:
    async def work() -> None:
        bus = MemoryBus(most_bytes=1)
        consumer = await bus.consume("store")
        collector = Collector(bus, SHARDS, interval=0.01, most_rows=10)
        collector.start()
        emitting = asyncio.create_task(emit_all(collector, [poll("leaf-1", n) for n in range(50)]))
        await asyncio.sleep(0.2)
        assert not emitting.done()
        assert collector.health()["waiting_rows"] <= 13
        assert collector.health()["waits"] >= 1
        rows = 0
        while rows < 100:
            for delivery in await consumer.take(5, 0.1):
                rows += delivery.batch.counters.height
                await delivery.ack()
        await emitting
        await collector.stop()

    run(work)


async def emit_all(collector: Collector, polls: Sequence[Poll]) -> None:
    for one in polls:
        await collector.emit([one])


class Disk:
    """A store that fails as it is told before it works, and remembers what it was given."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.failures = list(failures)
        self.written: list[tuple[pl.DataFrame, ...]] = []

    def write(self, *tables: pl.DataFrame) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.written.append(tables)


async def wrote(disk: Any, batches: Sequence[Batch], told: list[str] | None = None) -> Writer:
    """All batches through a bus and a writer into the store."""
    bus = MemoryBus()
    writer = Writer(await bus.consume("store"), disk, tell=(told if told is not None else []).append, pause=0.01)
    writer.start()
    for batch in batches:
        await bus.publish(batch)
    await writer.stop(drain=20)
    assert bus.health()["waiting_batches"] == 0, "something was not acknowledged"
    return writer


def test_what_the_store_refuses_for_a_time_waits_and_is_told_once() -> None:
    async def work() -> None:
        told: list[str] = []
        disk = Disk([StoreFullError("no room: free some"), StoreFullError("no room: free some")])
        writer = await wrote(disk, [made_batch()], told)
        assert len(disk.written) == 1
        assert told == [
            "the store does not take samples, which wait: no room: free some",
            "the store takes samples again",
        ]
        assert writer.health()["failures"] == 2
        assert writer.health()["failing"] == 0

    run(work)


def test_a_batch_that_the_store_will_never_take_does_not_hold_up_others() -> None:
    async def work() -> None:
        told: list[str] = []
        good, bad = made_batch(), made_batch("s9", start=50)

        class Picky(Disk):
            def write(self, *tables: pl.DataFrame) -> None:
                if tables[0]["time_ns"].max() >= 50 * 10**6:  # type: ignore[operator]
                    raise InputError("counters: not these")
                super().write(*tables)

        disk = Picky()
        writer = await wrote(disk, [good, bad], told)
        assert writer.health()["refused"] == 1
        assert told == ["a batch of shard s9 was left out: counters: not these"]
        assert_frame_equal(disk.written[0][0], good.counters)

    run(work)


def test_a_batch_delivered_twice_is_written_once() -> None:
    async def work() -> None:
        disk, bus = Disk(), MemoryBus()
        writer = Writer(await bus.consume("store"), disk)  # type: ignore[arg-type]
        batch = made_batch()
        for _ in range(2):
            await writer.write([Delivered(batch)])
        assert len(disk.written) == 1
        assert writer.health()["repeated"] == 1

    run(work)


class Delivered:
    """A delivery that nobody waits for."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    async def ack(self) -> None:
        return

    nack = renew = ack


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = open_store(f"duckdb:{tmp_path / 'samples.duckdb'}")
    yield found
    found.close()


def test_a_batch_written_by_two_workers_is_in_the_store_once(store: Store) -> None:
    """As when the first died after writing and before saying so."""

    async def work() -> None:
        batch = made_batch(rows=40)
        flows = Batch(batch.id, batch.shard, batch.counters, flow("leaf-1", 5), batch.outcomes)
        for _ in range(2):
            await wrote(store, [flows])

    run(work)
    rows = store.read(["rx_bytes", "tx_bytes"], start_ns=0, end_ns=END)
    assert rows["rx_bytes"].to_list() == [n * 1000 for n in range(40)]
    assert store.read_flows(start_ns=0, end_ns=END).height == 1
    assert store.read_outcomes(start_ns=0, end_ns=END).height == 1


def test_polls_reach_the_store_as_they_were(store: Store) -> None:
    polls = [poll(device, number) for number in range(1, 6) for device in ("leaf-1", "leaf-2", "leaf-3")]

    async def work() -> None:
        bus = MemoryBus()
        writer = Writer(await bus.consume("store"), store)
        writer.start()
        collector = Collector(bus, SHARDS, interval=0.02)
        collector.start()
        for one in polls:
            await collector.emit([one])
            await asyncio.sleep(0.005)
        await collector.stop()
        await writer.stop(drain=20)

    run(work)
    rows = store.read(["rx_bytes"], start_ns=0, end_ns=END)
    expected = pl.concat([one.rows for one in polls]).sort("device", "port", "time_ns")
    assert_frame_equal(rows.select(expected.columns), expected)
    outcomes = store.read_outcomes(start_ns=0, end_ns=END)
    assert outcomes.height == 15
    assert set(outcomes["outcome"]) == {"ok"}


def test_what_was_emitted_before_the_stop_is_published(store: Store) -> None:
    async def work() -> None:
        bus = MemoryBus()
        consumer = await bus.consume("store")
        collector = Collector(bus, SHARDS, interval=60)
        collector.start()
        await collector.emit([poll("leaf-1")])
        began = time.monotonic()
        await collector.stop()
        assert time.monotonic() - began < 30
        assert [d.batch.counters.height for d in await consumer.take(9, 0.1)] == [2]

    run(work)


def test_a_stop_does_not_wait_for_a_bus_that_takes_nothing() -> None:
    async def work() -> None:
        bus = MemoryBus(most_bytes=1)
        await bus.declare("store")
        await bus.publish(made_batch())
        collector = Collector(bus, SHARDS)
        collector.start()
        await collector.emit([poll("leaf-1")])
        assert await collector.stop(grace=0.1) == 3

    run(work)
