"""The sampled frame: Ethernet with tags, IPv4 or IPv6, ports, and RoCEv2's base transport header.

Addresses, ports and ECN are of the outermost IP header, because that is what the fabric hashes and marks. The base
transport header (InfiniBand Architecture 1.4, 9.2; UDP port 4791, Annex A17) may also be inside one VXLAN header
(RFC 7348). What the header was cut off before is absent, never guessed.
"""

from __future__ import annotations

from collectors.sources.sflow.jit import Bytes, Row, compiled
from collectors.sources.sflow.layout import (
    HAS_BTH,
    HAS_IPV4,
    HAS_IPV6,
    HAS_PORTS,
    HAS_TAG,
    LINK_ETHERNET,
    LINK_IPV4,
    LINK_IPV6,
)

IPV4, IPV6 = 0x0800, 0x86DD
TAGS = (0x8100, 0x88A8, 0x9100, 0x9200)
TCP, UDP, SCTP = 6, 17, 132
ROCE, VXLAN = 4791, 4789
FRAGMENT, AUTHENTICATION = 44, 51
MOST_TAGS, MOST_EXTENSIONS = 4, 8
CNP = 0x81
"""Opcode of a congestion notification packet."""
MAPPED = 0xFFFF00000000
"""An IPv4 address above its 32 bits as an IPv4-mapped IPv6 address."""


@compiled
def u16(buf: Bytes, at: int) -> int:
    """Two bytes, the highest first."""
    return (int(buf[at]) << 8) | int(buf[at + 1])


@compiled
def u32(buf: Bytes, at: int) -> int:
    """Four bytes, the highest first."""
    return (int(buf[at]) << 24) | (int(buf[at + 1]) << 16) | (int(buf[at + 2]) << 8) | int(buf[at + 3])


@compiled
def frame(buf: Bytes, at: int, end: int, link: int, row: Row) -> None:
    """Fill ``row`` (of ``layout.FLOWS``) from the header at ``buf[at:end]`` of link type ``link``."""
    kind = 0
    if link == LINK_ETHERNET:
        kind, at = ethertype(buf, at, end)
        if kind > 0xFFFF:
            row["priority"] = kind >> 16 & 7
            row["flags"] |= HAS_TAG
            kind &= 0xFFFF
    elif link == LINK_IPV4:
        kind = IPV4
    elif link == LINK_IPV6:
        kind = IPV6
    if not addresses(buf, at, end, kind, row):
        return
    protocol, at, end = transport(buf, at, end, kind)
    row["protocol"] = protocol & 0xFF
    if at + 4 <= end and protocol in (TCP, UDP, SCTP):
        row["src_port"], row["dst_port"] = u16(buf, at), u16(buf, at + 2)
        row["flags"] |= HAS_PORTS
    if protocol == UDP:
        _roce(buf, at, end, row)


@compiled
def ethertype(buf: Bytes, at: int, end: int) -> tuple[int, int]:
    """What a frame holds and where it begins; above 0xFFFF: 8 + priority of the outermost tag. 0: nothing known."""
    if at + 14 > end:
        return 0, end
    kind, at, mark = u16(buf, at + 12), at + 14, 0
    for _ in range(MOST_TAGS):
        if kind not in TAGS:
            break
        if at + 4 > end:
            return mark, end
        if mark == 0:
            mark = (8 | int(buf[at]) >> 5) << 16
        kind, at = u16(buf, at + 2), at + 4
    return mark | kind, at


@compiled
def addresses(buf: Bytes, at: int, end: int, kind: int, row: Row) -> bool:
    """Fill addresses and ECN from the IP header at ``at``; False if there is none."""
    if not header(buf, at, end, kind):
        return False
    if kind == IPV4:
        row["src_lo"], row["dst_lo"] = MAPPED | u32(buf, at + 12), MAPPED | u32(buf, at + 16)
        row["ecn"] = buf[at + 1] & 3
        row["flags"] |= HAS_IPV4
    else:
        row["src_hi"], row["src_lo"] = u64(buf, at + 8), u64(buf, at + 16)
        row["dst_hi"], row["dst_lo"] = u64(buf, at + 24), u64(buf, at + 32)
        row["ecn"] = buf[at + 1] >> 4 & 3
        row["flags"] |= HAS_IPV6
    return True


@compiled
def header(buf: Bytes, at: int, end: int, kind: int) -> bool:
    """Whether a whole IP header of the kind begins at ``at`` (IPv4's options may be cut off)."""
    if kind == IPV4:
        return at + 20 <= end and int(buf[at]) >> 4 == 4 and int(buf[at]) & 15 >= 5
    return kind == IPV6 and at + 40 <= end and int(buf[at]) >> 4 == 6


@compiled
def transport(buf: Bytes, at: int, end: int, kind: int) -> tuple[int, int, int]:
    """Protocol above IP, where its header begins and ends; it begins at the end where it cannot be seen."""
    if kind == IPV4:
        size, total, protocol = (int(buf[at]) & 15) * 4, u16(buf, at + 2), int(buf[at + 9])
        # A frame handed over before segmentation says 0.
        end = min(end, at + total) if total >= size else end
        # What begins past the end, or is a later fragment, has no header here.
        hidden = at + size > end or u16(buf, at + 6) & 0x1FFF != 0
        return protocol, end if hidden else at + size, end
    size = u16(buf, at + 4)
    end = min(end, at + 40 + size) if size > 0 else end
    return extensions(buf, int(buf[at + 6]), at + 40, end)


@compiled
def extensions(buf: Bytes, protocol: int, at: int, end: int) -> tuple[int, int, int]:
    """Walk IPv6's extension headers (RFC 8200, 4): hop-by-hop, routing, fragment, destination, authentication."""
    for _ in range(MOST_EXTENSIONS):
        if protocol not in (0, 43, FRAGMENT, AUTHENTICATION, 60):
            return protocol, min(at, end), end
        if at + 8 > end:
            return protocol, end, end
        following = int(buf[at])
        if protocol == FRAGMENT and u16(buf, at + 2) & 0xFFF8 != 0:
            return following, end, end
        units = int(buf[at + 1])
        at += 8 if protocol == FRAGMENT else (units + 2) * 4 if protocol == AUTHENTICATION else (units + 1) * 8
        protocol = following
    return protocol, end, end


@compiled
def _roce(buf: Bytes, at: int, end: int, row: Row) -> None:
    """The base transport header after UDP at ``at``, straight or inside one VXLAN header."""
    if at + 8 > end:
        return
    port, at = u16(buf, at + 2), at + 8
    if port == VXLAN and at + 8 <= end and buf[at] & 8:
        port, at, end = _inside(buf, at + 8, end)
    if port == ROCE and at + 12 <= end:
        row["opcode"] = buf[at]
        row["dest_qp"] = u32(buf, at + 4) & 0xFFFFFF
        row["psn"] = u32(buf, at + 8) & 0xFFFFFF
        row["flags"] |= HAS_BTH


@compiled
def _inside(buf: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """UDP port to which the frame inside goes, and where its payload begins and ends; port 0: not UDP."""
    kind, at = ethertype(buf, at, end)
    kind &= 0xFFFF
    if not header(buf, at, end, kind):
        return 0, end, end
    protocol, at, end = transport(buf, at, end, kind)
    if protocol != UDP or at + 8 > end:
        return 0, end, end
    return u16(buf, at + 2), at + 8, end


@compiled
def u64(buf: Bytes, at: int) -> int:
    """Eight bytes, the highest first, as a signed number with the same bits."""
    return (u32(buf, at) << 32) | u32(buf, at + 4)
