"""Captured frames (pcap and pcapng, read by scapy): flow samples of rate 1, and RoCEv2 conversations.

A capture may be of any size and of any origin: frames are cut, tables are bounded, what a file says of itself is
checked by reading it, and nothing in it raises. How the reading ended is its outcome.
"""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from collectors.sources.conversations import Conversations
from collectors.sources.sflow.frames import IPV4, IPV6, frame, u16
from collectors.sources.sflow.jit import Bytes, Ints, Longs, Rows, compiled
from collectors.sources.sflow.layout import FLOWS, HAS_FRAME, LINK_ETHERNET, LINK_IPV4, LINK_IPV6
from collectors.sources.sflow.tables import frame_columns
from fabric.samples import FLOW_SCHEMA, Outcome, empty_flows

BATCH = 8192
KEPT_BYTES = 256
"""Of a frame: enough for all headers that are read."""
MOST_READ = 1 << 20
"""Bytes that are read at once, whatever the file says."""
MOST_INTERFACES = 1 << 12
RAW_IP = (12, 14, 101)
"""Link types without a link header: the packet's version says which."""
ETHERNET, COOKED, COOKED_2, IP_4, IP_6 = 1, 113, 276, 228, 229
NOT_A_CAPTURE = "is neither pcap nor pcapng"


@dataclass(frozen=True, slots=True)
class Capture:
    """What a file held: flow samples (FLOW_SCHEMA), conversations (CONVERSATION_SCHEMA), and how the reading ended."""

    outcome: Outcome
    detail: str
    frames: int
    flows: pl.DataFrame
    conversations: pl.DataFrame


def read(
    path: Path,
    *,
    device: str = "",
    port: str | None = None,
    most_flows: int = 1 << 20,
    most_conversations: int = 1 << 16,
) -> Capture:
    """Read a capture taken at ``port`` of ``device``; never raises for what the file is or holds.

    ``ok``: whole; ``empty``: whole, without frames; ``partial``: it ends or breaks in the middle, what came before is
    there; ``oversized``: there is more than ``most_flows`` or ``most_conversations``; ``malformed``: no capture;
    ``failed``: it cannot be opened.
    """
    conversations, parts, frames = Conversations(most_conversations), [empty_flows()], 0
    outcome, detail = Outcome.OK, ""
    try:
        with path.open("rb") as file:
            source = _Guarded(file, path.stat().st_size)
            for rows in _batches(source):
                conversations.add(rows)
                parts.append(_flows(rows[: max(0, most_flows - frames)], device, port, frames))
                frames += len(rows)
            outcome, detail = source.ended()
    except OSError as error:
        outcome, detail = Outcome.FAILED, error.strerror or str(error)
    if outcome is Outcome.OK and (frames > most_flows or conversations.beyond):
        outcome = Outcome.OVERSIZED
        detail = f"{max(0, frames - most_flows)} frames and {conversations.beyond} packets of conversations left out"
    if outcome is Outcome.OK and frames == 0:
        outcome, detail = Outcome.EMPTY, "holds no frames"
    return Capture(outcome, detail, frames, pl.concat(parts), conversations.table())


def frames(path: Path, most: int = 1 << 20) -> Iterator[tuple[int, bytes]]:
    """Time (ns since 1970) and bytes of each frame, at most ``most``; ends where the file breaks. Raises OSError."""
    with path.open("rb") as file:
        for data, time, _, _ in islice(_packets(_Guarded(file, path.stat().st_size)), most):
            yield time, data


class _Guarded:
    """A file that hands out at most MOST_READ bytes at once, and remembers how it ended."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file, self._size = file, size
        self.short = False
        self.problem = ""
        self.name = "capture"

    def read(self, size: int = -1) -> bytes:
        wanted = MOST_READ if size < 0 else min(size, MOST_READ)
        found = self._file.read(wanted)
        self.short |= 0 < len(found) < size or size > MOST_READ
        return found

    def seek(self, at: int) -> int:
        # Only asked for when the first bytes are gzip's: compressed captures are not read, so as not to grow.
        raise OSError("compressed")

    def close(self) -> None:
        """The file is closed by who opened it."""

    def ended(self) -> tuple[Outcome, str]:
        if self.problem:
            return Outcome.MALFORMED, self.problem
        at = self._file.tell()
        if self.short or at < self._size:
            return Outcome.PARTIAL, f"broken before byte {at} of {self._size}"
        return Outcome.OK, ""


def _packets(source: _Guarded) -> Iterator[tuple[bytes, int, int, int]]:
    """Bytes, time, length on the wire and link type of each packet; ends where the file is broken."""
    from scapy.error import Scapy_Exception

    # A broken file is told by its outcome, not by warnings on the terminal.
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    reader = _opened(source)
    if reader is None:
        return
    with contextlib.suppress(Scapy_Exception, EOFError, OSError, OverflowError, struct.error, ValueError, MemoryError):
        for data, meta in reader:
            source.short |= len(data) < min(getattr(meta, "caplen", 0), 0xFFFF)
            yield data, _time(reader, meta), meta.wirelen, getattr(meta, "linktype", getattr(reader, "linktype", -1))


def _opened(source: _Guarded) -> Any:
    """scapy's reader for the file; None, and why in ``source``, where it is no capture."""
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    try:
        reader: Any = cast(Any, RawPcapReader)(source)
    except (Scapy_Exception, EOFError, OSError, OverflowError, struct.error, ValueError, MemoryError):
        source.problem = NOT_A_CAPTURE
        return None
    kinds = getattr(reader, "blocktypes", None)
    if kinds is not None:
        # Neither keys nor processes are ours, and both would be kept; interfaces are kept for the packets.
        kinds.pop(10, None)
        kinds.pop(0x80000001, None)
        described = kinds[1]
        kinds[1] = lambda block, size: _interface(reader, described, block, size)
    return reader


