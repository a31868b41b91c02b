"""A simulated recording, played on the wire by the command, and read back by our sources and by other tools."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from conftest import ROOT, need
from planned import planned
from tls import certificates

from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target
from collectors.store import open_store
from fabric.bundle import write_plan
from fabric.errors import InputError
from fabric.samples import KEYS
from railwright.cli import main
from railwright.replay.recording import Recording, read

JOB = """\
name: step
hosts: 12
gpus_per_host: 8
tp: 8
pp: 1
dp: 12
ep: 1
steps: [{collective: all-reduce, group: dp, bytes: 1e9, algorithm: ring}]
"""
DEVICES = ("leaf-compute-s000-l0-p0", "leaf-compute-s000-l1-p0")
SECONDS = 30
SECRETS = {"RAILWRIGHT_SECRET_COMMUNITY": "lab", "RAILWRIGHT_SECRET_HOST_AGENT": "token"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``simulate -o`` wrote of a job on the small example."""
    made = tmp_path_factory.mktemp("replay")
    write_plan(planned("starter-32"), made / "plan")
    (made / "job.yaml").write_text(JOB)
    command = ["simulate", str(made / "plan"), "--job", str(made / "job.yaml"), "-o", str(made / "day")]
    assert main([*command, "--seconds", str(SECONDS), "--sampling", "200000", "--seed", "4"]) == 0
    return made / "day"


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    return read(folder, DEVICES)


@contextmanager
def playing(folder: Path, *options: str, devices: Sequence[str] = DEVICES) -> Iterator[subprocess.Popen[bytes]]:
    """The command, until the block ends."""
    command = [sys.executable, "-m", "railwright", "replay", str(folder), *options]
    for device in devices:
        command += ["--devices", device]
    environment = {**os.environ, **SECRETS}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def places(
    path: Path, process: subprocess.Popen[bytes], devices: Sequence[str] = DEVICES
) -> dict[str, tuple[str, int]]:
    """The file of targets, once all devices are in it."""
    for _ in range(1200):
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) == len(devices) + 1 and all(line.count(",") == 3 for line in lines):
            rows = (line.split(",") for line in lines[1:])
            return {device: (address, int(port)) for device, address, port, _ in rows}
        time.sleep(0.1)
    raise AssertionError("nobody said where the devices answer")


def ports_of(recording: Recording, device: str) -> dict[str, str]:
    return {name: name for name in recording.ifindex[device]}


def common(found: pl.DataFrame, recording: Recording, device: str, time_ns: int, columns: Sequence[str]) -> int:
    """Assert that the columns are as recorded where both have a value; how many values that was."""
    recorded = recording.at(device, time_ns).filter(pl.col("port").is_not_null())
    both = recorded.join(found, on="port", suffix="_read")
    assert both.height == recorded.height
    values = 0
    for column in columns:
        pairs = both.select(a=column, b=f"{column}_read").drop_nulls()
        if pairs.schema["a"] == pl.Float64:
            assert pairs.filter((pl.col("a") - pl.col("b")).abs() > 0.011 * pl.col("a").abs().clip(1)).is_empty(), (
                column
            )
        else:
            assert pairs["a"].equals(pairs["b"].cast(pairs.schema["a"]).rename("a")), column
        values += pairs.height
    return values


def shared_columns(found: pl.DataFrame, recording: Recording) -> list[str]:
    return [name for name in found.columns if name in recording.counters.columns and name not in KEYS]


def test_snmp_agents_are_read_by_us_and_by_snmpbulkwalk(folder: Path, recording: Recording, tmp_path: Path) -> None:
    from collectors.sources.snmp import Snmp

    walker = need("snmpbulkwalk")
    file = tmp_path / "targets.csv"

    async def polled(at: dict[str, tuple[str, int]]) -> list[Poll]:
        source = Snmp()
        options = {"version": "2c", "community": Secret("lab")}
        targets = [Target(name, *at[name], ports_of(recording, name), options) for name in DEVICES]
        try:
            return await asyncio.gather(*(source.poll(target, 20.0) for target in targets))
        finally:
            await source.close()

    # So slow that the first sample holds throughout.
    with playing(folder, "--snmp", "--targets", str(file), "--speed", "0.01") as process:
        at = places(file, process)
        polls = asyncio.run(polled(at))
        address, port = at[DEVICES[0]]
        command = [walker, "-v2c", "-c", "lab", "-Onq", "-Oe", f"{address}:{port}", "1.3.6.1.2.1.31.1.1.1.10"]
        walked = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    first = recording.times[0]
    for poll in polls:
        assert poll.outcome is Outcome.OK, poll.detail
        columns = shared_columns(poll.rows, recording)
        assert {"rx_bytes", "tx_bytes", "rx_pfc_frames_p3", "lldp_system", "lldp_port", "oper_status"} <= set(columns)
        assert common(poll.rows, recording, poll.device, first, columns) > 20 * poll.rows.height
    told = {int(line.split()[0].rpartition(".")[2]): int(line.split()[1]) for line in walked.splitlines()}
    rows = recording.at(DEVICES[0], first).filter(pl.col("port").is_not_null())
    numbers = recording.ifindex[DEVICES[0]]
    assert told == {numbers[port]: value for port, value in rows.select("port", "tx_bytes").iter_rows()}


