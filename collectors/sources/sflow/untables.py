"""Tables by names back to rows of the wire: the inverse of ``tables``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from collectors.sources.sflow import layout
from collectors.sources.sflow.agents import words
from collectors.sources.sflow.jit import Rows, Values
from collectors.sources.sflow.tables import STATUS_BITS, addressed
from collectors.sources.sflow.tables import field as field_of
from fabric.errors import InputError, Problem
from fabric.samples import FLOW_SCHEMA

if TYPE_CHECKING:
    from collectors.sources.sflow.encode import Speaker

FIELDS = {
    "src_port": "src_port", "dst_port": "dst_port", "dest_qp": "dest_qp", "opcode": "opcode", "ecn": "ecn",
    "priority": "priority", "frame_bytes": "frame_bytes", "sampling_rate": "rate", "sample_pool": "pool",
    "drops": "drops",
}  # fmt: skip
"""Columns of FLOW_SCHEMA that are a field as they are."""
FLAGS = {
    "src_port": layout.HAS_PORTS, "dest_qp": layout.HAS_BTH, "priority": layout.HAS_TAG,
    "frame_bytes": layout.HAS_FRAME,
}  # fmt: skip
"""Flags by the column that is null without them."""


def flow_rows(table: pl.DataFrame | None, speakers: Sequence[Speaker]) -> Rows:
    """Rows of ``layout.FLOWS``; raises InputError for devices, ports and addresses that are none."""
    rows = np.zeros(0 if table is None else len(table), layout.FLOWS)
    if table is None or not len(table):
        return rows
    table = table.select(pl.col(name).cast(kind) for name, kind in FLOW_SCHEMA.items())
    rows["received"] = table["time_ns"]
    for column, name in FIELDS.items():
        rows[name] = table[column].fill_null(0)
    for column, flag in FLAGS.items():
        rows["flags"] |= np.where(table[column].is_not_null(), flag, 0).astype(np.uint16)
    problems = [*_addresses(table, rows), *_devices(table, speakers, rows)]
    for column in ("in", "out"):
        problems += _ports(table, f"{column}_port", speakers, rows, f"{column}_if")
    if problems:
        raise InputError(problems)
    return rows


def _addresses(table: pl.DataFrame, rows: Rows) -> Iterator[Problem]:
    for column in ("src", "dst"):
        texts = table[f"{column}_ip"]
        distinct = texts.drop_nulls().unique().to_list()
        found: list[tuple[int, int]] = []
        for text in distinct:
            try:
                found.append(words(text))
            except ValueError:
                found.append((0, 0))
                yield Problem(f"{column}_ip: {text}", "is no IP address")
        place = _places(texts, distinct)
        for half, name in enumerate(("hi", "lo")):
            values = np.array([0, *(one[half] for one in found)], np.uint64)
            rows[f"{column}_{name}"] = values[place]
    mapped = (rows["src_hi"] == 0) & (rows["src_lo"] >> np.uint64(32) == 0xFFFF)
    kind = np.where(mapped, layout.HAS_IPV4, layout.HAS_IPV6).astype(np.uint16)
    there = table["src_ip"].is_not_null() & table["dst_ip"].is_not_null()
    rows["flags"] |= np.where(there, kind, 0).astype(np.uint16)


def _places(texts: pl.Series, distinct: Sequence[str]) -> Values:
    """The place of each text in ``distinct``, from 1; 0 for null and for what is not there."""
    numbers = list(range(1, len(distinct) + 1))
    return texts.replace_strict(distinct, numbers, default=0, return_dtype=pl.UInt32).fill_null(0).to_numpy()


def _devices(table: pl.DataFrame, speakers: Sequence[Speaker], rows: Rows) -> Iterator[Problem]:
    names = [one.device for one in speakers]
    place = _places(table["device"], names)
    for name in table["device"].filter(pl.Series(place == 0)).unique().to_list():
        yield Problem(f"device {name}", "has no sFlow agent")
    rows["target"] = place.astype(np.int32) - 1


def _ports(
    table: pl.DataFrame, column: str, speakers: Sequence[Speaker], rows: Rows, name: str
) -> Iterator[Problem]:  # fmt: skip
    """The ifIndex of each port, 0 where there is none."""
    known = pl.DataFrame(
        [(one.device, port, index) for one in speakers for port, index in one.ifindex.items()],
        schema={"device": pl.String, column: pl.String, "ifindex": pl.UInt32},
        orient="row",
    )
    found = table.select("device", column).join(known, ["device", column], how="left", maintain_order="left")
    wrong = found.filter(pl.col("ifindex").is_null() & pl.col(column).is_not_null()).unique()
    for device, port, _ in wrong.sort("device", column).rows():
        yield Problem(f"{device}: {port}", "is no port with an ifIndex")
    rows[name] = found["ifindex"].fill_null(0)


def interface_rows(table: pl.DataFrame | None, speakers: Sequence[Speaker]) -> Rows:
    """Rows of ``layout.INTERFACES`` of all ports; what the table does not have is all ones."""
    ported = None if table is None else table.filter(pl.col("port").is_not_null())
    rows = np.zeros(0 if ported is None else len(ported), layout.INTERFACES)
    if ported is None or not len(ported):
        return rows
    _blank(rows)
    rows["received"] = ported["time_ns"]
    problems = [*_devices(ported, speakers, rows), *_ports(ported, "port", speakers, rows, "ifindex")]
    if problems:
        raise InputError(problems)
    for name, (_, path, factor) in addressed().items():
        if name in ported.columns and path not in STATUS_BITS:
            _put(rows, field_of(path), ported[name], factor)
    _status(rows, ported)
    return rows


def _blank(rows: Rows) -> None:
    for name, size in layout.GENERIC_FIELDS + layout.ETHERNET_FIELDS:
        rows[name] = np.iinfo(f"u{size}").max
    rows["flags"], rows["if_type"], rows["if_direction"], rows["if_promiscuous"] = layout.HAS_GENERIC, 6, 1, 0


def _put(rows: Rows, name: str, column: pl.Series, factor: float) -> None:
    """A column in its field, without what the field is too narrow for."""
    most: Any = np.iinfo(rows[name].dtype).max
    there = column.is_not_null().to_numpy()
    values = np.rint(column.fill_null(0).to_numpy() / factor) if factor != 1 else column.fill_null(0).to_numpy()
    rows[name] = np.where(there, values.astype(np.uint64) & most, most)
    if name.startswith("eth_"):
        rows["flags"] |= np.where(there, layout.HAS_ETHERNET, 0).astype(np.uint8)


def _status(rows: Rows, table: pl.DataFrame) -> None:
    """Both states in one field, up where only one is known; all ones where none is."""
    places = {name: STATUS_BITS[path] for name, (_, path, _) in addressed().items() if path in STATUS_BITS}
    bits = np.zeros(len(rows), np.uint32)
    known = np.zeros(len(rows), np.bool_)
    for name, bit in places.items():
        if name in table.columns:
            known |= table[name].is_not_null().to_numpy()
            bits |= (table[name].fill_null(1) == 1).to_numpy().astype(np.uint32) << np.uint32(bit)
        else:
            bits |= np.uint32(1 << bit)
    rows["if_status"] = np.where(known, bits, 0xFFFFFFFF)
