"""BER as SNMP uses it: object ids, whole numbers and what is around them, to bytes (ITU-T X.690, RFC 3416 and 3417)."""

from __future__ import annotations

from collections.abc import Iterable

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
GET, GET_NEXT, RESPONSE, GET_BULK, REPORT = 0xA0, 0xA1, 0xA2, 0xA5, 0xA8
NO_OBJECT, NO_INSTANCE, END_OF_VIEW = 0x80, 0x81, 0x82


def length(size: int) -> bytes:
    """The length octets of ``size`` bytes, definite and as short as can be (X.690, 8.1.3)."""
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, length, content."""
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    return bytes((tag,)) + length(len(content)) + content


def integer(value: int) -> bytes:
    """A whole number that fits 64 bits, in as few octets as can be."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def parts(oid: str) -> tuple[int, ...]:
    """The sub-identifiers of a dotted object id."""
    return tuple(map(int, oid.strip(".").split(".")))


def dotted(oid: Iterable[int]) -> str:
    """An object id as it is written: ``1.3.6.1``."""
    return ".".join(map(str, oid))


def encode_oid(oid: Iterable[int]) -> bytes:
    """The content octets of an object id (X.690, 8.19): the first two sub-identifiers are one, 40·a + b."""
    first, second, *rest = oid
    return b"".join(map(_subidentifier, (40 * first + second, *rest)))


def _subidentifier(value: int) -> bytes:
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(0x80 | value & 0x7F)
    return bytes(reversed(octets))


def decode_oid(content: bytes) -> tuple[int, ...]:
    """The sub-identifiers of content octets that the compiled decoder has checked."""
    found: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            found.append(value)
            value = 0
    first = min(found[0] // 40, 2)
    return (first, found[0] - 40 * first, *found[1:])


def varbind(oid: bytes) -> bytes:
    """What a request says of one object: its id (content octets) and no value."""
    size = len(oid)
    if size < 0x7C:
        return bytes((SEQUENCE, size + 4, OID, size)) + oid + b"\x05\x00"
    return tlv(SEQUENCE, tlv(OID, oid) + b"\x05\x00")
