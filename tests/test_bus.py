"""What every bus does, held by the same tests in memory and over a real nats-server; then what only NATS does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from buses import NatsServer, made_batch, nats_server
from conftest import need
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collectors.bus import Bus, BusError, Consumer, Delivery, open_bus
from collectors.bus.leases import LeasedShare, division
from collectors.bus.memory import MemoryBus
from collectors.bus.nats import STREAM, SUBJECTS, NatsBus
from collectors.codec import Batch
from collectors.secrets import Secrets
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


async def wipe(url: str) -> None:
    bus = await NatsBus.connect(url)
    await bus.jetstream.delete_stream(STREAM)
    await bus.close()


@pytest.fixture(params=["memory", "nats"])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.param, request.getfixturevalue("server") if request.param == "nats" else None)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(bounded())


async def take(consumer: Consumer, number: int) -> list[Delivery]:
    """So many batches, however many calls that takes."""
    found: list[Delivery] = []
    while len(found) < number:
        found += await consumer.take(number - len(found), 1)
    return found


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.batch.id for delivery in deliveries]


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


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(BusError, match="is nats-server running there, with -js, and who are we to it") as caught:
            await NatsBus.connect("nats://someone@127.0.0.1:1", patience=2)
        assert "someone" not in str(caught.value)

    run(work)


@pytest.mark.parametrize(
    ("options", "who", "secrets"),
    [
        (("--auth", "t0ken"), "", {"NATS_TOKEN": "t0ken"}),
        (("--user", "tele", "--pass", "passpass"), "tele@", {"NATS_PASSWORD": "passpass"}),
    ],
    ids=["token", "user"],
)
def test_who_we_are_to_the_server_comes_from_secrets(
    tmp_path: Path, options: tuple[str, ...], who: str, secrets: dict[str, str]
) -> None:
    async def work(url: str) -> None:
        bus = await open_bus(url, secrets=Secrets(secrets))
        consumer = await bus.consume("store")
        await bus.publish(sent := made_batch())
        assert ids(await take(consumer, 1)) == [sent.id]
        await bus.close()
        with pytest.raises(BusError):
            await NatsBus.connect(url, secrets=Secrets({}), patience=2)

    with nats_server(need("nats-server"), tmp_path, *options) as server:
        run(lambda: work(server.url.replace("nats://", f"nats://{who}")))


def test_a_message_larger_than_the_server_takes_goes_in_parts(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 16384\n")

    async def work(url: str) -> None:
        bus = await NatsBus.connect(url)
        consumer = await bus.consume("store")
        sent = made_batch(rows=5000)
        await bus.publish(sent)
        rows, parts = 0, 0
        while rows < sent.rows:
            (delivery,) = await take(consumer, 1)
            rows, parts = rows + delivery.batch.rows, parts + 1
            await delivery.ack()
        assert rows == sent.rows
        assert parts > 1
        await bus.close()

    with nats_server(need("nats-server"), tmp_path / "small", "-c", str(config)) as small:
        run(lambda: work(small.url))


def test_a_message_that_is_no_batch_is_counted_and_taken_off(server: NatsServer) -> None:
    async def work() -> None:
        await wipe(server.url)
        bus = await NatsBus.connect(server.url, ack_wait=1)
        consumer = await bus.consume("store")
        await bus.jetstream.publish(f"{SUBJECTS}.compute-s0", b"RWB1 and then nothing of ours")
        await bus.publish(sent := made_batch())
        (got,) = await take(consumer, 1)
        await got.ack()
        assert got.batch.id == sent.id
        assert bus.health()["malformed"] == 1
        assert (await bus.jetstream.stream_info(STREAM)).state.messages == 0
        await bus.close()

    run(work)


def test_what_a_dead_worker_held_goes_to_another(server: NatsServer) -> None:
    async def work() -> None:
        await wipe(server.url)
        one, two = [await NatsBus.connect(server.url, ack_wait=0.5) for _ in range(2)]
        dying, living = await one.consume("store"), await two.consume("store")
        await two.publish(sent := made_batch())
        await take(dying, 1)
        await one.client.close()
        assert ids(await take(living, 1)) == [sent.id]
        await two.close()

    run(work)


def test_a_batch_renewed_stays_with_its_worker(server: NatsServer) -> None:
    async def work() -> None:
        await wipe(server.url)
        bus = await NatsBus.connect(server.url, ack_wait=0.6)
        one, two = await bus.consume("store"), await bus.consume("store")
        await bus.publish(made_batch())
        (held,) = await take(one, 1)
        for _ in range(5):
            await held.renew()
            assert not await two.take(1, 0.3)
        await held.ack()
        assert not await two.take(1, 0.8)
        await bus.close()

    run(work)


def test_nothing_is_lost_when_the_server_is_killed_and_comes_back(tmp_path: Path) -> None:
    async def work(server: NatsServer) -> None:
        bus = await NatsBus.connect(server.url, ack_wait=1)
        consumer = await bus.consume("store")
        before, after = made_batch(), made_batch(start=50)
        await bus.publish(before)
        server.kill()
        publisher = asyncio.create_task(bus.publish(after))
        await asyncio.sleep(0.3)
        assert not publisher.done()
        server.start()
        await publisher
        seen: set[str] = set()
        while len(seen) < 2:
            for delivery in await consumer.take(2, 0.5):
                seen.add(delivery.batch.id)
                await delivery.ack()
        assert seen == {before.id, after.id}
        await bus.close()

    with nats_server(need("nats-server"), tmp_path) as server:
        run(lambda: work(server))


names = st.lists(st.text("abcdef0123456789", min_size=1, max_size=8), min_size=1, max_size=9, unique=True)


@given(names, names)
def test_a_division_gives_each_shard_one_member_and_none_too_many(members: list[str], shards: list[str]) -> None:
    owners = division(members, shards)
    assert owners.keys() == set(shards)
    counts = [list(owners.values()).count(member) for member in members]
    assert max(counts) <= -(-len(shards) // len(members))
    assert owners == division(members[::-1], shards[::-1])


def test_the_shards_of_a_member_that_dies_go_to_the_other(server: NatsServer) -> None:
    shards = [f"compute-s{n}" for n in range(6)]

    async def work() -> None:
        await wipe(server.url)
        one, two = [await NatsBus.connect(server.url) for _ in range(2)]
        first = await LeasedShare.join(one.jetstream, "collect", shards, ttl=1)
        assert first.mine == set(shards)
        second = await LeasedShare.join(two.jetstream, "collect", shards, ttl=1)
        while len(second.mine) < 3:
            await second.changed(0.2)
            assert not first.mine & second.mine
        assert len(first.mine) == 3
        await one.client.close()  # as when its process is killed: nothing is said to anybody
        while second.mine != set(shards):
            await second.changed(0.2)
        await second.close()
        await first.close()
        await two.close()

    run(work)
