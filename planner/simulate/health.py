"""Links as such: status, codewords, optics, losses; and what faults of links add."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.events import BYTES_A_GBPS_SECOND
from planner.simulate.pressure import PACKET

if TYPE_CHECKING:
    from planner.simulate.faults import Fault
    from planner.simulate.meters import Added
    from planner.simulate.ports import Ports
    from planner.simulate.timeline import Window
    from planner.simulate.wires import Floats, Ints, Mask

CODEWORD_BITS = 5440
"""RS(544, 514) of 10-bit symbols (IEEE 802.3, clause 91)."""
CORRECTED = 1e-6
"""Codewords with a bad symbol on a healthy PAM4 link, over all; ports differ by some tenfold."""
BINS = 16
EACH_BIN = 30.0
"""A codeword with one more bad symbol is so many times rarer."""
RATE = 50.0
"""Bad codewords, or drops, a second, where the script does not say."""
PER_BAD_CODEWORD = {
    "fec_uncorrectable_codewords": 1.0, "rx_fcs_errors": 0.8, "rx_errors": 0.8, "rx_symbol_errors": 12.0,
    "fec_corrected_codewords": 1e4, "link_recoveries": 0.002,
}  # fmt: skip
"""What a link in trouble counts for each codeword that could not be corrected."""
LOSS = 1e-3
EVERY = 15.0
DOWN = 0.2
"""Part of its time that a flapping link is down."""
SLOW_HOSTS = ("slow-receiver", "slow-rail", "config-drift")
"""Faults in which a host does not keep up with its own link: its NIC waits for the host's memory."""
WAITS = 3
"""Healthy NICs wait for less than so many hundredths of the time that they are busy; hosts differ."""
RX_DBM, TX_DBM, BIAS, CELSIUS, VOLTS = -2.0, 1.0, 0.06, 45.0, 3.3


def codewords(ports: Ports, seconds: float, rng: np.random.Generator, *, bins: bool) -> Added:
    """Codewords of an interval on links that work: corrected ones are never zero, and come in bursts."""
    live = ports.wires.gbps[ports.rx] > 0
    total = np.where(live, ports.gbps * 1e9 / CODEWORD_BITS * seconds, 0.0)
    own = 10 ** (ports.drawn(6) / 1000.0 - 0.5)
    corrected = rng.poisson(np.minimum(total * CORRECTED * own * rng.lognormal(0.0, 0.5, len(ports)), 1e15))
    added = {
        "fec_corrected_codewords": corrected.astype(np.float64),
        "fec_uncorrectable_codewords": np.zeros(len(ports)),
    }
    if not bins:
        return added
    for number in range(1, BINS):
        part = corrected * (1 - 1 / EACH_BIN) / EACH_BIN ** (number - 1)
        added[f"fec_codewords_b{number}"] = np.floor(part)
    added["fec_codewords_b0"] = total - corrected
    return added


def errors(
    ports: Ports, faults: Iterable[Fault], share: Floats, seconds: float, rng: np.random.Generator, priority: int
) -> Added:
    """Bad codewords of links in trouble and packets dropped by the lossless queue, at the port of the script."""
    dropped = ("tx_discards", f"queue_dropped_packets_q{priority}")
    added = {name: np.zeros(len(ports)) for name in (*PER_BAD_CODEWORD, *dropped)}
    for fault, part in zip(faults, share, strict=True):
        if fault.kind == "link-errors":
            rows = ports.of(fault)
            bad = rng.poisson((fault.rate or RATE) * seconds * part * rng.lognormal(0.0, 0.3), len(rows))
            for name, factor in PER_BAD_CODEWORD.items():
                added[name][rows] += np.floor(bad * factor)
        elif fault.kind == "lossless-drop":
            count = rng.poisson((fault.rate or RATE) * seconds * part)
            for name in dropped:
                added[name][ports.of(fault)] += count
    return added


def lost(ports: Ports, faults: Iterable[Fault], share: Floats, moved: Floats) -> Floats:
    """By channel: packets that left one end and did not reach the other, of the bytes moved."""
    found = np.zeros(len(moved))
    for fault, part in zip(faults, share, strict=True):
        if fault.kind == "grey-loss":
            rx = ports.rx[ports.of(fault)]
            found[rx] += moved[rx] / PACKET * (fault.share or LOSS) * part
        elif fault.kind == "link-errors":
            rx = ports.rx[ports.of(fault)]
            found[rx] += np.minimum(moved[rx] / PACKET, (fault.rate or RATE) * part)
    return found


def missed(ports: Ports, window: Window, gone: Floats) -> Added:
    """What NICs count of lost packets: gaps at the receivers of flows that crossed the links, retries at senders."""
    receives, sends = np.zeros(len(gone)), np.zeros(len(gone))
    for channel in np.flatnonzero(gone).tolist():
        first, last, part = _through(window, channel, len(gone))
        np.add.at(receives, last, gone[channel] * part)
        np.add.at(sends, first, gone[channel] * part)
    gaps, retries = receives[ports.rx].round(), sends[ports.tx].round()
    return {
        "roce_out_of_sequence_packets": gaps, "roce_sequence_errors": retries,
        "roce_adaptive_retransmissions": retries, "roce_ack_timeouts": np.floor(retries / 100),
    }  # fmt: skip


