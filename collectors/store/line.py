"""Line protocol, written column by column: one compiled pass over the numbers, no object a value.

A line is ``measurement,tags field=value,… time``; times are in milliseconds. Whole numbers carry ``u`` (unsigned, so
that a 64-bit counter stays exact in InfluxDB), other numbers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from collectors.store.linekernel import Texts, write_lines
from collectors.store.series import LAG, TEXT, SeriesTags, escaped, series_of, tag_text
from collectors.store.tables import ROLLUP_KEY
from collectors.store.tidy import MILLISECOND_NS
from fabric.samples import KEYS

VALUES = 1 << 17
"""Values that are turned into lines at once: bounds the memory, and a request (about 6 MB) to what InfluxDB writes
within its 10 s, also where every series is new."""
ROWS = 1 << 14


def counter_lines(frame: pl.DataFrame, tags: SeriesTags) -> Iterator[bytes | memoryview]:
    """Lines of a table of counters (tidy), some thousand rows at a time; none where there are no rows."""
    rows = max(1024, VALUES // max(1, frame.width))
    for start in range(0, frame.height, rows):
        yield _counter_lines(frame[start : start + rows], tags)


def _counter_lines(frame: pl.DataFrame, tags: SeriesTags) -> bytes:
    groups: dict[tuple[str, tuple[str, int] | None], list[str]] = {}
    for column in frame.columns[len(KEYS) :]:
        series = series_of(column)
        groups.setdefault((series.measurement, series.tag), []).append(column)
    place = tags.places(frame)
    lag = (frame["received_ns"] - frame["time_ns"]) / 1e9
    found: list[bytes | memoryview] = []
    for own, port in (("railwright_port", True), ("railwright_device", False)):
        columns = groups.pop((own, None), [])
        its = lag.set(frame["port"].is_not_null() != port, None)
        found.append(_lines(own, place, frame.select("time_ns", *columns), {LAG: its}))
    for (measurement, tag), columns in groups.items():
        if measurement == TEXT:
            found += [_text_lines(frame, column, place) for column in columns]
        else:
            tagged_place = place if tag is None else place + f",{tag[0]}={tag[1]}"
            found.append(_lines(measurement, tagged_place, frame.select("time_ns", *columns), {}))
    return b"".join(found)


def _lines(measurement: str, place: pl.Series, frame: pl.DataFrame, more: dict[str, pl.Series]) -> bytes | memoryview:
    """Lines of the rows of ``frame`` (``time_ns`` and counters) that have a value; ``more``: other float fields."""
    frame = frame.with_columns(pl.Series(name, values) for name, values in more.items())
    names = [name for name in frame.columns if name != "time_ns" and frame[name].null_count() < frame.height]
    if not names:
        return b""
    if all(frame[name].null_count() for name in names):
        some = frame.select(some=pl.any_horizontal(pl.col(name).is_not_null() for name in names))["some"]
        frame, place = frame.filter(some), place.filter(some)
    fields = {name: name if name in more else series_of(name).field for name in names}
    whole = [name for name in names if not frame.schema[name].is_float()]
    numbers = [name for name in names if frame.schema[name].is_float()]
    return write_lines(
        Texts.of(f"{measurement}" + place),
        [fields[name] for name in whole],
        _values(frame, whole),
        _present(frame, whole),
        Texts.of(_float_fields(frame, {name: fields[name] for name in numbers})),
        (frame["time_ns"] // MILLISECOND_NS).to_numpy(),
    )


def _values(frame: pl.DataFrame, names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Columns of whole numbers, a row of the array a column; nulls are 0."""
    values = np.zeros((len(names), frame.height), np.uint64)
    for row, name in enumerate(names):
        column = frame[name].cast(pl.UInt64)
        values[row] = (column.fill_null(0) if column.null_count() else column).to_numpy()
    return values


def _present(frame: pl.DataFrame, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    present = np.ones((len(names), frame.height), np.bool_)
    for row, name in enumerate(names):
        if frame[name].null_count():
            present[row] = frame[name].is_not_null().to_numpy()
    return present


def _float_fields(frame: pl.DataFrame, fields: dict[str, str]) -> pl.Series:
    """``,name=1.5,other=2.0`` a row; what is null or no finite number is left out."""
    parts = []
    for name, field in fields.items():
        value = pl.when(pl.col(name).is_finite()).then(pl.col(name)).cast(pl.String)
        parts.append(pl.concat_str(pl.lit(f",{field}="), value))
    if not parts:
        return pl.Series([""], dtype=pl.String).new_from_index(0, frame.height)
    return frame.select(text=pl.concat_str(parts, ignore_nulls=True))["text"]


def _text_lines(frame: pl.DataFrame, column: str, place: pl.Series) -> bytes:
    rows = frame.select("time_ns", escaped(pl.col(column)).alias("text"), place=place)
    rows = rows.drop_nulls("text")
    if rows.is_empty():
        return b""
    line = pl.format(
        f"{TEXT}{{}},counter={column},text={{}} present=1u {{}}\n",
        "place", "text", pl.col("time_ns") // MILLISECOND_NS,
    )  # fmt: skip
    return "".join(rows.select(line.alias("line"))["line"].to_list()).encode()


def outcome_lines(frame: pl.DataFrame, fabric: str | None) -> Iterator[bytes | memoryview]:
    """``railwright_poll`` lines of a table of outcomes: how long it took, how many rows it gave."""
    rows = frame.with_columns(fabric=pl.lit(fabric, dtype=pl.String))
    place = rows.select(place=tag_text(("fabric", "source", "device", "outcome")))["place"]
    seconds = {"seconds": rows["seconds"].fill_null(0.0), "rows": rows["rows"].fill_null(0).cast(pl.Float64)}
    for start in range(0, rows.height, ROWS):
        part = slice(start, start + ROWS)
        numbers = {name: values[part] for name, values in seconds.items()}
        yield _lines("railwright_poll", place[part], rows[part].select("time_ns"), numbers)


def rollup_lines(frame: pl.DataFrame, fabric: str | None) -> Iterator[bytes | memoryview]:
    """``railwright_rollup`` lines: a field ``<counter>_per_second_<sum|max|p99>`` a counter, a line a row."""
    keys = [name for name in ROLLUP_KEY if name not in ("time_ns", "counter")]
    rows = frame.with_columns(fabric=pl.lit(fabric, dtype=pl.String))
    place = rows.select(place=tag_text(("fabric", *keys)))["place"]
    for (counter,), part in rows.with_columns(place=place).partition_by("counter", as_dict=True).items():
        numbers = {f"{counter}_per_second_{name}": part[name] for name in ("sum", "max", "p99")}
        counts = {name: part[name].cast(pl.Float64) for name in ("ports", "ports_with_errors")}
        yield _lines("railwright_rollup", part["place"], part.select("time_ns"), numbers | counts)
