"""Datagrams to arrays, compiled: every octet is checked before it is used, nothing is allocated, nothing raises.

It takes less than BER allows and all that agents send: definite lengths, primitive values, whole numbers of at most
nine octets that fit their type, no octet too many. ``tests/test_snmp_decode.py`` holds it equal to pysnmp's decoder.
``heads`` reads messages up to their varbinds, ``varbinds`` those of a walk; all that others need of them is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from collectors.sources.snmp.ber import OCTETS, decode_oid
from collectors.sources.snmp.heads import message, scoped
from collectors.sources.snmp.layout import (
    ASKED,
    AUTH,
    AUTH_END,
    BINDS,
    BOOTS,
    CURSOR,
    DATA,
    DATA_END,
    ENDED,
    ENGINE,
    ENGINE_END,
    ERROR,
    FLAGS,
    FROM,
    HEAD,
    ID,
    INDEX,
    KEYS,
    LOOPING,
    MALFORMED,
    MODEL,
    MOST,
    MOST_STRING,
    MOST_SUBIDENTIFIERS,
    NAME,
    NAME_END,
    OK,
    PRIV,
    PRIV_END,
    RECORD,
    REQUEST,
    TIME,
    TO,
    TYPE,
    USER,
    USER_END,
    VERSION,
    Octets,
    Words,
)  # fmt: skip
from collectors.sources.snmp.varbinds import absorb, binds, lawful, varbind

__all__ = [
    "ASKED",
    "AUTH",
    "AUTH_END",
    "BINDS",
    "BOOTS",
    "CURSOR",
    "DATA",
    "DATA_END",
    "ENDED",
    "ENGINE",
    "ENGINE_END",
    "ERROR",
    "FLAGS",
    "FROM",
    "HEAD",
    "ID",
    "INDEX",
    "KEYS",
    "LOOPING",
    "MALFORMED",
    "MODEL",
    "MOST",
    "MOST_STRING",
    "MOST_SUBIDENTIFIERS",
    "NAME",
    "NAME_END",
    "OK",
    "PRIV",
    "PRIV_END",
    "RECORD",
    "REQUEST",
    "TIME",
    "TO",
    "TYPE",
    "USER",
    "USER_END",
    "VERSION",
    "Message",
    "Octets",
    "Words",
    "absorb",
    "binds",
    "decode",
    "message",
    "opened",
    "scoped",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """A message in Python's own types, for what is no bulk: scalars, reports, tests.

    ``varbinds``: object id, tag, and a whole number, octets, an object id, or None by tag.
    """

    version: int
    name: bytes
    type: int
    request: int
    error: int
    index: int
    varbinds: tuple[tuple[tuple[int, ...], int, Any], ...]


def decode(datagram: bytes) -> Message | None:
    """A whole v2c message, or v3 one that is not encrypted; None where it is malformed."""
    buf = np.frombuffer(bytearray(datagram), np.uint8)  # of the same type as the engine's: compiled once
    head = np.zeros(HEAD, np.int64)
    if message(buf, 0, len(buf), head) != OK or not head[TYPE]:
        return None
    return opened(buf, head.tolist())


def opened(buf: Octets, head: list[int]) -> Message | None:
    """The message that ``head`` says is in ``buf``; None where a varbind is malformed."""
    found = np.zeros(6, np.int64)
    at, end = head[BINDS], head[DATA_END]
    varbinds = []
    while at < end:
        value = int(varbind(buf, at, end, found))
        at, low, high, tag, start, stop = map(int, found)
        if at < 0 or not lawful(buf, low, high):
            return None
        varbinds.append((decode_oid(buf[low:high].tobytes()), tag, _python(tag, value, buf[start:stop].tobytes())))
    version, kind, request, error, index = (head[field] for field in (VERSION, TYPE, REQUEST, ERROR, INDEX))
    name = buf[head[NAME] : head[NAME_END]].tobytes()
    return Message(version, name, kind, request, error, index, tuple(varbinds))


def _python(tag: int, value: int, content: bytes) -> int | bytes | tuple[int, ...] | None:
    if tag == 0x02:
        return value - (1 << 64) if value >> 63 else value
    if tag in (0x41, 0x42, 0x43, 0x46):
        return value
    if tag in (OCTETS, 0x40, 0x44):
        return content
    return decode_oid(content) if tag == 0x06 else None
