"""What writing samples takes: rows a second into each store, and a poll of 61,056 ports × 30 counters into each.

    python benchmarks/store.py [--ports 61056] [--counters 30] [--polls 4] [--peer-ports 8192]

Three tables. First the turning of one table into what InfluxDB 2 is told, by us (columns to line protocol in one
compiled pass) and by influxdb-client (a Point a port; lines made by hand with f-strings), CPU of this process alone.
Then rows into each store, with the ways that others write beside ours. Then whole polls: seconds and CPU until `write`
acknowledged (synced on our disk), until the server had all of it, and what the server took. The first poll makes the
series. A server that is missing is left out by name.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS

from collectors.store import Store, open_store
from collectors.store.line import counter_lines
from collectors.store.series import SeriesTags
from collectors.store.tidy import tidy_counters
from fabric.counters import counters

TOKEN, PERIOD_NS, FEW = "benchmark", 10_000_000_000, 500
ROOT = Path(__file__).parent.parent
NAMES = [c.name for c in counters().values() if c.object == "port" and c.kind == "counter" and c.unit != "s"]


def poll(ports: int, width: int, number: int, base_ns: int) -> pl.DataFrame:
    """One poll of all ports: counters as a device has them after some months, each higher than in the poll before."""
    dice = np.random.default_rng(number)
    time_ns = np.full(ports, base_ns + number * PERIOD_NS)
    keys = {
        "time_ns": time_ns, "received_ns": time_ns,
        "device": [f"leaf-compute-s{n // 128 // 8:03}-l{n // 128 % 8}-p0" for n in range(ports)],
        "port": [f"Ethernet{n % 128 * 8}" for n in range(ports)],
    }  # fmt: skip
    start = np.random.default_rng(0)
    values = {
        name: (start.integers(0, 2**44, ports) + number * 10**10 + dice.integers(0, 10**10, ports)).astype(np.uint64)
        for name in NAMES[:width]
    }
    return pl.DataFrame({**keys, **values})


def tags(frame: pl.DataFrame) -> SeriesTags:
    """Eight tags a port, as a plan gives them."""
    device = frame["device"]
    table = frame.select(
        "device", "port", fabric=pl.lit("hpn"), network=pl.lit("compute"), tier=pl.lit("host-leaf"), pod=pl.lit("0"),
        segment=device.str.extract(r"-s0*(\d+)-"), rail=device.str.extract(r"-l(\d+)-"), plane=pl.lit("0"),
    )  # fmt: skip
    return SeriesTags(table)


def measured(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and seconds of CPU of this process."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def of_process(pid: int) -> tuple[float, int]:
    """Seconds of CPU and MiB of memory of a server."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") >> 20


def free_port() -> int:
    """A port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def served(command: list[str], ready: str) -> Iterator[int]:
    """A server while it is needed; its pid."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(ready, timeout=1).close()  # noqa: S310  loopback
                break
            except OSError:
                time.sleep(0.05)
        time.sleep(2)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def influx(folder: Path) -> Iterator[tuple[str, int]]:
    """InfluxDB 2: the store's URL and its pid."""
    program, port = shutil.which("influxd") or str(ROOT / ".parts/bin/influxd"), free_port()
    paths = ["--bolt-path", f"{folder}/b", "--engine-path", f"{folder}/e", "--sqlite-path", f"{folder}/s"]
    base = f"http://127.0.0.1:{port}"
    command = [program, *paths, "--http-bind-address", f"127.0.0.1:{port}", "--reporting-disabled"]
    with served(command, f"{base}/health") as pid:
        setup = {"username": "u", "password": "password1", "org": "o", "bucket": "b", "token": TOKEN}
        asked = urllib.request.Request(f"{base}/api/v2/setup", json.dumps(setup).encode(), method="POST")  # noqa: S310
        urllib.request.urlopen(asked, timeout=30).close()  # noqa: S310  loopback
        yield f"influxdb://127.0.0.1:{port}/o/b", pid


