"""One network of a plan as arrays of its links."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.checking.view import View

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TIERS = ("host-leaf", "oob", "leaf-spine", "spine-core", "leaf-leaf")
HOST, SPINE, CORE, PAIR = 0, 2, 3, 4
"""Places in ``TIERS``; links of tier oob are counted as host-leaf: both end at what is served."""

_LEAF = ("host_class", "pod", "segment", "rail", "plane")
COORDINATES = (
    "id",
    "a_device",
    "b_device",
    "leaf_segment",
    "leaf_pod",
    "leaf_rail",
    "leaf_plane",
    "b_index",
    "b_group",
)


@dataclass
class Network:
    """Links that stay inside the plan, with the coordinates of the switches at their ends.

    ``leaf_…`` are those of a host link's leaf, and of the lower switch of any other link.
    """

    name: str
    view: View
    links: pl.DataFrame
    _columns: dict[str, Ints] = field(default_factory=dict)

    @classmethod
    def of(cls, view: View, name: str) -> Network:
        """The network ``name`` of a plan."""
        coordinates = view.switches.select("id", "host_class", "pod", "segment", "rail", "plane", "index", "group")
        links = view.links.filter(
            pl.col("network") == name, pl.col("tier").is_in(TIERS), pl.col("b_device").is_not_null()
        )
        ends = [f"{side}_{what}" for side in "ab" for what in ("device", "cage", "port")]
        links = links.select("id", "tier", "a_nic", *ends, "speed_gbps")
        for side in "ab":
            own = coordinates.rename({column: f"{side}_{column}" for column in coordinates.columns if column != "id"})
            links = links.join(own, left_on=f"{side}_device", right_on="id", how="left", maintain_order="left")
        of_host = pl.col("tier").is_in(["host-leaf", "oob"])
        leaf = {f"leaf_{c}": pl.when(of_host).then(f"b_{c}").otherwise(f"a_{c}") for c in _LEAF}
        return cls(name, view, links.with_columns(**leaf))

    def column(self, name: str) -> Ints:
        """A column of the links as integers, null as −1."""
        if name not in self._columns:
            self._columns[name] = self.links[name].cast(pl.Int64).fill_null(-1).to_numpy()
        return self._columns[name]

    @property
    def gbps(self) -> Ints:
        """Speed of each link."""
        return self.column("speed_gbps")

    @cached_property
    def tier(self) -> Ints:
        """Place of each link's tier in ``TIERS``."""
        names = {name: place for place, name in enumerate(TIERS)}
        tier = self.links["tier"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
        return np.where(tier == 1, HOST, tier)

    @cached_property
    def coordinates(self) -> Ints:
        """``COORDINATES`` × links: what two links may share, themselves included. A host link has no spine."""
        rows = np.stack([self.column(name) for name in COORDINATES])
        rows[COORDINATES.index("b_index"), self.tier == HOST] = -1
        return rows

    @cached_property
    def kind(self) -> Ints:
        """A number by link: tier, speed, host class, and how full the segment, the pod and both devices are."""
        segment, pod = self.column("leaf_segment"), self.column("leaf_pod")
        ends = [self.column(f"{side}_device") for side in "ab"]
        degree = np.bincount(np.concatenate(ends))
        rows = [self.tier, self.gbps, self.column("leaf_host_class"), *(degree[end] for end in ends)]
        rows += [_members(segment, self.tier == HOST), _members(pod, self.tier > HOST)]
        return dense(np.stack(rows))


def dense(rows: Ints) -> Ints:
    """Columns of ``rows`` numbered from 0 by their values, in lexicographic order."""
    code = np.zeros(rows.shape[1], dtype=np.int64)
    for row in rows:
        value = np.unique(row, return_inverse=True)[1]
        code = np.unique(code * (int(value.max(initial=0)) + 1) + value, return_inverse=True)[1]
    return code


def _members(group: Ints, which: Flags) -> Ints:
    """By link, the links of ``which`` that are in the same group."""
    count = np.bincount(group[which] + 1, minlength=int(group.max(initial=-1)) + 2)
    return count[group + 1].astype(np.int64)
