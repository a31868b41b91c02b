"""What a drawing shows of a network, counted from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from fabric.design import NetworkDesign
from fabric.plan import Plan
from fabric.summary import bandwidths, link_kinds

TILES = ("host", "spare", "service", "switch", "pdu")
"""What ends on leaves, in the order in which it is drawn."""
USES = ("host", "down", "up", "reserve", "interswitch", "service", "attach", "external", "free")
"""Uses of a switch's ports, in the order in which they are listed."""


@dataclass(frozen=True)
class Box:
    """One switch of the picture and where it belongs; ``rail`` and ``plane`` are None where it serves several."""

    id: int
    name: str
    rail: int | None
    plane: int | None
    index: int
    host_class: int | None


@dataclass(frozen=True)
class Segment:
    """A segment: its tiles by kind (``TILES`` and ``vacant``), leaves, and links of its hosts a leaf at most."""

    number: int
    host_class: int
    pod: int
    leaves: int
    tiles: dict[str, int]
    links_a_leaf: int
    gpus: int


@dataclass(frozen=True)
class Group:
    """Spines of one pod, plane and (rail-only) rail, or cores that share spines."""

    pod: int | None
    rail: int | None
    plane: int | None
    number: int | None
    members: tuple[Box, ...]


@dataclass(frozen=True)
class Usage:
    """Ports of one use and speed that every switch of a kind has."""

    use: str
    ports: int
    speed_gbps: int


@dataclass(frozen=True)
class Kind:
    """Switches that are set up alike: a tier, and for leaves a host class."""

    tier: str
    host_class: int | None
    model: str
    count: int
    usage: tuple[Usage, ...]
    down_gbps: float
    up_gbps: float


@dataclass(frozen=True)
class Facts:
    """Everything a drawing says of one network.

    ``trunks``: ``a, b, kind, links, speed_gbps`` between switches, with ``segment, pod, plane`` of the lower one.
    """

    name: str
    design: NetworkDesign
    segments: tuple[Segment, ...]
    spines: tuple[Group, ...]
    cores: tuple[Group, ...]
    kinds: tuple[Kind, ...]
    links: pl.DataFrame
    trunks: pl.DataFrame
    switches: pl.DataFrame
    models: tuple[tuple[str, int], ...]

    def leaves(self, segment: int) -> tuple[Box, ...]:
        """Leaves of a segment, plane by plane."""
        found = self.switches.filter((pl.col("tier") == "leaf") & (pl.col("segment") == segment))
        return tuple(_boxes(found.sort("plane", "index")))

    @property
    def switch_count(self) -> int:
        """Switches of all tiers."""
        return self.switches.height

    @property
    def shows_rails(self) -> bool:
        """Leaves differ by the rails they serve."""
        return any(c.rails_per_leaf < c.rails for c in self.design.classes)

    @property
    def shows_planes(self) -> bool:
        """There is more than one plane."""
        return self.design.planes > 1


def facts(plan: Plan) -> Iterator[Facts]:
    """The facts of each network, in the design's order."""
    links = link_kinds(plan.fabric)
    for name, design in plan.design.networks.items():
        yield _facts(plan, name, design, links.filter(pl.col("network") == name))


def _facts(plan: Plan, name: str, design: NetworkDesign, links: pl.DataFrame) -> Facts:
    fabric = plan.fabric
    text = pl.col("network", "tier", "model").cast(pl.String)
    switches = fabric.switches.with_columns(text).filter(pl.col("network") == name)
    ports = fabric.ports.filter(pl.col("network").cast(pl.String) == name)
    uppers = switches.filter(pl.col("tier") != "leaf")
    between = links.filter(pl.col("kind").is_in(["leaf-spine", "spine-core", "leaf-leaf"]))
    pairs = between.group_by(a="a_device", b="b_device", kind="kind").agg(
        links=pl.len(), speed_gbps=pl.col("speed_gbps").max()
    )
    trunks = pairs.join(switches.select("id", "segment", "pod", "plane"), left_on="a", right_on="id", how="left")
    ends = fabric.hosts.filter(pl.col("id").is_in(links["a_device"].unique().implode()))
    models = ends.group_by(pl.col("model").cast(pl.String), maintain_order=True).len()
    return Facts(
        name=name,
        design=design,
        segments=tuple(_segments(fabric.hosts, switches, links, design)),
        spines=tuple(_groups(uppers.filter(pl.col("tier") == "spine"))),
        cores=tuple(_groups(uppers.filter(pl.col("tier") == "core"))),
        kinds=tuple(_kinds(switches, ports, design)),
        links=links,
        trunks=trunks.sort("a", "b"),
        switches=switches,
        models=tuple(models.iter_rows()),
    )


