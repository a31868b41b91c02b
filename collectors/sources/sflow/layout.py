"""The rows that the decoder fills, as numpy record types, and the numbers of the format."""

from __future__ import annotations

import numpy as np

VERSION = 5
FLOW, COUNTERS, EXPANDED_FLOW, EXPANDED_COUNTERS = 1, 2, 3, 4
"""Formats of samples of enterprise 0."""
RAW_HEADER, ETHERNET_DATA, IPV4_DATA, IPV6_DATA = 1, 2, 3, 4
"""Formats of flow records that are read."""
GENERIC, ETHERNET, PORT_NAME = 1, 2, 1005
"""Formats of counter records that are read; 1005 is the interface's name, as Open vSwitch and hsflowd send it."""
LINK_ETHERNET, LINK_IPV4, LINK_IPV6 = 1, 11, 12
"""``header_protocol`` of a sampled header that is parsed."""

HEAD_BYTES = {1: 28, 2: 40}
"""Length of a datagram's head by the type of the agent's address (1 IPv4, 2 IPv6)."""
LEAST_SAMPLE = 20
"""Bytes of the shortest sample that can make a row, its type and length included: bounds the rows of a datagram."""
MOST_NAME = 64
"""Longest name of an interface that is learned, in bytes."""

# How a datagram ended.
OK, SHORT, VERSIONS, MALFORMED, OVERSIZED, UNKNOWN_AGENT, UNKNOWN_SOURCE, DUPLICATE = range(8)

# What a flow's row has.
HAS_FRAME, HAS_IPV4, HAS_IPV6, HAS_PORTS, HAS_BTH, HAS_TAG = 1, 2, 4, 8, 16, 32
HAS_GENERIC, HAS_ETHERNET = 1, 2

HEAD = np.dtype(
    [
        ("start", "i8"), ("length", "i4"), ("status", "u1"), ("received", "i8"), ("source_hi", "u8"),
        ("source_lo", "u8"), ("agent_hi", "u8"), ("agent_lo", "u8"), ("sub_agent", "u4"), ("sequence", "u4"),
        ("uptime", "u4"), ("samples", "u4"), ("body", "i8"), ("target", "i4"),
    ]
)  # fmt: skip
"""One datagram: where it lies, from whom it came, what its head says, which target it is of (-1: none)."""

FLOWS = np.dtype(
    [
        ("received", "i8"), ("target", "i4"), ("flags", "u2"), ("in_format", "u1"), ("out_format", "u1"),
        ("in_if", "u4"), ("out_if", "u4"), ("rate", "u4"), ("pool", "u4"), ("drops", "u4"), ("frame_bytes", "u4"),
        ("src_hi", "u8"), ("src_lo", "u8"), ("dst_hi", "u8"), ("dst_lo", "u8"), ("src_port", "u2"), ("dst_port", "u2"),
        ("dest_qp", "u4"), ("psn", "u4"), ("protocol", "u1"), ("opcode", "u1"), ("ecn", "u1"), ("priority", "u1"),
    ]
)  # fmt: skip
"""One flow sample. ``in_format`` and ``out_format``: 0 an ifIndex, 1 discarded, 2 several interfaces. Addresses are two
words, IPv4 as its IPv4-mapped IPv6 address."""

GENERIC_FIELDS = (
    ("if_type", 4), ("if_speed", 8), ("if_direction", 4), ("if_status", 4), ("if_in_octets", 8), ("if_in_unicast", 4),
    ("if_in_multicast", 4), ("if_in_broadcast", 4), ("if_in_discards", 4), ("if_in_errors", 4),
    ("if_in_unknown_protocols", 4), ("if_out_octets", 8), ("if_out_unicast", 4), ("if_out_multicast", 4),
    ("if_out_broadcast", 4), ("if_out_discards", 4), ("if_out_errors", 4), ("if_promiscuous", 4),
)  # fmt: skip
"""Record 1 after its ifIndex, in order: name and bytes."""
ETHERNET_FIELDS = tuple(
    (f"eth_{name}", 4)
    for name in (
        "alignment_errors", "fcs_errors", "single_collisions", "multiple_collisions", "sqe_test_errors",
        "deferred_transmissions", "late_collisions", "excessive_collisions", "mac_transmit_errors", "carrier_errors",
        "frames_too_long", "mac_receive_errors", "symbol_errors",
    )
)  # fmt: skip
"""Record 2, in order."""
GENERIC_BYTES = 4 + sum(size for _, size in GENERIC_FIELDS)
ETHERNET_BYTES = sum(size for _, size in ETHERNET_FIELDS)

INTERFACES = np.dtype(
    [("received", "i8"), ("target", "i4"), ("flags", "u1"), ("ifindex", "u4")]
    + [(name, f"u{size}") for name, size in GENERIC_FIELDS + ETHERNET_FIELDS]
)
"""One counter sample with record 1 or 2. All ones in a counter: the agent does not have it."""

NAMES = np.dtype([("target", "i4"), ("ifindex", "u4"), ("hash", "u8"), ("length", "u1"), ("text", "u1", (MOST_NAME,))])
"""An agent's name for an interface."""
