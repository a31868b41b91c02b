"""Which process works on which shard: leases in a JetStream key-value bucket that end by themselves.

Each member keeps a key of its own alive; from the list of members everyone works out the same division (rendezvous
hashing, no member over its share) and leases the shards that fall to it, each by creating its key, which only one can.
A member that dies is off the list and its leases end ``ttl`` seconds later. One that no longer reaches the server keeps
what it has: a sample taken twice is still a true sample, one not taken is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from uuid import uuid4

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import APIError, BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue

from collectors.tasks import end

BUCKET = "RAILWRIGHT_LEASES"
TTL = 10.0
_AWAY = (NatsError, APIError, TimeoutError, OSError)


def bucket_ttl(status: KeyValue.BucketStatus, wanted: float) -> float:
    """Seconds after which a lease ends unless renewed, as the bucket has it."""
    return status.ttl or wanted


def division(members: Collection[str], shards: Collection[str]) -> dict[str, str]:
    """The member of each shard: the one of the highest hash that has room, shares differing by one at most.

    The same for everyone who knows the same members, whatever their order.
    """
    share = -(-len(shards) // max(len(members), 1))
    room = dict.fromkeys(members, share)
    owners: dict[str, str] = {}
    for shard in sorted(shards):
        for member in sorted(members, key=lambda name: _weight(name, shard)):
            if room[member]:
                room[member] -= 1
                owners[shard] = member
                break
    return owners


def _weight(member: str, shard: str) -> bytes:
    return hashlib.blake2b(f"{member}/{shard}".encode(), digest_size=8).digest()


class LeasedShare:
    """The shards of one member, renewed in the background."""

    def __init__(self, bucket: KeyValue, shards: Sequence[str], ttl: float) -> None:
        self.member = uuid4().hex
        self.ttl = ttl
        self._bucket, self._shards = bucket, shards
        self._held: dict[str, int] = {}
        self._event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def join(
        cls, jetstream: JetStreamContext, role: str, shards: Collection[str], ttl: float = TTL
    ) -> LeasedShare:
        """Become a member; the first round is done when this returns."""
        name = f"{BUCKET}_{role}"
        try:
            bucket = await jetstream.create_key_value(KeyValueConfig(bucket=name, history=1, ttl=ttl))
        except BadRequestError:  # it is there with another time to live, which is whoever made it's
            bucket = await jetstream.key_value(name)
        share = cls(bucket, sorted(shards), bucket_ttl(await bucket.status(), ttl))
        await share._round()
        share._task = asyncio.create_task(share._renew())
        return share

    @property
    def mine(self) -> frozenset[str]:
        """Shards that this process holds the lease of."""
        return frozenset(self._held)

    async def changed(self, timeout: float) -> frozenset[str]:
        """Wait for another ``mine``, or for the time to pass."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout)
        self._event.clear()
        return self.mine

    async def close(self) -> None:
        """Take ourselves off the list and give the leases up."""
        await end(self._task)
        with suppress(*_AWAY):
            await self._bucket.delete(f"member.{self.member}")
            for shard in list(self._held):
                await self._release(shard)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.ttl / 4)
            before = self.mine
            with suppress(*_AWAY):
                await self._round()
            if self.mine != before:
                self._event.set()

    async def _round(self) -> None:
        """Say that we live, see who else does, renew, release and take."""
        await self._bucket.put(f"member.{self.member}", b"")
        owners = division(await self._members(), self._shards)
        for shard in self._shards:
            ours = owners.get(shard) == self.member
            if ours and shard in self._held:
                await self._hold(shard, self._held[shard])
            elif ours:
                await self._hold(shard, None)
            elif shard in self._held:
                await self._release(shard)

    async def _members(self) -> list[str]:
        try:
            keys = await self._bucket.keys()
        except NoKeysError:
            keys = []
        heard = (key.removeprefix("member.") for key in keys if key.startswith("member."))
        return sorted({self.member, *heard})

    async def _hold(self, shard: str, revision: int | None) -> None:
        """Lease or renew; a lease that another has is let go."""
        key, who = f"lease.{shard}", self.member.encode()
        try:
            if revision is None:
                self._held[shard] = await self._bucket.create(key, who)
            else:
                self._held[shard] = await self._bucket.update(key, who, last=revision)
        except KeyWrongLastSequenceError:
            self._held.pop(shard, None)
            await self._recognise(key, shard)

    async def _recognise(self, key: str, shard: str) -> None:
        """Keep a lease that is ours after all: the answer to an earlier renewal was lost."""
        with suppress(KeyNotFoundError):
            entry = await self._bucket.get(key)
            if entry.value == self.member.encode() and entry.revision is not None:
                self._held[shard] = entry.revision

    async def _release(self, shard: str) -> None:
        revision = self._held.pop(shard)
        with suppress(KeyWrongLastSequenceError):
            await self._bucket.delete(f"lease.{shard}", last=revision)
