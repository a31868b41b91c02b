"""The bus between processes: NATS JetStream, a subject a shard, a durable pull consumer a group.

The stream keeps a batch until every group has acknowledged it (interest retention) and refuses new ones when it is full
(then publishers wait and say so), so nothing is dropped unseen. A batch's id is its message id: one sent again because
the answer was lost is stored once. What a worker took and did not acknowledge goes to another after ``ack_wait``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError

from collectors.bus import BusError
from collectors.bus.nats_connect import connect, shown
from collectors.codec import SHARD, Batch, CodecError, decode, encode_within
from collectors.tasks import end
from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from collectors.bus.leases import LeasedShare
    from collectors.secrets import Secrets

STREAM = "RAILWRIGHT"
SUBJECTS = "railwright.samples"
MOST_BYTES = 8 << 30
"""Of the stream on the server's disk: 8 GiB, some 30 minutes of 19,200 rows/s with no group at work."""
KEPT_SECONDS = 24 * 3600.0
"""A batch that some group has not acknowledged after a day goes: a group that nobody works in any more ends so."""
ACK_WAIT = 30.0
MOST_HELD = 128
"""Batches that the workers of one group hold unacknowledged, together."""
HEADERS = 512
"""Bytes of a message that are not the batch."""
_AWAY = (NatsError, APIError, TimeoutError, OSError)


class NatsBus:
    """A connection to a NATS server (or cluster) with JetStream."""

    def __init__(self, client: Client, *, ack_wait: float = ACK_WAIT, retry: float = 0.5) -> None:
        self.client, self.ack_wait, self.retry = client, ack_wait, retry
        self.jetstream: JetStreamContext = client.jetstream(timeout=5)
        self.counts: Counter[str] = Counter()
        self._waiting: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        secrets: Secrets | None = None,
        ack_wait: float = ACK_WAIT,
        most_bytes: int = MOST_BYTES,
        patience: float = 10.0,
    ) -> NatsBus:
        """Connect within ``patience`` seconds, and make the stream where there is none.

        User names may be in the URL, passwords and tokens come as the secrets NATS_PASSWORD and NATS_TOKEN. Raises
        InputError where the URL has a password, BusError where no server answers or JetStream is off.
        """
        counts: Counter[str] = Counter()
        try:
            client = await asyncio.wait_for(connect(url, secrets, counts), patience)
        except (*_AWAY, ValueError) as error:
            what = f"no answer ({type(error).__name__})"
            raise BusError(
                Problem(shown(url), what, "is nats-server running there, with -js, and who are we to it?")
            ) from error
        bus = cls(client, ack_wait=ack_wait)
        bus.counts = counts
        try:
            await bus._make_stream(most_bytes)
        except _AWAY as error:
            await client.close()
            what = f"JetStream cannot be used ({type(error).__name__})"
            raise BusError(Problem(shown(url), what, "start the server with -js and a folder to store in")) from error
        bus._watch = asyncio.create_task(bus._watch_stream())
        return bus

    async def _make_stream(self, most_bytes: int) -> None:
        config = api.StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECTS}.>"],
            retention=api.RetentionPolicy.INTEREST,
            discard=api.DiscardPolicy.NEW,
            max_bytes=most_bytes,
            max_age=KEPT_SECONDS,
            duplicate_window=120,
            storage=api.StorageType.FILE,
        )
        with suppress(BadRequestError):  # it is there with other limits, which are whoever made it's
            await self.jetstream.add_stream(config)
        await self.jetstream.stream_info(STREAM)

    async def publish(self, batch: Batch) -> None:
        """Returns when the server has the whole batch stored, in as many messages as it needs."""
        most = self.client.max_payload - HEADERS
        for name, data in encode_within(batch, most):
            await self._send(name, f"{SUBJECTS}.{batch.shard}", data)

    async def _send(self, name: str, subject: str, data: bytes) -> None:
        """Until the server says that it has it: no answer, a full stream and a server away are all waited for."""
        while True:
            if self.client.is_closed:
                raise BusError("the bus is closed")
            try:
                found = await self.jetstream.publish(subject, data, stream=STREAM, headers={"Nats-Msg-Id": name})
            except _AWAY:
                self.counts["waits"] += 1
                await asyncio.sleep(self.retry)
                continue
            self.counts["repeated" if found.duplicate else "published"] += 1
            self.counts["published_bytes"] += len(data)
            return

    async def declare(self, group: str, shard: str | None = None) -> None:
        """A durable consumer, which the server keeps when we are gone. Raises BusError where it does not answer."""
        name = _durable(group, shard)
        with _told(f"group {group}"):
            try:
                await self.jetstream.consumer_info(STREAM, name)
            except NotFoundError:
                await self.jetstream.add_consumer(STREAM, self._config(name, shard))

    def _config(self, name: str, shard: str | None) -> api.ConsumerConfig:
        return api.ConsumerConfig(
            durable_name=name,
            deliver_policy=api.DeliverPolicy.NEW,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait,
            max_ack_pending=MOST_HELD,
            filter_subject=f"{SUBJECTS}.{shard or '>'}",
        )

    async def consume(self, group: str, shard: str | None = None) -> NatsConsumer:
        """A worker of the group. Raises BusError where the server does not answer."""
        await self.declare(group, shard)
        with _told(f"group {group}"):
            subscription = await self.jetstream.pull_subscribe_bind(_durable(group, shard), STREAM)
        return NatsConsumer(self, subscription, group, shard)

    async def divide(self, role: str, shards: Collection[str]) -> LeasedShare:
        """Shards leased by this process, renewed until it dies."""
        from collectors.bus.leases import LeasedShare

        with _told(f"leases of {role}"):
            return await LeasedShare.join(self.jetstream, role, shards)

    async def _watch_stream(self) -> None:
        """Keep the counts of what waits on the server fresh."""
        while True:
            with suppress(*_AWAY):
                state = (await self.jetstream.stream_info(STREAM)).state
                self._waiting = {"waiting_batches": float(state.messages), "waiting_bytes": float(state.bytes)}
            await asyncio.sleep(5)

    def health(self) -> Mapping[str, float]:
        """Counts of this process since its start, and what waits on the server for the slowest group."""
        return {"waiting_batches": 0.0, "waiting_bytes": 0.0, **self.counts, **self._waiting}

    async def close(self) -> None:
        """Leave the server."""
        await end(self._watch)
        with suppress(*_AWAY):
            await self.client.close()


