"""What a lossless RoCE network is likely to need: ECN thresholds and PFC headroom by speed and length.

Planning figures: marked ``estimate`` wherever they are printed, until a switch has been measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from fabric.catalogue.models import Asic
from fabric.intent.qos import Ecn, Qos

LIGHT_IN_FIBRE = 1.98e8
"""Metres a second, as SONiC's buffer model has it."""
PAUSE_QUANTA = {800: 905, 400: 905, 200: 453, 100: 394, 50: 147, 25: 80}
"""Quanta of 64 B in which a peer stops, by Gb/s (SONiC's dynamic buffer model; IEEE 802.3 31B)."""
LOSSLESS_MTU = 1024
"""Packet of the lossless traffic pattern in bytes: SONiC's default, RoCE's path MTU up to 1024."""
SMALLEST_PACKET = 64


@dataclass(frozen=True)
class Thresholds:
    """ECN marking of one speed; ``published`` is false where it was scaled from a speed that has a row."""

    kmin_kb: int
    kmax_kb: int
    pmax: Fraction
    published: bool


def thresholds(speed_gbps: int, qos: Qos) -> Thresholds:
    """The row of that speed, else the fastest row scaled by speed, rounded to whole kB."""
    row = qos.ecn_for(speed_gbps)
    if row is not None:
        return Thresholds(row.kmin_kb, row.kmax_kb, row.pmax, published=True)
    top: Ecn = max(qos.ecn, key=lambda ecn: ecn.speed_gbps)
    scale = Fraction(speed_gbps, top.speed_gbps)
    return Thresholds(round(top.kmin_kb * scale), round(top.kmax_kb * scale), top.pmax, published=False)


def mlx5e_headroom(speed_gbps: int, length_m: float, mtu: int) -> int | None:
    """Bytes a port takes after it has asked for pause: ``(301 + 2.16·len)·speed + 2.72·MTU``; None below 40 Gb/s.

    Linux' mlx5e driver (en/port_buffer.c).
    """
    if speed_gbps < 40:
        return None
    return round((301 + 2.16 * length_m) * speed_gbps + 2.72 * mtu)


def sonic_headroom(speed_gbps: int, length_m: float, mtu: int, asic: Asic | None) -> int | None:
    """Bytes by SONiC's dynamic buffer model, in whole KiB; None where the chip's figures or the speed are not known.

    ``propagation = MTU + 2·len·speed/(8·1.98e8) + 2·gearbox + MAC and PHY delay + pause_quanta·64``;
    ``xoff = lossless_mtu + propagation·cell_occupancy`` (buffer_headroom_mellanox.lua).
    """
    if asic is None or asic.cell_bytes is None or asic.mac_phy_delay_kib is None or speed_gbps not in PAUSE_QUANTA:
        return None
    on_cable = 2 * length_m * speed_gbps * 1e9 / (8 * LIGHT_IN_FIBRE)
    gearbox = 2 * (asic.gearbox_delay_ns or 0) * speed_gbps / 8
    propagation = mtu + on_cable + gearbox + asic.mac_phy_delay_kib * 1024 + PAUSE_QUANTA[speed_gbps] * 64
    return ceil((LOSSLESS_MTU + propagation * cell_occupancy(asic.cell_bytes)) / 1024) * 1024


def cell_occupancy(cell_bytes: int) -> float:
    """Buffer a byte takes at worst, when all packets are smallest: SONiC's worst-case factor."""
    if cell_bytes > 2 * SMALLEST_PACKET:
        return cell_bytes / SMALLEST_PACKET
    return 2 * cell_bytes / (1 + cell_bytes)
