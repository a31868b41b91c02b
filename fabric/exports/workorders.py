"""Work orders for pulling cables: a sheet a rack, and one page of all sheets to print.

Pull sequence of a sheet: cables inside the rack last; before them the longest bundle first (what is pulled later does
not block the tray), bundles of one length by name; within a bundle from the top unit down, then by cage and connector.
Each cable is pulled once, from the rack of its a end, and only received at the others: ``task`` says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.cabling import csv, label_list, once_a_plan
from fabric.exports.ends import SIDES, cable_ends

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = (
    "step", "task", "bundle", "cable", "label", "unit", "device", "cage", "connector", "ports", "far_rack", "far",
    "medium", "part", "length_m", "network",
)  # fmt: skip
FOLDER = "cabling/workorders"
MOST_ROWS = 6000
"""Plugs up to which the printed page lists every cable; above, bundles only: the cables are in the sheets."""


@once_a_plan
def pulls(plan: Plan) -> pl.DataFrame:
    """One row a plug in a rack, with ``rack`` and ``COLUMNS``, sheet after sheet in pull sequence."""
    if not plan.fabric.racks.height:
        return pl.DataFrame(schema={"rack": pl.String, **dict.fromkeys(COLUMNS, pl.String)})
    sides = [cable_ends(plan.fabric, side).with_columns(end=pl.lit(side.upper())) for side in SIDES]
    ends = pl.concat(sides).sort("cable", "end", "tail")
    said = label_list(plan).select("cable", "label", "far", "medium", "part", "length_m", "bundle", "network")
    # Both lists have a row a plug in the order of cable, end and tail.
    plugs = pl.concat([ends.rename({"cable": "number"}), said], how="horizontal")
    plugs = plugs.with_columns(far_rack=_far_racks(plugs), unit_number=pl.col("unit").cast(pl.Int64, strict=False))
    plugs = plugs.filter(pl.col("rack").is_not_null())
    inside = (pl.col("far_rack") == pl.col("rack")).all().over("rack", "bundle")
    longest = pl.col("length_m").max().over("rack", "bundle")
    plugs = plugs.with_columns(
        task=pl.when(pl.col("end") == "A").then(pl.lit("pull")).otherwise(pl.lit("receive")),
        inside=inside,
        longest=longest,
    ).sort(
        "rack", "inside", "longest", "bundle", "unit_number", "number", "end", "tail",
        descending=[False, False, True, False, True, False, False, False],
    )  # fmt: skip
    return plugs.with_columns(step=pl.int_range(1, pl.len() + 1).over("rack")).select("rack", *COLUMNS)


def _far_racks(plugs: pl.DataFrame) -> pl.Series:
    """Racks at the other side of each plug's cable, separated by spaces; ``out`` for what leaves the room."""
    racks = plugs.group_by("number", "end", maintain_order=True).agg(
        pl.col("rack").fill_null("out").unique(maintain_order=True).str.join(" ").alias("far_rack")
    )
    other = pl.when(pl.col("end") == "A").then(pl.lit("B")).otherwise(pl.lit("A"))
    racks = racks.with_columns(end=other)
    return plugs.join(racks, on=["number", "end"], how="left", maintain_order="left")["far_rack"].fill_null("out")


def workorders(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """(path in the bundle, CSV) of each rack that has cables, then the page of all; nothing without a floor plan."""
    rows = pulls(plan)
    if not rows.height:
        return
    for sheet in rows.partition_by("rack", maintain_order=True):
        yield f"{FOLDER}/{sheet['rack'][0]}.csv", csv(sheet.select(COLUMNS))
    yield f"{FOLDER}.html", page(plan)


def page(plan: Plan) -> bytes:
    """All sheets as one HTML page without scripts, a rack a printed page."""
    rows = pulls(plan)
    whole = rows.height <= MOST_ROWS
    sheets = "".join(_sheet(sheet, whole) for sheet in rows.partition_by("rack", maintain_order=True))
    title = escape(f"{plan.design.name}: work orders for cabling")
    note = "" if whole else f" The cables of each bundle are in {FOLDER}/&lt;rack&gt;.csv."
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n<p>{_HOW}{note}</p>\n{_overview(plan)}{sheets}</body>\n</html>\n"
    ).encode()


