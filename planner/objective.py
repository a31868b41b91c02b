"""What is best: the levels of the comparison in docs/sizing.md, in order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from fabric.catalogue.models import Switch
from planner.cages import Slot
from planner.demand import Demand, HostClass
from planner.variables import MANY, Expr, Kind, Model, Var

UNITS = {"cost": "US cents", "power": "tenths of a watt", "switches": "switches"}
TRANSCEIVER_DECIWATTS_PER_400G = 85
"""8.5 W for each 400 Gb/s: half of a 17 W twin-port 2×DR4 (docs/sizing.md)."""


def round_half_up(numerator: int, denominator: int) -> int:
    """Nearest integer, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


def switch_weight(demand: Demand, model: Switch) -> int:
    """What one switch adds to the objective."""
    match demand.objective:
        case "cost":
            return demand.prices.switch_cents(model)
        case "power":
            return round(model.power_w.typical * 10)
        case _:
            return 1


def optic_weight(demand: Demand, gbps: int) -> int:
    """What the optic of one occupied cage adds to the objective."""
    if not gbps or demand.copper_only:
        return 0
    match demand.objective:
        case "cost":
            return demand.prices.optic_cents(gbps)
        case "power":
            return round_half_up(TRANSCEIVER_DECIWATTS_PER_400G * gbps, 400)
        case _:
            return 0


def host_weight(demand: Demand, host: HostClass) -> int:
    """What the optics of one host add to the objective."""
    return sum(optic_weight(demand, gbps) for gbps in host.cages)


