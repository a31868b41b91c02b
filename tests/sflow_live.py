"""Real senders and collectors of sFlow as children of a test, on loopback: Open vSwitch, pmacctd, sfcapd, sfacctd."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
from conftest import need

from collectors.sources import Poll, Target
from collectors.sources.sflow.source import SFlow
from fabric.samples import stacked

HOST = "127.0.0.1"
ROOM = 4_000_000
"""Bytes that each collector asks of the kernel: a burst of a sender fits."""
CONVERSATION = ("src_ip", "dst_ip", "src_port", "dst_port")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


@contextmanager
def child(
    *command: str, ends: int = signal.SIGTERM, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
    told = {**os.environ, **(env or {})}
    made = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=told)
    try:
        yield made
    finally:
        made.send_signal(ends)
        try:
            made.wait(10)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.003)


def bound(port: int) -> bool:
    """Whether somebody has the UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, suppress(OSError):
        one.bind((HOST, port))
        return False
    return True


class Switch:
    """An Open vSwitch in userspace whose ports are fed frames one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tell(self, *words: str) -> None:
        command = ["ovs-vsctl", f"--db=unix:{self.folder}/db.sock", "-t", "10", *words]
        subprocess.run(command, check=True, capture_output=True)

    def ask(self, method: str, *words: str) -> str:
        """What the switch answers on its control socket (JSON-RPC)."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.folder / "switch.ctl"))
            control.sendall(json.dumps({"method": method, "params": words, "id": 0}).encode())
            found = control.recv(1 << 16)
        answer = json.loads(found)
        assert answer["error"] is None, answer
        return str(answer["result"])

    def receive(self, port: str, frames: Sequence[bytes]) -> None:
        """Hand frames to a port, as many at a time as its queue holds; waits until it has taken them."""
        for at in range(0, len(frames), 100):
            piece = frames[at : at + 100]
            self.ask("netdev-dummy/receive", port, *(frame.hex() for frame in piece))
            taken = at + len(piece)
            until(lambda taken=taken: self.taken(port) >= taken)  # type: ignore[misc]

    def taken(self, port: str) -> int:
        """Frames that a port has received."""
        told = self.ask("dpctl/show", "-s", "dummy@ovs-dummy")
        found = re.search(rf"port \d+: {port} .*?RX packets:(\d+)", told, re.DOTALL)
        return int(found[1]) if found else 0