@contextmanager
def victoria(folder: Path) -> Iterator[tuple[str, int]]:
    """VictoriaMetrics: the store's URL and its pid."""
    port = free_port()
    command = ["victoria-metrics", f"-storageDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{port}"]
    with served(command, f"http://127.0.0.1:{port}/health") as pid:
        yield f"victoriametrics://127.0.0.1:{port}", pid


@contextmanager
def duck(folder: Path) -> Iterator[tuple[str, int]]:
    """DuckDB: in this process."""
    yield f"duckdb:{folder}/s.duckdb", 0


STORES = {"DuckDB": duck, "InfluxDB 2": influx, "VictoriaMetrics": victoria}


def missing(name: str) -> bool:
    """Whether a server is not on this machine."""
    wanted = {"InfluxDB 2": "influxd", "VictoriaMetrics": "victoria-metrics"}.get(name)
    return bool(wanted) and not (shutil.which(str(wanted)) or (ROOT / ".parts/bin" / str(wanted)).exists())


def points(frame: pl.DataFrame) -> list[str]:
    """A Point a port, as influxdb-client's documentation has it, written as lines."""
    found = []
    for row in frame.iter_rows(named=True):
        point: Any = Point("points_port")  # type: ignore[no-untyped-call]
        point.tag("device", row["device"]).tag("fabric", "hpn").tag("network", "compute").tag("port", row["port"])
        for name in frame.columns[4:]:
            point.field(f"{name}_total", row[name])
        found.append(point.time(row["time_ns"]).to_line_protocol())
    return found


def by_hand(frame: pl.DataFrame) -> list[str]:
    """Lines by f-strings."""
    names = [f"{name}_total" for name in frame.columns[4:]]
    found = []
    for time_ns, _, device, port, *numbers in frame.iter_rows():
        fields = ",".join([f"{name}={number}u" for name, number in zip(names, numbers, strict=True)])
        found.append(f"hand_port,device={device},fabric=hpn,network=compute,port={port} {fields} {time_ns}")
    return found


def encoding(frame: pl.DataFrame) -> None:
    """CPU a value of turning a table into lines, each way."""
    known = tags(frame)
    list(counter_lines(tidy_counters(frame[:10]), known))
    ways: dict[str, Callable[[], Any]] = {
        "railwright": lambda: list(counter_lines(tidy_counters(frame), known)),
        "lines by f-strings": lambda: by_hand(frame),
        "influxdb-client Points": lambda: points(frame),
    }
    values, ours = frame.height * (frame.width - 4), 0.0
    print(f"\nTables to line protocol ({frame.height:,} ports × {frame.width - 4} counters)\n")
    print("| way | µs of CPU a value | times ours |\n|---|---:|---:|")
    for name, way in ways.items():
        micros = min(measured(way)[1] for _ in range(3)) / values * 1e6
        ours = ours or micros
        print(f"| {name} | {micros:.3f} | {micros / ours:.1f} |")


def rows_a_second(frame: pl.DataFrame, folder: Path) -> None:
    """Rows a second into each store, and the same rows as others write them; until the server has them."""
    print(f"\nRows into each store ({frame.height:,} rows × {frame.width - 4} counters, durable when counted)\n")
    print("| store | way | rows/s | µs of CPU a row, ours | times ours |\n|---|---|---:|---:|---:|")
    for name, start in STORES.items():
        if missing(name):
            print(f"| {name} | not on this machine | | | |")
            continue
        (folder / f"rows-{name}").mkdir()
        with start(folder / f"rows-{name}") as (url, _):
            base = 0.0
            for way, rows, work in ways_into(url, frame, folder / f"rows-{name}"):
                seconds, used = measured(work)
                a_row = used / rows
                base = base or a_row
                print(f"| {name} | {way} | {rows / seconds:,.0f} | {a_row * 1e6:.1f} | {a_row / base:.1f} |")


