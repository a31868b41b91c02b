"""What one and two lost links, optics and switches cost, by equivalence class.

Trying all pairs of 10⁴ links is 10⁸ trials. A planned fabric looks the same from every link of a tier: segments, leaf
positions, planes, spines of a group and parallel links can be exchanged. So one element of each *kind* is lost, and
with it one element of each kind *as seen from the first*: same or other device, segment, pod, position, plane, index.
What is told is the worst of each column over all sets tried.

Bandwidth left is Gb/s after over Gb/s before:

- ``host_left``: of the worst host's NIC ports;
- ``segment_left``: of the worst segment, the less of its host links and its uplinks;
- ``pair_left``: between the worst two segments, ``rail_left`` between the worst two leaves of one position and plane.

Both of the last are max-flows along paths that go up and then down. In these graphs they have a closed form: a leaf's
traffic through the i-th spine of its pod can only use the cores of group i and the i-th spine of the other pod, so

    flow(A, B) = Σ_i min(up(A, i), up(B, i))                                        in one pod
    flow(A, B) = Σ_i min(up(A, i), Σ_c min(w(i, c, pod A), w(i, c, pod B)), up(B, i))  across pods

with up(A, i) the Gb/s from A to the i-th spine and w those of a spine to core c. Traffic keeps its plane. The tests
compare this with networkx's max-flow on small fabrics, every pair of elements lost.

Power feeds need a floor plan and are not tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.checking.view import View

if TYPE_CHECKING:
    from fabric.plan import Plan

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KINDS = ("link", "optic", "switch")
TIERS = ("host-leaf", "oob", "leaf-spine", "spine-core", "leaf-leaf")
LEFT = ("host_left", "segment_left", "pair_left", "rail_left")
LOST = ("hosts_cut", "hosts_degraded", "rails_lost")
SCHEMA: dict[str, Any] = {
    "network": pl.String, "kind": pl.String, "lost": pl.UInt8, "where": pl.String, "sets": pl.UInt32,
    **dict.fromkeys(LOST, pl.UInt32), **dict.fromkeys(LEFT, pl.Float64), "example": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What one set of failures does. A ratio that does not apply is NaN."""

    hosts_cut: int = 0
    hosts_degraded: int = 0
    rails_lost: int = 0
    host_left: float = 1.0
    segment_left: float = 1.0
    pair_left: float = float("nan")
    rail_left: float = float("nan")

    def worst(self, other: Effect) -> Effect:
        """Each figure the worse of the two."""
        more: dict[str, Any] = {name: max(getattr(self, name), getattr(other, name)) for name in LOST}
        less: dict[str, Any] = {name: float(np.fmin(getattr(self, name), getattr(other, name))) for name in LEFT}
        return replace(self, **more, **less)

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts the worst first."""
        pair, rail = (1.0 if np.isnan(x) else x for x in (self.pair_left, self.rail_left))
        return (-self.hosts_cut, pair, self.segment_left, rail, self.host_left, -self.hosts_degraded)


@dataclass(frozen=True)
class Elements:
    """What can fail of one kind: links of each element, a label, and coordinates that two elements may share.

    ``links[start[e]:start[e + 1]]`` are the rows of the links that element e takes with it.
    """

    kind: str
    label: list[str]
    links: Ints
    start: Ints
    signature: Ints
    coordinates: Ints

    def taken(self, element: int) -> Ints:
        """Rows of the links that fail with the element."""
        return self.links[self.start[element] : self.start[element + 1]]

    @cached_property
    def representatives(self) -> list[int]:
        """The first element of each signature."""
        return [int(i) for i in np.unique(self.signature, return_index=True)[1]]

    def partners(self, element: int) -> list[int]:
        """The first element of each kind as seen from ``element``: signature and which coordinates are shared."""
        mine = self.coordinates[:, [element]]
        shared = (self.coordinates == mine) & (mine >= 0)
        code = self.signature.copy()
        for row in shared:
            code = 2 * code + row
        code[element] = -1
        return [int(i) for i in np.unique(code, return_index=True)[1] if i != element]


@dataclass(frozen=True)
class Rows:
    """Leaves, or segments, and their Gb/s to each spine of their pod (``up``: rows × slots)."""

    up: Floats
    pod: Ints
    key: Ints


@dataclass(frozen=True)
class Climb:
    """The tiers above the leaves: which slot of its pod a spine is, and its Gb/s to the cores of its group."""

    leaves: Rows
    segments: Rows
    core: Floats
    """pods × slots × cores of a group; empty where there is no core."""


@dataclass
class Network:
    """One network of a plan, its links as arrays; devices are ids, −1 where there is none."""

    name: str
    view: View
    links: pl.DataFrame
    columns: dict[str, Ints] = field(default_factory=dict)

    def column(self, name: str) -> Ints:
        """A column of the links as integers, null as −1."""
        if name not in self.columns:
            self.columns[name] = self.links[name].cast(pl.Int64).fill_null(-1).to_numpy()
        return self.columns[name]

    @cached_property
    def tier(self) -> Ints:
        """Place of each link's tier in ``TIERS``; the two kinds of endpoint links are one."""
        names = {name: place for place, name in enumerate(TIERS)}
        tier = self.links["tier"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
        return np.where(tier == 1, 0, tier)

    @cached_property
    def gbps(self) -> Ints:
        """Speed of each link."""
        return self.column("speed_gbps")

    @cached_property
    def climb(self) -> Climb | None:
        """Bandwidth above the leaves; ``None`` with a single tier."""
        return _climb(self)

    def elements(self, kind: str) -> Elements:
        """Everything of a kind that can fail."""
        return _ELEMENTS[kind](self)


def analyse(plan: Plan, most: int = 2) -> pl.DataFrame:
    """Worst case of each kind of failure, ``most`` at once: columns of ``SCHEMA``, a row a network, kind and tiers."""
    view = View(plan)
    rows = [row for name in view.networks for row in _network_rows(_network(view, name), most)]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return table.with_columns(pl.col(LEFT).fill_nan(None))


def _network_rows(network: Network, most: int) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        elements = network.elements(kind)
        for lost in range(1, most + 1):
            yield from _worst_of(network, elements, lost)


def _worst_of(network: Network, elements: Elements, lost: int) -> Iterator[dict[str, Any]]:
    worst: dict[str, tuple[Effect, Effect, tuple[int, ...], int]] = {}
    for chosen in _sets(elements, lost):
        effect = _effect(network, np.unique(np.concatenate([elements.taken(e) for e in chosen])))
        where = " + ".join(sorted(elements.label[e] for e in chosen))
        if where not in worst:
            worst[where] = (effect, effect, chosen, 1)
            continue
        total, single, example, tried = worst[where]
        if effect.rank < single.rank:
            single, example = effect, chosen
        worst[where] = (total.worst(effect), single, example, tried + 1)
    for where, (total, _, example, tried) in sorted(worst.items()):
        figures = {name: getattr(total, name) for name in (*LOST, *LEFT)}
        names = "; ".join(_name(network, elements, element) for element in example)
        yield {"network": network.name, "kind": elements.kind, "lost": lost, "where": where, "sets": tried,
               **figures, "example": names}  # fmt: skip


def _sets(elements: Elements, lost: int) -> Iterator[tuple[int, ...]]:
    for first in elements.representatives:
        if lost == 1:
            yield (first,)
        else:
            yield from ((first, second) for second in elements.partners(first))


# The tables of one network


def _network(view: View, name: str) -> Network:
    coordinates = view.switches.select("id", "host_class", "pod", "segment", "rail", "plane", "index", "group")
    links = view.links.filter(pl.col("network") == name, pl.col("tier").is_in(TIERS), pl.col("b_device").is_not_null())
    links = links.select(
        "id", "tier", "a_device", "a_cage", "a_nic", "a_port", "b_device", "b_cage", "b_port", "speed_gbps"
    )
    for side in "ab":
        ends = coordinates.rename({column: f"{side}_{column}" for column in coordinates.columns if column != "id"})
        links = links.join(ends, left_on=f"{side}_device", right_on="id", how="left", maintain_order="left")
    nics = view.nics.select(pl.col("id").alias("a_nic"), nic_rail="rail")
    links = links.join(nics, on="a_nic", how="left", maintain_order="left")
    leaf = {c: pl.when(pl.col("tier").is_in(["host-leaf", "oob"])).then(f"b_{c}").otherwise(f"a_{c}") for c in _LEAF}
    return Network(name, view, links.with_columns(**{f"leaf_{c}": value for c, value in leaf.items()}))


_LEAF = ("host_class", "pod", "segment", "rail", "plane")
_COORDINATES = ("a_device", "b_device", "leaf_segment", "leaf_pod", "leaf_rail", "leaf_plane", "b_index", "b_group")


def _link_coordinates(network: Network) -> Ints:
    """Coordinates × links. A host link has no spine; a spine link's ``leaf_…`` are those of its lower end."""
    rows = np.stack([network.column(name) for name in _COORDINATES])
    rows[6, network.tier == 0] = -1
    return rows


def _sizes(network: Network) -> Ints:
    """A number by link that tells full segments and pods from short ones: endpoint links of the one, uplinks of the other."""
    hosts = np.bincount(
        network.column("leaf_segment")[network.tier == 0] + 1, minlength=network.column("leaf_segment").max() + 2
    )
    pods = np.bincount(network.column("leaf_pod")[network.tier > 0] + 1, minlength=network.column("leaf_pod").max() + 2)
    sizes = np.stack([hosts[network.column("leaf_segment") + 1], pods[network.column("leaf_pod") + 1]])
    return _dense(np.vstack([sizes, network.column("leaf_host_class")]))


def _dense(rows: Ints) -> Ints:
    """Columns of ``rows`` numbered from 0 by their values."""
    return np.unique(rows, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _links(network: Network) -> Elements:
    """Every link by itself."""
    count = len(network.gbps)
    signature = _dense(np.stack([network.tier, network.gbps, _sizes(network)]))
    label = [TIERS[tier] for tier in network.tier.tolist()]
    return Elements("link", label, np.arange(count), np.arange(count + 1), signature, _link_coordinates(network))


def _grouped(network: Network, kind: str, side: list[str], owner: Ints, links: Ints, place: Ints) -> Elements:
    """Elements from (link, owner) pairs; ``place`` and ``side`` give what the owner is called by pair."""
    order = np.lexsort((links, owner))
    owner, links, place = owner[order], links[order], place[order]
    start = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(owner))
    first, last = links[start[:-1]], links[start[1:] - 1]
    coordinates = _link_coordinates(network)
    size = _sizes(network)
    signature = _dense(np.stack([place[start[:-1]], np.diff(start), size[first], size[last], network.tier[first]]))
    label = [side[i] for i in place[start[:-1]].tolist()]
    both = np.vstack([coordinates[:, first], coordinates[:, last]])
    return Elements(kind, label, links, start, signature, both)


def _optics(network: Network) -> Elements:
    """What is plugged into one cage: a twin-port optic takes both of its links."""
    count, rows = len(network.gbps), np.arange(len(network.gbps))
    device = np.concatenate([network.column("a_device"), network.column("b_device")])
    cage = np.concatenate([network.column("a_cage"), network.column("b_cage")])
    place = np.concatenate([network.tier, network.tier + len(TIERS)])
    side = [f"{tier} at the {end} end" for end in ("lower", "upper") for tier in TIERS]
    return _grouped(network, "optic", side, _dense(np.stack([device, cage])), np.tile(rows, 2), place[: 2 * count])


def _switches(network: Network) -> Elements:
    """A whole switch with all of its links."""
    tier = dict(network.view.switches.select("id", "tier").iter_rows())
    names = ("leaf", "spine", "core")
    device = np.concatenate([network.column("a_device"), network.column("b_device")])
    mine = network.view.switches.filter(pl.col("network") == network.name)["id"].cast(pl.Int64).to_numpy()
    known = np.isin(device, mine)
    rows = np.tile(np.arange(len(network.gbps)), 2)[known]
    device = device[known]
    unique, back = np.unique(device, return_inverse=True)
    place = np.array([names.index(tier[int(d)]) for d in unique], dtype=np.int64)[back]
    elements = _grouped(network, "switch", list(names), device, rows, place)
    own = network.view.switches.filter(pl.col("id").is_in(unique.tolist())).sort("id")
    columns = ("pod", "segment", "rail", "plane", "index", "group", "host_class")
    coordinates = np.stack([own[c].cast(pl.Int64).fill_null(-1).to_numpy() for c in columns])
    signature = _dense(np.stack([elements.signature, coordinates[6]]))
    return Elements("switch", elements.label, elements.links, elements.start, signature, coordinates[:6])


_ELEMENTS = {"link": _links, "optic": _optics, "switch": _switches}


def _name(network: Network, elements: Elements, element: int) -> str:
    row = network.links.row(int(elements.taken(element)[0]), named=True)
    view = network.view
    a, b = view.device(row["a_device"]), view.device(row["b_device"])
    if elements.kind == "link":
        return f"{a} {view.port(row['a_port'])} – {b} {view.port(row['b_port'])}"
    if elements.kind == "optic":
        lower = "lower" in elements.label[element]
        return f"{a if lower else b} cage {row['a_cage'] if lower else row['b_cage']}"
    common = set.intersection(*({r["a_device"], r["b_device"]} for r in _some(network, elements.taken(element))))
    tier = elements.label[element]
    tiers = dict(view.switches.filter(pl.col("id").is_in(list(common))).select("id", "tier").iter_rows())
    return view.device(next(d for d in sorted(common) if tiers.get(d) == tier))


def _some(network: Network, rows: Ints) -> list[dict[str, Any]]:
    ends: list[dict[str, Any]] = network.links[rows.tolist()].select("a_device", "b_device").to_dicts()
    return ends


# What a set of lost links does


def _effect(network: Network, rows: Ints) -> Effect:
    tier = network.tier[rows]
    hosts = _host_effect(network, rows[tier == 0])
    segment = _segment_left(network, rows)
    pair, rail = _flows_left(network, rows[tier > 0])
    return Effect(**hosts, segment_left=segment, pair_left=pair, rail_left=rail)


def _host_effect(network: Network, rows: Ints) -> dict[str, Any]:
    """Hosts with nothing left, hosts with less; most rails that one host lost whole; the worst host's share."""
    if not len(rows):
        return {}
    host, gbps = network.column("a_device"), network.gbps
    affected, place = np.unique(host[rows], return_inverse=True)
    lost = np.bincount(place, weights=gbps[rows])
    left = 1 - lost / network_totals(network, "a_device")[affected]
    rails = _rails_lost(network, rows)
    return {
        "hosts_cut": int((left <= 0).sum()),
        "hosts_degraded": int((left > 0).sum()),
        "rails_lost": rails,
        "host_left": float(left.min()),
    }


def network_totals(network: Network, column: str) -> Floats:
    """Gb/s of endpoint links by the id in ``column``."""
    mine = network.tier == 0
    key = f"total {column}"
    if key not in network.columns:
        ids = network.column(column)[mine]
        network.columns[key] = np.bincount(ids[ids >= 0], weights=network.gbps[mine][ids >= 0]).astype(np.int64)
    return network.columns[key].astype(np.float64)


def _rails_lost(network: Network, rows: Ints) -> int:
    """Most rails on which one host has no link left; a rail is a NIC of the host."""
    if "nic links" not in network.columns:
        mine = network.column("a_nic")[network.tier == 0]
        network.columns["nic links"] = np.bincount(mine[mine >= 0], minlength=1).astype(np.int64)
    nic = network.column("a_nic")[rows]
    nics, lost = np.unique(nic[nic >= 0], return_counts=True)
    dead = nics[lost == network.columns["nic links"][nics]]
    if not len(dead):
        return 0
    host_of = dict(zip(nic.tolist(), network.column("a_device")[rows].tolist(), strict=True))
    return int(np.unique([host_of[n] for n in dead.tolist()], return_counts=True)[1].max())


def _segment_left(network: Network, rows: Ints) -> float:
    """The worst segment's share of its host links, or of its uplinks."""
    least = 1.0
    for tier in (0, 2):
        lost = rows[network.tier[rows] == tier]
        if len(lost):
            segment = network.column("leaf_segment")
            key = f"segment total {tier}"
            if key not in network.columns:
                mine = network.tier == tier
                network.columns[key] = np.bincount(segment[mine], weights=network.gbps[mine]).astype(np.int64)
            touched, place = np.unique(segment[lost], return_inverse=True)
            gone = np.bincount(place, weights=network.gbps[lost])
            least = min(least, float((1 - gone / network.columns[key][touched]).min()))
    return least


# Flows between segments and between leaves


def _slots(network: Network) -> tuple[Ints, Ints, int, int]:
    """By switch id: place among its pod's spines and pod; the most spines of a pod, the pods."""
    spines = network.view.switches.filter(pl.col("network") == network.name, pl.col("tier") == "spine")
    spines = spines.with_columns(
        slot=pl.struct("rail", "plane", "index").rank("dense").cast(pl.Int64) - 1,
        pod=pl.col("pod").cast(pl.Int64).fill_null(0),
    )
    size = network.view.hosts.height + network.view.switches.height
    slot, pod = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    ids = spines["id"].to_numpy()
    slot[ids], pod[ids] = spines["slot"].to_numpy(), spines["pod"].to_numpy()
    return slot, pod, int(slot.max()) + 1, int(pod.max()) + 1


def _climb(network: Network) -> Climb | None:
    up = np.flatnonzero(network.tier == 2)
    if not len(up):
        return None
    slot, _, slots, pods = _slots(network)
    leaves = _rows(network, up, slot, slots, ("leaf_pod", "a_device"), ("leaf_rail", "leaf_plane"))
    segments = _rows(network, up, slot, slots, ("leaf_pod", "leaf_segment"), ())
    return Climb(leaves, segments, _core(network, slots, pods))


def _row_ids(network: Network, columns: tuple[str, ...]) -> Ints:
    key = "rows " + " ".join(columns)
    if key not in network.columns:
        ids = np.full(len(network.gbps), -1, np.int64)
        up = network.tier == 2
        ids[up] = _dense(np.stack([network.column(c)[up] for c in columns]))
        network.columns[key] = ids
    return network.columns[key]


def _rows(network: Network, up: Ints, slot: Ints, slots: int, columns: tuple[str, str], key: tuple[str, ...]) -> Rows:
    row = _row_ids(network, columns)[up]
    count = int(row.max()) + 1
    flat = row * slots + slot[network.column("b_device")[up]]
    matrix = np.zeros(count * slots)
    np.add.at(matrix, flat, network.gbps[up])
    first = np.unique(row, return_index=True)[1]
    keys = _dense(np.stack([network.column(c)[up][first] for c in key])) if key else np.zeros(count, np.int64)
    return Rows(matrix.reshape(count, slots), np.maximum(network.column("leaf_pod")[up][first], 0), keys)


def _core_index(network: Network) -> Ints:
    """Place of each spine-core link's core among the cores of its spine: its index."""
    return network.column("b_index")


def _core(network: Network, slots: int, pods: int) -> Floats:
    links = np.flatnonzero(network.tier == 3)
    if not len(links):
        return np.zeros((pods, slots, 0))
    slot, pod, _, _ = _slots(network)
    spine, core = network.column("a_device")[links], _core_index(network)[links]
    width = int(core.max()) + 1
    flat = (pod[spine] * slots + slot[spine]) * width + core
    total = np.zeros(pods * slots * width)
    np.add.at(total, flat, network.gbps[links])
    return total.reshape(pods, slots, width)


def _flows_left(network: Network, rows: Ints) -> tuple[float, float]:
    """Least share left between two segments and between two leaves of one position and plane."""
    nothing = float("nan")
    climb = network.climb
    if climb is None:
        return _between_the_pair(network, rows), nothing
    if not len(rows):
        return 1.0, 1.0
    slot, pod = _slots_cached(network)
    core = climb.core.copy()
    lost = rows[network.tier[rows] == 3]
    spine = network.column("a_device")[lost]
    np.subtract.at(core, (pod[spine], slot[spine], _core_index(network)[lost]), network.gbps[lost])
    left = []
    for table, columns in ((climb.segments, ("leaf_pod", "leaf_segment")), (climb.leaves, ("leaf_pod", "a_device"))):
        up = table.up.copy()
        gone = rows[network.tier[rows] == 2]
        ids = _row_ids(network, columns)[gone]
        np.subtract.at(up, (ids, slot[network.column("b_device")[gone]]), network.gbps[gone])
        left.append(_least(table, up, climb.core, core, set(ids.tolist()), set(pod[spine].tolist())))
    return left[0], left[1]


def _slots_cached(network: Network) -> tuple[Ints, Ints]:
    if "slot" not in network.columns:
        slot, pod, _, _ = _slots(network)
        network.columns |= {"slot": slot, "slot pod": pod}
    return network.columns["slot"], network.columns["slot pod"]


def _between_the_pair(network: Network, rows: Ints) -> float:
    """Share left of the links between the two leaves of a single-tier pair."""
    total = float(network.gbps[network.tier == 4].sum())
    return 1 - float(network.gbps[rows].sum()) / total if total else float("nan")


def _least(table: Rows, up: Floats, core: Floats, after: Floats, touched: set[int], pods: set[int]) -> float:
    """Least flow(A, B) after over before, for A touched, or one of each kind in a pod whose core links were."""
    inside = [i for pod in sorted(pods) for i in _kinds(table, up, pod)]
    least = float("nan")
    for a in sorted(touched | set(inside)):
        others = np.flatnonzero((table.key == table.key[a]) & (np.arange(len(up)) != a))
        before = _flows(table.up, table.pod, core, a, others)
        now = _flows(up, table.pod, after, a, others)
        share = now[before > 0] / before[before > 0]
        least = float(np.fmin(least, share.min(initial=1.0)))
    return 1.0 if np.isnan(least) else least


def _kinds(table: Rows, up: Floats, pod: int) -> list[int]:
    """The first row of each kind in a pod: key and uplinks."""
    mine = np.flatnonzero(table.pod == pod)
    if not len(mine):
        return []
    alike = np.column_stack([table.key[mine], up[mine]])
    return [int(mine[i]) for i in np.unique(alike, axis=0, return_index=True)[1]]


def _flows(up: Floats, pod: Ints, core: Floats, a: int, others: Ints) -> Floats:
    """flow(a, b) for every b of ``others``, by the formula at the top."""
    least = np.minimum(up[a], up[others])
    if core.shape[2]:
        across = np.minimum(core[pod[a]], core).sum(axis=2)
        far = pod[others] != pod[a]
        least[far] = np.minimum(least[far], across[pod[others[far]]])
    flows: Floats = least.sum(axis=1)
    return flows
