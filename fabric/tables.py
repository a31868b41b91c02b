"""The tables of a fabric: what the columns are (data, in ``schema/*.csv``) and the frames that hold them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import TYPE_CHECKING

import polars as pl

from fabric.errors import PlanError, Problem

if TYPE_CHECKING:
    import networkx as nx

NAMES = ("hosts", "switches", "nics", "ports", "links", "cables", "racks", "ecmp_groups")

NETWORKS = ("compute", "storage", "frontend", "oob")
SWITCH_TIERS = ("leaf", "spine", "core")
LINK_TIERS = ("host-leaf", "leaf-leaf", "leaf-spine", "spine-core", "uplink", "oob")
USES = ("host", "service", "attach", "up", "down", "reserve", "external", "interswitch", "free", "nic", "mgmt")

CATEGORIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("hosts", "role"): ("compute", "storage", "service", "pdu"),
    ("switches", "network"): NETWORKS,
    ("switches", "tier"): SWITCH_TIERS,
    ("nics", "network"): NETWORKS,
    ("ports", "network"): NETWORKS,
    ("ports", "use"): USES,
    ("ports", "fec"): ("none", "fc", "rs528", "rs544"),
    ("links", "network"): NETWORKS,
    ("links", "tier"): LINK_TIERS,
    ("cables", "network"): NETWORKS,
    ("cables", "tier"): LINK_TIERS,
    ("cables", "medium"): ("dac", "acc", "aec", "aoc", "multimode", "singlemode", "copper"),
    ("ecmp_groups", "network"): NETWORKS,
    ("ecmp_groups", "tier"): SWITCH_TIERS,
    ("ecmp_groups", "direction"): ("up", "down"),
}
"""Enum columns whose values are the same in every plan; the others (models, groups…) take those of the plan."""

LATER: dict[str, tuple[str, ...]] = {
    "ports": ("fec", "autoneg"),
    "cables": ("medium", "part", "polarity", "a_optic", "b_optic", "length_m", "estimated", "bundle"),
}
"""Columns that are null throughout until media are chosen, and nowhere null afterwards."""

FOREIGN: dict[str, dict[str, tuple[str, ...]]] = {
    "hosts": {"rack": ("racks",)},
    "switches": {"rack": ("racks",)},
    "nics": {"host": ("hosts",)},
    "ports": {"device": ("hosts", "switches"), "nic": ("nics",)},
    "links": {
        "a_device": ("hosts", "switches"),
        "b_device": ("hosts", "switches"),
        "a_port": ("ports",),
        "b_port": ("ports",),
        "cable": ("cables",),
    },
}
"""Columns that hold ids of other tables; devices are the hosts and then the switches."""

_DTYPES: dict[str, type[pl.DataType]] = {
    "UInt16": pl.UInt16,
    "UInt32": pl.UInt32,
    "Float64": pl.Float64,
    "Boolean": pl.Boolean,
    "String": pl.String,
    "Enum": pl.Enum,
}


@dataclass(frozen=True)
class Column:
    """One column: polars dtype by name, unit of its numbers, whether it may be null, what it says."""

    name: str
    dtype: str
    unit: str
    nullable: bool
    description: str


@dataclass(frozen=True)
class Table:
    """The columns of one table, in order."""

    name: str
    columns: tuple[Column, ...]

    def dtype(self, column: Column, categories: tuple[str, ...] = ()) -> pl.DataType:
        """Polars dtype of a column; an Enum without fixed categories takes ``categories``."""
        if column.dtype == "Enum":
            return pl.Enum(CATEGORIES.get((self.name, column.name), categories))
        return _DTYPES[column.dtype]()

    def empty(self) -> pl.DataFrame:
        """The table without rows."""
        return pl.DataFrame(schema={c.name: self.dtype(c) for c in self.columns})


def _read(name: str) -> Table:
    text = (files("fabric") / "schema" / f"{name}.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    columns = (Column(r["column"], r["dtype"], r["unit"], r["null"] == "yes", r["description"]) for r in rows)
    return Table(name, tuple(columns))


SCHEMA: dict[str, Table] = {name: _read(name) for name in NAMES}


@dataclass(frozen=True)
class Fabric:
    """Every device, port, link and cable of a plan, a row each; ids are the row numbers.

    Device ids run over the hosts (PDUs included) and then the switches. ``b_device`` and ``b_port`` of a link are null
    where it leaves for what is not ours (``external``).
    """

    hosts: pl.DataFrame
    switches: pl.DataFrame
    nics: pl.DataFrame
    ports: pl.DataFrame
    links: pl.DataFrame
    cables: pl.DataFrame
    racks: pl.DataFrame

    def tables(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Each stored table with its name, in the order of the fields."""
        for item in fields(self):
            yield item.name, getattr(self, item.name)

    def device_names(self) -> pl.Series:
        """Names by device id."""
        return pl.concat([self.hosts["name"], self.switches["name"]])

    def ecmp_groups(self) -> pl.DataFrame:
        """What switches hash over: all up links of a switch, and each trunk of parallel links; a row a member port.

        An ``up`` group is all links of a leaf to its spines, or of a spine to its cores. A ``down`` group is the two or
        more parallel links of a spine to one leaf, of a core to one spine, or of either leaf of a pair to the other.
        """
        from fabric.ecmp import ecmp_groups

        return ecmp_groups(self)

    def graph(self) -> nx.MultiGraph[int | str]:
        """Devices (by id; attributes name, kind, tier) and links (key: link id). Only for small fabrics."""
        import networkx as nx

        graph: nx.MultiGraph[int | str] = nx.MultiGraph()
        for row in self.hosts.select("id", "name", tier=pl.col("role").cast(pl.String)).iter_rows(named=True):
            graph.add_node(row["id"], name=row["name"], kind="host", tier=row["tier"])
        for row in self.switches.select("id", "name", "tier").iter_rows(named=True):
            graph.add_node(row["id"], name=row["name"], kind="switch", tier=row["tier"])
        columns = ("id", "a_device", "b_device", "tier", "network", "speed_gbps")
        for link, a, b, tier, network, speed in self.links.select(columns).iter_rows():
            end = "external" if b is None else b
            graph.add_edge(a, end, key=link, tier=tier, network=network, speed_gbps=speed)
        return graph

    def validate(self) -> None:
        """Raise PlanError with every way in which the tables differ from the schema: columns, dtypes, nulls, keys."""
        problems = [p for name, frame in self.tables() for p in _differences(SCHEMA[name], frame)]
        if not problems:
            problems = [*_sparse_ids(self), *_dangling(self)]
        if problems:
            raise PlanError(problems)


