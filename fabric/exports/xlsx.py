"""Workbooks (Office Open XML spreadsheets), written a column at a time.

A cell-by-cell writer calls Python once a cell; a large cable list has ten million. Here each column becomes one polars
string expression, a block of rows one concatenation, and the file a zip of those blocks: no Python object a cell
(``docs/decisions/0003-workbooks.md`` has the measurements). The same tables give the same bytes: no clock, no order
of a set, fixed zip headers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import polars as pl

SHEET_ROWS = 1_048_576
"""Rows of a sheet, header included (ECMA-376 sets no limit; Excel's is 2^20)."""
WORKBOOK_ROWS = 1_000_000
"""Rows in all above which a workbook is not written: nobody opens it, the CSV has the same rows."""
CELL_CHARACTERS = 32_767
"""Characters of a cell, Excel's limit."""
_BLOCK_ROWS = 16_384
_ILLEGAL = r"[\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"
_SPECIAL = r"[&<>\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}]"
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name (made legal and unique when written) and its table; the header row is the column names."""

    name: str
    table: pl.DataFrame


def workbook(sheets: Sequence[Sheet]) -> bytes | None:
    """The workbook with these sheets; ``None`` where they have more than ``WORKBOOK_ROWS`` rows in all.

    A sheet longer than Excel's limit goes on in ``NAME 2``, ``NAME 3`` …, each with the header.
    """
    if sum(sheet.table.height for sheet in sheets) > WORKBOOK_ROWS:
        return None
    parts = _named([part for sheet in sheets for part in _split(sheet)])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, text in _frame([sheet.name for sheet in parts]):
            with archive.open(path, "w") as file:
                file.write(text.encode())
        for number, sheet in enumerate(parts, 1):
            _write_sheet(archive, f"xl/worksheets/sheet{number}.xml", sheet.table)
    return out.getvalue()


def _split(sheet: Sheet) -> Iterator[Sheet]:
    rows = SHEET_ROWS - 1
    yield Sheet(sheet.name, sheet.table.slice(0, rows))
    for number, start in enumerate(range(rows, sheet.table.height, rows), 2):
        yield Sheet(f"{sheet.name} {number}", sheet.table.slice(start, rows))


def _named(sheets: list[Sheet]) -> list[Sheet]:
    r"""Sheet names as Excel takes them: 1 to 31 characters, none of ``[]:*?/\``, unique whatever the case."""
    taken: set[str] = set()
    named = []
    for sheet in sheets:
        base = "".join("-" if c in "[]:*?/\\" or not c.isprintable() else c for c in sheet.name).strip("' ") or "sheet"
        name, number = base[:31], 1
        while name.casefold() in taken:
            number += 1
            name = f"{base[: 31 - len(str(number)) - 1]} {number}"
        taken.add(name.casefold())
        named.append(Sheet(name, sheet.table))
    return named


# --- one sheet ---------------------------------------------------------------------------------------------------


def _write_sheet(archive: zipfile.ZipFile, path: str, table: pl.DataFrame) -> None:
    texts = table.with_columns(_legal(table[name]) for name in _text_columns(table))
    with archive.open(path, "w", force_zip64=_large(texts)) as file:
        file.write(_sheet_head(texts).encode())
        row = _row_expression(texts)
        for block in texts.iter_slices(_BLOCK_ROWS):
            file.write("".join(block.select(row).to_series().to_list()).encode())
        file.write(_sheet_tail(table).encode())


def _large(table: pl.DataFrame) -> bool:
    """The sheet's XML may pass 2 GiB; only then the zip entry is ZIP64, which not every reader takes."""
    return table.estimated_size() + 48 * table.height * table.width > 2**31


def _text_columns(table: pl.DataFrame) -> list[str]:
    return [name for name, dtype in table.schema.items() if not dtype.is_numeric() and dtype != pl.Boolean]


def _legal(column: pl.Series) -> pl.Series:
    """The column as XML text: markup escaped, characters that XML 1.0 has not left out, cut to a cell's length.

    An empty text is an empty cell.
    """
    text = column.cast(pl.String)
    if (text == "").any():
        text = text.set(text == "", None)
    if (text.str.len_bytes().max() or 0) > CELL_CHARACTERS:  # type: ignore[operator]
        text = text.str.slice(0, CELL_CHARACTERS)
    if not text.str.contains(_SPECIAL).any():
        return text
    return (
        text.str.replace_all(_ILLEGAL, "")
        .str.replace_all("&", "&amp;", literal=True)
        .str.replace_all("<", "&lt;", literal=True)
        .str.replace_all(">", "&gt;", literal=True)
    )


def _row_expression(table: pl.DataFrame) -> pl.Expr:
    """A row's XML. Cells carry no reference: they are counted from the left, so an empty one is written too."""
    cells = [part for name in table.columns for part in _cell(table, name)]
    return pl.concat_str([pl.lit("<row>"), *cells, pl.lit("</row>")])


def _cell(table: pl.DataFrame, name: str) -> list[pl.Expr]:
    column = table[name]
    if column.null_count() == table.height:
        return [pl.lit("<c/>")]
    before, after = _tags(column)
    value = pl.col(name)
    if column.dtype == pl.Boolean:
        value = value.cast(pl.UInt8)
    elif column.dtype.is_float():
        value = pl.when(value.is_finite()).then(value)
    pieces = [pl.lit(before), value.cast(pl.String), pl.lit(after)]
    if not column.null_count() and not column.dtype.is_float():
        return pieces
    return [pl.concat_str(pieces).fill_null("<c/>")]


def _tags(column: pl.Series) -> tuple[str, str]:
    if column.dtype == pl.Boolean:
        return '<c t="b"><v>', "</v></c>"
    if column.dtype.is_numeric():
        return "<c><v>", "</v></c>"
    padded = column.str.contains(r"^\s|\s$|\n").any()
    space = ' xml:space="preserve"' if padded else ""
    return f'<c t="inlineStr"><is><t{space}>', "</t></is></c>"


def _sheet_head(table: pl.DataFrame) -> str:
    """Everything before the first row of data: frozen header, column widths, the header itself in bold."""
    widths = "".join(
        f'<col min="{n}" max="{n}" width="{_width(table, name)}" customWidth="1"/>'
        for n, name in enumerate(table.columns, 1)
    )
    header = "".join(f'<c s="1" t="inlineStr"><is><t>{escape(name)}</t></is></c>' for name in table.columns)
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    return (
        f'{_DECLARATION}<worksheet xmlns="{_NAMESPACE}"><dimension ref="{_reference(table)}"/>'
        f'<sheetViews><sheetView workbookViewId="0">{pane}</sheetView></sheetViews>'
        f"<cols>{widths}</cols><sheetData><row>{header}</row>"
    )


def _sheet_tail(table: pl.DataFrame) -> str:
    return f'</sheetData><autoFilter ref="{_reference(table)}"/></worksheet>'


def _width(table: pl.DataFrame, name: str) -> int:
    """Characters of the widest value, between 8 and 60, with room for the filter's arrow."""
    longest = table.select(pl.col(name).cast(pl.String).str.len_chars().max()).item() if table.height else 0
    return max(8, min(60, max(longest or 0, len(name) + 2) + 1))


def _reference(table: pl.DataFrame) -> str:
    return f"A1:{_letters(max(1, table.width))}{table.height + 1}"


def _letters(number: int) -> str:
    """1 → A, 26 → Z, 27 → AA."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


# --- the rest of the package -------------------------------------------------------------------------------------


def _frame(names: list[str]) -> list[tuple[str, str]]:
    """Content types, relationships, workbook and styles, in that order."""
    numbers = range(1, len(names) + 1)
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    types = (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{main}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{main}.styles+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{main}.worksheet+xml"/>' for n in numbers
        )
        + "</Types>"
    )
    root = _relationships([("officeDocument", "xl/workbook.xml")])
    parts = _relationships([("worksheet", f"worksheets/sheet{n}.xml") for n in numbers] + [("styles", "styles.xml")])
    return [
        ("[Content_Types].xml", _DECLARATION + types),
        ("_rels/.rels", root),
        ("xl/workbook.xml", _workbook_xml(names)),
        ("xl/_rels/workbook.xml.rels", parts),
        ("xl/styles.xml", _DECLARATION + _STYLES),
    ]


def _relationships(targets: list[tuple[str, str]]) -> str:
    items = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def _workbook_xml(names: list[str]) -> str:
    sheets = "".join(f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, 1))
    return (
        f'{_DECLARATION}<workbook xmlns="{_NAMESPACE}" xmlns:r="{_RELATIONS}">'
        f'<bookViews><workbookView activeTab="0"/></bookViews><sheets>{sheets}</sheets></workbook>'
    )


_STYLES = (
    f'<styleSheet xmlns="{_NAMESPACE}">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
