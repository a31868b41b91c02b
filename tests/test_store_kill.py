"""``kill -9`` in the middle of writing, fifty times, of us and of the servers: what was acknowledged is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from store_writer import ROWS
from stores import SERVERS, counted_by, numbered, numbers

from collectors.store import open_store
from collectors.store.lines import LineStore
from collectors.store.victoria import VictoriaServer

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@contextmanager
def zygote() -> Iterator[tuple[IO[str], IO[str]]]:
    """Where to ask for writers, and what they say."""
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}", "POLARS_MAX_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(HERE / "store_writer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


def kill_writers(url: str, spool: Path, kills: int) -> tuple[list[int], int]:
    """Start and kill writers; the batches that were acknowledged, and the number after the last that may be there."""
    dice, acknowledged, first = random.Random(kills), list[int](), 0
    with zygote() as (ask, said):
        for _ in range(kills):
            ask.write(f"{url} {spool} {first}\n")
            ask.flush()
            pid = int(said.readline().split()[1])
            for _ in range(dice.randrange(1, 12)):
                acknowledged.append(int(said.readline()))
            time.sleep(dice.random() * 0.01)
            os.kill(pid, signal.SIGKILL)
            while (line := said.readline().strip()) != "ended":
                acknowledged.append(int(line))
            first = acknowledged[-1] + 1
    return acknowledged, first


def rows_of(batches: list[int]) -> list[int]:
    return [row for batch in batches for row in range(batch * ROWS, (batch + 1) * ROWS)]


def holds(found: list[int], acknowledged: list[int], end: int) -> None:
    """All that was acknowledged is there, nothing twice, and nothing else but maybe the last batch."""
    assert len(found) == len(set(found))
    assert set(found) >= set(rows_of(acknowledged))
    assert set(found) <= set(range((end + 1) * ROWS))


def test_writers_to_duckdb_are_killed(tmp_path: Path) -> None:
    url = f"duckdb:{tmp_path}/s.duckdb"
    acknowledged, end = kill_writers(url, tmp_path / "spool", 20)
    store = open_store(url)
    found = numbers(store)
    store.close()
    holds(found, acknowledged, end)


@pytest.mark.parametrize("kind", SERVERS)
def test_writers_to_servers_are_killed(kind: str, tmp_path: Path) -> None:
    with SERVERS[kind](tmp_path) as daemon:
        acknowledged, end = kill_writers(daemon.url, tmp_path / "spool", 8)
        store = open_store(daemon.url, spool=tmp_path / "spool")
        store.flush()
        found = numbers(store)
        if kind == "victoria":
            assert counted_by(daemon) == len(found)
        store.close()
    holds(found, acknowledged, end)


@pytest.mark.parametrize("kind", SERVERS)
def test_servers_are_killed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VictoriaServer, "window_s", 0.1)
    monkeypatch.setattr("collectors.store.drain.MOST_WAIT_S", 0.2)
    dice, batch = random.Random(3), 0
    with SERVERS[kind](tmp_path) as daemon:
        store = open_store(daemon.url, spool=tmp_path / "spool")
        assert isinstance(store, LineStore)
        for _ in range(7):
            until = time.monotonic() + 0.1 + dice.random() * 0.3
            while time.monotonic() < until:
                store.write(numbered(batch * ROWS, ROWS))
                batch += 1
            daemon.kill()
            store.write(numbered(batch * ROWS, ROWS))
            batch += 1
            daemon.start()
        store.flush()
        found = numbers(store)
        if kind == "victoria":
            assert counted_by(daemon) == len(found)
        health = store.health()
        store.close()
    assert found == list(range(batch * ROWS))
    assert health["spool_records"] == 0
    assert health["records_rejected"] == 0
