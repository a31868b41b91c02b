"""An sFlow version 5 decoder written straight from the specification, slow and plain: what the fast one is held to.

It works on one datagram with a cursor that raises at the first byte that is not there, and shares no code with ours.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import Any

GENERIC = (
    "if_index:L if_type:L if_speed:Q if_direction:L if_status:L if_in_octets:Q if_in_unicast:L if_in_multicast:L "
    "if_in_broadcast:L if_in_discards:L if_in_errors:L if_in_unknown_protocols:L if_out_octets:Q if_out_unicast:L "
    "if_out_multicast:L if_out_broadcast:L if_out_discards:L if_out_errors:L if_promiscuous:L"
)
ETHERNET = (
    "eth_alignment_errors:L eth_fcs_errors:L eth_single_collisions:L eth_multiple_collisions:L eth_sqe_test_errors:L "
    "eth_deferred_transmissions:L eth_late_collisions:L eth_excessive_collisions:L eth_mac_transmit_errors:L "
    "eth_carrier_errors:L eth_frames_too_long:L eth_mac_receive_errors:L eth_symbol_errors:L"
)


class Short(Exception):  # noqa: N818 - it is no error: hostile input ends there
    """The bytes end before what they say."""


@dataclass
class Cursor:
    data: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise Short
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "big")

    def opaque(self) -> bytes:
        """XDR's variable opaque data; the padding of the last of all may be missing."""
        size = self.number()
        found = self.take(size)
        self.at = min(len(self.data), self.at + -size % 4)
        return found

    def fields(self, layout: str) -> dict[str, int]:
        named = [one.split(":") for one in layout.split()]
        return {name: self.number(8 if kind == "Q" else 4) for name, kind in named}


@dataclass
class Datagram:
    agent: str = ""
    sub_agent: int = 0
    sequence: int = 0
    uptime: int = 0
    flows: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)
    names: list[tuple[int, bytes]] = field(default_factory=list)
    skipped: int = 0


def datagram(data: bytes) -> Datagram:
    """Raises Short or ValueError for what is not a whole datagram of version 5."""
    cursor = Cursor(data)
    if cursor.number() != 5:
        raise ValueError("version")
    kind = cursor.number()
    if kind not in (1, 2):
        raise ValueError("address")
    agent = ipaddress.ip_address(cursor.take(4 if kind == 1 else 16))
    found = Datagram(str(agent), cursor.number(), cursor.number(), cursor.number())
    for _ in range(cursor.number()):
        kind = cursor.number()
        _sample(kind, Cursor(cursor.opaque()), found)
    return found


def _sample(kind: int, cursor: Cursor, found: Datagram) -> None:
    if kind in (1, 3):
        found.flows.append(_flow(cursor, kind == 3))
    elif kind in (2, 4):
        _counters(cursor, kind == 4, found)
    else:
        found.skipped += 1


def _flow(cursor: Cursor, expanded: bool) -> dict[str, Any]:
    cursor.number()
    cursor.take(8 if expanded else 4)
    row: dict[str, Any] = {"rate": cursor.number(), "pool": cursor.number(), "drops": cursor.number()}
    for end in ("in", "out"):
        word = cursor.number()
        if expanded:
            row[f"{end}_format"], row[f"{end}_if"] = word & 0xFF, cursor.number()
        else:
            row[f"{end}_format"], row[f"{end}_if"] = divmod(word, 1 << 30)
    records: dict[int, bytes] = {}
    for _ in range(cursor.number()):
        kind = cursor.number()
        records.setdefault(kind, data := cursor.opaque())
        _check(kind, data)
    return row | _described(records)


def _check(kind: int, data: bytes) -> None:
    """Every record that is of a known format must be whole, also one that is not used."""
    if len(data) < {1: 16, 2: 20, 3: 32, 4: 56}.get(kind, 0):
        raise Short


def _described(records: dict[int, bytes]) -> dict[str, Any]:
    if 1 in records:
        link, size, _, length = struct.unpack_from(">4L", records[1])
        if length > len(records[1]) - 16:
            raise Short
        return {"frame_bytes": size} | frame(records[1][16 : 16 + length], link)
    row: dict[str, Any] = {}
    if 2 in records:
        row["frame_bytes"] = struct.unpack_from(">L", records[2])[0]
    for kind, size in ((3, 4), (4, 16)):
        if kind in records:
            return _decoded(Cursor(records[kind]), size) | row
    return row


def _decoded(cursor: Cursor, size: int) -> dict[str, Any]:
    row: dict[str, Any] = {"frame_bytes": cursor.number()}
    protocol = cursor.number() & 0xFF
    row["src_ip"], row["dst_ip"] = _address(cursor.take(size)), _address(cursor.take(size))
    ports = cursor.number() & 0xFFFF, cursor.number() & 0xFFFF
    cursor.number()
    row["ecn"] = cursor.number() & 3
    if protocol in (6, 17, 132):
        row["src_port"], row["dst_port"] = ports
    return row


