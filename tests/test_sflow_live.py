"""Live senders export to us and to other collectors at once; all say the same."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pytest
from conftest import need
from scapy.contrib.roce import BTH
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap
from sflow_live import (
    HOST,
    ROOM,
    accounted,
    all_rows,
    captured,
    child,
    conversations,
    listen,
    sfacctd,
    sfcapd,
    switch,
    until,
)

from collectors.sources import Target
from collectors.sources.sflow.source import SFlow

FRAMES, SAMPLING = 20_000, 10
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
WITHIN = 5.0
"""Standard deviations that a count may be off: the switch's sampling is not seeded, and it must not fail by chance."""


def roce(flow: int, ecn: int) -> bytes:
    """One of 8 queue pairs' frames, marked or not; each pair has a size of its own."""
    ip = IP(src=f"10.0.0.{flow}", dst=f"10.0.1.{flow}", tos=26 << 2 | ecn)
    bth = bytes(BTH(opcode=10, dqpn=0x1000 + flow, psn=flow, icrc=0))
    return bytes(ETHER / ip / UDP(sport=50000 + flow, dport=4791, chksum=0) / bth / Raw(bytes(50 + 100 * flow)))


def crafted() -> list[tuple[int, int]]:
    """Queue pair and ECN of 20,000 frames: pair ``n`` has ``n`` shares of 36, every fifth frame is marked."""
    pairs = [flow for flow in range(1, 9) for _ in range(flow)]
    return [(pairs[7 * index % 36], 3 if index % 5 == 0 else 2) for index in range(FRAMES)]


@pytest.mark.parts
@pytest.mark.slow
def test_open_vswitch_to_three_collectors(tmp_path: Path) -> None:
    sent = crafted()
    made = {key: roce(*key) for key in set(sent)}
    source = SFlow(HOST, 0)
    _, port = source.listen()
    ports = {"p1": 11, "p2": 12}
    target = Target("leaf-1", HOST, 6343, {"p1": "Ethernet0", "p2": "Ethernet4"})
    with ExitStack() as stack:
        others = [stack.enter_context(made) for made in (sfcapd(tmp_path / "cap"), sfacctd(tmp_path / "acct"))]
        bridge = stack.enter_context(switch(tmp_path, ports, [port, *others], SAMPLING))

        def work() -> None:
            # The switch tells of its ports once a second: after the first time it is known which is which.
            until(lambda: source.health()["counter_samples"] >= 2)
            bridge.receive("p1", [made[key] for key in sent])
            before = source.health()["counter_samples"]
            until(lambda: source.health()["counter_samples"] >= before + 4)

        polls, health = listen(source, [target], work)
    flows, counters = all_rows(polls)
    assert health["lost"] == health["malformed"] == health["unknown_agents"] == 0
    assert_sampled(flows, sent)
    assert conversations(flows) == captured(tmp_path / "cap")
    assert conversations(flows.with_columns(sampling_rate=1)) == accounted(tmp_path / "acct")
    assert set(flows["in_port"]) == {"Ethernet0"}
    last = counters.filter(port="Ethernet0").sort("time_ns").row(-1, named=True)
    assert last["rx_unicast_packets"] == FRAMES
    assert last["rx_bytes"] == sum(len(made[key]) for key in sent)


def assert_sampled(flows: pl.DataFrame, sent: list[tuple[int, int]]) -> None:
    """The right queue pair, opcode and ECN on every sample; counts within the sampling error."""
    assert set(flows["opcode"]) == {10}
    wanted = Counter(sent)
    got = Counter((qp - 0x1000, ecn) for qp, ecn in flows.select("dest_qp", "ecn").rows())
    assert set(got) == set(wanted)
    for (flow, _), rows in flows.group_by("dest_qp", "ecn"):
        assert set(rows["src_ip"]) == {f"10.0.0.{flow - 0x1000}"}
        assert set(rows["src_port"]) == {50000 + flow - 0x1000}
        # Its check sequence of 4 bytes is counted though it was stripped.
        assert set(rows["frame_bytes"]) == {len(roce(flow - 0x1000, 2)) + 4}
    for key, count in got.items():
        expected = wanted[key] / SAMPLING
        assert abs(count - expected) <= WITHIN * math.sqrt(expected), key
    # 196·sqrt(1/c) % is 1.96 deviations; of all samples together.
    assert abs(len(flows) * SAMPLING / FRAMES - 1) <= WITHIN * math.sqrt(1 / len(flows))


@contextmanager
def repeater(receivers: list[int]) -> Iterator[int]:
    """Hands every datagram to all receivers; its port."""
    inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inner.bind((HOST, 0))
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    inner.settimeout(0.1)
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            try:
                data = inner.recv(65536)
            except TimeoutError:
                continue
            for port in receivers:
                inner.sendto(data, (HOST, port))

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield int(inner.getsockname()[1])
    finally:
        over.set()
        thread.join()
        inner.close()


@pytest.mark.parts
@pytest.mark.slow
def test_pmacctd_to_three_collectors(tmp_path: Path) -> None:
    sent = crafted()[:3600]
    made = {key: Ether(roce(*key)) for key in set(sent)}
    wrpcap(str(tmp_path / "frames.pcap"), [made[key] for key in sent])
    source = SFlow(HOST, 0)
    _, port = source.listen()
    target = Target("host-1", HOST, 6343, {})
    with ExitStack() as stack:
        others = [stack.enter_context(made) for made in (sfcapd(tmp_path / "cap"), sfacctd(tmp_path / "acct"))]
        relay = stack.enter_context(repeater([port, *others]))
        config = tmp_path / "pmacctd.conf"
        config.write_text(
            f"pcap_savefile: {tmp_path}/frames.pcap\nplugins: sfprobe\nplugin_pipe_size: {ROOM}\n"
            f"sfprobe_receiver: {HOST}:{relay}\nsfprobe_agentip: {HOST}\nsampling_rate: 4\nsfprobe_agentsubid: 9\n"
        )

        def work() -> None:
            time.sleep(0.5)
            with child(need("pmacctd"), "-f", str(config)) as sender:
                until(lambda: sender.poll() is not None)
            time.sleep(1)

        polls, health = listen(source, [target], work)
    flows, _ = all_rows(polls)
    assert health["malformed"] == health["unknown_agents"] == health["lost"] == 0
    assert len(flows) > 500
    assert set(flows["dest_qp"]) == {0x1000 + flow for flow in range(1, 9)}
    assert conversations(flows) == captured(tmp_path / "cap")
    assert conversations(flows.with_columns(sampling_rate=1)) == accounted(tmp_path / "acct")