def _boxes(frame: pl.DataFrame) -> Iterator[Box]:
    for row in frame.select("id", "name", "rail", "plane", "index", "host_class").iter_rows():
        yield Box(*row)


def _groups(switches: pl.DataFrame) -> Iterator[Group]:
    keys = ["pod", "rail", "plane", "group"]
    ordered = switches.with_columns(group=pl.col("group").cast(pl.Int64)).sort("id")
    for key, frame in ordered.group_by(keys, maintain_order=True):
        pod, rail, plane, number = (None if part is None else int(part) for part in key)
        yield Group(pod, rail, plane, number, tuple(_boxes(frame)))


def _segments(
    hosts: pl.DataFrame, switches: pl.DataFrame, links: pl.DataFrame, design: NetworkDesign
) -> Iterator[Segment]:
    leaves = (
        switches.filter(pl.col("tier") == "leaf")
        .group_by("segment", "host_class", pod=pl.col("pod").fill_null(0))
        .agg(leaves=pl.len())
        .sort("segment")
    )
    tiles = _tiles(hosts, links)
    most = _most_links(links)
    for segment, host_class, pod, count in leaves.iter_rows():
        mine = {kind: int(n) for kind, n, _ in tiles.get(segment, [])}
        gpus = sum(int(g) for kind, _, g in tiles.get(segment, []) if kind == "host")
        design_class = design.classes[host_class]
        places = design_class.segment_hosts + design_class.spares_per_segment
        vacant = {"vacant": max(0, places - sum(n for kind, n in mine.items() if kind != "service"))}
        yield Segment(segment, host_class, pod, count, mine | vacant, most.get(segment, 0), gpus)


def _tiles(hosts: pl.DataFrame, links: pl.DataFrame) -> dict[int, list[tuple[str, int, int]]]:
    """Kind, number and GPUs of what ends in each segment; a service host counts once in each segment it reaches."""
    about = hosts.select(a_device="id", spare="spare", gpus="gpus")
    ends = links.filter(pl.col("kind").is_in(["host-leaf", "service-leaf", "switch-leaf", "pdu-leaf"]))
    tile = (
        pl.when(pl.col("kind") != "host-leaf").then(pl.col("kind").str.strip_suffix("-leaf"))
        .when(pl.col("spare")).then(pl.lit("spare")).otherwise(pl.lit("host"))
    )  # fmt: skip
    counts = (
        ends.select("segment", "a_device", "kind").unique()
        .join(about, on="a_device", how="left").with_columns(tile=tile)
        .group_by("segment", "tile").agg(pl.len(), pl.col("gpus").fill_null(0).cast(pl.Int64).sum())
        .sort("segment", "tile")
    )  # fmt: skip
    found: dict[int, list[tuple[str, int, int]]] = {}
    for segment, kind, number, gpus in counts.iter_rows():
        found.setdefault(segment, []).append((kind, number, gpus))
    return found


def _most_links(links: pl.DataFrame) -> dict[int, int]:
    """Most host links that a leaf of each segment has."""
    ends = links.filter(pl.col("kind").is_in(["host-leaf", "switch-leaf", "pdu-leaf"]))
    leaf = ends.group_by("segment", "b_device").len()
    return dict(leaf.group_by("segment").agg(pl.col("len").max()).iter_rows())


def _kinds(switches: pl.DataFrame, ports: pl.DataFrame, design: NetworkDesign) -> Iterator[Kind]:
    table = bandwidths(switches, ports, design)
    for tier, host_class, count, down, up in table.iter_rows():
        same = pl.col("host_class").eq_missing(pl.lit(host_class, pl.UInt16)) & (pl.col("tier") == tier)
        first = switches.filter(same)[0]
        own = ports.filter(pl.col("device") == first["id"][0])
        counts = own.group_by(pl.col("use").cast(pl.String), "speed_gbps").len().iter_rows()
        found = [Usage(use, n, speed) for use, speed, n in counts if use in USES]
        uses = tuple(sorted(found, key=lambda usage: (USES.index(usage.use), usage.speed_gbps)))
        yield Kind(tier, host_class, first["model"][0], count, uses, down, up)
