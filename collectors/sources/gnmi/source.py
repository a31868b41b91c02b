"""gNMI dial-in: subscriptions to many devices at once on one event loop (``collectors.sources.Listening``)."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Mapping, Sequence

from collectors.sources import Emit, Target
from collectors.sources.gnmi import proto
from collectors.sources.gnmi.decoder import Counts, Decoder
from collectors.sources.gnmi.dictionary import Dictionary
from collectors.sources.gnmi.options import Options, options
from collectors.sources.gnmi.paths import OpenConfig, Sonic
from collectors.sources.gnmi.report import Report
from collectors.sources.gnmi.stream import Stream
from fabric.errors import InputError, Problem

CONNECTS_A_SECOND = 100
"""A TLS handshake costs about 2 ms here, and much more on a switch's side of a shared management network."""


class Gnmi:
    """The source ``gnmi``: STREAM subscriptions, counters SAMPLE and states ON_CHANGE."""

    name = "gnmi"

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    async def run(self, targets: Sequence[Target], emit: Emit, interval: float) -> None:
        """Listen until cancelled; raises InputError first if the settings of any target are wrong."""
        self.streams = _streams(targets, interval)
        await asyncio.to_thread(warm)
        spread = min(interval, len(targets) / CONNECTS_A_SECOND)
        async with asyncio.TaskGroup() as group:
            for stream in self.streams:
                group.create_task(_listen(stream, emit, interval, random.uniform(0, spread)))  # noqa: S311 - jitter
            await asyncio.Event().wait()

    def health(self) -> Mapping[str, float]:
        """Streams, connections, bytes, and the sums of what all streams told, cumulative since ``run``."""
        found = {name: float(value) for name, value in dataclasses.asdict(Counts()).items()}
        found |= {"streams": float(len(self.streams)), "connected": 0.0, "connects": 0.0, "bytes": 0.0}
        for stream in self.streams:
            for name, value in dataclasses.asdict(stream.counts()).items():
                found[name] += value
            found["connected"] += stream.connected > 0
            found["connects"] += stream.connects
            found["bytes"] += stream.bytes
        return found


def _streams(targets: Sequence[Target], interval: float) -> list[Stream]:
    read: list[tuple[Target, Options]] = []
    problems: list[Problem] = []
    for target in targets:
        try:
            read.append((target, options(target)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    books: dict[tuple[str, frozenset[tuple[str, int]]], Dictionary] = {}
    found = []
    for target, said in read:
        key = (said.mode, frozenset(said.queues.items()))
        if key not in books:
            books[key] = Dictionary(Sonic() if said.mode == "sonic" else OpenConfig(said.queues))
        found.append(Stream(target, said, interval, books[key]))
    return found


def warm() -> None:
    """Compile what reads the wire, or load it: seconds in which no event loop should wait."""
    decoder = Decoder(Dictionary(OpenConfig()), {"Ethernet1": "Ethernet1"})
    path = ["interfaces", "interface[name=Ethernet1]", "state", "counters", "in-octets"]
    update = {"path": {"element": path}, "val": {"uint_val": 1}}
    message = proto.SubscribeResponse(update={"timestamp": 1, "update": [update]}).SerializeToString()
    for _ in range(2):
        decoder.feed([message], [1])
    decoder.take("", 0)


async def _listen(stream: Stream, emit: Emit, interval: float, delay: float) -> None:
    """Keep a stream and hand on what it gave each interval, until cancelled."""
    await asyncio.sleep(delay)
    keeping, report = asyncio.create_task(stream.keep()), Report(stream)
    try:
        while True:
            await asyncio.sleep(interval)
            poll = report.poll()
            if poll is not None:
                await emit([poll])
    finally:
        while not keeping.done():
            keeping.cancel()
            await asyncio.wait([keeping], timeout=1)
