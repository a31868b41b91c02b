"""What goes with an answer: the designs that lost, the neighbour that would be cheaper, and why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fabric.design import Alternative
from fabric.errors import Problem
from planner.cages import Need, most_ports, slots
from planner.constraints import (
    attached_fit,
    cages_suffice,
    core_ports,
    lanes_join,
    leaf_bandwidth,
    rail_only_alike,
    services_fit,
    single_tier,
    speeds_rise,
    spine_ports,
    split_at_one_end,
    whole_trunks,
)
from planner.demand import Demand
from planner.objective import UNITS
from planner.solve import Attempt, Shape, attempt, minimise, state
from planner.variables import Model

TIERS = {1: "one tier", 2: "two tiers", 3: "three tiers"}
STEP = 0.05
"""A neighbour is worth a word when at most this share of the hosts would go, and saves over twice their share."""


def runners_up(
    demand: Demand, attempts: list[Attempt], best: Attempt, answer: Attempt, most: int = 3
) -> tuple[Alternative, ...]:
    """The best designs of other shapes, and why they lost to ``answer`` (``best`` with its later levels decided)."""
    beaten = [Shape.of(answer)]
    open_ = {a.model.tiers: a for a in attempts if a.solved.found and a is not best}
    again = attempt(demand, best.model.tiers, exclude=beaten)
    if again.solved.found:
        open_[best.model.tiers] = again
    found: list[Alternative] = []
    while open_ and len(found) < most:
        tiers, lost = min(open_.items(), key=lambda item: (item[1].solved.value, item[0]))
        found.append(_lost(demand, best, answer, lost))
        beaten.append(Shape.of(lost))
        following = attempt(demand, tiers, exclude=beaten) if len(found) < most else lost
        if following is not lost and following.solved.found:
            open_[tiers] = following
        else:
            del open_[tiers]
    return tuple(found)


def _lost(demand: Demand, best: Attempt, answer: Attempt, lost: Attempt) -> Alternative:
    more = lost.solved.value - best.solved.value
    mine, theirs = switches(answer), switches(lost)
    if more > 0:
        why = f"{amount(demand, more)} more ({more / max(best.solved.value, 1):.1%})"
    elif lost.model.tiers > best.model.tiers:
        why = "as much, but more tiers"
    elif sum(theirs.values()) > sum(mine.values()):
        why = f"as much, but {sum(theirs.values()) - sum(mine.values())} switches more"
    else:
        why = "as much; loses a later comparison (docs/sizing.md, What is best)"
    return Alternative(describe(lost), theirs, lost.solved.value, why)


def switches(tried: Attempt) -> dict[str, int]:
    """Switches of each tier in a solution."""
    m, solved = tried.model, tried.solved
    counts = {"leaf": sum(solved[c.leaves] for c in m.classes), "spine": solved[m.spines], "core": solved[m.cores]}
    return {tier: n for tier, n in counts.items() if n}


def describe(tried: Attempt) -> str:
    """A design in a line: tiers, models, rails a leaf, hosts of a segment."""
    m, shape = tried.model, Shape.of(tried)
    kinds = [m.classes[0].kind, *(k for k in (m.spine, m.core) if k is not None)]
    names = [k.models[i].name for k, i in zip(kinds, shape.models, strict=True)]
    segments = ", ".join(f"{tried.solved[c.G]} × {tried.solved[c.S]}" for c in m.classes)
    return f"{TIERS[m.tiers]} of {', '.join(names)}; {shape.rails_per_leaf} rails a leaf; segments of hosts: {segments}"


def amount(demand: Demand, value: int) -> str:
    """A value of the objective as people write it."""
    match demand.objective:
        case "cost":
            return f"${value / 100:,.2f}"
        case "power":
            return f"{value / 10:,.1f} W"
        case _:
            return f"{value:,} {UNITS['switches']}"


def neighbours(demand: Demand, best: Attempt, answer: Attempt) -> tuple[Alternative, ...]:
    """The cheaper neighbour where a step is near: the hosts that one segment fewer would carry."""
    m, c = answer.model, answer.model.classes[0]
    segments = answer.solved[c.G]
    if demand.network == "oob" or segments < 2:
        return ()
    fewer = _most_hosts(demand, m.tiers, lambda model: model.cp.add(segments >= model.classes[0].G + 1))
    if not fewer or c.host.hosts - fewer > max(1, STEP * c.host.hosts):
        return ()
    smaller = attempt(_with_hosts(demand, fewer), m.tiers)
    saved = best.solved.value - smaller.solved.value if smaller.solved.found else 0
    if saved * c.host.hosts <= 2 * (c.host.hosts - fewer) * best.solved.value:
        return ()
    text = f"{fewer:,} hosts instead of {c.host.hosts:,}" + (
        f" beside {demand.service_ports} service ports" if demand.service_ports else ""
    )
    return (Alternative(text, switches(smaller), smaller.solved.value, f"{amount(demand, saved)} less"),)


def _with_hosts(demand: Demand, hosts: int) -> Demand:
    first, *others = demand.classes
    return replace(demand, classes=(replace(first, hosts=hosts), *others))


def _most_hosts(demand: Demand, tiers: int, also: Callable[[Model], object] | None = None) -> int:
    """The most hosts of the first class, up to those asked for, that ``tiers`` tiers carry; 0 where none."""
    model = state(demand, tiers, fewest_hosts=1)
    if also is not None:
        also(model)
    solved = minimise(model, model.classes[0].N, maximise=True)
    return solved[model.classes[0].N] if solved.found else 0


@dataclass(frozen=True)
class Relaxation:
    """A nearby intent: how it is said, and the demand it makes."""

    text: str
    demand: Demand


def explain(demand: Demand) -> list[Problem]:
    """Why no design meets the demand, in numbers, and the nearest intents that can be met."""
    where = f"networks.{demand.network}"
    missing = list(_no_cage(demand))
    if missing:
        return [Problem(where, text, remedy) for text, remedy in missing]
    carried = {tiers: _most_hosts(demand, tiers) for tiers in demand.tiers}
    tiers, most = max(carried.items(), key=lambda item: (item[1], -item[0]))
    first = demand.classes[0]
    ports = first.rails * first.ports
    if most:
        carry = "carries" if tiers == 1 else "carry"
        what = (
            f"{TIERS[tiers]} of {_radix(demand)}-port switches {carry} {most * ports:,} endpoints ({most:,} hosts); "
            f"{first.hosts * ports:,} asked ({first.hosts:,} hosts)"
        )
    else:
        tried = " or ".join(TIERS[t] for t in demand.tiers)
        what = f"no number of hosts can be connected with {tried}: {_failing(demand)}"
    doing = [r.text for r in _relaxations(demand) if any(_feasible(r.demand, t) for t in r.demand.tiers)]
    nearest = ([f"{most:,} hosts"] if most else []) + doing[:3]
    return [Problem(where, what, f"what would do: {', or '.join(nearest)}" if nearest else "")]


def _no_cage(demand: Demand) -> Iterator[tuple[str, str]]:
    """Host ports that no leaf candidate has a cage for, or only cages whose lanes do not join the NIC's."""
    leaf = demand.candidates["leaf"]
    if not leaf:
        yield f"no switch of technology {demand.technology} in the catalogue", "add one in a catalogue file of yours"
        return
    names = ", ".join(model.name for model in leaf)
    for c in demand.classes:
        groups, speed = ", ".join(c.groups), c.speed_gbps
        if not any(most_ports(model, speed, rj45=c.rj45) for model in leaf):
            cage = f"{'rj45' if c.rj45 else 'pluggable'} cage for the {speed}G ports of {groups}"
            yield f"no leaf switch among {names} has a {cage}", f"list one that breaks out to {speed}G in switches.leaf"
            continue
        need = Need("host", (speed,), rj45=c.rj45, lanes=c.lanes)
        if not any(True for model in leaf for group in model.cages for _ in slots(group, (need,))):
            lanes = " or ".join(str(n) for n in sorted(c.lanes))
            yield (
                f"the {speed}G ports of {groups} run on {lanes} lanes, which no {speed}G breakout of {names} joins",
                f"list a leaf switch whose {speed}G ports run on as many lanes in switches.leaf",
            )


