"""Flow samples as sFlow agents make them: each switch on a flow's path takes one frame in N, at the port it came by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numba import njit

from fabric.addressing_text import ipv4_text
from fabric.errors import InputError, Problem
from fabric.samples import FLOW_SCHEMA
from planner.simulate.flows import ROCE_PORT
from planner.simulate.kept import kept
from planner.simulate.pressure import PACKET

if TYPE_CHECKING:
    from planner.simulate.flows import Flows
    from planner.simulate.paths import Routing
    from planner.simulate.ports import Ports
    from planner.simulate.walk import Hops
    from planner.simulate.wires import Floats, Ints, Small

WRITE_MIDDLE = 0x07
"""RC RDMA WRITE Middle: nearly every packet of a collective's transfers (InfiniBand Architecture 1.4, 9.2)."""
CAPABLE, EXPERIENCED = 2, 3
"""ECN: capable of it (ECT 0), and congestion experienced (RFC 3168)."""
NUMPY: dict[type[pl.DataType], Any] = {
    pl.Int64: np.int64,
    pl.UInt8: np.uint8,
    pl.UInt16: np.uint16,
    pl.UInt32: np.uint32,
}
INVERTED = 30.0
"""Mean up to which numpy draws binomial numbers by inversion."""
MOST_ROWS = 20_000_000
"""Samples of one interval, at most."""


@dataclass(frozen=True)
class Seen:
    """Where switches see flows: one row a flow and switch."""

    flow: Small
    into: Small
    """Channel by which it comes."""
    out: Small
    place: Small
    """Hops before it."""


def seen(now: Routing, hops: Hops) -> Seen:
    """Every switch on every path."""
    return Seen(*_steps(hops, 2 * now.wires.links))


@njit(cache=True, nogil=True)
def _steps(hops: Hops, links: int) -> tuple[Small, Small, Small, Small]:
    """Each flow's steps from a link to the next channel: flow, both channels, and place of the first."""
    found = np.empty((4, hops.size), np.int32)
    count = 0
    for i in range(len(hops)):
        for place in range(hops.shape[1] - 1):
            if 0 <= hops[i, place] < links and hops[i, place + 1] >= 0:
                found[0, count], found[1, count] = i, hops[i, place]
                found[2, count], found[3, count] = hops[i, place + 1], place
                count += 1
    return found[0, :count].copy(), found[1, :count].copy(), found[2, :count].copy(), found[3, :count].copy()


