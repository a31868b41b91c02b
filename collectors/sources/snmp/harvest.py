"""What one poll gathers: records of varbinds in arrays that grow by doubling, up to a bound."""

from __future__ import annotations

import numpy as np

from collectors.sources.snmp.decode import KEYS, MOST_STRING, RECORD, Octets, Words


class Harvest:
    """Records (a row a varbind, see ``decode``) and the octets of texts."""

    def __init__(self, expected: int = 1024) -> None:
        self.records = np.zeros((expected, RECORD), np.uint32)
        self.heap = np.zeros(4096, np.uint8)
        self.state: Words = np.zeros(4, np.int64)
        self.found: Words = np.zeros(6, np.int64)

    @property
    def count(self) -> int:
        """How many records there are."""
        return int(self.state[0])

    def room(self, asked: int, octets: int) -> None:
        """Make room for an answer of so many varbinds and octets."""
        self.state[2] = asked
        count, used = int(self.state[0]), int(self.state[1])
        if count + asked > len(self.records):
            more = np.zeros((2 * len(self.records) + asked, RECORD), np.uint32)
            more[:count] = self.records[:count]
            self.records = more
        if used + octets > len(self.heap):
            heap = np.zeros(2 * len(self.heap) + octets, np.uint8)
            heap[:used] = self.heap[:used]
            self.heap = heap

    def of(self, column: int) -> list[tuple[tuple[int, ...], int, int | bytes]]:
        """Index (its first sub-identifiers), tag and value (whole number or octets) of each record of a column."""
        records = self.records[: self.count]
        return [self._one(record) for record in records[(records[:, 0] & 0xFFFF) == column]]

    def _one(self, record: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> tuple[tuple[int, ...], int, int | bytes]:
        first, *words = map(int, record)
        index = tuple(words[: min(first >> 16, KEYS)])
        tag, high, low, start, size = words[KEYS:]
        if tag == 0x04:
            return index, tag, self.heap[start : start + min(size, MOST_STRING)].tobytes()
        value = high << 32 | low
        return index, tag, value - (1 << 64) if tag == 0x02 and value >> 63 else value

    def rows(self, columns: int, since: int = 0) -> list[int]:
        """How many records each column has, counted from one record on."""
        found: list[int] = np.bincount(self.records[since : self.count, 0] & 0xFFFF, minlength=columns).tolist()
        return found


def packed(prefixes: list[bytes]) -> Octets:
    """A row a column: length and octets of its object id, as ``decode.absorb`` takes them."""
    table = np.zeros((len(prefixes), 64), np.uint8)
    for row, prefix in zip(table, prefixes, strict=True):
        row[0] = len(prefix)
        row[1 : 1 + len(prefix)] = np.frombuffer(prefix, np.uint8)
    return table
