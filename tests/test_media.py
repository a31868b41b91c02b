"""Media, parts, optics, lengths, FEC: what is chosen fits what it is chosen for."""

from __future__ import annotations

import re

import polars as pl
import pytest
from cabled import EXAMPLES, ROOT, built, plan, plan_of, pod
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.catalogue import ACCEPTS, Catalogue, Mode
from fabric.media import cable
from fabric.media.choose import ASSEMBLIES, UNRESOLVED
from fabric.media.estimates import ESTIMATE_M, RUNGS_M
from fabric.media.kinds import cage_table
from fabric.plan import Plan

SHAPES = [
    *EXAMPLES,
    "small",
    pod(),
    pod("dgx-h100"),
    pod("dgx-b300", uplink=800),
    pod("megascale-8x200", switch="box-25.6t"),
]


def ends_of(plan: Plan) -> pl.DataFrame:
    """One row a link: its cable and, for each side, cage type, at a switch, mode and connectors."""
    fabric = plan.fabric
    cages = cage_table(fabric, plan.catalogue).with_columns(mode=fabric.ports["mode"].cast(pl.String))
    frame = fabric.cables.select(pl.all().gather(fabric.links["cable"])).with_columns(link=fabric.links["id"])
    for side in ("a", "b"):
        picked = cages.select(pl.all().gather(fabric.links[f"{side}_port"]))
        frame = frame.with_columns(picked.rename({name: f"{side}_{name}" for name in picked.columns}).get_columns())
    return frame


