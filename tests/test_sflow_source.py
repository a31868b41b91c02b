"""The source: whose datagrams it takes, what it counts, how intervals end, and what bounds its memory."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sflow_live import HOST, listen
from sflow_tools import laid_out
from test_sflow_decode import datagram, flow, header, mutated, opaque, u32

from collectors.sources import Outcome, Poll, Target
from collectors.sources.sflow import layout
from collectors.sources.sflow.agents import Agents, address_text, words
from collectors.sources.sflow.lookup import Lookup
from collectors.sources.sflow.source import SFlow
from collectors.sources.sflow.station import MOST_STRANGERS, Station, judge
from collectors.sources.sflow.tables import addressed, field
from collectors.sources.sflow.text import address_column
from fabric.counters import counters
from fabric.errors import InputError

LEAF, SPINE = "10.0.0.1", "10.0.0.2"
TARGETS = [
    Target("leaf-1", LEAF, 6343, {"Ethernet0": "Ethernet0", "swp1": "Ethernet0", "swp2": "Ethernet4"}),
    Target("spine-1", SPINE, 6343, {"Ethernet0": "Ethernet0"}, {"addresses": ["fd00::2"], "ifindex": {3: "Ethernet0"}}),
]
FRAME = header(b"\0" * 60)


def agent(address: str) -> bytes:
    packed = ipaddress.ip_address(address).packed
    return u32(1 if len(packed) == 4 else 2) + packed


def told(address: str, *samples: bytes, sequence: int = 1, uptime: int = 1000) -> bytes:
    return datagram(*(samples or (flow(FRAME),)), sequence=sequence, uptime=uptime, agent=agent(address))


def interface(index: int, name: bytes = b"", octets: int = 7) -> bytes:
    """A counter sample with record 1, and 1005 where there is a name."""
    generic = opaque(1, u32(index, 6) + (10**11).to_bytes(8, "big") + u32(1, 3) + octets.to_bytes(8, "big") + bytes(56))
    named = opaque(1005, u32(len(name)) + name + bytes(-len(name) % 4)) if name else b""
    return opaque(2, u32(1, index, 2 if name else 1) + generic + named)


def hear(station: Station, *given: tuple[str, bytes], now: int = 5) -> None:
    """Hand datagrams to a station, each from an address."""
    buf, heads = laid_out([data for _, data in given])
    for head, (source, _) in zip(heads, given, strict=True):
        head["source_hi"], head["source_lo"] = words(source)
    heads["received"] = now
    assert not len(station.decode(buf, station.admit(buf, heads)))


def station(*forwarders: str) -> Station:
    return Station(Agents(TARGETS, forwarders), 2000)


def test_a_device_speaks_for_itself_alone() -> None:
    one = station()
    hear(
        one, (LEAF, told(LEAF)), ("fd00::2", told(SPINE)), ("::ffff:10.0.0.2", told("fd00::2", sequence=2)),
        (LEAF, told(SPINE, sequence=3)), ("10.9.9.9", told(LEAF, sequence=2)), ("10.9.9.9", told("10.9.9.9")),
    )  # fmt: skip
    leaf, spine, strangers = one.polls()
    assert (leaf.device, leaf.outcome, len(leaf.flows)) == ("leaf-1", Outcome.OK, 1)
    assert (spine.device, spine.outcome, len(spine.flows)) == ("spine-1", Outcome.OK, 2)
    assert (strangers.device, strangers.outcome) == ("", Outcome.UNKNOWN)
    assert "10.0.0.2 (from 10.0.0.1): 1" in strangers.detail
    assert "10.9.9.9: 1" in strangers.detail
    health = one.health()
    assert (health["unknown_agents"], health["unknown_sources"]) == (1, 2)


def test_a_forwarder_speaks_for_all() -> None:
    one = station("192.0.2.1")
    hear(one, ("192.0.2.1", told(LEAF)), ("192.0.2.1", told(SPINE)), ("192.0.2.2", told(SPINE, sequence=2)))
    assert [len(poll.flows) for poll in one.polls()] == [1, 1, 0]


def test_how_intervals_end() -> None:
    one = station()
    assert [poll.outcome for poll in one.polls()] == [Outcome.SILENT, Outcome.SILENT]
    hear(one, (LEAF, told(LEAF)[:-4]), (SPINE, told(SPINE, opaque(99, b""))))
    polls = one.polls()
    assert [poll.outcome for poll in polls] == [Outcome.MALFORMED, Outcome.EMPTY]
    assert polls[0].detail == "1 malformed"
    hear(one, (LEAF, told(LEAF, sequence=5)), (SPINE, told(SPINE, sequence=2)))
    polls = one.polls()
    assert [(poll.outcome, poll.detail) for poll in polls] == [(Outcome.PARTIAL, "3 datagrams lost"), (Outcome.OK, "")]
    assert judge([0] * 10)[0] is Outcome.SILENT


def test_what_is_no_datagram_of_ours_is_counted() -> None:
    one = station()
    version_4 = u32(4) + told(LEAF)[4:]
    other_address = u32(5, 7) + told(LEAF)[8:]
    hear(one, (LEAF, b""), (LEAF, told(LEAF)[:20]), (LEAF, version_4), (LEAF, other_address))
    health = one.health()
    assert (health["short"], health["other_versions"], health["malformed"]) == (2, 1, 1)
    assert one.polls()[0].outcome is Outcome.SILENT


def test_counters_are_those_of_the_schema() -> None:
    one = station()
    hear(one, (SPINE, told(SPINE, interface(3), interface(4))), now=77)
    poll = one.polls()[1]
    assert poll.unknown == 1
    assert poll.rows.select("time_ns", "device", "port", "rx_bytes", "speed_gbps", "oper_status").rows() == [
        (77, "spine-1", "Ethernet0", 7, pytest.approx(100.0), 1)
    ]
    assert {name for name, one in counters().items() if one.addresses["sflow"]} == set(addressed())
    assert all(field(path) for _, path, _ in addressed().values())


def test_the_later_of_two_counters_of_one_instant_stands() -> None:
    one = station()
    hear(one, (SPINE, told(SPINE, interface(3, octets=1), interface(3, octets=2))))
    assert one.polls()[1].rows["rx_bytes"].to_list() == [2]


def test_ports_are_learned_and_learned_anew() -> None:
    one = station()
    hear(one, (LEAF, told(LEAF, interface(3, b"swp1"), interface(4, b"swp2"), interface(9, b"lo"))))
    poll = one.polls()[0]
    assert (poll.rows["port"].to_list(), poll.unknown) == (["Ethernet0", "Ethernet4"], 1)
    # After a restart the numbers are others: what 3 was is now 4.
    hear(one, (LEAF, told(LEAF, interface(4, b"swp1"), flow(FRAME, in_if=3, out_if=4), sequence=2)))
    poll = one.polls()[0]
    assert poll.rows["port"].to_list() == ["Ethernet0"]
    assert poll.flows.select("in_port", "out_port").rows() == [(None, "Ethernet0")]
    # A mapping that was given is not overridden by what an agent says.
    hear(one, (SPINE, told(SPINE, interface(8, b"Ethernet0"), interface(3), sequence=2)))
    assert one.polls()[1].rows["port"].to_list() == ["Ethernet0"]


def test_names_that_change_all_the_time_take_no_room() -> None:
    one = station()
    for index in range(1, 100):
        hear(one, (LEAF, told(LEAF, interface(index, b"swp1"), sequence=index)))
        assert one.polls()[0].rows["port"].to_list() == ["Ethernet0"]
    assert len(one.agents._numbers.values) <= 64


def test_mistakes_of_targets_come_all_at_once() -> None:
    wrong = [
        Target("a", "leaf-1.example", 0, {}), Target("b", LEAF, 0, {}, {"addresses": ["x"]}),
        Target("c", LEAF, 0, {"1": "1"}, {"ifindex": {"0": "1", "5": "2", "6": "1"}}),
    ]  # fmt: skip
    with pytest.raises(InputError) as error:
        Agents(wrong, ["nobody"])
    assert sorted(problem.where for problem in error.value.problems) == [
        "a: leaf-1.example", "b: x", "c: 10.0.0.1", "c: ifindex 0: 1", "c: ifindex 5: 2", "forwarders: nobody",
    ]  # fmt: skip
    with pytest.raises(InputError, match="cannot listen"):
        SFlow("203.0.113.7", 0).listen()
    with pytest.raises(InputError, match="cannot listen"):
        SFlow("nobody.example", 0).listen()


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-2, 3) | st.integers(-60, 60), max_size=50))
def test_gaps_doubles_and_late_ones(first: int, steps: list[int]) -> None:
    numbers = np.cumsum([first, *steps], dtype=np.int64)
    seen, highest, lost, late, doubled = {first}, first, 0, 0, 0
    kept = []
    for number in numbers.tolist()[1:]:
        if highest - number >= 64:
            break
        kept.append(number)
        if number in seen:
            doubled += 1
        elif number > highest:
            lost, highest = lost + number - highest - 1, number
        else:
            late += 1
        seen.add(number)
    one = station()
    hear(one, *((LEAF, told(LEAF, sequence=number & 0xFFFFFFFF)) for number in [first, *kept]))
    health = one.health()
    assert (health["lost"], health["late"], health["duplicated"]) == (lost, late, doubled)
    assert len(one.polls()[0].flows) == len(seen)


def test_a_restart_loses_nothing() -> None:
    one = station()
    hear(one, (LEAF, told(LEAF, sequence=9000, uptime=10**6)), (LEAF, told(LEAF, sequence=1, uptime=1000)),
         (LEAF, told(LEAF, sequence=2, uptime=2000)))  # fmt: skip
    health = one.health()
    assert (health["restarts"], health["lost"], health["duplicated"]) == (1, 0, 0)
    # Its uptime has 32 bits of ms: after 49.7 days it begins again, its numbers do not.
    hear(one, (SPINE, told(SPINE, sequence=7, uptime=2**32 - 5)), (SPINE, told(SPINE, sequence=8, uptime=5)))
    assert (one.health()["restarts"], one.health()["lost"]) == (1, 0)


def test_sub_agents_are_counted_apart_and_bounded() -> None:
    one = station()
    hear(one, *((LEAF, told(LEAF)[:12] + u32(sub) + told(LEAF)[16:]) for sub in range(200)))
    health = one.health()
    assert health["lost"] == health["duplicated"] == 0
    assert health["untracked"] > 100
    assert one.polls()[0].outcome is Outcome.PARTIAL


def test_strangers_are_bounded() -> None:
    one = station()
    for index in range(50):
        hear(one, *((f"192.0.{index}.{n}", told(f"192.0.{index}.{n}")) for n in range(50)))
    assert len(one._strangers) == MOST_STRANGERS
    assert one.polls()[-1].detail.count(":") == MOST_STRANGERS + 1
    assert one.health()["unknown_agents"] == 2500


@settings(max_examples=50)
@given(st.lists(st.ip_addresses() | st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
                | st.sampled_from(["::", "::1", "1::", "1:0:0:2::"]).map(ipaddress.ip_address)))  # fmt: skip
def test_addresses_as_text(given_addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    pairs = [words(str(one)) for one in given_addresses]
    high, low = (np.array([pair[half] for pair in pairs], np.uint64) for half in (0, 1))
    none = np.arange(len(pairs)) % 5 == 4
    wanted = [None if gone else address_text(*pair) for gone, pair in zip(none, pairs, strict=True)]
    assert address_column(high, low, none).to_list() == wanted
    plain = [str(one) for one in given_addresses if one.version == 4 or not one.ipv4_mapped]
    assert [address_text(*words(text)) for text in plain] == plain


def test_lookup_equals_a_dictionary() -> None:
    draw, table, plain = random.Random(1), Lookup(500), dict[tuple[int, int], int]()
    for value in range(500):
        key = draw.randrange(3), draw.choice([draw.randrange(300), draw.randrange(2**64), value << 32])
        plain[key] = value
        table.put(*key, value)
    asked = [*plain, *((draw.randrange(3), draw.randrange(400)) for _ in range(500))]
    found = table.find(*(np.array([key[half] for key in asked], np.uint64) for half in (0, 1)))
    assert found.tolist() == [plain.get(key, -1) for key in asked]


@settings(max_examples=100)
@given(st.lists(mutated() | st.binary(max_size=60), max_size=6))
def test_a_station_takes_anything(given_datagrams: list[bytes]) -> None:
    one = station(HOST)
    hear(one, *((HOST, data) for data in given_datagrams))
    polls = one.polls()
    assert sum(len(poll.flows) for poll in polls) == one.health()["flow_samples"]
    assert one.health()["datagrams"] == len(given_datagrams)
    assert {poll.device for poll in polls} <= {"leaf-1", "spine-1", ""}


def sender(port: int, family: int = socket.AF_INET, host: str = HOST) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.connect((host, port))
    return made


def test_over_a_socket_nothing_is_lost_when_tables_are_full() -> None:
    source = SFlow(HOST, 0, forwarders=[HOST], most_rows=1000)
    _, port = source.listen()

    def work() -> None:
        time.sleep(0.5)
        with sender(port) as out:
            for number in range(1, 1001):
                out.send(told(LEAF, *[flow(FRAME, rate=number)] * 5, sequence=number))
                if number % 50 == 0:
                    time.sleep(0.01)
            out.send(b"\0" * 9500)

    polls, health = listen(source, TARGETS, work)
    rates = [rate for poll in polls for rate in poll.flows["sampling_rate"]]
    assert rates == [number for number in range(1, 1001) for _ in range(5)]
    assert max(len(poll.flows) for poll in polls) <= 1000
    assert (health["oversized"], health["kernel_dropped"], health["socket_errors"]) == (1, 0, 0)
    assert (health["datagrams"], health["flow_samples"]) == (1001, 5000)
    times = [time_ns for poll in polls for time_ns in poll.flows["time_ns"]]
    assert times == sorted(times)
    assert abs(times[-1] - time.time_ns()) < 60e9


def test_both_families_on_one_socket() -> None:
    source = SFlow("::", 0)
    _, port = source.listen()
    targets = [Target("a", HOST, 0, {}), Target("b", "::1", 0, {})]

    def work() -> None:
        time.sleep(0.3)
        with sender(port) as four, sender(port, socket.AF_INET6, "::1") as six:
            four.send(told(HOST))
            six.send(told("::1"))

    polls, _ = listen(source, targets, work)
    assert {poll.device for poll in polls if len(poll.flows)} == {"a", "b"}


def test_a_full_bus_is_waited_for_and_what_the_kernel_drops_is_counted() -> None:
    source = SFlow(HOST, 0, forwarders=[HOST], buffer_bytes=1)
    _, port = source.listen()
    # Where we may override the limit the buffer is large: small it is here.
    assert source._socket is not None
    source._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    asyncio.run(_blocked(source, port))
    assert source.health()["kernel_dropped"] > 100


async def _blocked(source: SFlow, port: int) -> None:
    gate, called = asyncio.Event(), asyncio.Event()
    polls: list[Poll] = []

    async def emit(found: Sequence[Poll]) -> None:
        called.set()
        await gate.wait()
        polls.extend(found)

    task = asyncio.create_task(source.run(TARGETS, emit, 0.05))
    await called.wait()
    with sender(port) as out:
        for number in range(500):
            out.send(told(LEAF, sequence=number))
        gate.set()
        await asyncio.sleep(0.3)
        out.send(told(LEAF, sequence=500))
        while not any(poll.outcome is Outcome.PARTIAL for poll in polls):
            await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_dtypes_have_no_holes() -> None:
    # Rows are copied as bytes.
    for dtype in (layout.FLOWS, layout.INTERFACES):
        assert dtype.itemsize == sum(dtype[name].itemsize for name in dtype.names or ())
