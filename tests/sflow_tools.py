"""What the sFlow tests share: our decoder's rows of datagrams beside the reference's, and the payloads of captures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sflow_reference as reference

from collectors.sources.capture import frames
from collectors.sources.sflow import layout
from collectors.sources.sflow.decode import read_heads, read_samples
from collectors.sources.sflow.jit import Rows
from collectors.sources.sflow.tables import frame_columns

FRAME = ("src_ip", "dst_ip", "src_port", "dst_port", "dest_qp", "opcode", "ecn", "priority", "frame_bytes")
FLOW = ("rate", "pool", "drops", "in_format", "in_if", "out_format", "out_if")
ALL_ONES = {name: (1 << 8 * size) - 1 for name, size in layout.GENERIC_FIELDS + layout.ETHERNET_FIELDS}


@dataclass
class Rowed:
    """Rows of one datagram, as ours and as the reference's."""

    flows: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)
    names: list[tuple[int, bytes]] = field(default_factory=list)


def laid_out(datagrams: Sequence[bytes], spare: int = 0) -> tuple[np.ndarray[Any, Any], Rows]:
    """Datagrams in one array, ``spare`` bytes of garbage between them, and their heads."""
    heads = np.zeros(len(datagrams), layout.HEAD)
    heads["length"] = [len(one) for one in datagrams]
    heads["start"] = np.cumsum(heads["length"] + spare) - heads["length"] - spare
    data = b"".join(one + b"\xee" * spare for one in datagrams)
    return np.frombuffer(data or b"\0", np.uint8).copy(), heads


def ours(datagrams: Sequence[bytes], spare: int = 0) -> list[Rowed | None]:
    """What our decoder makes of each datagram; None where it takes nothing of it."""
    buf, heads = laid_out(datagrams, spare)
    read_heads(buf, heads)
    # The row's target tells which datagram it is of.
    heads["target"] = np.arange(len(heads))
    room = int(heads["length"].sum()) // layout.LEAST_SAMPLE + len(heads) + 1
    flows, interfaces = np.zeros(room, layout.FLOWS), np.zeros(room, layout.INTERFACES)
    names, used = np.zeros(room, layout.NAMES), np.zeros(4, np.int64)
    assert read_samples(buf, heads, 0, flows, interfaces, names, used) == len(heads)
    found: list[Rowed | None] = [Rowed() if status == layout.OK else None for status in heads["status"].tolist()]
    for target, row in zip(flows["target"][: used[0]].tolist(), _flow_dicts(flows[: used[0]]), strict=True):
        _of(found, target).flows.append(row)
    fields = ["ifindex", *ALL_ONES]
    for row in interfaces[: used[1]]:
        _of(found, int(row["target"])).counters.append({name: int(row[name]) for name in fields})
    for row in names[: used[2]]:
        text = row["text"][: row["length"]].tobytes()
        _of(found, int(row["target"])).names.append((int(row["ifindex"]), text))
    return found


def _of(found: list[Rowed | None], target: int) -> Rowed:
    one = found[target]
    assert one is not None, "a row of a datagram that was refused"
    return one


def _flow_dicts(rows: Rows) -> list[dict[str, Any]]:
    table = pl.DataFrame(frame_columns(rows) | {name: np.ascontiguousarray(rows[name]) for name in FLOW})
    return table.to_dicts()


def theirs(data: bytes) -> Rowed | None:
    """What the reference makes of a datagram; None where it is none."""
    try:
        found = reference.datagram(data)
    except (reference.Short, ValueError):
        return None
    flows = [{name: row.get(name) for name in FRAME + FLOW} for row in found.flows]
    counters = [{"ifindex": row["if_index"]} | {n: row.get(n, most) for n, most in ALL_ONES.items()}
                for row in found.counters]  # fmt: skip
    return Rowed(flows, counters, found.names)


def same(datagrams: Iterable[bytes], spare: int = 0) -> list[Rowed | None]:
    """Assert that ours and the reference agree on every datagram; what they agree on."""
    given = list(datagrams)
    found = ours(given, spare)
    for data, one in zip(given, found, strict=True):
        assert one == theirs(data), data.hex()
    return found


def payloads(path: Path) -> list[bytes]:
    """UDP payloads of a capture of Ethernet and IPv4."""
    return [data[14 + (data[14] & 15) * 4 + 8 :] for _, data in frames(path)]