def ways_into(url: str, frame: pl.DataFrame, folder: Path) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Ours, warmed up by ten rows, then the peers; with how many rows each writes."""
    rows = frame.height
    store = open_store(url, spool=folder / "spool")
    store.write(frame[:10])
    store.flush()
    yield "railwright", rows, lambda: write_and_flush(store, frame)
    store.close()
    later = frame.with_columns(time_ns=pl.col("time_ns") + PERIOD_NS)
    if url.startswith("duckdb"):
        yield "duckdb executemany", FEW, lambda: executemany(folder / "peer.duckdb", later)
        return
    base = url.replace("influxdb", "http").replace("victoriametrics", "http").split("/o/")[0]
    writer = InfluxDBClient(base, token=TOKEN, org="o", timeout=120_000).write_api(write_options=SYNCHRONOUS)
    yield "influxdb-client, lines by f-strings", rows, lambda: in_batches(writer, by_hand(later))
    yield (
        "influxdb-client, Points",
        rows,
        lambda: in_batches(writer, points(later.with_columns(time_ns=pl.col("time_ns") + 1))),
    )


def write_and_flush(store: Store, frame: pl.DataFrame) -> None:
    """Until the server has it on its disk."""
    store.write(frame)
    store.flush()


def in_batches(writer: Any, lines: list[str]) -> None:
    """10,000 lines a request."""
    for start in range(0, len(lines), 10_000):
        writer.write("b", "o", lines[start : start + 10_000])


def executemany(path: Path, frame: pl.DataFrame) -> None:
    """Rows one at a time, in one transaction; the first of them, because it is slow."""
    con = duckdb.connect(str(path))
    con.register("t", frame.to_arrow())
    con.execute("CREATE TABLE counters AS SELECT * FROM t LIMIT 0")
    rows = frame[:FEW].rows()
    con.execute("BEGIN")
    con.executemany(f"INSERT INTO counters VALUES ({','.join('?' * frame.width)})", rows)  # noqa: S608
    con.execute("COMMIT")
    con.close()


def whole_polls(ports: int, width: int, count: int, folder: Path) -> None:
    """Polls of all ports into each store, one after the other."""
    base_ns = (time.time_ns() - (count + 2) * PERIOD_NS) // PERIOD_NS * PERIOD_NS
    frames = [poll(ports, width, number, base_ns) for number in range(count)]
    known = tags(frames[0])
    print(f"\nPolls of {ports:,} ports × {width} counters ({ports * width:,} values)\n")
    print("| store | poll | acknowledged, s | our CPU to it, s | server has it, s | server's CPU, s | its MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, start in STORES.items():
        if missing(name):
            continue
        (folder / f"polls-{name}").mkdir()
        with start(folder / f"polls-{name}") as (url, pid):
            store = open_store(url, spool=folder / f"polls-{name}" / "spool")
            store._tags = known  # type: ignore[attr-defined]  # the tags of a plan, without one
            for number, frame in enumerate(frames):
                print(f"| {name} | {number + 1} | {one_poll(store, frame, pid)} |")
            store.close()


def one_poll(store: Store, frame: pl.DataFrame, pid: int) -> str:
    """The cells of one poll."""
    before = of_process(pid)[0] if pid else 0.0
    written, used = measured(lambda: store.write(frame))
    flushed, _ = measured(store.flush)
    server, mebibytes = of_process(pid) if pid else (0.0, 0)
    last = f"{server - before:.2f} | {mebibytes:,}" if pid else "– | –"
    return f"{written:.2f} | {used:.2f} | {written + flushed:.2f} | {last}"


def main() -> None:
    """All three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("ports", 61_056), ("counters", 30), ("polls", 4), ("peer-ports", 8_192)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    os.environ["RAILWRIGHT_STORE_TOKEN"] = TOKEN
    small = poll(options.peer_ports, options.counters, 1, time.time_ns() // PERIOD_NS * PERIOD_NS - 3 * PERIOD_NS)
    with tempfile.TemporaryDirectory() as folder:
        encoding(small)
        rows_a_second(small, Path(folder))
        whole_polls(options.ports, options.counters, options.polls, Path(folder))


if __name__ == "__main__":
    main()
