"""What is asked: the columns of MIBs that ``counters.csv`` names, and how the index of a row names port and queue.

In an address ``{port}`` is the ifIndex, ``{lldp}`` LLDP's number of the local port, ``{index}`` the priority or queue
(``{index1}``: one more), ``{any}`` whatever; without braces it is the ifIndex, then the number where there is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from collectors.sources.snmp.ber import encode_oid, parts
from collectors.sources.snmp.decode import KEYS, Octets, Words
from collectors.sources.snmp.harvest import packed
from fabric.counters import Counter, counters

UPTIME = parts("1.3.6.1.2.1.1.3.0")
TABLE_CHANGE = parts("1.3.6.1.2.1.31.1.5.0")
"""ifTableLastChange (RFC 2863)."""
NUMBER = parts("1.3.6.1.2.1.2.1.0")
"""ifNumber."""
NAMES = {
    "name": "1.3.6.1.2.1.31.1.1.1.1", "descr": "1.3.6.1.2.1.2.2.1.2", "alias": "1.3.6.1.2.1.31.1.1.1.18",
    "lldp_subtype": "1.0.8802.1.1.2.1.3.7.1.2", "lldp_id": "1.0.8802.1.1.2.1.3.7.1.3",
    "lldp_descr": "1.0.8802.1.1.2.1.3.7.1.4",
}  # fmt: skip
"""Columns that say how the device calls its ports: IF-MIB, and lldpLocPortTable of LLDP-MIB."""
SUBTYPES = {"lldp_chassis": "1.0.8802.1.1.2.1.4.1.1.4", "lldp_port": "1.0.8802.1.1.2.1.4.1.1.6"}
"""Columns that say what kind of name a neighbour gives: a MAC address is no text."""
SLOW = ("mtu_bytes", "admin_status", "speed_gbps")
"""Besides texts, what is read only every ``slow_seconds``."""
WHERE = 11
"""Words of a pattern; their names follow."""
(COLUMN, SIZE, PORT_AT, LLDP, INDEX_AT, LESS, CONST_A, VALUE_A, CONST_B, VALUE_B, SLOT) = range(WHERE)
COUNT, REAL, STATE, TEXT = range(4)
"""KINDS: a count as it is, a number times its factor, a small number, octets."""
_BRACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Tables:
    """Columns by number. ``prefixes``: object id of each; ``packed``: the same as the decoder takes it.

    ``patterns``: a row a counter and address, sorted by column: how an index is read (words of WHERE). Each has a
    ``SLOT``: ``slots`` are counter (its place in ``counters``), kind (words of KINDS) and rank (of one counter's
    addresses the lowest with a value counts), ``factors`` what a value is multiplied by.
    ``names`` and ``subtypes``: numbers of the columns of NAMES and SUBTYPES.
    """

    prefixes: list[bytes]
    packed: Octets
    patterns: Words
    slots: Words
    factors: NDArray[np.float64]
    counters: list[Counter]
    names: dict[str, int]
    subtypes: dict[str, int]
    slow: frozenset[int]

    @property
    def samples(self) -> list[int]:
        """Numbers of all columns that samples are made of."""
        return sorted({int(row[COLUMN]) for row in self.patterns} | set(self.subtypes.values()))


@cache
def tables() -> Tables:
    """All that ``counters.csv`` has an object id for."""
    numbers: dict[str, int] = {}
    patterns: list[list[int]] = []
    slots: list[tuple[int, int, int]] = []
    factors: list[float] = []
    slow: set[int] = set()
    asked = [found for found in counters().values() if found.object != "device" and found.addresses["oid"]]
    for place, counter in enumerate(asked):
        for rank, address in enumerate(counter.addresses["oid"]):
            prefix, suffix = _split(address.path, counter)
            column = numbers.setdefault(prefix, len(numbers))
            patterns.append(_pattern(column, suffix, len(slots)))
            slots.append((place, _kind(counter, address.factor), rank))
            factors.append(address.factor)
            if counter.kind == "text" or counter.name in SLOW:
                slow.add(column)
    names = {name: numbers.setdefault(oid, len(numbers)) for name, oid in NAMES.items()}
    subtypes = {name: numbers.setdefault(oid, len(numbers)) for name, oid in SUBTYPES.items()}
    slow.update(subtypes.values())
    prefixes = [encode_oid(parts(oid)) for oid in numbers]
    return Tables(
        prefixes, packed(prefixes), np.array(sorted(patterns), np.int64), np.array(slots, np.int64),
        np.array(factors), asked, names, subtypes, frozenset(slow),
    )  # fmt: skip


def _kind(counter: Counter, factor: float) -> int:
    if counter.kind in ("text", "state"):
        return TEXT if counter.kind == "text" else STATE
    if counter.kind == "counter" and counter.unit != "s":
        assert factor == 1, "counts of SNMP are counts"
        return COUNT
    return REAL


def _split(path: str, counter: Counter) -> tuple[str, list[str]]:
    """The column of an address, and what each sub-identifier of its index is."""
    if "{" not in path:
        return path, ["port", "index"] if counter.indexed else ["port"]
    prefix, _, rest = path.partition(".{")
    return prefix, [_BRACE.sub(r"\1", word) for word in ("{" + rest).split(".")]


def _pattern(column: int, suffix: list[str], slot: int) -> list[int]:
    assert len(suffix) <= KEYS, "the decoder keeps no more of an index"
    row = [column, len(suffix), -1, 0, -1, 0, -1, 0, -1, 0, slot]
    for at, word in enumerate(suffix):
        if word in ("port", "lldp"):
            row[PORT_AT], row[LLDP] = at, int(word == "lldp")
        elif word in ("index", "index1"):
            row[INDEX_AT], row[LESS] = at, int(word == "index1")
        elif word != "any":
            field = CONST_A if row[CONST_A] < 0 else CONST_B
            row[field], row[field + 1] = at, int(word)
    return row
