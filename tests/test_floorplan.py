"""The floor plan against oracles that share nothing with it: plain loops over devices, links and arrangements.

Refusals are files: ``golden/errors/floor/NAME.yaml`` with the words in ``NAME.txt`` (``RAILWRIGHT_UPDATE_GOLDEN=1``
rewrites them; read the difference before you keep it).
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.catalogue import Catalogue, load_catalogue
from fabric.checking.floor import CHECKS
from fabric.checks import run
from fabric.errors import InfeasibleError
from fabric.exports.floor_drawing import floor_svg
from fabric.exports.racks_drawing import racks_svg
from fabric.exports.workorders import COLUMNS, page, workorders
from fabric.findings import Severity
from fabric.intent import parse_intent
from fabric.intent.site import Site
from fabric.media import cable
from fabric.plan import Plan
from fabric.tray_fill import tray_fill
from fabric.trays import Room
from planner.build import build
from planner.floorplan import Placed, bundle, place
from planner.floorplan.bound import lower_bound
from planner.floorplan.flows import Flows, Places, places_of
from planner.floorplan.racks import Devices, Racks
from planner.floorplan.search import total
from planner.floorplan.solve import stand
from planner.sizing import size

ROOT = Path(__file__).parent.parent
ERRORS = ROOT / "tests/golden/errors/floor"
Row = dict[str, Any]


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def placed(text: str) -> tuple[Plan, Placed]:
    intent = parse_intent(text)
    design = size(intent, catalogue())
    answer = place(build(design, intent, catalogue()), design, intent, catalogue())
    fabric = bundle(cable(answer.fabric, design, catalogue(), answer.lengths_m))
    fabric.validate()
    return Plan(intent, catalogue(), design, fabric), answer


def small(hosts: int, site: str, *, model: str = "hgx-h100", compute: str = "", more: str = "") -> str:
    switches = "switches: {leaf: [sn5600], spine: [sn5600]}"
    return (
        f"name: t\nhosts:\n  - {{name: gpu, model: {model}, count: {hosts}}}\nnetworks:\n"
        f"  compute: {{technology: roce, {switches}{compute}}}\n{more}site: {site}\n"
    )


@cache
def everything() -> tuple[Plan, Placed]:
    """All networks, dual planes, services, storage, spares, PDUs and racks that are taken."""
    text = (ROOT / "examples/hpn7-segment.yaml").read_text(encoding="utf-8")
    text = text.split("\nhosts:")[0] + (
        "\nhosts:\n  - {name: gpu, model: hpn-gpu-8x2x200, count: 40, spares_per_segment: 2}\n"
        "  - {name: stor, model: hpn-storage-2x200, count: 6, role: storage}\n"
        "  - {name: mgmt, model: management-node, count: 3, role: service}\n"
        "networks:\n"
        "  compute: {technology: roce, layout: rail-optimized, tiers: 2, planes: 2, segment_hosts: 20, "
        "switches: {leaf: [box-51.2t], spine: [box-51.2t]}}\n"
        "  frontend: {technology: ethernet, uplinks: {count: 2, speed_gbps: 400, to: external}, "
        "switches: {leaf: [box-51.2t], spine: [box-51.2t]}}\n"
        "  oob: {technology: ethernet, uplinks: {count: 2, speed_gbps: 100, to: frontend}}\n"
        "site: {rows: 5, racks_per_row: 7, rack_power_kw: 44, occupied: [[1, 1], [3, 4]]}\n"
    )
    return placed(text)


# --- what every floor plan promises, counted by plain loops --------------------------------------------------------


def devices(plan: Plan) -> list[Row]:
    """Hosts and switches with units and watts, by device id."""
    rows = [*plan.fabric.hosts.iter_rows(named=True), *plan.fabric.switches.iter_rows(named=True)]
    for row in rows:
        if row.get("role") == "pdu":
            row.update(high=0, watts=0.0)
        else:
            part = plan.catalogue.switches[row["model"]] if "tier" in row else plan.catalogue.servers[row["model"]]
            row.update(high=part.rack_units, watts=part.power_w.max)
    return rows


def way(site: Site, racks: list[Row], a: Row, b: Row | None) -> float:
    """Metres of a cable: up, along the row, over the cross tray in the middle of the rows, along, down, and slack."""

    def climb(device: Row) -> float:
        middle = device["unit"] - 1 + device["high"] / 2 if device["high"] else site.rack_units / 2
        return float(site.tray_height_m + (site.rack_units - middle) * 0.04445)

    def aside(rack: Row) -> float:
        return float((rack["position"] - 0.5 - site.racks_per_row / 2) * site.rack_pitch_m)

    one = racks[a["rack"]]
    if b is None:
        return climb(a) + abs(aside(one)) + float(one["row"]) * site.row_pitch_m + site.slack_m
    other = racks[b["rack"]]
    if one["id"] == other["id"]:
        return abs(climb(a) - climb(b)) + site.slack_m
    along = abs(aside(one) - aside(other))
    if one["row"] != other["row"]:
        along = abs(aside(one)) + abs(aside(other)) + abs(one["row"] - other["row"]) * site.row_pitch_m
    return climb(a) + along + climb(b) + site.slack_m


def ways(plan: Plan) -> list[float]:
    """Metres of each cable's longest link."""
    site, racks, found = plan.intent.site, plan.fabric.racks.to_dicts(), devices(plan)
    assert site is not None
    longest = [0.0] * plan.fabric.cables.height
    for link in plan.fabric.links.iter_rows(named=True):
        b = None if link["b_device"] is None else found[link["b_device"]]
        longest[link["cable"]] = max(longest[link["cable"]], way(site, racks, found[link["a_device"]], b))
    return longest


