"""The collector's side of a field of devices: what they say on loopback is taken in, interval by interval.

The sources, the collector, the bus and the writer are those of ``railwright collect``; only the schedule is not: each
interval is put on the wire, every device is asked once, and the next interval follows when all that was said has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import polars as pl

from benchmarks.detection.wire_devices import HERE, SECRETS, SWITCH_SOURCES, Day, Devices
from collectors import registry
from collectors.bus.memory import MemoryBus
from collectors.collector import Collector
from collectors.running import all_targets
from collectors.schedule import AGAIN
from collectors.settings import Collect, read, with_secrets
from collectors.sources import Listening, Outcome, Poll, Polled, Target
from collectors.sources.gnmi.source import Gnmi
from collectors.sources.sflow.encode import Datagrams
from collectors.sources.sflow.source import SFlow
from collectors.store import Store
from collectors.targets import shards
from collectors.tasks import end
from collectors.writer import GROUP, Writer
from railwright.replay.steps import Steps

HAND_OVER = 0.2
"""Seconds between two hand-overs of what listening sources gathered."""
PATIENT, IMPATIENT = 30.0, 1.0
"""Seconds for a poll: of a device that answers, and of one that is silent then."""
AHEAD = 32
"""Datagrams that may be on their way: few enough for the kernel's buffer."""


def settings(day: Day, way: str, places: Path, ifindex: Mapping[str, Mapping[str, int]]) -> Collect:
    """What ``railwright.toml`` would say of collecting from these devices.

    sFlow's port numbers are told: a flow sample that comes before the agent's first counters has no ports otherwise.
    """
    switches: dict[str, Any] = {"devices": list(day.switches)}
    known = [
        {"devices": [name], "ifindex": {str(number): port for port, number in ports.items()}}
        for name, ports in ifindex.items()
    ]
    tables: dict[str, Any] = {"targets": str(places)}
    tables |= {name: {**said, **switches} for name, said in SWITCH_SOURCES[way].items()}
    tables["sflow"] = {"address": HERE, "port": 0, "forwarders": [HERE], "variants": known, **switches}
    tables["host"] = {"token": "TOKEN", "insecure": True, "devices": list(day.hosts)}
    return with_secrets(*read(tables), SECRETS)


@dataclass
class Heard:
    """What came until now, by source and device: recorded time of the last hand-over; and sums by source."""

    last: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    flows: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """Polls by source and outcome, with the detail where one failed."""
    again: Counter[str] = field(default_factory=Counter)
    """Polls that were tried once more."""

    def note(self, polls: Sequence[Poll]) -> None:
        """Count polls in recorded time."""
        for poll in polls:
            self.last[poll.source, poll.device] = poll.started_ns
            self.rows[poll.source] = self.rows.get(poll.source, 0) + poll.rows.height
            self.flows += poll.flows.height
            usual = poll.outcome in (Outcome.OK, Outcome.PARTIAL, Outcome.SILENT)
            self.ends[f"{poll.source} {poll.outcome}" + ("" if usual else f" ({poll.detail[:60]})")] += 1


