"""Two collectors and two writers on a real nats-server, of each one killed: each acknowledged sample is there once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from buses import nats_server
from collect_workers import DEVICES, PORTS, SHARDS, value
from conftest import ROOT, need

from collectors.store import open_store

HERE = Path(__file__).parent
END = 2**62


class Workers:
    """Processes of ``collect_workers``, ended with the test."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.store = url, folder, f"duckdb:{folder / 'samples.duckdb'}"
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, role: str, log: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{HERE}", "PYTHONWARNINGS": "ignore"}
        errors = (self.folder / f"{log}.err").open("wb")
        child = subprocess.Popen(
            [sys.executable, str(HERE / "collect_workers.py"), role, self.url, self.store, str(self.folder / log)],
            env=environment,
            stderr=errors,
        )
        errors.close()
        self.all.append(child)
        return child

    def acknowledged(self, log: str) -> pl.DataFrame:
        path = self.folder / log
        text = path.read_text() if path.exists() else ""
        rows = [line.split(",") for line in text.splitlines() if line.count(",") == 1]
        schema = {"device": pl.String, "time_ns": pl.Int64}
        return pl.DataFrame([(device, int(at)) for device, at in rows], schema=schema, orient="row")

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < until, what + "".join(file.read_text() for file in self.folder.glob("*.err"))
            time.sleep(0.1)

    def end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        assert child.wait(60) == 0, "".join(file.read_text() for file in self.folder.glob("*.err"))


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with nats_server(need("nats-server"), tmp_path / "nats") as server:
        made = Workers(server.url, tmp_path)
        try:
            yield made
        finally:
            for child in made.all:
                child.kill()
                child.wait()


def devices_since(rows: pl.DataFrame, since_ns: int) -> set[str]:
    return set(rows.filter(pl.col("time_ns") > since_ns)["device"])


@pytest.mark.slow
def test_every_acknowledged_sample_is_in_the_store_once_whoever_is_killed(workers: Workers) -> None:
    writers = [workers.start("write", f"w{n}") for n in range(2)]
    collectors = [workers.start("collect", f"c{n}") for n in range(2)]
    both = ("c0", "c1")
    workers.wait("two collectors share the shards", lambda: all(workers.acknowledged(log).height > 50 for log in both))
    workers.wait("no device is left out", lambda: devices_since(read(workers), 0) == set(DEVICES))

    writers[0].kill()
    collectors[0].kill()
    killed_ns = time.time_ns()
    before = {log: workers.acknowledged(log) for log in both}
    theirs = {SHARDS[device] for device in before["c0"].tail(12)["device"]}
    assert theirs, "the collector that was killed had no shard"
    workers.wait(
        "the shards of the dead are taken over",
        lambda: devices_since(workers.acknowledged("c1"), killed_ns + 10**9) == set(DEVICES),
    )
    workers.end(collectors[1])
    acknowledged = pl.concat([workers.acknowledged(log) for log in both]).unique()
    workers.wait("the other writer has written it all", lambda: missing(workers, acknowledged).height == 0)
    workers.end(writers[1])

    rows = read(workers)
    assert rows.height == rows.select("device", "port", "time_ns").unique().height, "something is there twice"
    assert rows.height >= acknowledged.height * PORTS
    numbers = rows.select("time_ns", port=pl.col("port").str.strip_prefix("Ethernet").cast(pl.Int64))
    expected = [value(at, port) for at, port in numbers.iter_rows()]
    assert rows["rx_bytes"].to_list() == expected


def read(workers: Workers) -> pl.DataFrame:
    store = open_store(workers.store)
    try:
        return store.read(["rx_bytes"], start_ns=0, end_ns=END)
    finally:
        store.close()


def missing(workers: Workers, acknowledged: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged samples that do not have a row for each port in the store."""
    whole = read(workers).group_by("device", "time_ns").len().filter(pl.col("len") == PORTS)
    return acknowledged.join(whole, on=["device", "time_ns"], how="anti")
