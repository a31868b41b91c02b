"""What a walk gathered as a table of samples: a row a port of the plan, a column a counter, and a row of the device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collectors.sources.snmp.decode import Words
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.ports import Ports
from collectors.sources.snmp.scatter import MOST_INDEX, columns_of, fill, place, starts_of
from collectors.sources.snmp.tables import Tables, tables
from fabric.counters import Counter, counters
from fabric.samples import KEYS

INTEGER = 0x02
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
    harvest: Harvest, found: Tables, ports: Ports, cells: Words, device: str, uptime: int | None,
    time_ns: int, received_ns: int,
) -> pl.DataFrame:  # fmt: skip
    """The table of samples; ``uptime``: sysUpTime in hundredths of a second."""
    size = len(ports.ports)
    columns = {
        column.name: column for column in (*_numbers(harvest, found, cells, size), *_texts(harvest, found, cells, size))
    }
    keys = {
        "time_ns": pl.repeat(time_ns, size, dtype=pl.Int64, eager=True),
        "received_ns": pl.repeat(received_ns, size, dtype=pl.Int64, eager=True),
        "device": pl.repeat(device, size, dtype=pl.String, eager=True),
        "port": pl.Series("port", ports.ports, pl.String),
    }
    rows = pl.DataFrame(keys | columns)
    if columns:
        present = _present(cells, size)
        rows = rows if present.all() else rows.filter(pl.Series(present))
    else:
        rows = rows.clear()
    return rows if uptime is None else pl.concat([rows, _device(device, uptime, time_ns, received_ns)], how="diagonal")


def _device(device: str, uptime: int, time_ns: int, received_ns: int) -> pl.DataFrame:
    values = [time_ns, received_ns, device, None, uptime * 0.01]
    names = [*KEYS, "uptime_seconds"]
    return pl.DataFrame(
        {name: [value] for name, value in zip(names, values, strict=True)}, KEYS | {"uptime_seconds": pl.Float64}
    )


def _present(cells: Words, size: int) -> NDArray[np.bool_]:
    """Which ports have any record."""
    found = np.zeros(size, np.bool_)
    found[cells[cells[:, 0] >= 0, 0]] = True
    return found


def _numbers(harvest: Harvest, found: Tables, cells: Words, size: int) -> Iterator[pl.Series]:
    used = np.empty((len(found.slots), MOST_INDEX + 1), np.int64)
    count = columns_of(cells, used)
    values = np.zeros((count, size), np.uint64)
    tags = np.zeros((count, size), np.uint8)
    fill(harvest.records[: harvest.count], cells, used, values, tags)
    chosen: dict[str, tuple[Counter, NDArray[np.generic], NDArray[np.bool_]]] = {}
    for slot, number in np.argwhere(used >= 0).tolist():
        counter, factor = found.slots[slot]
        if counter.kind == "text":
            continue
        at = used[slot, number]
        column, present = _typed(counter, factor, values[at], tags[at])
        name = counter.column(number if counter.indexed else None)
        if name in chosen:  # a MIB that comes first has it for some ports
            _, first, had = chosen[name]
            column, present = np.where(had, first, column), had | present
        chosen[name] = counter, column, present
    for name, (counter, column, present) in chosen.items():
        if present.any():
            yield _series(name, counter, column, present)


def _typed(
    counter: Counter, factor: float, values: NDArray[np.uint64], tags: NDArray[np.uint8]
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Values in the counter's unit, and which of them are any: no count is below zero, no state above 255."""
    present = tags != 0
    if counter.kind == "gauge":
        signed = values.view(np.int64).astype(np.float64)
        return np.where(tags == INTEGER, signed, values.astype(np.float64)) * factor, present
    present &= (tags != INTEGER) | (values < np.uint64(1 << 63))
    if counter.kind == "state":
        return values, present & (values < np.uint64(256))
    if counter.unit == "s":
        return values.astype(np.float64) * factor, present
    return (values if factor == 1 else values * np.uint64(factor)), present


def _series(name: str, counter: Counter, values: NDArray[np.generic], present: NDArray[np.bool_]) -> pl.Series:
    if counter.kind == "state":
        values = np.where(present, values, 0).astype(np.uint8)
    series = pl.Series(name, values, counter.dtype)
    return series if present.all() else series.set(pl.Series(~present), None)


def _texts(harvest: Harvest, found: Tables, cells: Words, size: int) -> Iterator[pl.Series]:
    """Texts; of several neighbours of a port all columns are of the one that was seen last."""
    textual = [slot for slot, (counter, _) in enumerate(found.slots) if counter.kind == "text"]
    records = harvest.records[: harvest.count]
    rows = np.flatnonzero((cells[:, 0] >= 0) & np.isin(cells[:, 1], textual))
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
        row, name = int(cells[at, 0]), found.slots[cells[at, 1]][0].name
        index = tuple(map(int, records[at, 1:4]))
        if (index[0], index[2]) == newest[row] and records[at, 5] == 0x04:
            start, length = int(records[at, 8]), int(records[at, 9])
            content = harvest.heap[start : start + length].tobytes()
            mac = kinds.get(name, {}).get(index) == (MAC if name == "lldp_chassis" else MAC - 1)
            texts.setdefault(name, [None] * size)[row] = _text(content, mac)
    for name in (name for name in counters() if name in texts):
        yield pl.Series(name, texts[name], pl.String)


def _text(content: bytes, mac: bool) -> str:
    """As people write it: an address in hexadecimal, else text, else hexadecimal."""
    if mac and len(content) == 6:
        return content.hex(":")
    text = content.decode("utf-8", "replace").rstrip("\0")
    return text if "\ufffd" not in text and all(char.isprintable() for char in text) else content.hex(":")
