"""A batch is the same after the bus; what is none is an error of one kind, whatever it holds."""

from __future__ import annotations

import io
import struct

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from collectors.codec import MAGIC, MOST_BYTES, Batch, CodecError, decode, encode, encode_within, new_id
from fabric.samples import FLOW_SCHEMA, OUTCOME_SCHEMA, schema

BIG = 2**64 - 1


def counters(
    rows: int, columns: tuple[str, ...] = ("rx_bytes", "speed_gbps", "oper_status", "rx_pfc_frames_p3")
) -> pl.DataFrame:
    made = {
        "time_ns": range(rows),
        "received_ns": range(rows),
        "device": ["leaf-1"] * rows,
        "port": [f"Ethernet{i}" for i in range(rows)],
    }
    values = {"rx_bytes": [BIG - i for i in range(rows)], "speed_gbps": [400.0] * rows, "oper_status": [1] * rows,
              "rx_pfc_frames_p3": [None if i % 2 else i for i in range(rows)]}  # fmt: skip
    return pl.DataFrame(made | {name: values[name] for name in columns}, schema=schema(columns))


def flows(rows: int) -> pl.DataFrame:
    given = {
        "time_ns": range(rows),
        "received_ns": range(rows),
        "device": ["leaf-1"] * rows,
        "src_port": [65535] * rows,
        "dest_qp": [None] * rows,
    }
    return pl.DataFrame({name: given.get(name, [None] * rows) for name in FLOW_SCHEMA}, schema=FLOW_SCHEMA)


def outcomes() -> pl.DataFrame:
    return pl.DataFrame([(1, 2, "snmp", "leaf-1", "ok", "", 0.25, 128)], schema=OUTCOME_SCHEMA, orient="row")


def batch(rows: int = 5) -> Batch:
    return Batch(new_id(), "compute-s3", counters(rows), flows(rows), outcomes())


def assert_same(one: Batch, other: Batch) -> None:
    assert (one.id, one.shard) == (other.id, other.shard)
    assert_frame_equal(one.counters, other.counters)
    assert_frame_equal(one.flows, other.flows)
    assert_frame_equal(one.outcomes, other.outcomes)


@pytest.mark.parametrize("rows", [0, 1, 5, 1000])
def test_a_batch_comes_back_the_same(rows: int) -> None:
    sent = batch(rows)
    got = decode(encode(sent))
    assert_same(got, sent if rows else Batch(sent.id, sent.shard, outcomes=outcomes()))
    assert got.rows == 2 * rows + 1


def test_an_empty_batch_comes_back_empty() -> None:
    assert decode(encode(Batch("x", "s"))).rows == 0


def test_a_batch_too_large_for_a_message_is_cut_into_parts_that_hold_it_all() -> None:
    sent = batch(3000)
    parts = list(encode_within(sent, 8000))
    assert len(parts) > 3
    assert all(len(data) <= 8000 for _, data in parts)
    got = [decode(data) for _, data in parts]
    assert len({part.id for part in got}) == len(got)
    assert [part.id for part in got] == [name for name, _ in parts]
    assert_frame_equal(pl.concat([p.counters for p in got if p.counters.height]), sent.counters)
    assert_frame_equal(pl.concat([p.flows for p in got if p.flows.height]), sent.flows)
    assert sum(p.outcomes.height for p in got) == 1


def test_parts_of_a_batch_have_the_same_ids_when_it_is_sent_again() -> None:
    sent = batch(3000)
    assert [name for name, _ in encode_within(sent, 8000)] == [name for name, _ in encode_within(sent, 8000)]


def test_a_row_too_large_for_any_message_is_an_error() -> None:
    with pytest.raises(CodecError, match="a row takes more"):
        list(encode_within(batch(1), 10))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_batch_are_one_kind_of_error(data: bytes) -> None:
    for head in (b"", MAGIC, MAGIC + struct.pack("<I", 200)):
        with pytest.raises(CodecError):
            decode(head + data)


SENT = encode(batch(40))


@given(st.lists(st.tuples(st.integers(0, len(SENT) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_batch_with_wrong_bytes_is_an_error_or_a_batch(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SENT)
    for place, value in changes:
        data[place] = value
    try:
        got = decode(bytes(data))
    except CodecError:
        return
    assert got.counters.height <= 40


UNPACKED = bytes(pa.Codec("lz4_raw").decompress(SENT[8:], struct.unpack_from("<I", SENT, 4)[0], asbytes=True))


def packed(whole: bytes) -> bytes:
    return MAGIC + struct.pack("<I", len(whole)) + bytes(pa.Codec("lz4_raw").compress(whole, asbytes=True))


@given(st.lists(st.tuples(st.integers(0, len(UNPACKED) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_table_with_wrong_bytes_is_an_error_or_a_table(changes: list[tuple[int, int]]) -> None:
    data = bytearray(UNPACKED)
    for place, value in changes:
        data[place] = value
    try:
        got = decode(packed(bytes(data)))
    except CodecError:
        return
    assert got.counters.height <= 2 * 40
    assert got.counters.to_dicts() is not None


@given(st.integers(0, len(SENT) - 1))
def test_a_batch_cut_off_is_an_error(length: int) -> None:
    with pytest.raises(CodecError):
        decode(SENT[:length])


def test_sizes_are_bounded_before_anything_is_unpacked() -> None:
    with pytest.raises(CodecError, match="larger than a batch may be"):
        decode(MAGIC + struct.pack("<I", MOST_BYTES + 1) + SENT[8:])


def with_table(stream: bytes) -> bytes:
    head = b"\x01x\x01s" + struct.pack("<III", len(stream), 0, 0)
    return packed(head + stream)


def stream(frame: pl.DataFrame, compression: str = "uncompressed") -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression=compression, compat_level=pl.CompatLevel.oldest())  # type: ignore[call-overload]
    return buffer.getvalue()


def test_the_hand_made_message_is_one() -> None:
    assert decode(with_table(stream(counters(3)))).counters.height == 3


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_table_compressed_inside_is_refused(compression: str) -> None:
    with pytest.raises(CodecError, match="compressed twice"):
        decode(with_table(stream(counters(3000), compression)))


def test_a_dictionary_inside_is_refused() -> None:
    frame = counters(3).with_columns(pl.col("device").cast(pl.Categorical))
    with pytest.raises(CodecError):
        decode(with_table(stream(frame)))


@pytest.mark.parametrize(
    "frame",
    [
        counters(3).rename({"rx_bytes": "rx_bites"}),
        counters(3).drop("device"),
        counters(3).with_columns(pl.col("rx_bytes").cast(pl.Float64)),
        counters(3).with_columns(pl.col("device").str.split("-")),
        counters(3).select(pl.all().exclude("port"), "port"),
    ],
    ids=["unknown column", "no device", "another dtype", "nested", "another order"],
)
def test_a_table_of_another_schema_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(CodecError):
        decode(with_table(stream(frame)))
