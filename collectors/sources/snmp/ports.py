"""Which port of the plan an ifIndex is, and which one LLDP's number of a local port: by the names the device gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from collectors.sources.snmp.decode import Words
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.tables import Tables

_TEXTUAL = (1, 5, 7)
"""LldpPortIdSubtype: interfaceAlias, interfaceName, local; the others are addresses and circuits."""


@dataclass(frozen=True)
class Ports:
    """``ports``: names of the plan's ports that the device has, a row of the samples each.

    ``indexes`` and ``rows``: ifIndexes in order and the row of each, -1 where the plan has no such port;
    ``lldp_indexes`` and ``lldp_rows`` the same for LLDP's numbers. ``twice``: ports that two interfaces claim.
    """

    ports: list[str]
    indexes: Words
    rows: Words
    lldp_indexes: Words
    lldp_rows: Words
    twice: tuple[str, ...] = ()
    device: str = ""

    @cached_property
    def keys(self) -> tuple[pl.Series, pl.Series]:
        """The columns ``device`` and ``port`` of a table of samples, made once; the last row is the device's own."""
        port = pl.Series("port", [*self.ports, None], pl.String)
        return pl.Series("device", [self.device] * len(port), pl.String), port

    @property
    def unknown(self) -> int:
        """Interfaces that are none of the plan's ports."""
        return int((self.rows < 0).sum())


def ports_of(harvest: Harvest, tables: Tables, known: Mapping[str, str], device: str) -> Ports:
    """Read the names that a walk gathered; ``known``: name of a port in the plan by each name a device may use."""
    texts = {name: _texts(harvest, column) for name, column in tables.names.items()}
    interfaces = sorted({*texts["name"], *texts["descr"], *texts["alias"]})
    claimed, twice = _claims([texts["name"], texts["descr"], texts["alias"]], _lenient(known))
    ports = sorted(set(claimed.values()))
    row = {port: at for at, port in enumerate(ports)}
    rows = {index: row[claimed[index]] if index in claimed else -1 for index in interfaces}
    lldp = _lldp(harvest, tables, texts, _lenient(known), rows, row)
    return Ports(ports, *_arrays(rows), *_arrays(lldp), twice, device)


def _texts(harvest: Harvest, column: int) -> dict[int, str]:
    """Text by ifIndex (or LLDP's number) of one column."""
    found = {}
    for index, _, value in harvest.of(column):
        if len(index) == 1 and isinstance(value, bytes):
            found[index[0]] = value.decode("utf-8", "replace").strip("\0 ")
    return found


def _lenient(known: Mapping[str, str]) -> dict[str, str]:
    """The names, and what they are in lower case unless two ports would have the same."""
    folded: dict[str, set[str]] = {}
    for name, port in known.items():
        folded.setdefault(name.lower(), set()).add(port)
    return {name: next(iter(ports)) for name, ports in folded.items() if len(ports) == 1} | dict(known)


def _claims(texts: Iterable[Mapping[int, str]], known: Mapping[str, str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """Port by interface: a name counts before a description, that before an alias, which people write as they like.

    A port that two interfaces claim with the same right is nobody's.
    """
    found: dict[int, str] = {}
    twice: set[str] = set()
    for column in texts:
        claims: dict[str, list[int]] = {}
        for index, text in column.items():
            port = known.get(text) or known.get(text.lower())
            if index not in found and port is not None:
                claims.setdefault(port, []).append(index)
        taken = set(found.values()) | twice
        twice |= {port for port, indexes in claims.items() if len(indexes) > 1 and port not in taken}
        found |= {indexes[0]: port for port, indexes in claims.items() if len(indexes) == 1 and port not in taken}
    return found, tuple(sorted(twice))


def _lldp(
    harvest: Harvest, tables: Tables, texts: Mapping[str, Mapping[int, str]], known: Mapping[str, str],
    rows: Mapping[int, int], row: Mapping[str, int],
) -> dict[int, int]:  # fmt: skip
    """Row by LLDP's number: by the id or description that the device sends, else the number is an ifIndex."""
    kinds = {index[0]: value for index, _, value in harvest.of(tables.names["lldp_subtype"]) if len(index) == 1}
    own = {text: index for name in ("alias", "descr", "name") for index, text in texts[name].items() if text}
    found = {}
    for number in sorted({*texts["lldp_id"], *texts["lldp_descr"]}):
        identity = texts["lldp_id"].get(number, "") if kinds.get(number, 5) in _TEXTUAL else ""
        said = [text for text in (identity, texts["lldp_descr"].get(number, "")) if text]
        found[number] = next((at for text in said if (at := _row(text, known, own, rows, row)) is not None), -1)
        if not said:
            found[number] = rows.get(number, -1)
    return found or dict(rows)


def _row(
    text: str, known: Mapping[str, str], own: Mapping[str, int], rows: Mapping[int, int], row: Mapping[str, int]
) -> int | None:
    """The row of a port that LLDP calls so: a name of the plan, of the device, or an ifIndex; None if it is none."""
    if text in known:
        return row.get(known[text], -1)
    if text in own:
        return rows[own[text]]
    return rows.get(int(text)) if text.isascii() and text.isdecimal() else None


def _arrays(rows: Mapping[int, int]) -> tuple[Words, Words]:
    return np.array(sorted(rows), np.int64), np.array([rows[index] for index in sorted(rows)], np.int64)
