"""What stands in racks, as both drawings of the floor plan show it: kinds of devices, their colours and words."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fabric.exports.drawing.palette import plane_colour, tint
from fabric.plan import Plan
from fabric.trays import heights, watts

NETWORK_COLOURS = {"compute": "#0072b2", "storage": "#009e73", "frontend": "#e69f00", "oob": "#cc79a7"}
"""Of Okabe and Ito's eight, one a network."""
_SHARE = {"leaf": 0.45, "spine": 0.75, "core": 1.0}
_ROLES = {"compute": "#8fa1b3", "storage": "#b4c7a5", "service": "#d8c9a3", "pdu": "#cccccc"}


@dataclass(frozen=True)
class Kind:
    """Devices that are drawn alike; ``plane`` is None where no plane is told apart."""

    name: str
    order: int
    colour: str
    switch: bool
    plane: int | None = None
    spare: bool = False

    @property
    def stripe(self) -> str | None:
        """Colour of the bar that marks the plane."""
        return None if self.plane is None else plane_colour(self.plane)


@dataclass(frozen=True)
class Gear:
    """Devices in racks, a row each: ``device, rack, unit, height, kw, kind, label``; kinds by number."""

    devices: pl.DataFrame
    kinds: tuple[Kind, ...]


def gear(plan: Plan) -> Gear:
    """Everything that takes a unit, from the top of each rack down."""
    fabric = plan.fabric
    dual = [name for name, network in plan.design.networks.items() if network.planes > 1]
    text = pl.col("network", "tier").cast(pl.String)
    switches = fabric.switches.with_columns(text).select(
        "rack", "unit", "name",
        key=pl.concat_str("network", "tier", pl.when(pl.col("network").is_in(dual)).then("plane").fill_null(-1),
                          separator="|"),
    )  # fmt: skip
    hosts = fabric.hosts.select(
        "rack", "unit", "name", key=pl.concat_str(pl.col("role").cast(pl.String), "group", "spare", separator="|") + "|"
    )
    both = pl.concat([hosts, switches]).with_columns(
        pl.int_range(pl.len()).alias("device"),
        height=pl.Series(heights(fabric, plan.catalogue)),
        kw=pl.Series(watts(fabric, plan.catalogue)) / 1000,
    )
    both = both.filter(pl.col("rack").is_not_null() & pl.col("unit").is_not_null() & (pl.col("height") > 0))
    keys = both["key"].unique(maintain_order=True).to_list()
    kinds = sorted((_kind(key, number) for number, key in enumerate(keys)), key=lambda kind: (kind.switch, kind.order))
    number = {keys[kind.order]: at for at, kind in enumerate(kinds)}
    both = both.with_columns(kind=pl.col("key").replace_strict(number, return_dtype=pl.Int64))
    return Gear(both.drop("key").sort("rack", "unit", descending=[False, True]), tuple(kinds))


def _kind(key: str, order: int) -> Kind:
    first, second, third, *host = key.split("|")
    if not host:
        plane = None if third == "-1" else int(third)
        name = f"{first} {second}" + ("" if plane is None else f", plane {plane}")
        return Kind(name, order, tint(NETWORK_COLOURS[first], _SHARE[second]), True, plane)
    spare = third == "true"
    colour = tint(_ROLES[first], 0.45 if spare else 1.0)
    return Kind(f"{second} (spare)" if spare else second, order, colour, False, spare=spare)