def _address(data: bytes) -> str:
    # ::ffff:a.b.c.d is how ours keeps IPv4.
    if len(data) == 16 and data.startswith(bytes(10) + b"\xff\xff"):
        data = data[12:]
    return str(ipaddress.ip_address(data))


def _counters(cursor: Cursor, expanded: bool, found: Datagram) -> None:
    cursor.number()
    word = cursor.number()
    kind, index = (word, cursor.number()) if expanded else divmod(word, 1 << 24)
    row: dict[str, Any] = {"if_index": index if kind == 0 else 0}
    name = b""
    seen = set()
    for _ in range(cursor.number()):
        kind, inner = cursor.number(), Cursor(cursor.opaque())
        if kind in (1, 2) and kind not in seen:
            row |= inner.fields(GENERIC if kind == 1 else ETHERNET)
            seen.add(kind)
        elif kind == 1005 and not name:
            text = inner.take(inner.number())
            name = text if len(text) <= 64 else b""
    if seen:
        found.counters.append(row)
    if name and row["if_index"]:
        found.names.append((row["if_index"], name))


def frame(data: bytes, link: int) -> dict[str, Any]:
    """What a sampled header says, of the outermost IP header; RoCEv2's also inside one VXLAN header."""
    row: dict[str, Any] = {}
    kind = {11: 0x0800, 12: 0x86DD}.get(link, 0)
    if link == 1:
        kind, data, tag = _ethernet(data)
        if tag is not None:
            row["priority"] = tag >> 13
    network = _network(kind, data)
    if network is None:
        return row
    protocol, payload, addressed = network
    row |= addressed
    if protocol in (6, 17, 132) and len(payload) >= 4:
        row["src_port"], row["dst_port"] = struct.unpack_from(">HH", payload)
    if protocol == 17 and len(payload) >= 8:
        row |= _roce(row["dst_port"], payload[8:])
    return row


def _ethernet(data: bytes) -> tuple[int, bytes, int | None]:
    if len(data) < 14:
        return 0, b"", None
    tags: list[int] = []
    kind, data = struct.unpack_from(">H", data, 12)[0], data[14:]
    while kind in (0x8100, 0x88A8, 0x9100, 0x9200) and len(tags) < 4:
        if len(data) < 4:
            return 0, b"", tags[0] if tags else None
        tags.append(struct.unpack_from(">H", data)[0])
        kind, data = struct.unpack_from(">H", data, 2)[0], data[4:]
    return kind, data, tags[0] if tags else None


def _network(kind: int, data: bytes) -> tuple[int, bytes, dict[str, Any]] | None:
    if kind == 0x0800 and len(data) >= 20 and data[0] >> 4 == 4 and data[0] & 15 >= 5:
        size, total = (data[0] & 15) * 4, struct.unpack_from(">H", data, 2)[0]
        fragment = struct.unpack_from(">H", data, 6)[0] & 0x1FFF
        row = {"src_ip": _address(data[12:16]), "dst_ip": _address(data[16:20]), "ecn": data[1] & 3}
        payload = b"" if fragment else (data[:total] if total >= size else data)[size:]
        return data[9], payload, row
    if kind == 0x86DD and len(data) >= 40 and data[0] >> 4 == 6:
        size = struct.unpack_from(">H", data, 4)[0]
        row = {"src_ip": _address(data[8:24]), "dst_ip": _address(data[24:40]), "ecn": data[1] >> 4 & 3}
        protocol, payload = _extensions(data[6], data[40 : 40 + size] if size else data[40:])
        return protocol, payload, row
    return None


def _extensions(protocol: int, data: bytes) -> tuple[int, bytes]:
    for _ in range(8):
        if protocol not in (0, 43, 44, 51, 60):
            return protocol, data
        if len(data) < 8:
            return protocol, b""
        if protocol == 44 and struct.unpack_from(">H", data, 2)[0] >> 3:
            return data[0], b""
        size = {44: 8, 51: (data[1] + 2) * 4}.get(protocol, (data[1] + 1) * 8)
        protocol, data = data[0], data[size:]
    return protocol, b""


def _roce(port: int, data: bytes) -> dict[str, Any]:
    if port == 4789 and len(data) >= 8 and data[0] & 8:
        kind, inner, _ = _ethernet(data[8:])
        network = _network(kind, inner)
        if network is None or network[0] != 17 or len(network[1]) < 8:
            return {}
        port, data = struct.unpack_from(">H", network[1], 2)[0], network[1][8:]
    if port != 4791 or len(data) < 12:
        return {}
    return {
        "opcode": data[0],
        "dest_qp": int.from_bytes(data[5:8], "big"),
        "psn": int.from_bytes(data[9:12], "big"),
    }
