"""The workbooks: ``cables.xlsx`` and ``bom.xlsx``, a sheet a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.bom import bom_table
from fabric.exports.cabling import cable_list
from fabric.exports.xlsx import WORKBOOK_ROWS, Sheet, workbook

if TYPE_CHECKING:
    from fabric.plan import Plan


def cables(plan: Plan) -> bytes | None:
    """``cables.xlsx``: the rows of ``cables.csv``, a sheet a network.

    ``None`` with more than a million cables: only the CSV is written then, and whoever asked says so.
    """
    if plan.fabric.cables.height > WORKBOOK_ROWS:
        return None
    listed = cable_list(plan)
    return workbook([Sheet(name, with_numbers(listed.filter(pl.col("network") == name))) for name in _networks(plan)])


def bom(plan: Plan) -> bytes | None:
    """``bom.xlsx``: the rows of ``bom.csv`` on the first sheet, then what each network takes, without spare parts."""
    sheets = [Sheet("total", bom_table(plan))]
    sheets += [Sheet(name, bom_table(plan, name)) for name in _networks(plan)]
    return workbook(sheets)


def _networks(plan: Plan) -> list[str]:
    return list(plan.design.networks)


def with_numbers(table: pl.DataFrame) -> pl.DataFrame:
    """Text columns that hold nothing but whole numbers, as numbers: a spreadsheet marks numbers kept as text."""
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    return table.with_columns(number for name in texts if (number := _as_number(table[name])) is not None)


def _as_number(column: pl.Series) -> pl.Series | None:
    if column.null_count() == len(column) or not column.drop_nulls().str.contains(r"^(0|[1-9]\d{0,8})$").all():
        return None
    return column.cast(pl.UInt32)
