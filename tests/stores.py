"""Real servers for the tests of stores: started on loopback, killed and started again, ended with the test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from conftest import need

TOKEN = "token-of-the-tests"
_NOW = os.environ.setdefault("STORE_TESTS_NOW", str(int(time.time()) - 600))
NOW_NS = int(_NOW) * 10**9
"""Ten minutes ago, the same in processes that the tests start: servers drop what is too old for their retention."""


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Daemon:
    """One server: ``url`` of the store in it."""

    command: list[str]
    ready: str
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(self.ready, timeout=2):
                    return
            except (OSError, urllib.error.URLError):
                assert self.process.poll() is None, self.log.read_text()[-2000:]
                assert time.monotonic() < until, self.log.read_text()[-2000:]
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def victoria(folder: Path) -> Iterator[Daemon]:
    """VictoriaMetrics with a data folder of its own."""
    program, port = need("victoria-metrics"), free_port()
    command = [
        program, f"-storageDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{port}", "-search.latencyOffset=0s",
        "-dedup.minScrapeInterval=1ms", "-memory.allowedBytes=256MB", "-search.disableCache",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    daemon = Daemon(command, f"{url}/health", f"victoriametrics://127.0.0.1:{port}", folder / "vm.log")
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()


@contextmanager
def influx(folder: Path) -> Iterator[Daemon]:
    """InfluxDB 2 with the organisation ``org`` and the bucket ``fabric``."""
    program, port = need("influxd"), free_port()
    command = [
        program, "--bolt-path", f"{folder}/bolt", "--engine-path", f"{folder}/engine", "--sqlite-path", f"{folder}/sql",
        "--http-bind-address", f"127.0.0.1:{port}", "--reporting-disabled", "--log-level", "warn",
    ]  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    daemon = Daemon(command, f"{base}/health", f"influxdb://127.0.0.1:{port}/org/fabric", folder / "influx.log")
    daemon.start()
    try:
        setup = {"username": "u", "password": "password1", "org": "org", "bucket": "fabric", "token": TOKEN}
        asked = urllib.request.Request(f"{base}/api/v2/setup", json.dumps(setup).encode(), method="POST")
        with urllib.request.urlopen(asked, timeout=30):
            pass
        yield daemon
    finally:
        daemon.kill()


SERVERS = {"influx": influx, "victoria": victoria}


def numbered(first: int, count: int, ports: int = 4) -> pl.DataFrame:
    """Rows first … first + count − 1: row n is of port n mod ``ports`` at n milliseconds, and holds n and 2n + 1."""
    n = pl.int_range(first, first + count, dtype=pl.Int64, eager=True).alias("n")
    return pl.DataFrame(n).select(
        time_ns=NOW_NS + pl.col("n") * 1_000_000, received_ns=NOW_NS + (pl.col("n") + 3) * 1_000_000,
        device=pl.format("leaf-{}", pl.col("n") % 2), port=pl.format("Ethernet{}", pl.col("n") % ports),
        rx_bytes=pl.col("n").cast(pl.UInt64), tx_bytes=(2 * pl.col("n") + 1).cast(pl.UInt64),
    )  # fmt: skip


def numbers(store: Any) -> list[int]:
    """The rows of ``numbered`` that a store has, sorted, each checked to be whole."""
    rows = store.read(["rx_bytes", "tx_bytes"], start_ns=NOW_NS, end_ns=NOW_NS + 3_600_000_000_000)
    assert (rows["tx_bytes"] == 2 * rows["rx_bytes"] + 1).all()
    assert (rows["time_ns"] - NOW_NS == rows["rx_bytes"].cast(pl.Int64) * 1_000_000).all()
    assert (rows["received_ns"] - rows["time_ns"] == 3_000_000).all()
    return sorted(rows["rx_bytes"].to_list())


def counted_by(daemon: Daemon) -> int:
    """How many samples of ``rx_bytes`` VictoriaMetrics itself counts: doubled ones would be counted twice."""
    base = daemon.url.replace("victoriametrics", "http")
    query = "sum(count_over_time(railwright_port_rx_bytes_total[2h]))"
    at = (NOW_NS + 3_600_000_000_000) // 10**9
    with urllib.request.urlopen(f"{base}/api/v1/query?query={query}&time={at}", timeout=30) as answer:
        found = json.load(answer)["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


os.environ.setdefault("RAILWRIGHT_STORE_TOKEN", TOKEN)