def _through(window: Window, channel: int, links: int) -> tuple[Ints, Ints, Floats]:
    """First and last channels of the flows over a channel, and each flow's part of its bytes."""
    first, last, moved = [], [], []
    for weight, span in zip(window.weights, window.line.spans, strict=True):
        here = np.flatnonzero(span.items == channel) if weight > 0 else np.empty(0, int)
        rates = span.rates if span.endless else span.rates * span.until / max(span.seconds, 1e-12)
        flow = np.searchsorted(span.start, here, side="right") - 1
        first.append(span.items[span.start[flow]])
        last.append(span.items[span.start[flow + 1] - 1])
        moved.append(rates[flow] * weight * BYTES_A_GBPS_SECOND)
    ends = [np.concatenate(part).astype(np.int64) for part in (first, last)]
    total = np.concatenate(moved)
    inside = ends[0] < links
    return ends[0][inside], ends[1][inside], total[inside] / max(float(total.sum()), 1e-12)


def stalls(ports: Ports, faults: Iterable[Fault], share: Floats, moved: Floats, seconds: float) -> Added:
    """Share of the time that each host's NIC waits for the host: what its bytes take beyond their time at line rate.

    Reads are of what it sends, writes of what it receives; whole hundredths, as NICs tell them; NaN on switches.
    """
    line = ports.gbps * BYTES_A_GBPS_SECOND
    slow = np.zeros(len(ports), dtype=np.bool_)
    for fault, part in zip(faults, share, strict=True):
        if part > 0 and fault.kind in SLOW_HOSTS and (fault.setting in (None, "pcie")):
            slow |= _rows(ports, fault)
    found = {}
    for name, channel in (("read", ports.tx), ("write", ports.rx)):
        speed = ports.wires.gbps[channel] * BYTES_A_GBPS_SECOND
        takes = np.divide(moved[channel], speed, out=np.zeros(len(ports)), where=slow & (speed > 0))
        busy = moved[channel] / line
        waits = np.maximum(takes - busy, 0.0) + busy * (ports.stirred(9) % WAITS) / 100
        percent = np.floor(100 * np.minimum(waits / seconds, 1.0))
        found[f"pcie_{name}_stalled_share"] = np.where(ports.switch, np.nan, percent / 100)
    return found


def _rows(ports: Ports, fault: Fault) -> Mask:
    """Ports of a fault's host, on its rail where it has one."""
    found: Mask = (ports.names["device"] == (fault.host or fault.device)).to_numpy()
    if fault.rail is not None:
        links = ports.wires.plan.fabric.links["rail"].fill_null(0).to_numpy()[ports.tx // 2]
        found &= links == fault.rail
    return found


def downs(ports: Ports, faults: Iterable[Fault], begin: float, end: float) -> tuple[Mask, Floats]:
    """Which ports are down at the end of an interval, and how often each went down in it."""
    down = ports.wires.gbps[ports.tx] <= 0
    count = np.zeros(len(ports))
    for fault in faults:
        if fault.kind not in ("link-down", "link-flap", "reboot"):
            continue
        rows = ports.of(fault)
        rows = np.unique(np.concatenate([rows, ports.peer[rows]]))
        times = np.array([fault.start])
        if fault.kind == "link-flap":
            every = fault.every or EVERY
            times = np.arange(fault.start, fault.end, every)
            down[rows] = fault.start <= end < fault.end and (end - fault.start) % every < DOWN * every
        count[rows] += ((times >= begin) & (times < end)).sum()
    return down, count


def optics(ports: Ports, faults: Iterable[Fault], rng: np.random.Generator) -> Added:
    """Power, bias and temperature; a link with errors has too little light."""
    dim = np.zeros(len(ports))
    for fault in faults:
        if fault.kind == "link-errors":
            dim[ports.of(fault)] = 5.0
    own = ports.drawn(7) / 1000.0
    found = {}
    for lane in range(int(ports.lanes.max(initial=1))):
        has = np.where(lane < ports.lanes, 0.0, np.nan)
        wobble = rng.normal(0.0, 0.05, len(ports))
        found[f"rx_power_dbm_l{lane}"] = RX_DBM + own - dim + wobble + has
        found[f"tx_power_dbm_l{lane}"] = TX_DBM + own + has
        found[f"tx_bias_amperes_l{lane}"] = BIAS + 0.01 * own + has
    found["module_temperature_celsius"] = CELSIUS + 10 * own + rng.normal(0.0, 0.3, len(ports))
    found["module_voltage_volts"] = VOLTS + 0.02 * own
    return found