class NatsConsumer:
    """A worker of a durable group."""

    def __init__(
        self, bus: NatsBus, subscription: JetStreamContext.PullSubscription, group: str, shard: str | None
    ) -> None:
        self.bus, self.group, self.shard = bus, group, shard
        self._subscription = subscription
        self._mine: dict[str, NatsDelivery] = {}

    async def take(self, most: int = 1, timeout: float = 1.0) -> list[NatsDelivery]:
        """Up to ``most`` batches; a message that is no batch is taken off the stream, and counted."""
        try:
            messages = await self._subscription.fetch(most, timeout)
        except NotFoundError:
            with suppress(BusError):
                await self.bus.declare(self.group, self.shard)
            return []
        except _AWAY:
            if not self.bus.client.is_connected:
                await asyncio.sleep(self.bus.retry)
            return []
        found = [delivery for message in messages if (delivery := await self._read(message)) is not None]
        self._mine |= {delivery.batch.id: delivery for delivery in found}
        return found

    async def _read(self, message: Any) -> NatsDelivery | None:
        if message.metadata.num_delivered > 1:
            self.bus.counts["redelivered"] += 1
        try:
            return NatsDelivery(self, message, decode(message.data))
        except CodecError:
            self.bus.counts["malformed"] += 1
            with suppress(*_AWAY):
                await message.term()
            return None

    async def close(self) -> None:
        """Give back what was not acknowledged."""
        for delivery in list(self._mine.values()):
            await delivery.nack()
        with suppress(*_AWAY):
            await self.bus.client.flush(2)
            await self._subscription.unsubscribe()

    def settle(self, delivery: NatsDelivery) -> None:
        """Forget a batch that is somebody else's now, or nobody's."""
        self._mine.pop(delivery.batch.id, None)


class NatsDelivery:
    """A message that this worker holds."""

    def __init__(self, consumer: NatsConsumer, message: Any, batch: Batch) -> None:
        self.consumer, self._message, self.batch = consumer, message, batch

    async def ack(self) -> None:
        """Done; where the server does not hear it, it gives the batch out again, and the store has it already."""
        self.consumer.settle(self)
        with suppress(*_AWAY):
            await self._message.ack_sync(timeout=5)

    async def nack(self) -> None:
        """Again, at once."""
        self.consumer.settle(self)
        with suppress(*_AWAY):
            await self._message.nak()

    async def renew(self) -> None:
        """Another ``ack_wait`` seconds."""
        with suppress(*_AWAY):
            await self._message.in_progress()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The server's failures as errors of the bus."""
    try:
        yield
    except _AWAY as error:
        raise BusError(Problem(what, f"the bus does not answer ({type(error).__name__})", "try again")) from error


def _durable(group: str, shard: str | None) -> str:
    for word in (group, shard or "x"):
        if not SHARD.fullmatch(word):
            raise InputError(Problem("bus", f'"{word}" is no name of a group or shard', "small letters, digits and -"))
    return group if shard is None else f"{group}--{shard}"
