"""One DuckDB file for several processes: who owns it, who asks, and what strangers on the socket get."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import NOW_NS, numbered, numbers

from collectors.store import StoreError, open_store, wire
from collectors.store.duck import DuckStore
from collectors.store.retention import Retention
from collectors.store.serving import answer
from fabric.errors import InputError

HERE = Path(__file__).parent
OWNER = """
import sys
from stores import numbered
from collectors.store import open_store
store = open_store(sys.argv[1])
store.write(numbered(0, 100))
sys.stdout.write("owner\\n"); sys.stdout.flush()
sys.stdin.read()
"""


def owner(url: str) -> subprocess.Popen[str]:
    """A process that has the file open and 100 rows in it."""
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "owner\n"
    return process


def test_others_ask_the_owner_and_outlive_it(tmp_path: Path) -> None:
    url = f"duckdb:{tmp_path}/s.duckdb"
    process = owner(url)
    store = open_store(url)
    assert store.health()["owner"] == 0
    store.write(numbered(100, 50))
    assert numbers(store) == list(range(150))
    assert store.columns() == ["rx_bytes", "tx_bytes"]
    with pytest.raises(InputError, match="unknown column"):
        store.read(["nonsense"], start_ns=0, end_ns=1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store.write(numbered(150, 50))
    assert store.health()["owner"] == 1
    assert numbers(store) == list(range(200))
    store.close()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_all_calls_go_over_the_socket(tmp_path: Path) -> None:
    url = f"duckdb:{tmp_path}/s.duckdb"
    first, second = open_store(url), open_store(url)
    assert [first.health()["owner"], second.health()["owner"]] == [1, 0]
    assert stat.S_IMODE((tmp_path / "s.duckdb.sock").stat().st_mode) == 0o600
    second.write(numbered(0, 10))
    span = {"start_ns": 0, "end_ns": NOW_NS}
    for table in (second.read_flows(**span), second.read_outcomes(**span), second.read_rollups(**span)):  # type: ignore[arg-type]
        assert table.is_empty()
    assert second.retain(Retention(NOW_NS + 10**15, keep_ns=1))["deleted"] == 10
    second.flush()
    first.close()
    assert numbers(second) == []
    second.close()
    assert not (tmp_path / "s.duckdb.sock").exists()


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"duckdb:{tmp_path}/file/s.duckdb")
    (tmp_path / "text.duckdb").write_text("this is no database, however long it is" * 400)
    with pytest.raises(StoreError, match=r"text\.duckdb"):
        open_store(f"duckdb:{tmp_path}/text.duckdb")


def test_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    first, second = (open_store(f"duckdb:{folder}/s.duckdb") for _ in range(2))
    second.write(numbered(0, 3))
    assert numbers(first) == [0, 1, 2]
    second.close()
    first.close()


def shouted(path: Path, words: bytes) -> None:
    """Say these bytes to the owner, and wait for its answer or for the end of the connection."""
    with socket.socket(socket.AF_UNIX) as sock, suppress(ConnectionError):
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1000)


@pytest.mark.parametrize(
    "words",
    [
        b"", b"GET / HTTP/1.1\r\n\r\n", wire.MAGIC, struct.pack("<4sI", wire.MAGIC, 2**32 - 1),
        struct.pack("<4sI", wire.MAGIC, 2) + b"{}", struct.pack("<4sI", wire.MAGIC, 4) + b"null",
        struct.pack("<4sI", wire.MAGIC, 24) + b'{"tables": {"a": 1e999}}',
        struct.pack("<4sI", wire.MAGIC, 27) + b'{"tables": {"counters": 4}}' + b"junk",
    ],
)  # fmt: skip
def test_strangers_on_the_socket_do_no_harm(tmp_path: Path, words: bytes) -> None:
    store = open_store(f"duckdb:{tmp_path}/s.duckdb")
    shouted(tmp_path / "s.duckdb.sock", words)
    store.write(numbered(0, 3))
    other = open_store(f"duckdb:{tmp_path}/s.duckdb")
    assert numbers(other) == [0, 1, 2]
    other.close()
    store.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
calls = st.sampled_from(["read", "write", "retain", "read_flows", "columns", "close", "_connection", "__class__", ""])
arguments = st.dictionaries(
    st.sampled_from(["columns", "devices", "ports", "start_ns", "end_ns", "now_ns", "keep_ns", "self"]), json_values
)


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> DuckStore:
    return DuckStore(tmp_path_factory.mktemp("duck") / "s.duckdb")


@settings(max_examples=150)
@given(call=calls | json_values, args=arguments | json_values)
def test_any_header_gets_an_answer(duck: DuckStore, call: object, args: object) -> None:
    header, tables = answer(duck, {"call": call, "args": args}, {"counters": pl.DataFrame({"x": [1]})})
    assert header.get("error") in {None, "input", "store"}
    assert isinstance(tables, dict)
