"""Tables of flow samples and counters to the datagrams that agents would send of them: for replay, tests, benchmarks.

The inverse of ``decode`` for what FLOW_SCHEMA and ``counters.csv`` hold. A flow's frame is Ethernet, a tag where there
is a priority, IP, UDP where there are ports, and RoCEv2's base transport header where there is a queue pair and the
destination port is 4791. Counters of 32 bits on the wire wrap there, as an agent's do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from collectors.sources.sflow.jit import Bytes, Ints, Longs
from collectors.sources.sflow.layout import MOST_NAME
from collectors.sources.sflow.lookup import Lookup
from collectors.sources.sflow.untables import flow_rows, interface_rows
from collectors.sources.sflow.write import LARGEST_SAMPLE, pack
from fabric.errors import InputError, Problem

MOST_BYTES = 1400
"""Of a datagram, unless told otherwise: what the format suggests."""
HEADER_BYTES = 128
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Speaker:
    """An agent as it is written: its address, and the ifIndex (1 and up) of each port."""

    device: str
    address: str
    ifindex: Mapping[str, int]
    sub_agent: int = 0


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams in one array of bytes: where each begins, its length, when it is sent (ns) and by which speaker."""

    data: Bytes
    starts: Longs
    lengths: Longs
    times: Longs
    speakers: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[bytes]:
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield self.data[start : start + length].tobytes()


@dataclass
class Encoder:
    """Writes datagrams of ``speakers``, numbered on from call to call; times of later calls must not be earlier.

    ``gather_ns``: a sample waits for others at most so long; ``names``: interfaces tell their names (record 1005);
    ``expanded``: the expanded forms of samples also where the short ones would do. Raises InputError for devices and
    ports that no speaker has, and for addresses that are none.
    """

    speakers: Sequence[Speaker]
    most_bytes: int = MOST_BYTES
    header_bytes: int = HEADER_BYTES
    gather_ns: int = SECOND
    names: bool = True
    expanded: bool = False
    boot_ns: int | None = None
    """When all agents started; a second before the first sample unless given."""
    _ports: Lookup = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.most_bytes < LARGEST_SAMPLE + 40 + self.header_bytes:
            raise InputError(Problem("sflow: datagrams", f"{self.most_bytes} bytes do not hold a sample"))
        most = sum(len(one.ifindex) + 1 for one in self.speakers)
        self._ports = Lookup(most)
        self._numbered = np.zeros((most, 2), np.uint32)
        self._sent = np.zeros(len(self.speakers), np.uint32)
        self._heads = np.array([_head(one) for one in self.speakers], np.uint8).reshape(-1, HEAD_ROW)
        self._fill_ports()

    def _fill_ports(self) -> None:
        """A place for the numbers of each source of samples; text and length of each port's name."""
        self._texts = np.zeros((len(self._numbered), MOST_NAME + 1), np.uint8)
        at = 0
        for index, one in enumerate(self.speakers):
            for name, ifindex in [("", 0), *one.ifindex.items()]:
                self._ports.put(index, ifindex, at)
                text = name.encode() if self.names and len(name.encode()) <= MOST_NAME else b""
                self._texts[at, 0] = len(text)
                self._texts[at, 1 : 1 + len(text)] = np.frombuffer(text, np.uint8)
                at += 1

    def encode(self, flows: pl.DataFrame | None = None, counters: pl.DataFrame | None = None) -> Datagrams:
        """Datagrams of all rows, by time; ``flows`` of FLOW_SCHEMA, ``counters`` a table of counters."""
        flow = flow_rows(flows, self.speakers)
        interface = interface_rows(counters, self.speakers)
        targets = np.concatenate([flow["target"], interface["target"]])
        times = np.concatenate([flow["received"], interface["received"]])
        if self.boot_ns is None and len(times):
            self.boot_ns = int(times.min()) - SECOND
        order = np.lexsort((times, targets))
        count = len(order)
        out = np.zeros(count * (LARGEST_SAMPLE + 40 + self.header_bytes), np.uint8)
        table = np.zeros((4, count), np.int64)
        limits = np.array(
            [self.most_bytes, self.header_bytes, self.gather_ns, self.boot_ns or 0, self.expanded], np.int64
        )
        made = pack(
            order, flow, interface, limits, self._heads, self._ports.keys, self._ports.values, self._texts,
            self._numbered, self._sent, out, table,
        )  # fmt: skip
        table = table[:, :made]
        table = table[:, np.argsort(table[2], kind="stable")]
        return Datagrams(out, table[0], table[1], table[2], table[3].astype(np.int32))


HEAD_ROW = 25
"""Bytes of a speaker's head: how many of the next are used (8 or 20), type and agent address, sub-agent."""


def _head(speaker: Speaker) -> list[int]:
    import ipaddress

    try:
        address = ipaddress.ip_address(speaker.address)
    except ValueError:
        raise InputError(Problem(f"{speaker.device}: {speaker.address}", "is no IP address")) from None
    kind = (1 if address.version == 4 else 2).to_bytes(4, "big")
    text = kind + address.packed + speaker.sub_agent.to_bytes(4, "big")
    return list((bytes([len(text)]) + text).ljust(HEAD_ROW, b"\0"))
