"""A server's series as tables of samples again: the same as DuckDB's for the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import polars as pl

from collectors.store.series import LAG, TEXT, series_of, tag_value, unescaped
from collectors.store.server import Server
from collectors.store.tidy import MILLISECOND_NS
from fabric.counters import SUFFIXES, TAGS, counters, parse
from fabric.samples import KEYS, schema

_AT = ("time_ms", "device", "port")


@dataclass(frozen=True)
class Asked:
    """A read: columns (each once), devices and ports (None: all), and the span of time."""

    columns: tuple[str, ...]
    devices: Sequence[str] | None
    ports: Sequence[str] | None
    start_ns: int
    end_ns: int

    @property
    def only(self) -> dict[str, list[str]]:
        """Values that tags must have."""
        wanted = {"device": self.devices, "port": self.ports}
        return {tag: [tag_value(name) for name in names] for tag, names in wanted.items() if names is not None}


def read(server: Server, asked: Asked) -> pl.DataFrame:
    """Keys and columns, sorted by device, port and time; see ``Store.read``."""
    wanted = schema(asked.columns)
    if any(names is not None and not names for names in (asked.devices, asked.ports)) or not asked.columns:
        return pl.DataFrame(schema=wanted)
    groups: dict[tuple[str, tuple[str, int] | None], list[str]] = {}
    for column in asked.columns:
        series = series_of(column)
        groups.setdefault((series.measurement, series.tag), []).append(column)
    parts = [_part(server, asked, *group, columns) for group, columns in groups.items()]
    rows = reduce(lambda a, b: a.join(b, on=_AT, how="full", coalesce=True, nulls_equal=True), parts)
    rows = rows.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in asked.columns))
    rows = rows.with_columns(unescaped(rows["device"]), unescaped(rows["port"]))
    return _timed(server, asked, rows).select(wanted.keys()).sort("device", "port", "time_ns")


def _part(
    server: Server, asked: Asked, measurement: str, tag: tuple[str, int] | None, columns: list[str]
) -> pl.DataFrame:
    if measurement == TEXT:
        return _texts(server, asked, columns)
    only = asked.only if tag is None else {**asked.only, tag[0]: [str(tag[1])]}
    fields = {series_of(column).field: column for column in columns}
    found = server.series(measurement, list(fields), _AT[1:], only, asked.start_ns, asked.end_ns)
    return found.select(*_AT, *(number(found[field], column).alias(column) for field, column in fields.items()))


def _texts(server: Server, asked: Asked, columns: list[str]) -> pl.DataFrame:
    only = {**asked.only, "counter": columns}
    found = server.series(TEXT, ["present"], (*_AT[1:], "counter", "text"), only, asked.start_ns, asked.end_ns)
    found = found.with_columns(unescaped(found["text"])).unique([*_AT, "counter"], keep="last", maintain_order=True)
    return found.pivot(on="counter", on_columns=columns, index=_AT, values="text").select(*_AT, *columns)


def number(values: pl.Series, column: str) -> pl.Series:
    """Values as the server told them (text or float) in the column's dtype."""
    known = parse(column)
    assert known is not None
    dtype = known[0].dtype
    if values.dtype == pl.String and dtype != pl.Float64:
        return values.str.strip_suffix(".0").cast(dtype)
    floats = values.cast(pl.Float64)
    if dtype == pl.Float64:
        return floats
    most = float(2**64) if dtype == pl.UInt64 else 255.0
    top = pl.lit(2**64 - 1 if dtype == pl.UInt64 else 255, dtype=dtype)
    whole = pl.when(pl.col("v") >= most).then(top).otherwise(pl.col("v").cast(dtype, strict=False))
    return pl.DataFrame({"v": floats}).select(whole.alias("v"))["v"]


def _timed(server: Server, asked: Asked, rows: pl.DataFrame) -> pl.DataFrame:
    """``time_ns`` and ``received_ns`` in place of ``time_ms``."""
    lags = [
        server.series(name, [LAG], _AT[1:], asked.only, asked.start_ns, asked.end_ns)
        for name in ("railwright_port", "railwright_device")
        if rows.height and (name == "railwright_port" or asked.ports is None)
    ]
    lag = pl.concat(lags) if lags else pl.DataFrame(schema=dict.fromkeys((*_AT, LAG), pl.String))
    lag = lag.with_columns(pl.col("time_ms").cast(pl.Int64), unescaped(lag["device"]), unescaped(lag["port"]))
    rows = rows.join(lag, on=_AT, how="left", nulls_equal=True)
    late_ms = (pl.col(LAG).cast(pl.Float64) * 1000).round().cast(pl.Int64)
    return rows.with_columns(
        time_ns=pl.col("time_ms") * MILLISECOND_NS, received_ns=(pl.col("time_ms") + late_ms) * MILLISECOND_NS
    )


def columns(known: Sequence[tuple[str, str, Sequence[str]]]) -> list[str]:
    """Columns of samples that series stand for: measurement, field, values of the tag that tells them apart."""
    names = {(series_of(column).measurement, series_of(column).field): column for column in _plain()}
    found: set[str] = set()
    for measurement, field, values in known:
        column = names.get((measurement, field))
        if measurement == TEXT:
            found.update(value for value in values if value in counters())
        elif column is not None and measurement.removeprefix("railwright_") in TAGS:
            letter = SUFFIXES[measurement.removeprefix("railwright_")]
            name = column.rpartition("_")[0]
            found.update(f"{name}_{letter}{value}" for value in values)
        elif column is not None:
            found.add(column)
    return sorted(name for name in found if parse(name) and name not in KEYS)


def _plain() -> list[str]:
    return [c.column(0) if c.indexed else c.name for c in counters().values() if c.kind != "text"]
