"""What sizing decides about a network, before any device has a name.

Everything here is small (no object a host or a link) and goes to ``design.json`` as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Tier = Literal["leaf", "spine", "core"]
Use = Literal["host", "service", "attach", "up", "down", "reserve", "external", "interswitch", "free"]
"""What a switch port is for.

``host``: hosts of the class, spares and vacant places included; ``free``: kept free, and what service NICs take that
find no vacant host port (a port so taken is a ``service`` port); ``attach``: a leaf of another network hangs here (oob
uplinks on frontend leaves); ``up``/``down``: inter-switch links; ``reserve``: kept free for a tier that is not built;
``external``: leaves the network; ``interswitch``: the links of a single-tier pair.
"""


@dataclass(frozen=True)
class CageUse:
    """One cage of a switch and the breakout it is set to.

    ``cage`` is 0-based over the whole switch in the order of the catalogue; ``mode`` is ``"PxG"``: P ports of G Gb/s.
    Cages of one use are listed in the order in which their ports are filled.
    """

    cage: int
    use: Use
    mode: str


@dataclass(frozen=True)
class SwitchPlan:
    """How every switch of one kind (a tier; for leaves, a tier and host class) is set up."""

    model: str
    cages: tuple[CageUse, ...]
    ports: dict[str, int]
    """Ports of each use on every such switch, at most what its cages give; the first ports of the use's cages."""


@dataclass(frozen=True)
class ClassDesign:
    """Hosts that share one leaf design: same NICs on this network, same oversubscription, same spares.

    A segment has ``segment_hosts`` places for hosts and then ``spares_per_segment`` places for spares; segments are
    filled in order, so that only the last one can have vacant places. Leaves of a segment: ``planes`` ×
    ``leaves_per_plane``; leaf k of a plane serves rails ``k·rails_per_leaf …`` .
    """

    name: str
    groups: tuple[str, ...]
    hosts: int
    spares_per_segment: int
    rails: int
    ports_per_nic: int
    ports_per_plane: int
    """Ports of one NIC that end on one leaf: ``ports_per_nic / planes``."""
    speed_gbps: int
    segment_hosts: int
    segments: int
    segments_per_pod: int
    max_segments: int
    rails_per_leaf: int
    leaves_per_plane: int
    uplinks: int
    trunk: int
    """Parallel links between a leaf and one spine of its group; 0 where there is no spine."""
    oversubscription: float
    leaf: SwitchPlan


@dataclass(frozen=True)
class Proof:
    """What the solver says of its answer. Objective and bound are in ``unit``; the gap is relative, 0 when OPTIMAL."""

    status: str
    objective: int
    bound: int
    gap: float
    unit: str


@dataclass(frozen=True)
class Alternative:
    """A design of another shape, or a neighbouring intent, and what it would have cost."""

    shape: str
    switches: dict[str, int]
    objective: int | None
    why: str


@dataclass(frozen=True)
class NetworkDesign:
    """One network as decided.

    Spine groups: one a pod and plane (a pod, where planes join at the spine), and with ``rail-only`` one for each leaf
    position of a segment too. Every leaf has ``trunk`` links to each of the ``spines_per_group`` spines of its group.
    Core groups: the i-th spines of all pods (of a plane; of all planes where they join at the core; of one leaf
    position with rail-only) share ``cores_per_group`` cores, ``core_trunk`` links to each.
    """

    network: str
    technology: str
    layout: str
    tiers: int
    planes: int
    planes_join: str
    classes: tuple[ClassDesign, ...]
    pods: int
    spine: SwitchPlan | None = None
    spines_per_group: int = 0
    uplink_speed_gbps: int | None = None
    core: SwitchPlan | None = None
    spine_uplinks: int = 0
    spine_uplink_speed_gbps: int | None = None
    cores_per_group: int = 0
    core_trunk: int = 0
    interswitch_links: int = 0
    interswitch_speed_gbps: int | None = None
    external_uplinks: int = 0
    """Links from each leaf to what is not ours (``uplinks: {to: external}``) or to another network's leaves."""
    external_speed_gbps: int | None = None
    external_to: str | None = None
    attached: int = 0
    """Links that leaves of another network have on leaves of this one, in all."""
    attached_speed_gbps: int | None = None
    service_ports: int = 0
    oversubscription_spine: float | None = None
    copper_only: bool = False
    trunk_cables: bool = False
    media: tuple[str, ...] = ()
    """Media allowed for all links; empty: any."""
    media_by_tier: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Media allowed by tier of links, where the intent says so."""
    nos: str = "sonic"
    proof: Proof = field(default_factory=lambda: Proof("UNKNOWN", 0, 0, 1.0, ""))
    runners_up: tuple[Alternative, ...] = ()
    neighbours: tuple[Alternative, ...] = ()

    @property
    def spine_groups_per_pod(self) -> int:
        """Groups of spines in one pod: planes (1 where they join at the spine) × leaf positions with rail-only."""
        planes = 1 if self.planes_join == "spine" else self.planes
        return planes * (self.classes[0].leaves_per_plane if self.layout == "rail-only" else 1)

    @property
    def core_groups(self) -> int:
        """Groups of cores: spines of a group × planes not joined yet × leaf positions with rail-only."""
        planes = 1 if self.planes_join in ("spine", "core") else self.planes
        return self.spines_per_group * planes * (self.classes[0].leaves_per_plane if self.layout == "rail-only" else 1)

    def counts(self) -> dict[str, int]:
        """Switches of each tier."""
        leaves = sum(c.segments * self.planes * c.leaves_per_plane for c in self.classes)
        spines = self.pods * self.spine_groups_per_pod * self.spines_per_group if self.spine else 0
        cores = self.core_groups * self.cores_per_group if self.core else 0
        return {"leaf": leaves, "spine": spines, "core": cores}


@dataclass(frozen=True)
class Design:
    """Every network of an intent, in the order compute, storage, frontend, oob."""

    name: str
    networks: dict[str, NetworkDesign]
    floor: Proof | None = None
    """What the floor plan says of its cables' cost; None without a site."""
