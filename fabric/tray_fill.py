"""How full the trays are: cables and their cross section on each stretch of tray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.trays import Floats, racks_of

if TYPE_CHECKING:
    from fabric.intent.site import Site
    from fabric.tables import Fabric

DIAMETER_MM: dict[str, float] = {
    "dac": 8.0,
    "acc": 7.0,
    "aec": 5.5,
    "aoc": 3.5,
    "multimode": 3.0,
    "singlemode": 3.0,
    "copper": 7.3,
}
"""Outer diameter of a cable by medium: estimates (MPO and LC jackets, 28 to 32 AWG twinax, Cat 6A)."""
TRAY_MM = (600, 100)
MOST_FILL = 0.4
"""Share of a tray's cross section that cables may take: TIA-569 plans for 40 %."""


@dataclass(frozen=True)
class TrayFill:
    """Cables and their cross section (mm²) on each stretch.

    ``rows``: a line a row, a stretch each half rack from the row's first end to its last; the cross tray meets it in
    the middle. ``cross``: from the way out to row 1, then from each row to the next.
    """

    rows: Floats
    rows_mm2: Floats
    cross: Floats
    cross_mm2: Floats


def share_of_tray(mm2: float) -> float:
    """Cross section as a share of what one tray should hold; above 1 more trays are needed."""
    return mm2 / (TRAY_MM[0] * TRAY_MM[1] * MOST_FILL)


def tray_fill(fabric: Fabric, site: Site) -> TrayFill:
    """The load of all trays; a cable with ends in several racks is on the way to each."""
    runs = _runs(fabric)
    along, across = [], []
    for weight in ("one", "mm2"):
        rows, cross = _loads(runs, site, runs[weight].to_numpy())
        along.append(rows)
        across.append(cross)
    return TrayFill(along[0], along[1], across[0], across[1])


def _runs(fabric: Fabric) -> pl.DataFrame:
    """One row a cable and pair of racks it joins: both ends' row and position, 0 where it leaves the room."""
    place = racks_of(fabric).select("rack", pl.col("row", "position").cast(pl.Int64))
    ends = [
        place.select(pl.all().gather(fabric.links[f"{side}_device"])).select(pl.all().name.prefix(f"{side}_"))
        for side in "ab"
    ]
    section = {medium: np.pi * mm**2 / 4 for medium, mm in DIAMETER_MM.items()}
    medium = fabric.cables["medium"].cast(pl.String).replace_strict(section, default=0.0, return_dtype=pl.Float64)
    runs = pl.concat([fabric.links.select("cable", out=pl.col("b_device").is_null()), *ends], how="horizontal")
    runs = runs.filter(pl.col("a_rack").is_not_null() & (pl.col("b_rack").is_not_null() | pl.col("out")))
    runs = runs.unique(["cable", "a_rack", "b_rack"], maintain_order=True).filter(
        pl.col("out") | (pl.col("a_rack") != pl.col("b_rack"))
    )
    return runs.with_columns(
        pl.col("b_row", "b_position").fill_null(0), one=pl.lit(1.0), mm2=medium.gather(runs["cable"])
    )


def _loads(runs: pl.DataFrame, site: Site, weight: Floats) -> tuple[Floats, Floats]:
    """Sums of ``weight`` on the stretches of rows and of the cross tray."""
    rows, middle = site.rows, site.racks_per_row
    a_row, b_row = runs["a_row"].to_numpy(), runs["b_row"].to_numpy()
    a, b = (2 * runs[f"{side}_position"].to_numpy() - 1 for side in "ab")
    same = a_row == b_row
    along = np.zeros((rows + 1, 2 * middle + 1))
    halves = ((a_row, a, np.where(same, b, middle), a_row > 0), (b_row, b, middle, (b_row > 0) & ~same))
    for row, at, other, used in halves:
        # A stretch is loaded from the lower of two points up to the higher: plus at one, minus at the other.
        np.add.at(along, (row[used], np.minimum(at, other)[used]), weight[used])
        np.add.at(along, (row[used], np.maximum(at, other)[used]), -weight[used])
    cross = np.zeros(rows + 1)
    np.add.at(cross, np.minimum(a_row, b_row), np.where(same, 0, weight))
    np.add.at(cross, np.maximum(a_row, b_row), -np.where(same, 0, weight))
    loads = np.cumsum(along, axis=1)[1:, :-1]
    return np.round(loads, 6), np.round(np.cumsum(cross)[:-1], 6)
