"""One device's stream of SubscribeResponses to its samples: batches of bytes in, a table an interval out."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from collectors.sources.gnmi import proto, wire
from collectors.sources.gnmi.dictionary import ALIASED, FLOATING, LINK, NOWHERE, Dictionary
from collectors.sources.gnmi.paths import COMPONENT, NOTHING, Node
from collectors.sources.gnmi.ports import Ports
from collectors.sources.gnmi.rows import Values, table
from collectors.sources.gnmi.runtime import value
from collectors.sources.gnmi.values import (
    SEEN,
    UNKNOWN,
    UNRESOLVED,
    coerce,
    convert,
    plain,
)
from fabric.samples import empty

MOST_UPDATES = 1 << 18
"""Of one message; one with more is dropped."""
MOST_PENDING = 1 << 19
"""Values kept until they are taken; more are dropped."""
MOST_TEXTS = 1 << 16
MOST_ALIASES = 1 << 12
NO_RANK = 127


@dataclass(slots=True)
class Counts:
    """What a stream told, cumulative."""

    messages: int = 0
    updates: int = 0
    duplicates: int = 0
    deletes: int = 0
    malformed: int = 0
    oversized: int = 0
    unusable: int = 0
    ignored: int = 0
    dropped: int = 0
    syncs: int = 0
    slow: int = 0


@dataclass(slots=True)
class _Kept:
    """Values of the plain way, before they are columns."""

    keys: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class Decoder:
    """The state of one stream: which port a name is, what neighbours it has told of, what waits to be taken.

    ``ports``: the plan's name of a port by each name the device may use; ``target``: whose notifications are ours.
    """

    def __init__(self, dictionary: Dictionary, ports: Mapping[str, str], target: str = "") -> None:
        self.dictionary = dictionary
        self.ports = Ports(ports)
        self.target = np.frombuffer(target.encode(), np.uint8)
        self.counts = Counts()
        self.error = ""
        self._sequence = self._at = 0
        self._aliases: dict[str, list[tuple[str, dict[str, str]]]] = {}
        self._kept, self._parts, self._texts = _Kept(), list[tuple[npt.NDArray[Any], npt.NDArray[Any]]](), list[str]()
        self._forget()

    def _forget(self) -> None:
        """The dictionary started anew: its numbers mean other names now."""
        self.generation = self.dictionary.generation
        self._port_of = np.full(64, UNRESOLVED, np.int32)
        self._told: dict[tuple[int, int], Node] = {}
        self._best = np.full((len(self.ports.names), 64), NO_RANK, np.int8)

    @property
    def pending(self) -> int:
        """Values that wait to be taken."""
        return sum(len(keys) for keys, _ in self._parts) + len(self._kept.keys)

    def feed(self, messages: Sequence[bytes], arrived: Sequence[int]) -> None:
        """Read messages; ``arrived``: our clock in ns at each. Never raises for what they hold."""
        if self.dictionary.full and self.dictionary.generation == self.generation:
            self.dictionary.clear()
        if self.dictionary.generation != self.generation:
            self._forget()
        self.counts.messages += len(messages)
        buf = np.frombuffer(b"".join(messages), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, messages), np.int64, len(messages)))
        stamps = np.fromiter(arrived, np.int64, len(messages))
        begin, room = 0, 1 << 12
        while begin < len(messages):
            batch = self._batch(buf, ends, stamps, begin, min(room, MOST_UPDATES), messages)
            if batch == begin and room >= MOST_UPDATES:
                self.counts.oversized += 1
                begin += 1
            room = room * 8 if batch == begin else room
            begin = max(begin, batch)

    def _batch(self, buf: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], stamps: npt.NDArray[np.int64],
               begin: int, room: int, messages: Sequence[bytes]) -> int:  # fmt: skip
        """Read messages from ``begin`` on while their updates fit in ``room``; returns the first not read."""
        book = self.dictionary
        out, bits = np.empty((room, wire.WIDTH), np.int64), np.empty(room, np.uint64)
        notes = np.zeros((ends.size, 4), np.int64)
        stop, n = wire.scan(
            buf, ends, begin, self.target, out, bits, notes, book.seed, book.table, book.hashes, book.spans, book.arena
        )
        out, bits = out[:n], bits[:n]
        odd = (np.flatnonzero(notes[begin:stop, wire.STATUS] == wire.ODD) + begin).tolist()
        self.counts.syncs += int(np.count_nonzero(notes[begin:stop, wire.STATUS] == wire.SYNC))
        broken = self._learn(out, buf)
        if broken:
            keep = ~np.isin(out[:, wire.MESSAGE], list(broken))
            out, bits = np.ascontiguousarray(out[keep]), bits[keep]
            self.counts.malformed += len(broken)
        notes[:, wire.TIME] = np.where(notes[:, wire.TIME] > 0, notes[:, wire.TIME], stamps)
        begun = 0
        for message in odd:
            until = int(np.searchsorted(out[:, wire.MESSAGE], message))
            self._convert(out[begun:until], bits[begun:until], notes, stamps, buf)
            self._odd(messages[message], int(stamps[message]))
            begun = until
        self._convert(out[begun:], bits[begun:], notes, stamps, buf)
        return int(stop)

    def _learn(self, out: npt.NDArray[np.int64], buf: npt.NDArray[np.uint8]) -> set[int]:
        """Give slots to paths not seen before; returns messages that have one that is no path."""
        broken = set()
        for i in np.flatnonzero(out[:, wire.SLOT] < 0).tolist():
            message, _, prefix, prefix_size, path, path_size = out[i, :6].tolist()
            try:
                out[i, wire.SLOT] = self.dictionary.slot(
                    buf[prefix : prefix + prefix_size].tobytes(), buf[path : path + path_size].tobytes()
                )
            except DecodeError:
                broken.add(message)
        return broken

    def _convert(self, out: npt.NDArray[np.int64], bits: npt.NDArray[np.uint64], notes: npt.NDArray[np.int64],
                 stamps: npt.NDArray[np.int64], buf: npt.NDArray[np.uint8]) -> None:  # fmt: skip
        book, n = self.dictionary, len(out)
        if n == 0:
            return
        self.counts.updates += n
        self.counts.duplicates += int(out[:, wire.DUPLICATES].sum())
        self._widen()
        keys, numbers, slow = np.empty((n, 5), np.int64), np.empty(n, np.uint64), np.empty(n, np.int64)
        kept, plainly, ignored = convert(
            out, bits, n, notes, stamps, buf, book.meaning, book.factors, book.kinds, self._port_of, self._best,
            keys, numbers, slow,
        )  # fmt: skip
        self.counts.ignored += ignored
        keys[:kept, 4] += self._sequence
        if kept and self.pending < MOST_PENDING:
            self._parts.append((keys[:kept].copy(), numbers[:kept].copy()))
        elif kept:
            self.counts.dropped += kept
        for i in slow[:plainly].tolist():
            self._at = self._sequence + i
            message, slot, _, _, _, _, kind, value, size, _ = out[i].tolist()
            raw = buf[value : value + size].tobytes() if kind in (wire.TEXT, wire.JSON) else b""
            found = plain(kind, raw, int(bits[i]), value)
            self._take(book.nodes[slot], found, int(notes[message, wire.TIME]), int(stamps[message]))
            if book.meaning[slot, 1] == ALIASED:
                self._aliased(out[i], buf, found, int(notes[message, wire.TIME]), int(stamps[message]))
        self._sequence += n

    def _widen(self) -> None:
        """Make room for names and columns that the dictionary has learned meanwhile."""
        lacking = len(self.dictionary.names) - self._port_of.size
        if lacking > 0:
            self._port_of = np.concatenate([self._port_of, np.full(lacking + 64, UNRESOLVED, np.int32)])
        lacking = len(self.dictionary.columns) - self._best.shape[1]
        if lacking > 0:
            more = np.full((len(self.ports.names), lacking + 64), NO_RANK, np.int8)
            self._best = np.concatenate([self._best, more], axis=1)

    def _aliased(self, row: npt.NDArray[np.int64], buf: npt.NDArray[np.uint8], value: object, time: int,
                 stamp: int) -> None:  # fmt: skip
        _, _, prefix, prefix_size, path, path_size = row[:6].tolist()
        spans = (buf[prefix : prefix + prefix_size].tobytes(), buf[path : path + path_size].tobytes())
        self._take(self._node(*spans), value, time, stamp)

    def _node(self, prefix: bytes, path: bytes) -> Node:
        """Of a path, through the stream's aliases; raises DecodeError for bytes that are no path."""
        parsed = self.dictionary.parsed(prefix, path)
        if parsed and parsed[0][0].startswith("#"):
            parsed = self._aliases.get(parsed[0][0], [NOWHERE]) + parsed[1:]
        return self.dictionary.follow(parsed)

    def _take(self, node: Node, value: object, time: int, stamp: int) -> None:
        """A value at a node: a sample's, or JSON with samples' values inside. A dictionary look-up a value."""
        waiting = [(node, value)]
        entries = self.dictionary.language.entries
        budget = MOST_UPDATES
        while waiting and budget:
            budget -= 1
            node, value = waiting.pop()
            if node.leaf is not None:
                self._leaf(node, value, time, stamp)
            elif node.under and isinstance(value, dict):
                for name, inner in value.items():
                    waiting += [pair for pair in entries(node, name, inner) if pair[0] is not NOTHING]
            elif node.under:
                self.counts.unusable += 1

    def _leaf(self, node: Node, value: object, time: int, stamp: int) -> None:
        assert node.leaf is not None
        name, column = self.dictionary.ids(node, node.leaf)
        self._widen()
        port = self._port(name)
        if column == LINK:
            self._link(node.place, port, value)
            return
        if port < 0:
            return
        found = coerce(self.dictionary.columns[column], value, node.leaf.factor)
        if found is None:
            self.counts.unusable += 1
        elif self._best[port, column] >= node.leaf.rank:
            self._best[port, column] = node.leaf.rank
            self._keep(node, found, (port, column, time, stamp))

    def _keep(self, node: Node, found: int | float | str, key: tuple[int, int, int, int]) -> None:
        if len(self._kept.keys) >= MOST_PENDING or len(self._texts) >= MOST_TEXTS:
            self.counts.dropped += 1
            return
        self.counts.slow += 1
        kind = self.dictionary.columns[key[1]].kind
        if isinstance(found, str):
            self._told[key[:2]] = node
            self._texts.append(found)
            found = len(self._texts) - 1
        self._kept.keys.append((*key, self._at))
        self._kept.numbers.append(struct.unpack("<Q", struct.pack("<d", found))[0] if kind == FLOATING else int(found))

    def _port(self, name: int) -> int:
        """The number of the port that a name is; below 0 if it is none of the plan's."""
        found = int(self._port_of[name])
        if found == UNRESOLVED:
            found = self._port_of[name] = self.ports.resolve(*self.dictionary.names[name])
        if found == UNKNOWN:
            self._port_of[name] = SEEN
        return int(found)

    def _link(self, place: str, port: int, value: object) -> None:
        """A port says which component its transceiver is, or which of its lanes are the port's."""
        if port >= 0 and self.ports.link(place, port, value):
            components = [number for number, (kind, _) in enumerate(self.dictionary.names) if kind == COMPONENT]
            self._port_of[components] = UNRESOLVED

    def _odd(self, raw: bytes, stamp: int) -> None:
        """A message that the fast path leaves to the protobuf runtime."""
        try:
            message = proto.SubscribeResponse.FromString(raw)
        except DecodeError:
            self.counts.malformed += 1
            return
        kind = message.WhichOneof("response")
        if kind == "update":
            self._notification(message.update, stamp)
        elif kind == "sync_response":
            self.counts.syncs += 1
        elif kind == "error":
            self.error = f"error {message.error.code}: {message.error.message[:200]!r}"

    def _notification(self, note: Any, stamp: int) -> None:
        if self.target.size and note.prefix.target and note.prefix.target.encode() != self.target.tobytes():
            return
        if len(note.update) > MOST_UPDATES:
            self.counts.oversized += 1
            return
        time = note.timestamp if note.timestamp > 0 else stamp
        note.prefix.target = ""
        prefix = note.prefix.SerializeToString()
        if note.alias and len(self._aliases) < MOST_ALIASES:
            self._aliases[note.alias] = self.dictionary.parsed(prefix, b"")
        for path in note.delete:
            self.counts.deletes += 1
            self._clear(self._node(prefix, path.SerializeToString()), set(), time, stamp)
        before = len(self._kept.keys)
        for update in note.update:
            self.counts.updates += 1
            self.counts.duplicates += update.duplicates
            self._at, self._sequence = self._sequence, self._sequence + 1
            self._take(self._node(prefix, update.path.SerializeToString()), value(update), time, stamp)
        if note.atomic:
            told = {key[:2] for key in self._kept.keys[before:]}
            self._clear(self._node(prefix, b""), told, time, stamp)

    def _clear(self, node: Node, told: set[tuple[int, int]], time: int, stamp: int) -> None:
        """What was deleted: a text (a neighbour) becomes empty; a number simply is told no more."""
        self._at, self._sequence = self._sequence, self._sequence + 1
        gone = [key for key, leaf in self._told.items() if key not in told and node in _above(leaf)]
        for key in gone:
            self._keep(self._told[key], "", (*key, time, stamp))
            del self._told[key]

    def take(self, device: str, tolerance: int) -> tuple[pl.DataFrame, int]:
        """The samples since last time, and how many ports told of the plan does not have."""
        unknown = int(np.count_nonzero(self._port_of == SEEN))
        self._port_of[self._port_of == SEEN] = UNKNOWN
        if self._kept.keys:
            keys = np.array(self._kept.keys, np.int64)
            self._parts.append((keys, np.array(self._kept.numbers, np.uint64)))
        parts, texts = self._parts, self._texts
        self._kept, self._parts, self._texts = _Kept(), [], []
        if not parts:
            return empty(), unknown
        values = Values(np.concatenate([keys for keys, _ in parts]), np.concatenate([n for _, n in parts]), texts)
        return table(values, device, self.ports.names, self.dictionary.columns, tolerance), unknown


def _above(node: Node) -> Iterator[Node]:
    """A node and all above it."""
    at: Node | None = node
    while at is not None:
        yield at
        at = at.parent
