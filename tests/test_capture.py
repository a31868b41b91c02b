"""Captures: what good ones hold, as tshark says too; how bad ones end; nothing in a file raises or grows memory."""

from __future__ import annotations

import csv
import struct
import subprocess
import tempfile
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import HERE, need
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sources.capture import KEPT_BYTES, MOST_INTERFACES, frames, read
from collectors.sources.conversations import CONVERSATION_SCHEMA, Conversations
from collectors.sources.sflow import layout
from fabric.samples import FLOW_SCHEMA, Outcome

CAPTURES = HERE / "golden/captures"
ROCE = sorted((CAPTURES / "good").glob("roce*"))
EXPECTED = list(csv.DictReader((CAPTURES / "expected.csv").read_text().splitlines()))


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case["file"])
def test_how_it_ended(case: dict[str, str]) -> None:
    found = read(CAPTURES / case["file"])
    got = (found.outcome.value, str(found.frames), str(found.conversations.height), found.detail)
    assert got == (case["outcome"], case["frames"], case["conversations"], case["detail"])
    assert found.flows.schema == pl.Schema(FLOW_SCHEMA)
    assert found.conversations.schema == pl.Schema(CONVERSATION_SCHEMA)
    assert found.flows.height == found.frames


def test_every_capture_has_its_expectation() -> None:
    assert {case["file"] for case in EXPECTED} == {f"{p.parent.name}/{p.name}" for d in ("good", "bad")
                                                   for p in (CAPTURES / d).iterdir()}  # fmt: skip


@pytest.mark.parametrize("path", ROCE, ids=lambda path: path.name)
def test_conversations(path: Path) -> None:
    wanted = pl.read_csv(CAPTURES / "conversations.csv", schema=CONVERSATION_SCHEMA)
    # The link headers differ from file to file, and so do the bytes of whole frames.
    link = {"roce-raw-ip.pcap": -14, "roce-cooked.pcap": 2, "roce-tagged.pcap": 4}.get(path.name, 0)
    wanted = wanted.with_columns(pl.col("bytes") + link * pl.col("packets"))
    order = ["src_ip", "dest_qp"]
    # One file's nanoseconds were written from a float.
    found = read(path).conversations.with_columns((pl.col("first_ns", "last_ns") + 500) // 1000 * 1000)
    assert found.sort(order).equals(wanted.sort(order))


@pytest.mark.parametrize("path", ROCE, ids=lambda path: path.name)
def test_frames_are_what_tshark_says(path: Path) -> None:
    fields = ("frame.time_epoch", "frame.len", "ip.src", "ipv6.src", "udp.srcport", "infiniband.bth.destqp",
              "infiniband.bth.opcode", "ip.dsfield.ecn", "ipv6.tclass.ecn", "vlan.priority")  # fmt: skip
    options = [option for field in fields for option in ("-e", field)]
    command = [need("tshark"), "-r", str(path), "-T", "fields", "-E", "separator=;", *options]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    flows = read(path, device="host-1", port="eth0").flows
    assert set(flows.select("device", "in_port", "sampling_rate").rows()) == {("host-1", "eth0", 1)}
    assert len(flows) == len(done.stdout.splitlines())
    for line, row in zip(done.stdout.splitlines(), flows.rows(named=True), strict=True):
        time, size, ip4, ip6, port, qp, opcode, ecn4, ecn6, priority = line.split(";")
        assert int(Decimal(time) * 1_000_000_000) == row["time_ns"]
        assert (int(size), ip4 or ip6, int(port)) == (row["frame_bytes"], row["src_ip"], row["src_port"])
        assert (int(qp, 16), int(opcode)) == (row["dest_qp"], row["opcode"])
        assert int(ecn4 or ecn6) == row["ecn"]
        assert (int(priority) if priority else None) == row["priority"]


def test_bounds() -> None:
    path = CAPTURES / "good/roce.pcap"
    found = read(path, most_flows=5, most_conversations=1)
    assert (found.outcome, found.frames, found.flows.height, found.conversations.height) == (
        Outcome.OVERSIZED,
        23,
        5,
        1,
    )
    assert found.detail == "18 frames and 9 packets of conversations left out"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    assert read(tmp_path).outcome is Outcome.FAILED
    assert read(tmp_path / "none.pcap").outcome is Outcome.FAILED


def test_endless_interfaces_are_refused(tmp_path: Path) -> None:
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    path = tmp_path / "interfaces.pcapng"
    path.write_bytes(section + interface * (MOST_INTERFACES + 100))
    assert read(path).outcome is Outcome.PARTIAL


SEEDS = [
    path.read_bytes() for path in ROCE if path.suffix == ".pcapng" or path.name in ("roce.pcap", "roce-cooked.pcap")
]


@settings(max_examples=150)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), max_size=4),
       st.integers(0, 4000))  # fmt: skip
def test_mutated_captures_never_raise(data: bytes, changes: list[tuple[int, bytes]], end: int) -> None:
    made = bytearray(data)
    for at, new in changes:
        made[at % len(made) : at % len(made) + len(new)] = new
    with tempfile.NamedTemporaryFile() as file:
        file.write(made[:end])
        file.flush()
        found = read(Path(file.name), most_flows=100, most_conversations=10)
        assert found.flows.height <= 100
        assert sum(len(frame) for _, frame in frames(Path(file.name))) <= end


def test_a_record_of_4_gib_takes_no_memory(tmp_path: Path) -> None:
    read(CAPTURES / "good/roce.pcap")
    tracemalloc.start()
    for name in ("length-4g.pcap", "block-4g.pcapng", "bomb.pcap.gz"):
        read(CAPTURES / "bad" / name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


class Plain:
    """Packet numbers of one direction, followed with a set that remembers all."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self.seen: set[int] = set()
        self.retransmitted = self.late = self.skipped = 0

    def add(self, psn: int) -> None:
        if self.highest is None:
            self.highest = psn
            self.seen.add(psn)
            return
        # The number without its wrap, nearest to the highest so far.
        full = self.highest + (psn - self.highest + (1 << 23)) % (1 << 24) - (1 << 23)
        if full > self.highest:
            self.skipped += full - self.highest - 1
            self.highest = full
        elif full in self.seen or self.highest - full >= 1024:
            self.retransmitted += 1
        else:
            self.late += 1
        self.seen.add(full)


@settings(max_examples=100)
@given(st.integers(0, (1 << 24) - 1), st.lists(st.integers(-3, 4) | st.integers(-1100, 1100), max_size=60))
def test_packet_numbers(first: int, steps: list[int]) -> None:
    numbers = np.cumsum([first, *steps]) % (1 << 24)
    plain = Plain()
    rows = np.zeros(len(numbers), layout.FLOWS)
    rows["flags"], rows["psn"], rows["opcode"] = layout.HAS_BTH | layout.HAS_IPV4, numbers, 6
    ours = Conversations(4)
    ours.add(rows[: len(rows) // 2])
    ours.add(rows[len(rows) // 2 :])
    for psn in numbers.tolist():
        plain.add(psn)
    row = ours.table().row(0, named=True)
    assert (row["retransmitted"], row["late"], row["skipped"]) == (plain.retransmitted, plain.late, plain.skipped)


def test_frames_are_cut_to_what_is_read() -> None:
    assert KEPT_BYTES >= 14 + 16 + 40 + 8 + 8 + 14 + 40 + 8 + 12
