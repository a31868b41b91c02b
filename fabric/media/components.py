"""Cages that hang together: one plug fills a cage, so that all cables of the cage are of one medium.

Followed from cage to cage, this binds whole groups of cables: the two of a twin-port optic, and through them those of
the optics at the far ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from fabric.tables import Fabric

Ints = npt.NDArray[np.int64]


def components(fabric: Fabric, cables: pl.DataFrame, base: int) -> list[pl.Series]:
    """``component``, ``shape`` and ``reach_m`` of each cable.

    ``shape`` is cages at a · ``base`` + cages at b where a component has one cage at one of its sides and like cages at
    each, else 0. ``reach_m`` is the longest way in the component.
    """
    cable = fabric.links["cable"].to_numpy().astype(np.int64)
    a, b = (_cages(fabric, side) for side in ("a", "b"))
    label = _labels(a, b, cable)
    of_cable = np.zeros(cables.height, dtype=np.int64)
    of_cable[cable] = label
    alike = [f"{side}_{name}" for side in "ab" for name in ("cage", "mode", "connectors")]
    sums = (
        cables.select(*alike, "way_m", component=pl.Series(of_cable))
        .group_by("component")
        .agg(pl.struct(alike).n_unique().alias("kinds"), pl.col("way_m").max().alias("reach_m"))
    )
    counts = pl.DataFrame({"component": label, "a": a, "b": b}).group_by("component").agg(
        pl.col("a").n_unique(), pl.col("b").n_unique()
    )  # fmt: skip
    whole = (pl.min_horizontal("a", "b") == 1) & (pl.max_horizontal("a", "b") < base) & (pl.col("kinds") == 1)
    table = sums.join(counts, on="component").with_columns(
        shape=pl.when(whole).then(pl.col("a") * base + pl.col("b")).otherwise(0).cast(pl.UInt32)
    )  # fmt: skip
    found = pl.DataFrame({"component": of_cable}).join(table, on="component", how="left", maintain_order="left")
    return [found["component"].cast(pl.UInt32), found["shape"], found["reach_m"]]


def _cages(fabric: Fabric, side: str) -> Ints:
    """A number for the cage of each link at this side; what is not ours is a cage of its own for each link."""
    ports = fabric.ports
    per_device = int(ports["cage"].max() or 0) + 1  # type: ignore[arg-type]
    cage = ports["device"].to_numpy().astype(np.int64) * per_device + ports["cage"].to_numpy()
    port = fabric.links[f"{side}_port"]
    devices = fabric.hosts.height + fabric.switches.height
    beyond = devices * per_device + np.arange(len(port))
    return np.where(port.is_null().to_numpy(), beyond, cage[port.fill_null(0).to_numpy()])


def _labels(a: Ints, b: Ints, cable: Ints) -> Ints:
    """Number of the component of each link: links are joined that share a cage at either side, or a cable."""
    groups = [np.unique(key, return_inverse=True)[1] for key in (a, b, cable)]
    label = np.arange(len(a), dtype=np.int64)
    while True:
        before = label
        for group in groups:
            least = np.full(int(group.max(initial=-1)) + 1, len(a), dtype=np.int64)
            np.minimum.at(least, group, label)
            label = least[group]
        label = label[label]  # a label is a link of the same component: its label is at most as large
        if np.array_equal(label, before):
            return label
