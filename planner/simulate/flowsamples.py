"""Flow samples as sFlow agents make them: each switch on a flow's path takes one frame in N, at the port it came by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.addressing_text import ipv4_text
from fabric.errors import InputError, Problem
from fabric.samples import FLOW_SCHEMA
from planner.simulate.flows import ROCE_PORT
from planner.simulate.pressure import PACKET

if TYPE_CHECKING:
    from planner.simulate.flows import Flows
    from planner.simulate.paths import Routing
    from planner.simulate.ports import Ports
    from planner.simulate.walk import Hops
    from planner.simulate.wires import Floats, Ints

WRITE_MIDDLE = 0x07
"""RC RDMA WRITE Middle: nearly every packet of a collective's transfers (InfiniBand Architecture 1.4, 9.2)."""
CAPABLE, EXPERIENCED = 2, 3
"""ECN: capable of it (ECT 0), and congestion experienced (RFC 3168)."""
MOST_ROWS = 20_000_000
"""Samples of one interval, at most."""


@dataclass(frozen=True)
class Seen:
    """Where switches see flows: one row a flow and switch."""

    flow: Ints
    into: Ints
    """Channel by which it comes."""
    out: Ints
    place: Ints
    """Hops before it."""


def seen(now: Routing, hops: Hops) -> Seen:
    """Every switch on every path."""
    wires = now.wires
    links = 2 * wires.links
    both = (hops[:, :-1] >= 0) & (hops[:, 1:] >= 0) & (hops[:, :-1] < links)
    flow, place = np.nonzero(both)
    into, out = hops[flow, place].astype(np.int64), hops[flow, place + 1].astype(np.int64)
    return Seen(flow, into, out, place)


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
    def addresses(self) -> tuple[pl.Series, pl.Series]:
        """Source and destination of each flow, as text."""
        return tuple(ipv4_text("0.0.0.0/0", column.astype(np.int64)) for column in _ends(self.now, self.hops))  # type: ignore[return-value]

    def draw(self, moved: Floats, share: Floats, begin_ns: int, end_ns: int, rng: np.random.Generator) -> pl.DataFrame:
        """Samples of an interval, in the order of time. ``moved``: bytes of each flow; ``share``: marked, by channel.

        Every frame is taken with probability 1/N: the number of samples of a flow at a switch is binomial.
        """
        at = self.where
        frames = np.floor(moved / PACKET).astype(np.int64)
        count = rng.binomial(frames[at.flow], 1.0 / self.one_in)
        self._bounded(int(count.sum()))
        row = np.repeat(np.arange(len(at.flow)), count)
        row = row[np.argsort(times := rng.integers(begin_ns, max(end_ns, begin_ns + 1), len(row)), kind="stable")]
        times.sort()
        flow = at.flow[row]
        ecn = np.where(rng.random(len(row)) < self._marked(share)[flow, at.place[row]], EXPERIENCED, CAPABLE)
        names = self.ports.names
        rows = self.port_row
        came = rows[at.into[row] ^ 1]
        source, destination = self.addresses
        n = len(row)
        columns = {
            "time_ns": times, "received_ns": times + 1_000_000,
            "device": names["device"].gather(came), "in_port": names["port"].gather(came),
            "out_port": names["port"].gather(rows[at.out[row]]), "src_ip": source.gather(flow),
            "dst_ip": destination.gather(flow), "src_port": self.many.src_port[flow],
            "dst_port": np.full(n, ROCE_PORT), "dest_qp": self.many.dest_qp[flow], "opcode": np.full(n, WRITE_MIDDLE),
            "ecn": ecn, "priority": pl.repeat(None, n, dtype=pl.UInt8, eager=True), "frame_bytes": np.full(n, PACKET),
            "sampling_rate": np.full(n, self.one_in), "sample_pool": self._pools(at, row),
            "drops": np.zeros(n, dtype=np.int64),
        }  # fmt: skip
        return pl.DataFrame(columns).select(pl.col(name).cast(dtype) for name, dtype in FLOW_SCHEMA.items())

    def _bounded(self, count: int) -> None:
        """Raise InputError where an interval has too many samples."""
        if count > MOST_ROWS:
            what = f"one frame in {self.one_in:,} makes {count:,} flow samples an interval; at most {MOST_ROWS:,}"
            enough = self.one_in * -(-count // MOST_ROWS) * 2
            raise InputError(Problem("--sampling", what, f"take {enough:,} or more, or shorter intervals"))

    def _marked(self, share: Floats) -> Floats:
        """Part of each flow's frames that carry a mark after so many hops and one more."""
        padded = np.append(share, np.zeros(int(self.hops.max(initial=0)) + 2))
        clear = np.where(self.hops >= 0, 1 - padded[self.hops], 1.0)
        found: Floats = 1.0 - np.cumprod(clear, axis=1, dtype=np.float64)
        return found

    @cached_property
    def port_row(self) -> Ints:
        """Row of the port that sends into each channel."""
        found = np.zeros(2 * self.now.wires.links, dtype=np.int64)
        found[self.ports.tx] = np.arange(len(self.ports))
        return found

    def _pools(self, at: Seen, row: Ints) -> Ints:
        """Frames that could have been sampled at the port until then: so many times N as samples were taken."""
        frame = pl.DataFrame({"port": at.into[row]})
        taken = frame.select(pl.int_range(1, pl.len() + 1).over("port")).to_series().to_numpy()
        return (taken * self.one_in) & 0xFFFFFFFF


def _ends(now: Routing, hops: Hops) -> tuple[Ints, Ints]:
    """Addresses of both ends of each flow, by its first and last link."""
    link = np.where(hops >= 0, hops, 0) // 2
    last = link[np.arange(len(hops)), np.maximum((hops >= 0).sum(axis=1) - 1, 0)]
    known = np.zeros(now.wires.links + 1, dtype=np.int64)
    has = now.ends.link >= 0
    known[now.ends.link[has]] = now.ends.ipv4[has]
    inside = (hops[:, 0] >= 0) & (hops[:, 0] < 2 * now.wires.links)
    return tuple(known[np.where(inside, part, now.wires.links)] for part in (link[:, 0], last))  # type: ignore[return-value]
