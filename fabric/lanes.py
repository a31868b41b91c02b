"""Which lanes a port runs on, and which two ports can be joined.

A port of G Gb/s runs on n electrical lanes of G/n each: at most those its breakout gives it, none faster than the
hardware's. Two ports can be joined where they have a number of lanes in common, or where a common optic changes it.
"""

from __future__ import annotations

from fabric.catalogue.models import CAGE_LANES, LANE_GBPS, CageGroup, Mode, NicGroup

CONVERTED: dict[int, tuple[frozenset[int], ...]] = {
    100: (frozenset({4, 1}), frozenset({2, 1})),
    400: (frozenset({8, 4}),),
}
"""Numbers of electrical lanes that one optical interface serves: 100GBASE-DR is one wavelength behind four or two
lanes (IEEE 802.3cu), 400GBASE-DR4 four fibres behind eight lanes (IEEE 802.3bs)."""


def lane_counts(lanes: int, speed_gbps: int, fastest_gbps: int) -> frozenset[int]:
    """Numbers of lanes n ≤ ``lanes``, powers of two, on which ``speed_gbps`` fits: speed/n ≤ ``fastest_gbps``."""
    powers = (1 << k for k in range(lanes.bit_length()))
    return frozenset(n for n in powers if n <= lanes and speed_gbps <= n * fastest_gbps)


def switch_lanes(group: CageGroup, mode: Mode, speed_gbps: int | None = None) -> frozenset[int]:
    """Lanes on which a port of the cage runs in a breakout, at its own speed or a lower one."""
    fastest = -(-group.bandwidth_gbps // group.lanes)
    return lane_counts(group.lanes // mode.ports, speed_gbps or mode.speed_gbps, fastest)


def nic_lanes(nic: NicGroup) -> frozenset[int]:
    """Lanes on which a port of the NIC runs; lanes of 200 Gb/s only where the NIC is made for 800 Gb/s or more."""
    fastest = LANE_GBPS[nic.cage] if nic.speed_gbps >= 800 else min(LANE_GBPS[nic.cage], 100)
    return lane_counts(CAGE_LANES[nic.cage] // nic.ports_per_cage, nic.speed_gbps, fastest)


def joined(a: frozenset[int], b: frozenset[int], speed_gbps: int) -> bool:
    """Whether two ports can be joined at ``speed_gbps``: a number of lanes in common, or an optic that changes it."""
    if a & b:
        return True
    return any(pair & a and pair & b for pair in CONVERTED.get(speed_gbps, ()))
