"""An SNMPv2c agent that answers from a table of objects made beforehand: for replays, demos and tests.

It speaks GET, GETNEXT and GETBULK, bounded by the size of a datagram, and says nothing to what it does not understand.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from collectors.secrets import Secret
from collectors.sources.snmp.ber import (
    END_OF_VIEW,
    GET,
    GET_BULK,
    GET_NEXT,
    INTEGER,
    NO_OBJECT,
    OCTETS,
    OID,
    RESPONSE,
    SEQUENCE,
    encode_oid,
    integer,
    tlv,
)  # fmt: skip
from collectors.sources.snmp.decode import decode

MOST_BYTES = 1400
MOST_REPETITIONS = 64
COUNTER32, GAUGE32, TIMETICKS, COUNTER64 = 0x41, 0x42, 0x43, 0x46
Oid = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Objects in the order of their ids, and the varbind of each in bytes."""

    oids: Sequence[Oid]
    varbinds: Sequence[bytes]


def tree(objects: Iterable[tuple[Oid, int, int | bytes]]) -> Tree:
    """A tree of (id, tag, value); whole numbers are cut to what the tag holds."""
    rows = sorted((oid, _varbind(oid, tag, value)) for oid, tag, value in objects)
    return Tree([oid for oid, _ in rows], [varbind for _, varbind in rows])


def _varbind(oid: Oid, tag: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        content = value
    elif tag == INTEGER:
        return tlv(SEQUENCE, _named(oid) + integer(value))
    else:
        number = value % (1 << (64 if tag == COUNTER64 else 32))
        content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return tlv(SEQUENCE, _named(oid) + tlv(tag, content))


@lru_cache(maxsize=1 << 18)
def _named(oid: Oid) -> bytes:
    """An object id in bytes: agents of one kind have the same ones, at all times."""
    return tlv(OID, encode_oid(oid))


class Responder:
    """Answers datagrams from the tree that ``now`` gives at each request."""

    def __init__(self, community: Secret, now: Callable[[], Tree]) -> None:
        """``now`` is asked once a request, so that an answer is of one moment."""
        self._community, self._now = community.reveal().encode(), now

    def answer(self, datagram: bytes) -> bytes | None:
        """The answer; None where there is none to give."""
        asked = decode(datagram)
        if asked is None or asked.version != 1 or not hmac.compare_digest(asked.name, self._community):
            return None
        if asked.type not in (GET, GET_NEXT, GET_BULK):
            return None
        oids = [oid for oid, _, _ in asked.varbinds]
        found = _bulk(self._now(), oids, asked.error, asked.index) if asked.type == GET_BULK else [
            _get(self._now(), oid) if asked.type == GET else _next(self._now(), oid)[1] for oid in oids
        ]  # fmt: skip
        body = integer(asked.request) + integer(0) + integer(0) + tlv(SEQUENCE, b"".join(found))
        return tlv(SEQUENCE, integer(1) + tlv(OCTETS, asked.name) + tlv(RESPONSE, body))


def _get(objects: Tree, oid: Oid) -> bytes:
    at = bisect_left(objects.oids, oid)
    if at < len(objects.oids) and objects.oids[at] == oid:
        return objects.varbinds[at]
    return tlv(SEQUENCE, tlv(OID, encode_oid(oid)) + bytes((NO_OBJECT, 0)))


def _next(objects: Tree, oid: Oid) -> tuple[Oid, bytes]:
    at = bisect_right(objects.oids, oid)
    if at < len(objects.oids):
        return objects.oids[at], objects.varbinds[at]
    return oid, tlv(SEQUENCE, tlv(OID, encode_oid(oid)) + bytes((END_OF_VIEW, 0)))


def _bulk(objects: Tree, oids: list[Oid], single: int, repetitions: int) -> list[bytes]:
    """As RFC 3416, 4.2.3: fewer repetitions where the datagram would grow too large."""
    single = min(max(single, 0), len(oids))
    found = [_next(objects, oid)[1] for oid in oids[:single]]
    size, rest = sum(map(len, found)), oids[single:]
    for _ in range(min(repetitions, MOST_REPETITIONS) if rest else 0):
        row = [_next(objects, oid) for oid in rest]
        size += sum(len(varbind) for _, varbind in row)
        if size > MOST_BYTES and found:
            break
        found += [varbind for _, varbind in row]
        ends = [oid for oid, _ in row]
        if ends == rest:
            break
        rest = ends
    return found
