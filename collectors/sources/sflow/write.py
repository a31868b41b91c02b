"""Rows to the bytes of datagrams, in one compiled pass: the inverse of ``decode``, ``records`` and ``frames``."""

from __future__ import annotations

from collectors.sources.sflow.frames import IPV4, IPV6, ROCE, UDP
from collectors.sources.sflow.jit import Bytes, Ints, Longs, Row, Rows, Values, Words, compiled
from collectors.sources.sflow.layout import (
    COUNTERS,
    ETHERNET,
    ETHERNET_BYTES,
    EXPANDED_COUNTERS,
    EXPANDED_FLOW,
    FLOW,
    GENERIC,
    GENERIC_BYTES,
    HAS_BTH,
    HAS_ETHERNET,
    HAS_FRAME,
    HAS_IPV4,
    HAS_IPV6,
    HAS_PORTS,
    HAS_TAG,
    LINK_ETHERNET,
    PORT_NAME,
    RAW_HEADER,
    VERSION,
)
from collectors.sources.sflow.lookup import find

LARGEST_SAMPLE = 8 + 44 + 24 + GENERIC_BYTES + ETHERNET_BYTES + 80
"""Bytes of any sample without its sampled header, at most."""
FLOW_SAMPLE = 8 + 44 + 24
"""Bytes of a flow sample without its sampled header, at most."""
NO_IP = 0x88B5
"""Ethertype of a frame without an IP header: IEEE 802's for local experiments."""
LARGEST_INDEX = 0x3FFFFFFE
"""Of an ifIndex in the short form of a sample; 0x3FFFFFFF means the agent itself."""


@compiled
def pack(
    order: Longs, flows: Rows, interfaces: Rows, limits: Longs, heads: Bytes, keys: Words, values: Ints, texts: Bytes,
    numbered: Values, sent: Values, out: Bytes, table: Longs,
) -> int:  # fmt: skip
    """Write samples in the order given (by speaker, then time) into datagrams; how many there are.

    ``limits``: most bytes of a datagram, of a header, ns to gather, ns of the boot, expanded or not. ``table``: start,
    length, time and speaker of each datagram.
    """
    at = made = begun = count = 0
    speaker, first, last = -1, 0, 0
    for place in order:
        flow = place < len(flows)
        row_target, row_time = _when(flows, interfaces, place)
        full = at - begun + (FLOW_SAMPLE + limits[1] if flow else LARGEST_SAMPLE) > limits[0]
        if row_target != speaker or full or row_time - first >= limits[2]:
            if count:
                made += _close(out, begun, at, count, last, speaker, heads, sent, limits[3], table, made)
            begun, at, count = at, at + 16 + int(heads[row_target, 0]), 0
            speaker, first = row_target, row_time
        if flow:
            slot = find(keys, values, row_target, flows[place]["in_if"])
            at = _flow(out, at, flows[place], limits[1], limits[4] != 0, numbered[slot])
        else:
            row = interfaces[place - len(flows)]
            slot = find(keys, values, row_target, row["ifindex"])
            at = _interface(out, at, row, limits[4] != 0, numbered[slot], texts[slot])
        count, last = count + 1, row_time
    if count:
        made += _close(out, begun, at, count, last, speaker, heads, sent, limits[3], table, made)
    return made


@compiled
def _when(flows: Rows, interfaces: Rows, place: int) -> tuple[int, int]:
    if place < len(flows):
        return int(flows[place]["target"]), int(flows[place]["received"])
    row = interfaces[place - len(flows)]
    return int(row["target"]), int(row["received"])


