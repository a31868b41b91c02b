"""Rows of the decoder to tables by the plan's names: flow samples, and counters as ``counters.csv`` says."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from collectors.sources.sflow.agents import NO_PORT, Agents
from collectors.sources.sflow.jit import Ints, Mask, Rows, Values
from collectors.sources.sflow.layout import (
    HAS_BTH,
    HAS_FRAME,
    HAS_IPV4,
    HAS_IPV6,
    HAS_PORTS,
    HAS_TAG,
    INTERFACES,
)
from collectors.sources.sflow.text import address_column
from fabric.counters import Counter, counters
from fabric.samples import FLOW_SCHEMA

STATUS_BITS = {"if.admin_status": 0, "if.oper_status": 1}
"""Bits of record 1's ifStatus: 1 is up, 0 down; as IF-MIB has it 1 is up, 2 down."""


def frame_columns(rows: Rows) -> dict[str, pl.Series]:
    """What the sampled frames say: the columns of FLOW_SCHEMA from ``src_ip`` to ``frame_bytes``."""
    flags = rows["flags"]
    no_address = flags & (HAS_IPV4 | HAS_IPV6) == 0
    no_ports, no_bth = flags & HAS_PORTS == 0, flags & HAS_BTH == 0
    return {
        "src_ip": address_column(_flat(rows["src_hi"]), _flat(rows["src_lo"]), no_address),
        "dst_ip": address_column(_flat(rows["dst_hi"]), _flat(rows["dst_lo"]), no_address),
        "src_port": nullable(rows["src_port"], no_ports),
        "dst_port": nullable(rows["dst_port"], no_ports),
        "dest_qp": nullable(rows["dest_qp"], no_bth),
        "opcode": nullable(rows["opcode"], no_bth),
        "ecn": nullable(rows["ecn"], no_address),
        "priority": nullable(rows["priority"], flags & HAS_TAG == 0),
        "frame_bytes": nullable(rows["frame_bytes"], flags & HAS_FRAME == 0),
    }


def flow_table(rows: Rows, agents: Agents) -> tuple[pl.DataFrame, Mask]:
    """Flow samples (FLOW_SCHEMA) of rows of ``layout.FLOWS``, and which of them name no port of the plan."""
    ins = _ports(rows["target"], rows["in_format"], rows["in_if"], agents)
    outs = _ports(rows["target"], rows["out_format"], rows["out_if"], agents)
    columns: dict[str, pl.Series] = {
        "time_ns": pl.Series(_flat(rows["received"])),
        "received_ns": pl.Series(_flat(rows["received"])),
        "device": agents.devices.gather(pl.Series(_flat(rows["target"]))),
        "in_port": agents.ports.gather(pl.Series(ins)),
        "out_port": agents.ports.gather(pl.Series(outs)),
        **frame_columns(rows),
        "sampling_rate": pl.Series(_flat(rows["rate"])),
        "sample_pool": pl.Series(_flat(rows["pool"])),
        "drops": pl.Series(_flat(rows["drops"])),
    }
    return pl.DataFrame({name: columns[name] for name in FLOW_SCHEMA}), (ins == NO_PORT) & (outs == NO_PORT)


def _ports(target: Ints, kinds: Values, ifindex: Values, agents: Agents) -> Ints:
    """Numbers of ports; ``NO_PORT`` for what was discarded, copied to several, or is no interface."""
    plain = np.where(kinds == 0, ifindex, 0)
    return agents.port_ids(target, plain)


def interface_table(rows: Rows, agents: Agents) -> tuple[pl.DataFrame, Ints, Ints]:
    """Counters of rows of ``layout.INTERFACES`` whose port the plan has, their targets, and the others' targets.

    A counter that all rows lack has no column; of two rows of a port at one time the later one stands.
    """
    ports = agents.port_ids(rows["target"], rows["ifindex"])
    known = ports != NO_PORT
    strange, rows, ports = rows["target"][~known], rows[known], ports[known]
    rows, ports = _last(rows, ports)
    columns: dict[str, pl.Series] = {
        "time_ns": pl.Series(_flat(rows["received"])),
        "received_ns": pl.Series(_flat(rows["received"])),
        "device": agents.devices.gather(pl.Series(_flat(rows["target"]))),
        "port": agents.ports.gather(pl.Series(ports)),
    }
    for name, (counter, path, factor) in addressed().items():
        made = _counter(rows, counter, path, factor)
        if made.null_count() < len(made):
            columns[name] = made
    return pl.DataFrame(columns), rows["target"], strange


def _last(rows: Rows, ports: Ints) -> tuple[Rows, Ints]:
    """Without the rows that a later one of the same port and time replaces."""
    order = np.lexsort((ports, rows["received"]))
    times, numbers = rows["received"][order], ports[order]
    doubled = (times[1:] == times[:-1]) & (numbers[1:] == numbers[:-1])
    if not doubled.any():
        return rows, ports
    keep = np.ones(len(rows), np.bool_)
    keep[order[:-1][doubled]] = False
    return rows[keep], ports[keep]


@cache
def addressed() -> dict[str, tuple[Counter, str, float]]:
    """Counters that sFlow has: by name, with the field of its record (``if.…`` record 1, ``eth.…`` record 2)."""
    return {
        counter.name: (counter, address.path, address.factor)
        for counter in counters().values()
        for address in counter.addresses["sflow"]
    }


def field(path: str) -> str:
    """The field of ``layout.INTERFACES`` behind an address; raises KeyError for what is none."""
    name = "if_status" if path in STATUS_BITS else path.replace(".", "_", 1)
    if name not in (INTERFACES.names or ()):
        raise KeyError(path)
    return name


def _counter(rows: Rows, counter: Counter, path: str, factor: float) -> pl.Series:
    """One column; null where the agent says all ones, or a speed of 0: both mean that it does not know."""
    values = _flat(rows[field(path)])
    none = values == np.iinfo(values.dtype).max
    if path in STATUS_BITS:
        return nullable(np.where(values >> STATUS_BITS[path] & 1 == 1, 1, 2), none).cast(counter.dtype)
    if path == "if.speed":
        none |= values == 0
    return nullable(values * factor if factor != 1 else values, none).cast(counter.dtype)


def nullable(values: Values, none: Mask) -> pl.Series:
    """A column that is null where ``none``."""
    made = pl.Series(_flat(values))
    if not none.any():
        return made
    return made.set(pl.Series(none), None)


def _flat(values: Values) -> Values:
    return np.ascontiguousarray(values)
