"""A server that stops under load: nothing is lost, nothing doubled, and the memory does not grow with what waits."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest
from stores import SERVERS, counted_by, numbered, numbers

from collectors.store import StoreAwayError, open_store
from collectors.store.lines import LineStore
from collectors.store.victoria import VictoriaServer

AWAY_S = float(os.environ.get("STORE_AWAY_SECONDS", "3"))
"""How long the servers are away; a minute in the long run."""
ROWS = 4000
MOST_GROWTH = 160 << 20
EXTRA = ("rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_discards", "tx_discards")

pytestmark = pytest.mark.slow


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wide(batch: int) -> pl.DataFrame:
    rows = numbered(batch * ROWS, ROWS)
    return rows.with_columns((pl.col("rx_bytes") * 7919 + n).alias(name) for n, name in enumerate(EXTRA))


@pytest.mark.parametrize("how", ["killed", "hung"])
@pytest.mark.parametrize("kind", SERVERS)
def test_nothing_is_lost_while_the_server_is_away(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VictoriaServer, "window_s", 0.3)
    monkeypatch.setattr("collectors.store.drain.MOST_WAIT_S", 0.5)
    with SERVERS[kind](tmp_path) as daemon:
        store = open_store(daemon.url, spool=tmp_path / "spool")
        assert isinstance(store, LineStore)
        store.write(wide(0))
        store.flush()
        before, batch, written = resident(), 1, 0
        assert daemon.process is not None
        daemon.kill() if how == "killed" else daemon.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + AWAY_S
        while time.monotonic() < until:
            store.write(wide(batch))
            batch, written = batch + 1, written + ROWS * (len(EXTRA) + 2)
            assert resident() - before < MOST_GROWTH
            time.sleep(AWAY_S / 60)
        waiting = store.health()
        assert waiting["spool_unsent_records"] >= batch - 3
        daemon.start() if how == "killed" else daemon.process.send_signal(signal.SIGCONT)
        store.flush()
        found = numbers(store)
        if kind == "victoria":
            assert counted_by(daemon) == batch * ROWS
        store.close()
    assert found == list(range(batch * ROWS))
    assert not list((tmp_path / "spool").glob("*/*.lines"))


def test_a_server_that_never_was_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.store.lines.FLUSH_S", 0.5)
    store = open_store("influxdb://127.0.0.1:1/org/fabric", spool=tmp_path / "spool")
    store.write(numbered(0, 10))
    with pytest.raises(StoreAwayError, match=r"influxdb://127\.0\.0\.1:1/org/fabric: does not answer \(.*refused"):
        store.flush()
    assert store.health()["server_away"] == 1
    with pytest.raises(StoreAwayError, match="does not answer"):
        store.read(["rx_bytes"], start_ns=0, end_ns=1)
    store.close()
    assert list((tmp_path / "spool").glob("*/*.lines"))
