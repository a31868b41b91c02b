"""Declares the variables of the sizing model, each with the tightest domain that the inputs alone give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ortools.sat.python import cp_model

from fabric.catalogue.models import Switch
from planner.cages import Need, bank_size, most_ports, patterns, speeds
from planner.demand import Demand, HostClass
from planner.variables import Choice, ClassVars, Kind, Model, Var


def variables(demand: Demand, tiers: int, *, fewest_hosts: int | None = None) -> Model:
    """The model of a network without constraints.

    With ``fewest_hosts`` the hosts of the first class are a variable from there up to the number asked for.
    """
    tops = _tops(cp_model.CpModel(), demand, tiers)
    leaf_models = [tops.cp.new_bool_var(f"leaf:{model.name}") for model in demand.candidates["leaf"]]
    choices = [Choice(q, tops.cp.new_bool_var(f"q{q}")) for q in rail_choices(demand)]
    made = [_class(tops, n, host, choices, leaf_models, fewest_hosts) for n, host in enumerate(_classes(demand, tiers))]
    model = _above(tops, made, choices, leaf_models)
    if tiers > 1:
        model.spine = _kind(tops.cp, "spine", demand.candidates["spine"], list(_spine_needs(tops)))
    if tiers == 3:
        model.core = _kind(tops.cp, "core", demand.candidates["core"], [Need("down", tuple(tops.y), between=True)])
    return model


@dataclass(frozen=True)
class _Tops:
    """Speeds of uplinks, and the most ports that any candidate of a tier has at them."""

    cp: cp_model.CpModel
    demand: Demand
    tiers: int
    v: dict[int, Var]
    y: dict[int, Var]
    up: int
    spine: int
    core: int

    @property
    def above(self) -> bool:
        """Spines have uplinks, or ports kept free for them."""
        return self.tiers == 3 or (self.tiers == 2 and self.demand.reserve_spine)


def _classes(demand: Demand, tiers: int) -> tuple[HostClass, ...]:
    """Classes of hosts; those of one tier share their leaves."""
    return (demand.single_class,) if tiers == 1 and demand.single_class is not None else tuple(demand.classes)


def _tops(cp: cp_model.CpModel, demand: Demand, tiers: int) -> _Tops:
    classes = _classes(demand, tiers)
    if tiers == 1 and len(classes) > 1:
        cp.add_bool_or([])
    fastest = max(c.speed_gbps for c in classes)
    leaf, spine, core = (demand.candidates[t] for t in ("leaf", "spine", "core"))
    v, y = {}, {}
    if tiers > 1 or demand.reserve_leaf or demand.interswitch > 0:
        ends = [leaf, spine] if tiers > 1 else [leaf]
        v = {g: cp.new_bool_var(f"v{g}") for g in _speed_choices(demand.leaf_uplink_gbps, fastest, *ends)}
    if tiers == 3 or (tiers == 2 and demand.reserve_spine):
        ends = [spine, core] if tiers == 3 else [spine]
        y = {g: cp.new_bool_var(f"y{g}") for g in _speed_choices(demand.spine_uplink_gbps, fastest, *ends)}
    most_up = max((most_ports(model, g) for model in leaf for g in v), default=0)
    most_spine = max((most_ports(model, g) for model in spine for g in {*v, *y}), default=0) if tiers > 1 else 0
    most_core = max((most_ports(model, g) for model in core for g in y), default=0) if tiers == 3 else 0
    return _Tops(cp, demand, tiers, v, y, most_up, most_spine, most_core)


def _above(tops: _Tops, made: list[ClassVars], choices: list[Choice], leaf_models: list[Var]) -> Model:
    """The model, with the variables of what is above leaves."""
    cp, demand, tiers, above = tops.cp, tops.demand, tops.tiers, tops.above
    pods = min(max(c.host.hosts + demand.service_ports for c in made), tops.core) if tiers == 3 else 1
    sides = max(c.positions(made[0].host) for c in choices) * demand.planes
    two, three = tiers > 1, tiers == 3
    return Model(
        cp=cp,
        demand=demand,
        tiers=tiers,
        classes=made,
        choices=choices,
        v=tops.v,
        y=tops.y,
        s=_range(cp, demand.min_spines if two else 0, max(tops.up, demand.min_spines) if two else 0, "s"),
        D=_range(cp, 1, max(1, pods), "D"),
        w=_range(cp, int(above), tops.spine if above else 0, "w"),
        b=_range(cp, int(three), tops.spine if three else 0, "b"),
        e=_range(cp, int(three), tops.core if three else 0, "e"),
        i=_range(cp, 0, tops.up if demand.interswitch > 0 and tiers == 1 else 0, "i"),
        spine=None,
        core=None,
        leaf_models=leaf_models,
        spines=_range(cp, 0, tops.up * max(1, pods) * sides if two else 0, "spines"),
        cores=_range(cp, 0, tops.up * tops.spine * sides if three else 0, "cores"),
    )


def _spine_needs(tops: _Tops) -> Iterator[Need]:
    yield Need("down", tuple(tops.v), between=True)
    if tops.tiers == 3:
        yield Need("up", tuple(tops.y), between=True)
    elif tops.above:
        yield Need("reserve", tuple(tops.y), occupied=False)


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


def _range(cp: cp_model.CpModel, low: int, high: int, name: str) -> Var:
    """An integer from ``low`` to ``high``; where there is none the model has no solution."""
    if high < low:
        cp.add_bool_or([])
    return cp.new_int_var(low, max(low, high), name)


def _class(
    tops: _Tops, number: int, host: HostClass, choices: list[Choice], leaf_models: list[Var], fewest_hosts: int | None
) -> ClassVars:
    """The variables of a class of hosts."""
    cp, demand, tiers = tops.cp, tops.demand, tops.tiers
    leaf = demand.candidates["leaf"]
    most = max((most_ports(model, host.speed_gbps, rj45=host.rj45) for model in leaf), default=0)
    low, high = _segment(demand, host, choices, most)
    segments = 1 if tiers == 1 and demand.network != "oob" else host.hosts + demand.service_ports
    wide = max(c.positions(host) for c in choices) * demand.planes

    def var(low: int, high: int, name: str) -> Var:
        return _range(cp, low, high, f"{name}.{number}")

    fewest = host.hosts if fewest_hosts is None or number else min(fewest_hosts, host.hosts)
    G = var(-(-fewest // high), segments, "G")  # noqa: N806 - the letter of docs/sizing.md
    kind = _kind(cp, f"leaf{number}", leaf, list(_leaf_needs(tops, number, host)), leaf_models)
    up = tops.up if tiers > 1 or demand.reserve_leaf else 0
    slots = most if demand.free_leaf_ports or demand.service_ports else 0
    growth = demand.max_segments if number == 0 else 0
    return ClassVars(
        host=host,
        N=var(fewest, host.hosts, "N"),
        S=var(low, high, "S"),
        G=G,
        GS=var(fewest, host.hosts * 2 + high * (demand.service_ports + 1), "GS"),
        u=var(1 if up else 0, up, "u"),
        t=var(1 if tiers > 1 else 0, tops.up if tiers > 1 else 0, "t"),
        m=var(1, min(max(segments, growth), tops.spine) if tiers == 3 else segments, "m"),
        max_m=var(max(1, growth if tiers == 2 else 1), max(segments, growth), "M"),
        leaves=var(1, segments * wide, "leaves"),
        host_ports=var(0, most, "hosts"),
        x=var(0, slots if demand.service_ports else 0, "x"),
        free=var(demand.free_leaf_ports, slots, "free"),
        attach=var(0, demand.attached.count if number == 0 else 0, "attach"),
        kind=kind,
    )


def _segment(demand: Demand, host: HostClass, choices: list[Choice], most: int) -> tuple[int, int]:
    """The fewest and the most hosts of a segment, where a leaf has ``most`` ports for them."""
    if host.segment_hosts is not None:
        return host.segment_hosts, host.segment_hosts
    narrow = min(c.rails(host) for c in choices) * (host.ports // demand.planes)
    return 1, max(1, min(max(0, most // narrow - host.spares), host.hosts))


def _leaf_needs(tops: _Tops, number: int, host: HostClass) -> Iterator[Need]:
    """What the leaves of a class need cages for."""
    demand, v = tops.demand, tuple(tops.v)
    yield Need("host", (host.speed_gbps,), rj45=host.rj45, lanes=host.lanes)
    if demand.free_leaf_ports or demand.service_ports:
        yield Need("free", (host.speed_gbps,), rj45=host.rj45, occupied=False, lanes=host.lanes)
    if tops.tiers > 1:
        yield Need("up", v, between=True)
    elif demand.reserve_leaf:
        yield Need("reserve", v, occupied=False)
    if tops.tiers == 1 and demand.interswitch > 0:
        yield Need("interswitch", v, between=True)
    if demand.external.count:
        yield Need("external", (demand.external.speed_gbps,))
    if demand.attached.count and number == 0:
        yield Need("attach", (demand.attached.speed_gbps,), lanes=demand.attached.lanes)


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