def assert_fits(plan: Plan) -> None:
    """Every part that was found fits the cages, breakouts, connectors, lengths and the optic at the far end."""
    kinds = ends_of(plan).drop("id", "link", "rail", "plane", "network").unique(maintain_order=True)
    for row in kinds.iter_rows(named=True):
        sides = [side for side in ("a", "b") if row[f"{side}_cage"] is not None]
        optics = [
            plan.catalogue.optics[name] for side in sides if (name := row[f"{side}_optic"]) not in ("", UNRESOLVED)
        ]
        for side in sides:
            forms = ACCEPTS[row[f"{side}_cage"], row[f"{side}_switch"]]
            optic = plan.catalogue.optics.get(row[f"{side}_optic"])
            if optic is not None:
                assert optic.cage in forms
                assert row[f"{side}_mode"] in optic.breakouts
                assert optic.ports == min(row[f"{side}_connectors"], Mode.parse(row[f"{side}_mode"]).ports)
                assert optic.medium == row["medium"]
                assert optic.reach_m >= row["length_m"] or row["part"] == UNRESOLVED
        assert len({(o.medium, o.lane_gbps, o.wavelengths) for o in optics}) <= 1
        part = plan.catalogue.cables.get(row["part"])
        if part is None:
            assert row["part"] == UNRESOLVED
            continue
        assert part.medium == row["medium"]
        assert row["length_m"] in part.lengths_m
        if part.fibre:
            assert len(optics) == len(sides)
            assert {o.connector for o in optics} <= {part.connector, part.connector_b or part.connector}
            splits = [Mode.parse(row[f"{s}_mode"]).ports // o.ports for s, o in zip(sides, optics, strict=True)]
            assert part.breakouts == max(splits) // (min(splits) if len(splits) == 2 else 1)
        else:
            assert part.cages is not None
            assert not optics
            pairs = [ACCEPTS[row[f"{s}_cage"], row[f"{s}_switch"]] for s in sides]
            assert any(a in pairs[0] and b in pairs[1] for a, b in (part.cages, part.cages[::-1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_chosen_fits(shape: str) -> None:
    made = plan(shape)
    made.fabric.validate()
    assert_fits(made)
    assert made.fabric.cables["estimated"].all()
    assert not (made.fabric.cables["part"] == UNRESOLVED).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cage_holds_one_plug(shape: str) -> None:
    fabric = plan(shape).fabric
    ends = pl.concat(
        [
            fabric.links.select("cable", port=f"{side}_port").drop_nulls().with_columns(
                plug=fabric.cables[f"{side}_optic"].gather(fabric.links.filter(pl.col(f"{side}_port").is_not_null())["cable"])
            )
            for side in ("a", "b")
        ]
    )  # fmt: skip
    cages = fabric.ports.select("device", "cage").select(pl.all().gather(ends["port"]))
    per_cage = cages.with_columns(ends["plug"]).group_by("device", "cage").agg(pl.col("plug").n_unique())
    assert (per_cage["plug"] == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ends_agree(shape: str) -> None:
    fabric = plan(shape).fabric
    links = fabric.links.filter(pl.col("b_port").is_not_null())
    for column in ("fec", "autoneg"):
        a, b = (fabric.ports[column].gather(links[f"{side}_port"]) for side in ("a", "b"))
        assert (a == b).all()
    assert not fabric.ports["fec"].null_count()
    assert not fabric.ports["autoneg"].null_count()


def test_fec_follows_the_lanes() -> None:
    ports = plan("small").fabric.ports.filter(pl.col("use").cast(pl.String) != "reserve")
    found = (
        ports.select(pl.col("network", "fec").cast(pl.String), "autoneg", "speed_gbps")
        .unique()
        .sort("network", "speed_gbps")
    )
    assert found.rows() == [
        ("compute", "rs544", False, 400),
        ("frontend", "rs528", False, 100),
        ("oob", "none", True, 1),
        ("oob", "rs528", False, 100),
        ("storage", "rs544", False, 200),
    ]


def test_estimates_are_those_of_the_tier() -> None:
    cables = plan("small").fabric.cables.select(pl.col("tier").cast(pl.String), "length_m").unique()
    assert all(length == ESTIMATE_M[tier] for tier, length in cables.iter_rows())


def test_long_tiers_are_single_mode() -> None:
    """A spine-core way of 100 m is beyond the 50 m of SR4."""
    _, catalogue, design, fabric = built(pod())
    far = cable(fabric, design, catalogue, pl.Series([60.0]).new_from_index(0, fabric.cables.height))
    assert set(far.cables["medium"].cast(pl.String)) == {"singlemode"}
    assert set(far.cables["length_m"]) == {60.0}
    assert not far.cables["estimated"].any()


def test_a_single_connector_twice_split_takes_splitters() -> None:
    cables = plan("hpn7-segment").fabric.cables
    assert set(cables["part"]) == {"mpo12-apc-mm-split2"}
    assert set(cables["links"]) == {2}


def test_an_end_that_is_not_ours_has_no_optic() -> None:
    made = plan("small")
    away = made.fabric.links.filter(pl.col("b_device").is_null())["cable"]
    cables = made.fabric.cables.filter(pl.col("id").is_in(away.implode()))
    assert cables.height == 2
    assert set(cables["b_optic"]) == {""}
    assert set(cables["a_optic"]) == {"qsfp28-sr4"}


def test_trunks_take_one_cable_of_two_connectors() -> None:
    made = plan(pod(trunk=True))
    trunks = made.fabric.cables.filter(pl.col("links") == 2)
    assert set(trunks["part"]) == {"mpo12-apc-mm-trunk2"}
    assert trunks.select("a_ends", "b_ends").unique().rows() == [(2, 2)]
    assert_fits(made)


# --- media that are asked for ------------------------------------------------------------------------------------


def test_copper_where_it_is_asked_for_is_one_assembly_a_cage() -> None:
    """Two hosts on the two connectors of a cage: one 800G cable that splits, two links, no optic."""
    before = built(pod())[3]
    made = plan(pod(media="[dac]"))
    made.fabric.validate()
    assert_fits(made)
    down = made.fabric.cables.filter(pl.col("tier").cast(pl.String) == "host-leaf")
    assert set(down["part"]) == {"osfp-dac-800-2xosfp"}
    assert down.select("links", "a_ends", "b_ends", "speed_gbps").unique().rows() == [(2, 2, 1, 800)]
    assert set(made.fabric.cables["a_optic"]) | set(made.fabric.cables["b_optic"]) == {""}
    assert made.fabric.links.height == before.links.height
    assert made.fabric.cables["links"].sum() == before.links.height
    assert made.fabric.links["cable"].n_unique() == made.fabric.cables.height < before.cables.height
    linked = pl.concat([made.fabric.links["a_port"], made.fabric.links["b_port"]])
    assert made.fabric.ports["autoneg"].gather(linked).all()


def test_estimates_shrink_to_what_copper_reaches() -> None:
    made = plan(pod(media="[dac]"))
    reach = {name: part.lengths_m[-1] for name, part in made.catalogue.cables.items()}
    lengths = made.fabric.cables.select("part", "length_m").unique()
    assert all(length == reach[part] for part, length in lengths.iter_rows())


def test_copper_that_cannot_be_is_unresolved() -> None:
    """A twin-port host cage that goes to two leaves: no cable has plugs for that."""
    made = plan(pod("dgx-h100", media="[dac]").replace("rails_per_leaf: 8", "rails_per_leaf: 1"))
    made.fabric.validate()
    down = made.fabric.cables.filter(pl.col("tier").cast(pl.String) == "host-leaf")
    assert down.select("part", "a_optic", "b_optic", "links").unique().rows() == [(UNRESOLVED, "", "", 1)]


def test_media_by_tier() -> None:
    made = plan(pod(media="{leaf-spine: [singlemode]}"))
    media = made.fabric.cables.select(pl.col("tier", "medium").cast(pl.String)).unique().sort("tier")
    assert media.rows() == [("host-leaf", "multimode"), ("leaf-spine", "singlemode")]


# --- lengths that are known --------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data(), st.sampled_from([pod(), pod("dgx-h100"), "hpn7-segment", "megascale-block"]))
def test_known_lengths(data: st.DataObject, shape: str) -> None:
    """Whatever the lengths, cables are long enough, parts fit, and a cage's cables are of one medium."""
    height = built(shape)[3].cables.height
    few = data.draw(st.lists(st.floats(0.1, 2500), min_size=1, max_size=6))
    ways = pl.Series([few[n % len(few)] for n in range(height)])
    made = plan_of(shape, ways)
    made.fabric.validate()
    assert_fits(made)
    assert not made.fabric.cables["estimated"].any()
    old, new = built(shape)[3].links["cable"], made.fabric.links["cable"]
    assert (made.fabric.cables["length_m"].gather(new) >= ways.gather(old) - 1e-9).all()


def test_short_ways_are_copper_and_long_ones_light() -> None:
    height = built(pod())[3].cables.height
    near = plan_of(pod(), pl.Series([1.2]).new_from_index(0, height)).fabric.cables
    far = plan_of(pod(), pl.Series([40.0]).new_from_index(0, height)).fabric.cables
    assert set(near["medium"].cast(pl.String)) == {"dac"}
    assert set(near["length_m"]) == {1.5}
    assert set(far["medium"].cast(pl.String)) == {"multimode"}


def test_a_long_way_takes_its_neighbours_along() -> None:
    """The other cable of a twin-port cage follows the longer one to single-mode."""
    fabric = built("superpod-h100-4su")[3]
    ways = pl.Series([10.0]).new_from_index(0, fabric.cables.height).to_list()
    ways[0] = 80.0
    made = plan_of("superpod-h100-4su", pl.Series(ways)).fabric
    single = made.cables.filter(pl.col("medium").cast(pl.String) == "singlemode")
    assert single.height >= 4
    assert single["length_m"].sort(descending=True).to_list()[:2] == [80.0, 10.0]


def test_rungs_grow() -> None:
    assert list(RUNGS_M) == sorted(set(RUNGS_M))


# --- what the catalogue has not ----------------------------------------------------------------------------------


def test_an_empty_shelf_is_unresolved() -> None:
    _, shipped, _, _ = built(pod())
    bare = Catalogue.model_construct(servers=shipped.servers, switches=shipped.switches, optics={}, cables={})
    made = plan_of(pod(), catalogue=bare).fabric
    made.validate()
    assert set(made.cables["part"]) == {UNRESOLVED}
    assert set(made.cables["a_optic"]) == {UNRESOLVED}


def test_fibre_without_a_fitting_optic_is_unresolved() -> None:
    _, shipped, _, _ = built(pod())
    switch_only = {name: optic for name, optic in shipped.optics.items() if optic.cage != "osfp-flat"}
    some = Catalogue.model_construct(
        servers=shipped.servers, switches=shipped.switches, optics=switch_only, cables=shipped.cables
    )
    cables = plan_of(pod(), catalogue=some).fabric.cables
    by_tier = cables.select(pl.col("tier").cast(pl.String), "part", "a_optic", "b_optic").unique().sort("tier")
    assert by_tier.rows() == [
        ("host-leaf", UNRESOLVED, UNRESOLVED, "osfp-2xsr4"),
        ("leaf-spine", "mpo12-apc-mm", "osfp-2xsr4", "osfp-2xsr4"),
    ]


def test_prices_decide() -> None:
    """Cheap single-mode optics win over multimode ones."""
    intent, shipped, design, fabric = built(pod())
    cheap = {
        n: o.model_copy(update={"price_usd": 1.0}) if o.medium == "singlemode" else o for n, o in shipped.optics.items()
    }
    parts = Catalogue.model_construct(
        servers=shipped.servers, switches=shipped.switches, optics=cheap, cables=shipped.cables
    )
    made = Plan(intent, parts, design, cable(fabric, design, parts))
    assert set(made.fabric.cables["medium"].cast(pl.String)) == {"singlemode"}
    assert_fits(made)


def test_an_assembly_is_of_an_assembly_medium() -> None:
    made = plan(pod(media="[aec]"))
    assert set(made.fabric.cables["medium"].cast(pl.String)) == {"aec"} < set(ASSEMBLIES)
    assert not made.fabric.ports["autoneg"].any()


def test_the_page_has_the_estimates() -> None:
    page = (ROOT / "docs/cabling.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (\d+) \|$", page, re.MULTILINE)
    assert {tier: float(metres) for tier, metres in rows} == ESTIMATE_M
