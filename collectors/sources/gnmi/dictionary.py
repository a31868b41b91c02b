"""Paths by their bytes: parsed once, then found by a compiled look-up. Shared by all devices that speak a language.

Names of ports are kept as numbers, because every switch of a fabric calls its ports the same: what 1,500 switches send
is a few thousand different paths.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.sources.gnmi import proto, wire
from collectors.sources.gnmi.paths import NOTHING, Language, Leaf, Node, steps
from fabric.counters import Counter

MOST_PATHS = 1 << 20
MOST_NAMES = 1 << 16
MOST_BYTES = 1 << 27
"""Of the dictionary; a path more and it starts anew."""
LONGEST = 4096
"""Bytes of a path that is worth keeping; a longer one is none of ours, and has slot 0."""
UNSIGNED, FLOATING, STATE, TEXT = range(4)
"""Kinds of columns: what its numbers are kept as."""
NOWHERE = ("?", dict[str, str]())
"""A step that leads to nothing: what another origin's paths mean is not known."""
IGNORED, INSIDE, LINK, ALIASED = -1, -2, -3, -4
"""Instead of a slot's column: nothing of ours, a container, which transceiver or lanes a port has, an alias' path."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of samples: its name, its counter, and what its numbers are kept as."""

    name: str
    counter: Counter
    kind: int


class Dictionary:
    """Slots of paths, ids of names and columns, for one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.seed = np.uint64(secrets.randbits(64))
        self.names: list[tuple[str, str]] = []
        self.columns: list[Column] = []
        self.kinds = np.zeros(0, np.int8)
        self._name_ids: dict[tuple[str, str], int] = {}
        self._column_ids: dict[str, int] = {}
        self.generation = 0
        self.clear()

    def clear(self) -> None:
        """Forget all paths and names; slots of before mean nothing now."""
        self.generation += 1
        self.names.clear()
        self._name_ids.clear()
        self.language.root.children.clear()
        self.language.made = 0
        self.nodes: list[Node] = []
        self.count = self.used = 0
        self.table = np.full(1 << 12, -1, np.int32)
        self.hashes = np.zeros(1 << 10, np.uint64)
        self.spans = np.zeros((1 << 10, 3), np.int64)
        self.arena = np.zeros(1 << 16, np.uint8)
        self.meaning = np.zeros((1 << 10, 3), np.int32)
        """Name, column and rank of a slot."""
        self.factors = np.ones(1 << 10)
        self.slot(b"", b"\x12\x01?")

    @property
    def full(self) -> bool:
        """Whether it is time to start anew."""
        paths, names = max(self.count, self.language.made), len(self.names)
        return paths >= MOST_PATHS or names >= MOST_NAMES or self.used >= MOST_BYTES

    def slot(self, prefix: bytes, path: bytes) -> int:
        """The slot of a path, made if need be; raises DecodeError for bytes that are no path."""
        raw = np.frombuffer(prefix + path, np.uint8)
        value = np.uint64(wire.hashed(self.seed, raw, 0, len(prefix)))
        value = np.uint64(wire.hashed(value, raw, len(prefix), raw.size))
        places = (self.table, self.hashes, self.spans, self.arena)
        found = wire.find(*places, value, raw, 0, len(prefix), len(prefix), len(path))
        return int(found) if found >= 0 else self._add(raw, value, prefix, path)

    def _add(self, raw: npt.NDArray[np.uint8], value: np.uint64, prefix: bytes, path: bytes) -> int:
        node, aliased = self.walk(prefix, path)
        if raw.size > LONGEST:
            return 0
        slot = self.count
        self._reserve(raw.size)
        self.arena[self.used : self.used + raw.size] = raw
        self.hashes[slot] = value
        self.spans[slot] = self.used, len(prefix), len(path)
        self.nodes.append(node)
        self._mean(slot, node, aliased)
        self.count, self.used = slot + 1, self.used + raw.size
        self._enter(slot, value)
        return slot

    def walk(self, prefix: bytes, path: bytes) -> tuple[Node, bool]:
        """The node of a path, and whether it hangs on an alias of its stream."""
        parsed = self.parsed(prefix, path)
        if parsed and parsed[0][0].startswith("#"):
            return NOTHING, True
        return self.follow(parsed), False

    def parsed(self, prefix: bytes, path: bytes) -> list[tuple[str, dict[str, str]]]:
        """The steps of a path below a prefix; raises DecodeError for bytes that are no path."""
        both = [proto.Path.FromString(raw) for raw in (prefix, path)]
        found = [step for part in both for step in steps(part)]
        origins = {part.origin for part in both} - {"", "openconfig"}
        if origins == {"sonic-db"}:
            return found[2:]
        return [NOWHERE] if origins else found

    def follow(self, parsed: list[tuple[str, dict[str, str]]], node: Node | None = None) -> Node:
        """The node that steps lead to."""
        node = node or self.language.root
        for name, keys in parsed:
            if not node.under:
                return NOTHING
            node = self.language.step(node, name, keys)
        return node

    def _mean(self, slot: int, node: Node, aliased: bool) -> None:
        self.factors[slot] = 1.0
        self.meaning[slot] = 0, ALIASED if aliased else INSIDE if node.under else IGNORED, 0
        if node.leaf is not None:
            self.meaning[slot] = *self.ids(node, node.leaf), node.leaf.rank
            self.factors[slot] = node.leaf.factor

    def ids(self, node: Node, leaf: Leaf) -> tuple[int, int]:
        """Of the name and the column of a node's leaf; LINK where it says which transceiver a port has."""
        if node.ids is None:
            node.ids = self._name(leaf), self._column(leaf)
        return node.ids

    def _name(self, leaf: Leaf) -> int:
        name = (leaf.kind, leaf.subject)
        found = self._name_ids.get(name)
        if found is None:
            found = self._name_ids[name] = len(self.names)
            self.names.append(name)
        return found

    def _column(self, leaf: Leaf) -> int:
        if leaf.counter is None:
            return LINK
        name = leaf.counter.column(leaf.index)
        found = self._column_ids.get(name)
        if found is None:
            found = self._column_ids[name] = len(self.columns)
            self.columns.append(Column(name, leaf.counter, _kind(leaf.counter)))
            self.kinds = np.append(self.kinds, np.int8(self.columns[-1].kind))
        return found

    def _reserve(self, size: int) -> None:
        if self.count == self.hashes.size:
            for name in ("hashes", "spans", "meaning", "factors"):
                setattr(self, name, np.concatenate([getattr(self, name)] * 2))
        while self.used + size > self.arena.size:
            self.arena = np.concatenate([self.arena, self.arena])

    def _enter(self, slot: int, value: np.uint64) -> None:
        if 2 * self.count > self.table.size:
            self.table = np.full(4 * self.table.size, -1, np.int32)
            for old in range(slot):
                self._place(old, int(self.hashes[old]))
        self._place(slot, int(value))

    def _place(self, slot: int, value: int) -> None:
        """Into the first free place; a path that finds none in time is looked up the slow way each time."""
        mask = self.table.size - 1
        free = ((value + probe) & mask for probe in range(wire.PROBES))
        at = next((place for place in free if self.table[place] < 0), None)
        if at is not None:
            self.table[at] = slot


def _kind(counter: Counter) -> int:
    if counter.kind == "counter":
        return FLOATING if counter.unit == "s" else UNSIGNED
    return {"gauge": FLOATING, "state": STATE, "text": TEXT}[counter.kind]
