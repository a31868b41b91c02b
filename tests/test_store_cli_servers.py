"""``railwright store`` with real servers: what was loaded into one is what another gives back."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_plans import plan_of
from stores import SERVERS

from collectors.store.series import SeriesTags
from fabric.bundle import write_plan
from fabric.samplefile import read_samples
from railwright.cli import main

LEAF = "leaf-compute-s000-l0-p0"


@pytest.mark.parametrize("kind", SERVERS)
def test_history_goes_through_a_server(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, given, got = tmp_path / "plan", tmp_path / "given.parquet", tmp_path / "got.parquet"
    write_plan(plan_of("two-tier"), plan)
    start = (int(time.time()) - 300) * 10**9
    tags = SeriesTags.of(plan_of("two-tier")).table
    ports = tags.filter(pl.col("device") == LEAF)["port"].drop_nulls().to_list()
    n = pl.int_range(0, 40, dtype=pl.Int64, eager=True)
    rows = pl.DataFrame(
        {"time_ns": start + n * 10**9, "received_ns": start + n * 10**9, "device": [LEAF] * 40,
         "port": [ports[i % 2] for i in range(40)], "rx_pfc_frames_p3": (n * 3).cast(pl.UInt64),
         "tx_bytes": (n * 1000).cast(pl.UInt64), "lldp_system": [f"host {i % 3}" for i in range(40)]}
    ).sort("device", "port", "time_ns")  # fmt: skip
    rows.write_parquet(given)
    with SERVERS[kind](tmp_path) as daemon:
        there = ["--store", daemon.url, "--spool", str(tmp_path / "spool")]
        assert main(["store", "load", str(plan), str(given), *there]) == 0
        assert main(["store", "query", str(plan), *there]) == 0
        assert capsys.readouterr().out.splitlines()[-3:] == ["lldp_system", "rx_pfc_frames_p3", "tx_bytes"]
        assert main(["store", "query", str(plan), "tx_bytes", "--rate", "--port", ports[0], *there]) == 0
        assert {line.rpartition(",")[2] for line in capsys.readouterr().out.splitlines()[1:]} == {"1000.0"}
        assert main(["store", "export", str(plan), "-o", str(got), *there]) == 0
    (found,) = read_samples(got)
    assert_frame_equal(found.counters, rows, check_column_order=False)
