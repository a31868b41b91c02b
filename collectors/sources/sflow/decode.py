"""Many datagrams, laid out in one array of bytes, to rows in one compiled pass.

A datagram is taken whole or not at all: one whose samples or records leave their bounds is ``MALFORMED`` and makes no
row. Bytes after the last sample are ignored. No row is made that does not fit: the caller empties the tables and goes
on where the pass stopped, so memory is what it was given.
"""

from __future__ import annotations

from collectors.sources.sflow.frames import MAPPED, u32, u64
from collectors.sources.sflow.jit import Bytes, Longs, Row, Rows, compiled
from collectors.sources.sflow.layout import (
    COUNTERS,
    EXPANDED_COUNTERS,
    EXPANDED_FLOW,
    FLOW,
    LEAST_SAMPLE,
    MALFORMED,
    OK,
    OVERSIZED,
    SHORT,
    VERSION,
    VERSIONS,
)
from collectors.sources.sflow.records import counter_records, flow_records

ONES, WIDE = (1 << 32) - 1, (1 << 64) - 1
SKIPPED = 3
"""Place in the tally of samples of other enterprises and formats; before it: flow, counter and name rows."""


@compiled
def read_heads(buf: Bytes, heads: Rows) -> None:
    """Fill the agent, sequence and so on of all heads from ``start`` and ``length``; sets ``status``."""
    for index in range(len(heads)):
        if heads[index]["status"] != OVERSIZED:
            heads[index]["status"] = _head(buf, heads[index])


@compiled
def _head(buf: Bytes, head: Row) -> int:
    at, size = int(head["start"]), int(head["length"])
    head["agent_hi"], head["agent_lo"], head["target"] = 0, 0, -1
    if size < 28:
        return SHORT
    if u32(buf, at) != VERSION:
        return VERSIONS
    kind = u32(buf, at + 4)
    if kind not in (1, 2):
        return MALFORMED
    if kind == 1:
        head["agent_lo"] = MAPPED | u32(buf, at + 8)
        body = at + 12
    else:
        if size < 40:
            return SHORT
        head["agent_hi"], head["agent_lo"] = u64(buf, at + 8), u64(buf, at + 16)
        body = at + 24
    head["sub_agent"], head["sequence"] = u32(buf, body), u32(buf, body + 4)
    head["uptime"], head["samples"] = u32(buf, body + 8), u32(buf, body + 12)
    head["body"] = body + 16
    return OK


@compiled
def read_samples(buf: Bytes, heads: Rows, first: int, flows: Rows, interfaces: Rows, names: Rows, tally: Longs) -> int:
    """Append rows of the datagrams from ``first`` on; the index of the first that had no room, or how many there are.

    ``tally``: rows used of ``flows``, ``interfaces`` and ``names``, and samples skipped; it goes on from call to call.
    """
    for index in range(first, len(heads)):
        head = heads[index]
        if head["status"] != OK:
            continue
        most = int(head["length"]) // LEAST_SAMPLE
        if tally[0] + most > len(flows) or tally[1] + most > len(interfaces) or tally[2] + most > len(names):
            return index
        found = _datagram(buf, head, flows, interfaces, names, tally[0], tally[1], tally[2])
        if found[0] < 0:
            head["status"] = MALFORMED
            continue
        tally[0], tally[1], tally[2] = found[0], found[1], found[2]
        tally[SKIPPED] += found[3]
    return len(heads)


@compiled
def _datagram(
    buf: Bytes, head: Row, flows: Rows, interfaces: Rows, names: Rows, flow: int, interface: int, name: int
) -> tuple[int, int, int, int]:
    """Rows used after this datagram, and its skipped samples; the first is -1 if it is malformed."""
    at, skipped = int(head["body"]), 0
    end = int(head["start"]) + int(head["length"])
    for _ in range(head["samples"]):
        if at + 8 > end or at + 8 + u32(buf, at + 4) > end:
            return -1, 0, 0, 0
        kind, first, last = u32(buf, at), at + 8, at + 8 + u32(buf, at + 4)
        at = min(end, first + (last - first + 3 & ~3))
        if kind in (FLOW, EXPANDED_FLOW):
            if not _flow(buf, first, last, kind == EXPANDED_FLOW, head, flows[flow]):
                return -1, 0, 0, 0
            flow += 1
        elif kind in (COUNTERS, EXPANDED_COUNTERS):
            if not _counters(buf, first, last, kind == EXPANDED_COUNTERS, head, interfaces[interface], names[name]):
                return -1, 0, 0, 0
            name += names[name]["length"] > 0 and interfaces[interface]["ifindex"] > 0
            interface += interfaces[interface]["flags"] != 0
        else:
            skipped += 1
    return flow, interface, name, skipped


