"""Does a tier hash as planned, or as the tier below it: what the planned functions choose for the flows seen."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

import numpy as np
import polars as pl

from collectors.detectors.skew.observe import Flows
from collectors.detectors.view import Ints, Mask, View
from fabric.ecmp_hash import TIERS, hash_of
from fabric.hashing import EcmpHash, five_tuples

MOST = 512
"""Flows that are compared: they tell 90 % from 50 % beyond doubt."""


def fits(view: View, network: str, flows: Flows, usable: Mask) -> dict[str, float]:
    """By tier: the part of the flows that are where that tier's planned hash puts them.

    1/m by chance. Flows other than IPv4 are left out; empty for networks that do not hash, or without such flows.
    """
    rows = np.flatnonzero(_ipv4(flows.table["src_ip"]) & _ipv4(flows.table["dst_ip"]))[:MOST]
    if not len(rows):
        return {}
    own = flows.take(rows)
    source, target = (np.array([int(IPv4Address(text)) for text in own.table[name]]) for name in ("src_ip", "dst_ip"))
    keys = five_tuples(source, target, own.table["src_port"].to_numpy(), own.table["dst_port"].to_numpy())
    members, place = _places(view, own, usable)
    return {tier: float((how.pick(keys, members) == place).mean()) for tier, how in planned_hashes(view, network)}


def planned_hashes(view: View, network: str) -> Iterator[tuple[str, EcmpHash]]:
    """The planned hash of each tier of a network; none where subnet managers route."""
    design = view.plan.design.networks[network]
    switches = {"leaf": design.classes[0].leaf, "spine": design.spine, "core": design.core}
    for tier in TIERS:
        switch = switches[tier]
        found = hash_of(view.plan, tier, design.nos, switch.model) if switch else None
        if found is not None:
            yield tier, found.hash


def _places(view: View, flows: Flows, usable: Mask) -> tuple[Ints, Ints]:
    """How many members each flow's group has, and the place of its own."""
    members, place = np.ones(len(flows), dtype=np.int64), np.zeros(len(flows), dtype=np.int64)
    for group in np.unique(flows.group):
        ports = view.members(int(group))
        ports = np.sort(ports[usable[ports]])
        rows = flows.group == group
        members[rows] = max(len(ports), 1)
        place[rows] = np.searchsorted(ports, flows.port[rows])
    return members, place


def _ipv4(texts: pl.Series) -> Mask:
    def good(text: str) -> bool:
        try:
            IPv4Address(text)
        except AddressValueError:
            return False
        return True

    return np.array([good(text) for text in texts], dtype=np.bool_)
