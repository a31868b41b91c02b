"""What the table ``switches`` says of the switches of one kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from fabric import names
from fabric.design import NetworkDesign, SwitchPlan
from planner.build_layout import LeafBlock, NetworkBlocks
from planner.build_links import split_core, split_spine
from planner.build_seats import pod_of
from planner.build_templates import Ints


@dataclass(frozen=True)
class SwitchRows:
    """Switches of one kind; arrays of one length or one number for all, -1 where there is none."""

    design: NetworkDesign
    tier: str
    plan: SwitchPlan
    index: Ints
    rails: Ints | int
    host_class: int = -1
    pod: Ints | int = -1
    segment: Ints | int = -1
    rail: Ints | int = -1
    plane: Ints | int = -1
    group: Ints | int = -1
    position: Ints | int = -1
    """In the name; -1 where the switch serves every position."""

    @property
    def network(self) -> str:
        """Name of the network."""
        return self.design.network

    @property
    def nos(self) -> str:
        """Network operating system."""
        return self.design.nos

    @property
    def model(self) -> str:
        """Switch model."""
        return self.plan.model

    def names(self) -> pl.Series:
        """The names, in the order of the rows."""
        parts = ("pod", "segment", "position", "plane", "group", "index")
        frame = pl.DataFrame({p: np.broadcast_to(getattr(self, p), self.index.shape).astype(np.int64) for p in parts})
        frame = frame.select(pl.when(pl.all() >= 0).then(pl.all()))
        if self.tier != "leaf" and self.design.planes == 1:
            frame = frame.with_columns(plane=pl.lit(None, pl.Int64))
        network = pl.lit(self.network)
        c = pl.col
        make = {
            "leaf": names.leaf_name(network, c("segment"), c("position"), c("plane")),
            "spine": names.spine_name(network, c("pod"), c("position"), c("plane"), c("index")),
            "core": names.core_name(network, c("position"), c("plane"), c("group"), c("index")),
        }
        return frame.select(name=make[self.tier]).to_series()


def switch_rows(network: NetworkBlocks) -> Iterator[SwitchRows]:
    """Leaves class by class, spines, cores: in the order of their ids."""
    design = network.design
    yield from (_leaves(leaves) for leaves in network.leaves)
    if network.spine is not None and design.spine is not None:
        pod, position, plane, index = split_spine(design, np.arange(network.spine.devices))
        joined = design.planes_join == "spine"
        yield _upper(network, "spine", design.spine, position, plane, index, pod=pod, joined=joined)
    if network.core is not None and design.core is not None:
        position, plane, group, index = split_core(design, np.arange(network.core.devices))
        joined = design.planes_join != "never"
        yield _upper(network, "core", design.core, position, plane, index, group=group, joined=joined)


def _leaves(leaves: LeafBlock) -> SwitchRows:
    segment, plane, position = leaves.split(np.arange(leaves.block.devices))
    first, rails = leaves.rails(position)
    return SwitchRows(
        leaves.design, "leaf", leaves.cls.leaf, index=position, rails=rails, host_class=leaves.number,
        pod=pod_of(leaves.design, leaves.cls, segment), segment=segment + leaves.first_segment,
        rail=first if leaves.cls.leaves_per_plane > 1 else -1, plane=plane, position=position,
    )  # fmt: skip


def _upper(
    network: NetworkBlocks, tier: str, plan: SwitchPlan, position: Ints, plane: Ints, index: Ints,
    *, joined: bool, pod: Ints | int = -1, group: Ints | int = -1,
) -> SwitchRows:  # fmt: skip
    """Spines or cores: of one leaf position with rail-only, else of all; of one plane but where planes join."""
    design, leaves = network.design, network.leaves[0]
    own = design.layout == "rail-only" and leaves.cls.leaves_per_plane > 1
    first, rails = leaves.rails(position)
    return SwitchRows(
        design, tier, plan, index=index, rails=rails if own else max(c.rails for c in design.classes),
        rail=first if own else -1, plane=-1 if joined and design.planes > 1 else plane,
        position=position if own else -1, pod=pod, group=group,
    )  # fmt: skip