def _differences(table: Table, frame: pl.DataFrame) -> Iterator[Problem]:
    where = f"fabric/{table.name}.parquet"
    expected = [c.name for c in table.columns]
    if frame.columns != expected:
        yield Problem(where, f"has the columns {', '.join(frame.columns)}; {', '.join(expected)} expected")
        return
    later = LATER.get(table.name, ())
    for column in table.columns:
        series = frame[column.name]
        categories = tuple(series.dtype.categories) if isinstance(series.dtype, pl.Enum) else ()
        if series.dtype != table.dtype(column, categories):
            yield Problem(f"{where}: {column.name}", f"is {series.dtype}; {column.dtype} expected")
        nulls = series.null_count()
        if nulls and not column.nullable and not (column.name in later and nulls == frame.height):
            yield Problem(f"{where}: {column.name}", f"is empty in {nulls} of {frame.height} rows and may not be")


def _sparse_ids(fabric: Fabric) -> Iterator[Problem]:
    for name, frame in fabric.tables():
        first = fabric.hosts.height if name == "switches" else 0
        expected = pl.int_range(first, first + frame.height, dtype=pl.UInt32, eager=True)
        if not (frame["id"] == expected).all():
            yield Problem(f"fabric/{name}.parquet: id", f"is not {first}, {first + 1}, … in the order of the rows")


def _dangling(fabric: Fabric) -> Iterator[Problem]:
    heights = {name: frame.height for name, frame in fabric.tables()}
    for name, keys in FOREIGN.items():
        for column, targets in keys.items():
            limit = sum(heights[t] for t in targets)
            series = getattr(fabric, name)[column]
            largest = series.max()
            if isinstance(largest, int) and largest >= limit:
                ends = f"{' and '.join(targets)} end at {limit - 1}"
                yield Problem(f"fabric/{name}.parquet: {column}", f"names {largest}, but {ends}")


def markdown() -> str:
    """``docs/tables.md``: every table and column, from the schema."""
    lines = [
        "# The tables",
        "",
        "Generated from `fabric/schema/*.csv` by `python -m fabric.tables`. A plan keeps each table as",
        "`fabric/<table>.parquet`; `ecmp_groups` is derived from the others and not stored.",
    ]
    for table in SCHEMA.values():
        lines += ["", f"## {table.name}", "", *HEAD, *(_markdown_row(table.name, c) for c in table.columns)]
    return "\n".join(lines) + "\n"


HEAD = ("| column | type | unit | may be empty | what it says |", "|---|---|---|---|---|")


def _markdown_row(table: str, column: Column) -> str:
    later = column.name in LATER.get(table, ())
    nullable = "yes" if column.nullable else "until media are chosen" if later else "no"
    values = CATEGORIES.get((table, column.name), ())
    suffix = "" if all(value in column.description for value in values) else f" ({', '.join(values)})"
    return f"| `{column.name}` | {column.dtype} | {column.unit} | {nullable} | {column.description}{suffix} |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