@dataclass(frozen=True)
class Sampler:
    """Flows with paths, ready to be sampled. ``one_in``: frames a sample."""

    now: Routing
    ports: Ports
    many: Flows
    hops: Hops
    one_in: int

    @cached_property
    def where(self) -> Seen:
        """Where they are seen."""
        return seen(self.now, self.hops)

    @cached_property
    def ends(self) -> tuple[Small, Small]:
        """First and last link of each flow, one more than the last link where it has none."""
        return _ends(self.hops, self.now.wires.links)

    @cached_property
    def addresses(self) -> pl.Series:
        """Address of the host at each link, as text; one row more for no link."""
        wires = self.now.wires
        return kept(wires.plan, ("address of link", wires.network), lambda: _addresses(self.now))

    def draw(self, moved: Floats, share: Floats, begin_ns: int, end_ns: int, rng: np.random.Generator) -> pl.DataFrame:
        """Samples of an interval, in the order of time. ``moved``: bytes of each flow; ``share``: marked, by channel.

        Every frame is taken with probability 1/N: the number of samples of a flow at a switch is binomial.
        """
        at, rows = self.where, self.port_row
        frames = np.floor(moved / PACKET).astype(np.int64)
        count = _taken(frames, at.flow, 1.0 / self.one_in, rng)
        total = int(count.sum())
        self._bounded(total)
        row = _repeated(count, total)
        times = rng.integers(begin_ns, max(end_ns, begin_ns + 1), len(row))
        row, times = _ordered(row, times)
        flow, into = at.flow[row], at.into[row]
        ecn = _marked(rng.random(len(row)), share, self.hops, flow, at.place[row])
        device, port = self.ports.names
        came, address, (source, destination) = _index(rows[into ^ 1]), self.addresses, self.ends
        n = len(row)
        columns = {
            "time_ns": times, "received_ns": times + 1_000_000, "device": device[came], "in_port": port[came],
            "out_port": port[_index(rows[at.out[row]])], "src_ip": address[_index(source[flow])],
            "dst_ip": address[_index(destination[flow])], "src_port": self.many.src_port[flow],
            "dst_port": _full(n, "dst_port", ROCE_PORT), "dest_qp": self.many.dest_qp[flow],
            "opcode": _full(n, "opcode", WRITE_MIDDLE),
            "ecn": ecn, "priority": pl.Series([None], dtype=pl.UInt8).new_from_index(0, n),
            "frame_bytes": _full(n, "frame_bytes", PACKET), "sampling_rate": _full(n, "sampling_rate", self.one_in),
            "sample_pool": _pools(into, len(rows), self.one_in), "drops": _full(n, "drops", 0),
        }  # fmt: skip
        return pl.DataFrame([_column(name, columns[name]) for name in FLOW_SCHEMA])

    def _bounded(self, count: int) -> None:
        """Raise InputError where an interval has too many samples."""
        if count > MOST_ROWS:
            what = f"one frame in {self.one_in:,} makes {count:,} flow samples an interval; at most {MOST_ROWS:,}"
            enough = self.one_in * -(-count // MOST_ROWS) * 2
            raise InputError(Problem("--sampling", what, f"take {enough:,} or more, or shorter intervals"))

    @cached_property
    def port_row(self) -> Ints:
        """Row of the port that sends into each channel."""
        found = np.zeros(2 * self.now.wires.links, dtype=np.int64)
        found[self.ports.tx] = np.arange(len(self.ports))
        return found


def _taken(frames: Ints, flow: Ints | Small, part: float, rng: np.random.Generator) -> Ints:
    """So many of ``frames[flow]`` as are taken if each is with probability ``part``: binomial."""
    if frames.max(initial=0) * part > INVERTED:
        return rng.binomial(frames[flow], part)
    return _inverted(frames, flow, part, rng)


@njit(cache=True, nogil=True)
def _inverted(frames: Ints, flow: Ints | Small, part: float, rng: np.random.Generator) -> Ints:
    """Binomial numbers by inversion (Kachitvichyanukul and Schmeiser 1988, BINV), as numpy draws them.

    A flow's frames are the same at every switch, and so is the chance that none is taken.
    """
    count = np.zeros(len(flow), np.int64)
    many, none, most = -1, 1.0, 0
    for at in range(len(flow)):
        if frames[flow[at]] == 0:
            continue
        if frames[flow[at]] != many:
            many = frames[flow[at]]
            none = np.exp(many * np.log(1.0 - part))
            most = int(min(float(many), many * part + 10.0 * np.sqrt(many * part * (1.0 - part) + 1)))
        taken, chance, left = 0, none, rng.random()
        while left > chance:
            taken += 1
            if taken > most:
                taken, chance, left = 0, none, rng.random()
            else:
                left -= chance
                chance = ((many - taken + 1) * part * chance) / (taken * (1.0 - part))
        count[at] = taken
    return count


@njit(cache=True, nogil=True)
def _repeated(count: Ints, total: int) -> Ints:
    """Each place so often as its count says."""
    found, filled = np.empty(total, np.int64), 0
    for at in range(len(count)):
        for _ in range(count[at]):
            found[filled] = at
            filled += 1
    return found


def _ordered(row: Ints, times: Ints) -> tuple[Ints, Ints]:
    """Both by time, equal times in the order given: places go into the bits that the times leave free."""
    first, bits = int(times[0]) if len(times) else 0, len(times).bit_length()
    first = int(times.min(initial=first))
    if int(times.max(initial=first)) - first >= 1 << (63 - bits):
        order = np.argsort(times, kind="stable")
        return row[order], times[order]
    both = np.sort(((times - first) << bits) | np.arange(len(times)))
    return row[both & ((1 << bits) - 1)], (both >> bits) + first


def _index(rows: Ints | Small) -> pl.Series:
    """Rows as polars takes them without a look at each."""
    return pl.Series(rows.astype(np.uint32))


def _column(name: str, values: Any) -> pl.Series:
    dtype = FLOW_SCHEMA[name]
    return (
        values.alias(name)
        if isinstance(values, pl.Series)
        else pl.Series(name, values.astype(NUMPY[dtype], copy=False))
    )


def _full(count: int, name: str, value: int) -> Ints:
    """One number in all rows of a column."""
    found: Ints = np.full(count, value, dtype=NUMPY[FLOW_SCHEMA[name]])
    return found


@njit(cache=True, nogil=True)
def _marked(draw: Floats, share: Floats, hops: Hops, flow: Small, place: Small) -> Ints:
    """ECN of each sample: marked at a hop so far or the one that follows, with each channel's share of marks.

    Channels after the last share mark nothing: they are inside hosts.
    """
    ecn = np.empty(len(draw), np.int64)
    for at in range(len(draw)):
        clear = 1.0
        for hop in range(place[at] + 1):
            channel = hops[flow[at], hop]
            clear *= 1.0 - (share[channel] if channel < len(share) else 0.0)
        ecn[at] = EXPERIENCED if draw[at] < 1.0 - clear else CAPABLE
    return ecn


@njit(cache=True, nogil=True)
def _pools(into: Small, channels: int, one_in: int) -> Ints:
    """Frames that could have been sampled at the port until then: so many times N as samples were taken."""
    taken, found = np.zeros(channels, np.int64), np.empty(len(into), np.int64)
    for at in range(len(into)):
        taken[into[at]] += 1
        found[at] = (taken[into[at]] * one_in) & 0xFFFFFFFF
    return found


@njit(cache=True, nogil=True)
def _ends(hops: Hops, links: int) -> tuple[Small, Small]:
    """First and last link of each flow; ``links`` for one without a path, or inside a host."""
    first, last = np.full(len(hops), links, np.int32), np.full(len(hops), links, np.int32)
    for i in range(len(hops)):
        if 0 <= hops[i, 0] < 2 * links:
            first[i] = hops[i, 0] // 2
            for hop in range(hops.shape[1]):
                if hops[i, hop] >= 0:
                    last[i] = hops[i, hop] // 2
    return first, last


def _addresses(now: Routing) -> pl.Series:
    known = np.zeros(now.wires.links + 1, dtype=np.int64)
    has = now.ends.link >= 0
    known[now.ends.link[has]] = now.ends.ipv4[has]
    return ipv4_text("0.0.0.0/0", known)