@dataclass
class Levels:
    """The expressions to be minimised one after the other; products are added to the model when first asked for."""

    model: Model
    weights: dict[str, Var] = field(default_factory=dict)
    """What the switches of each kind add to the objective, by the kind's name."""

    def objective(self) -> Expr:
        """Level 1: cost, power or number of switches of the fully equipped network."""
        m, d = self.model, self.model.demand
        terms: list[Expr] = [self._switches(m.classes[0].kind, sum(c.leaves for c in m.classes))]
        terms += [self._switches(kind, count) for kind, count in self._upper()]
        self._at_least()
        terms += self._optics(lambda slot: optic_weight(d, slot.optic_gbps), "w")
        terms += [(c.GS + c.host.spares * c.G) * host_weight(d, c.host) for c in m.classes]
        return sum(terms)

    def _at_least(self) -> None:
        """Bounds that follow from bandwidth alone; they add nothing to the model but save the solver its proof.

        A leaf's cages carry its hosts and, by o_leaf, at least 1/o_leaf of that upwards; a spine's carry that from
        below and, by o_spine, its share upwards; a core's carry what the spines send. Each switch adds to the
        objective at least its bandwidth times the least weight a Gb/s of its tier's candidates.
        """
        m, d = self.model, self.model.demand
        if m.demand.network == "oob":
            return
        down = [Fraction(c.host.hosts * c.host.rails * c.host.ports * c.host.speed_gbps) for c in m.classes]
        up = [b / c.host.oversubscription if m.tiers > 1 else Fraction(0) for b, c in zip(down, m.classes, strict=True)]
        top = sum(up, Fraction(0)) / d.spine_oversubscription if m.tiers == 3 else Fraction(0)
        tiers = [(m.classes[0].kind, sum(down) + sum(up)), (m.spine, sum(up) + top), (m.core, top)]
        for kind, bandwidth in tiers:
            if kind is not None:
                least = min(Fraction(switch_weight(d, model), model.bandwidth_gbps) for model in kind.models)
                m.cp.add(self.weights[kind.name] >= math.floor(least * bandwidth))

    def ties(self) -> list[Expr]:
        """Levels 3 to 8: switches, cables, optics, pods, logical links, −Σ S."""
        m = self.model
        between = self._between()
        hosts = [(c.GS + c.host.spares * c.G) * (c.host.rails * c.host.ports) for c in m.classes]
        cables = [self._times(c.kind, _host_connectors, c.leaves, "hc") for c in m.classes]
        own = [(c.GS + c.host.spares * c.G) * len(c.host.cages) for c in m.classes]
        copper = m.demand.copper_only
        optics: list[Expr] = [] if copper else [*self._optics(lambda s: s.optic_gbps > 0, "oc"), *own]
        return [
            sum(c.leaves for c in m.classes) + m.spines + m.cores,
            sum(cables) + between,
            sum(optics),
            m.D,
            sum(hosts) + between,
            -sum(c.S for c in m.classes),
        ]

    def decisions(self) -> list[Expr]:
        """Level 9: (leaf model, spine model, core model, q, u…, v, s, m…, w, y, b)."""
        m = self.model
        chosen = [_index(k.chosen) for k in (m.classes[0].kind, m.spine, m.core) if k is not None]
        return [
            *chosen,
            sum(c.q * c.chosen for c in m.choices),
            *(c.u for c in m.classes),
            sum(speed * b for speed, b in m.v.items()),
            m.s,
            *(c.m for c in m.classes),
            m.w,
            sum(speed * b for speed, b in m.y.items()),
            m.b,
        ]

    def layout(self) -> Expr:
        """Last: fewest cages in use, then the earliest patterns, so that the layout of cages is one."""
        banks = [(n, p, b) for kind in self.model.kinds for n, (_, _, p, b) in enumerate(kind.banks)]
        return sum(b * (len(p) * 10_000 + n) for n, p, b in banks) + sum(
            c.x + c.free + c.attach for c in self.model.classes
        )

    def _upper(self) -> list[tuple[Kind, Var]]:
        m = self.model
        return [(k, n) for k, n in ((m.spine, m.spines), (m.core, m.cores)) if k is not None]

    def _switches(self, kind: Kind, count: Expr) -> Var:
        cp = self.model.cp
        total = cp.new_int_var(0, MANY, f"switches.{kind.name}")
        for model, chosen in zip(kind.models, kind.chosen, strict=True):
            cp.add(total == count * switch_weight(self.model.demand, model)).only_enforce_if(chosen)
        self.weights[kind.name] = total
        return total

    def _optics(self, weight: Callable[[Slot], int], name: str) -> list[Expr]:
        m = self.model
        kinds = [(c.kind, c.leaves) for c in m.classes] + self._upper()
        return [self._times(kind, weight, count, name) for kind, count in kinds]

    def _times(self, kind: Kind, weight: Callable[[Slot], int], count: Var, name: str) -> Expr:
        """Weight of the cages in use on all ``count`` switches."""
        cp = self.model.cp
        most = kind.most(weight)
        if not most:
            return 0
        one = cp.new_int_var(0, most, f"{name}1.{kind.name}")
        cp.add(one == kind.occupied(weight))
        total = cp.new_int_var(0, MANY, f"{name}.{kind.name}")
        cp.add_multiplication_equality(total, one, count)
        return total

    def _between(self) -> Expr:
        """Links between switches: leaves·u, spines·w, and those of a single-tier pair (i·leaves/2)."""
        m, cp = self.model, self.model.cp
        if m.tiers == 1:
            return m.i
        terms: list[Expr] = []
        for c in m.classes:
            links = cp.new_int_var(0, MANY, f"up.{c.kind.name}")
            cp.add_multiplication_equality(links, c.leaves, c.u)
            terms.append(links)
        if m.tiers == 3:
            links = cp.new_int_var(0, MANY, "up.spine")
            cp.add_multiplication_equality(links, m.spines, m.w)
            terms.append(links)
        return sum(terms)


def _host_connectors(slot: Slot) -> int:
    return slot.connectors if slot.need.use == "host" else 0


def _index(chosen: list[Var]) -> Expr:
    return sum(i * b for i, b in enumerate(chosen))
