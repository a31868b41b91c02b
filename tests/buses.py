"""Buses for tests: one in memory, and a real nats-server with JetStream that ends with the test."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from collectors.bus import Consumer, Delivery
from collectors.bus.nats import STREAM, NatsBus
from collectors.codec import Batch, new_id
from fabric.samples import OUTCOME_SCHEMA, schema


class NatsServer:
    """A nats-server on a port of its own; its streams survive ``kill`` and ``start``."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder = program, folder
        self.port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        for old in self.folder.glob("*.ports"):
            old.unlink()
        self._process = subprocess.Popen(
            [
                *(self.program, "-js", "-sd", str(self.folder / "js"), "-a", "127.0.0.1", "-p", str(self.port)),
                *("--ports_file_dir", str(self.folder), "-l", str(self.folder / "log"), *options),
            ]
        )
        file = self.folder / f"nats-server_{self._process.pid}.ports"
        until = time.monotonic() + 20
        while not (file.exists() and file.read_text().endswith("}")):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "nats-server does not start"
            time.sleep(0.02)
        self.port = int(json.loads(file.read_text())["nats"][0].rsplit(":", 1)[1])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def nats_server(program: str, folder: Path, *options: str) -> Iterator[NatsServer]:
    folder.mkdir(parents=True, exist_ok=True)
    server = NatsServer(program, folder)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()


def made_batch(shard: str = "compute-s0", rows: int = 3, start: int = 0, device: str = "leaf-1") -> Batch:
    """A batch of counters, a millisecond apart, and one outcome."""
    numbers = range(start, start + rows)
    times = [n * 10**6 for n in numbers]
    counters = pl.DataFrame(
        {"time_ns": times, "received_ns": times, "device": [device] * rows, "port": ["Ethernet0"] * rows}
        | {"rx_bytes": [n * 1000 for n in numbers], "tx_bytes": [n * 2000 for n in numbers]},
        schema=schema(["rx_bytes", "tx_bytes"]),
    )
    outcome = pl.DataFrame(
        [(start * 10**6, start * 10**6, "snmp", device, "ok", "", 0.1, rows)], schema=OUTCOME_SCHEMA, orient="row"
    )
    return Batch(new_id(), shard, counters, outcomes=outcome)


async def wipe(url: str) -> None:
    bus = await NatsBus.connect(url)
    await bus.jetstream.delete_stream(STREAM)
    await bus.close()


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