class Collecting:
    """The collector's side of a field: sources, collector, bus and writer."""

    def __init__(self, day: Day, devices: Devices, steps: Steps, store: Store, folder: Path) -> None:
        self.day, self.devices, self.steps, self.heard = day, devices, steps, Heard()
        devices.write_targets(folder / "targets.csv")
        collect = settings(day, devices.way, folder / "targets.csv", devices.switches.ifindex)
        self.targets = all_targets(day.plan, collect)
        self.sources = {one.name: registry.make(one.name, one.own) for one in collect.sources}
        self.bus, self.store = MemoryBus(), store
        self.collector = Collector(self.bus, shards(day.plan))
        self._sent = {"datagrams": 0, "flows": 0, "rows": 0}

    async def run(self) -> None:
        """Put the whole day on the wire and take it in."""
        await self.bus.declare(GROUP)
        writer = Writer(await self.bus.consume(GROUP), self.store)
        writer.start()
        sflow = cast(SFlow, self.sources["sflow"])
        where = sflow.listen()
        listening = [asyncio.create_task(self._listen(name)) for name in self.sources if registry.SOURCES[name].listens]
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.connect(where)
                await self._until(self._listens)
                before = 0
                for time_ns in self.day.times:
                    await self._step(out, before, time_ns)
                    before = time_ns
        finally:
            await end(*listening)
            for name, source in self.sources.items():
                if not registry.SOURCES[name].listens:
                    await cast(Polled, source).close()
        await self.collector.stop()
        assert await writer.stop(drain=60.0)
        assert writer.task is not None
        writer.task.result()
        await asyncio.to_thread(self.store.flush)

    async def _listen(self, name: str) -> None:
        await cast(Listening, self.sources[name]).run(self.targets[name], self._emit, HAND_OVER)

    async def _emit(self, polls: Sequence[Poll]) -> None:
        polls = self.steps.translated(polls)
        await self.collector.emit(polls)
        self.heard.note(polls)

    async def _step(self, out: socket.socket, before: int, time_ns: int) -> None:
        """One interval: its flow samples, each at its time, then what counters stand at when it ends."""
        flows, rows = self.devices.switches.flows, self.devices.switches.counters
        flows = flows.filter((pl.col("time_ns") > before) & (pl.col("time_ns") <= time_ns))
        rows = rows.filter((pl.col("time_ns") == time_ns) & pl.col("port").is_not_null())
        await self._send(out, self.devices.encoder.encode(flows, None), time_ns)
        self.steps.to(time_ns)
        await self._send(out, self.devices.encoder.encode(None, rows), time_ns)
        self._sent["flows"] += flows.height
        self._sent["rows"] += rows.height
        if self.devices.agents is not None:
            await asyncio.to_thread(self.devices.agents.prepare)
        silent = {*self.day.switches, *self.day.hosts} - self._there(time_ns)
        polled = [name for name in self.sources if not registry.SOURCES[name].listens]
        await asyncio.gather(*(self._poll(name, one, silent) for name in polled for one in self.targets[name]))
        await self._until(lambda: self._settled(time_ns))
        await self.collector.flush()

    def _there(self, time_ns: int) -> set[str]:
        return set(self.day.counters.filter(pl.col("time_ns") == time_ns)["device"].unique())

    async def _send(self, out: socket.socket, made: Datagrams, last_ns: int) -> None:
        """Datagrams at their times (none after ``last_ns``), so many ahead of the source that none is lost."""
        source = cast(SFlow, self.sources["sflow"])
        for datagram, time_ns in zip(made, made.times.tolist(), strict=True):
            self.steps.to(max(min(time_ns, last_ns), self.steps.now_ns()))
            out.send(datagram)
            self._sent["datagrams"] += 1
            if self._sent["datagrams"] % (AHEAD // 2):
                continue
            while self._sent["datagrams"] - source.health()["datagrams"] > AHEAD:
                await asyncio.sleep(0.001)

    async def _poll(self, name: str, target: Target, silent: set[str]) -> None:
        """Ask a device, and once more where that failed, as the schedule does."""
        source, gone = cast(Polled, self.sources[name]), target.device in silent
        poll = await source.poll(target, IMPATIENT if gone else PATIENT)
        if poll.outcome in AGAIN and not gone:
            self.heard.again[f"{name} {poll.outcome} ({poll.detail[:60]})"] += 1
            poll = await source.poll(target, PATIENT)
        await self._emit([poll])

    def _listens(self) -> bool:
        """Whether the listening sources listen, to every device."""
        listening = [name for name in self.sources if registry.SOURCES[name].listens]
        gnmi = self.sources.get("gnmi")
        connected = not isinstance(gnmi, Gnmi) or gnmi.health()["syncs"] >= len(self.day.switches) > 0
        heard = {device for source, device in self.heard.last if source == "sflow"}
        return connected and ("sflow" not in listening or len(heard) >= len(self.day.switches))

    def _settled(self, time_ns: int) -> bool:
        """Whether all that was said until then has come, and every listening source has handed over since."""
        if self.heard.flows < self._sent["flows"] or self.heard.rows.get("sflow", 0) < self._sent["rows"]:
            return False
        listening = [name for name in self.sources if registry.SOURCES[name].listens]
        there = self._there(time_ns)
        last = [self.heard.last.get((n, t.device), 0) for n in listening for t in self.targets[n] if t.device in there]
        return min(last) == time_ns and self._streamed(time_ns)

    def _streamed(self, time_ns: int) -> bool:
        gnmi, servers = self.sources.get("gnmi"), self.devices.servers
        if not isinstance(gnmi, Gnmi) or servers is None:
            return True
        waiting = any(decoder.pending for stream in gnmi.streams for decoder in stream.decoders.values())
        return servers.told(time_ns) and gnmi.health()["messages"] >= servers.messages and not waiting

    async def _until(self, done: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait; what has not come by then is missed where the tables are compared."""
        until = time.monotonic() + seconds
        while not done() and time.monotonic() < until:
            await asyncio.sleep(0.02)


def on_the_wire(day: Day, way: str, store: Store, folder: Path) -> Mapping[str, int]:
    """Put a day on the wire and into a store; how many polls ended how."""
    steps = Steps(day.times)
    devices = Devices(day, way, steps)
    with contextlib.closing(devices):
        devices.start()

        async def run() -> Collecting:
            made = Collecting(day, devices, steps, store, folder)
            await made.run()
            return made

        heard = asyncio.run(run()).heard
        return heard.ends + Counter({f"again: {what}": count for what, count in heard.again.items()})
