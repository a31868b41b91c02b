"""The bus: collectors publish batches, groups of workers take them; what is not acknowledged is given out again.

A group (``store``, ``detectors``) sees every batch; among the workers of a group each batch goes to one. A group that
was declared keeps its place: workers that come back go on where the last acknowledged one stopped. A batch may come
twice (its worker died after the work, before the acknowledgement), so the work is to be idempotent; it is never lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from fabric.errors import InputError, Problem, RailwrightError

if TYPE_CHECKING:
    from collectors.codec import Batch
    from collectors.secrets import Secrets

MEMORY = "memory:"
"""The bus inside one process, the default."""


class BusError(RailwrightError):
    """The bus cannot be reached, or will not do what was asked of it."""


class Delivery(Protocol):
    """A batch handed to one worker, until it says what became of it."""

    @property
    def batch(self) -> Batch:
        """What is to be worked on."""
        ...

    async def ack(self) -> None:
        """It is done, durably: nobody gets it again."""
        ...

    async def nack(self) -> None:
        """It is not done: give it out again, at once."""
        ...

    async def renew(self) -> None:
        """It still is under way: do not give it to another yet."""
        ...


class Consumer(Protocol):
    """One worker of a group."""

    async def take(self, most: int = 1, timeout: float = 1.0) -> Sequence[Delivery]:
        """Up to ``most`` batches, oldest first; none when nothing came within ``timeout`` seconds."""
        ...

    async def close(self) -> None:
        """Leave the group; what was taken and not acknowledged goes to others."""
        ...


class Share(Protocol):
    """The shards that are this process's to work on."""

    @property
    def mine(self) -> frozenset[str]:
        """Now."""
        ...

    async def changed(self, timeout: float) -> frozenset[str]:
        """``mine``, once it is another or after ``timeout`` seconds."""
        ...

    async def close(self) -> None:
        """Leave them to others, at once."""
        ...


class Bus(Protocol):
    """In one process (``memory``) or between many (``nats``), the same to whoever uses it."""

    async def publish(self, batch: Batch) -> None:
        """Returns when the bus has the batch; waits while it is full. Raises BusError where there is none any more.

        Publishing the same batch again (the answer was lost) does not make it two.
        """
        ...

    async def declare(self, group: str, shard: str | None = None) -> None:
        """Make a group where it is new: it gets what is published from now on, whether or not anybody works in it."""
        ...

    async def consume(self, group: str, shard: str | None = None) -> Consumer:
        """Join a group, declaring it. ``shard``: only its batches, in the order in which they were published."""
        ...

    async def divide(self, role: str, shards: Collection[str]) -> Share:
        """Share out shards among all processes of a role: each belongs to one, and to another when that one dies."""
        ...

    def health(self) -> Mapping[str, float]:
        """Its own counters by name: published, bytes, waits, redelivered, malformed, and how much waits now."""
        ...

    async def close(self) -> None:
        """Publish what is under way and leave."""
        ...


async def open_bus(url: str = MEMORY, *, secrets: Secrets | None = None) -> Bus:
    """The bus at ``memory:`` or ``nats://HOST:PORT[,…]`` (``tls://`` likewise).

    Raises InputError for another URL, BusError where the server does not answer.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        from collectors.bus.memory import MemoryBus

        return MemoryBus()
    if scheme in ("nats", "tls"):
        from collectors.bus.nats import NatsBus

        return await NatsBus.connect(url, secrets=secrets)
    raise InputError(Problem("bus", f'"{scheme}:" is no bus', "use memory: or nats://HOST:PORT"))
