"""Workbooks: what openpyxl reads is what was in the tables, cell by cell."""

from __future__ import annotations

import io
import zipfile
from decimal import Decimal
from typing import Any

import openpyxl
import polars as pl
import pytest
from cabled import EXAMPLES, plan, plan_of, pod
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.exports import xlsx
from fabric.exports.bom import bom_table
from fabric.exports.cabling import cable_list
from fabric.exports.workbook import bom, cables, with_numbers
from fabric.exports.xlsx import Sheet, workbook


def opened(data: bytes | None) -> dict[str, list[tuple[Any, ...]]]:
    """Every sheet's rows, header first, as openpyxl gives them."""
    assert data is not None
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}


def expected(table: pl.DataFrame) -> list[tuple[Any, ...]]:
    """What a reader should see: nothing for null and for an empty text, numbers as numbers."""
    return [tuple(table.columns), *(tuple(_seen(value) for value in row) for row in table.iter_rows())]


def _seen(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else None if value == "" else value


@pytest.mark.parametrize("shape", [*EXAMPLES, "small", pod(media="[dac]")])
def test_every_cell_of_the_cables(shape: str) -> None:
    made = plan(shape)
    sheets = opened(cables(made))
    listed = cable_list(made)
    assert list(sheets) == list(made.design.networks)
    for name, rows in sheets.items():
        assert rows == expected(with_numbers(listed.filter(pl.col("network") == name)))


def test_every_cell_of_the_bill() -> None:
    made = plan("small")
    sheets = opened(bom(made))
    assert list(sheets) == ["total", "compute", "storage", "frontend", "oob"]
    assert sheets["total"] == expected(bom_table(made))
    assert sheets["oob"] == expected(bom_table(made, "oob"))


def test_numbers_are_numbers() -> None:
    table = with_numbers(
        pl.DataFrame({"a": ["1", None, "20"], "b": ["1", "1 2", "3"], "c": ["01", "2", "3"], "d": [None] * 3})
    )
    assert [dtype.is_numeric() for dtype in table.dtypes] == [True, False, False, False]


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
COLUMN = st.one_of(
    st.tuples(st.just(pl.String), st.lists(st.none() | TEXT, min_size=4, max_size=4)),
    st.tuples(st.just(pl.Int64), st.lists(st.none() | st.integers(-(2**50), 2**50), min_size=4, max_size=4)),
    st.tuples(st.just(pl.Boolean), st.lists(st.none() | st.booleans(), min_size=4, max_size=4)),
    st.tuples(st.just(pl.Float64), st.lists(st.none() | st.floats(-1e9, 1e9), min_size=4, max_size=4)),
)


@settings(max_examples=150)
@given(st.lists(COLUMN, min_size=1, max_size=5))
def test_any_table_is_read_back(columns: list[tuple[type[pl.DataType], list[Any]]]) -> None:
    table = pl.DataFrame({f"<{n}> & co": pl.Series(values, dtype=dtype) for n, (dtype, values) in enumerate(columns)})
    rows = opened(workbook([Sheet("t", table)]))["t"]
    rows += [(None,) * table.width] * (table.height + 1 - len(rows))  # empty rows at the end are not reported
    for got, want in zip(rows, expected(table), strict=True):
        for cell, value in zip(got, want, strict=True):
            if isinstance(value, str):
                assert (cell or "") == legal(value)
            elif isinstance(value, float):
                assert cell == pytest.approx(value, rel=1e-15, abs=1e-300)
            else:
                assert cell == value


def legal(text: str) -> str:
    """The characters of a text that XML 1.0 can hold; a carriage return is not kept."""
    return "".join(c for c in text if c in "\t\n" or (ord(c) >= 32 and ord(c) not in (0xFFFE, 0xFFFF)))


def test_formulas_stay_text() -> None:
    rows = opened(workbook([Sheet("t", pl.DataFrame({"a": ["=1+1", "@x", "+2"]}))]))["t"]
    book = openpyxl.load_workbook(io.BytesIO(workbook([Sheet("t", pl.DataFrame({"a": ["=1+1"]}))]) or b""))
    assert [row[0] for row in rows[1:]] == ["=1+1", "@x", "+2"]
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(workbook([Sheet("t", pl.DataFrame({"a": ["=1+1"]}))]) or b"")).read(
        "xl/worksheets/sheet1.xml"
    )
    assert book.worksheets[0]["A2"].value == "=1+1"


def test_the_header_is_bold_frozen_and_filtered() -> None:
    book = openpyxl.load_workbook(io.BytesIO(cables(plan("small")) or b""))
    sheet = book["compute"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:AE{sheet.max_row}"
    assert all(cell.font.b for cell in sheet[1])
    assert not any(cell.font.b for cell in sheet[2])
    assert sheet.column_dimensions["A"].width >= 8


def test_a_long_table_goes_on_on_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "SHEET_ROWS", 4)
    sheets = opened(workbook([Sheet("t", pl.DataFrame({"n": range(7)}))]))
    assert {name: [row[0] for row in rows] for name, rows in sheets.items()} == {
        "t": ["n", 0, 1, 2], "t 2": ["n", 3, 4, 5], "t 3": ["n", 6],
    }  # fmt: skip


def test_names_of_sheets() -> None:
    empty = pl.DataFrame({"n": [1]})
    names = list(opened(workbook([Sheet(n, empty) for n in ("a/b", "A:B", "x" * 40, "x" * 40, "'", "")])))
    assert names == ["a-b", "A-B 2", "x" * 31, "x" * 29 + " 2", "sheet", "sheet 2"]


def test_a_table_without_rows() -> None:
    assert opened(workbook([Sheet("t", pl.DataFrame(schema={"a": pl.String, "b": pl.Int64}))]))["t"] == [("a", "b")]


def test_blocks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pl.DataFrame({"n": range(100), "t": [str(n) * 3 for n in range(100)]})
    whole = opened(workbook([Sheet("t", table)]))
    monkeypatch.setattr(xlsx, "_BLOCK_ROWS", 7)
    assert opened(workbook([Sheet("t", table)])) == whole == {"t": expected(table)}


def test_more_than_a_million_rows_are_not_a_workbook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workbook([Sheet("t", pl.DataFrame({"n": pl.int_range(1_000_001, eager=True)}))]) is None
    monkeypatch.setattr("fabric.exports.workbook.WORKBOOK_ROWS", 3)
    assert cables(plan("small")) is None


def test_the_same_bytes_twice() -> None:
    assert cables(plan_of("small")) == cables(plan_of("small"))
    assert bom(plan_of("small")) == bom(plan_of("small"))
    data = cables(plan("small"))
    assert data is not None
    assert {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(data)).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_long_texts_are_cut() -> None:
    rows = opened(workbook([Sheet("t", pl.DataFrame({"a": ["x" * 40_000]}))]))["t"]
    assert rows[1] == ("x" * 32_767,)
