"""Kinds of cable: everything that the choice of a part depends on, as columns, one row a cable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.catalogue import ACCEPTS, Mode
from fabric.media.components import components
from fabric.media.estimates import ESTIMATE_M, RUNGS_M

if TYPE_CHECKING:
    from fabric.catalogue import Catalogue
    from fabric.design import Design
    from fabric.tables import Fabric

KIND = [
    "network", "tier", "speed_gbps", "links", "a_ends", "b_ends",
    *(f"{side}_{name}" for side in "ab" for name in ("cage", "switch", "mode", "connectors", "lanes")),
    "media", "shape", "reach_m", "way_m",
]  # fmt: skip
"""Columns of a kind. ``way_m``: length of its way; ``reach_m``: the longest among cables whose cages hang together;
``shape``: see components."""
AUTO = ""
"""``media`` where any is allowed."""
OPTICAL = ("multimode", "singlemode")


@dataclass(frozen=True)
class End:
    """A cage at one side: its type, whether a switch has it, its breakout and how many connectors the plug has."""

    cage: str
    switch: bool
    mode: Mode
    connectors: int
    lanes: int
    """Lanes of one port."""

    @property
    def forms(self) -> tuple[str, ...]:
        """Plugs that fit, best first."""
        return ACCEPTS.get((self.cage, self.switch), ())

    @property
    def split(self) -> int:
        """Ports that share one connector."""
        return -(-self.mode.ports // self.connectors)


@dataclass(frozen=True)
class Kind:
    """Cables that are alike; ``b`` is None where they leave for what is not ours."""

    network: str
    tier: str
    speed_gbps: int
    links: int
    a_ends: int
    b_ends: int
    a: End
    b: End | None
    media: tuple[str, ...]
    """Media allowed; empty: any."""
    shape: tuple[int, int]
    """Cages at the a and b side that hang together, (0, 0) where more than one at both or nobody asked."""
    reach_m: float
    way_m: float
    count: int

    @cached_property
    def ends(self) -> tuple[End, ...]:
        """The ends that are ours."""
        return (self.a,) if self.b is None else (self.a, self.b)


def kind_of(row: Mapping[str, Any]) -> Kind:
    """A row of the table of kinds, with ``count``, as an object."""
    names = ("network", "tier", "speed_gbps", "links", "a_ends", "b_ends", "reach_m", "way_m", "count")
    return Kind(
        **{name: row[name] for name in names},
        a=_end(row, "a"),
        b=None if row["b_cage"] is None else _end(row, "b"),
        media=tuple(row["media"].split()),
        shape=divmod(row["shape"], _SHAPE),
    )


def _end(row: Mapping[str, Any], side: str) -> End:
    return End(
        cage=row[f"{side}_cage"],
        switch=row[f"{side}_switch"],
        mode=Mode.parse(row[f"{side}_mode"]),
        connectors=row[f"{side}_connectors"],
        lanes=row[f"{side}_lanes"],
    )


_SHAPE = 256
"""``shape`` is cages at a · 256 + cages at b."""


def cable_kinds(fabric: Fabric, design: Design, catalogue: Catalogue, lengths_m: pl.Series | None) -> pl.DataFrame:
    """``KIND`` and ``component`` of every cable, in the order of cables.

    ``component`` numbers the cables whose cages hang together; it is null for all where nothing depends on it: no
    lengths are known and no network asks for cables with ends of their own.
    """
    links, cables = fabric.links, fabric.cables
    first = _first_links(links["cable"].to_numpy(), cables.height)
    frame = cables.select(pl.col("network", "tier").cast(pl.String), "links", "a_ends", "b_ends")
    asked = _media(design, AUTO if lengths_m is not None else " ".join(OPTICAL))
    media = frame.select("network", "tier").join(asked, on=["network", "tier"], how="left", maintain_order="left")
    frame = frame.with_columns(links["speed_gbps"].gather(first), media["media"].fill_null(AUTO))
    cages = cage_table(fabric, catalogue)
    for side in ("a", "b"):
        frame = frame.with_columns(_side(fabric, cages, links[f"{side}_port"].gather(first), side))
    frame = frame.with_columns(_lengths(frame, lengths_m))
    if lengths_m is None and set(" ".join(asked["media"]).split()) <= set(OPTICAL):
        alone = pl.lit(None, pl.UInt32)
        return frame.with_columns(component=alone, shape=pl.lit(0, pl.UInt32), reach_m=pl.col("way_m"))
    return frame.with_columns(components(fabric, frame, _SHAPE))


def _first_links(cable: npt.NDArray[np.uint32], cables: int) -> pl.Series:
    """The first link of each cable, by cable id."""
    first = np.zeros(cables, dtype=np.uint32)
    first[cable[::-1]] = np.arange(len(cable), dtype=np.uint32)[::-1]  # the last one written is the first there is
    return pl.Series("link", first)


def _media(design: Design, auto: str) -> pl.DataFrame:
    """``network, tier, media``: media allowed, separated by spaces; ``auto`` where the design leaves it open."""
    rows = [
        (name, tier, " ".join(network.media_by_tier.get(tier, network.media)) or auto)
        for name, network in design.networks.items()
        for tier in ESTIMATE_M
    ]
    return pl.DataFrame(rows, schema=["network", "tier", "media"], orient="row")


def cage_table(fabric: Fabric, catalogue: Catalogue) -> pl.DataFrame:
    """``cage, switch, connectors`` by port id: type of the port's cage, whether a switch has it, its connectors.

    A cage beyond those of the model (a switch's management port, a PDU) is rj45.
    """
    hosts, switches = (t["model"].cast(pl.String).to_list() for t in (fabric.hosts, fabric.switches))
    keys = [*((model, False) for model in hosts), *((model, True) for model in switches)]
    models = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    groups = [_model_cages(catalogue, *key) for key in models]
    most = max((sum(count for count, *_ in found) for found in groups), default=0) + 2
    types = np.full((len(groups), most), "rj45", dtype=object)
    connectors = np.ones((len(groups), most), dtype=np.uint16)
    for row, found in enumerate(groups):
        at = 1  # cages count from 1
        for count, cage, used in found:
            types[row, at : at + count], connectors[row, at : at + count] = cage, used
            at += count
    of_device = np.array([models[key] for key in keys], dtype=np.int64)
    device, cage = fabric.ports["device"].to_numpy(), np.minimum(fabric.ports["cage"].to_numpy(), most - 1)
    names = sorted(set(types.ravel()))
    codes = np.searchsorted(names, types.ravel().astype(str)).reshape(types.shape).astype(np.uint32)
    at_port = codes[of_device[device], cage]
    return pl.DataFrame(
        {
            "cage": pl.Series(names).gather(pl.Series(at_port)),
            "switch": pl.Series(device >= fabric.hosts.height),
            "connectors": connectors[of_device[device], cage],
        }
    )


def _model_cages(catalogue: Catalogue, model: str, switch: bool) -> list[tuple[int, str, int]]:
    """Groups of cages in their order: how many, type, connectors."""
    if switch and model in catalogue.switches:
        return [(group.count, group.type, group.connectors) for group in catalogue.switches[model].cages]
    if not switch and model in catalogue.servers:
        return [(nic.cages, nic.cage, nic.ports_per_cage) for nic in catalogue.servers[model].nics]
    return []


def _side(fabric: Fabric, cages: pl.DataFrame, port: pl.Series, side: str) -> list[pl.Series]:
    """The columns of one end: null throughout where the port is."""
    mode = fabric.ports["mode"].cast(pl.String).gather(port)
    ports = mode.str.split("x").list.first().cast(pl.UInt16)
    used = pl.select(pl.min_horizontal(cages["connectors"].gather(port), ports)).to_series()
    return [
        cages["cage"].gather(port).alias(f"{side}_cage"),
        cages["switch"].gather(port).alias(f"{side}_switch"),
        mode.alias(f"{side}_mode"),
        used.alias(f"{side}_connectors"),
        fabric.ports["lanes"].gather(port).alias(f"{side}_lanes"),
    ]


def _lengths(frame: pl.DataFrame, lengths_m: pl.Series | None) -> pl.Series:
    """Length of each cable's way, rounded up to one of ``RUNGS_M`` (a longer one to whole metres)."""
    if lengths_m is None:
        return frame["tier"].replace_strict(ESTIMATE_M, return_dtype=pl.Float64).alias("way_m")
    rungs = np.array(RUNGS_M)
    wanted = lengths_m.cast(pl.Float64).to_numpy()
    at = np.searchsorted(rungs, wanted)
    return pl.Series("way_m", np.where(at < len(rungs), rungs[np.minimum(at, len(rungs) - 1)], np.ceil(wanted)))
