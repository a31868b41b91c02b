"""Files of samples: counters (with the outcomes of polls as rows of their own) or flow samples, Parquet or CSV.

A file is read twice: once to find everything that is wrong with it, then a piece at a time, so that nothing of a wrong
file is taken and a large one needs little memory. What is written appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fabric.errors import InputError, OutputError, Problem
from fabric.samples import (
    EXTRA,
    FLOW_SCHEMA,
    KEYS,
    OUTCOME_SCHEMA,
    conform,
    empty,
    empty_flows,
    empty_outcomes,
    schema,
)  # fmt: skip
from fabric.validation import suggest

if TYPE_CHECKING:
    from fabric.plan import Plan

PIECE = 1 << 18
"""Rows of a piece."""
MOST_CSV = 2 << 30
MOST_PROBLEMS = 50
_FLOW_MARK = frozenset({"src_ip", "dst_ip", "in_port", "sampling_rate"})
"""Any of these columns makes it a file of flow samples."""
_KINDS = "name a .parquet or .csv file"


@dataclass(frozen=True)
class Samples:
    """A piece of a file: each table may be empty."""

    counters: pl.DataFrame = field(default_factory=empty)
    flows: pl.DataFrame = field(default_factory=empty_flows)
    outcomes: pl.DataFrame = field(default_factory=empty_outcomes)


def read_samples(path: Path) -> Iterator[Samples]:
    """The pieces of a file, after all of it was found to be right; raises InputError with all that is wrong."""
    check_samples(path)
    for _, piece in _pieces(path):
        if _FLOW_MARK & set(piece.columns):
            missing = {name: pl.lit(None, dtype=dtype) for name, dtype in FLOW_SCHEMA.items()}
            rest = {name: value for name, value in missing.items() if name not in piece.columns}
            rows = piece.with_columns(**rest).select(pl.col(name).cast(kind) for name, kind in FLOW_SCHEMA.items())
            yield Samples(flows=rows)
        else:
            yield _split(conform(piece, str(path)))


def check_samples(path: Path) -> None:
    """Raise InputError with everything that is wrong with a file, at most 50 things."""
    where, problems, first = str(path), [], True
    for line, piece in _pieces(path):
        if first:
            problems += _header(piece, where)
            first = False
        problems += _values(piece, where, line)
        if len(problems) > MOST_PROBLEMS:
            problems = [*problems[:MOST_PROBLEMS], Problem(where, "has more that is wrong", "mend these first")]
            break
    if problems:
        raise InputError(problems)


def _header(piece: pl.DataFrame, where: str) -> list[Problem]:
    if not _FLOW_MARK & set(piece.columns):
        try:
            conform(piece.clear(), where)
        except InputError as error:
            return list(error.problems)
        return []
    found = [
        Problem(f"{where}: {name}", f"unknown column, {suggest(name, list(FLOW_SCHEMA))}")
        for name in piece.columns
        if name not in FLOW_SCHEMA
    ]
    needed = ("time_ns", "device", "in_port", "src_ip", "dst_ip", "frame_bytes", "sampling_rate")
    missing = [name for name in needed if name not in piece.columns]
    return found + [Problem(where, f"has no column {name}", "add it") for name in missing]


def _values(piece: pl.DataFrame, where: str, line: int) -> list[Problem]:
    """Values that are not of their column's kind, and rows without a time or device; by column, then line."""
    flows = bool(_FLOW_MARK & set(piece.columns))
    kinds = FLOW_SCHEMA if flows else _kinds(piece)
    found = []
    for name in ("time_ns", "device"):
        if name in piece.columns:
            empty_here = piece[name].is_null() if piece[name].dtype != pl.String else piece[name].fill_null("") == ""
            found += _lines(empty_here, where, line, f"has no {name}", "fill it in")
    for name in piece.columns:
        if name in kinds:
            wrong = _uncastable(piece[name], kinds[name])
            found += _lines(wrong, where, line, f"{name} is no {kinds[name].__name__}", "mend it or leave it empty")
    return found


def _kinds(piece: pl.DataFrame) -> dict[str, type[pl.DataType]]:
    kinds = dict(KEYS) | EXTRA
    for name in piece.columns:
        with suppress(KeyError):
            kinds |= schema([name]) if name not in kinds else {}
    return kinds