@pytest.mark.parametrize("mode", ["openconfig", "sonic"])
def test_gnmi_servers_are_read_by_us(folder: Path, recording: Recording, tmp_path: Path, mode: str) -> None:
    from collectors.sources.gnmi.source import Gnmi

    file = tmp_path / "targets.csv"
    ca, certificate, key = certificates(tmp_path)
    got: list[Poll] = []

    async def listened(at: dict[str, tuple[str, int]]) -> None:
        options = {"mode": mode, "ca": str(ca), "period": 1.0}
        targets = [Target(name, *at[name], ports_of(recording, name), options) for name in DEVICES]

        async def emit(polls: Sequence[Poll]) -> None:
            got.extend(polls)

        task = asyncio.create_task(Gnmi().run(targets, emit, 0.5))
        everything = {(name, port) for name in DEVICES for port in recording.ifindex[name]}
        for _ in range(1200):
            await asyncio.sleep(0.1)
            if {(poll.device, port) for poll in got for port in poll.rows["port"]} >= everything:
                break
        count = -1
        while count < (count := sum(poll.rows.height for poll in got)):  # more columns of the same ports
            await asyncio.sleep(1.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    tls = ("--cert", str(certificate), "--key", str(key))
    with playing(folder, "--gnmi", *tls, "--targets", str(file), "--speed", "0.01") as process:
        asyncio.run(listened(places(file, process)))
    for device in DEVICES:
        frames = [poll.rows for poll in got if poll.device == device and poll.rows.height]
        assert frames, [poll.detail for poll in got]
        rows = pl.concat(frames, how="diagonal").group_by("port").agg(pl.all().drop_nulls().last())
        columns = shared_columns(rows, recording)
        assert {"rx_bytes", "tx_bytes", "queue_tx_bytes_q3", "fec_corrected_codewords"} <= set(columns)
        if mode == "sonic":
            assert {"rx_pfc_frames_p3", "rx_pfc_pause_seconds_p3"} <= set(columns)
        assert common(rows, recording, device, recording.times[0], columns) > 15 * rows.height


def test_sflow_is_read_by_us(folder: Path, recording: Recording, tmp_path: Path) -> None:
    from collectors.sources.sflow.source import SFlow

    file = tmp_path / "targets.csv"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    got: list[Poll] = []

    async def listened() -> None:
        ports = [Target(name, recording.addresses[name], 0, ports_of(recording, name)) for name in DEVICES]
        source = SFlow(address="127.0.0.1", port=port)

        async def emit(polls: Sequence[Poll]) -> None:
            got.extend(polls)

        task = asyncio.create_task(source.run(ports, emit, 0.5))
        async with asyncio.timeout(120):
            while not got:  # compiling takes a while; then it says each interval who was silent
                await asyncio.sleep(0.1)
        with playing(folder, "--sflow", f"127.0.0.1:{port}", "--targets", str(file), "--speed", "20") as process:
            ended = await asyncio.to_thread(process.wait, 300)
            assert ended == 0
            async with asyncio.timeout(60):
                while sum(poll.flows.height for poll in got) < recording.flows.height:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(listened())
    flows = pl.concat([poll.flows for poll in got if poll.flows.height])
    kept = ["device", "in_port", "out_port", "src_ip", "dst_ip", "src_port", "dst_port", "dest_qp", "opcode", "ecn",
            "frame_bytes", "sampling_rate"]  # fmt: skip
    assert flows.select(kept).sort(kept).equals(recording.flows.select(kept).sort(kept))
    rows = pl.concat([poll.rows for poll in got if poll.rows.height], how="diagonal")
    recorded = recording.counters.filter(pl.col("port").is_not_null())
    key = ["device", "port", "rx_bytes", "tx_bytes"]
    assert rows.select(key).sort(key).equals(recorded.select(key).sort(key))


def test_a_capture_holds_the_sampled_frames(folder: Path, recording: Recording, tmp_path: Path) -> None:
    from collectors.sources.capture import read as read_capture

    file = tmp_path / "day.pcap"
    with playing(folder, "--pcap", str(file)) as process:
        assert process.wait(60) == 0
    found = read_capture(file, device=DEVICES[0], port="x", most_flows=1 << 22)
    assert (found.outcome, found.frames) == (Outcome.OK, recording.flows.height)
    kept = ["time_ns", "src_ip", "dst_ip", "src_port", "dest_qp", "opcode", "ecn"]
    assert found.flows.select(kept).sort(kept).equals(recording.flows.select(kept).sort(kept))
    tshark = need("tshark")
    fields = [word for name in ("ip.src", "udp.srcport", "infiniband.bth.destqp") for word in ("-e", name)]
    told = subprocess.run(
        [tshark, "-r", str(file), "-T", "fields", *fields], capture_output=True, text=True, check=True
    )
    expected = recording.flows.select("src_ip", "src_port", "dest_qp").rows()
    read_back = [line.split("\t") for line in told.stdout.splitlines()]
    assert sorted((ip, int(port), int(qp, 16)) for ip, port, qp in read_back) == sorted(expected)


def test_what_cannot_be_played_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path), "--pcap", str(tmp_path / "x")]) == 2
    assert "counters.parquet: cannot be read: no such file or directory" in capsys.readouterr().err
    assert main(["replay", str(tmp_path)]) == 2
    assert "choose one of --pcap, --sflow, --snmp and --gnmi" in capsys.readouterr().err