def holds(plan: Plan) -> None:
    """Everything has a place that it fits, and what must be apart is."""
    site, racks = plan.intent.site, plan.fabric.racks.to_dicts()
    assert site is not None
    assert len(racks) == site.rows * site.racks_per_row - len(site.occupied)
    assert not {(r["row"], r["position"]) for r in racks} & set(site.occupied)
    units: dict[int, list[int]] = defaultdict(list)
    watts: Counter[int] = Counter()
    planes: dict[tuple[int, str], set[int]] = defaultdict(set)
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    own: dict[int, set[bool]] = defaultdict(set)
    for device in devices(plan):
        assert device["rack"] is not None, device["name"]
        watts[device["rack"]] += device["watts"]
        if device.get("role") == "pdu":
            assert device["rack"] == device["index"] // site.pdus_per_rack
            continue
        units[device["rack"]] += range(device["unit"], device["unit"] + device["high"])
        own[device["rack"]].add("tier" in device)
        if "tier" in device:
            network = plan.design.networks[device["network"]]
            if network.planes > 1 and device["plane"] is not None:
                planes[device["rack"], device["network"]].add(device["plane"])
            if device["tier"] != "leaf":
                key = tuple(device[k] for k in ("network", "tier", "pod", "rail", "plane", "group"))
                groups[key].append(device["rack"])
    assert all(len(set(taken)) == len(taken) for taken in units.values())
    assert all(min(taken) >= 1 and max(taken) <= site.rack_units for taken in units.values() if taken)
    assert all(drawn <= site.rack_power_kw * 1000 + 0.01 for drawn in watts.values())
    assert all(len(found) == 1 for found in planes.values())
    assert all(len(set(found)) > 1 for found in groups.values() if len(found) > 1)
    if site.switch_racks != "auto":
        assert sum(found == {True} for found in own.values()) <= site.switch_racks


def test_everything_has_a_place() -> None:
    plan, _ = everything()
    holds(plan)


def test_lengths_are_tray_routes() -> None:
    plan, answer = everything()
    assert answer.lengths_m is not None
    expected = ways(plan)
    merged = plan.fabric.cables.height != len(answer.lengths_m)
    assert merged or np.allclose(answer.lengths_m.to_numpy(), expected, atol=2e-3)
    bought = plan.fabric.cables["length_m"].to_numpy()
    known = (plan.fabric.cables["part"] != "unresolved").to_numpy()
    assert (bought[known] + 0.002 >= np.array(expected)[known]).all()
    sold = {name: set(part.lengths_m) for name, part in plan.catalogue.cables.items()}
    parts = plan.fabric.cables.filter(pl.col("part") != "unresolved").select("part", "length_m").unique()
    assert all(length in sold[part] for part, length in parts.iter_rows())


def test_no_check_finds_an_error() -> None:
    plan, _ = everything()
    assert [str(f) for f in run(plan) if f.severity == Severity.ERROR] == []


def test_the_same_intent_gives_the_same_floor_plan() -> None:
    text = small(24, "{rows: 4, racks_per_row: 6}")
    (one, first), (other, second) = placed(text), placed(text)
    assert first.proof == second.proof
    for table in ("hosts", "switches", "racks", "cables"):
        assert getattr(one.fabric, table).equals(getattr(other.fabric, table), null_equal=True)


