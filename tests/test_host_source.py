"""The host agent, run as a user runs it, and the source that asks it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st
from tls import certificates

from collectors.hostagent import MOST_BYTES
from collectors.hostagent.read import document
from collectors.hostagent.server import Listen
from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target
from collectors.sources.host import HostSource, _read
from fabric.errors import InputError

TOKEN = "correct horse"
ETHTOOL = """\
NIC statistics:
     rx_bytes_phy: 900
     rx_prio3_pause: 41
     rx_prio3_pause_duration: 1500000
     tx_prio5_pause: 3
     something_else: 7
"""
FEC = (
    "FEC parameters for x:\nActive FEC encoding: RS\nStatistics:\n  corrected_blocks: 256\n  uncorrectable_blocks: 2\n"
)
MODULE = """\
	Module temperature                        : 51.25 degrees C / 124.25 degrees F
	Module voltage                            : 3.2710 V
	Transmit avg optical power (Channel 1)    : 1.0000 mW / 0.00 dBm
	Rcvr signal avg optical power(Channel 2)  : 0.5012 mW / -3.00 dBm
	Laser tx bias current (Channel 1)         : 7.500 mA
"""


def sysfs(folder: Path) -> Path:
    """A host with one adapter of two ports, each with an interface."""
    for number, interface in ((1, "cx7-0"), (2, "cx7-1")):
        port = folder / f"class/infiniband/mlx5_0/ports/{number}"
        net = folder / f"class/infiniband/mlx5_0/device/net/{interface}"
        files = {
            port / "counters/port_rcv_data": f"{number * 1000}\n",
            port / "counters/port_xmit_wait": "9\n",
            port / "counters/port_unknown": "1\n",
            port / "hw_counters/np_cnp_sent": "17\n",
            port / "rate": "400 Gb/sec (4X NDR)\n",
            port / "gid_attrs/types/3": "RoCE v2\n",
            net / "dev_port": f"{number - 1}\n",
            net / "statistics/rx_bytes": "5\n",
            net / "operstate": "up\n" if number == 1 else "down\n",
            net / "mtu": "9000\n",
            net / "device/current_link_width": "16\n",
            net / "device/current_link_speed": "32.0 GT/s PCIe\n",
        }
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


def program(command: list[str]) -> str:
    """What the programs of that host print."""
    if command[:2] == ["dcb", "-j"]:
        return '{"prio-pfc":{"0":false,"3":true,"4":true}}'
    if command[0] == "lldpcli":
        return ""
    return {"-S": ETHTOOL, "-I": FEC, "-m": MODULE}[command[1]]


PORTS = {"cx7-0": "nic0", "mlx5_0/2": "nic1", "mlx5_0/9": "nic9"}


def asked(target: Target, ca: str | None = None, timeout: float = 10.0) -> Poll:
    """One poll with a source of its own."""

    async def one() -> Poll:
        source = HostSource(ca)
        try:
            return await source.poll(target, timeout)
        finally:
            await source.close()

    return asyncio.run(one())


def read(found: dict[str, Any], ports: dict[str, str] = PORTS) -> tuple[Outcome, pl.DataFrame, str, int]:
    return _read(json.dumps(found).encode(), Target("gpu-0000", "127.0.0.1", 1, ports), 77)


def test_every_value_of_a_host_has_its_counter(tmp_path: Path) -> None:
    outcome, rows, detail, unknown = read(document("gpu-0000", sysfs(tmp_path), program))
    assert (outcome, detail, unknown) == (Outcome.PARTIAL, "says nothing of nic9", 0)
    one, two = rows.sort("port").to_dicts()
    assert one["rx_bytes"] == 900, "the port's own count goes before that of the interface and of RDMA"
    expected = {
        "rx_pfc_frames_p3": 41, "rx_pfc_pause_seconds_p3": 1.5, "tx_pfc_frames_p5": 3, "tx_wait_ticks": 9,
        "cnp_sent_packets": 17, "speed_gbps": 400.0, "width_lanes": 4.0, "gid_type": "RoCE v2", "oper_status": 1,
        "mtu_bytes": 9000.0, "pcie_lanes": 16.0, "pcie_gigatransfers": 32.0, "fec_corrected_codewords": 256,
        "fec_uncorrectable_codewords": 2, "tx_power_dbm_l0": 0.0, "rx_power_dbm_l1": -3.0, "tx_bias_amperes_l0": 0.0075,
        "module_temperature_celsius": 51.25, "module_voltage_volts": 3.271, "pfc_enabled_mask": 24.0,
    }  # fmt: skip
    assert {name: one[name] for name in expected} == pytest.approx(expected)
    assert two["oper_status"] == 2
    assert set(rows.columns) - set(expected) - {"time_ns", "received_ns", "device", "port", "rx_bytes"} == set()


def test_without_programs_rdma_counts_for_the_port(tmp_path: Path) -> None:
    _, rows, _, _ = read(document("gpu-0000", sysfs(tmp_path), lambda _: ""))
    assert rows.sort("port")["rx_bytes"].to_list() == [4000, 8000]


@contextmanager
def agent(tmp_path: Path, *options: str, name: str = "gpu-0000") -> Iterator[int]:
    """The command itself, on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "railwright", "host-agent", "--listen", f"127.0.0.1:{port}", "--name", name]
    environment = {**os.environ, "RAILWRIGHT_SECRET_HOST_AGENT": TOKEN}
    log = tmp_path / "agent.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *options], env=environment, stdout=output, stderr=output)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_the_agent_answers_over_tls_to_the_token_alone(tmp_path: Path) -> None:
    ca, certificate, key = certificates(tmp_path)
    interfaces = {path.name: path.name for path in Path("/sys/class/net").iterdir() if (path / "device").exists()}
    if not interfaces:
        pytest.skip("no interface with hardware on this machine: run where there is one")
    with agent(tmp_path, "--cert", str(certificate), "--key", str(key)) as port:
        target = Target("gpu-0000", "127.0.0.1", port, interfaces, {"token": Secret(TOKEN)})
        found = asked(target, str(ca))
        assert (found.outcome, found.detail) == (Outcome.OK, "")
        name = found.rows["port"][0]
        assert found.rows["mtu_bytes"][0] == float(Path(f"/sys/class/net/{name}/mtu").read_text())
        wrong = asked(replace(target, options={"token": Secret("wrong")}), str(ca))
        assert (wrong.outcome, wrong.detail) == (Outcome.DENIED, "HTTP 401")
        assert asked(target).outcome is Outcome.DENIED, "its certificate is signed by nobody we trust"
        assert asked(replace(target, device="gpu-0001"), str(ca)).outcome is Outcome.UNKNOWN
        assert asked(replace(target, options={"token": Secret(TOKEN), "insecure": True})).outcome is Outcome.MALFORMED
    gone = asked(target, str(ca))
    assert gone.outcome is Outcome.REFUSED
    assert TOKEN not in (tmp_path / "agent.log").read_text()