SETTINGS = """\
[collect.snmp]
version = "2c"
community = "COMMUNITY"
period = 4
timeout = 4
devices = ["leaf-*"]
[collect.host]
token = "HOST_AGENT"
insecure = true
period = 4
timeout = 4
"""


@pytest.mark.parametrize(("options", "devices"), [(("--snmp",), ("gpu-0003", DEVICES[0])), ((), ("gpu-0003",))])
def test_host_agents_are_read_by_collect_beside_switches_and_alone(
    folder: Path, tmp_path: Path, options: Sequence[str], devices: Sequence[str]
) -> None:
    file, url = tmp_path / "targets.csv", f"duckdb:{tmp_path / 'samples.duckdb'}"
    (tmp_path / "railwright.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "railwright", "collect", str(folder.parent / "plan"), "--store", url]
    command += ["--targets", str(file), "--for", "12", *(() if options else ("--source", "host"))]
    environment = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT)}
    # So slow that the first sample holds throughout.
    with playing(folder, *options, "--host-agents", "--targets", str(file), "--speed", "0.01", devices=devices) as it:
        at = places(file, it, devices)
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
    store = open_store(url)
    found = store.read(store.columns(), start_ns=0, end_ns=2**62)
    ends = store.read_outcomes(start_ns=0, end_ns=2**62).filter(pl.col("device").is_in(devices))
    store.close()
    assert set(at) == set(devices)
    # A recording is of one network: a host has ports beside those.
    read_well = pl.col("outcome").is_in(["ok", "partial"])
    assert set(ends.filter(read_well).select("device", "source").iter_rows()) == {
        (device, "host" if device.startswith("gpu") else "snmp") for device in devices
    }
    recorded = read(folder, devices)
    for device in devices:
        rows = found.filter(device=device).group_by("port").agg(pl.all().drop_nulls().last())
        columns = shared_columns(rows, recorded)
        assert common(rows.filter(pl.col("port").is_not_null()), recorded, device, recorded.times[0], columns) > 100
    shown = found.filter(device="gpu-0003")
    assert {"rx_bytes", "rx_pfc_pause_seconds_p3", "gid_type", "lldp_system"} <= set(_told(shown))


def _told(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if rows[name].count()]


def test_hosts_are_known_by_what_they_alone_tell(folder: Path) -> None:
    hosts, rest = read(folder).parted()
    assert {name.split("-")[0] for name in hosts.devices} == {"gpu"}
    assert {name.split("-")[0] for name in rest.devices} == {"leaf", "spine"}
    assert hosts.counters.height + rest.counters.height == read(folder).counters.height
    with pytest.raises(InputError, match="no host"):
        read(folder, DEVICES).parted()


@pytest.mark.parametrize("options", [(), ("--snmp", "--gnmi"), ("--pcap", "x.pcap", "--host-agents")])
def test_one_way_to_play_is_chosen(folder: Path, options: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(folder), *options]) == 2
    assert "choose one of" in capsys.readouterr().err


def test_hosts_alone_leave_no_switch_to_play(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert main(["replay", str(folder), "--snmp", "--host-agents", "--devices", "gpu-*"]) == 2
