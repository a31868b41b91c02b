"""A collector or a writer in a process of its own, to be killed: ``collect_workers.py ROLE NATS STORE LOG``.

A collector polls made-up devices whose counter is a function of the time, and notes in LOG each sample that the bus has
acknowledged.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import polars as pl

from collectors import registry
from collectors.bus.leases import LeasedShare
from collectors.bus.nats import NatsBus
from collectors.codec import Batch
from collectors.schedule import Pace
from collectors.service import Roles, Service, Site
from collectors.settings import Chosen, Collect, CollectSettings, SourceSettings
from collectors.sources import Outcome, Poll, Target
from collectors.store import Store, open_store
from fabric.samples import schema

DEVICES = [f"leaf-{number}" for number in range(12)]
SHARDS = {device: f"compute-s{number // 2}" for number, device in enumerate(DEVICES)}
PORTS = 8
TTL = 1.0
PERIOD = 0.2


def value(time_ns: int, port: int) -> int:
    """What the counter of a port is at a time: samples say by themselves whether they are right."""
    return time_ns // 1000 + port


class Counting:
    """A source without a network."""

    name = "counting"

    async def poll(self, target: Target, timeout: float) -> Poll:
        now = time.time_ns() // 10**6 * 10**6
        rows = pl.DataFrame(
            {
                "time_ns": [now] * PORTS, "received_ns": [now] * PORTS, "device": [target.device] * PORTS,
                "port": [f"Ethernet{port}" for port in range(PORTS)],
                "rx_bytes": [value(now, port) for port in range(PORTS)],
            },
            schema=schema(["rx_bytes"]),
        )  # fmt: skip
        return Poll(self.name, target.device, Outcome.OK, now, 0.001, rows)

    async def close(self) -> None:
        return


class Noting(NatsBus):
    """Writes down what the bus has acknowledged."""

    log: Path

    async def publish(self, batch: Batch) -> None:
        await super().publish(batch)
        with self.log.open("a") as file:
            for device, time_ns in batch.counters.select("device", "time_ns").unique().iter_rows():
                file.write(f"{device},{time_ns}\n")

    async def divide(self, role: str, shards: Collection[str]) -> LeasedShare:
        return await LeasedShare.join(self.jetstream, role, shards, TTL)


class Slowly:
    """A store that takes its time, so that a kill mostly hits a batch that is held, written or not."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, *tables: pl.DataFrame) -> None:
        time.sleep(0.2)
        self._store.write(*tables)
        time.sleep(0.2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def work(role: str, url: str, store: str, log: Path) -> None:
    registry.SOURCES["counting"] = registry.Entry("collect_workers:Counting", "switch", 0, PERIOD)
    chosen = Chosen("counting", SourceSettings(), Pace(PERIOD, 1, 0, 0), {}, {})
    collect = Collect(CollectSettings(interval=0.1, bus=url), (chosen,))
    site = Site(SHARDS, {"counting": [Target(device, "127.0.0.1", 1, {}) for device in DEVICES]})
    Noting.log = log
    bus = await Noting.connect(url, ack_wait=2)
    opened = open_store(store) if role == "write" else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        service = Service(site, collect, bus, Roles(role == "collect", cast(Store, Slowly(opened)) if opened else None))
        await service.run(stop)
        assert role != "write" or service.health()["writer"]["failing"] == 0
    finally:
        await bus.close()
        if opened is not None:
            opened.close()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
