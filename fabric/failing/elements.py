"""What can fail, and which failures look alike.

Two elements are of one *kind* when their links are of the same kinds and share coordinates among themselves in the same
way. Two partners of a failed element look alike when their links share coordinates with its links in the same way.
Sharing is compared by 64-bit sums of fixed hashes, an element at a time over all others at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from fabric.checking.cages import model_cages
from fabric.failing.network import TIERS, Flags, Ints, Network, dense
from fabric.flow import mix

ENDS = {
    "host-leaf": ("host", "leaf"),
    "oob": ("device", "leaf"),
    "leaf-spine": ("leaf", "spine"),
    "spine-core": ("spine", "core"),
    "leaf-leaf": ("leaf", "leaf"),
}
SWITCHES = ("leaf", "spine", "core")
_SWITCH = ("pod", "segment", "rail", "plane", "index", "group")


@dataclass(frozen=True)
class Elements:
    """Everything of a kind that can fail.

    ``links[start[e]:start[e + 1]]`` are the rows of the links that element e takes with it; ``names[label[e]]`` says
    where it is. ``own`` are coordinates × elements, for elements that have some besides those of their links.
    """

    kind: str
    network: Network
    names: tuple[str, ...]
    label: Ints
    links: Ints
    start: Ints
    signature: Ints
    own: Ints | None = None

    def taken(self, element: int) -> Ints:
        """Rows of the links that fail with the element."""
        return self.links[self.start[element] : self.start[element + 1]]

    def where(self, element: int) -> str:
        """The element's tier, and for an optic the end."""
        return self.names[int(self.label[element])]

    def representatives(self) -> list[int]:
        """The first element of each kind."""
        return [int(i) for i in np.unique(self.signature, return_index=True)[1]]

    def partners(self, element: int) -> list[int]:
        """The first of each kind of other elements, as seen from ``element``."""
        code = self.signature.copy()
        if self.own is not None:
            for row in _shared(self.own, self.own[:, element]):
                code = 2 * code + row
        else:
            total = np.zeros(len(self.signature), dtype=np.uint64)
            for link in self.taken(element).tolist():
                total += self._alike(self.network.coordinates[:, link])
            code = dense(np.stack([code, total.view(np.int64)]))
        code[element] = -1
        return [int(i) for i in np.unique(code, return_index=True)[1] if i != element]

    def _alike(self, one: Ints) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """By element, the sum over its links of a hash of the link's kind and of what it shares with ``one``."""
        code = self.network.kind.copy()
        for row in _shared(self.network.coordinates, one):
            code = 2 * code + row
        return np.add.reduceat(mix(code.astype(np.uint64))[self.links], self.start[:-1])


def elements(network: Network, kind: str) -> Elements:
    """Everything of a kind: link, optic or switch."""
    return _OF[kind](network)


def _shared(coordinates: Ints, one: Ints) -> Flags:
    mine = one.reshape(-1, 1)
    shared: Flags = (coordinates == mine) & (mine >= 0)
    return shared


def _links(network: Network) -> Elements:
    """Every link by itself."""
    count = len(network.gbps)
    return Elements("link", network, TIERS, network.tier, np.arange(count), np.arange(count + 1), network.kind)


def _optics(network: Network) -> Elements:
    """What is plugged into one cage: a twin-port optic takes both of its links. rj45 cages have no optics."""
    device = np.concatenate([network.column("a_device"), network.column("b_device")])
    cage = np.concatenate([network.column("a_cage"), network.column("b_cage")])
    label = np.concatenate([network.tier, network.tier + len(TIERS)])
    links = np.tile(np.arange(len(network.gbps)), 2)
    names = tuple(f"{tier} at {ENDS[tier][end]}" for end in (0, 1) for tier in TIERS)
    pluggable = np.flatnonzero(~np.tile(_copper(network), 2))
    owner = dense(np.stack([device, cage]))
    return _grouped(network, "optic", names, label[pluggable], owner[pluggable], links[pluggable])


def _copper(network: Network) -> Flags:
    """By link: it is rj45, as its switch cage says."""
    cages = model_cages(network.view).filter(pl.col("type") == "rj45")
    cages = cages.join(network.view.switches.select(pl.col("id").alias("b_device"), "model"), on="model")
    cages = cages.select("b_device", pl.col("cage").alias("b_cage"), copper=True)
    ends = network.links.select("b_device", "b_cage")
    found = ends.join(cages, on=["b_device", "b_cage"], how="left", maintain_order="left")
    return found["copper"].fill_null(False).to_numpy()


def _switches(network: Network) -> Elements:
    """A whole switch with all of its links; it has coordinates of its own."""
    switches = network.view.switches.filter(pl.col("network") == network.name).sort("id")
    device = np.concatenate([network.column("a_device"), network.column("b_device")])
    links = np.tile(np.arange(len(network.gbps)), 2)
    ids = switches["id"].cast(pl.Int64).to_numpy()
    mine = np.flatnonzero(np.isin(device, ids))
    tiers = switches["tier"].replace_strict({t: i for i, t in enumerate(SWITCHES)}, return_dtype=pl.Int64).to_numpy()
    label = tiers[np.searchsorted(ids, device[mine])]
    found = _grouped(network, "switch", SWITCHES, label, device[mine], links[mine])
    linked = switches.filter(pl.col("id").is_in(np.unique(device[mine]).tolist()))
    own = np.stack([linked[c].cast(pl.Int64).fill_null(-1).to_numpy() for c in _SWITCH])
    return Elements("switch", network, SWITCHES, found.label, found.links, found.start, found.signature, own)


def _grouped(network: Network, kind: str, names: tuple[str, ...], label: Ints, owner: Ints, links: Ints) -> Elements:
    """Elements from (owner, link) pairs; the signature is the kinds of an element's links and what they share."""
    order = np.lexsort((links, owner))
    owner, links, label = owner[order], links[order], label[order]
    start = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(owner))
    first = np.repeat(links[start[:-1]], np.diff(start))
    code = network.kind[links]
    for row in network.coordinates:
        code = 2 * code + ((row[links] == row[first]) & (row[links] >= 0))
    total = np.add.reduceat(mix(code.astype(np.uint64)), start[:-1]) if len(links) else np.zeros(0, np.uint64)
    signature = dense(np.stack([label[start[:-1]], np.diff(start), total.view(np.int64)]))
    return Elements(kind, network, names, label[start[:-1]], links, start, signature)


_OF: dict[str, Callable[[Network], Elements]] = {"link": _links, "optic": _optics, "switch": _switches}
