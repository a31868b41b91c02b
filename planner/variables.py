"""The variables of the sizing model: what CP-SAT decides for one network and one number of tiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from fabric.catalogue.models import Switch
from fabric.design import Use
from planner.cages import Need, Pattern, Slot, bank_size, most_ports, patterns, speeds
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


def rail_choices(demand: Demand) -> list[int]:
    """Values of q: as given; all rails for top-of-rack; else the divisors of R."""
    rails = demand.classes[0].rails
    if demand.layout == "top-of-rack":
        return [max(c.rails for c in demand.classes)]
    if demand.rails_per_leaf is not None:
        return [min(demand.rails_per_leaf, rails)]
    return [q for q in range(1, rails + 1) if rails % q == 0]


def _speed_choices(pin: int | None, fastest: int, *tiers: tuple[Switch, ...]) -> list[int]:
    """Speeds that some candidate of every tier has, not slower than the fastest host port below."""
    common = set.intersection(*({v for model in models for v in speeds(model)} for models in tiers))
    return sorted(v for v in common if v >= fastest and pin in (None, v))


def variables(demand: Demand, tiers: int, *, fewest_hosts: int | None = None) -> Model:
    """Declare every variable with the tightest domain that the inputs alone give.

    With ``fewest_hosts`` the hosts of the first class are a variable from there up to the number asked for.
    """
    cp = cp_model.CpModel()
    classes = demand.classes
    if tiers == 1 and demand.single_class is not None:
        classes = (demand.single_class,)
    if tiers == 1 and len(classes) > 1:
        cp.add_bool_or([])
    fastest = max(c.speed_gbps for c in classes)
    leaf, spine, core = (demand.candidates[t] for t in ("leaf", "spine", "core"))
    between = tiers > 1 or demand.reserve_leaf or demand.interswitch > 0
    v = (
        {
            g: cp.new_bool_var(f"v{g}")
            for g in _speed_choices(demand.leaf_uplink_gbps, fastest, leaf, *([spine] if tiers > 1 else []))
        }
        if between
        else {}
    )
    above = tiers == 3 or (tiers == 2 and demand.reserve_spine)
    y = (
        {
            g: cp.new_bool_var(f"y{g}")
            for g in _speed_choices(demand.spine_uplink_gbps, fastest, spine, *([core] if tiers == 3 else []))
        }
        if above
        else {}
    )
    most_up = max((most_ports(model, g) for model in leaf for g in v), default=0)
    most_spine = max((most_ports(model, g) for model in spine for g in {*v, *y}), default=0) if tiers > 1 else 0
    most_core = max((most_ports(model, g) for model in core for g in y), default=0) if tiers == 3 else 0
    leaf_models = [cp.new_bool_var(f"leaf:{model.name}") for model in leaf]
    choices = [Choice(q, cp.new_bool_var(f"q{q}")) for q in rail_choices(demand)]
    made = [
        _class(cp, demand, tiers, n, host, choices, leaf_models, tuple(v), most_up, most_spine, fewest_hosts)
        for n, host in enumerate(classes)
    ]
    pods = min(max(c.host.hosts + demand.service_ports for c in made), most_core) if tiers == 3 else 1
    sides = max(c.positions(made[0].host) for c in choices) * demand.planes
    model = Model(
        cp=cp,
        demand=demand,
        tiers=tiers,
        classes=made,
        choices=choices,
        v=v,
        y=y,
        s=_range(cp, *((demand.min_spines, max(most_up, demand.min_spines)) if tiers > 1 else (0, 0)), "s"),
        D=_range(cp, 1, max(1, pods), "D"),
        w=_range(cp, 1 if above else 0, most_spine if above else 0, "w"),
        b=_range(cp, 1 if tiers == 3 else 0, most_spine if tiers == 3 else 0, "b"),
        e=_range(cp, 1 if tiers == 3 else 0, most_core if tiers == 3 else 0, "e"),
        i=_range(cp, 0, most_up if demand.interswitch > 0 and tiers == 1 else 0, "i"),
        spine=None,
        core=None,
        leaf_models=leaf_models,
        spines=_range(cp, 0, most_up * max(1, pods) * sides if tiers > 1 else 0, "spines"),
        cores=_range(cp, 0, most_up * most_spine * sides if tiers == 3 else 0, "cores"),
    )
    if tiers > 1:
        model.spine = _kind(
            cp,
            "spine",
            spine,
            [
                Need("down", tuple(v), between=True),
                *([Need("up", tuple(y), between=True)] if tiers == 3 else []),
                *([Need("reserve", tuple(y), occupied=False)] if tiers == 2 and above else []),
            ],
        )
    if tiers == 3:
        model.core = _kind(cp, "core", core, [Need("down", tuple(y), between=True)])
    return model


def _range(cp: cp_model.CpModel, low: int, high: int, name: str) -> Var:
    """An integer from ``low`` to ``high``; where there is none the model has no solution."""
    if high < low:
        cp.add_bool_or([])
    return cp.new_int_var(low, max(low, high), name)


def _class(
    cp: cp_model.CpModel,
    demand: Demand,
    tiers: int,
    number: int,
    host: HostClass,
    choices: list[Choice],
    leaf_models: list[Var],
    v: tuple[int, ...],
    most_up: int,
    most_spine: int,
    fewest_hosts: int | None,
) -> ClassVars:
    leaf = demand.candidates["leaf"]
    most = max((most_ports(model, host.speed_gbps, rj45=host.rj45) for model in leaf), default=0)
    narrow = min(c.rails(host) for c in choices) * (host.ports // demand.planes)
    places = max(0, most // narrow - host.spares)
    high = max(1, min(places, host.hosts))
    low = 1
    if host.segment_hosts is not None:
        low = high = host.segment_hosts
    segments = 1 if tiers == 1 and demand.network != "oob" else host.hosts + demand.service_ports
    wide = max(c.positions(host) for c in choices) * demand.planes

    def var(low: int, high: int, name: str) -> Var:
        return _range(cp, low, high, f"{name}.{number}")

    fewest = host.hosts if fewest_hosts is None or number else min(fewest_hosts, host.hosts)
    G = var(  # noqa: N806 - the letter of docs/sizing.md
        -(-fewest // high), segments, "G"
    )
    external = Need("external", (demand.external.speed_gbps,)) if demand.external.count else None
    attach = (
        Need("attach", (demand.attached.speed_gbps,), lanes=demand.attached.lanes)
        if demand.attached.count and number == 0
        else None
    )
    needs = [
        Need("host", (host.speed_gbps,), rj45=host.rj45, lanes=host.lanes),
        Need("free", (host.speed_gbps,), rj45=host.rj45, occupied=False, lanes=host.lanes)
        if demand.free_leaf_ports or demand.service_ports
        else None,
        Need("up", v, between=True) if tiers > 1 else None,
        Need("reserve", v, occupied=False) if tiers == 1 and demand.reserve_leaf else None,
        Need("interswitch", v, between=True) if tiers == 1 and demand.interswitch > 0 else None,
        external,
        attach,
    ]
    kind = _kind(cp, f"leaf{number}", leaf, [n for n in needs if n], leaf_models)
    up = most_up if tiers > 1 or demand.reserve_leaf else 0
    slots = most if demand.free_leaf_ports or demand.service_ports else 0
    growth = demand.max_segments if number == 0 else 0
    return ClassVars(
        host=host,
        N=var(fewest, host.hosts, "N"),
        S=var(low, high, "S"),
        G=G,
        GS=var(fewest, host.hosts * 2 + high * (demand.service_ports + 1), "GS"),
        u=var(1 if up else 0, up, "u"),
        t=var(1 if tiers > 1 else 0, most_up if tiers > 1 else 0, "t"),
        m=var(1, min(max(segments, growth), most_spine) if tiers == 3 else segments, "m"),
        max_m=var(max(1, growth if tiers == 2 else 1), max(segments, growth), "M"),
        leaves=var(1, segments * wide, "leaves"),
        host_ports=var(0, most, "hosts"),
        x=var(0, slots if demand.service_ports else 0, "x"),
        free=var(demand.free_leaf_ports, slots, "free"),
        attach=var(0, demand.attached.count if attach else 0, "attach"),
        kind=kind,
    )


def _kind(
    cp: cp_model.CpModel, name: str, models: tuple[Switch, ...], needs: list[Need], chosen: list[Var] | None = None
) -> Kind:
    if chosen is None:
        chosen = [cp.new_bool_var(f"{name}:{model.name}") for model in models]
    kind = Kind(name, models, chosen, tuple(needs))
    for i, model in enumerate(models):
        for g, group in enumerate(model.cages):
            banks = -(-group.count // bank_size(model, group, kind.needs))
            for p, pattern in enumerate(patterns(model, group, kind.needs)):
                kind.banks.append((i, g, pattern, cp.new_int_var(0, banks, f"{name}.{model.name}.{g}.{p}")))
    return kind
