"""What the wire carries of the simulator's tables, and how what came into a store differs from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import polars as pl

from benchmarks.detection.wire_devices import SWITCH_SOURCES
from fabric.counters import counters, parse
from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA
from planner.simulate.telemetry import START_NS

ROOT = Path(__file__).parents[2]
SPEAKS = {"snmp": ("oid", "sflow"), "openconfig": ("gnmi", "sflow"), "sonic": ("sonic", "sflow")}
"""Columns of ``counters.csv`` with the addresses that switches have, by the way in which they are asked."""
SHOWN = ("sysfs", "ethtool")
"""The same of hosts; LLDP comes beside them, as ``lldpcli`` prints it."""
STEP = 10 * 10**9
TIMES = ("time_ns", "received_ns")
CLOSE = 1e-12
"""Of a value that is no whole number: a unit and back cost its last bit."""


@cache
def unit(column: str, protocols: tuple[str, ...]) -> float | None:
    """What a column is counted in on the wire; None where no protocol has it."""
    known = parse(column)
    assert known is not None, column
    addresses = [address for name in protocols for address in known[0].addresses[name]]
    if not addresses and not (protocols == SHOWN and column.startswith("lldp_")):
        return None
    if not addresses or known[0].kind == "text":
        return 0.0
    coarse = column == "uptime_seconds" or (known[0].kind == "counter" and known[0].unit == "s")
    return addresses[0].factor if coarse else 0.0


def carried(table: pl.DataFrame, switches: Sequence[str], way: str) -> pl.DataFrame:
    """A table of counters as the wire can have it: without what no protocol has, times in the protocol's unit."""
    own = pl.col("device").is_in(list(switches))
    names = [name for name in table.columns if name not in KEYS]
    return table.select(
        *TIMES, "device", "port",
        *(pl.when(own).then(_in_units(c, SPEAKS[way])).otherwise(_in_units(c, SHOWN)).alias(c) for c in names),
    ).filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names))  # fmt: skip


def _in_units(column: str, protocols: tuple[str, ...]) -> pl.Expr:
    size = unit(column, protocols)
    if size is None:
        return pl.lit(None)
    return (pl.col(column) / size).round() * size if size else pl.col(column)


def not_carried(columns: Sequence[str], protocols: tuple[str, ...]) -> list[str]:
    """Columns that protocols have no address for."""
    return [name for name in columns if name not in KEYS and unit(name, protocols) is None]


def lacking(columns: Sequence[str]) -> Iterator[str]:
    """What detectors read and a way does not carry, and by which other way it comes."""
    read = [name for name in columns if name not in KEYS and parse(name)[0].name in read_by_detectors()]  # type: ignore[index]
    ways = {**SPEAKS, "host": SHOWN}
    for way, protocols in ways.items():
        for name in not_carried(read, protocols):
            others = [other for other, said in SPEAKS.items() if way != "host" and unit(name, said) is not None]
            yield f"{way} does not carry {name}; {', '.join(others) or 'nothing else does'}"


@cache
def read_by_detectors() -> frozenset[str]:
    """Names of counters that the code of detectors has in it, also where ``rx`` or ``tx`` are filled in."""
    folder = ROOT / "collectors/detectors"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    text += (ROOT / "collectors/rates.py").read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z][a-z0-9_]+", text)) | {
        f"{way}{rest}" for rest in re.findall(r"\{\w+\}(_\w+)", text) for way in ("rx", "tx")
    }
    return frozenset(name for name in counters() if name in words)


def compared(want: pl.DataFrame, got: pl.DataFrame) -> tuple[int, dict[str, int]]:
    """How many values were compared, and of each column how many are missing, too many, or others."""
    key = ["time_ns", "device", "port"]
    both = want.join(got, on=key, how="full", nulls_equal=True, coalesce=True, suffix="_got")
    values, wrong = 0, {}
    for column in dict.fromkeys((*want.columns, *got.columns)):
        if column in KEYS:
            continue
        mine = both[column] if column in want.columns else pl.Series([None] * both.height, dtype=got.schema[column])
        other = column if column not in want.columns else f"{column}_got"
        theirs = both[other] if column in got.columns else pl.Series([None] * both.height, dtype=mine.dtype)
        values += mine.count()
        if different := int((~_same(mine, theirs)).sum()):
            wrong[column] = different
    return values, wrong


def _same(mine: pl.Series, theirs: pl.Series) -> pl.Series:
    if mine.dtype == pl.Float64:
        near = ((mine - theirs).abs() <= CLOSE * mine.abs()).fill_null(value=False)
        return near | (mine.is_null() & theirs.is_null())
    return mine.eq_missing(theirs)


def flows_apart(want: pl.DataFrame, got: pl.DataFrame) -> int:
    """Flow samples that are on one side alone; of times only the interval counts, as a datagram gathers samples."""
    names = [name for name in FLOW_SCHEMA if name not in (*TIMES, "sample_pool", "drops", "priority")]
    sides = [
        table.select(*names, at=(pl.col("time_ns") - START_NS - 1) // STEP).group_by(pl.all()).len()
        for table in (want, got)
    ]
    both = sides[0].join(sides[1], on=[*names, "at"], how="full", nulls_equal=True, suffix="_got")
    apart = both.select((pl.col("len").fill_null(0).cast(int) - pl.col("len_got").fill_null(0)).abs().sum())
    return int(apart.item())


def outcomes(table: pl.DataFrame, switches: Sequence[str], way: str) -> pl.DataFrame:
    """How polls ended, by the names of the sources that ask: the simulator's know of one."""
    own = pl.col("device").is_in(list(switches))
    parts = [
        table.filter(own if name != "host" else ~own).with_columns(source=pl.lit(name))
        for name in (*SWITCH_SOURCES[way], "sflow", "host")
    ]
    return pl.concat(parts).select(*OUTCOME_SCHEMA)
