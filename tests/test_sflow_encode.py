"""What is written as datagrams is read back as it was, by us, by the reference decoder and by tshark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from conftest import need
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from sflow_tools import laid_out, same

from collectors.sources import Poll, Target
from collectors.sources.sflow.agents import Agents
from collectors.sources.sflow.encode import Datagrams, Encoder, Speaker
from collectors.sources.sflow.station import Station
from collectors.sources.sflow.tables import addressed
from fabric.errors import InputError
from fabric.samples import FLOW_SCHEMA, schema, stacked

PORTS = {f"Ethernet{4 * index}": index + 1 for index in range(8)} | {"far": 0x2000000, "farther": 0x7FFFFFFF}
SPEAKERS = [Speaker("leaf-1", "10.0.0.1", PORTS), Speaker("leaf-2", "fd00::2", PORTS, sub_agent=7)]
MAC = "02:00:00:00:00:01"
WIDE = {"rx_bytes": 64, "tx_bytes": 64}
FIRST_NS = 1_700_000_000_000_000_000
addresses = st.ip_addresses().map(str).filter(lambda text: not text.startswith("::ffff:"))
ports = st.none() | st.sampled_from(sorted(PORTS))


@st.composite
def flows(draw: st.DrawFn) -> dict[str, object]:
    """A flow sample as an agent can say it: a queue pair needs ports, ports need addresses, all need a frame."""
    row: dict[str, object] = dict.fromkeys(FLOW_SCHEMA)
    row |= {
        "time_ns": FIRST_NS + draw(st.integers(0, 5_000_000_000)),
        "device": draw(st.sampled_from(["leaf-1", "leaf-2"])),
    }
    row |= {"in_port": draw(ports), "out_port": draw(ports), "sampling_rate": draw(st.integers(1, 2**32 - 1))}
    row |= {"sample_pool": draw(st.integers(0, 2**32 - 1)), "drops": draw(st.integers(0, 2**32 - 1))}
    if draw(st.booleans()):
        return row
    row["frame_bytes"] = draw(st.integers(82, 9216))
    row["priority"] = draw(st.none() | st.integers(0, 7))
    kinds: tuple[Literal[4, 6] | None, ...] = (None, 4, 6)
    version = draw(st.sampled_from(kinds))
    if version:
        ip = st.ip_addresses(v=version).map(str).filter(lambda text: not text.startswith("::ffff:"))
        row |= {"src_ip": draw(ip), "dst_ip": draw(ip), "ecn": draw(st.integers(0, 3))}
        if draw(st.booleans()):
            row |= {"src_port": draw(st.integers(0, 65535)), "dst_port": 4791, "opcode": draw(st.integers(0, 255))}
            row["dest_qp"] = draw(st.integers(0, 2**24 - 1))
        elif draw(st.booleans()):
            row |= {"src_port": draw(st.integers(0, 65535)), "dst_port": draw(st.integers(0, 4788))}
    return row


@st.composite
def counters(draw: st.DrawFn) -> dict[str, object]:
    row: dict[str, object] = {"time_ns": FIRST_NS + draw(st.integers(0, 5_000_000_000))}
    row |= {"device": draw(st.sampled_from(["leaf-1", "leaf-2"])), "port": draw(st.sampled_from(sorted(PORTS)))}
    for name, (counter, _, _) in addressed().items():
        if counter.kind == "counter":
            row[name] = draw(st.none() | st.integers(0, 2 ** WIDE.get(name, 32) - 2))
    status = draw(st.booleans())
    for name in ("admin_status", "oper_status"):
        row[name] = draw(st.integers(1, 2)) if status else None
    row["speed_gbps"] = draw(st.none() | st.sampled_from([0.01, 1.0, 25.0, 400.0, 800.0]))
    return row


def flow_table(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FLOW_SCHEMA)


def station(names: dict[str, str] | None = None) -> Station:
    """One that knows the ports by ifIndex, or by the names that the agents send."""
    same_names = {name: name for name in PORTS}
    given = {"ifindex": {index: name for name, index in PORTS.items()}} if names is None else {}
    targets = [Target(one.device, one.address, 6343, names or same_names, given) for one in SPEAKERS]
    return Station(Agents(targets, ["192.0.2.1"]), 1 << 14)


def heard(made: Datagrams, by: Station) -> list[Poll]:
    """What a station makes of datagrams that a forwarder hands on."""
    buf, heads = laid_out(list(made))
    heads["received"] = made.times
    heads["source_lo"] = 0xFFFFC0000201
    left = by.decode(buf, by.admit(buf, heads))
    assert not len(left)
    return by.polls()


@settings(max_examples=50)
@given(st.lists(flows(), max_size=10), st.lists(counters(), max_size=5), st.booleans())
def test_round_trip(flow: list[dict[str, object]], count: list[dict[str, object]], expanded: bool) -> None:
    given_flows = flow_table(flow)
    given_counters = pl.DataFrame(count, schema=schema([*addressed()]))
    made = Encoder(SPEAKERS, expanded=expanded, gather_ns=1).encode(given_flows, given_counters)
    same(list(made))
    assert all(length <= 1400 for length in made.lengths)
    polls = heard(made, station())
    got = pl.concat([poll.flows for poll in polls])
    # Samples of one instant and device travel in the order given; all have a time of their own device here.
    order = ["device", "time_ns"]
    wanted = given_flows.with_columns(received_ns="time_ns").sort(order, maintain_order=True)
    assert got.sort(order, maintain_order=True).equals(wanted)
    if count:
        rows = stacked([poll.rows for poll in polls])
        last = given_counters.unique(["device", "port", "time_ns"], keep="last")
        compare(rows, last)


def compare(got: pl.DataFrame, wanted: pl.DataFrame) -> None:
    keys = ["device", "port", "time_ns"]
    got, wanted = got.sort(keys), wanted.sort(keys)
    assert got.select(keys).equals(wanted.select(keys))
    for name in addressed():
        made = got[name].to_list() if name in got.columns else [None] * len(got)
        assert made == (pytest.approx(wanted[name].to_list()) if name == "speed_gbps" else wanted[name].to_list()), name


def some(count: int) -> pl.DataFrame:
    """Flow samples of RoCEv2 frames, a microsecond apart."""
    numbers = pl.int_range(count, dtype=pl.Int64, eager=True)
    return pl.DataFrame({
        "time_ns": FIRST_NS + numbers * 1000, "received_ns": numbers, "device": ["leaf-1"] * count,
        "in_port": ["Ethernet0"] * count, "out_port": ["Ethernet4"] * count, "src_ip": ["10.1.0.1"] * count,
        "dst_ip": [f"10.2.0.{index % 200}" for index in range(count)], "src_port": 49152 + numbers % 16000,
        "dst_port": [4791] * count, "dest_qp": numbers, "opcode": numbers % 18, "ecn": numbers % 4,
        "priority": [None] * count, "frame_bytes": [1082] * count, "sampling_rate": [4096] * count,
        "sample_pool": numbers * 4096, "drops": [0] * count,
    }, schema=FLOW_SCHEMA)  # fmt: skip


def test_ports_are_learned_from_the_names_that_agents_send() -> None:
    aliases = {name: f"port {name}" for name in PORTS}
    listener = station(aliases)
    count = pl.DataFrame({"time_ns": [FIRST_NS] * 2, "device": ["leaf-1"] * 2, "port": ["Ethernet0", "Ethernet4"],
                          "rx_bytes": [1, 2]})  # fmt: skip
    writer = Encoder(SPEAKERS)
    [before, *_] = heard(writer.encode(some(1)), listener)
    assert before.flows["in_port"].to_list() == [None]
    assert before.unknown == 1
    [after, *_] = heard(writer.encode(some(1), count), listener)
    assert after.flows.select("in_port", "out_port").rows() == [("port Ethernet0", "port Ethernet4")]
    assert after.rows.select("port", "rx_bytes").rows() == [("port Ethernet0", 1), ("port Ethernet4", 2)]
    assert after.unknown == 0


def test_datagrams_are_numbered_on_and_gathered_for_a_second() -> None:
    writer, listener = Encoder(SPEAKERS, gather_ns=1_000_000_000), station()
    for _ in range(3):
        heard(writer.encode(some(100)), listener)
    assert listener.health()["lost"] == listener.health()["restarts"] == 0
    sparse = some(3).with_columns(time_ns=FIRST_NS + pl.int_range(3) * 600_000_000)
    assert np.diff(writer.encode(sparse).times).tolist() == [600_000_000]


def test_what_no_agent_has_is_refused_all_at_once() -> None:
    wrong = some(2).with_columns(in_port=pl.lit("Ethernet999"), src_ip=pl.lit("10.1.0.300"))
    with pytest.raises(InputError) as error:
        Encoder(SPEAKERS).encode(wrong)
    assert {problem.where for problem in error.value.problems} == {"src_ip: 10.1.0.300", "leaf-1: Ethernet999"}
    with pytest.raises(InputError, match="leaf-9"):
        Encoder(SPEAKERS).encode(some(1).with_columns(device=pl.lit("leaf-9"), in_port=None, out_port=None))
    with pytest.raises(InputError, match="is no IP address"):
        Encoder([Speaker("leaf-1", "leaf-1.example", PORTS)])
    with pytest.raises(InputError, match="do not hold a sample"):
        Encoder(SPEAKERS, most_bytes=200)


def test_tshark_reads_what_is_written(tmp_path: Path) -> None:
    made = Encoder(SPEAKERS).encode(some(40))
    capture = tmp_path / "sflow.pcap"
    wrpcap(
        str(capture),
        [
            Ether(src=MAC, dst=MAC) / IP(src="127.0.0.1", dst="127.0.0.1") / UDP(sport=1, dport=6343) / data
            for data in made
        ],
    )
    fields = ("sflow_245.sequence_number", "sflow.flow_sample.sampling_rate", "sflow_245.header.frame_length",
              "infiniband.bth.destqp", "ip.dst", "ip.dsfield.ecn", "_ws.malformed")  # fmt: skip
    options = [option for field in fields for option in ("-e", field)]
    done = subprocess.run(
        [need("tshark"), "-r", str(capture), "-T", "json", *options], capture_output=True, check=True, text=True
    )
    layers = [one["_source"]["layers"] for one in json.loads(done.stdout)]
    assert not any("_ws.malformed" in one for one in layers)
    joined = {field: [value for one in layers for value in one[field]] for field in fields[:-1]}
    assert joined["sflow_245.sequence_number"] == [str(index + 1) for index in range(len(made))]
    assert joined["sflow_245.header.frame_length"] == ["1082"] * 40
    assert [int(value, 16) for value in joined["infiniband.bth.destqp"]] == list(range(40))
    assert [value for value in joined["ip.dst"] if value != "127.0.0.1"] == some(40)["dst_ip"].to_list()
