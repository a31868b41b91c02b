"""A full disk: the store says so, acknowledges nothing that it has not kept, and goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import need
from stores import free_port

HERE = Path(__file__).parent


def fill(url: str, folder: Path) -> list[str]:
    """What the filler printed, run on a file system of 24 MiB."""
    unshare = need("unshare")
    folder.mkdir()
    script = f'mount -t tmpfs -o size=24m tmpfs "{folder}" && exec "$@"'
    command = [
        unshare, "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", sys.executable, "-W", "error",
        str(HERE / "store_filler.py"), url, str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip(f"this machine gives no namespaces: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_duckdb_says_that_the_disk_is_full(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    said = fill(f"duckdb:{folder}/s.duckdb", folder)
    assert said[0].startswith("full: duckdb:/s.duckdb: no room: ")
    assert said[0].endswith("; free space, or shorten what is kept")
    assert int(said[1].split()[1]) > 5
    assert said[2] == "still full"
    assert said[3:] == ["whole True", "whole True"]


def test_the_spool_says_that_the_disk_is_full(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    said = fill(f"victoriametrics://127.0.0.1:{free_port()}", folder)
    assert said[0].startswith("full: ")
    assert "no space left on device; free space there" in said[0]
    assert int(said[1].split()[1]) > 5
    assert said[2] == "still full"
    records, batches = said[3].split()[1:]
    assert records == batches
