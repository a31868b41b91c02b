"""Sizing against an independent exhaustive search, on thousands of small random intents."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from oracle import Box, Cages, Found, Kind, Net, Tariff, box, copper, search, solve
from strategies import Case, case, cases

from fabric.catalogue import Catalogue, Mode, load_catalogue
from fabric.checks import failed, run
from fabric.design import ClassDesign, NetworkDesign, SwitchPlan
from fabric.errors import InfeasibleError
from fabric.intent import Intent, parse_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

SEEDS = 2400
CHUNK = 50


# ------------------------------------------------------------------------------------------ the search itself, by hand


SUPERPOD = (
    "  - {{name: dgx, model: dgx-h100, count: {hosts}}}\n"
    "  - {{name: ufm, model: ufm-appliance, count: 4, role: service}}",
    "{technology: infiniband, layout: rail-optimized, segment_hosts: 32, switches: {leaf: [qm9700], spine: [qm9700]}}",
)
BOXES = "uplink_speed_gbps: {leaf: 400}, switches: {leaf: [box-51.2t], spine: [box-51.2t]}}"
HPN = (
    "  - {{name: gpu, model: hpn-gpu-8x2x200, count: {hosts}, spares_per_segment: 8}}",
    "{technology: roce, layout: rail-optimized, tiers: 2, planes: 2, planes_join: never, "
    "oversubscription: {leaf: 1.067, spine: 15}, " + BOXES,
)
DCN = (
    "  - {{name: gpu, model: hpn-gpu-8x2x200, count: {hosts}}}",
    "{technology: roce, layout: rail-optimized, tiers: 2, planes: 2, planes_join: spine, segment_hosts: 16, "
    "rails_per_leaf: 1, oversubscription: {leaf: 1, spine: 1}, " + BOXES,
)
MEGASCALE = (
    "  - {{name: gpu, model: megascale-8x200, count: {hosts}}}",
    "{technology: roce, layout: rail-optimized, uplink_speed_gbps: {leaf: 400}, "
    "switches: {leaf: [box-25.6t], spine: [box-25.6t]}}",
)


@pytest.mark.parametrize(
    ("published", "hosts", "leaves", "spines", "segments", "uplinks"),
    [
        (SUPERPOD, 31, 8, 4, 1, 32),
        (SUPERPOD, 63, 16, 8, 2, 32),
        (SUPERPOD, 95, 24, 16, 3, 32),
        (SUPERPOD, 127, 32, 16, 4, 32),
        (HPN, 1920, 240, 120, 15, 60),
        (DCN, 64, 64, 8, 4, 8),
        (MEGASCALE, 64, 8, 4, 1, 32),
    ],
)
def test_the_search_finds_published_designs(
    published: tuple[str, str], hosts: int, leaves: int, spines: int, segments: int, uplinks: int
) -> None:
    """NVIDIA RA-11333-001 V11, Table 4; HPN 7.0 and DCN+ (SIGCOMM 2024); MegaScale (NSDI 2024), section 3.6."""
    groups, network = published
    text = f"name: t\nhosts:\n{groups.format(hosts=hosts)}\nnetworks:\n  compute: {network}\n"
    found = solve(parse_intent(text), load_catalogue())
    assert found is not None
    letters = found["compute"].letters
    assert (letters["leaves"], letters["spines"], letters["cores"]) == (leaves, spines, 0)
    assert (letters["G"], letters["u"]) == ([segments], (uplinks,))


@pytest.mark.parametrize("radix", [4, 8])
@pytest.mark.parametrize("tiers", [1, 2, 3])
def test_the_search_knows_the_closed_forms(radix: int, tiers: int) -> None:
    """A Clos network of radix k carries k, k²/2, k³/4 endpoints on 1, 3N/k, 5N/k switches, and not one more."""
    most = {1: radix, 2: radix**2 // 2, 3: radix**3 // 4}[tiers]
    switches = Box("k", (Cages(radix, 1, ((1, 100),), lanes=1),), 17_350 * radix)

    def carried(hosts: int) -> Found | None:
        kind = Kind(hosts, 1, 1, 100, host_cages=1, host_cage_gbps=100)
        return search(Net((kind,), (switches,), (switches,), (switches,), tiers=tiers, tariff=Tariff("cost")))

    found = carried(most)
    assert found is not None
    assert found.switches == {1: 1, 2: 3 * most // radix, 3: 5 * most // radix}[tiers]
    assert (found.cables, found.optics) == (tiers * most, 2 * tiers * most)
    assert found.objective == found.switches * switches.price + found.optics * 4975
    assert carried(most + 1) is None


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
        return None if found is None and design is None else f"seed {seed}: search {found}, planner {design}\n{one}"
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


# -------------------------------------------------------------------------------------------------- what a plan must be


@settings(max_examples=200)
@given(cases())
def test_any_feasible_intent_gives_a_plan_without_errors(one: Case) -> None:
    """Built, cabled and checked: no finding is an error."""
    shipped = load_catalogue()
    parts = one.catalogue.model_copy(update={"optics": shipped.optics, "cables": shipped.cables})
    try:
        design = size(one.intent, parts)
    except InfeasibleError:
        return
    fabric = cable(build(design, one.intent, parts), design, parts)
    wrong = [str(finding) for finding in run(Plan(one.intent, parts, design, fabric)) if failed([finding])]
    assert not wrong, f"{one}\n" + "\n".join(wrong)
