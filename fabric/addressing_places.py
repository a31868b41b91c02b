"""Where things are: the coordinates that addresses are made of, one row a switch, a leaf port or a link.

A switch has a number within its kind (network, tier and, for leaves, class) that grows with segments and pods only:

| kind | number |
|---|---|
| leaf | (segment of the class × planes + plane) × leaf positions + position |
| spine | ((pod × positions + position) × planes + plane) × room for spines + index |
| core | ((position × planes + plane) × room for groups + group) × room for cores + index |

Rooms are powers of two, at least what a leaf or a spine has uplinks: no group of spines or cores is ever larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.design import ClassDesign, NetworkDesign
from fabric.plan import Plan

Ints = npt.NDArray[np.int64]


def room(count: int) -> int:
    """The least power of two that is at least ``count`` (and 1)."""
    return 1 << max(0, count - 1).bit_length()


@dataclass(frozen=True)
class Kind:
    """Switches of one kind, arrays in the order of their ids."""

    network: NetworkDesign
    tier: str
    number: int
    """Of the class for leaves, else 0."""
    device: Ints
    ordinal: Ints
    """The switch's number within its kind."""
    authority: Ints
    """The same for its AS: one a leaf, one for the spines of a pod and plane, one for the cores of a plane."""

    @property
    def cls(self) -> ClassDesign:
        """The class of leaves."""
        return self.network.classes[self.number]

    @property
    def count(self) -> int:
        """Numbers taken, with those in between that are nobody's."""
        return int(self.ordinal.max(initial=-1)) + 1

    @property
    def authorities(self) -> int:
        """AS numbers taken, with those in between."""
        return int(self.authority.max(initial=-1)) + 1

    @property
    def name(self) -> str:
        """For messages: ``compute leaves``."""
        kinds = {"leaf": "leaves", "spine": "spines", "core": "cores"}
        several = self.tier == "leaf" and len(self.network.classes) > 1
        return f"{self.network.network} {kinds[self.tier]}" + (f" of {self.cls.name}" if several else "")


def kinds(plan: Plan) -> Iterator[Kind]:
    """Every kind of switch there is."""
    columns = ("segment", "index", "plane", "pod", "group", "rail", "host_class")
    table = plan.fabric.switches.select(
        "id",
        pl.col("network", "tier").cast(pl.String),
        *(pl.col(name).cast(pl.Int64).fill_null(0) for name in columns),
    )
    for (name, tier, number), rows in table.group_by(["network", "tier", "host_class"], maintain_order=True):
        network = plan.design.networks[str(name)]
        yield _kind(network, str(tier), int(str(number)), {c: rows[c].to_numpy() for c in ("id", *columns)})


def _kind(network: NetworkDesign, tier: str, number: int, row: dict[str, npt.NDArray[Any]]) -> Kind:
    if tier == "leaf":
        ordinal = authority = _leaves(network, number, row)
    else:
        ordinal, authority = (_spines if tier == "spine" else _cores)(network, row)
    return Kind(network, tier, number, row["id"].astype(np.int64), ordinal, authority)


def _leaves(network: NetworkDesign, number: int, row: dict[str, Ints]) -> Ints:
    segment = row["segment"] - sum(cls.segments for cls in network.classes[:number])
    positions = network.classes[number].leaves_per_plane
    return (segment * network.planes + row["plane"]) * positions + row["index"]


def _spines(network: NetworkDesign, row: dict[str, Ints]) -> tuple[Ints, Ints]:
    planes = 1 if network.planes_join == "spine" else network.planes
    group = (row["pod"] * _positions(network) + _position(network, row["rail"])) * planes + row["plane"]
    return group * spine_room(network) + row["index"], group


def _cores(network: NetworkDesign, row: dict[str, Ints]) -> tuple[Ints, Ints]:
    planes = network.planes if network.planes_join == "never" else 1
    plane = _position(network, row["rail"]) * planes + row["plane"]
    group = plane * spine_room(network) + row["group"]
    return group * room(network.spine_uplinks) + row["index"], plane


def spine_room(network: NetworkDesign) -> int:
    """Spines that a group has room for: every leaf has a link to each, so never more than a leaf has uplinks."""
    return room(network.classes[0].uplinks)


def _positions(network: NetworkDesign) -> int:
    return network.classes[0].leaves_per_plane if network.layout == "rail-only" else 1


def _position(network: NetworkDesign, rail: Ints) -> Ints:
    return rail // network.classes[0].rails_per_leaf


@dataclass(frozen=True)
class Seats:
    """Host-facing ports of one switch of a kind: by port number the rail of the leaf (0 … q − 1) and the seat there.

    Host ports come first, in the order of places; then the ports kept free, which are on the leaf's first rail (a last
    leaf may serve fewer rails than the others).
    """

    rail: Ints
    """By port number; -1 where the port faces no host."""
    seat: Ints
    each: int
    """Seats of a rail."""


def seats(plan: Plan, kind: Kind) -> Seats:
    """The seats of every leaf of a kind; they are alike, so that one is looked at.

    Host slot n of a leaf of q rails with π ports of a NIC is place n ÷ (qπ), rail n ÷ π mod q, port n mod π.
    """
    cls = kind.cls
    used = {use.cage + 1: (order, use.use) for order, use in enumerate(cls.leaf.cages)}
    ports = plan.fabric.ports.filter((pl.col("device") == int(kind.device[0])) & (pl.col("use") != "mgmt"))
    rows = [
        (used.get(cage, (0, "")), lane, number) for cage, lane, number in ports["cage", "lane", "number"].iter_rows()
    ]
    rail = np.full(max((number for *_, number in rows), default=-1) + 1, -1, dtype=np.int64)
    seat = rail.copy()
    rails, each = cls.rails_per_leaf, cls.ports_per_plane
    host = [number for (_, use), _, number in sorted(rows) if use == "host"]
    free = [number for (_, use), _, number in sorted(rows) if use in ("free", "service")]
    slot = np.arange(len(host))
    rail[host], seat[host] = slot // each % rails, slot // (each * rails) * each + slot % each
    first = -(-len(host) // rails)
    rail[free], seat[free] = 0, first + np.arange(len(free))
    return Seats(rail, seat, first + len(free))
