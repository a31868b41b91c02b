"""Do the parts of every cable fit: reach, medium, speed, and is there a part at all."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import View, any_of, differ, report
from fabric.findings import Finding

UNRESOLVED = "unresolved"
FIBRE = ("multimode", "singlemode")


def _optics(view: View) -> pl.DataFrame:
    rows = [
        (name, optic.medium, float(optic.reach_m), float(optic.lane_gbps), optic.wavelengths)
        for name, optic in view.catalogue.optics.items()
    ]
    schema = {"optic": pl.String, "medium": pl.String, "reach": pl.Float64, "lane": pl.Float64, "waves": pl.UInt16}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _chosen(view: View) -> pl.DataFrame:
    """Cables whose media are chosen, each end's optic with what it says of itself."""
    cables = view.cables.filter(pl.col("part").is_not_null())
    optics = _optics(view)
    for side in "ab":
        ends = optics.rename(
            {"optic": f"{side}_optic", **{n: f"{side}_{n}" for n in ("medium", "reach", "lane", "waves")}}
        )
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
    """The optics at both ends are of the cable's medium and understand each other: speed a lane and wavelengths."""
    wrong = _chosen(view).filter(
        any_of(
            [
                *(differ(f"{side}_medium", "medium") & pl.col("medium").is_in(FIBRE) for side in "ab"),
                differ("a_lane", "b_lane"),
                differ("a_waves", "b_waves"),
            ]
        )
    )
    yield from report(
        "medium-mismatch",
        wrong,
        lambda row: {"cable": row["id"], "part": row["part"]},
        lambda row: {
            "medium": row["medium"],
            "optics": [row["a_optic"], row["b_optic"]],
            "media": [row["a_medium"], row["b_medium"]],
            "lane_gbps": [row["a_lane"], row["b_lane"]],
        },
    )


def resolved(view: View) -> Iterator[Finding]:
    """Every cable and optic has a part; one finding a network, tier and speed that lacks one."""
    lacking = view.cables.filter(any_of([pl.col(name) == UNRESOLVED for name in ("part", "a_optic", "b_optic")]))
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