def _radix(demand: Demand) -> int:
    c = demand.classes[0]
    return max(most_ports(model, c.speed_gbps, rj45=c.rj45) for model in demand.candidates["leaf"])


def _feasible(demand: Demand, tiers: int) -> bool:
    model = state(demand, tiers)
    return minimise(model, 0).found


DEMANDS: dict[Callable[[Model], None], str] = {
    cages_suffice: "the cages of the switches",
    leaf_bandwidth: "the bandwidth up from the leaves (oversubscription.leaf)",
    whole_trunks: "the same whole number of links from each leaf to each spine",
    spine_ports: "the ports of the spines",
    core_ports: "the ports of the cores",
    services_fit: "room for the service NICs",
    attached_fit: "room for the uplinks of another network",
    speeds_rise: "uplinks at least as fast as what is below",
    split_at_one_end: "links that are not split at both ends",
    lanes_join: "lanes that join at both ends of a link",
    single_tier: "reach inside a single tier",
    rail_only_alike: "equal leaf positions of all classes with rail-only",
}
"""What each constraint asks, in the words of an answer."""


def _failing(demand: Demand) -> str:
    """The demands whose absence alone would make it possible."""
    alone = [
        words
        for constraint, words in DEMANDS.items()
        if any(minimise(state(demand, t, without=constraint), 0).found for t in demand.tiers)
    ]
    return f"what stands against it: {', or '.join(alone)}" if alone else "several demands together cannot hold"


