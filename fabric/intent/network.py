"""What is asked of one network."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from fabric.intent.base import said
from fabric.intent.expect import MODEL, by_type, choice, exact, flag, many, or_auto, or_null, table, whole
from fabric.intent.qos import Qos
from fabric.validation import Strict

NETWORKS = ("compute", "storage", "frontend", "oob")
"""The networks there are, in the order in which they are sized and written."""
ROLES = ("compute", "storage", "service")
TIERS = ("leaf", "spine", "core")
LINK_TIERS = ("host-leaf", "leaf-leaf", "leaf-spine", "spine-core", "uplink")
MEDIA = ("dac", "acc", "aec", "aoc", "multimode", "singlemode", "copper")

Technology = Literal["roce", "infiniband", "ethernet"]
Layout = Literal["rail-optimized", "rail-only", "top-of-rack", "auto"]
Join = Literal["spine", "core", "never"]
Nos = Literal["sonic", "cumulus", "eos", "frr", "opensm"]
Role = Literal["compute", "storage", "service"]
Tier = Literal["leaf", "spine", "core"]
Auto = Literal["auto"]

RATIO = exact(0, above=True)
SPEED = whole(1, 100_000)
Speed = Annotated[int | Auto, or_auto(SPEED)]
Sized = Annotated[int | Auto, or_auto(whole(1))]


class Oversubscription(Strict):
    """Down to up bandwidth, at most; kept exactly as written."""

    leaf: Annotated[
        Fraction | dict[str, Fraction] | None, by_type({dict: table(ROLES, RATIO, "role")}, or_null(RATIO, "1.0"))
    ] = said(
        "Most bandwidth of hosts for each unit of uplink bandwidth of a leaf; by role of the hosts where it differs. "
        "Written together with `tiers: 1`, the leaf keeps those uplinks free for a spine that is not built yet.",
        None,
        unit="ratio",
    )
    spine: Annotated[Fraction | None, or_null(RATIO, "1.0 where there is a core")] = said(
        "The same for a spine below a core. Written together with `tiers: 2`, the spine keeps those uplinks free for a "
        "core that is not built yet.",
        None,
        unit="ratio",
    )

    @property
    def leaf_given(self) -> bool:
        """Whether the intent says anything of the leaf (which with one tier keeps uplinks free)."""
        return self.leaf is not None

    @property
    def spine_given(self) -> bool:
        """Whether the intent says anything of the spine (which with two tiers keeps uplinks free)."""
        return self.spine is not None

    def leaf_for(self, role: str) -> Fraction:
        """Bound for leaves of hosts of ``role``, exact; 1 where nothing is said."""
        if isinstance(self.leaf, Mapping):
            return self.leaf.get(role, Fraction(1))
        return Fraction(1) if self.leaf is None else self.leaf

    def spine_or(self, default: Fraction | int) -> Fraction:
        """Bound for spines, exact; ``default`` where nothing is said."""
        return Fraction(default) if self.spine is None else self.spine


class UplinkSpeed(Strict):
    """Pins the speed of links between switches."""

    leaf: Speed = said("Speed of leaf-spine links.", "auto", unit="Gb/s")
    spine: Speed = said("Speed of spine-core links.", "auto", unit="Gb/s")


class Uplinks(Strict):
    """Links of each leaf out of the network."""

    count: Annotated[int, whole(1)] = said("Links of each leaf.")
    speed_gbps: Annotated[int, SPEED] = said("Speed of each.", unit="Gb/s")
    to: Annotated[str, choice(*NETWORKS, "external")] = said(
        "Where they go: the leaves of another network of this intent, or `external` for what is not ours.", "external"
    )


class NetworkIntent(Strict):
    """One network; each is planned separately and cabled together with the others."""

    technology: Annotated[Technology, choice("roce", "infiniband", "ethernet")] = said("What the switches speak.")
    layout: Annotated[Layout, choice("rail-optimized", "rail-only", "top-of-rack", "auto")] = said(
        "How NICs spread over leaves. `rail-optimized`: each rail on its own leaves; `rail-only`: besides, no spine "
        "joins two rails; `top-of-rack`: all rails of a host on one leaf a plane; `auto` never chooses rail-only, "
        "which removes paths.",
        "auto",
    )
    tiers: Annotated[int | Auto, or_auto(whole(1, 3))] = said("Layers of switches.", "auto")
    segment_hosts: Sized = said(
        "Hosts that share one set of leaves; a number is exact, with `auto` the solver decides.", "auto"
    )
    rails_per_leaf: Sized = said("Rails that one leaf serves; small clusters put several on one.", "auto")
    planes: Sized = said("Ports of a NIC that go to different leaves; `auto`: all of them.", "auto")
    planes_join: Annotated[Join, choice("spine", "core", "never")] = said(
        "Where planes meet; with `tiers: 1`, where there is no spine, the default is `never`.",
        "never",
    )
    oversubscription: Oversubscription = said("Bandwidth down to bandwidth up, at most.", make=Oversubscription)
    uplink_speed_gbps: UplinkSpeed = said("Pins the speed of links between switches.", make=UplinkSpeed)
    free_leaf_ports: Annotated[int, whole(0, 4096)] = said("Ports kept free on each leaf, at host speed.", 0)
    max_segments: Sized = said("Segments that the spines must be able to take later; `auto`: those there are.", "auto")
    min_spines: Annotated[int, whole(1, 4096)] = said(
        "Spines of a group, at least: 2 keeps leaves joined when one fails.", 1
    )
    switches: Annotated[dict[Tier, tuple[str, ...]], table(TIERS, many(MODEL, least=1), "tier")] = said(
        "Models allowed a tier, in order of preference at equal cost; a tier left out: any of the technology.",
        make=dict,
    )
    media: Annotated[
        Auto | tuple[str, ...] | dict[str, tuple[str, ...]],
        by_type(
            {
                dict: table(LINK_TIERS, many(choice(*MEDIA), least=1), "tier of links"),
                list: many(choice(*MEDIA), least=1),
                tuple: many(choice(*MEDIA), least=1),
            },
            choice("auto"),
        ),
    ] = said(
        "Media allowed, for all links or by tier of links; `auto`: any (sizing counts optics, the floor plan chooses).",
        "auto",
    )
    trunk_cables: Annotated[bool, flag()] = said(
        "One straight cable for the links of two neighbouring connectors.", False
    )
    interswitch: Annotated[Fraction, exact(0, 100)] = said(
        "Single tier with two leaves: bandwidth between them as a share of the hosts' bandwidth.",
        Fraction(0),
        unit="ratio",
    )
    nos: Annotated[Nos, choice("sonic", "cumulus", "eos", "frr", "opensm")] = said(
        "What the switches run; infiniband: `opensm`.", "sonic"
    )
    qos: Qos | None = said("RoCE quality of service; null on infiniband, which has its own.", make=Qos)
    roles: Annotated[tuple[Role, ...], many(choice(*ROLES), least=1)] = said(
        "Roles of the hosts on this network.", ROLES
    )
    uplinks: Uplinks | None = said("Links of each leaf to another network or out of the cluster.", None)

    def media_for(self, tier: str) -> tuple[str, ...] | None:
        """Media allowed for links of a tier (``host-leaf``, ``leaf-spine``…); None: any."""
        if isinstance(self.media, tuple):
            return self.media
        return self.media.get(tier) if isinstance(self.media, Mapping) else None


def with_defaults(network: str, given: Mapping[Any, Any]) -> dict[Any, Any]:
    """What was given, and the defaults that depend on which network it is or on its technology."""
    compute, oob = network == "compute", network == "oob"
    joined = network in ("storage", "frontend") and given.get("tiers") != 1
    defaults: dict[str, Any] = {
        "layout": "auto" if compute else "top-of-rack",
        "planes_join": "spine" if joined else "never",
        "roles": ("compute", "service") if compute else ROLES,
    }
    if oob:
        defaults["technology"] = "ethernet"
    if given.get("technology") == "infiniband":
        defaults["nos"] = "opensm"
        if not given.get("qos"):
            return {**defaults, **given, "qos": None}
    return {**defaults, **given}
