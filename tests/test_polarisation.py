"""Hashes of two tiers that choose alike are found on the plan's own flows, and those that are planned do not."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from cabled import plan as cabled_plan
from planned import planned
from small_plans import plan_of

from fabric.checking.polarisation import CODE, HashOf, polarised
from fabric.checking.view import View
from fabric.ecmp_hash import SEEDS, SONIC, TIERS, TierHash, hash_of
from fabric.findings import Finding
from fabric.hashing import FIELDS, FUNCTIONS, EcmpHash
from fabric.plan import Plan


def hashing(**tiers: EcmpHash) -> HashOf:
    """A table that gives each tier this hash."""
    return lambda _plan, tier, _nos, _model: TierHash("", tiers[tier])


def alike(function: str, *, seeded: bool = False) -> HashOf:
    """All tiers with one function, each with its own seed or none."""
    return hashing(**{tier: EcmpHash(function, SEEDS[tier] if seeded else 0) for tier in TIERS})


def found(plan: Plan, hashes: HashOf = hash_of) -> dict[str, Finding]:
    """Findings by the tier that is spoilt."""
    return {finding.subject["tier"]: finding for finding in polarised(View(plan), hashes)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_same_function_on_all_tiers_leaves_links_idle(function: str) -> None:
    findings = found(plan_of("three-tier"), alike(function))
    assert set(findings) == {"spine", "core"}
    spine, core = findings["spine"], findings["core"]
    assert spine.code == CODE.name
    assert spine.subject == {"network": "compute", "tier": "spine", "towards": "core"}
    assert spine.evidence["factor"] == pytest.approx(2, abs=0.2)
    assert (spine.evidence["links"], spine.evidence["links_used"]) == (4, 2)
    assert spine.evidence["factor_if_independent"] < 1.2
    assert core.evidence["factor"] == pytest.approx(2, abs=0.2)
    assert (core.evidence["links"], core.evidence["links_used"]) == (2, 1)
    assert function in spine.evidence["hashes"]["leaf"]


@pytest.mark.parametrize("function", ["crc16-arc", "crc16-ccitt", "crc32", "crc32c", "xor16"])
def test_another_seed_does_not_cure_a_linear_hash(function: str) -> None:
    assert set(found(plan_of("three-tier"), alike(function, seeded=True))) == {"spine", "core"}


@pytest.mark.parametrize("function", ["murmur3", "linux"])
def test_another_seed_cures_a_mixing_hash(function: str) -> None:
    assert found(plan_of("three-tier"), alike(function, seeded=True)) == {}


@pytest.mark.parametrize(
    ("leaf", "spine", "core"),
    [
        ("crc16-arc", "crc16-ccitt", "crc32"),
        ("crc32", "crc32c", "crc32-koopman"),
        ("crc32-lo", "crc16-ccitt", "crc16-arc"),
        ("crc32-lo", "crc16-ccitt", "crc32-hi"),
        ("crc16-arc", "xor16", "murmur3"),
        ("toeplitz", "crc32", "crc-xor"),
    ],
)
def test_another_polynomial_or_algorithm_cures(leaf: str, spine: str, core: str) -> None:
    hashes = hashing(leaf=EcmpHash(leaf), spine=EcmpHash(spine), core=EcmpHash(core))
    assert found(plan_of("three-tier"), hashes) == {}


def test_another_offset_cures_where_it_reaches_other_bits() -> None:
    turned = hashing(leaf=EcmpHash("crc32"), spine=EcmpHash("crc32", offset=8), core=EcmpHash("crc32", offset=16))
    assert found(plan_of("three-tier"), turned) == {}


def test_a_core_that_hashes_like_the_leaf_is_told_apart_from_the_spine() -> None:
    plain, other = EcmpHash("crc32"), EcmpHash("crc32c")
    assert set(found(plan_of("three-tier"), hashing(leaf=plain, spine=other, core=plain))) == {"core"}
    assert set(found(plan_of("three-tier"), hashing(leaf=plain, spine=plain, core=other))) == {"spine"}


@pytest.mark.parametrize("nos", ["sonic", "cumulus", "eos", "frr"])
@pytest.mark.parametrize("model", [None, "sn5600"])
def test_what_is_planned_for_an_operating_system_does_not_polarise(nos: str, model: str | None) -> None:
    plan = plan_of("three-tier")
    switches = {**planned("starter-32").catalogue.switches, **plan.catalogue.switches}
    plan = replace(plan, catalogue=plan.catalogue.model_copy(update={"switches": switches}))
    assert found(plan, lambda plan, tier, _nos, _model: hash_of(plan, tier, nos, model)) == {}


@pytest.mark.parametrize("name", ["two-tier", "twin-cages", "rail-only", "pair"])
def test_one_next_hop_is_no_choice(name: str) -> None:
    assert found(plan_of(name), alike("crc32")) == {}


@pytest.mark.parametrize("example", ["superpod-h100-1su", "hpn7-segment"])
def test_infiniband_and_a_single_tier_are_not_asked(example: str) -> None:
    assert found(planned(example), alike("crc32")) == {}
    assert found(cabled_plan("small"), alike("crc32")) == {}


def test_the_links_of_a_trunk_are_a_choice() -> None:
    """Parallel links to a spine lie side by side: one function on both tiers takes each, unless they are crossed."""
    plan = plan_of("twin-cages")
    assert found(plan, alike("crc32")) == {}
    links = plan.fabric.links
    ups = links.filter(tier="leaf-spine").sort("a_device", "a_port")
    turned = ups.with_columns(pl.col("b_device", "b_port").gather([0, 2, 1, 3]).over(pl.int_range(pl.len()) // 4))
    crossed = pl.concat([links.filter(pl.col("tier") != "leaf-spine"), turned]).sort("id")
    plan = replace(plan, fabric=replace(plan.fabric, links=crossed))
    spoilt = found(plan, alike("crc32"))["spine"]
    assert spoilt.subject["towards"] == "leaf"
    assert (spoilt.evidence["links"], spoilt.evidence["links_used"]) == (2, 1)
    assert found(plan) == {}


def test_a_plan_without_addresses_is_left_to_others() -> None:
    plan = plan_of("three-tier")
    pools = plan.intent.addressing
    tight = pools.model_copy(update={"hosts": pools.hosts.model_copy(update={"ipv4": "10.0.0.0/30"})})
    plan = replace(plan, intent=plan.intent.model_copy(update={"addressing": tight}))
    assert found(plan, alike("crc32")) == {}


def test_the_table_speaks_sonics_words_and_names_functions_that_there_are() -> None:
    enum = {"CRC", "XOR", "RANDOM", "CRC_32LO", "CRC_32HI", "CRC_CCITT", "CRC_XOR"}  # sonic-types.yang
    assert set(SONIC) == enum - {"RANDOM"}
    assert set(SONIC.values()) <= set(FUNCTIONS)
    plan = plan_of("three-tier")
    for tier in TIERS:
        chosen = hash_of(plan, tier, "sonic")
        assert chosen is not None
        assert chosen.hash.function == SONIC[chosen.algorithm]
        assert hash_of(plan, tier, "opensm") is None


def test_no_tier_leaves_out_the_source_port_and_every_tier_says_what_it_hashes() -> None:
    plan = plan_of("three-tier")
    chosen = [hash_of(plan, tier, nos) for tier in TIERS for nos in ("sonic", "cumulus", "eos", "frr")]
    assert all(one is not None and "src_port" in one.fields and set(one.fields) <= set(FIELDS) for one in chosen)
    spine = hash_of(plan, "spine", "cumulus")
    assert str(spine) == "crc16-arc seed 5003 without dst_ip"
    assert str(hash_of(plan, "spine", "sonic")) == "CRC_CCITT"