def _relaxations(demand: Demand) -> Iterator[Relaxation]:
    """Nearby demands, the least change first."""
    deepest = max(demand.tiers)
    if deepest < 3 and demand.network != "oob":
        yield Relaxation(
            TIERS[deepest + 1], replace(demand, tiers=(deepest + 1,), reserve_spine=False, reserve_leaf=False)
        )
    if demand.layout == "rail-optimized" and demand.classes[0].rails > 1 and not demand.layout_auto:
        yield Relaxation("layout rail-only", replace(demand, layout="rail-only"))
    if demand.layout == "top-of-rack" and demand.classes[0].rails > 1:
        yield Relaxation("layout rail-optimized", replace(demand, layout="rail-optimized"))
    if any(c.segment_hosts for c in demand.classes):
        yield Relaxation(
            "segment_hosts: auto",
            replace(demand, classes=tuple(replace(c, segment_hosts=None) for c in demand.classes)),
        )
    if demand.service_ports:
        yield Relaxation("no service hosts", replace(demand, service_ports=0))
    if demand.free_leaf_ports:
        yield Relaxation("free_leaf_ports: 0", replace(demand, free_leaf_ports=0))
    if demand.leaf_uplink_gbps or demand.spine_uplink_gbps:
        yield Relaxation("uplink_speed_gbps: auto", replace(demand, leaf_uplink_gbps=None, spine_uplink_gbps=None))
    if demand.min_spines > 1:
        yield Relaxation("min_spines: 1", replace(demand, min_spines=1))
    if demand.max_segments:
        yield Relaxation("max_segments: auto", replace(demand, max_segments=0))
    doubled = tuple(replace(c, oversubscription=c.oversubscription * 2) for c in demand.classes)
    yield Relaxation(f"oversubscription.leaf {float(doubled[0].oversubscription):g}", replace(demand, classes=doubled))
