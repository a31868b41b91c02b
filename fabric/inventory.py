"""What is known of the devices once they have been delivered: MACs, GUIDs and serial numbers, from a CSV file.

Columns ``device``, ``port``, ``mac``, ``guid``, ``serial`` in any order; those that nobody fills may be left out. A row
without a port is about the device itself (its serial number; the node GUID of an InfiniBand switch). Names are the
plan's, as in ``cables.csv``. Where nothing is known, simulated GUIDs stand in: docs/bring-up.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from fabric.errors import InputError, Problem
from fabric.guids import adapter_guids, switch_guids
from fabric.validation import suggest

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = ("device", "port", "mac", "guid", "serial")
MOST_PROBLEMS = 50
"""Problems of one file that are told; the last says how many more there are."""
MOST_BYTES = 256 << 20
"""Largest file read: a million ports take a fifth of it."""
_MAC = re.compile(r"[0-9a-f]{12}")
_GUID = re.compile(r"[0-9a-f]{16}")
_SERIAL = re.compile(r"[A-Za-z0-9._/-]{1,64}")
Place = tuple[str, str]
V = TypeVar("V")


@dataclass(frozen=True)
class Inventory:
    """What a file says, by device and port (``""``: the device itself); values are normalised."""

    mac: Mapping[Place, str] = field(default_factory=dict)
    """``aa:bb:cc:dd:ee:ff``"""
    guid: Mapping[Place, int] = field(default_factory=dict)
    serial: Mapping[Place, str] = field(default_factory=dict)

    def macs(self, plan: Plan) -> dict[int, str]:
        """MACs by port id."""
        ports = _ports(plan)
        return {port: mac for place, mac in self.mac.items() if (port := ports.get(place)) is not None}


def read_inventory(path: Path, plan: Plan) -> Inventory:
    """The file, checked against the plan. Raises InputError with everything that is wrong, at most 50 things."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "is it the inventory?"))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), f"cannot be read: {_reason(error)}", "name a CSV file")) from error
    return parse_inventory(text, plan, str(path))


def parse_inventory(text: str, plan: Plan, where: str = "inventory") -> Inventory:
    """The same of the file's text."""
    reader = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(reader, [])]
    if problems := list(_header(header, where)):
        raise InputError(problems)
    reading = _Reading(plan, where)
    try:
        found = list(islice(reading.rows(header, reader), MOST_PROBLEMS + 1))
    except csv.Error as error:
        raise InputError(Problem(f"{where}: line {reader.line_num}", f"is no CSV: {error}")) from error
    if len(found) > MOST_PROBLEMS:
        found[-1] = Problem(where, "and more", "mend these first")
    if found:
        raise InputError(found)
    return Inventory(reading.mac, reading.guid, reading.serial)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror or error).lower()


def _header(header: list[str], where: str) -> Iterator[Problem]:
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            yield Problem(f"{where}: line 1", f'unknown column "{name[:40]}", {suggest(name, COLUMNS)}')
        elif header.count(name) > 1:
            yield Problem(f"{where}: line 1", f'column "{name}" is there twice', "keep one")
    if "device" not in header:
        yield Problem(f"{where}: line 1", "there is no column device", f"write the columns {','.join(COLUMNS)}")


