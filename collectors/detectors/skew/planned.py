"""Does a tier hash as planned, or as the tier below it: what the planned functions choose for the flows seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collectors.detectors.skew.groups import Groups
from collectors.detectors.skew.observe import Flows
from collectors.detectors.view import Floats, Ints, Mask, View
from fabric.ecmp_hash import TIERS, hash_of
from fabric.hashing import Bytes, EcmpHash, five_tuples

MOST = 512
"""Flows that are compared: they tell 90 % from 50 % beyond doubt."""
TINY = 1e-12
EXPLAINED = 0.5
"""Of a group's unevenness, from which it is a hash's: another one that is as uneven explains less than nothing."""


def fits(view: View, network: str, flows: Flows, usable: Mask) -> dict[str, float]:
    """By tier: the part of the flows that are where that tier's planned hash puts them.

    1/m by chance. Flows other than IPv4 are left out; empty for networks that do not hash, or without such flows.
    """
    own, keys = _keyed(flows.take(np.arange(min(len(flows), MOST))))
    if not len(own):
        return {}
    members, place = _places(view, own, usable)
    return {tier: float((how.pick(keys, members) == place).mean()) for tier, how in planned_hashes(view, network)}


def as_planned(view: View, network: str, tier: str, flows: Flows, usable: Mask) -> Floats:
    """By group: the part of its flows that are where the tier's planned hash puts them; 0 where that is not known."""
    own, keys = _keyed(flows)
    how = dict(planned_hashes(view, network)).get(tier)
    if how is None or not len(own):
        return np.zeros(view.groups)
    members, place = _places(view, own, usable)
    fit = np.bincount(own.group, how.pick(keys, members) == place, view.groups)
    return np.asarray(fit / np.maximum(np.bincount(flows.group, minlength=view.groups), 1))


def _keyed(flows: Flows) -> tuple[Flows, Bytes]:
    """Those of IPv4, and their keys."""
    own = flows.take((flows.source >= 0) & (flows.target >= 0))
    return own, five_tuples(own.source, own.target, own.source_port, own.target_port)


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
    """How many usable members each flow's group has, and the place of its own among them."""
    ports = view.group_ports
    group = np.repeat(np.arange(view.groups), np.diff(view.group_start))
    own = ports[np.lexsort((ports, group))]
    good = usable[own]
    before: Ints = np.cumsum(good) - good
    first: Ints = before[np.minimum(view.group_start[:-1], max(len(own) - 1, 0))]
    place = np.zeros(view.ports, dtype=np.int64)
    place[own] = before - first[group]
    members = np.bincount(group[good], minlength=view.groups)
    return np.maximum(members[flows.group], 1), place[flows.port]


def explained(view: View, network: str, groups: Groups) -> dict[str, Floats]:
    """By tier: the part of each group's unevenness that the tier's planned hash would have made of its flows, 0 to 1.

    1 − Σ(x − y)²/Σ(x − mean)² of what members carry and what they would: where counters say what members carry, and
    nothing says which flow took which. Groups with flows other than IPv4 have 0; empty for networks that do not hash.
    """
    flows, members = groups.flows, groups.members
    if (flows.source < 0).any() or (flows.target < 0).any():
        return {tier: np.zeros(len(groups)) for tier, _ in planned_hashes(view, network)}
    keys, base = five_tuples(flows.source, flows.target, flows.source_port, flows.target_port), groups.port_start[:-1]
    x, mean = shares(groups.loads, base, members), np.repeat(1 / members, members)
    found = {}
    for tier, how in planned_hashes(view, network):
        taken = base[groups.row] + how.pick(keys, members[groups.row])
        y = shares(np.bincount(taken, flows.samples, groups.port_start[-1]), base, members)
        rest, whole = (np.add.reduceat((x - other) ** 2, base) for other in (y, mean))
        found[tier] = np.maximum(1 - rest / np.maximum(whole, TINY), 0.0)
    return found


def shares(loads: Ints | Floats, first: Ints, members: Ints) -> Floats:
    """By member: its part of what its group carries; ``first``: where each group's members begin."""
    total = np.add.reduceat(loads, first).astype(np.float64)
    return np.asarray(loads / np.repeat(np.maximum(total, 1.0), members))
