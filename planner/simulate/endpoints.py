"""Where flows enter and leave a network: the link of each host's rail and plane, and its address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.addressing import addresses
from fabric.hashing import murmur3
from planner.simulate.kept import kept

if TYPE_CHECKING:
    from planner.simulate.wires import Ints, Small, Wires

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Endpoints:
    """``link[host, rail, plane, n]``: link id of a NIC's port, −1 where there is none; ``ipv4``: its address."""

    link: Small
    ipv4: Words

    @property
    def planes(self) -> int:
        """Planes of the network."""
        return int(self.link.shape[2])


def endpoints(wires: Wires) -> Endpoints:
    """The endpoints of a network; networks without addresses (InfiniBand) get numbers in place of them."""
    return kept(wires.plan, ("endpoints", wires.network), lambda: _endpoints(wires))


def _endpoints(wires: Wires) -> Endpoints:
    fabric = wires.plan.fabric
    links = fabric.links.filter(
        (pl.col("network").cast(pl.String) == wires.network) & (pl.col("tier").cast(pl.String) == "host-leaf")
    ).select("id", "a_device", "a_port", rail=pl.col("rail").fill_null(0), plane=pl.col("plane").fill_null(0))
    links = links.sort("a_device", "rail", "plane", "a_port")
    links = links.with_columns(n=pl.int_range(pl.len()).over("a_device", "rail", "plane"))
    at = tuple(links[name].cast(pl.Int64).to_numpy() for name in ("a_device", "rail", "plane", "n"))
    shape = (fabric.hosts.height, *(int(column.max(initial=0)) + 1 for column in at[1:]))
    link = np.full(shape, -1, dtype=np.int32)
    ipv4 = np.zeros(shape, dtype=np.uint32)
    link[at] = links["id"].to_numpy()
    ipv4[at] = _addresses(wires, links)
    return Endpoints(link, ipv4)


def _addresses(wires: Wires, links: pl.DataFrame) -> Words:
    """IPv4 address of the host end of each link, as a number; the port's id where it has none."""
    if wires.plan.design.networks[wires.network].technology == "infiniband":
        return links["a_port"].to_numpy()
    known = addresses(wires.plan).host_ports.select(a_port="port", ipv4="ipv4")
    found = links.join(known, on="a_port", how="left", maintain_order="left")
    octets = found["ipv4"].fill_null("0.0.0.1").str.split(".").explode().cast(pl.UInt32).to_numpy().reshape(-1, 4)
    number = (octets << np.array([24, 16, 8, 0], dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    return np.where(found["ipv4"].is_null().to_numpy(), found["a_port"].to_numpy(), number).astype(np.uint32)


def stirred(*columns: npt.ArrayLike, seed: int = 0) -> Ints:
    """A number as good as random of each row of whole numbers, the same in every run."""
    rows = np.stack(np.broadcast_arrays(*(np.asarray(column) for column in columns)), axis=1).astype("<u4")
    return murmur3(np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1), seed).astype(np.int64)
