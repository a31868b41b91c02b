"""What only the bus between processes does: a server that dies, workers that die, messages that are none, leases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from buses import NatsServer, ids, made_batch, nats_server, run, take, wipe
from conftest import need
from hypothesis import given
from hypothesis import strategies as st

from collectors.bus import BusError, open_bus
from collectors.bus.leases import LeasedShare, division
from collectors.bus.nats import STREAM, SUBJECTS, NatsBus
from collectors.secrets import Secrets


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(need("nats-server"), tmp_path_factory.mktemp("nats")) as running:
        yield running


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


def test_leases_made_with_another_time_to_live_are_kept_to(server: NatsServer) -> None:
    async def work() -> None:
        one, two = [await NatsBus.connect(server.url) for _ in range(2)]
        first = await LeasedShare.join(one.jetstream, "older", ["a"], ttl=2)
        second = await LeasedShare.join(two.jetstream, "older", ["a"], ttl=30)
        assert second.ttl == 2
        assert len(first.mine | second.mine) == 1
        for share in (first, second):
            await share.close()
        for bus in (one, two):
            await bus.close()

    run(work)


def test_a_server_that_went_away_is_an_error_of_the_bus(tmp_path: Path) -> None:
    async def work(server: NatsServer) -> None:
        bus = await NatsBus.connect(server.url)
        bus.jetstream._timeout = 0.3
        server.kill()
        with pytest.raises(BusError, match="group store: the bus does not answer"):
            await bus.declare("store")
        with pytest.raises(BusError, match="leases of collect: the bus does not answer"):
            await bus.divide("collect", ["a"])
        await bus.close()

    with nats_server(need("nats-server"), tmp_path) as server:
        run(lambda: work(server))
