"""From flow samples to flows: who took which member of which group, and how often it was seen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address

import numpy as np
import numpy.typing as npt
import polars as pl

from collectors.detectors.interval import Interval
from collectors.detectors.skew.members import group_of
from collectors.detectors.view import NONE, Ints, Mask, View

KEY = ("src_ip", "dst_ip", "src_port", "dst_port")
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Flows:
    """One row a flow and group, sorted by group.

    ``identity``: of flow and group; ``port``: the member that most samples took; ``samples``: of all members;
    ``upstream``: place of the member taken a tier below, ``sender``: the device that it came from, NONE where unknown;
    ``moved``: seen on several members.
    ``source``, ``target``: IPv4 addresses as numbers, NONE for others; ``source_port``, ``target_port``.
    """

    group: Ints
    identity: Words
    port: Ints
    samples: Ints
    upstream: Ints
    sender: Ints
    moved: Mask
    source: Ints
    target: Ints
    source_port: Ints
    target_port: Ints

    def take(self, rows: Ints | Mask) -> Flows:
        """Some of them."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Flows(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def __len__(self) -> int:
        return len(self.group)


@dataclass(frozen=True)
class Entries:
    """What hosts send into one network: distinct source ports, and queue pairs (a key with its destination's)."""

    ports: Ints
    queue_pairs: int


class Observer:
    """Reads the flows of intervals."""

    def __init__(self, view: View) -> None:
        """Tables of the view that do not change."""
        self.view = view
        self.group, self.place = group_of(view)

    def flows(self, interval: Interval) -> Flows:
        """The flows on members of groups.

        A switch that does not say where its samples went is read at the next one: what comes in there left by the
        member at the other end.
        """
        rows = interval.flows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in KEY))
        out, into = (rows[f"{side}_id"].fill_null(NONE).to_numpy().astype(np.int64) for side in ("out", "in"))
        below = np.where(into >= 0, self.view.peer[np.maximum(into, 0)], NONE)
        own = (out >= 0) & (self.group[out] >= 0)
        tells = np.zeros(len(self.view.device_names), dtype=np.bool_)
        tells[self.view.device[out[own]]] = True
        next_tells = (below >= 0) & (self.group[below] >= 0) & ~tells[self.view.device[below]]
        upstream = np.where(below >= 0, self.place[below], NONE)
        sender = np.where(below >= 0, self.view.device[below], NONE)
        unknown = np.full(len(out), NONE)
        parts = [
            self._part(rows, own, out, upstream, sender),
            self._part(rows, next_tells, below, unknown, unknown),
        ]
        return _flows(pl.concat(parts))

    def _part(self, rows: pl.DataFrame, which: Mask, port: Ints, upstream: Ints, sender: Ints) -> pl.DataFrame:
        found = rows.filter(pl.Series(which)).select(KEY)
        return found.with_columns(
            group=pl.Series(self.group[port[which]]), port=pl.Series(port[which]),
            upstream=pl.Series(upstream[which]), sender=pl.Series(sender[which]),
        )  # fmt: skip

    def entries(self, interval: Interval) -> dict[int, Entries]:
        """By network: what hosts send in."""
        into = interval.flows["in_id"].fill_null(NONE).to_numpy().astype(np.int64)
        entering = (into >= 0) & self.view.host_facing[into]
        rows = interval.flows.filter(pl.Series(entering)).select("src_ip", "dst_ip", "src_port", "dest_qp")
        rows = rows.with_columns(network=pl.Series(self.view.network[into[entering]])).drop_nulls("src_port").unique()
        return {
            int(network): Entries(part["src_port"].unique().sort().to_numpy().astype(np.int64), part.height)
            for (network,), part in rows.group_by("network", maintain_order=True)
        }


def _flows(rows: pl.DataFrame) -> Flows:
    """One row a flow and group."""
    # rows are told apart by a hash of 64 bits: strings are compared once a row only
    named = rows.with_columns(identity=pl.struct(*KEY, "group").hash(7))
    said = ("group", "upstream", "sender", *KEY)
    by_member = named.group_by("identity", "port").agg(pl.len().alias("samples"), pl.first(*said))
    ordered = by_member.sort("samples", "port", descending=[True, False])
    flows = ordered.group_by("identity", maintain_order=True).agg(
        pl.first("port", *said), pl.sum("samples"), (pl.len() > 1).alias("moved")
    )
    flows = flows.sort("group", "identity")
    whole = {name: flows[name].cast(pl.Int64).to_numpy() for name in ("group", "port", "samples", "upstream", "sender")}
    return Flows(
        identity=flows["identity"].to_numpy(), moved=flows["moved"].to_numpy(), **whole,
        source=_numbers(flows["src_ip"]), target=_numbers(flows["dst_ip"]),
        source_port=flows["src_port"].cast(pl.Int64).to_numpy(),
        target_port=flows["dst_port"].cast(pl.Int64).to_numpy(),
    )  # fmt: skip


def _numbers(texts: pl.Series) -> Ints:
    """IPv4 addresses as numbers; NONE for what is none."""
    distinct = texts.unique()
    numbers = pl.Series([_number(text) for text in distinct.to_list()], dtype=pl.Int64)
    return (
        texts.replace_strict(distinct, numbers, return_dtype=pl.Int64).to_numpy()
        if len(texts)
        else np.zeros(0, np.int64)
    )


@lru_cache(maxsize=65_536)
def _number(text: str) -> int:
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        return NONE


def moving(flows: Flows, groups: int, least: int, share: float) -> Mask:
    """By group: more than this share of the flows with two samples were on several members; at least so many flows."""
    twice = flows.samples >= 2
    known = np.bincount(flows.group[twice], minlength=groups)
    moved = np.bincount(flows.group[twice & flows.moved], minlength=groups)
    found: Mask = (known >= least) & (moved > share * known)
    return found
