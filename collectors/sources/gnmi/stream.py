"""One device for as long as it is listened to: connect, read, decode in batches, connect again."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time

from collectors.sources import Outcome, Target
from collectors.sources.gnmi.client import StreamEnded, subscribe
from collectors.sources.gnmi.decoder import Counts, Decoder
from collectors.sources.gnmi.dictionary import Dictionary
from collectors.sources.gnmi.options import Options
from collectors.sources.gnmi.requests import requests, wishes

BATCH = 1 << 16
"""Bytes of messages that are decoded at once."""
MOST_WAITING = 1 << 18
"""Values that wait to be taken before the device has to wait."""
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
STEADY = 60.0
"""Seconds after which a stream was no failure: pauses start small again."""
STALLED = 6.0
"""Periods without a message after which the connection is made anew."""
LEAST_STALL = 15.0


class Stream:
    """A target, its decoders (one a database), and the state of its connection.

    ``heard``: monotonic time of the last message, ``connected``: of the first since connecting, 0 while there is none;
    ``failure``: how the last connection ended, None while it is up.
    """

    def __init__(self, target: Target, options: Options, period: float, book: Dictionary) -> None:
        self.target, self.options = target, options
        self.period = options.period or period
        self.decoders: dict[str, Decoder] = {}
        self.connects = self.bytes = 0
        self.heard, self.connected = time.monotonic(), 0.0
        self.failure: StreamEnded | None = None
        self.failed: StreamEnded | None = None
        """The last failure since it was last reported, though the stream may be up again."""
        self._book = book
        self._raw: dict[str, list[bytes]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._size = 0
        self._room = asyncio.Event()
        self._room.set()
        self._wishes = wishes(options)
        self._reading: asyncio.Task[None] | None = None
        self._kicked = False

    async def keep(self) -> None:
        """Connect, and again after growing pauses; returns only by being cancelled."""
        pause = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            self._reading = asyncio.create_task(self._once())
            await self._reading
            if time.monotonic() - began > STEADY:
                pause = FIRST_BACKOFF
            if self.failure is not None and self.failure.rejected and len(self._wishes) > 1:
                self._wishes.pop(0)
                pause = FIRST_BACKOFF
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter
            pause = min(2 * pause, LONGEST_BACKOFF)

    async def _once(self) -> None:
        """One connection until it ends; how is in ``failure``."""
        self.connects += 1
        self.heard, self.connected = time.monotonic(), 0.0
        asked = requests(self.options, self.period, self._wishes[0])
        for database in asked:
            self.decoders.setdefault(database, self._decoder(database))
        try:
            await subscribe(self.target, self.options, asked, self._take)
        except StreamEnded as end:
            self.fail(end)
        except asyncio.CancelledError:
            if not self._kicked:
                raise
            self._kicked = False
            self.fail(StreamEnded(Outcome.SILENT, f"nothing for {self._patience():g} s, connecting anew"))
        except Exception as error:  # noqa: BLE001 - no device may end the source; the detail says what it was
            self.fail(StreamEnded(Outcome.FAILED, f"{type(error).__name__}: {error}"))

    def _decoder(self, database: str) -> Decoder:
        return Decoder(self._book, self.target.ports, database or self.options.target)

    def fail(self, end: StreamEnded) -> None:
        """The connection is no more."""
        self.failure = self.failed = end
        self.connected = 0.0

    async def _take(self, database: str, raw: bytes) -> None:
        self.heard = time.monotonic()
        if not self.connected:
            self.connected, self.failure = self.heard, None
        self._raw.setdefault(database, []).append(raw)
        self._stamps.setdefault(database, []).append(time.time_ns())
        self._size += len(raw) + 64
        self.bytes += len(raw)
        if self._size > BATCH:
            self.decode()
            await self._room.wait()

    def decode(self) -> None:
        """Give the decoders what has come."""
        raw, stamps = self._raw, self._stamps
        self._raw, self._stamps, self._size = {}, {}, 0
        try:
            for database, messages in raw.items():
                self.decoders[database].feed(messages, stamps[database])
        except Exception as error:  # noqa: BLE001 - no device may end the source; the detail says what it was
            self.failed = StreamEnded(Outcome.FAILED, f"{type(error).__name__}: {error}")
        if sum(decoder.pending for decoder in self.decoders.values()) > MOST_WAITING:
            self._room.clear()

    def emptied(self) -> None:
        """What waited was taken: the device may go on."""
        self._room.set()

    def watch(self) -> None:
        """Connect anew if the device has said nothing for long; not while it waits for us."""
        stalled = time.monotonic() - self.heard > self._patience()
        if stalled and self._room.is_set() and self._reading is not None and not self._reading.done():
            self._kicked = True
            self._reading.cancel()

    def _patience(self) -> float:
        return max(STALLED * self.period, LEAST_STALL)

    def counts(self) -> Counts:
        """Of all decoders together."""
        each = [dataclasses.astuple(decoder.counts) for decoder in self.decoders.values()]
        return Counts(*map(sum, zip(*each, strict=True))) if each else Counts()
