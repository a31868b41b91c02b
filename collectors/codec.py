"""Batches as bytes: three tables as Arrow IPC streams in one LZ4 block, small enough for one message of the bus.

What comes in is taken for hostile: sizes are bounded before anything is unpacked, only columns of the schema in its
dtypes are read, compressed or dictionary-encoded streams inside the block are refused, and every offset is validated.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA, empty, empty_flows, empty_outcomes, schema

MAGIC = b"RWB1"
MOST_BYTES = 1 << 26
"""Of a batch unpacked: 64 MiB, some 200,000 rows of 30 counters."""
MOST_COLUMNS = 4096
_HEAD = struct.Struct("<4sI")
_SIZES = struct.Struct("<III")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
SHARD = re.compile(r"[a-z0-9-]{1,64}")
"""What a shard may be called: it is a word of the bus' subjects."""


class CodecError(ValueError):
    """The bytes are no batch; the message says why, never what they hold."""


def new_id() -> str:
    """An id that no other batch has."""
    return uuid4().hex


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What the devices of one shard gave in about a second: counters, flow samples, outcomes of polls.

    ``id`` is unique; a batch delivered or written twice has the same one.
    """

    id: str
    shard: str
    counters: pl.DataFrame = field(default_factory=empty)
    flows: pl.DataFrame = field(default_factory=empty_flows)
    outcomes: pl.DataFrame = field(default_factory=empty_outcomes)

    @property
    def rows(self) -> int:
        """Of all three tables."""
        return self.counters.height + self.flows.height + self.outcomes.height

    def size(self) -> int:
        """Bytes in memory, about."""
        return int(sum(frame.estimated_size() for frame in (self.counters, self.flows, self.outcomes)))

    def halves(self) -> tuple[Batch, Batch]:
        """The first and the second half of each table; their ids follow from this one's."""
        tables = (self.counters, self.flows, self.outcomes)
        cuts = [(frame.height + 1) // 2 for frame in tables]
        first = (frame[:cut] for frame, cut in zip(tables, cuts, strict=True))
        second = (frame[cut:] for frame, cut in zip(tables, cuts, strict=True))
        return Batch(f"{self.id}.0", self.shard, *first), Batch(f"{self.id}.1", self.shard, *second)


def encode(batch: Batch) -> bytes:
    """The batch as one message."""
    parts = [_stream(frame) for frame in (batch.counters, batch.flows, batch.outcomes)]
    names = b"".join(bytes([len(text)]) + text for text in (batch.id.encode(), batch.shard.encode()))
    whole = b"".join([names, _SIZES.pack(*map(len, parts)), *parts])
    return _HEAD.pack(MAGIC, len(whole)) + bytes(pa.Codec("lz4_raw").compress(whole, asbytes=True))


def encode_within(batch: Batch, most: int) -> Iterator[tuple[str, bytes]]:
    """Id and message of the batch, or of its halves where one message would be over ``most`` bytes, and so on."""
    data = encode(batch) if batch.size() <= MOST_BYTES // 2 else b""
    if data and len(data) <= most:
        yield batch.id, data
        return
    if batch.rows <= 3:
        raise CodecError(f"a row takes more than the {most} bytes of a message")
    for half in batch.halves():
        if half.rows:
            yield from encode_within(half, most)


def decode(data: bytes) -> Batch:
    """The batch of a message. Raises CodecError, and nothing else, for whatever is none."""
    try:
        return _decode(data)
    except CodecError:
        raise
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, IndexError, struct.error) as error:
        raise CodecError(f"not a batch: {type(error).__name__}") from error