class _Reading:
    """Rows as they are read."""

    def __init__(self, plan: Plan, where: str) -> None:
        self.where = where
        self.devices = {str(name) for name in plan.fabric.device_names()}
        self.ports = _ports(plan)
        self.mac: dict[Place, str] = {}
        self.guid: dict[Place, int] = {}
        self.serial: dict[Place, str] = {}
        self.seen: dict[str, int] = {}

    def rows(self, header: list[str], reader: Iterable[list[str]]) -> Iterator[Problem]:
        """What is wrong, row after row; what is right is kept."""
        for line, row in enumerate(reader, start=2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) > len(header):
                yield Problem(f"{self.where}: line {line}", f"has {len(row)} cells, the header {len(header)}")
                continue
            yield from self._row(line, dict(zip(header, (cell.strip() for cell in row), strict=False)))

    def _row(self, line: int, row: dict[str, str]) -> Iterator[Problem]:
        at, device, port = f"{self.where}: line {line}", row.get("device", ""), row.get("port", "")
        if device not in self.devices:
            yield Problem(at, f'the plan has no device "{device[:60]}"', "names are those of cables.csv")
            return
        if port and (device, port) not in self.ports:
            yield Problem(at, f'{device} has no port "{port[:60]}"', suggest(port, self._ports_of(device)))
            return
        yield from self._values(at, line, (device, port), row)

    def _values(self, at: str, line: int, place: Place, row: dict[str, str]) -> Iterator[Problem]:
        mac = re.sub(r"[:.-]", "", row.get("mac", "")).lower()
        guid = re.sub(r"^0x|[:.-]", "", row.get("guid", "").lower())
        serial = row.get("serial", "")
        if mac and (not _MAC.fullmatch(mac) or int(mac[1], 16) & 1 or int(mac, 16) == 0):
            yield Problem(at, f'"{row["mac"][:40]}" is no MAC of a port', "write it like 02:00:5e:10:00:01")
        elif mac:
            yield from self._once(line, at, f"MAC {_colons(mac)}")
            yield from self._one(at, place, "MAC", self.mac, _colons(mac))
        if guid and (not _GUID.fullmatch(guid) or int(guid, 16) == 0):
            yield Problem(at, f'"{row["guid"][:40]}" is no GUID', "write 16 hexadecimal digits like 0x0002c90300a1b2c3")
        elif guid:
            yield from self._once(line, at, f"GUID 0x{guid}")
            yield from self._one(at, place, "GUID", self.guid, int(guid, 16))
        if serial and not _SERIAL.fullmatch(serial):
            yield Problem(at, f'"{serial[:40]}" is no serial number', "write letters, digits and . _ / - only")
        elif serial:
            yield from self._one(at, place, "serial number", self.serial, serial)

    def _one(self, at: str, place: Place, what: str, known: dict[Place, V], value: V) -> Iterator[Problem]:
        """Keep a value; a place that has another already is a problem."""
        if known.setdefault(place, value) != value:
            yield Problem(at, f"{' '.join(place).strip()} has another {what} already", "keep one")

    def _once(self, line: int, at: str, what: str) -> Iterator[Problem]:
        first = self.seen.setdefault(what, line)
        if first != line:
            yield Problem(at, f"{what} is that of line {first} already", "each is there once")

    def _ports_of(self, device: str) -> list[str]:
        return [port for of, port in self.ports if of == device]


def _colons(mac: str) -> str:
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2))


def _ports(plan: Plan) -> dict[Place, int]:
    """Port ids by names of device and port; kept with the plan."""
    found: dict[Place, int] | None = plan.__dict__.get("_port_names")
    if found is None:
        devices = plan.fabric.device_names().gather(plan.fabric.ports["device"])
        names = zip(devices, plan.fabric.ports["name"], strict=True)
        found = plan.__dict__["_port_names"] = {place: port for port, place in enumerate(names)}
    return found


def guids(plan: Plan, inventory: Inventory | None = None) -> pl.DataFrame:
    """GUIDs of everything on InfiniBand: ``device, nic, port, node, guid, simulated``.

    Device, NIC and port are ids (the last two null for a switch), ``node`` and ``guid`` (UInt64) the GUIDs of the
    adapter and of its port, for a switch the same.
    One row a host port, then one a switch, in the order of ids. What the inventory does not know is simulated
    (``fabric.guids``); an adapter whose first port is known has that port's GUID, as ConnectX adapters do.
    """
    fabric = plan.fabric
    on = [name for name, network in plan.design.networks.items() if network.technology == "infiniband"]
    known = {} if inventory is None else inventory.guid
    places = _ports(plan) if known else {}
    by_port = {places[place]: guid for place, guid in known.items() if place in places}
    ports = fabric.ports.filter(pl.col("nic").is_not_null() & pl.col("network").is_in(on))
    ports = ports.select("device", "nic", port="id", simulated_node=adapter_guids(pl.col("nic"))).with_columns(
        number=pl.int_range(1, pl.len() + 1, dtype=pl.UInt64).over("nic"), given=_given(ports["id"], by_port)
    )
    ports = ports.with_columns(
        node=pl.coalesce(pl.col("given").first().over("nic"), "simulated_node"),
        guid=pl.coalesce("given", pl.col("simulated_node") + pl.col("number")),
    )
    switches = fabric.switches.filter(pl.col("network").is_in(on))
    own = [known.get((str(name), "")) for name in switches["name"]]
    nodes = switches.select(
        device="id", nic=pl.lit(None, pl.UInt32), port=pl.lit(None, pl.UInt32), given=pl.Series(own, dtype=pl.UInt64),
        node=pl.coalesce(pl.Series(own, dtype=pl.UInt64), switch_guids(pl.col("id"))),
    ).with_columns(guid="node")  # fmt: skip
    columns = ("device", "nic", "port", "node", "guid", pl.col("given").is_null().alias("simulated"))
    return pl.concat([ports.select(columns), nodes.select(columns)])


def _given(port: pl.Series, known: Mapping[int, int]) -> pl.Series:
    return pl.Series([known.get(number) for number in port], dtype=pl.UInt64)
