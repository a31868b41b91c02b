"""The variables of the sizing model: what CP-SAT decides for one network and one number of tiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from fabric.catalogue.models import Switch
from fabric.design import Use
from planner.cages import Need, Pattern, Slot, bank_size
from planner.demand import Demand, HostClass

Var = cp_model.IntVar
Expr = cp_model.LinearExpr | int
MANY = 1 << 50
"""Above every sum of money, power or parts that a cluster of a million GPUs can have."""


@dataclass
class Kind:
    """Switches that are all set up alike: one tier, and for leaves one host class."""

    name: str
    models: tuple[Switch, ...]
    chosen: list[Var]
    needs: tuple[Need, ...]
    banks: list[tuple[int, int, Pattern, Var]] = field(default_factory=list)
    """(model, cage group, pattern, number of banks set up so)"""
    filled: dict[tuple[int, int], Var] = field(default_factory=dict)
    """Where there is room for growth: cages that carry cables now, by place in ``banks`` and slot in its pattern."""

    def total(self, weight: Callable[[Slot], int]) -> Expr:
        """Sum of ``weight`` over the cages in use."""
        return sum((sum(map(weight, pattern)) * banks for _, _, pattern, banks in self.banks), start=0)

    def occupied(self, weight: Callable[[Slot], int]) -> Expr:
        """Sum of ``weight`` over the cages that carry cables now."""
        return sum(
            weight(slot) * self.filled.get((place, n), banks)
            for place, (_, _, pattern, banks) in enumerate(self.banks)
            for n, slot in enumerate(pattern)
        )

    def ports(self, use: Use, speed: int) -> Expr:
        """Ports that the cages given to ``use`` at ``speed`` have."""
        return self.total(lambda slot: slot.mode.ports * (slot.need.use == use and slot.mode.speed_gbps == speed))

    def most(self, weight: Callable[[Slot], int]) -> int:
        """An upper bound on ``total``."""
        found = 0
        for index, model in enumerate(self.models):
            per_group: dict[int, int] = {}
            for i, group, pattern, _ in self.banks:
                if i == index:
                    size = bank_size(model, model.cages[group], self.needs)
                    banks = -(-model.cages[group].count // size)
                    per_group[group] = max(per_group.get(group, 0), banks * sum(map(weight, pattern)))
            found = max(found, sum(per_group.values()))
        return found


@dataclass
class ClassVars:
    """Letters of docs/sizing.md for one class of hosts."""

    host: HostClass
    N: Var
    """Hosts: those asked for; a range when the question is how many can be had."""
    S: Var
    G: Var
    GS: Var
    """Places for hosts in all segments."""
    u: Var
    t: Var
    m: Var
    max_m: Var
    """Segments the spines of a pod must take: m, or with two tiers at least ``max_segments``."""
    leaves: Var
    host_ports: Var
    """(S+σ)·q·π, a leaf"""
    x: Var
    free: Var
    attach: Var
    kind: Kind


@dataclass
class Choice:
    """One value of q (rails a leaf serves), with its boolean; K and q per class follow from it."""

    q: int
    chosen: Var

    def rails(self, host: HostClass) -> int:
        """Rails a leaf of the class serves."""
        return min(self.q, host.rails)

    def positions(self, host: HostClass) -> int:
        """K = ⌈R/q⌉ of the class."""
        return -(-host.rails // self.rails(host))


@dataclass
class Model:
    """The model of one network with a given number of tiers."""

    cp: cp_model.CpModel
    demand: Demand
    tiers: int
    classes: list[ClassVars]
    choices: list[Choice]
    v: dict[int, Var]
    """Speed of leaf uplinks: a boolean a candidate."""
    y: dict[int, Var]
    s: Var
    D: Var
    w: Var
    b: Var
    e: Var
    i: Var
    spine: Kind | None
    core: Kind | None
    leaf_models: list[Var]
    spines: Var
    cores: Var
    spine_down: Expr = 0
    """Down ports of a spine, room for growth included."""
    core_down: Expr = 0

    @property
    def has_uplinks(self) -> bool:
        """Leaves have links to other switches, or ports kept free for them."""
        return self.tiers > 1 or self.demand.reserve_leaf or self.demand.interswitch > 0

    @property
    def has_spine_uplinks(self) -> bool:
        """Spines have links to cores, or ports kept free for them."""
        return self.tiers == 3 or (self.tiers == 2 and self.demand.reserve_spine)

    @property
    def kinds(self) -> list[Kind]:
        """Every kind of switch, leaves first."""
        return [c.kind for c in self.classes] + [k for k in (self.spine, self.core) if k is not None]
