"""RoCEv2 conversations of captured frames: bytes a queue pair, congestion marks, and retransmissions by PSN.

A conversation is all that one address sends to one queue pair of another. Requests and read responses number their
packets apart (InfiniBand Architecture 1.4, 9.7); a packet whose number was seen before, or lies further back than the
last 1,024, was sent again; one whose number was skipped before came late. Numbers skipped by a read request belong to
its responses and are none. Only reliable and unreliable connections number packets a pair: datagrams and others are
counted without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from collectors.sources.sflow.frames import CNP
from collectors.sources.sflow.jit import Ints, Longs, Row, Rows, compiled
from collectors.sources.sflow.layout import HAS_BTH
from collectors.sources.sflow.text import address_column

WORDS = 16
WINDOW = 64 * WORDS
"""Numbers that are remembered behind the highest."""
HALF, WHOLE = 1 << 23, 1 << 24
ACKNOWLEDGE, READ_REQUEST, FIRST_CONNECTIONLESS = 0x11, 0x0C, 0x40
READ_RESPONSES = (0x0D, 0x0E, 0x0F, 0x10, 0x12)
"""Read responses, and the acknowledgement of an atomic operation: numbered as their requests were."""

KEY = ("src_hi", "src_lo", "dst_hi", "dst_lo", "dest_qp")
COUNTS = ("packets", "bytes", "marked", "acknowledgements", "cnps", "retransmitted", "late", "skipped")
TABLE = np.dtype(
    [(name, "u8") for name in KEY[:4]] + [("dest_qp", "u4"), ("src_port", "u2"), ("ports", "u2")]
    + [(name, "i8") for name in (*COUNTS, "first", "last")]
    + [("begun", "u1", (2,)), ("reading", "u1", (2,)), ("highest", "u4", (2,)), ("seen", "u8", (2, WORDS))]
)  # fmt: skip
"""A conversation's row; the last four fields are of requests and of responses."""

CONVERSATION_SCHEMA: dict[str, type[pl.DataType]] = {
    "src_ip": pl.String, "dst_ip": pl.String, "dest_qp": pl.UInt32, "src_port": pl.UInt16, "src_ports": pl.UInt16,
    "packets": pl.Int64, "bytes": pl.Int64, "marked": pl.Int64, "acknowledgements": pl.Int64, "cnps": pl.Int64,
    "retransmitted": pl.Int64, "late": pl.Int64, "skipped": pl.Int64, "first_ns": pl.Int64, "last_ns": pl.Int64,
}  # fmt: skip
"""A row a conversation. ``src_port`` is the first seen and ``src_ports`` one more than how often it changed; ``bytes``
are of whole frames; ``marked``: congestion experienced; ``skipped``: numbers passed over, lost or not captured."""