def _interface(reader: Any, described: Any, block: bytes, size: int) -> None:
    if len(reader.interfaces) >= MOST_INTERFACES:
        raise EOFError
    described(block, size)


def _time(reader: Any, meta: Any) -> int:
    """Nanoseconds since 1970; 0 where the packet has no time or one beyond all sense."""
    if hasattr(meta, "sec"):
        return int(meta.sec) * 1_000_000_000 + int(meta.usec) * (1 if reader.nano else 1000)
    if meta.tshigh is None:
        return 0
    found = ((meta.tshigh << 32) + meta.tslow) * 1_000_000_000 // meta.tsresol
    return int(found) if found < 1 << 63 else 0


def _batches(source: _Guarded) -> Iterator[Rows]:
    """Parsed frames, rows of ``layout.FLOWS``, many at a time."""
    packets = _packets(source)
    while batch := list(islice(packets, BATCH)):
        yield _rows(batch)


def _rows(batch: Sequence[tuple[bytes, int, int, int]]) -> Rows:
    cut = [data[:KEPT_BYTES] for data, *_ in batch]
    ends = np.cumsum([len(one) for one in cut], dtype=np.int64)
    rows = np.zeros(len(batch), FLOWS)
    rows["received"] = [time for _, time, _, _ in batch]
    rows["frame_bytes"] = [length for _, _, length, _ in batch]
    links = np.array([link if 0 <= link < 1 << 16 else -1 for *_, link in batch], np.int32)
    parse(np.frombuffer(b"".join(cut) or b"\0", np.uint8), ends, links, rows)
    return rows


@compiled
def parse(buf: Bytes, ends: Longs, links: Ints, rows: Rows) -> None:
    """Fill rows from frames that lie one behind the other, each of its link type."""
    at = 0
    for index in range(len(rows)):
        end = int(ends[index])
        rows[index]["flags"] = HAS_FRAME
        link, begin = _link(buf, at, end, int(links[index]))
        frame(buf, begin, end, link, rows[index])
        at = end


@compiled
def _link(buf: Bytes, at: int, end: int, link: int) -> tuple[int, int]:
    """Link type as sFlow numbers it, 0 for what is not read, and where the frame of that type begins."""
    if link == ETHERNET:
        return LINK_ETHERNET, at
    if link in (IP_4, IP_6):
        return LINK_IPV4 if link == IP_4 else LINK_IPV6, at
    if link in RAW_IP and at < end:
        return LINK_IPV4 if buf[at] >> 4 == 4 else LINK_IPV6, at
    kind, begin = 0, end
    if link == COOKED and at + 16 <= end:
        kind, begin = u16(buf, at + 14), at + 16
    elif link == COOKED_2 and at + 20 <= end:
        kind, begin = u16(buf, at), at + 20
    return LINK_IPV4 if kind == IPV4 else LINK_IPV6 if kind == IPV6 else 0, begin


def _flows(rows: Rows, device: str, port: str | None, before: int) -> pl.DataFrame:
    """Flow samples of rate 1, as if ``port`` had sampled every frame."""
    times = pl.Series(np.ascontiguousarray(rows["received"]))
    pool = (np.arange(before + 1, before + 1 + len(rows)) & 0xFFFFFFFF).astype(np.uint32)
    found = pl.DataFrame(frame_columns(rows) | {"time_ns": times, "received_ns": times, "sample_pool": pool})
    return found.select(
        "time_ns", "received_ns", pl.lit(device).alias("device"), pl.lit(port, pl.String).alias("in_port"),
        pl.lit(None, pl.String).alias("out_port"), pl.col("src_ip").cast(pl.String), pl.col("dst_ip").cast(pl.String),
        "src_port", "dst_port", "dest_qp", "opcode", "ecn", "priority", "frame_bytes",
        pl.lit(1, pl.UInt32).alias("sampling_rate"), "sample_pool", pl.lit(0, pl.UInt32).alias("drops"),
    ).select(*FLOW_SCHEMA)  # fmt: skip
