"""gNMI's bytes to samples: equal to the official protobuf runtime on what devices send and on what nobody should."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import polars as pl
from gnmi_oracle import COLUMNS, PORTS, Told, told
from gnmi_strategies import broken, elements, message, wild
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_ext_pb2, gnmi_pb2  # type: ignore[import-untyped]

from collectors.sources.gnmi import decoder as decoding
from collectors.sources.gnmi import dictionary as books
from collectors.sources.gnmi import proto
from collectors.sources.gnmi.decoder import Decoder
from collectors.sources.gnmi.dictionary import Dictionary
from collectors.sources.gnmi.paths import OpenConfig

BOOK = Dictionary(OpenConfig())
READER = Decoder(BOOK, PORTS)
"""Keeps the ports that it has met: what comes later is read by the compiled way alone."""


def read(messages: list[bytes], book: Dictionary = BOOK) -> tuple[Told, Decoder]:
    """Ours: values by (port, time, column)."""
    reader = Decoder(book, PORTS)
    reader.feed(messages, range(1, len(messages) + 1))
    return values(reader.take("leaf-1", 0)[0]), reader


def values(rows: pl.DataFrame) -> Told:
    columns = [column for column in rows.columns if column not in ("time_ns", "received_ns", "device", "port")]
    return {
        (row["port"], row["time_ns"], column): row[column]
        for row in rows.iter_rows(named=True)
        for column in columns
        if row[column] is not None
    }


def same(messages: list[bytes]) -> None:
    before = READER.counts.malformed
    READER.feed(messages, range(1, len(messages) + 1))
    found = values(READER.take("leaf-1", 0)[0])
    wanted, malformed = told(messages, range(1, len(messages) + 1))
    known = {column for column, _ in COLUMNS.values()} - ({"lldp_system"} if deletes(messages) else set())
    assert {key: value for key, value in found.items() if key[2] in known} == {
        key: value for key, value in wanted.items() if key[2] in known}  # fmt: skip
    assert READER.counts.malformed - before == malformed


def deletes(messages: list[bytes]) -> bool:
    """Whether any may clear a neighbour: the oracle knows values alone."""
    for raw in messages:
        with contextlib.suppress(DecodeError):
            note = gnmi_pb2.SubscribeResponse.FromString(raw).update
            if note.delete or note.atomic:
                return True
    return False


@given(st.lists(message(), min_size=1, max_size=6))
@settings(max_examples=200)
def test_what_devices_send_is_read_as_the_runtime_reads_it(messages: list[bytes]) -> None:
    same(messages)


@given(st.lists(wild(), min_size=1, max_size=4))
@settings(max_examples=200)
def test_what_no_library_writes_is_read_as_the_runtime_reads_it(messages: list[bytes]) -> None:
    same(messages)


@given(st.lists(st.one_of(broken(), message(), st.binary(max_size=40)), min_size=1, max_size=4))
@settings(max_examples=300)
@example([b"\x0a\x00", b"\x18\x01", b"", b"\x0a\x80", b"\xff" * 20])
def test_what_nobody_should_send_is_taken_or_refused_as_the_runtime_does(messages: list[bytes]) -> None:
    same(messages)


def test_the_table_of_messages_is_the_official_one() -> None:
    for name in ("Path", "PathElem", "TypedValue", "Decimal64", "ScalarArray", "Value", "Update", "Notification",
                 "Error", "SubscribeResponse", "Subscription", "SubscriptionList", "SubscribeRequest"):  # fmt: skip
        official = gnmi_pb2.DESCRIPTOR.message_types_by_name[name].fields_by_name
        same_fields(proto._message(name).DESCRIPTOR, official)
    for name, official in gnmi_ext_pb2.DESCRIPTOR.message_types_by_name.items():
        same_fields(proto._POOL.FindMessageTypeByName(f"gnmi_ext.{name}"), official.fields_by_name)


def same_fields(ours: Any, official: Any) -> None:
    for field in ours.fields:
        theirs = official[field.name]
        assert (field.number, field.is_repeated) == (theirs.number, theirs.is_repeated), field.full_name
        enum_as_number = theirs.type == theirs.TYPE_ENUM and field.type == field.TYPE_INT32
        assert field.type == theirs.type or enum_as_number, field.full_name
        oneofs = [each.containing_oneof and each.containing_oneof.name for each in (field, theirs)]
        assert oneofs[0] == oneofs[1], field.full_name


def update(path: list[str], **value: Any) -> Any:
    return gnmi_pb2.Update(path=gnmi_pb2.Path(elem=elements(path)), val=gnmi_pb2.TypedValue(**value))


def response(time: int, updates: list[Any], prefix: list[str] | None = None, **more: Any) -> bytes:
    note = gnmi_pb2.Notification(timestamp=time, update=updates, **more)
    if prefix is not None:
        note.prefix.elem.extend(elements(prefix))
    found: bytes = gnmi_pb2.SubscribeResponse(update=note).SerializeToString()
    return found


def octets(port: int, time: int, count: int) -> bytes:
    return response(time, [update(["state", "counters", "in-octets"], uint_val=count)],
                    ["interfaces", f"interface[name=Ethernet{port}]"])  # fmt: skip


def test_the_leaves_of_one_sample_are_one_row_and_samples_of_a_counter_are_not() -> None:
    reader = Decoder(BOOK, PORTS)
    interface = ["interfaces", "interface[name=Ethernet1]", "state", "counters"]
    messages = [response(1000, [update([*interface, "in-octets"], uint_val=5)]),
                response(1004, [update([*interface, "out-octets"], uint_val=6)]),
                response(1008, [update([*interface, "in-octets"], uint_val=7)]),
                response(2000, [update([*interface, "out-octets"], uint_val=8)])]  # fmt: skip
    reader.feed(messages, [1, 2, 3, 4])
    rows, _ = reader.take("leaf-1", 10)
    assert rows.select("time_ns", "received_ns", "port", "rx_bytes", "tx_bytes").rows() == [
        (1000, 2, "swp1", 5, 6), (1008, 3, "swp1", 7, None), (2000, 4, "swp1", None, 8)]  # fmt: skip


def test_coalesced_updates_are_counted_as_the_device_says() -> None:
    octet = update(["interfaces", "interface[name=Ethernet1]", "state", "counters", "in-octets"], uint_val=5)
    octet.duplicates = 4
    _, reader = read([response(1, [octet])])
    assert reader.counts.duplicates == 4


def neighbour(time: int, name: str, **more: Any) -> bytes:
    prefix = ["lldp", "interfaces", "interface[name=Ethernet1]", "neighbors", "neighbor[id=1]"]
    return response(time, [update(["state", "system-name"], string_val=name)] if name else [], prefix, **more)


def test_a_deleted_neighbour_becomes_empty_and_a_deleted_counter_is_told_no_more() -> None:
    gone = gnmi_pb2.Path(elem=elements(["lldp", "interfaces", "interface[name=Ethernet1]", "neighbors"]))
    counters = gnmi_pb2.Path(elem=elements(["interfaces", "interface[name=Ethernet1]"]))
    found, reader = read([neighbour(10, "spine-1"), octets(1, 10, 5), response(20, [], delete=[gone, counters])])
    assert found == {
        ("swp1", 10, "lldp_system"): "spine-1",
        ("swp1", 10, "rx_bytes"): 5,
        ("swp1", 20, "lldp_system"): "",
    }
    assert reader.counts.deletes == 2


def test_an_atomic_notification_is_all_there_is_below_its_prefix() -> None:
    found, _ = read([neighbour(10, "spine-1", atomic=True), neighbour(20, "spine-2", atomic=True),
                     neighbour(30, "", atomic=True)])  # fmt: skip
    assert found == {("swp1", 10, "lldp_system"): "spine-1", ("swp1", 20, "lldp_system"): "spine-2",
                     ("swp1", 30, "lldp_system"): ""}  # fmt: skip


def test_a_deletion_of_another_neighbour_leaves_this_one() -> None:
    other = gnmi_pb2.Path(
        elem=elements(["lldp", "interfaces", "interface[name=Ethernet1]", "neighbors", "neighbor[id=2]"])
    )
    found, _ = read([neighbour(10, "spine-1"), response(20, [], delete=[other])])
    assert found == {("swp1", 10, "lldp_system"): "spine-1"}


def test_aliases_stand_for_what_they_were_last_given_to() -> None:
    def define(port: int) -> bytes:
        return response(1, [], ["interfaces", f"interface[name=Ethernet{port}]"], alias="#x")

    def use(time: int) -> bytes:
        return response(time, [update(["state", "counters", "in-octets"], uint_val=time)], ["#x"])

    found, _ = read([use(1), define(1), use(2), define(2), use(3)])
    assert found == {("swp1", 2, "rx_bytes"): 2, ("swp2", 3, "rx_bytes"): 3}


def test_only_the_target_that_was_asked_for_is_taken() -> None:
    def of(target: str, count: int) -> bytes:
        note = gnmi_pb2.SubscribeResponse.FromString(octets(1, count, count))
        note.update.prefix.target = target
        return bytes(note.SerializeToString())

    messages = [of("leaf-1", 1), of("leaf-2", 2), of("", 3), of("ä", 4)]
    reader = Decoder(BOOK, PORTS, "leaf-1")
    reader.feed(messages, range(4))
    assert reader.take("leaf-1", 0)[0]["rx_bytes"].to_list() == [1, 3]
    assert read(messages)[0].keys() == {("swp1", time, "rx_bytes") for time in (1, 2, 3, 4)}


def test_ports_outside_the_plan_are_counted_until_they_are_taken() -> None:
    reader = Decoder(BOOK, PORTS)
    reader.feed([octets(7, 1, 1), octets(8, 1, 1), octets(8, 2, 1), octets(1, 1, 1)], range(4))
    rows, unknown = reader.take("leaf-1", 0)
    assert (rows["port"].to_list(), unknown) == (["swp1"], 2)
    reader.feed([octets(8, 3, 1)], [1])
    assert reader.take("leaf-1", 0)[1] == 1
    assert reader.take("leaf-1", 0)[1] == 0


def test_the_first_address_of_a_counter_wins_over_later_ones() -> None:
    def errors(time: int, fcs: int | None, crc: int | None) -> bytes:
        both = {("state", "counters", "in-fcs-errors"): fcs, ("ethernet", "state", "counters", "in-crc-errors"): crc}
        updates = [update(list(path), uint_val=count) for path, count in both.items() if count is not None]
        return response(time, updates, ["interfaces", "interface[name=Ethernet1]"])

    found, _ = read([errors(1, 5, None), errors(2, 6, 7), errors(3, 8, None)])
    assert found == {("swp1", 1, "rx_fcs_errors"): 5, ("swp1", 2, "rx_fcs_errors"): 7}


def test_the_last_told_of_one_time_counts_whichever_way_it_was_read() -> None:
    path = ["interfaces", "interface[name=Ethernet1]", "state", "counters", "in-octets"]
    usual, other = octets(1, 20, 1), response(20, [update(path, uint_val=2)], atomic=True)
    reader = read([usual])[1]
    for messages in ([usual, other], [other, usual], [other, other, usual], [usual, other, usual]):
        reader.feed(messages, [1] * len(messages))
        assert reader.take("leaf-1", 0)[0]["rx_bytes"].to_list() == [1 if messages[-1] is usual else 2]


def test_a_message_with_more_updates_than_the_bound_is_dropped_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(decoding, "MOST_UPDATES", 4096)
    one = update(["state", "counters", "in-octets"], uint_val=1)
    huge = response(5, [one] * 4097, ["interfaces", "interface[name=Ethernet1]"])
    found, reader = read([octets(1, 1, 1), huge, octets(1, 2, 2)])
    assert found == {("swp1", 1, "rx_bytes"): 1, ("swp1", 2, "rx_bytes"): 2}
    assert reader.counts.oversized == 1


def test_endless_new_paths_start_the_dictionary_anew_and_lose_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(books, "MOST_PATHS", 100)
    book = Dictionary(OpenConfig())
    reader, other = Decoder(book, PORTS), Decoder(book, PORTS)
    for round_ in range(20):
        messages = [octets(1, round_ + 1, round_)] + [octets(100 + 50 * round_ + i, 1, 1) for i in range(50)]
        reader.feed(messages, range(51))
        other.feed([octets(2, round_ + 1, round_)], [1])
        assert book.count < 250
    assert reader.take("leaf-1", 0)[0]["rx_bytes"].to_list() == list(range(20))
    assert other.take("leaf-1", 0)[0]["port"].unique().to_list() == ["swp2"]
    assert book.generation > 5


def test_paths_longer_than_any_of_ours_are_not_kept() -> None:
    book = Dictionary(OpenConfig())
    used = book.used
    read([response(1, [update(["x" * 5000, str(i)], uint_val=1)]) for i in range(50)], book)
    assert book.used == used


def test_values_over_the_bound_are_dropped_and_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(decoding, "MOST_PENDING", 100)
    reader = Decoder(BOOK, PORTS)
    for time in range(1, 301):
        reader.feed([octets(1, time, time)], [time])
    assert reader.pending + reader.counts.dropped == 300
    assert reader.pending <= 101


def test_json_of_a_container_is_read_as_its_leaves_are() -> None:
    tree = ('{"openconfig-interfaces:interface":[{"name":"Ethernet1","state":{"oper-status":"UP","mtu":9100,"counters":'
            '{"in-octets":"18446744073709551615","openconfig-x:out-octets":7,"in-errors":"-1"}}},{"name":"Ethernet9",'
            '"state":{"mtu":1}},7,{"no":"name"}]}')  # fmt: skip
    found, reader = read([response(1, [update(["interfaces"], json_ietf_val=tree.encode())])])
    assert found == {("swp1", 1, "oper_status"): 1, ("swp1", 1, "mtu_bytes"): 9100.0, ("swp1", 1, "tx_bytes"): 7,
                     ("swp1", 1, "rx_bytes"): 2**64 - 1}  # fmt: skip
    assert reader.counts.unusable == 1


def bias(component: str, lane: int, value: float) -> bytes:
    channel = ["transceiver", "physical-channels", f"channel[index={lane}]"]
    path = ["components", f"component[name={component}]", *channel, "state", "laser-bias-current", "instant"]
    return response(5, [update(path, double_val=value)])


def has_transceiver(port: int, component: str, *lanes: int) -> bytes:
    state = ["interfaces", f"interface[name=Ethernet{port}]", "state"]
    listed = gnmi_pb2.ScalarArray(element=[gnmi_pb2.TypedValue(uint_val=lane) for lane in lanes])
    more = [update([*state, "physical-channel"], leaflist_val=listed)] if lanes else []
    return response(1, [update([*state, "transceiver"], string_val=component), *more])


def test_transceivers_are_their_ports_where_the_device_says_so() -> None:
    found, _ = read([bias("xcvr-1", 0, 1.0), has_transceiver(1, "xcvr-1"), bias("xcvr-1", 3, 7.5), bias("fan", 0, 1.0),
                     has_transceiver(2, "xcvr-1"), bias("xcvr-1", 4, 8.0)], Dictionary(OpenConfig()))  # fmt: skip
    assert found.keys() == {("swp1", 5, "tx_bias_amperes_l3")}
    assert math.isclose(found["swp1", 5, "tx_bias_amperes_l3"], 0.0075)


def test_lanes_of_a_shared_transceiver_are_the_ports_that_list_them() -> None:
    found, _ = read([has_transceiver(1, "xcvr-1", 0, 1), has_transceiver(2, "xcvr-1", 2, 3), bias("xcvr-1", 1, 1.0),
                     bias("xcvr-1", 2, 2.0), bias("xcvr-1", 4, 4.0)], Dictionary(OpenConfig()))  # fmt: skip
    assert found == {("swp1", 5, "tx_bias_amperes_l1"): 0.001, ("swp2", 5, "tx_bias_amperes_l2"): 0.002}


def test_queues_with_words_for_names_have_the_settings_numbers() -> None:
    def dropped(queue: str) -> bytes:
        path = ["qos", "interfaces", "interface[interface-id=Ethernet1]", "output", "queues", f"queue[name={queue}]",
                "state", "dropped-pkts"]  # fmt: skip
        return response(1, [update(path, uint_val=9)])

    messages = [dropped(name) for name in ("UC3", "Ethernet1:4", "AF1", "99", "roce")]
    assert {key[2] for key in read(messages)[0]} == {"queue_dropped_packets_q3", "queue_dropped_packets_q4"}
    named = read(messages, Dictionary(OpenConfig({"roce": 5})))[0]
    assert ("swp1", 1, "queue_dropped_packets_q5") in named


def test_speeds_are_numbers() -> None:
    path = ["interfaces", "interface[name=Ethernet1]", "ethernet", "state", "port-speed"]
    speeds = ["SPEED_800GB", "openconfig-if-ethernet:SPEED_2500MB", "SPEED_UNKNOWN"]
    messages = [response(time, [update(path, string_val=speed)]) for time, speed in enumerate(speeds, 1)]
    assert list(read(messages)[0].values()) == [800.0, 2.5]
