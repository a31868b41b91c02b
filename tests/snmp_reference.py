"""What pysnmp says of a datagram, in the terms of ``collectors.sources.snmp.decode``; and how messages are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]
from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]
from pyasn1.type import univ  # type: ignore[import-untyped]
from pysnmp.proto.api import v2c  # type: ignore[import-untyped]
from pysnmp.proto.error import ProtocolError  # type: ignore[import-untyped]

from collectors.sources.snmp import ber
from collectors.sources.snmp.decode import Message

TYPES = {
    v2c.GetRequestPDU: 0xA0, v2c.GetNextRequestPDU: 0xA1, v2c.ResponsePDU: 0xA2, v2c.SetRequestPDU: 0xA3,
    v2c.GetBulkRequestPDU: 0xA5, v2c.InformRequestPDU: 0xA6, v2c.SNMPv2TrapPDU: 0xA7, v2c.ReportPDU: 0xA8,
}  # fmt: skip


def reference(datagram: bytes) -> tuple[Message | None, bool]:
    """pysnmp's reading of a v2c message (None: it has none), and whether the datagram is the shortest for it."""
    try:
        message, rest = decoder.decode(datagram, asn1Spec=v2c.Message())
        said = None if rest else _message(message)
        return said, said is not None and encoder.encode(message) == datagram
    except (PyAsn1Error, ProtocolError, ValueError, IndexError, OverflowError, TypeError):
        return None, False


def _message(message: Any) -> Message:
    pdu = message["data"].getComponent()
    kind = TYPES[type(pdu)]
    fields = ("non-repeaters", "max-repetitions") if kind == 0xA5 else ("error-status", "error-index")
    version, name = int(message["version"]), bytes(message["community"])
    error, index = (int(pdu[field]) for field in fields)
    binds = tuple(_bind(bind) for bind in pdu["variable-bindings"])
    return Message(version, name, kind, int(pdu["request-id"]), error, index, binds)


def _bind(bind: Any) -> tuple[tuple[int, ...], int, Any]:
    chosen = bind[1]
    while isinstance(chosen, univ.Choice):
        chosen = chosen.getComponent()
    tag = int(chosen.tagSet[-1].tagId) | int(chosen.tagSet[-1].tagClass)
    if tag in (0x02, 0x41, 0x42, 0x43, 0x46):
        value: Any = int(chosen)
    elif tag in (0x04, 0x40, 0x44):
        value = bytes(chosen)
    else:
        value = tuple(chosen) if tag == 0x06 else None
    return tuple(bind[0]), tag, value


def bulk_answer(request: int, binds: Sequence[tuple[tuple[int, ...], bytes]], name: bytes = b"public") -> bytes:
    """A v2c answer; each value is given whole, tag and length included."""
    rows = b"".join(ber.tlv(0x30, ber.tlv(0x06, ber.encode_oid(oid)) + value) for oid, value in binds)
    pdu = ber.tlv(0xA2, ber.integer(request) + ber.integer(0) * 2 + ber.tlv(0x30, rows))
    return ber.tlv(0x30, ber.integer(1) + ber.tlv(0x04, name) + pdu)
