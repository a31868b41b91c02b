"""From the solver's values to a NetworkDesign."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.catalogue.models import Switch
from fabric.design import CageUse, ClassDesign, NetworkDesign, Proof, SwitchPlan, Use
from planner.cages import Slot, bank_size
from planner.demand import Demand
from planner.solve import Solved
from planner.variables import MANY, ClassVars, Kind, Model, Var

ORDER: tuple[Use, ...] = ("host", "down", "free", "service", "attach", "external", "interswitch", "reserve", "up")
"""Uses in the order of their cages; those of ``FROM_THE_END`` take the last cages, so that hosts can grow."""
FROM_THE_END: frozenset[Use] = frozenset({"external", "interswitch", "reserve", "up"})


def network_design(demand: Demand, model: Model, solved: Solved, proof: Proof) -> NetworkDesign:
    """Read the design off a solution."""
    spine = _plan(solved, model.spine, _spine_ports(model, solved)) if model.spine else None
    core = _plan(solved, model.core, {"down": solved[model.core_down]}) if model.core else None
    v, y = (_speed(solved, speeds) for speeds in (model.v, model.y))
    return NetworkDesign(
        network=demand.network,
        technology=demand.technology,
        layout=_layout(demand, model, solved),
        tiers=model.tiers,
        planes=demand.planes,
        planes_join=demand.planes_join,
        classes=tuple(_class(demand, model, solved, c) for c in model.classes),
        pods=solved[model.D],
        spine=spine,
        spines_per_group=solved[model.s],
        uplink_speed_gbps=v if model.tiers > 1 or demand.reserve_leaf else None,
        core=core,
        spine_uplinks=solved[model.w] if model.tiers == 3 else 0,
        spine_uplink_speed_gbps=y,
        cores_per_group=solved[model.b],
        core_trunk=solved[model.e],
        interswitch_links=solved[model.i],
        interswitch_speed_gbps=v if solved[model.i] else None,
        external_uplinks=demand.external.count,
        external_speed_gbps=demand.external.speed_gbps or None,
        external_to=demand.external.to or None,
        attached=demand.attached.count,
        attached_speed_gbps=demand.attached.speed_gbps if demand.attached.count else None,
        service_ports=demand.service_ports,
        oversubscription_spine=_spine_oversubscription(model, solved, spine, v, y),
        copper_only=demand.copper_only,
        proof=proof,
    )


def _speed(solved: Solved, speeds: dict[int, Var]) -> int | None:
    return list(speeds)[solved.true(speeds.values())] if speeds else None


def _layout(demand: Demand, model: Model, solved: Solved) -> str:
    rails = model.classes[0].host.rails
    if demand.layout_auto and rails > 1 and model.choices[solved.true(c.chosen for c in model.choices)].q == rails:
        return "top-of-rack"
    return demand.layout


def _spine_oversubscription(
    model: Model, solved: Solved, spine: SwitchPlan | None, v: int | None, y: int | None
) -> float | None:
    if spine is None or v is None or y is None:
        return None
    return spine.ports["down"] * v / (solved[model.w] * y)


def _class(demand: Demand, model: Model, solved: Solved, c: ClassVars) -> ClassDesign:
    host = c.host
    choice = model.choices[solved.true(x.chosen for x in model.choices)]
    q = choice.rails(host)
    per_plane = host.ports // demand.planes
    v = _speed(solved, model.v)
    down = solved[c.S] * q * per_plane * host.speed_gbps
    return ClassDesign(
        name="+".join(host.groups),
        groups=host.groups,
        hosts=host.hosts,
        spares_per_segment=host.spares,
        rails=host.rails,
        ports_per_nic=host.ports,
        ports_per_plane=per_plane,
        speed_gbps=host.speed_gbps,
        segment_hosts=solved[c.S],
        segments=solved[c.G],
        segments_per_pod=solved[c.m],
        max_segments=max(solved[c.G], demand.max_segments if c is model.classes[0] else 0),
        rails_per_leaf=q,
        leaves_per_plane=choice.positions(host),
        uplinks=solved[c.u] if model.tiers > 1 else 0,
        trunk=solved[c.t],
        oversubscription=down / (solved[c.u] * v) if solved[c.u] and v else 0.0,
        leaf=_plan(solved, c.kind, _leaf_ports(demand, model, solved, c)),
    )


def _leaf_ports(demand: Demand, model: Model, solved: Solved, c: ClassVars) -> dict[Use, int]:
    return {
        "host": solved[c.host_ports],
        "free": solved[c.free],
        "up" if model.tiers > 1 else "reserve": solved[c.u],
        "interswitch": solved[model.i],
        "external": demand.external.count,
        "attach": solved[c.attach],
    }


def _spine_ports(model: Model, solved: Solved) -> dict[Use, int]:
    return {"down": solved[model.spine_down], "up" if model.tiers == 3 else "reserve": solved[model.w]}


def _plan(solved: Solved, kind: Kind, ports: dict[Use, int]) -> SwitchPlan:
    index = solved.true(kind.chosen)
    model = kind.models[index]
    cages = [cage for g in range(len(model.cages)) for cage in _cages(solved, kind, index, g, model)]
    cages.sort(key=lambda cage: (ORDER.index(cage[1].use), cage[0], cage[1].cage))
    uses = tuple(use for _, use in cages)
    return SwitchPlan(model.name, uses, {use: n for use, n in sorted(ports.items()) if n})


@dataclass(frozen=True)
class _Bank:
    """Slots of one bank in the order of its cages, each with whether it waits for growth."""

    slots: tuple[tuple[bool, Slot], ...]

    @property
    def rank(self) -> list[tuple[int, bool, int, int]]:
        """Hosts first, what is linked now before what waits, then cages of many ports."""
        return [(ORDER.index(s.need.use), waits, -s.mode.ports, s.mode.speed_gbps) for waits, s in self.slots]

    @property
    def late(self) -> bool:
        """Whether the bank goes to the end of the switch."""
        return all(slot.need.use in FROM_THE_END for _, slot in self.slots)


def _banks(solved: Solved, kind: Kind, index: int, group: int) -> list[_Bank]:
    """Every bank in use of a cage group, in the order of ``_Bank.rank``."""
    found = []
    for place, (j, g, pattern, count) in enumerate(kind.banks):
        if (j, g) != (index, group):
            continue
        now = [solved[kind.filled[place, n]] if (place, n) in kind.filled else MANY for n in range(len(pattern))]
        for bank in range(solved[count]):
            slots = ((bank >= filled, slot) for filled, slot in zip(now, pattern, strict=True))
            found.append(_Bank(tuple(sorted(slots, key=lambda s: _Bank((s,)).rank))))
    return sorted(found, key=lambda bank: bank.rank)


def _cages(solved: Solved, kind: Kind, index: int, group: int, model: Switch) -> list[tuple[bool, CageUse]]:
    """Assign the banks of one cage group to its cages: hosts from the first cage on, uplinks from the last one back.

    Each cage comes with whether it waits for growth; of a use, those that do not are filled first.
    """
    first = sum(g.count for g in model.cages[:group])
    size = bank_size(model, model.cages[group], kind.needs)
    banks = _banks(solved, kind, index, group)
    total, short = divmod(model.cages[group].count, size)
    late = [bank for bank in banks if bank.late]
    early = [bank for bank in banks if not bank.late]
    if len(banks) > total:  # the short bank at the end is needed: one that fits goes there
        last = next(bank for bank in reversed([*early, *late]) if len(bank.slots) <= short)
        (late if last.late else early).remove(last)
        late, total = [*late, last], total + 1
    places = [*enumerate(early), *zip(range(total - len(late), total), late, strict=True)]
    return [
        (waits, CageUse(first + place * size + n, slot.need.use, str(slot.mode)))
        for place, bank in places
        for n, (waits, slot) in enumerate(bank.slots)
    ]