def test_it_does_not_speak_in_the_clear_beyond_loopback(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not loopback: the token would cross the network in the clear"):
        Listen("192.0.2.1", 9342).check()
    Listen("192.0.2.1", 9342, insecure=True).check()
    with pytest.raises(InputError, match="a certificate and its key, both"):
        Listen("127.0.0.1", 9342, certificate=tmp_path).check()
    with pytest.raises(InputError, match="is no address"):
        Listen("example", 9342).check()


async def _answering(body: bytes, *, drip: bool = False) -> Poll:
    """A poll of a server that answers ``body`` to anything; ``drip``: a byte each 50 ms."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            for byte in body if drip else ():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
            if not drip:
                writer.write(body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        source = HostSource()
        found = await source.poll(Target("gpu-0000", "127.0.0.1", port, PORTS, {"insecure": True}), 1.0)
        await source.close()
        await asyncio.wait_for(done.wait(), 10)
        return found


def test_an_answer_is_bounded_in_size_and_time() -> None:
    assert asyncio.run(_answering(b" " * (MOST_BYTES + 1))).outcome is Outcome.OVERSIZED
    assert asyncio.run(_answering(b" " * 1000, drip=True)).outcome is Outcome.SILENT
    assert asyncio.run(_answering(b"[" * 100_000)).outcome is Outcome.MALFORMED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
VALUE = JSON | st.sampled_from(["-1", "1e3", "99999999999999999999999", "NaN", "up", ""])
VALUES = st.dictionaries(st.sampled_from(["net/rx_bytes", "net/operstate", "rx_prio3_pause", "ib/rate"]), VALUE)
PORT = st.fixed_dictionaries({"names": st.lists(st.sampled_from([*PORTS, "other"])) | JSON, "values": VALUES | JSON})


@given(st.lists(PORT | JSON, max_size=4), JSON, JSON)
def test_whatever_a_host_says_is_rows_or_an_outcome(ports: list[Any], time_ns: object, lldp: object) -> None:
    found = {"version": 1, "host": "gpu-0000", "time_ns": time_ns, "ports": ports, "lldp": lldp}
    outcome, rows, _, unknown = read(found)
    assert outcome in (Outcome.OK, Outcome.PARTIAL, Outcome.EMPTY)
    assert set(rows["port"]) <= set(PORTS.values())
    assert 0 <= unknown <= len(ports)


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_document_is_malformed(text: bytes) -> None:
    assert _read(text, Target("gpu-0000", "127.0.0.1", 1, PORTS), 77)[0] is Outcome.MALFORMED


def test_ethtool_of_this_machine_is_read() -> None:
    need("ethtool")
    found = document("x")
    assert found["host"] == "x"
    names = {name for port in found["ports"] for name in port["names"]}
    assert names >= {path.name for path in Path("/sys/class/net").iterdir() if (path / "device").exists()}
