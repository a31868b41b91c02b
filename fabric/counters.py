"""The counters: what each is called, counts, and where every protocol has it (data, ``schema/counters.csv``).

A name is the same in sample files, the store, detectors, metrics and panels. In a table of samples a counter of a
priority, queue, lane or FEC bin is a column of its own, with its number as suffix: ``rx_pfc_frames_p3``.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = {"port_priority": "p", "port_queue": "q", "optic": "l", "port_fec": "b"}
"""Letter before the number of a priority, queue, lane or FEC bin, by object."""
TAGS = {"port_priority": "priority", "port_queue": "queue", "optic": "lane", "port_fec": "bin"}
"""What the number is called where it is a tag of a series."""
MOST_INDEX = 63
PROTOCOLS = ("oid", "gnmi", "sonic", "sysfs", "ethtool", "infiniband", "sflow")
"""Columns of the schema that say where a protocol has the counter."""
_COLUMN = re.compile(r"^(?P<name>[a-z][a-z0-9_]*?)(?:_(?P<letter>[pqlb])(?P<index>\d|[1-5]\d|6[0-3]))?$")


@dataclass(frozen=True)
class Address:
    """Where a protocol has a counter, and what its value is multiplied by to be in the counter's unit.

    ``{index}`` in an address stands for the priority, queue, lane or bin, ``{index1}`` for one more.
    """

    path: str
    factor: float = 1.0


@dataclass(frozen=True)
class Counter:
    """One counter, gauge, state or text of a port (or of a priority, queue, lane, FEC bin of it, or of a device)."""

    name: str
    object: str
    kind: str
    unit: str
    bits: int | None
    description: str
    source: str
    addresses: dict[str, tuple[Address, ...]]

    @property
    def indexed(self) -> bool:
        """Whether there is one a priority, queue, lane or bin."""
        return self.object in SUFFIXES

    @property
    def dtype(self) -> type[pl.DataType]:
        """Of its column: whole numbers for counts, floats for gauges and seconds, small ones for states, text."""
        import polars as pl

        if self.kind == "counter":
            return pl.Float64 if self.unit == "s" else pl.UInt64
        return {"gauge": pl.Float64, "state": pl.UInt8, "text": pl.String}[self.kind]

    def column(self, index: int | None = None) -> str:
        """Its column in a table of samples; ``index`` where it is one of several."""
        if (index is None) == self.indexed:
            raise ValueError(f"{self.name}: a number is {'needed' if self.indexed else 'not wanted'}")
        return self.name if index is None else f"{self.name}_{SUFFIXES[self.object]}{index}"


@cache
def counters() -> dict[str, Counter]:
    """Every counter by name, in the order of the schema."""
    text = (files("fabric") / "schema/counters.csv").read_text(encoding="utf-8")
    return {row["name"]: _counter(row) for row in csv.DictReader(text.splitlines())}


def _counter(row: dict[str, str]) -> Counter:
    addresses = {protocol: tuple(map(_address, row[protocol].split())) for protocol in PROTOCOLS}
    bits = int(row["bits"]) if row["bits"] else None
    return Counter(
        row["name"], row["object"], row["kind"], row["unit"], bits, row["description"], row["source"], addresses
    )


def _address(text: str) -> Address:
    path, _, factor = text.partition("*")
    return Address(path, float(factor or 1))


@cache
def parse(column: str) -> tuple[Counter, int | None] | None:
    """The counter that a column of samples holds, and its priority, queue, lane or bin; None if it is none of ours."""
    found = counters().get(column)
    if found is not None and not found.indexed:
        return found, None
    match = _COLUMN.match(column)
    if match is None or match["letter"] is None:
        return None
    found = counters().get(match["name"])
    if found is None or SUFFIXES.get(found.object) != match["letter"]:
        return None
    return found, int(match["index"])


def markdown() -> str:
    """The page ``docs/counters.md``."""
    lines = [
        "# Counters",
        "",
        "Generated from `fabric/schema/counters.csv` by `make docs`. A counter has one name in sample files, in the",
        "store, in findings, metrics and panels. Priorities, queues, lanes and FEC bins are a suffix of its column in",
        "samples (`_p3`, `_q3`, `_l0`, `_b7`) and a tag of its series (`priority`, `queue`, `lane`, `bin`).",
        "`counter` is cumulative, as the device reports it; `gauge` is a value now; `state` a number of a short list.",
        "Addresses are multiplied by what follows `*`.",
        "",
    ]
    for counter in counters().values():
        width = f", {counter.bits} bits" if counter.bits else ""
        of = counter.object.replace("_", " ")
        lines += [f"## `{counter.name}`", "", f"{counter.description}. {counter.kind.capitalize()} of a {of}"
                  f"{', ' + counter.unit if counter.unit else ''}{width}. From {counter.source}.", ""]  # fmt: skip
        lines += [f"- {protocol}: {_places(places)}" for protocol, places in counter.addresses.items() if places]
        lines += [""] if any(counter.addresses.values()) else []
    return "\n".join(lines).rstrip("\n") + "\n"


def _places(addresses: tuple[Address, ...]) -> str:
    return ", ".join(f"`{a.path}`" + (f" × {a.factor:g}" if a.factor != 1 else "") for a in addresses)


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
