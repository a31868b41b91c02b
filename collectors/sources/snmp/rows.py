"""What a walk gathered as a table of samples: a row a port of the plan, a column a counter, and a row of the device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types
from numpy.typing import NDArray

from collectors.sources.snmp.decode import Octets, Words
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.ports import Ports
from collectors.sources.snmp.scatter import MOST_INDEX, NOTHING, columns_of, fill, place, starts_of
from collectors.sources.snmp.tables import COUNT, REAL, STATE, TEXT, Tables, tables
from fabric.counters import counters

Named = tuple[str, pa.Array]
_FORMS = {COUNT: pa.uint64(), REAL: pa.float64(), STATE: pa.uint8()}
MAC = 4
"""LldpChassisIdSubtype macAddress; of a port it is 3 (LldpPortIdSubtype)."""


@cache
def _starts() -> Words:
    found = tables()
    return starts_of(found.patterns, len(found.prefixes))


def cells_of(harvest: Harvest, found: Tables, ports: Ports) -> tuple[Words, int]:
    """Where each record belongs (row, slot, number), and how many are of interfaces that ``ports`` does not have."""
    records = harvest.records[: harvest.count]
    cells = np.empty((len(records), 3), np.int64)
    strangers = place(
        records, found.patterns, _starts(), ports.indexes, ports.rows, ports.lldp_indexes, ports.lldp_rows, cells
    )
    return cells, strangers


def frame(
    harvest: Harvest, found: Tables, ports: Ports, cells: Words, uptime: int | None,
    time_ns: int, received_ns: int,
) -> pl.DataFrame:  # fmt: skip
    """The table of samples; ``uptime``: sysUpTime in hundredths of a second.

    It is handed to polars as one batch of Arrow's: a series a column would cost several times as much.
    """
    height = len(ports.ports) + 1
    present = np.zeros(height, np.bool_)
    present[height - 1] = uptime is not None
    times = np.array([[time_ns], [received_ns]]).repeat(height, axis=1)
    table = {name: _array(pa.int64(), times[at], None) for at, name in enumerate(("time_ns", "received_ns"))}
    table.update(_numbers(harvest, found, cells, present))
    table.update(_texts(harvest, found, cells, height))
    if uptime is not None:
        table["uptime_seconds"] = _last(uptime * 0.01, height)
    rows = pl.Series(pa.RecordBatch.from_arrays(list(table.values()), list(table))).struct.unnest()
    for at, key in enumerate(ports.keys, 2):
        rows.insert_column(at, key)
    return rows if present.all() else rows.filter(pl.Series(present))


def _array(kind: pa.DataType, values: NDArray[Any], valid: Octets | None) -> pa.Array:
    """Arrow's array over the same memory; ``valid``: a bit a value."""
    bits = None if valid is None else pa.py_buffer(valid)
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)])


def _last(value: float, height: int) -> pa.Array:
    """A column that only the last row has."""
    values, valid = np.zeros(height), np.zeros((height + 7) // 8, np.uint8)
    values[-1], valid[-1] = value, 1 << (height - 1 & 7)
    return _array(pa.float64(), values, valid)


def _numbers(harvest: Harvest, found: Tables, cells: Words, present: NDArray[np.bool_]) -> Iterator[Named]:
    """A column a counter and priority that has any value; marks the rows that have."""
    used = np.empty((len(found.counters), MOST_INDEX + 1), np.int64)
    columns = np.empty((used.size, 3), np.int64)
    count, height = columns_of(cells, found.slots, used, columns, present), len(present)
    counts, states = np.zeros((count, height), np.uint64), np.zeros((count, height), np.uint8)
    ranks = np.full((count, height), NOTHING)
    valid = np.zeros((count, (height + 7) // 8), np.uint8)
    fill(
        harvest.records[: harvest.count], cells, found.slots, found.factors, used,
        counts, counts.view(np.float64), states, ranks, valid,
    )  # fmt: skip
    some: list[bool] = np.any(valid, axis=1).tolist()
    for at, (kind, number, form) in enumerate(columns[:count].tolist()):
        counter = found.counters[kind]
        if some[at]:
            name = counter.column(number if counter.indexed else None)
            yield name, _array(_FORMS[form], states[at] if form == STATE else counts[at], valid[at])


def _texts(harvest: Harvest, found: Tables, cells: Words, size: int) -> Iterator[Named]:
    """Texts; of several neighbours of a port all columns are of the one that was seen last."""
    records = harvest.records[: harvest.count]
    rows = np.flatnonzero((cells[:, 0] >= 0) & (found.slots[cells[:, 1], 1] == TEXT))
    if not len(rows):
        return
    newest: dict[int, tuple[int, int]] = {}
    for at in rows.tolist():
        key = (int(records[at, 1]), int(records[at, 3]))
        port = int(cells[at, 0])
        newest[port] = max(newest.get(port, key), key)
    kinds = {name: {index: value for index, _, value in harvest.of(column)} for name, column in found.subtypes.items()}
    texts: dict[str, list[str | None]] = {}
    for at in rows.tolist():
        row, name = int(cells[at, 0]), found.counters[found.slots[cells[at, 1], 0]].name
        index = tuple(map(int, records[at, 1:4]))
        if (index[0], index[2]) == newest[row] and records[at, 5] == 0x04:
            start, length = int(records[at, 8]), int(records[at, 9])
            content = harvest.heap[start : start + length].tobytes()
            mac = kinds.get(name, {}).get(index) == (MAC if name == "lldp_chassis" else MAC - 1)
            texts.setdefault(name, [None] * size)[row] = _text(content, mac)
    for name in (name for name in counters() if name in texts):
        yield name, pa.array(texts[name], pa.string())


def _text(content: bytes, mac: bool) -> str:
    """As people write it: an address in hexadecimal, else text, else hexadecimal."""
    if mac and len(content) == 6:
        return content.hex(":")
    text = content.decode("utf-8", "replace").rstrip("\0")
    return text if "\ufffd" not in text and all(char.isprintable() for char in text) else content.hex(":")
