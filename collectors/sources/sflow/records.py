"""The records of a sample, and the rows they make. XDR: all is words of four bytes, opaque data padded to them.

A record whose length leaves its sample, or is too short for what it says it is, makes its datagram malformed (-1).
Records of other enterprises and formats are skipped by their length.
"""

from __future__ import annotations

from collectors.sources.sflow.frames import MAPPED, frame, u32, u64
from collectors.sources.sflow.jit import Bytes, Row, compiled
from collectors.sources.sflow.layout import (
    ETHERNET,
    ETHERNET_BYTES,
    ETHERNET_DATA,
    GENERIC,
    GENERIC_BYTES,
    HAS_ETHERNET,
    HAS_FRAME,
    HAS_GENERIC,
    HAS_IPV4,
    HAS_IPV6,
    HAS_PORTS,
    IPV4_DATA,
    IPV6_DATA,
    MOST_NAME,
    PORT_NAME,
    RAW_HEADER,
)


@compiled
def record(buf: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Format, first byte, last byte and the next record's place of the record at ``at``; format -1: malformed."""
    if at + 8 > end:
        return -1, end, end, end
    size = u32(buf, at + 4)
    if at + 8 + size > end:
        return -1, end, end, end
    return u32(buf, at), at + 8, at + 8 + size, min(end, at + 8 + (size + 3 & ~3))


@compiled
def flow_records(buf: Bytes, at: int, end: int, count: int, row: Row) -> bool:
    """Fill ``row`` from ``count`` flow records: the sampled header before decoded addresses, the first of each."""
    header = ipv4 = ipv6 = ethernet = -1
    for _ in range(count):
        kind, first, last, at = record(buf, at, end)
        if kind < 0 or last - first < _least(kind):
            return False
        if kind == RAW_HEADER and header < 0:
            header = first
            if u32(buf, first + 12) > last - first - 16:
                return False
        elif kind == IPV4_DATA and ipv4 < 0:
            ipv4 = first
        elif kind == IPV6_DATA and ipv6 < 0:
            ipv6 = first
        elif kind == ETHERNET_DATA and ethernet < 0:
            ethernet = first
    _fill(buf, header, ipv4, ipv6, ethernet, row)
    return True


@compiled
def _least(kind: int) -> int:
    """Bytes that a flow record of the format has at least."""
    if kind in (RAW_HEADER, ETHERNET_DATA):
        return 16 if kind == RAW_HEADER else 20
    if kind == IPV4_DATA:
        return 32
    return 56 if kind == IPV6_DATA else 0


@compiled
def _fill(buf: Bytes, header: int, ipv4: int, ipv6: int, ethernet: int, row: Row) -> None:
    if header >= 0:
        row["flags"] |= HAS_FRAME
        row["frame_bytes"] = u32(buf, header + 4)
        frame(buf, header + 16, header + 16 + u32(buf, header + 12), u32(buf, header), row)
        return
    if ethernet >= 0:
        row["flags"] |= HAS_FRAME
        row["frame_bytes"] = u32(buf, ethernet)
    if ipv4 >= 0:
        _decoded(buf, ipv4, 4, row)
    elif ipv6 >= 0:
        _decoded(buf, ipv6, 16, row)


@compiled
def _decoded(buf: Bytes, at: int, size: int, row: Row) -> None:
    """Addresses that the agent took from the packet itself (formats 3 and 4), of ``size`` bytes each."""
    if not row["flags"] & HAS_FRAME:
        row["flags"] |= HAS_FRAME
        row["frame_bytes"] = u32(buf, at)
    row["protocol"] = u32(buf, at + 4) & 0xFF
    if size == 4:
        row["src_lo"], row["dst_lo"] = MAPPED | u32(buf, at + 8), MAPPED | u32(buf, at + 12)
        row["flags"] |= HAS_IPV4
    else:
        row["src_hi"], row["src_lo"] = u64(buf, at + 8), u64(buf, at + 16)
        row["dst_hi"], row["dst_lo"] = u64(buf, at + 24), u64(buf, at + 32)
        row["flags"] |= HAS_IPV6
    at += 8 + 2 * size
    row["ecn"] = u32(buf, at + 12) & 3
    if row["protocol"] in (6, 17, 132):
        row["src_port"], row["dst_port"] = u32(buf, at) & 0xFFFF, u32(buf, at + 4) & 0xFFFF
        row["flags"] |= HAS_PORTS


@compiled
def counter_records(buf: Bytes, at: int, end: int, count: int, row: Row, name: Row) -> bool:
    """Fill ``row`` and ``name`` from ``count`` counter records, the first of each format."""
    name["length"] = 0
    for _ in range(count):
        kind, first, last, at = record(buf, at, end)
        if kind < 0:
            return False
        if kind == GENERIC and not row["flags"] & HAS_GENERIC:
            if last - first < GENERIC_BYTES:
                return False
            _generic(buf, first, row)
        elif kind == ETHERNET and not row["flags"] & HAS_ETHERNET:
            if last - first < ETHERNET_BYTES:
                return False
            _ethernet(buf, first, row)
        elif kind == PORT_NAME and name["length"] == 0 and not _name(buf, first, last, name):
            return False
    name["ifindex"] = row["ifindex"]
    return True


@compiled
def _generic(buf: Bytes, at: int, row: Row) -> None:
    row["flags"] |= HAS_GENERIC
    row["ifindex"] = u32(buf, at)
    row["if_type"], row["if_speed"] = u32(buf, at + 4), u64(buf, at + 8)
    row["if_direction"], row["if_status"] = u32(buf, at + 16), u32(buf, at + 20)
    row["if_in_octets"], row["if_in_unicast"] = u64(buf, at + 24), u32(buf, at + 32)
    row["if_in_multicast"], row["if_in_broadcast"] = u32(buf, at + 36), u32(buf, at + 40)
    row["if_in_discards"], row["if_in_errors"] = u32(buf, at + 44), u32(buf, at + 48)
    row["if_in_unknown_protocols"], row["if_out_octets"] = u32(buf, at + 52), u64(buf, at + 56)
    row["if_out_unicast"], row["if_out_multicast"] = u32(buf, at + 64), u32(buf, at + 68)
    row["if_out_broadcast"], row["if_out_discards"] = u32(buf, at + 72), u32(buf, at + 76)
    row["if_out_errors"], row["if_promiscuous"] = u32(buf, at + 80), u32(buf, at + 84)


@compiled
def _ethernet(buf: Bytes, at: int, row: Row) -> None:
    row["flags"] |= HAS_ETHERNET
    row["eth_alignment_errors"], row["eth_fcs_errors"] = u32(buf, at), u32(buf, at + 4)
    row["eth_single_collisions"], row["eth_multiple_collisions"] = u32(buf, at + 8), u32(buf, at + 12)
    row["eth_sqe_test_errors"], row["eth_deferred_transmissions"] = u32(buf, at + 16), u32(buf, at + 20)
    row["eth_late_collisions"], row["eth_excessive_collisions"] = u32(buf, at + 24), u32(buf, at + 28)
    row["eth_mac_transmit_errors"], row["eth_carrier_errors"] = u32(buf, at + 32), u32(buf, at + 36)
    row["eth_frames_too_long"], row["eth_mac_receive_errors"] = u32(buf, at + 40), u32(buf, at + 44)
    row["eth_symbol_errors"] = u32(buf, at + 48)


@compiled
def _name(buf: Bytes, at: int, end: int, name: Row) -> bool:
    """An interface's name: its length, then its bytes; a longer one than is kept is none."""
    if at + 4 > end or u32(buf, at) > end - at - 4:
        return False
    size = u32(buf, at)
    if size > MOST_NAME:
        return True
    hashed = 0xCBF29CE484222325 & 0x7FFFFFFFFFFFFFFF
    for index in range(size):
        name["text"][index] = buf[at + 4 + index]
        # FNV-1a, kept below the sign: only to see that a name is the one known already.
        hashed = (hashed ^ int(buf[at + 4 + index])) * 0x100000001B3 & 0x7FFFFFFFFFFFFFFF
    name["length"], name["hash"] = size, hashed
    return True