_HOW = (
    "A sheet a rack, in pull sequence: longest bundles first, from the top unit down, cables inside the rack last. "
    "Each cable is pulled from the rack of its end A; “receive” is where it arrives."
)
_STYLE = """\
body { font: 13px/1.4 Helvetica, Arial, "Liberation Sans", sans-serif; color: #1d2733; margin: 24px; }
h1 { font-size: 22px; } h2 { font-size: 17px; margin: 0 0 6px; }
p { max-width: 80ch; color: #5b6875; }
section { break-before: page; margin-top: 32px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 3px 8px; border-bottom: 1px solid #d5dce3; vertical-align: top; }
th { border-bottom: 2px solid #1d2733; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.bundle td { background: #f0f3f6; font-weight: bold; }
td.box { width: 14px; } td.box::before { content: "\\2610"; font-size: 15px; }
thead { display: table-header-group; } tr { break-inside: avoid; }
@media print { body { margin: 0; font-size: 10px; } }
"""


def _overview(plan: Plan) -> str:
    """How many cables of which part and length are needed: what to bring."""
    parts = (
        plan.fabric.cables.group_by(pl.col("medium", "part").cast(pl.String), "length_m")
        .len()
        .sort("medium", "part", "length_m", nulls_last=True)
    )
    rows = "".join(
        f'<tr><td>{escape(str(medium))}</td><td>{escape(str(part))}</td><td class="n">{length:g} m</td>'
        f'<td class="n">{count:,}</td></tr>\n'
        for medium, part, length, count in parts.iter_rows()
    )
    head = '<tr><th>medium</th><th>part</th><th class="n">length</th><th class="n">cables</th></tr>'
    return f"<table>\n<thead>{head}</thead>\n{rows}</table>\n"


def _sheet(sheet: pl.DataFrame, whole: bool) -> str:
    rack = escape(str(sheet["rack"][0]))
    bundles = sheet.group_by("bundle", "task", maintain_order=True).agg(
        pl.len().alias("plugs"), pl.col("cable").n_unique().alias("cables"), pl.col("length_m").min().alias("least"),
        pl.col("length_m").max().alias("most"), pl.col("far_rack").first(), pl.col("step").first(),
    )  # fmt: skip
    body = []
    for row in bundles.iter_rows(named=True):
        body.append(_bundle(row))
        if whole:
            mine = sheet.filter((pl.col("bundle") == row["bundle"]) & (pl.col("task") == row["task"]))
            body += [_pull(pull) for pull in mine.iter_rows(named=True)]
    return (
        f'<section><h2>{rack}</h2>\n<table>\n<thead><tr><th></th><th class="n">step</th><th>label</th><th>from</th>'
        f'<th>to</th><th>part</th><th class="n">length</th></tr></thead>\n{"".join(body)}</table></section>\n'
    )


def _bundle(row: dict[str, object]) -> str:
    least, most = row["least"], row["most"]
    metres = f"{most:g} m" if least == most else f"{least:g}–{most:g} m"
    return (
        f'<tr class="bundle"><td class="box"></td><td class="n">{row["step"]}</td><td colspan="2">'
        f"{escape(str(row['task']))} {escape(str(row['bundle']))}</td><td>{escape(str(row['far_rack']))}</td>"
        f"<td>{row['cables']:,} cables</td>"
        f'<td class="n">{metres}</td></tr>\n'
    )


def _pull(row: dict[str, object]) -> str:
    unit = "" if row["unit"] is None else f"U{row['unit']} "
    near = f"{unit}{row['device']} {row['cage']}/{row['connector']}"
    return (
        f'<tr><td class="box"></td><td class="n">{row["step"]}</td><td>{escape(str(row["label"]))}</td>'
        f"<td>{escape(near)}</td><td>{escape(str(row['far']))}</td><td>{escape(str(row['part']))}</td>"
        f'<td class="n">{row["length_m"]:g} m</td></tr>\n'
    )