@contextmanager
def switch(folder: Path, ports: Mapping[str, int], receivers: Sequence[int], sampling: int) -> Iterator[Switch]:
    """A switch with ports (name → ifIndex) that samples one frame in ``sampling`` and sends to all ``receivers``."""
    made = Switch(folder)
    subprocess.run(
        ["ovsdb-tool", "create", str(folder / "conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"],
        check=True, capture_output=True,
    )  # fmt: skip
    where = f"unix:{folder}/db.sock"
    runs = {"OVS_RUNDIR": str(folder)}
    database = child(
        need("ovsdb"), str(folder / "conf.db"), f"--remote=p{where}", f"--unixctl={folder}/db.ctl", env=runs
    )
    program = child(
        need("openvswitch"), where, f"--unixctl={folder}/switch.ctl", "--disable-system", "--enable-dummy", env=runs
    )
    with database:
        until((folder / "db.sock").exists)
        made.tell("--no-wait", "init")
        with program:
            until((folder / "switch.ctl").exists)
            made.tell("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
            for name, index in ports.items():
                made.tell(
                    "add-port", "br0", name, "--", "set", "interface", name, "type=dummy", f"options:ifindex={index}"
                )
            told = ",".join(f'"{HOST}:{port}"' for port in receivers)
            made.tell(
                "--id=@s", "create", "sflow", "agent=lo", f"target=[{told}]", "header=128", f"sampling={sampling}",
                "polling=1", "--", "set", "bridge", "br0", "sflow=@s",
            )  # fmt: skip
            yield made


@contextmanager
def sfcapd(folder: Path) -> Iterator[int]:
    """nfdump's collector; its port. ``captured`` reads the folder afterwards."""
    folder.mkdir()
    port = free_port()
    with child(need("sfcapd"), "-b", HOST, "-p", str(port), "-w", str(folder), "-t", "3600", "-B", str(ROOM)):
        until(lambda: bound(port))
        yield port


def captured(folder: Path) -> dict[tuple[object, ...], tuple[int, int]]:
    """Packets and bytes a conversation, as nfdump reads what sfcapd kept."""
    [file] = [path for path in folder.iterdir() if path.name.startswith("nfcapd.2")]
    done = subprocess.run([need("nfdump"), "-r", str(file), "-o", "json"], check=True, capture_output=True, text=True)
    found: Counter[tuple[object, ...]] = Counter()
    sizes: Counter[tuple[object, ...]] = Counter()
    for row in json.loads(done.stdout):
        key = tuple(row.get(name) for name in ("src4_addr", "dst4_addr", "src_port", "dst_port"))
        found[key] += row["in_packets"]
        sizes[key] += row["in_bytes"]
    return {key: (found[key], sizes[key]) for key in found}


@contextmanager
def sfacctd(folder: Path) -> Iterator[int]:
    """pmacct's collector, which counts samples as they are; its port. ``accounted`` reads the folder afterwards."""
    folder.mkdir()
    port = free_port()
    (folder / "sfacctd.conf").write_text(
        f"sfacctd_ip: {HOST}\nsfacctd_port: {port}\nsfacctd_pipe_size: {ROOM}\nplugins: print\nprint_output: json\n"
        f"print_output_file: {folder}/out.json\nprint_output_file_append: true\nprint_refresh_time: 1\n"
        "aggregate: src_host, dst_host, src_port, dst_port\n"
    )
    with child(need("sfacctd"), "-f", str(folder / "sfacctd.conf"), ends=signal.SIGINT):
        until(lambda: bound(port))
        yield port


def accounted(folder: Path) -> dict[tuple[object, ...], tuple[int, int]]:
    """Packets and bytes a conversation, as sfacctd wrote them."""
    found: dict[tuple[object, ...], tuple[int, int]] = {}
    for line in (folder / "out.json").read_text().splitlines():
        row = json.loads(line)
        key = tuple(row[name] for name in ("ip_src", "ip_dst", "port_src", "port_dst"))
        before = found.get(key, (0, 0))
        found[key] = before[0] + row["packets"], before[1] + row["bytes"]
    return found


def conversations(flows: pl.DataFrame) -> dict[tuple[object, ...], tuple[int, int]]:
    """Packets and bytes a conversation, scaled by the sampling rate, as ours."""
    rate = pl.col("sampling_rate").cast(pl.Int64)
    sums = flows.group_by(CONVERSATION).agg(rate.sum().alias("n"), (rate * pl.col("frame_bytes")).sum().alias("b"))
    return {tuple(row[:4]): (row[4], row[5]) for row in sums.rows()}


def listen(
    source: SFlow, targets: Sequence[Target], work: Callable[[], None], interval: float = 0.3
) -> tuple[list[Poll], Mapping[str, float]]:
    """What a source emits while ``work`` runs beside it, and its health at the end."""
    return asyncio.run(_listen(source, targets, work, interval))


async def _listen(
    source: SFlow, targets: Sequence[Target], work: Callable[[], None], interval: float
) -> tuple[list[Poll], Mapping[str, float]]:
    polls: list[Poll] = []

    async def emit(found: Sequence[Poll]) -> None:
        polls.extend(found)

    task = asyncio.create_task(source.run(targets, emit, interval))
    await asyncio.to_thread(work)
    # What was sent last is emitted with the interval after it.
    seen = len(polls)
    while len(polls) < seen + 2 * max(1, len(targets)) and not task.done():
        await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return polls, source.health()


def all_rows(polls: Sequence[Poll]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Flow samples and counters of polls."""
    return pl.concat([poll.flows for poll in polls]), stacked([poll.rows for poll in polls])
