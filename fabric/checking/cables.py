"""Do the parts of every cable fit: reach, medium, speed, and is there a part at all."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding

UNRESOLVED = "unresolved"
FIBRE = ("multimode", "singlemode")


def _optics(view: View) -> pl.DataFrame:
    rows = [(name, optic.medium, optic.reach_m, optic.speed_gbps) for name, optic in view.catalogue.optics.items()]
    schema = {"optic": pl.String, "medium": pl.String, "reach": pl.Float64, "speed": pl.UInt32}
    return pl.DataFrame([(n, m, float(r), s) for n, m, r, s in rows], schema=schema, orient="row")


def _chosen(view: View) -> pl.DataFrame:
    """Cables whose media are chosen, each end's optic with its medium, reach and speed."""
    cables = view.cables.filter(pl.col("part").is_not_null() & (pl.col("part") != UNRESOLVED))
    optics = _optics(view)
    for side in "ab":
        ends = optics.rename({"optic": f"{side}_optic", **{n: f"{side}_{n}" for n in ("medium", "reach", "speed")}})
        cables = cables.join(ends, on=f"{side}_optic", how="left", maintain_order="left")
    return cables


def reach(view: View) -> Iterator[Finding]:
    """No cable is longer than the shorter reach of its optics, or than its assembly is made."""
    made = [(name, max(cable.lengths_m)) for name, cable in view.catalogue.cables.items() if cable.lengths_m]
    longest = pl.DataFrame(
        [(n, float(m)) for n, m in made], schema={"part": pl.String, "longest": pl.Float64}, orient="row"
    )
    cables = _chosen(view).join(longest, on="part", how="left", maintain_order="left")
    cables = cables.with_columns(reach=pl.min_horizontal("a_reach", "b_reach", "longest"))
    wrong = cables.filter(pl.col("length_m") > pl.col("reach"))
    yield from report(
        "reach-exceeded",
        wrong,
        lambda row: {"cable": row["id"], "part": row["part"]},
        lambda row: {"length_m": row["length_m"], "reach_m": row["reach"], "optics": [row["a_optic"], row["b_optic"]]},
    )


def media(view: View) -> Iterator[Finding]:
    """The optics at both ends are of the cable's medium."""
    wrong = _chosen(view).filter(
        pl.any_horizontal((pl.col(f"{side}_medium") != pl.col("medium")).fill_null(False) for side in "ab")
        & pl.col("medium").is_in(FIBRE)
    )
    yield from report(
        "medium-mismatch",
        wrong,
        lambda row: {"cable": row["id"], "part": row["part"]},
        lambda row: {key: row[key] for key in ("medium", "a_optic", "a_medium", "b_optic", "b_medium")},
    )


def resolved(view: View) -> Iterator[Finding]:
    """Every cable has a part; one finding a network, tier and speed that has none."""
    lacking = view.cables.filter(pl.col("part") == UNRESOLVED)
    kinds = lacking.group_by("network", "tier", "speed_gbps", "medium", maintain_order=True).agg(
        pl.len(), pl.col("id").first()
    )
    yield from report(
        "part-unresolved",
        kinds,
        lambda row: {key: row[key] for key in ("network", "tier", "speed_gbps")},
        lambda row: {"cables": row["len"], "medium": row["medium"], "first_cable": row["id"]},
    )


CHECKS = (reach, media, resolved)
