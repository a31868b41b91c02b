"""What collecting takes, from the wire down to the store: CPU, memory and disk of one collector, by source and part.

    python benchmarks/collect.py [--switches 150] [--ports 128] [--counters 30] [--seconds 20] [--sources snmp …]

Made-up switches (a process that is not counted) answer by SNMPv2c, send sFlow or stream gNMI each 10 s with counters
that rise. The collector is a process of its own, as ``railwright collect`` runs it, and is measured in three runs: the
source and the schedule alone, then with the bus, then with the store; differences are the parts. All of it is then told
for 1,500 switches × 128 ports × 30 counters each 10 s (576,000 values/s), in proportion to the values stored.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.made_up_switches import PERIOD, SECRET, columns, device, port_name, serve  # noqa: E402

FULL = 1500 * 128 * 30 / PERIOD
STAGES = ("source", "bus", "store")
NAMES = {"snmp": "SNMPv2c", "sflow": "sFlow", "gnmi": "gNMI (no TLS)"}


# The collector: one stage of one source, in a process of its own.


@dataclass
class Counted:
    """What passed a stage."""

    polls: int = 0
    rows: int = 0
    values: int = 0
    bad: int = 0

    def add(self, polls: Sequence[Any]) -> None:
        """Values are cells of counters that are not empty."""
        for poll in polls:
            self.polls += 1
            self.rows += poll.rows.height
            self.values += poll.rows.height * (poll.rows.width - 4) - sum(poll.rows.null_count().row(0))
            self.bad += poll.outcome not in ("ok", "partial")


def collect(source: str, stage: str, given: Mapping[str, Any]) -> dict[str, float]:
    """CPU, memory and disk of a stage, from the end of the warm-up on."""
    from collectors.schedule import Pace
    from collectors.service import Site
    from collectors.settings import Chosen, Collect, CollectSettings, SourceSettings
    from collectors.sources import Target

    ports = {port_name(number): port_name(number) for number in range(given["ports"])}
    options, own = _options(source, given)
    targets = [
        Target(device(number), address, port, ports, options) for number, (address, port) in enumerate(given["places"])
    ]
    chosen = Chosen(source, SourceSettings(), Pace(PERIOD, 5, 1, 0.02), own, options)
    site = Site({target.device: f"compute-s{n // 16:03}" for n, target in enumerate(targets)}, {source: targets})
    settings = Collect(CollectSettings(), (chosen,))
    with tempfile.TemporaryDirectory(prefix="railwright-bench-") as folder:
        file = Path(folder, "samples.duckdb")
        return asyncio.run(_staged(stage, site, settings, file, given["seconds"]))


def _options(source: str, given: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    from collectors.secrets import Secret

    if source == "snmp":
        return {"version": "2c", "community": Secret(SECRET)}, {}
    if source == "gnmi":
        return {"insecure": True}, {}
    index = {number + 1: port_name(number) for number in range(given["ports"])}
    return {"ifindex": index}, {"address": "127.0.0.1", "port": given["listen"], "forwarders": ("127.0.0.1",)}


async def _staged(stage: str, site: Any, settings: Any, file: Path, seconds: float) -> dict[str, float]:
    from collectors.bus.memory import MemoryBus
    from collectors.service import Roles, Service
    from collectors.store import open_store

    bus, counted = MemoryBus(), Counted()
    store = open_store(f"duckdb:{file}") if stage == "store" else None
    service = Service(site, settings, bus, Roles(True, store), watch=counted.add, tell=_complain)
    if stage == "source":
        service.collector.emit = _only_count(counted)  # type: ignore[method-assign, assignment]
        assert service.running is not None
        service.running.schedule._emit = service.collector.emit
    stop = asyncio.Event()
    tasks = [asyncio.create_task(service.run(stop))]
    if stage == "bus":
        tasks.append(asyncio.create_task(_throw_away(bus)))
    await asyncio.sleep(1.5 * PERIOD)
    before, begun = Counted(**vars(counted)), resource.getrusage(resource.RUSAGE_SELF)
    at = time.perf_counter()
    await asyncio.sleep(seconds)
    ended, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - at
    found = {
        "cpu": (ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime) / took,
        "rss": ended.ru_maxrss / 1024,
        "polls": (counted.polls - before.polls) / took,
        "rows": (counted.rows - before.rows) / took,
        "values": (counted.values - before.values) / took,
        "bad": counted.bad - before.bad,
        "late": service.health()["schedule"]["late"],
    }
    if store is not None:
        found["lag"] = service.health()["writer"]["lag_seconds"]
    stop.set()
    await tasks[0]
    for task in tasks[1:]:
        task.cancel()
    if store is not None:
        store.close()
        found["disk"] = _size(file) / max(counted.values, 1)
    return found


def _complain(line: str) -> None:
    print(line, file=sys.stderr)


def _only_count(counted: Counted) -> Callable[[Sequence[Any]], Any]:
    async def emit(polls: Sequence[Any]) -> None:
        counted.add(polls)

    return emit


async def _throw_away(bus: Any) -> None:
    consumer = await bus.consume("store")
    while True:
        for delivery in await consumer.take(64, 1):
            await delivery.ack()


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*") if part.is_file())


# The benchmark itself.


def free_port() -> int:
    """A UDP port that nobody has."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def measured(source: str, stage: str, given: dict[str, Any]) -> dict[str, float]:
    """One stage: switches in a child, the collector in another."""
    given = {**given, "listen": free_port()}
    me = [sys.executable, str(Path(__file__).absolute())]
    with subprocess.Popen(
        [*me, "--serve", source, json.dumps(given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as switches:
        try:
            assert switches.stdout is not None
            given["places"] = json.loads(switches.stdout.readline())
            run = subprocess.run(
                [*me, "--collect", source, stage, json.dumps(given)], capture_output=True, text=True, check=False
            )
        finally:
            switches.kill()
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def codec() -> tuple[float, float, float]:
    """Of a batch of 10 switches × 128 ports × 30 counters: seconds to encode and to decode, bytes a value."""
    import numpy as np
    import polars as pl

    from collectors.codec import Batch, decode, encode
    from fabric.samples import schema

    rows, draw = 1280, np.random.default_rng(1)
    names = [name if index is None else f"{name}_p{index}" for _, name, index in columns("oid", 30)]
    data: dict[str, Any] = {
        "time_ns": [10**18] * rows, "received_ns": [10**18] * rows, "device": [device(n // 128) for n in range(rows)],
        "port": [port_name(n % 128) for n in range(rows)],
    }  # fmt: skip
    data |= {name: draw.integers(0, 1 << 40, rows) for name in names}
    batch = Batch("x", "s", pl.DataFrame(data, schema=schema(names)))
    message, took = encode(batch), []
    for work in (lambda: encode(batch), lambda: decode(message)):
        begun = time.process_time()
        for _ in range(200):
            work()
        took.append((time.process_time() - begun) / 200)
    return took[0], took[1], len(message) / (rows * 30)


def report(source: str, stages: Mapping[str, Mapping[str, float]]) -> str:
    """The table of one source."""
    out = io.StringIO()
    whole = stages["store"]
    out.write(
        f"\n{NAMES[source]}: {whole['polls']:,.0f} polls/s, {whole['rows']:,.0f} rows/s, "
        f"{whole['values']:,.0f} values/s stored\n"
    )
    before = 0.0
    for stage in STAGES:
        each = stages[stage]["cpu"] / max(stages[stage]["values"], 1)
        part = max(0.0, each - before)
        out.write(f"  {stage:<8} {part * 1e6:6.2f} µs/value  {part * FULL:6.2f} cores at {FULL:,.0f} values/s\n")
        before = max(each, before)
    out.write(f"  {'all':<8} {before * 1e6:6.2f} µs/value  {before * FULL:6.2f} cores\n")
    out.write(
        f"  memory {whole['rss']:,.0f} MiB, disk {whole['disk']:.2f} bytes/value, "
        f"stored {whole['lag']:.1f} s after the poll, {whole['late']:.0f} late, {whole['bad']:.0f} not ok\n"
    )
    return out.getvalue()


def main() -> None:
    """Print a table a source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=150)
    parser.add_argument("--ports", type=int, default=128)
    parser.add_argument("--counters", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--sources", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--collect", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve[0], json.loads(asked.serve[1]))
        return
    if asked.collect:
        print(json.dumps(collect(asked.collect[0], asked.collect[1], json.loads(asked.collect[2]))))
        return
    given = {name: getattr(asked, name) for name in ("switches", "ports", "counters", "seconds")}
    print(f"{asked.switches} switches × {asked.ports} ports × {asked.counters} counters each {PERIOD:g} s")
    for source in asked.sources:
        try:
            print(report(source, {stage: measured(source, stage, given) for stage in STAGES}), end="", flush=True)
        except (RuntimeError, ImportError) as error:
            print(f"\n{NAMES[source]}: cannot be measured: {error}")
    encoding, decoding, size = codec()
    full = FULL / (1280 * 30)
    print(
        f"\nbus by NATS: {(encoding + decoding) * full:.3f} cores more to encode and decode, "
        f"{size * FULL / 1e6:.1f} MB/s"
    )


if __name__ == "__main__":
    main()