def _uncastable(values: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    """Which values are there and cannot be of the dtype; all of them where the column's own dtype cannot be."""
    try:
        return values.is_not_null() & values.cast(dtype, strict=False).is_null()
    except pl.exceptions.PolarsError:
        return values.is_not_null()


def _lines(wrong: pl.Series, where: str, line: int, what: str, remedy: str) -> list[Problem]:
    if not wrong.any():
        return []
    rows = wrong.arg_true().head(MOST_PROBLEMS)
    unit = "line" if where.endswith(".csv") else "row"
    return [Problem(f"{where}: {unit} {line + row}", what, remedy) for row in rows]


def _split(rows: pl.DataFrame) -> Samples:
    """The rows of counters, and the rows that say how polls ended."""
    if "outcome" not in rows.columns:
        return Samples(rows.drop(name for name in EXTRA if name in rows.columns))
    ended = rows.filter(pl.col("outcome").is_not_null())
    counters = rows.filter(pl.col("outcome").is_null()).drop(name for name in EXTRA if name in rows.columns)
    known = [name for name in OUTCOME_SCHEMA if name in ended.columns]
    rest = {name: pl.lit(None, dtype=OUTCOME_SCHEMA[name]) for name in OUTCOME_SCHEMA if name not in known}
    return Samples(counters, outcomes=ended.select(known).with_columns(**rest).select(list(OUTCOME_SCHEMA)))


def _pieces(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows as they are in the file with the line of the first; CSV as text, with empty cells null."""
    try:
        if path.suffix == ".parquet":
            yield from _parquet(path)
        elif path.suffix == ".csv":
            if path.stat().st_size > MOST_CSV:
                raise InputError(Problem(str(path), "is larger than 2 GiB", "split it, or write Parquet"))
            rows = pl.read_csv(path, infer_schema=False)
            yield from ((start + 2, rows[start : start + PIECE]) for start in range(0, max(1, rows.height), PIECE))
        else:
            raise InputError(Problem(str(path), f'"{path.suffix}" is no kind of file of samples', _KINDS))
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(Problem(str(path), f"cannot be read: {said}", _KINDS)) from error
    except OSError as error:
        said = (error.strerror or str(error)).lower()[:160]
        raise InputError(Problem(str(path), f"cannot be read: {said}", _KINDS)) from error


def _parquet(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    rows = pl.scan_parquet(path)
    height = int(rows.select(pl.len()).collect().item())
    for start in range(0, max(1, height), PIECE):
        yield start + 1, rows.slice(start, PIECE).collect()


def known_to(plan: Plan, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The rows of the plan's devices and ports, and the names of the others (``device`` or ``device port``)."""
    names = plan.fabric.device_names()
    devices = pl.DataFrame({"id": pl.int_range(len(names), dtype=pl.UInt32, eager=True), "device": names})
    ports = plan.fabric.ports.select(pl.col("device").alias("id"), port="name").join(devices, on="id")
    known = pl.concat([ports.select("device", "port"), devices.select("device", port=pl.lit(None, pl.String))])
    port = "port" if "port" in rows.columns else None
    on = ["device"] if port is None else ["device", "port"]
    known = known.select(on).unique()
    kept = rows.join(known, on=on, how="semi", nulls_equal=True, maintain_order="left")
    others = rows.join(known, on=on, how="anti", nulls_equal=True).select(on).unique(maintain_order=True)
    return kept, [" ".join(name for name in names if name is not None) for names in others.iter_rows()]


def write_counters(path: Path, counters: pl.DataFrame, outcomes: pl.DataFrame | None = None) -> None:
    """Write a table of counters, and outcomes as rows of their own; raises OutputError."""
    if outcomes is not None and outcomes.height:
        rows = outcomes.select("time_ns", "received_ns", "device", *EXTRA)
        counters = pl.concat([counters, rows], how="diagonal").sort("time_ns", "device", "port", nulls_last=True)
    _write(path, counters)


def write_flows(path: Path, flows: pl.DataFrame) -> None:
    """Write flow samples; raises OutputError."""
    _write(path, flows.select(list(FLOW_SCHEMA)))


def _write(path: Path, rows: pl.DataFrame) -> None:
    beside = path.with_name(f".{path.name}.railwright")
    try:
        if path.suffix == ".parquet":
            rows.write_parquet(beside)
        elif path.suffix == ".csv":
            rows.write_csv(beside)
        else:
            raise OutputError(Problem(str(path), f'"{path.suffix}" is no kind of file of samples', _KINDS))
        beside.replace(path)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise OutputError(Problem(str(path), f"cannot be written: {said}", "name another file")) from error
    finally:
        with suppress(OSError):
            beside.unlink()