def test_without_a_site_nothing_changes() -> None:
    text = (ROOT / "examples/superpod-h100-1su.yaml").read_text(encoding="utf-8")
    intent = parse_intent(text)
    design = size(intent, catalogue())
    fabric = build(design, intent, catalogue())
    answer = place(fabric, design, intent, catalogue())
    assert answer.fabric is fabric
    assert (answer.proof, answer.lengths_m) == (None, None)
    assert bundle(fabric) is fabric


@settings(max_examples=25)
@given(
    hosts=st.integers(2, 40),
    model=st.sampled_from(["hgx-h100", "hpn-gpu-8x2x200"]),
    rows=st.integers(2, 6),
    across=st.integers(4, 9),
    kw=st.sampled_from([12, 24, 44]),
    units=st.sampled_from([36, 48]),
    switch_racks=st.sampled_from(["auto", "auto", "0", "6"]),
    pdus=st.integers(0, 2),
    spares=st.integers(0, 1),
)
def test_any_floor_plan_holds_or_says_what_would_do(
    hosts: int, model: str, rows: int, across: int, kw: int, units: int, switch_racks: str, pdus: int, spares: int
) -> None:
    site = (
        f"{{rows: {rows}, racks_per_row: {across}, rack_power_kw: {kw}, rack_units: {units}, "
        f"switch_racks: {switch_racks}, pdus_per_rack: {pdus}}}"
    )
    more = "  oob: {technology: ethernet}\n"
    text = small(hosts, site, model=model, more=more)
    text = text.replace(f"count: {hosts}}}", f"count: {hosts}, spares_per_segment: {spares}}}")
    try:
        plan, answer = placed(text)
    except InfeasibleError as error:
        refused = error.problems
    else:
        refused = ()
    if refused:
        assert all(problem.remedy for problem in refused)
        return
    holds(plan)
    assert answer.proof is not None
    assert 0 <= answer.proof.bound <= answer.proof.objective
    assert not [f for f in run(plan) if f.code in FLOOR_CODES]


FLOOR_CODES = (
    "device-unplaced", "rack-units-exceeded", "rack-power-exceeded", "planes-share-rack", "planes-share-feed",
    "spines-share-rack", "cable-short",
)  # fmt: skip


# --- the best arrangement, by trying all ---------------------------------------------------------------------------


def multimode_cents(metres: float) -> int:
    """A shipped MPO-12 multimode fibre for this way: $45 and $1.20 a metre, of the lengths it is made in."""
    made = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
    return 4500 + 120 * next(length for length in made if length >= metres)


@pytest.mark.parametrize(
    ("hosts", "site"),
    [
        (8, "{rows: 1, racks_per_row: 5, rack_power_kw: 44}"),
        (12, "{rows: 2, racks_per_row: 3, rack_power_kw: 44}"),
        (6, "{rows: 3, racks_per_row: 2, rack_power_kw: 24, row_pitch_m: 9}"),
        (8, "{rows: 2, racks_per_row: 3, rack_power_kw: 24, rack_pitch_m: 4, occupied: [[2, 2]]}"),
    ],
)
def test_small_rooms_are_arranged_as_well_as_any_arrangement(hosts: int, site: str) -> None:
    plan, answer = placed(small(hosts, site, model="dgx-h100", compute=", media: [multimode]"))
    room, racks = plan.intent.site, plan.fabric.racks.to_dicts()
    assert room is not None
    assert answer.proof is not None
    found = [d for d in devices(plan) if d.get("role") != "pdu"]
    used = sorted({d["rack"] for d in found})
    links = [(link["a_device"], link["b_device"]) for link in plan.fabric.links.iter_rows(named=True)]
    assert plan.fabric.cables.height == len(links)  # a cable a link: no splitters, no assemblies

    def cents(at: dict[int, int]) -> int:
        moved = [{**d, "rack": at.get(d["rack"])} for d in devices(plan)]
        return sum(multimode_cents(way(room, racks, moved[a], moved[b])) for a, b in links)

    best = min(cents(dict(zip(used, spots, strict=True))) for spots in permutations(range(len(racks)), len(used)))
    assert cents({rack: rack for rack in used}) == best
    assert (answer.proof.status, answer.proof.gap) == ("OPTIMAL", 0.0)
    assert answer.proof.objective == answer.proof.bound


