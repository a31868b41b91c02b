"""Flows: who sends how much to whom, by which queue pair; columns, a flow a row."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.endpoints import stirred

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from planner.simulate.wires import Floats, Ints, Mask

ROCE_PORT = 4791
FIRST_PORT, PORTS = 0xC000, 0x4000
"""Where RoCE drivers put the flow label (Linux, ``rdma_flow_label_to_udp_sport``)."""
LOCAL = -1
"""Rail of a flow that stays inside a scale-up domain."""


@dataclass(frozen=True)
class Flows:
    """Columns of one length. Hosts are device ids; ``gpu`` numbers are within the host.

    ``src_rail`` is ``LOCAL`` where GPUs reach each other without the network. ``plane`` −1: any. ``size`` in bytes,
    infinite where a flow has no end; ``gbps``: what it would send, at most. ``label``: which group or line it is of.
    """

    src_host: Ints
    src_gpu: Ints
    src_rail: Ints
    dst_host: Ints
    dst_gpu: Ints
    dst_rail: Ints
    size: Floats
    gbps: Floats
    plane: Ints
    src_port: Ints
    dest_qp: Ints
    label: Ints
    turn: Ints
    """Number among the queue pairs of one pair of ends: where any plane will do, they take the planes in turn."""

    def __len__(self) -> int:
        return len(self.src_host)

    @property
    def local(self) -> Mask:
        """Which stay inside a scale-up domain."""
        found: Mask = self.src_rail == LOCAL
        return found

    def take(self, rows: Ints | Mask) -> Flows:
        """Some of them."""
        return Flows(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def split(self, pairs: Ints) -> Flows:
        """Each as so many flows of equal size, with queue pairs and source ports of their own."""
        number = np.repeat(np.arange(len(self)), pairs)
        within = np.arange(len(number)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        many = self.take(number)
        share = np.repeat(pairs, pairs)
        return with_ports(replace(many, size=many.size / share, gbps=many.gbps / share), within)


def flows(
    src: tuple[Ints, Ints, Ints],
    dst: tuple[Ints, Ints, Ints],
    size: Floats,
    label: Ints,
    *,
    gbps: Floats | None = None,
    plane: Ints | None = None,
) -> Flows:
    """Flows from (host, GPU, rail) to (host, GPU, rail), one queue pair each."""
    none = np.zeros(len(size), dtype=np.int64)
    made = Flows(
        *src, *dst, size, np.full(len(size), np.inf) if gbps is None else gbps, none - 1 if plane is None else plane,
        none, none, label, none,
    )  # fmt: skip
    return with_ports(made, none)


def with_ports(many: Flows, within: Ints) -> Flows:
    """The same with queue pair numbers and source ports; ``within``: number among the flows of one pair of ends."""
    ends = (many.src_host, many.src_gpu, many.dst_host, many.dst_gpu, many.dst_rail + 1, within)
    port = FIRST_PORT + stirred(*ends, seed=1) % PORTS
    return replace(many, src_port=port, dest_qp=stirred(*ends, seed=2) & 0xFFFFFF, turn=within)


def joined(parts: Sequence[Flows]) -> Flows:
    """One after the other."""
    none = np.empty(0, dtype=np.int64)
    return Flows(*(np.concatenate([none, *(getattr(part, item.name) for part in parts)]) for item in fields(Flows)))


def from_file(table: pl.DataFrame) -> Flows:
    """The rows of ``flows.csv`` (``fabric.flowfile``), one flow a queue pair; ``label`` is the row."""
    columns = {name: table[name].fill_null(0).to_numpy() for name in table.columns}
    whole = {name: columns[name].astype(np.int64) for name in columns if name not in ("gbps", "plane")}
    made = flows(
        (whole["src_host"], whole["src_rail"], whole["src_rail"]),
        (whole["dst_host"], whole["dst_rail"], whole["dst_rail"]),
        np.full(table.height, np.inf),
        np.arange(table.height),
        gbps=columns["gbps"].astype(np.float64),
        plane=table["plane"].cast(int).fill_null(-1).to_numpy().astype(np.int64),
    )
    return made.split(whole["queue_pairs"])
