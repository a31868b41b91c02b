"""The cable list, and the two files that are it: ``cables.csv`` and ``labels.csv``.

``cable_list`` is the one list behind every file that speaks of cables: workbook, labels, bill of materials and NetBox
read it, or count the same rows (``counts``).
"""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.ends import PLACE, SIDES, Side, cable_ends, cable_names

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = (
    "cable", "label_a", "label_b", "network", "tier", "rail", "plane",
    *(f"{side}_{name}" for side in "ab" for name in ("device", *PLACE, "cage", "connector", "ports", "optic")),
    "speed_gbps", "medium", "part", "polarity", "length_m", "bundle",
)  # fmt: skip
"""Columns of ``cables.csv``, in order."""


LABEL_COLUMNS = (
    "label", "cable", "end", "tail", "network", "near", "far", "text", "medium", "part", "length_m", "bundle",
)  # fmt: skip
"""Columns of ``labels.csv``, in order."""


def once_a_plan(function: Callable[[Plan], pl.DataFrame]) -> Callable[[Plan], pl.DataFrame]:
    """Remember the table of the plan that was asked for last, as long as that plan lives."""
    last: list[tuple[weakref.ref[Plan], pl.DataFrame]] = []

    @wraps(function)
    def remembered(plan: Plan) -> pl.DataFrame:
        if not last or last[0][0]() is not plan:
            last[:] = [(weakref.ref(plan, lambda _: last.clear()), function(plan))]
        return last[0][1]

    return remembered


@once_a_plan
def cable_list(plan: Plan) -> pl.DataFrame:
    """One row a cable, with ``COLUMNS``, in the order of cable ids.

    Where a cable has several plugs at a side, cage, connector and ports are lists separated by spaces, a plug after
    the other. Device and place are a list only where the plugs are in several devices; ports then are ``device:port``.
    """
    fabric = plan.fabric
    names = cable_names(fabric)
    texts = pl.col("network", "tier", "medium", "a_optic", "b_optic", "part", "polarity", "bundle").cast(pl.String)
    blank = pl.when(texts != "").then(texts)
    frame = fabric.cables.select(blank.name.keep(), "rail", "plane", "speed_gbps", "length_m", cable=names)
    sides = [_side(cable_ends(fabric, side), side, names) for side in SIDES]
    return pl.concat([frame, *sides], how="horizontal").select(COLUMNS)


def _side(ends: pl.DataFrame, side: Side, names: pl.Series) -> pl.DataFrame:
    """The columns of one side, one row a cable, in the order of cables."""
    columns = ["device", *PLACE, "cage", "connector", "ports"]
    name = pl.Series("name", names.gather(ends["cable"]))
    ends = ends.with_columns(pl.col("connector").cast(pl.String), label=name + f"-{side.upper()}")
    rows = ends.filter(pl.col("tails") == 1).select("cable", "label", *columns)
    if rows.height < ends.height:
        several = ends.filter(pl.col("tails") > 1).with_columns(label=pl.col("label") + pl.col("tail").cast(pl.String))
        rows = pl.concat([rows, _joined(several).select(rows.columns)]).sort("cable")
    return rows.drop("cable").rename({"label": f"label_{side}", **{column: f"{side}_{column}" for column in columns}})


def _joined(ends: pl.DataFrame) -> pl.DataFrame:
    """Cables with several plugs at this side as one row each, cells joined by spaces."""
    alone = pl.col("device").n_unique() == 1
    place = [
        pl.when(alone).then(pl.col(name).first()).otherwise(_list(name)).alias(name) for name in ("device", *PLACE)
    ]
    ports = pl.when(alone).then(pl.col("ports").str.join(" ")).otherwise(pl.col("device_ports").str.join(" "))
    return ends.group_by("cable", maintain_order=True).agg(
        *place, *(_list(name) for name in ("label", "cage", "connector")), ports=ports
    )


def _list(name: str) -> pl.Expr:
    """Values separated by spaces, ``-`` for one that is not there; null where none is."""
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).fill_null("-").str.join(" ")).alias(name)


def csv(table: pl.DataFrame) -> bytes:
    """A table as CSV: UTF-8, commas, a header, lines ended by a line feed; null is empty."""
    out = io.BytesIO()
    table.write_csv(out)
    return out.getvalue()


def cables(plan: Plan) -> bytes:
    """``cables.csv``."""
    return csv(cable_list(plan))


def labels(plan: Plan) -> bytes:
    """``labels.csv``."""
    return csv(label_list(plan))


def label_list(plan: Plan) -> pl.DataFrame:
    """One row a plug of each cable: what is printed on the label at that plug, after TIA-606.

    ``label`` is the identifier to print as text and as bar code; ``near`` and ``far`` say where this end and the other
    one go (place, device, cage/connector; a splitter's trunk names every tail), ``text`` is the two on one line.
    """
    fabric = plan.fabric
    names = cable_names(fabric)
    a, b = (_near(cable_ends(fabric, side), side, names) for side in SIDES)
    rows = pl.concat([_faced(a, b), _faced(b, a)]).sort("cable", "end", "tail")
    texts = pl.col("network", "medium", "part", "bundle").cast(pl.String)
    parts = fabric.cables.select(pl.when(texts != "").then(texts).name.keep(), "length_m", cable=names)
    text = pl.concat_str("label", pl.lit(" "), "near", pl.lit(" > "), "far")
    of_cable = parts.select(pl.all().gather(rows["cable"]))
    return rows.with_columns(of_cable.get_columns()).with_columns(text=text).select(LABEL_COLUMNS)


def _near(ends: pl.DataFrame, side: Side, names: pl.Series) -> pl.DataFrame:
    """``cable`` (id), ``end``, ``tail``, ``label`` and ``near``: where this plug goes, in words."""
    unit = pl.concat_str(pl.lit("-U"), "unit").fill_null("")
    place = pl.concat_str("rack", unit, pl.lit(" "))
    connector = pl.concat_str(pl.lit("/"), "connector").fill_null("")
    plug = pl.concat_str(pl.lit(" "), "cage", connector)
    number = pl.when(pl.col("tails") > 1).then(pl.col("tail").cast(pl.String)).otherwise(pl.lit(""))
    label = pl.Series("label", names.gather(ends["cable"])) + f"-{side.upper()}"
    return ends.with_columns(label=label).select(
        "cable",
        "tail",
        "tails",
        end=pl.lit(side.upper()),
        label=pl.concat_str("label", number),
        near=pl.concat_str(place.fill_null(""), "device", plug.fill_null("")),
    )


def _faced(ends: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """``ends`` with ``far``: every plug at the other side of the same cable."""
    far = others.filter(pl.col("tails") == 1).select("cable", "near")
    if far.height < others.height:
        several = others.filter(pl.col("tails") > 1).group_by("cable", maintain_order=True)
        far = pl.concat([far, several.agg(pl.col("near").str.join(", "))]).sort("cable")
    return ends.with_columns(far=far["near"].gather(ends["cable"]))  # every cable has both sides: a row is an id