class Conversations:
    """At most ``most`` conversations; packets of further ones are counted in ``beyond``."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._table = np.zeros(min(most, 64), TABLE)
        self._ids: dict[tuple[int, ...], int] = {}
        self.beyond = 0

    def add(self, rows: Rows) -> None:
        """Follow frames (rows of ``layout.FLOWS``) in the order of the capture; those without RoCEv2 are left out."""
        rows = rows[rows["flags"] & HAS_BTH != 0]
        if not len(rows):
            return
        keys = pl.DataFrame({name: np.ascontiguousarray(rows[name]) for name in KEY})
        found = keys.with_columns(pl.struct(KEY).rank("dense").alias("rank"))
        distinct = found.unique("rank", maintain_order=True).select(*KEY, "rank").rows()
        places = np.full(len(distinct) + 1, -1, np.int32)
        for *key, rank in distinct:
            places[rank] = self._place(tuple(key))
        ids = places[found["rank"].to_numpy()]
        self.beyond += int((ids < 0).sum())
        follow(rows, ids, self._table)

    def _place(self, key: tuple[int, ...]) -> int:
        known = self._ids.get(key)
        if known is not None or self._count == self._most:
            return -1 if known is None else known
        if self._count == len(self._table):
            more = np.zeros(min(self._most, 2 * self._count) - self._count, TABLE)
            self._table = np.concatenate([self._table, more])
        row = self._table[self._count]
        for name, value in zip(KEY, key, strict=True):
            row[name] = value
        self._ids[key] = self._count
        self._count += 1
        return self._count - 1

    def table(self) -> pl.DataFrame:
        """All conversations (CONVERSATION_SCHEMA), those of most bytes first."""
        rows = self._table[: self._count]
        none = np.zeros(len(rows), np.bool_)
        columns: dict[str, pl.Series | Sequence[object]] = {
            "src_ip": address_column(rows["src_hi"].copy(), rows["src_lo"].copy(), none),
            "dst_ip": address_column(rows["dst_hi"].copy(), rows["dst_lo"].copy(), none),
        }
        fields = ("dest_qp", "src_port", "ports", *COUNTS, "first", "last")
        for name, field in zip(list(CONVERSATION_SCHEMA)[2:], fields, strict=True):
            columns[name] = pl.Series(rows[field].copy())
        found = pl.DataFrame(columns, schema=CONVERSATION_SCHEMA)
        return found.sort("bytes", "src_ip", "dst_ip", "dest_qp", descending=[True, False, False, False])


@compiled
def follow(rows: Rows, ids: Ints, table: Rows) -> None:
    """Count each frame into its conversation (-1: none)."""
    for index in range(len(rows)):
        if ids[index] >= 0:
            _count(rows[index], table[ids[index]])


@compiled
def _count(row: Row, into: Row) -> None:
    if into["packets"] == 0:
        into["first"], into["src_port"], into["ports"] = row["received"], row["src_port"], 1
    elif into["src_port"] != row["src_port"] and into["ports"] < 0xFFFF:
        into["ports"] += 1
    into["last"] = row["received"]
    into["packets"] += 1
    into["bytes"] += row["frame_bytes"]
    into["marked"] += row["ecn"] == 3
    opcode = int(row["opcode"])
    if opcode == CNP:
        into["cnps"] += 1
    elif opcode & 0x1F == ACKNOWLEDGE:
        into["acknowledgements"] += 1
    elif opcode < FIRST_CONNECTIONLESS:
        which = 1 if opcode & 0x1F in READ_RESPONSES else 0
        _number(int(row["psn"]), which, into)
        into["reading"][which] = opcode & 0x1F == READ_REQUEST


@compiled
def _number(psn: int, which: int, into: Row) -> None:
    """Follow one packet sequence number of 24 bits."""
    seen = into["seen"][which]
    if not into["begun"][which]:
        into["begun"][which], into["highest"][which] = 1, psn
        seen[0] = 1
        return
    ahead = (psn - int(into["highest"][which])) % WHOLE
    if 0 < ahead < HALF:
        if not into["reading"][which]:
            into["skipped"] += ahead - 1
        _shift(seen, ahead)
        into["highest"][which] = psn
        return
    behind = (int(into["highest"][which]) - psn) % WHOLE
    if behind >= WINDOW or seen[behind // 64] >> np.uint64(behind % 64) & np.uint64(1):
        into["retransmitted"] += 1
        return
    seen[behind // 64] |= np.uint64(1) << np.uint64(behind % 64)
    into["late"] += 1


@compiled
def _shift(seen: Longs, ahead: int) -> None:
    """Move the window: bit ``n`` of it is the number ``n`` behind the highest."""
    words, bits = ahead // 64, np.uint64(ahead % 64)
    for index in range(WORDS - 1, -1, -1):
        value = np.uint64(seen[index - words]) << bits if index >= words else np.uint64(0)
        if index > words and bits:
            value |= np.uint64(seen[index - words - 1]) >> (np.uint64(64) - bits)
        seen[index] = value
    seen[0] = np.uint64(seen[0]) | np.uint64(1)