@compiled
def _close(
    out: Bytes, begun: int, at: int, count: int, time: int, speaker: int, heads: Bytes, sent: Values, boot: int,
    table: Longs, made: int,
) -> int:  # fmt: skip
    """The head of a datagram, now that its samples are written."""
    sent[speaker] += 1
    _u32(out, begun, VERSION)
    size = int(heads[speaker, 0])
    for index in range(size):
        out[begun + 4 + index] = heads[speaker, 1 + index]
    _u32(out, begun + 4 + size, int(sent[speaker]))
    _u32(out, begun + 8 + size, (time - boot) // 1_000_000)
    _u32(out, begun + 12 + size, count)
    table[0, made], table[1, made], table[2, made], table[3, made] = begun, at - begun, time, speaker
    return 1


@compiled
def _u32(out: Bytes, at: int, value: int) -> int:
    out[at], out[at + 1] = value >> 24 & 255, value >> 16 & 255
    out[at + 2], out[at + 3] = value >> 8 & 255, value & 255
    return at + 4


@compiled
def _u16(out: Bytes, at: int, value: int) -> int:
    out[at], out[at + 1] = value >> 8 & 255, value & 255
    return at + 2


@compiled
def _u64(out: Bytes, at: int, value: int) -> int:
    for index in range(8):
        out[at + index] = value >> (56 - 8 * index) & 255
    return at + 8


@compiled
def _sample(out: Bytes, at: int, kind: int, source: int, expanded: bool, number: Values, which: int) -> int:
    """Type, length (later), number and source of a sample."""
    number[which] += 1
    _u32(out, at, kind)
    at = _u32(out, at + 8, int(number[which]))
    if expanded:
        return _u32(out, _u32(out, at, 0), source)
    return _u32(out, at, source)


@compiled
def _flow(out: Bytes, begun: int, row: Row, header_bytes: int, expanded: bool, number: Values) -> int:
    expanded = expanded or row["in_if"] > LARGEST_INDEX or row["out_if"] > LARGEST_INDEX or row["in_if"] > 0xFFFFFF
    at = _sample(out, begun, EXPANDED_FLOW if expanded else FLOW, row["in_if"], expanded, number, 0)
    at = _u32(out, _u32(out, _u32(out, at, row["rate"]), row["pool"]), row["drops"])
    for index in (row["in_if"], row["out_if"]):
        at = _u32(out, at, 0) if expanded else at
        at = _u32(out, at, index)
    there = row["flags"] & HAS_FRAME != 0
    at = _u32(out, at, 1 if there else 0)
    if there:
        at = _raw(out, at, row, header_bytes)
    _u32(out, begun + 4, at - begun - 8)
    return at


@compiled
def _raw(out: Bytes, begun: int, row: Row, header_bytes: int) -> int:
    """The record of a sampled header: what the frame says, zeros behind it, four bytes (its FCS) stripped."""
    first = begun + 24
    whole = int(row["frame_bytes"])
    written = put_frame(out, first, row) - first
    size = max(min(header_bytes, whole - 4), min(written, whole))
    padded = size + 3 & ~3
    _u32(out, _u32(out, begun, RAW_HEADER), 16 + padded)
    _u32(out, _u32(out, _u32(out, _u32(out, begun + 8, LINK_ETHERNET), whole), 4), size)
    for index in range(min(written, size), max(written, padded)):
        out[first + index] = 0
    return first + padded


@compiled
def put_frame(out: Bytes, at: int, row: Row) -> int:
    """Ethernet, tag, IP, UDP and base transport header, as far as the row has them; where they end."""
    begun = at
    _u32(out, _u32(out, _u32(out, at, 0x02000000), 0x00020200), 0x00000001)
    at += 12
    if row["flags"] & HAS_TAG:
        at = _u32(out, at, 0x8100 << 16 | int(row["priority"]) << 13 | 1)
    udp = row["flags"] & HAS_PORTS != 0
    roce = udp and row["flags"] & HAS_BTH != 0 and row["dst_port"] == ROCE
    above = (8 if udp else 0) + (12 if roce else 0)
    # What the frame holds above its link header, without the FCS.
    payload = min(0xFFFF, max(0, int(row["frame_bytes"]) - 4 - (at + 2 - begun)))
    if row["flags"] & HAS_IPV4:
        at = _ipv4(out, _u16(out, at, IPV4), row, udp, max(payload, 20 + above))
        payload -= 20
    elif row["flags"] & HAS_IPV6:
        at = _ipv6(out, _u16(out, at, IPV6), row, udp, max(payload - 40, above))
        payload -= 40
    else:
        return _u16(out, at, NO_IP)
    if udp:
        at = _u16(out, _u16(out, at, row["src_port"]), row["dst_port"])
        at = _u16(out, _u16(out, at, max(payload, above)), 0)
    if roce:
        at = _u32(out, at, int(row["opcode"]) << 24 | 0xFFFF)
        at = _u32(out, _u32(out, at, row["dest_qp"]), row["psn"])
    return at


@compiled
def _ipv4(out: Bytes, at: int, row: Row, udp: bool, size: int) -> int:
    _u32(out, at, 0x45 << 24 | int(row["ecn"]) << 16 | size)
    _u32(out, at + 4, 0x4000)
    _u32(out, at + 8, 64 << 24 | (UDP if udp else 253) << 16)
    _u32(out, _u32(out, at + 12, row["src_lo"]), row["dst_lo"])
    total = 0
    for index in range(0, 20, 2):
        total += int(out[at + index]) << 8 | int(out[at + index + 1])
    total = (total & 0xFFFF) + (total >> 16)
    _u16(out, at + 10, ~(total + (total >> 16)))
    return at + 20


@compiled
def _ipv6(out: Bytes, at: int, row: Row, udp: bool, size: int) -> int:
    _u32(out, at, 6 << 28 | int(row["ecn"]) << 20)
    _u32(out, at + 4, size << 16 | (UDP if udp else 253) << 8 | 64)
    at = _u64(out, _u64(out, at + 8, row["src_hi"]), row["src_lo"])
    return _u64(out, _u64(out, at, row["dst_hi"]), row["dst_lo"])


@compiled
def _interface(out: Bytes, begun: int, row: Row, expanded: bool, number: Values, name: Bytes) -> int:
    expanded = expanded or row["ifindex"] > 0xFFFFFF
    at = _sample(out, begun, EXPANDED_COUNTERS if expanded else COUNTERS, row["ifindex"], expanded, number, 1)
    ethernet, size = row["flags"] & HAS_ETHERNET != 0, int(name[0])
    at = _u32(out, at, 1 + ethernet + (size > 0))
    at = _generic(out, _u32(out, _u32(out, at, GENERIC), GENERIC_BYTES), row)
    if ethernet:
        at = _ethernet(out, _u32(out, _u32(out, at, ETHERNET), ETHERNET_BYTES), row)
    if size:
        at = _u32(out, _u32(out, _u32(out, at, PORT_NAME), 4 + (size + 3 & ~3)), size)
        for index in range(size + 3 & ~3):
            out[at + index] = name[1 + index] if index < size else 0
        at += size + 3 & ~3
    _u32(out, begun + 4, at - begun - 8)
    return at


@compiled
def _generic(out: Bytes, at: int, row: Row) -> int:
    at = _u64(out, _u32(out, _u32(out, at, row["ifindex"]), row["if_type"]), row["if_speed"])
    at = _u32(out, _u32(out, at, row["if_direction"]), row["if_status"])
    at = _u32(out, _u64(out, at, row["if_in_octets"]), row["if_in_unicast"])
    at = _u32(out, _u32(out, at, row["if_in_multicast"]), row["if_in_broadcast"])
    at = _u32(out, _u32(out, at, row["if_in_discards"]), row["if_in_errors"])
    at = _u64(out, _u32(out, at, row["if_in_unknown_protocols"]), row["if_out_octets"])
    at = _u32(out, _u32(out, at, row["if_out_unicast"]), row["if_out_multicast"])
    at = _u32(out, _u32(out, at, row["if_out_broadcast"]), row["if_out_discards"])
    return _u32(out, _u32(out, at, row["if_out_errors"]), row["if_promiscuous"])


@compiled
def _ethernet(out: Bytes, at: int, row: Row) -> int:
    at = _u32(out, _u32(out, at, row["eth_alignment_errors"]), row["eth_fcs_errors"])
    at = _u32(out, _u32(out, at, row["eth_single_collisions"]), row["eth_multiple_collisions"])
    at = _u32(out, _u32(out, at, row["eth_sqe_test_errors"]), row["eth_deferred_transmissions"])
    at = _u32(out, _u32(out, at, row["eth_late_collisions"]), row["eth_excessive_collisions"])
    at = _u32(out, _u32(out, at, row["eth_mac_transmit_errors"]), row["eth_carrier_errors"])
    at = _u32(out, _u32(out, at, row["eth_frames_too_long"]), row["eth_mac_receive_errors"])
    return _u32(out, at, row["eth_symbol_errors"])
