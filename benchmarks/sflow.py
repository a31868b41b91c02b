"""CPU a flow sample: the sFlow source beside sfcapd, sfacctd, goflow2 and Telegraf, on the same datagrams.

    python benchmarks/sflow.py [--samples N] [--rate DATAGRAMS/S] [--devices N]

RoCEv2 flow samples of many switches, five a datagram as Open vSwitch and most switches send them, paced so that
every collector keeps up. CPU is of all threads and processes of a collector from the first datagram to the last, the
kernel's part included, by /proc; what the kernel dropped is told and not counted as done. A collector that is not
there is skipped by name. Ours is measured as it is used: sockets to tables by the plan's names, a poll a device a
second; and the decoder alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from collectors.sources import Poll, Target
from collectors.sources.sflow import layout
from collectors.sources.sflow.agents import Agents
from collectors.sources.sflow.encode import Encoder, Speaker
from collectors.sources.sflow.source import SFlow
from collectors.sources.sflow.station import Station
from fabric.samples import FLOW_SCHEMA

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
PORTS = {f"Ethernet{8 * index}": index + 1 for index in range(64)}
FIVE_SAMPLES = 1100
"""Bytes of a datagram that hold five samples with headers of 128 bytes and no sixth."""


def samples(count: int, devices: int) -> pl.DataFrame:
    """Flow samples of RoCEv2 frames between 4,096 addresses, each of one of the devices."""
    draw = np.random.default_rng(1)
    names = list(PORTS)
    hosts = np.array([f"10.{index >> 8}.{index & 255}.1" for index in range(4096)])
    source, target = draw.integers(0, 4096, count), draw.integers(0, 4096, count)
    return pl.DataFrame({
        "time_ns": np.arange(count) * 1000, "received_ns": np.arange(count),
        "device": [f"leaf-{index}" for index in draw.integers(0, devices, count)],
        "in_port": [names[index] for index in draw.integers(0, 64, count)],
        "out_port": [names[index] for index in draw.integers(0, 64, count)],
        "src_ip": hosts[source], "dst_ip": hosts[target], "src_port": draw.integers(49152, 65536, count),
        "dst_port": [4791] * count, "dest_qp": draw.integers(0, 1 << 24, count), "opcode": draw.integers(0, 18, count),
        "ecn": draw.integers(0, 4, count), "priority": [None] * count, "frame_bytes": [4174] * count,
        "sampling_rate": [16384] * count, "sample_pool": np.arange(count), "drops": [0] * count,
    }, schema=FLOW_SCHEMA)  # fmt: skip


def datagrams(count: int, devices: int) -> list[bytes]:
    """All of them as one agent would number them: peers know agents by the address that they send from."""
    speakers = [Speaker(f"leaf-{index}", f"127.0.{index >> 8}.{index & 255}", PORTS) for index in range(devices)]
    return list(Encoder(speakers, most_bytes=FIVE_SAMPLES, names=False).encode(samples(count, devices)))


def targets(devices: int) -> list[Target]:
    """The devices as our source is told of them."""
    given = {"ifindex": {index: name for name, index in PORTS.items()}}
    names = {name: name for name in PORTS}
    return [Target(f"leaf-{n}", f"127.0.{n >> 8}.{n & 255}", 6343, names, given) for n in range(devices)]


def tree(pid: int) -> Iterator[int]:
    """A process and what it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def cpu(pid: int) -> float:
    """Seconds of CPU that a process, its threads and its children took."""
    found = [task / "schedstat" for one in tree(pid) for task in Path(f"/proc/{one}/task").iterdir()]
    return sum(int(path.read_text().split()[0]) for path in found) / 1e9


def dropped(port: int) -> int | None:
    """Datagrams that the kernel had no room for at a port; None if nobody listens there."""
    for name in ("udp", "udp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == port:
                return int(words[-1])
    return None


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)