@compiled
def _flow(buf: Bytes, at: int, end: int, expanded: bool, head: Row, row: Row) -> bool:
    if at + (44 if expanded else 32) > end:
        return False
    row["received"], row["target"], row["flags"] = head["received"], head["target"], 0
    row["src_hi"], row["src_lo"], row["dst_hi"], row["dst_lo"] = 0, 0, 0, 0
    row["frame_bytes"], row["protocol"], row["src_port"], row["dst_port"], row["ecn"] = 0, 0, 0, 0, 0
    row["dest_qp"], row["psn"], row["opcode"], row["priority"] = 0, 0, 0, 0
    at += 12 if expanded else 8
    row["rate"], row["pool"], row["drops"] = u32(buf, at), u32(buf, at + 4), u32(buf, at + 8)
    if expanded:
        row["in_format"], row["in_if"] = u32(buf, at + 12) & 0xFF, u32(buf, at + 16)
        row["out_format"], row["out_if"] = u32(buf, at + 20) & 0xFF, u32(buf, at + 24)
        return flow_records(buf, at + 32, end, u32(buf, at + 28), row)
    row["in_format"], row["in_if"] = u32(buf, at + 12) >> 30, u32(buf, at + 12) & 0x3FFFFFFF
    row["out_format"], row["out_if"] = u32(buf, at + 16) >> 30, u32(buf, at + 16) & 0x3FFFFFFF
    return flow_records(buf, at + 24, end, u32(buf, at + 20), row)


@compiled
def _counters(buf: Bytes, at: int, end: int, expanded: bool, head: Row, row: Row, name: Row) -> bool:
    if at + (16 if expanded else 12) > end:
        return False
    row["received"], row["target"], row["flags"] = head["received"], head["target"], 0
    name["target"] = head["target"]
    kind = u32(buf, at + 4) if expanded else u32(buf, at + 4) >> 24
    index = u32(buf, at + 8) if expanded else u32(buf, at + 4) & 0xFFFFFF
    # Class 0 is an interface: its index stands in where record 1 is missing.
    row["ifindex"] = index if kind == 0 else 0
    _blank(row)
    at += 12 if expanded else 8
    return counter_records(buf, at + 4, end, u32(buf, at), row, name)


@compiled
def _blank(row: Row) -> None:
    """All ones, which is what an agent says of a counter that it does not have."""
    row["if_speed"], row["if_in_octets"], row["if_out_octets"] = WIDE, WIDE, WIDE
    row["if_type"], row["if_direction"], row["if_status"], row["if_promiscuous"] = ONES, ONES, ONES, ONES
    row["if_in_unicast"], row["if_in_multicast"], row["if_in_broadcast"] = ONES, ONES, ONES
    row["if_in_discards"], row["if_in_errors"], row["if_in_unknown_protocols"] = ONES, ONES, ONES
    row["if_out_unicast"], row["if_out_multicast"], row["if_out_broadcast"] = ONES, ONES, ONES
    row["if_out_discards"], row["if_out_errors"] = ONES, ONES
    row["eth_alignment_errors"], row["eth_fcs_errors"], row["eth_symbol_errors"] = ONES, ONES, ONES
    row["eth_single_collisions"], row["eth_multiple_collisions"], row["eth_sqe_test_errors"] = ONES, ONES, ONES
    row["eth_deferred_transmissions"], row["eth_late_collisions"], row["eth_excessive_collisions"] = ONES, ONES, ONES
    row["eth_mac_transmit_errors"], row["eth_carrier_errors"] = ONES, ONES
    row["eth_frames_too_long"], row["eth_mac_receive_errors"] = ONES, ONES