def _decode(data: bytes) -> Batch:
    magic, size = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise CodecError("not a batch: it begins otherwise")
    if not 0 < size <= MOST_BYTES:
        raise CodecError("larger than a batch may be")
    whole = pa.Codec("lz4_raw").decompress(memoryview(data)[_HEAD.size :], size, asbytes=True)
    name, at = _name(whole, 0, _ID)
    shard, at = _name(whole, at, SHARD)
    sizes = _SIZES.unpack_from(whole, at)
    at += _SIZES.size
    if at + sum(sizes) != len(whole):
        raise CodecError("cut off, or more than its parts")
    tables = []
    for length, fixed in zip(sizes, (None, FLOW_SCHEMA, OUTCOME_SCHEMA), strict=True):
        tables.append(_table(whole[at : at + length], fixed))
        at += length
    return Batch(name, shard, *tables)


def _name(whole: bytes, at: int, allowed: re.Pattern[str]) -> tuple[str, int]:
    end = at + 1 + whole[at]
    text = whole[at + 1 : end].decode("ascii")
    if not allowed.fullmatch(text):
        raise CodecError("its id or shard is no name")
    return text, end


def _stream(frame: pl.DataFrame) -> bytes:
    """A table as an IPC stream that every Arrow reads (no string views); nothing where it has no rows."""
    if frame.is_empty():
        return b""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def _table(stream: bytes, fixed: Mapping[str, type[pl.DataType]] | None) -> pl.DataFrame:
    if not stream:
        return pl.DataFrame(schema=KEYS if fixed is None else fixed)
    _refuse_packed(stream)
    with pa.ipc.open_stream(stream) as reader:
        names = reader.schema.names
        if len(names) > MOST_COLUMNS or len(set(names)) != len(names):
            raise CodecError("too many columns, or two of one name")
        wanted = _wanted(names) if fixed is None else fixed
        if names != list(wanted):
            raise CodecError("columns that are not the schema's")
        kinds = _kinds(wanted)
        if any(kind.type not in kinds[kind.name] for kind in reader.schema):
            raise CodecError("a column of another type than the schema's")
        table = reader.read_all()
    table.validate(full=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.rechunk()


def _wanted(names: list[str]) -> Mapping[str, type[pl.DataType]]:
    try:
        return schema(name for name in names if name not in KEYS)
    except KeyError:
        raise CodecError("a column that is no counter") from None


def _kinds(wanted: Mapping[str, type[pl.DataType]]) -> dict[str, tuple[pa.DataType, ...]]:
    strings = (pa.large_string(), pa.string())
    plain: dict[type[pl.DataType], pa.DataType] = {
        pl.Int64: pa.int64(), pl.UInt64: pa.uint64(), pl.UInt32: pa.uint32(), pl.UInt16: pa.uint16(),
        pl.UInt8: pa.uint8(), pl.Float64: pa.float64(),
    }  # fmt: skip
    return {name: strings if dtype is pl.String else (plain[dtype],) for name, dtype in wanted.items()}


_RECORD_BATCH = 3
_SCHEMA = 1


def _refuse_packed(stream: bytes) -> None:
    """Raise where a message inside is a dictionary or compressed: it would unpack to more than was bounded."""
    for message in pa.ipc.MessageReader.open_stream(stream):
        kind, header = _header(message.metadata.to_pybytes())
        if kind not in (_SCHEMA, _RECORD_BATCH):
            raise CodecError("a dictionary, where none belongs")
        if kind == _RECORD_BATCH and header is not None and _slot(*header, 3):
            raise CodecError("compressed twice")


def _header(data: bytes) -> tuple[int, tuple[bytes, int] | None]:
    """Kind of an Arrow message and where its header table is (Arrow format, Message.fbs)."""
    (root,) = struct.unpack_from("<I", data)
    kind, table = _slot(data, root, 1), _slot(data, root, 2)
    if not table:
        return (data[kind] if kind else 0), None
    (ahead,) = struct.unpack_from("<I", data, table)
    return (data[kind] if kind else 0), (data, table + ahead)


def _slot(data: bytes, table: int, number: int) -> int:
    """Position of a field of a FlatBuffers table; 0 where it is absent."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", data, table - back + 4 + 2 * number)
    return table + int(offset) if offset else 0