def send(given: Sequence[bytes], port: int, rate: float) -> None:
    """Send all datagrams, ``rate`` a second, 100 at a time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect((HOST, port))
        begun = time.perf_counter()
        for index, one in enumerate(given):
            if index % 100 == 0:
                time.sleep(max(0.0, begun + index / rate - time.perf_counter()))
            out.send(one)


def measure(command: Sequence[str], port: int, given: Sequence[bytes], rate: float) -> tuple[float, int]:
    """Seconds of CPU of a collector for all datagrams, and how many of them it did not get."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            until(lambda: dropped(port) is not None)
            time.sleep(2)
            # What is compiled or filled at the first datagrams is done before the measurement.
            send(given[: len(given) // 20], port, rate)
            time.sleep(2)
            lost, before = dropped(port) or 0, cpu(program.pid)
            send(given, port, rate)
            time.sleep(1.5)
            return cpu(program.pid) - before, (dropped(port) or 0) - lost
        finally:
            program.send_signal(signal.SIGTERM)
            try:
                program.wait(5)
            except subprocess.TimeoutExpired:
                program.kill()


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def found(program: str) -> str | None:
    """A peer's program: among those that ``make parts`` builds, or installed."""
    made = ROOT / ".parts/bin" / program
    return str(made) if os.access(made, os.X_OK) else shutil.which(program)


@contextmanager
def peers(devices: int) -> Iterator[dict[str, tuple[list[str] | None, int]]]:
    """Command and port of each collector by name; no command where the program is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made: dict[str, tuple[list[str] | None, int]] = {}
        ours = free_port()
        made["railwright"] = ([sys.executable, __file__, "--listen", str(ours), "--devices", str(devices)], ours)
        commands: dict[str, Callable[[int], list[str]]] = {
            "sfcapd": lambda port: ["-b", HOST, "-p", str(port), "-w", name, "-t", "3600", "-B", "8000000"],
            "sfacctd": lambda port: ["-f", _file(folder / "sfacctd.conf", SFACCTD.format(port=port))],
            "goflow2": lambda port: ["-listen", f"sflow://{HOST}:{port}", "-transport.file", "/dev/null"],
            "telegraf": lambda port: ["--config", _file(folder / "telegraf.conf", TELEGRAF.format(port=port))],
        }
        for program, arguments in commands.items():
            path, port = found(program), free_port()
            made[program] = ([path, *arguments(port)] if path else None, port)
        yield made


SFACCTD = """\
sfacctd_ip: 127.0.0.1
sfacctd_port: {port}
sfacctd_pipe_size: 8000000
plugins: print
plugin_pipe_size: 40000000
plugin_buffer_size: 400000
print_output: json
print_output_file: /dev/null
print_refresh_time: 1
aggregate: src_host, dst_host, src_port, dst_port, peer_src_ip, in_iface, out_iface
"""
TELEGRAF = """\
[[inputs.sflow]]
  service_address = "udp://127.0.0.1:{port}"
  read_buffer_size = "8MB"
[[outputs.discard]]
"""


def _file(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def listen(port: int, devices: int) -> None:
    """Our source as a program of its own; it drops what it emits."""
    import asyncio

    async def emit(polls: Sequence[Poll]) -> None:
        del polls

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    source = SFlow(HOST, port, forwarders=[HOST])
    asyncio.run(source.run(targets(devices), emit, 1.0))


def alone(given: Sequence[bytes], devices: int, count: int) -> float:
    """Seconds of CPU of decoding and of making tables, without sockets."""
    heads = np.zeros(len(given), layout.HEAD)
    heads["length"] = [len(one) for one in given]
    heads["start"] = np.cumsum(heads["length"]) - heads["length"]
    heads["source_lo"] = 0xFFFF7F000001
    buf = np.frombuffer(b"".join(given), np.uint8).copy()
    took = 0.0
    for _ in range(2):
        station, rest = Station(Agents(targets(devices), [HOST])), heads.copy()
        begun = time.process_time()
        rest = station.admit(buf, rest)
        while len(rest):
            rest = station.decode(buf, rest)
            station.polls(whole=not len(rest))
        took = time.process_time() - begun
    if int(station.health()["flow_samples"]) != count:
        raise AssertionError("not all samples were decoded")
    return took


def main() -> None:
    """Measure all, print microseconds a sample and how many times ours that is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300_000)
    parser.add_argument("--rate", type=float, default=8_000, help="datagrams a second")
    parser.add_argument("--devices", type=int, default=64)
    parser.add_argument("--only", nargs="*", help="measure these collectors alone")
    parser.add_argument("--listen", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.listen is not None:
        listen(given.listen, given.devices)
        return
    sent = datagrams(given.samples, given.devices)
    print(f"{given.samples} flow samples in {len(sent)} datagrams of {given.devices} devices")
    took = alone(sent, given.devices, given.samples)
    print(f"{'railwright, decoding alone':28} {1e6 * took / given.samples:6.2f} µs a sample")
    report(sent, given.samples, given.rate, given.devices, given.only)


def report(sent: Sequence[bytes], count: int, rate: float, devices: int, only: Sequence[str] | None) -> None:
    """A line a collector."""
    base = None
    with peers(devices) as all_peers:
        for name, (command, port) in all_peers.items():
            if only and name not in only:
                continue
            if command is None:
                print(f"{name:28} skipped: it is not installed")
                continue
            took, lost = measure(command, port, sent, rate)
            each = 1e6 * took / (count * (1 - lost / len(sent)))
            base = base or each
            print(f"{name:28} {each:6.2f} µs a sample, {each / base:5.2f} times ours, {lost} datagrams dropped")


if __name__ == "__main__":
    main()
