"""Sizing against an independent exhaustive search, on thousands of small random intents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from fabric.catalogue import Catalogue, Mode
from fabric.design import ClassDesign, NetworkDesign, SwitchPlan
from fabric.errors import InfeasibleError
from fabric.intent import Intent
from oracle import Found, Tariff, box, copper, pose, search, solve, Fleet  # isort: skip
from planner.sizing import size
from strategies import Case, case, cases

SEEDS = 2400
CHUNK = 50


# --------------------------------------------------------------------------- the comparisons, from a design's own words


def measure(design: NetworkDesign, intent: Intent, catalogue: Catalogue) -> Found:
    """The comparisons of docs/sizing.md, counted cage by cage from what the planner says of each switch."""
    asked = intent.networks[design.network]  # type: ignore[index]
    tally = Tally(intent.objective, copper(asked.media), catalogue)
    for kind in design.classes:
        tally.leaves(design, kind)
        tally.hosts(kind, catalogue, intent, design.network)
    counts = design.counts()
    t2 = design.tiers == 2
    if design.spine:
        down = {"down": spine_down(design, t2), "up": design.spine_uplinks if design.core else 0}
        tally.switches(design.spine, counts["spine"], down)
    if design.core:
        planes = design.planes if design.planes_join == "core" else 1
        tally.switches(design.core, counts["core"], {"down": design.pods * design.core_trunk * planes})
        tally.links(counts["spine"] * design.spine_uplinks)
    tally.links(design.interswitch_links)
    return Found(
        tally.objective,
        design.tiers,
        sum(counts.values()),
        tally.cables,
        tally.optics,
        design.pods if design.tiers > 1 else 1,
        tally.logical,
        sum(kind.segment_hosts for kind in design.classes),
        decisions(design, asked, catalogue),
    )


def spine_down(design: NetworkDesign, one_pod: bool) -> int:
    """Down ports of a spine that hold links when every segment of a pod is there."""
    planes = design.planes if design.planes_join == "spine" else 1
    ports = 0
    for kind in design.classes:
        positions = 1 if design.layout == "rail-only" else kind.leaves_per_plane
        segments = kind.segments if one_pod else kind.segments_per_pod
        ports += segments * positions * planes * kind.trunk
    return ports


class Tally:
    """Sums over switches and hosts."""

    def __init__(self, objective: str, copper: bool, catalogue: Catalogue) -> None:
        self.unit = objective
        self.tariff = Tariff(objective, copper)
        self.catalogue = catalogue
        self.objective = self.cables = self.optics = self.logical = 0

    def switches(self, plan: SwitchPlan, count: int, occupied: dict[str, int]) -> None:
        """Switches of one kind, with the ports of each use that hold a link."""
        model = self.catalogue.switches[plan.model]
        price = 1 if self.unit == "switches" else box(model, self.unit).price
        self.objective += price * count
        groups = [group for group in model.cages for _ in range(group.count)]
        for use, ports in occupied.items():
            for cage in plan.cages:
                if cage.use != use or ports <= 0:
                    continue
                mode = Mode.parse(cage.mode)
                ports -= mode.ports
                if use == "host":
                    self.cables += count * groups[cage.cage].connectors_used(mode)
                if groups[cage.cage].type != "rj45":
                    self.transceivers(mode.total_gbps, count)
            assert ports <= 0, f"{use} has too few cages"

    def transceivers(self, gbps: int, count: int) -> None:
        self.objective += count * self.tariff.transceiver(gbps)
        self.optics += 0 if self.tariff.copper else count

    def links(self, count: int) -> None:
        """Links between switches."""
        self.cables += count
        self.logical += count

    def leaves(self, design: NetworkDesign, kind: ClassDesign) -> None:
        """The leaves of a class and what leads up and out of them."""
        count = kind.segments * design.planes * kind.leaves_per_plane
        built = design.tiers > 1
        hosts = (kind.segment_hosts + kind.spares_per_segment) * kind.rails_per_leaf * kind.ports_per_plane
        up = kind.uplinks if built else 0
        occupied = {"host": hosts, "up": up, "external": design.external_uplinks}
        self.switches(kind.leaf, count, occupied | {"interswitch": design.interswitch_links})
        self.links(count * up)
        self.logical += count * design.external_uplinks

    def hosts(self, kind: ClassDesign, catalogue: Catalogue, intent: Intent, network: str) -> None:
        """Places of a class, all counted full."""
        places = kind.segments * (kind.segment_hosts + kind.spares_per_segment)
        self.logical += places * kind.rails * kind.ports_per_nic
        model = next(group.model for group in intent.hosts if group.name in kind.groups)
        nic = next(nic for nic in catalogue.servers[model].nics if nic.network == network)
        if nic.cage != "rj45":
            cages = kind.rails * kind.ports_per_nic // nic.ports_per_cage
            self.transceivers(nic.ports_per_cage * nic.speed_gbps, places * cages)


def decisions(design: NetworkDesign, asked: Any, catalogue: Catalogue) -> tuple[int, ...]:
    """(leaf model, spine model, core model, q, u…, v, s, m…, w, y, b) as the planner says them."""
    switches = [s for s in catalogue.switches.values() if asked.technology in s.technologies]
    kinds = design.classes
    plans = {"leaf": kinds[0].leaf, "spine": design.spine, "core": design.core}
    models = []
    for tier, plan in plans.items():
        names = asked.switches.get(tier) or [switch.name for switch in switches]
        models.append(names.index(plan.model) if plan else 0)
    room = [max(k.segments, k.max_segments) if design.tiers == 2 else k.segments_per_pod for k in kinds]
    built = design.tiers > 1
    above = design.core is not None
    return (
        *models,
        max(kind.rails_per_leaf for kind in kinds),
        *(kind.uplinks or kind.leaf.ports.get("reserve", 0) for kind in kinds),
        design.uplink_speed_gbps or 0,
        design.spines_per_group if built else 0,
        *(m if built else 0 for m in room),
        design.spine_uplinks or (design.spine.ports.get("reserve", 0) if design.spine else 0),
        design.spine_uplink_speed_gbps or 0,
        design.cores_per_group if above else 0,
    )


def planned(one: Case) -> NetworkDesign | None:
    """What the planner makes of a case of one network; None if it says that there is nothing."""
    try:
        (design,) = size(one.intent, one.catalogue).networks.values()
    except InfeasibleError:
        return None
    return design


# ------------------------------------------------------------------------------------------------------- the comparison


def differs(seed: int) -> str | None:
    """What the planner and the search say differently of a case, or None."""
    one = case(Random(seed))
    searched = solve(one.intent, one.catalogue)
    design = planned(one)
    found = None if searched is None else next(iter(searched.values()))
    if found is None or design is None:
        return None if found is design else f"seed {seed}: search {found}, planner {design}\n{one}"
    got = measure(design, one.intent, one.catalogue)
    proof = design.proof
    if got == found and (proof.status, proof.objective, proof.bound) == ("OPTIMAL", found.objective, found.objective):
        return None
    told = f"proof {proof.status} {proof.objective} {proof.bound}"
    return f"seed {seed}: search\n{found}\nplanner\n{got} {told}\n{one}"


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_the_solver_finds_what_exhaustive_search_finds(first: int) -> None:
    wrong = [text for seed in range(first, first + CHUNK) if (text := differs(seed))]
    assert not wrong, "\n\n".join(wrong)
