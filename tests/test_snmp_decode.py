"""The compiled decoder reads what pysnmp reads: made-up messages, recorded ones, and both with octets changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snmp_reference import bulk_answer, reference

from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.harvest import Harvest, packed

CAPTURES = Path(__file__).parent / "golden/captures/snmp"

sub_ids = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))
oids = st.builds(lambda rest: (1, 3, *rest), st.lists(sub_ids, max_size=12))
values = st.one_of(
    st.builds(ber.integer, st.integers(-(2**31), 2**31 - 1)),
    st.builds(lambda tag, n: bytes((tag,)) + ber.integer(n)[1:], st.integers(0x41, 0x43), st.integers(0, 2**32 - 1)),
    st.builds(lambda n: b"\x46" + ber.integer(n)[1:], st.integers(0, 2**64 - 1)),
    st.builds(lambda tag, text: ber.tlv(tag, text), st.sampled_from([0x04, 0x44]), st.binary(max_size=300)),
    st.builds(lambda text: ber.tlv(0x40, text), st.binary(min_size=4, max_size=4)),
    st.builds(lambda oid: ber.tlv(0x06, ber.encode_oid(oid)), oids),
    st.sampled_from([b"\x05\x00", b"\x80\x00", b"\x81\x00", b"\x82\x00"]),
)  # fmt: skip
messages = st.builds(
    bulk_answer, st.integers(-(2**31), 2**31 - 1), st.lists(st.tuples(oids, values), max_size=6), st.binary(max_size=40)
)


@given(messages)
@settings(max_examples=150)
def test_a_message_is_read_as_pysnmp_reads_it(datagram: bytes) -> None:
    said, _ = reference(datagram)
    assert said is not None
    assert decode.decode(datagram) == said


def captured(kind: str) -> list[bytes]:
    return [bytes.fromhex(path.read_text()) for path in sorted((CAPTURES / kind).glob("*.hex"))]


def hold_to_pysnmp(datagram: bytes) -> None:
    """What is read is what pysnmp reads; what pysnmp reads from the shortest encoding of a lawful message is read."""
    ours = decode.decode(datagram)
    said, shortest = reference(datagram)
    if ours is not None:
        assert ours == said
    assert ours is not None or not shortest or said is None or not lawful(said)


def lawful(message: decode.Message) -> bool:
    """Whether a message keeps to RFC 3416 and RFC 2578 (3.5: sub-identifiers), which pysnmp does not ask for."""
    oids = [oid for oid, _, _ in message.varbinds] + [value for _, tag, value in message.varbinds if tag == 0x06]
    short = all(len(oid) <= 128 and 40 * oid[0] + oid[1] < 2**32 and max(oid) < 2**32 for oid in oids)
    return short and message.version == 1 and message.error >= 0 and message.index >= 0


@given(st.data(), messages)
@settings(max_examples=400)
def test_a_changed_message_is_never_read_otherwise_than_by_pysnmp(data: st.DataObject, datagram: bytes) -> None:
    hold_to_pysnmp(changed(data, datagram))


def changed(data: st.DataObject, datagram: bytes) -> bytes:
    octets = bytearray(datagram)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(octets) - 1)))
        match data.draw(st.sampled_from(["replace", "insert", "remove", "cut"])):
            case "replace":
                octets[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "insert":
                octets[at:at] = data.draw(st.binary(min_size=1, max_size=3))
            case "remove":
                del octets[at : at + 1]
            case _:
                del octets[at:]
    return bytes(octets)


@given(st.binary(max_size=200))
def test_noise_never_raises(datagram: bytes) -> None:
    hold_to_pysnmp(datagram)


@pytest.mark.parametrize("datagram", captured("good"), ids=lambda datagram: f"{len(datagram)} octets")
def test_captures_of_live_agents_are_read_as_pysnmp_reads_them(datagram: bytes) -> None:
    said, _ = reference(datagram)
    assert said is not None
    assert decode.decode(datagram) == said


@pytest.mark.parametrize("datagram", captured("bad"), ids=lambda datagram: f"{len(datagram)} octets")
def test_bad_captures_are_refused(datagram: bytes) -> None:
    assert decode.decode(datagram) is None


@given(st.data())
@settings(max_examples=200)
def test_changed_captures(data: st.DataObject) -> None:
    hold_to_pysnmp(changed(data, data.draw(st.sampled_from(captured("good")))))


COLUMNS = [(1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10)]


def absorbed(datagram: bytes, columns: int = 1, asked: int = 50) -> tuple[int, Harvest, list[int]]:
    """Status, what was kept, and which columns have ended, of an answer to a first request for the columns."""
    harvest = Harvest()
    buf = np.frombuffer(bytearray(datagram), np.uint8)
    head = np.zeros(decode.HEAD, np.int64)
    assert decode.message(buf, 0, len(buf), head) == decode.OK
    harvest.room(asked, len(buf))
    prefixes = [ber.encode_oid(column) for column in COLUMNS]
    ask = np.zeros((columns, 4), np.int64)
    ask[:, decode.ASKED] = range(columns)
    rows = b"".join(bytes((len(oid),)) + oid.ljust(decode.CURSOR - 1, b"\0") for oid in prefixes[:columns])
    cursors = np.frombuffer(bytearray(rows), np.uint8)
    status = decode.absorb(
        buf, int(head[decode.BINDS]), int(head[decode.DATA_END]), ask, cursors, packed(prefixes),
        harvest.records, harvest.heap, harvest.state, harvest.found,
    )  # fmt: skip
    return status, harvest, ask[:, decode.ENDED].tolist()


def counter(value: int) -> bytes:
    return b"\x46" + ber.integer(value)[1:]


@given(st.sets(sub_ids, min_size=1, max_size=20), st.data())
def test_a_column_is_kept_up_to_its_end(indexes: set[int], data: st.DataObject) -> None:
    rows = [(index, data.draw(st.integers(0, 2**64 - 1))) for index in sorted(indexes)]
    binds = [((*COLUMNS[0], index), counter(value)) for index, value in rows] + [((*COLUMNS[1], 1), counter(7))]
    status, harvest, ended = absorbed(bulk_answer(1, binds))
    assert (status, ended) == (decode.OK, [1])
    assert harvest.of(0) == [((index,), 0x46, value) for index, value in rows]


def test_columns_are_told_apart_and_ranks_are_closed() -> None:
    binds = [
        ((*COLUMNS[0], 1), counter(1)),
        ((*COLUMNS[1], 1), counter(2)),
        ((*COLUMNS[1], 1), counter(0)),
        ((*COLUMNS[1], 2), counter(4)),
    ]
    status, harvest, ended = absorbed(bulk_answer(1, binds), columns=2)
    assert (status, ended) == (decode.OK, [1, 0])
    assert harvest.of(1) == [((1,), 0x46, 2), ((2,), 0x46, 4)]


@given(st.lists(sub_ids, min_size=2, max_size=8))
def test_ids_that_do_not_increase_are_a_loop(indexes: list[int]) -> None:
    binds = [((*COLUMNS[0], index), counter(1)) for index in indexes]
    status, harvest, _ = absorbed(bulk_answer(1, binds))
    rising = next((at for at in range(1, len(indexes)) if indexes[at] <= indexes[at - 1]), None)
    assert status == (decode.OK if rising is None else decode.LOOPING)
    assert harvest.count == (len(indexes) if rising is None else rising)


@given(st.lists(st.lists(sub_ids, min_size=1, max_size=4), min_size=2, max_size=2))
def test_the_order_of_ids_is_that_of_their_sub_identifiers(indexes: list[list[int]]) -> None:
    first, second = indexes
    status, _, _ = absorbed(bulk_answer(1, [((*COLUMNS[0], *index), counter(1)) for index in indexes]))
    assert status == (decode.OK if second > first else decode.LOOPING)


def test_more_than_was_asked_for_is_malformed_and_nothing_of_it_is_kept() -> None:
    datagram = bulk_answer(1, [((*COLUMNS[0], index), counter(1)) for index in range(1, 5)])
    status, harvest, _ = absorbed(datagram, asked=3)
    assert (status, harvest.count) == (decode.MALFORMED, 0)


@given(st.data())
@settings(max_examples=300)
def test_absorbing_a_changed_answer_stays_in_its_bounds(data: st.DataObject) -> None:
    binds = [((*COLUMNS[0], index), ber.tlv(0x04, b"name %d" % index)) for index in range(1, 9)]
    datagram = changed(data, bulk_answer(1, binds))
    if decode.decode(datagram) is None:
        return
    status, harvest, _ = absorbed(datagram, asked=16)
    assert status in (decode.OK, decode.LOOPING, decode.MALFORMED)
    assert harvest.count <= 16
    assert int(harvest.state[1]) <= len(datagram)
