"""Large rooms: CP-SAT says how many racks of each group stand in which row.

A group is the racks of hosts of one block, which are alike, or one rack of switches. With n_g(i) the racks of group g
in the rows up to i, the metres between a group and a rack of switches h that all of its racks are cabled to are

    Σ_i pitch · | n_g(i) − size_g · n_h(i) |

(every rack on the other side of the gap after row i crosses it once). Prices are straight lines here, so this is a
model of the placement, not the placement's price: what comes of it is priced, improved and compared as it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from planner.floorplan.flows import Flows, Places
from planner.floorplan.levels import HOSTS, levels
from planner.floorplan.prices import TOO_LONG
from planner.floorplan.racks import Floats, Ints, Racks

DETERMINISTIC_SECONDS = 1.0
MOST_TERMS = 12_000
"""Pairs of groups times rows up to which the model is made."""


@dataclass(frozen=True)
class Groups:
    """Racks by group, and the pairs of groups with cables: cents a metre of one rack of the first, times 1000."""

    members: list[Ints]
    pairs: dict[tuple[int, int], int]


def groups_of(racks: Racks, flows: Flows, places: Places) -> Groups:
    """Hosts of a block without switches as one group, every other rack as its own; pairs lean on single racks."""
    block = np.array(racks.block)
    plain = levels(racks) == HOSTS
    group = np.full(len(racks), -1)
    members = [np.flatnonzero(plain & (block == b)) for b in np.unique(block[plain])]
    members += [np.array([rack]) for rack in np.flatnonzero(~plain)]
    for number, mine in enumerate(members):
        group[mine] = number
    rate = _rates(flows, places)
    total: dict[tuple[int, int], float] = defaultdict(float)
    for a, b, kind in zip(flows.a.tolist(), flows.b.tolist(), flows.kind.tolist(), strict=True):
        if b >= 0 and group[a] != group[b]:
            one, other = sorted((int(group[a]), int(group[b])), key=lambda g: -len(members[g]))
            total[one, other] += rate[kind] / len(members[one])
    pairs = {key: round(cents * 1000) for key, cents in total.items() if len(members[key[1]]) == 1 and cents > 0}
    heaviest = max(pairs.values(), default=0)
    return Groups(members, {key: cents for key, cents in pairs.items() if cents * 50 > heaviest})


def _rates(flows: Flows, places: Places) -> Floats:
    """Cents a metre of each class: the straight line through its prices."""
    metres = places.metres - places.metres.mean()
    scale = float(metres @ metres) or 1.0
    finite = np.where(flows.cents < TOO_LONG / 2, flows.cents, flows.cents.min(axis=1, keepdims=True, initial=np.inf))
    return np.maximum(finite @ metres / scale, 0) if finite.size else np.zeros(len(finite))


def rowed(racks: Racks, flows: Flows, places: Places, hint: Ints) -> Ints | None:
    """A placement by rows, beginning from ``hint``; None where the model would be too large or says nothing."""
    groups = groups_of(racks, flows, places)
    rows = np.unique(places.row)
    if len(groups.pairs) * len(rows) > MOST_TERMS or len(rows) < 2:
        return None
    counts = _solve(groups, places, rows, hint)
    return None if counts is None else _stood(groups, places, rows, counts, len(racks))


def _solve(groups: Groups, places: Places, rows: Ints, hint: Ints) -> Ints | None:
    """Racks of each group (rows of the answer) in each row of racks."""
    model = cp_model.CpModel()
    sizes = [len(mine) for mine in groups.members]
    upto = [[model.new_int_var(0, size, "") for _ in rows] for size in sizes]
    for size, mine in zip(sizes, upto, strict=True):
        model.add(mine[-1] == size)
        for before, after in pairwise(mine):
            model.add(before <= after)
    for i, row in enumerate(rows.tolist()):
        here = sum(mine[i] - (mine[i - 1] if i else 0) for mine in upto)
        model.add(here <= int((places.row == row).sum()))
    terms = []
    for (one, other), cents in groups.pairs.items():
        for i in range(len(rows) - 1):
            gap = model.new_int_var(0, sizes[one], "")
            model.add_abs_equality(gap, upto[one][i] - sizes[one] * upto[other][i])
            terms.append(cents * int(rows[i + 1] - rows[i]) * gap)
    model.minimize(sum(terms))
    for mine, members in zip(upto, groups.members, strict=True):
        for i, row in enumerate(rows.tolist()):
            model.add_hint(mine[i], int((places.row[hint[members]] <= row).sum()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = DETERMINISTIC_SECONDS
    if solver.status_name(solver.solve(model)) not in ("OPTIMAL", "FEASIBLE"):
        return None
    return np.diff([[0, *(solver.value(n) for n in mine)] for mine in upto], axis=1)


def _stood(groups: Groups, places: Places, rows: Ints, counts: Ints, racks: int) -> Ints:
    """Places in the rows: racks of switches nearest to the cross tray, hosts around them, group beside group."""
    where = np.full(len(places), -1)
    left = [mine.tolist() for mine in groups.members]
    aside = np.abs(places.room.aside_m(places.position))
    for i, row in enumerate(rows.tolist()):
        spots = np.flatnonzero(places.row == row)
        spots = spots[np.lexsort((spots, np.round(aside[spots], 6)))]
        number = int(counts[:, i].sum())
        single = [g for g in range(len(left)) if len(groups.members[g]) == 1 and counts[g, i]]
        for g, spot in zip(single, spots.tolist(), strict=False):
            where[left[g].pop(0)] = spot
        others = np.sort(spots[len(single) : number])
        several = [g for g in range(len(left)) if len(groups.members[g]) > 1 for _ in range(int(counts[g, i]))]
        for g, spot in zip(several, others.tolist(), strict=True):
            where[left[g].pop(0)] = spot
    where[racks:] = np.setdiff1d(np.arange(len(places)), where[:racks])
    return where