@st.composite
def puzzles(draw: st.DrawFn) -> tuple[Racks, Flows, Places]:
    """Racks of hosts around two racks of leaves a block, racks of spines, and any rising prices."""
    rows, across = draw(st.sampled_from([(1, 6), (2, 3), (3, 2)]))
    site = Site(rows=rows, racks_per_row=across, row_pitch_m=draw(st.sampled_from([1.0, 3.0])))
    places = places_of([(r, p) for r in range(1, rows + 1) for p in range(1, across + 1)], Room(site))
    none = np.zeros(0, dtype=np.int64)
    racks = Racks(site, Devices.of(none, none.astype(np.float64)))
    blocks = draw(st.integers(1, 2))
    leaves = {b: [racks.add(b, s, hosts=False) for s in range(draw(st.integers(1, 2)))] for b in range(blocks)}
    spines = [racks.add(-1, s, hosts=False) for s in range(draw(st.integers(0, 2)))]
    for _ in range(draw(st.integers(min(1, 6 - len(racks)), 6 - len(racks)))):
        racks.add(draw(st.integers(0, blocks - 1)), 0, hosts=True)
    kinds = draw(st.integers(1, 4))
    steps = st.lists(st.integers(0, 50), min_size=len(places.metres), max_size=len(places.metres))
    cents = np.array([100.0 + np.cumsum(draw(steps)) for _ in range(kinds)])
    pairs = [
        (min(hub, rack), max(hub, rack))
        for b, hubs in leaves.items()
        for hub in hubs
        for rack in [*spines, *(r for r in range(len(racks)) if racks.hosts[r] and racks.block[r] == b)]
    ]
    every = [(a, b) for b in range(len(racks)) for a in range(b)]
    pairs += draw(st.lists(st.sampled_from(every), min_size=1, max_size=3, unique=True))
    pairs = sorted(set(pairs))
    kind = np.array([draw(st.integers(0, kinds - 1)) for _ in pairs])
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    return racks, Flows(a, b, kind, cents, cents, 0.0), places


@settings(max_examples=60)
@given(puzzles())
def test_no_arrangement_undercuts_the_bound(puzzle: tuple[Racks, Flows, Places]) -> None:
    racks, flows, places = puzzle
    every = (np.array(spots) for spots in permutations(range(len(places)), len(racks)))
    best = min(total(flows, places, where) for where in every)
    assert lower_bound(racks, flows, places, best) <= best + 1e-6
    where, bound = stand(racks, flows, places)
    assert sorted(where.tolist()) == list(range(len(places)))
    assert total(flows, places, where) == pytest.approx(best)
    assert bound <= best + 1e-6


def test_a_pod_of_15360_gpus() -> None:
    text = (ROOT / "examples/hpn7-pod.yaml").read_text(encoding="utf-8").split("\nsite:")[0]
    plan, answer = placed(text + "\nsite: {rows: 30, racks_per_row: 20, rack_power_kw: 44}\n")
    assert answer.proof is not None
    assert answer.proof.gap <= 0.05
    holds(plan)
    assert not [f for f in run(plan) if f.code in FLOOR_CODES]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", sorted(p.stem for p in ERRORS.glob("*.yaml")))
def test_refusals_say_by_how_much_and_what_would_do(case: str) -> None:
    with pytest.raises(InfeasibleError) as refused:
        placed((ERRORS / f"{case}.yaml").read_text(encoding="utf-8"))
    said = f"{refused.value}\n"
    golden = ERRORS / f"{case}.txt"
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def test_the_power_that_is_proposed_would_do() -> None:
    text = (ERRORS / "racks-too-few-occupied.yaml").read_text(encoding="utf-8")
    with pytest.raises(InfeasibleError) as refused:
        placed(text)
    kw = refused.value.problems[0].remedy.rsplit(" ", 1)[1]
    plan, _ = placed(text.replace("rack_power_kw: 22", f"rack_power_kw: {kw}"))
    holds(plan)


# --- what the checks find ---------------------------------------------------------------------------------------------


def changed(table: str, column: str, rows: list[int], value: Any) -> Plan:
    """The plan with a value put into some rows of a table."""
    plan, _ = everything()
    frame = getattr(plan.fabric, table)
    series = frame[column].to_list()
    for row in rows:
        series[row] = value
    frame = frame.with_columns(pl.Series(column, series, frame[column].dtype))
    return replace(plan, fabric=replace(plan.fabric, **{table: frame}))


def rows_of(tier: str, network: str, **where: int) -> list[int]:
    """Rows of switches of a tier."""
    rows = everything()[0].fabric.switches.with_columns(pl.col("tier", "network").cast(pl.String)).to_dicts()
    match = {"tier": tier, "network": network, **where}
    return [i for i, row in enumerate(rows) if all(row[k] == v for k, v in match.items())]


