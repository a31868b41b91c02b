"""The room: rows of racks, their units, power and feeds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fabric.intent.base import said
from fabric.intent.expect import Expect, RefusedError, many, matching, measure, or_auto, shown, whole
from fabric.validation import Strict

Metres = Annotated[float, measure(0, 1000)]
PLACE = "[row, position], both counted from 1"


def _place(value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise RefusedError(((), f"expected {PLACE}, got {shown(value)}"))
    row, position = (whole(1).parse(number) for number in value)
    return row, position


class Site(Strict):
    """Without it racks are not planned and lengths are estimates, marked as such."""

    rows: Annotated[int, whole(1, 10_000)] = said("Rows of racks.")
    racks_per_row: Annotated[int, whole(1, 10_000)] = said("Racks in a row.")
    rack_units: Annotated[int, whole(1, 100)] = said("Units of a rack.", 48, unit="U")
    rack_power_kw: Annotated[float, measure(0, 10_000)] = said("Power a rack may draw.", 44.0, unit="kW")
    row_pitch_m: Metres = said("From the front of one row to that of the next.", 2.4, unit="m")
    rack_pitch_m: Metres = said("Width of a rack.", 0.6, unit="m")
    tray_height_m: Annotated[float, measure(0, 100, above=False)] = said(
        "Cable tray above the top of a rack.", 1.0, unit="m"
    )
    slack_m: Annotated[float, measure(0, 100, above=False)] = said(
        "Cable left over, both ends together.", 1.5, unit="m"
    )
    feeds: Annotated[
        tuple[str, ...],
        many(matching("a name of lowercase letters and digits, at most 8 long", "[a-z0-9]{1,8}"), least=1),
    ] = said("Power feeds; planes and redundant spines are spread over them.", ("a", "b"))
    pdus_per_rack: Annotated[int, whole(0, 16)] = said("Power distribution units of a rack, each with an oob port.", 2)
    switch_racks: Annotated[int | Literal["auto"], or_auto(whole(0))] = said(
        "Racks that hold switches only; `auto`: the floor plan decides.", "auto"
    )
    occupied: Annotated[tuple[tuple[int, int], ...], many(Expect(PLACE, _place))] = said(
        f"Racks that are taken already, each as {PLACE}.", ()
    )
