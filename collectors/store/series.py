"""What counters are called as series, and the tags that the plan gives each port.

``railwright_<object>_<counter>``, with ``_total`` for counters: measurement and field in line protocol, one name in
PromQL. Tags are device, port, fabric and those of ``PLACE``; where the plan has no port or device of that name, its
names alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import polars as pl

from fabric.counters import TAGS, parse

if TYPE_CHECKING:
    from fabric.plan import Plan

PLACE = ("network", "tier", "pod", "segment", "rail", "plane")
"""Tags that say where a port is: of its link, else of its switch."""
LAG = "received_lag_seconds"
"""Field of each row: how much later than ``time_ns`` it was received."""
TEXT = "railwright_port_text"
"""Measurement of texts: the counter's name and the text are tags, the field ``present`` is 1."""


@dataclass(frozen=True)
class Series:
    """A column of samples as a series: ``tag`` is None where there is one a port."""

    column: str
    measurement: str
    field: str
    tag: tuple[str, int] | None

    @property
    def name(self) -> str:
        """Its name in PromQL."""
        return f"{self.measurement}_{self.field}"


@cache
def series_of(column: str) -> Series:
    """The series of a column; raises KeyError where it is no counter."""
    found = parse(column)
    if found is None:
        raise KeyError(column)
    counter, index = found
    if counter.kind == "text":
        return Series(column, TEXT, "present", None)
    tag = None if index is None else (TAGS[counter.object], index)
    total = "_total" if counter.kind == "counter" else ""
    return Series(column, f"railwright_{counter.object}", counter.name + total, tag)


ESCAPED = {chr(code): f"%{code:02X}" for code in (*range(33), 127, *b'%,="\\')}
"""What no tag's value holds: control characters, spaces, and what line protocol or CSV would have to quote."""
_TABLE = str.maketrans(ESCAPED)


def tag_value(text: str) -> str:
    """A name as the value of a tag; ``%`` alone is the empty text."""
    return text.translate(_TABLE) or "%"


def escaped(column: pl.Expr) -> pl.Expr:
    """The same of a column; null stays null."""
    safe = pl.when(column.str.contains(r'[\x00-\x20\x7f%,="\\]')).then(
        column.map_elements(tag_value, return_dtype=pl.String)
    )
    return pl.when(column == "").then(pl.lit("%")).otherwise(safe.otherwise(column))


def unescaped(column: pl.Series) -> pl.Series:
    """Names of tags' values; the empty value is null, as a tag that is not there."""
    from urllib.parse import unquote

    column = column.set(column == "", None)
    if not column.str.contains("%", literal=True).any():
        return column
    return column.map_elements(lambda text: "" if text == "%" else unquote(text), return_dtype=pl.String)


@dataclass(frozen=True)
class SeriesTags:
    """Tags by device and port, those of the device itself with a null port: ``device, port, fabric, network, …``."""

    table: pl.DataFrame

    @staticmethod
    def none() -> SeriesTags:
        """Without a plan: names alone."""
        return SeriesTags(pl.DataFrame(schema=dict.fromkeys(("device", "port", "fabric", *PLACE), pl.String)))

    @staticmethod
    def of(plan: Plan) -> SeriesTags:
        """Those of a plan's ports, and of its switches and hosts."""
        table = pl.concat([_ports(plan), _devices(plan)], how="diagonal")
        table = table.with_columns(fabric=pl.lit(plan.intent.name))
        names = ("device", "port", "fabric", *PLACE)
        table = table.select(pl.col(name).cast(pl.String) for name in names)
        return SeriesTags(table.unique(["device", "port"], keep="first", maintain_order=True))

    @cached_property
    def _places(self) -> pl.DataFrame:
        return self.table.select("device", "port", place=tag_text(("device", "fabric", *PLACE, "port")))

    def places(self, frame: pl.DataFrame) -> pl.Series:
        """The tags of each row of a table of counters, as line protocol has them: ``,device=…,fabric=…``."""
        found = frame.select("device", "port").join(
            self._places, on=["device", "port"], how="left", nulls_equal=True, maintain_order="left"
        )
        if found["place"].null_count():
            own = pl.coalesce("place", tag_text(("device", "port")))
            found = found.with_columns(place=own)
        # In one piece: polars 2.1 panics where texts are put together and a piece of a column has no row.
        return found["place"].rechunk()


def tag_text(names: Sequence[str]) -> pl.Expr:
    """``,name=value`` of each column that is not null, one text a row."""
    parts = [pl.concat_str(pl.lit(f",{name}="), escaped(pl.col(name))) for name in names]
    return pl.concat_str(parts, ignore_nulls=True)


def _ports(plan: Plan) -> pl.DataFrame:
    links = plan.fabric.links
    ends = pl.concat(
        links.select(pl.col(f"{end}_port").alias("id"), "tier", "pod", "segment", "rail", "plane").drop_nulls("id")
        for end in "ab"
    )
    devices = _named(plan)
    own = devices.rename({name: f"{name}_own" for name in PLACE})
    found = plan.fabric.ports.select("id", device_id="device", port="name", network=pl.col("network").cast(pl.String))
    found = found.join(ends.unique("id"), on="id", how="left").join(own, on="device_id", how="left")
    linked = [
        pl.coalesce(pl.col(name).cast(pl.String), pl.col(f"{name}_own")).alias(name)
        for name in ("pod", "segment", "rail", "plane")
    ]
    return found.sort("id").select("device", "port", "network", pl.col("tier").cast(pl.String), *linked)


def _devices(plan: Plan) -> pl.DataFrame:
    return _named(plan).drop("device_id").with_columns(port=pl.lit(None, dtype=pl.String))


def _named(plan: Plan) -> pl.DataFrame:
    """``device_id, device`` and the place of each device; a host's is its pod and segment alone."""
    switches = plan.fabric.switches.select(
        pl.col("id").alias("device_id"), pl.col("name").alias("device"), *_text(PLACE)
    )
    hosts = plan.fabric.hosts.select(
        pl.col("id").alias("device_id"), pl.col("name").alias("device"), *_text(("pod", "segment"))
    )
    return pl.concat([hosts, switches], how="diagonal")


def _text(names: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(name).cast(pl.String) for name in names]