def damages() -> dict[str, Plan]:
    """A plan with one damage, by the code that it must be found under."""
    plan, _ = everything()
    hosts, switches = plan.fabric.hosts, plan.fabric.switches
    racks = list(range(plan.fabric.racks.height))
    leaf = rows_of("leaf", "compute", plane=0)[0]
    other = rows_of("leaf", "compute", plane=1)[0]
    spines = rows_of("spine", "compute", plane=0)
    return {
        "device-unplaced": changed("hosts", "rack", [0], None),
        "rack-units-exceeded": changed("hosts", "unit", [0], hosts["unit"][1] + 1),
        "rack-power-exceeded": changed("racks", "power_kw", [hosts["rack"][0]], 1.0),
        "planes-share-rack": changed("switches", "rack", [leaf], switches["rack"][other]),
        "planes-share-feed": changed("racks", "feed", racks, "a"),
        "spines-share-rack": changed("switches", "rack", spines, switches["rack"][spines[0]]),
        "cable-short": changed("cables", "length_m", [0], 0.5),
    }


def test_each_damage_is_found() -> None:
    assert set(damages()) == set(FLOOR_CODES)
    for code, plan in damages().items():
        assert code in {finding.code for finding in run(plan, CHECKS)}, code


def test_a_rack_that_is_not_there_is_found() -> None:
    plan = changed("hosts", "rack", [0], 4_000_000)
    assert {finding.code for finding in run(plan, CHECKS)} == {"device-unplaced"}


# --- what is written -------------------------------------------------------------------------------------------------


def test_work_orders_pull_every_cable_once() -> None:
    plan, _ = everything()
    sheets = dict(workorders(plan))
    pulled: Counter[str] = Counter()
    for path, data in sheets.items():
        if not path.endswith(".csv"):
            continue
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert list(rows[0]) == list(COLUMNS)
        assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
        inside = ["~" not in row["bundle"] for row in rows]
        assert inside == sorted(inside)
        longest = _longest(rows)
        order = [longest[row["bundle"]] for row in rows if "~" in row["bundle"]]
        assert order == sorted(order, reverse=True)
        for bundle_name in {row["bundle"] for row in rows}:
            units = [int(row["unit"] or 0) for row in rows if row["bundle"] == bundle_name and row["unit"]]
            assert units == sorted(units, reverse=True)
        pulled.update(row["cable"] for row in rows if row["task"] == "pull")
    ends = plan.fabric.links.group_by("cable").agg(pl.struct("a_device", "a_port").n_unique())
    assert len(pulled) == ends.height
    assert b"<script" not in page(plan)


def _longest(rows: list[dict[str, str]]) -> dict[str, float]:
    longest: dict[str, float] = defaultdict(float)
    for row in rows:
        longest[row["bundle"]] = max(longest[row["bundle"]], float(row["length_m"]))
    return longest


def test_bundles_are_pairs_of_racks() -> None:
    plan, _ = everything()
    names, found = plan.fabric.racks["name"].to_list(), devices(plan)
    bundles = plan.fabric.cables["bundle"].to_list()
    networks = plan.fabric.cables["network"].to_list()
    for link in plan.fabric.links.iter_rows(named=True):
        a = names[found[link["a_device"]]["rack"]]
        network, racks = bundles[link["cable"]].split(" ")
        assert network == networks[link["cable"]]
        if link["b_device"] is None:
            assert racks == f"{a}~out"
        elif plan.fabric.cables["a_ends"][link["cable"]] * plan.fabric.cables["b_ends"][link["cable"]] == 1:
            b = names[found[link["b_device"]]["rack"]]
            assert racks == (a if a == b else "~".join(sorted((a, b))))


def test_trays_carry_what_passes_them() -> None:
    plan, _ = everything()
    site, racks, found = plan.intent.site, plan.fabric.racks.to_dicts(), devices(plan)
    assert site is not None
    crossing: Counter[int] = Counter()
    seen = set()
    for link in plan.fabric.links.iter_rows(named=True):
        rack_b = None if link["b_device"] is None else found[link["b_device"]]["rack"]
        run_ = (link["cable"], found[link["a_device"]]["rack"], rack_b)
        if run_ in seen:
            continue
        seen.add(run_)
        ends = racks[run_[1]]["row"], 0 if rack_b is None else racks[rack_b]["row"]
        crossing.update(range(min(ends), max(ends)))
    assert tray_fill(plan.fabric, site).cross.tolist() == [crossing[i] for i in range(site.rows)]


@pytest.mark.parametrize("draw", [racks_svg, floor_svg])
def test_drawings_are_whole_and_the_same_every_time(draw: Any) -> None:
    plan, _ = everything()
    drawn = draw(plan)
    assert drawn == draw(plan)
    root = ET.fromstring(drawn)
    texts = {item.text for item in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "compute leaf, plane 0" in texts
    assert "compute leaf, plane 1" in texts
