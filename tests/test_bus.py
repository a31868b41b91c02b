"""What every bus does, held by the same tests in memory and over a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from buses import NatsServer, ids, made_batch, nats_server, run, take, wipe
from conftest import need
from polars.testing import assert_frame_equal

from collectors.bus import Bus, BusError, open_bus
from collectors.bus.memory import MemoryBus
from collectors.bus.nats import NatsBus
from collectors.codec import Batch
from fabric.errors import InputError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(need("nats-server"), tmp_path_factory.mktemp("nats")) as running:
        yield running


@dataclass
class Place:
    """Where a test's bus is, opened as often as the test wants."""

    kind: str
    server: NatsServer | None

    @asynccontextmanager
    async def open(self, most_bytes: int = 1 << 24) -> AsyncIterator[Bus]:
        bus: Bus
        if self.server is None:
            bus = MemoryBus(most_bytes)
        else:
            await wipe(self.server.url)
            bus = await NatsBus.connect(self.server.url, ack_wait=2, most_bytes=most_bytes)
        try:
            yield bus
        finally:
            await bus.close()


@pytest.fixture(params=["memory", "nats"])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.param, request.getfixturevalue("server") if request.param == "nats" else None)


def test_a_batch_comes_out_as_it_went_in(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            consumer = await bus.consume("store")
            sent = made_batch(rows=500)
            await bus.publish(sent)
            (got,) = await take(consumer, 1)
            assert (got.batch.id, got.batch.shard) == (sent.id, sent.shard)
            assert_frame_equal(got.batch.counters, sent.counters)
            assert_frame_equal(got.batch.outcomes, sent.outcomes)

    run(work)


def test_every_group_gets_every_batch_in_order(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            groups = [await bus.consume(name) for name in ("store", "detectors")]
            sent = [made_batch(start=n) for n in range(20)]
            for batch in sent:
                await bus.publish(batch)
            for consumer in groups:
                assert ids(await take(consumer, 20)) == [batch.id for batch in sent]

    run(work)


def test_workers_of_a_group_share_its_batches(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            one, two = await bus.consume("store"), await bus.consume("store")
            sent = [made_batch(start=n) for n in range(6)]
            for batch in sent:
                await bus.publish(batch)
            first = await take(one, 3)
            second = await take(two, 3)
            assert {*ids(first), *ids(second)} == {batch.id for batch in sent}
            assert not await one.take(1, 0.1)

    run(work)


def test_what_is_acknowledged_never_comes_again_and_what_is_not_does(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            one = await bus.consume("store")
            sent = [made_batch(start=n) for n in range(4)]
            for batch in sent:
                await bus.publish(batch)
            done, *left = await take(one, 4)
            await done.ack()
            await left[0].nack()
            await one.close()
            two = await bus.consume("store")
            assert sorted(ids(await take(two, 3))) == sorted(batch.id for batch in sent[1:])
            assert bus.health()["redelivered"] >= 3

    run(work)


def test_a_group_keeps_what_came_while_nobody_worked(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            await bus.declare("detectors")
            sent = made_batch()
            await bus.publish(sent)
            late = await bus.consume("detectors")
            assert ids(await take(late, 1)) == [sent.id]

    run(work)


def test_a_new_group_starts_with_what_is_published_from_then_on(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            await bus.declare("store")
            await bus.publish(made_batch())
            new = await bus.consume("detectors")
            sent = made_batch(start=9)
            await bus.publish(sent)
            assert ids(await take(new, 1)) == [sent.id]

    run(work)


def test_a_worker_of_one_shard_gets_only_that(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            consumer = await bus.consume("detectors", "compute-s1")
            sent = [made_batch(f"compute-s{n % 3}", start=n) for n in range(9)]
            for batch in sent:
                await bus.publish(batch)
            assert ids(await take(consumer, 3)) == [batch.id for batch in sent[1::3]]
            assert not await consumer.take(1, 0.1)

    run(work)


def test_a_batch_published_again_is_one(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            consumer = await bus.consume("store")
            sent = made_batch()
            await bus.publish(sent)
            await bus.publish(sent)
            await bus.publish(other := made_batch(start=7))
            assert ids(await take(consumer, 2)) == [sent.id, other.id]
            assert bus.health()["repeated"] == 1
            assert bus.health()["published"] == 2

    run(work)


def test_a_full_bus_makes_publishers_wait_until_there_is_room(place: Place) -> None:
    async def work() -> None:
        async with place.open(most_bytes=40_000) as bus:
            consumer = await bus.consume("store")
            sent = [made_batch(rows=300, start=1000 * n) for n in range(40)]
            publisher = asyncio.create_task(publish_all(bus, sent))
            while not bus.health().get("waits"):
                await asyncio.sleep(0.01)
            assert not publisher.done()
            seen: list[str] = []
            while len(seen) < len(sent):
                for delivery in await consumer.take(4, 1):
                    seen.append(delivery.batch.id)
                    await delivery.ack()
            await publisher
            assert seen == [batch.id for batch in sent]

    run(work)


async def publish_all(bus: Bus, batches: list[Batch]) -> None:
    for batch in batches:
        await bus.publish(batch)


def test_taking_from_an_empty_bus_gives_nothing_in_time(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            consumer = await bus.consume("store")
            assert list(await consumer.take(5, 0.05)) == []

    run(work)


def test_a_closed_bus_takes_no_more(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            await bus.close()
            with pytest.raises(BusError):
                await bus.publish(made_batch())

    run(work)


def test_all_shards_belong_to_a_process_alone(place: Place) -> None:
    async def work() -> None:
        async with place.open() as bus:
            share = await bus.divide("collect-alone", ["a", "b", "c"])
            assert share.mine == {"a", "b", "c"}
            assert await share.changed(0.05) == {"a", "b", "c"}
            await share.close()

    run(work)


def test_another_url_is_no_bus() -> None:
    async def work() -> None:
        with pytest.raises(InputError, match=r'bus: "kafka:" is no bus; use memory: or nats://HOST:PORT'):
            await open_bus("kafka://127.0.0.1")
        with pytest.raises(InputError, match="a password has no place in a URL"):
            await open_bus("nats://who:secret@127.0.0.1:1")

    run(work)
