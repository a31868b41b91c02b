"""Counters of ports: what each interval adds to them, cumulative as devices report them.

Every counter here is in ``fabric/schema/counters.csv``; docs/simulator.md says what each follows from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.pressure import PACKET, REACTION

if TYPE_CHECKING:
    from planner.simulate.ports import Ports
    from planner.simulate.timeline import Window
    from planner.simulate.wires import Floats, Ints, Mask

QUANTA_BITS = 65_535 * 512
"""Longest pause of one PFC frame (IEEE 802.1Qbb: 65,535 quanta of 512 bit times)."""
REFRESH = 2
"""PFC frames a longest pause: neighbours renew before it ends."""
STORM_SECONDS = 0.2
"""Pause without a break after which watchdogs and NICs speak of a storm (SONiC's default)."""
SMALL_BYTES = 128
"""Mean frame of what is no RoCE: routing sessions, neighbour discovery, management."""
SMALL_A_SECOND = 40.0
TICK_SECONDS = 8e-9
MULTICAST_A_SECOND = 1 / 30
"""LLDP: a frame each 30 s."""

Added = dict[str, "Floats"]


class Meters:
    """Sums since each device began: ``sums`` has a counter a row (``names``) and a port a column."""

    def __init__(self, names: tuple[str, ...], ports: int) -> None:
        self.names, self.sums = names, np.zeros((len(names), ports))
        self.moved: Mask = np.zeros(len(names), dtype=np.bool_)
        """Counters that ever rose anywhere; the others stand at 0."""
        self._row = {name: number for number, name in enumerate(names)}

    def add(self, added: Added) -> None:
        """An interval's increments."""
        for name, amount in added.items():
            if amount.any():
                self.moved[self._row[name]] = True
                self.sums[self._row[name]] += amount

    def reset(self, rows: Ints) -> None:
        """A device began anew."""
        self.sums[:, rows] = 0.0


def traffic(ports: Ports, window: Window, seconds: float, rng: np.random.Generator) -> Added:
    """Bytes and packets of an interval, with a trickle of other traffic on every link that works."""
    live = ports.wires.gbps[: 2 * ports.wires.links] > 0
    small = np.where(live, rng.gamma(4.0, SMALL_A_SECOND * seconds / 4.0, len(live)), 0.0).round()
    large = window.total("bytes")
    multicast = np.where(live, rng.poisson(MULTICAST_A_SECOND * seconds, len(live)), 0.0)
    frames = large / PACKET
    added = {}
    for way, channel in (("tx", ports.tx), ("rx", ports.rx)):
        added[f"{way}_bytes"] = (large + SMALL_BYTES * (small + multicast))[channel]
        added[f"{way}_unicast_packets"] = (frames + small)[channel]
        added[f"{way}_multicast_packets"] = multicast[channel].astype(np.float64)
        added[f"{way}_broadcast_packets"] = np.zeros(len(ports))
        added[f"{way}_packets"] = (frames + small + multicast)[channel]
    added["queue_tx_bytes_q0"] = (SMALL_BYTES * small)[ports.tx]
    added["queue_tx_packets_q0"] = small[ports.tx]
    return added


def lossless(ports: Ports, window: Window, priority: int) -> Added:
    """Queue, marks, pauses and drops of the lossless class in an interval."""
    moved, marked = window.total("bytes"), window.total("marked")
    paused, dropped = window.total("paused"), window.total("dropped")
    a_second = REFRESH * ports.gbps * 1e9 / QUANTA_BITS
    p = priority
    added = {
        f"queue_tx_bytes_q{p}": moved[ports.tx], f"queue_tx_packets_q{p}": moved[ports.tx] / PACKET,
        f"queue_ecn_marked_packets_q{p}": marked[ports.tx], "ecn_marked_packets": marked[ports.tx],
        f"priority_rx_discards_p{p}": dropped[ports.rx], "rx_discards": dropped[ports.rx],
        f"rx_pfc_pause_seconds_p{p}": paused[ports.tx], f"tx_pfc_pause_seconds_p{p}": paused[ports.rx],
        f"rx_pfc_frames_p{p}": paused[ports.tx] * a_second, f"tx_pfc_frames_p{p}": paused[ports.rx] * a_second,
    }  # fmt: skip
    added["rx_pfc_port_frames"] = added[f"rx_pfc_frames_p{p}"]
    added["tx_pfc_port_frames"] = added[f"tx_pfc_frames_p{p}"]
    return added


def waiting(ports: Ports, window: Window) -> Added:
    """InfiniBand's waits for credits; the length of a tick is the chip's own, ``TICK_SECONDS`` is ours."""
    return {"tx_wait_ticks": window.total("paused")[ports.tx] / TICK_SECONDS}


def storms(ports: Ports, window: Window, seconds: float, held: Ints, priority: int) -> Added:
    """What watchdogs count where a host's pauses hold a queue, and what they drop there."""
    p = priority
    found = {f"pfc_watchdog_storms_q{p}": np.zeros(len(ports)), f"queue_dropped_packets_q{p}": np.zeros(len(ports))}
    if not len(held):
        return found
    paused = window.total("paused")[ports.tx]
    stuck = np.isin(ports.tx, held) & (paused >= STORM_SECONDS)
    found[f"pfc_watchdog_storms_q{p}"][stuck & ports.switch] = 1.0
    asking = np.isin(ports.tx, held) & (window.peak("watermark")[ports.tx] > 0)
    found[f"queue_dropped_packets_q{p}"][asking] = ports.gbps[asking] * 1e9 / 8 / PACKET * seconds * 0.01
    return found


def hosts(ports: Ports, window: Window, seconds: float, held: Ints, priority: int) -> Added:
    """Hardware counters of NICs; rows of switches are filled too and left out when they are told."""
    p = priority
    moved, echoed = window.total("bytes"), window.total("echoed")
    most = seconds / REACTION * 64
    storm = np.isin(ports.rx, held).astype(np.float64)
    return {
        f"priority_tx_bytes_p{p}": moved[ports.tx], f"priority_rx_bytes_p{p}": moved[ports.rx],
        "ecn_marked_roce_packets": echoed[ports.rx], "cnp_sent_packets": np.minimum(echoed[ports.rx], most),
        "cnp_handled_packets": np.minimum(echoed[ports.tx], most),
        "pause_storm_warnings": storm, "pause_storm_errors": np.zeros(len(ports)),
    }  # fmt: skip


def gauges(ports: Ports, window: Window, priority: int) -> Added:
    """Queues now and at their longest; a port that sends has a few packets in its queue."""
    p = priority
    depth = window.total("queue") / max(float(window.weights.sum()), 1e-12)
    idle = np.where(window.total("bytes") > 0, 4.0 * PACKET, 0.0)
    paused = window.total("paused")
    room = np.where(paused > 0, ports.wires.gbps[: len(paused)] * 1e9 / 8 * 2e-6, 0.0)
    return {
        f"queue_watermark_bytes_q{p}": np.maximum(window.peak("watermark"), idle)[ports.tx],
        f"queue_depth_bytes_q{p}": depth[ports.tx],
        f"headroom_watermark_bytes_p{p}": room[ports.rx],
    }
