"""The statistics of hash-skew: what they measure, how often they are wrong, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import factorial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.skew import power
from collectors.detectors.skew.contingency import dependence
from collectors.detectors.skew.moments import fourth, variance
from collectors.detectors.skew.montecarlo import (
    STOP,
    SURE,
    bound,
    counted,
    enough,
    judge,
    sampled,
    throws,
)
from collectors.detectors.skew.pairs import expected, factor, inverse_members
from collectors.detectors.skew.phi import beside_counters, chi2_tail, cov2, from_range, phi, same_samples
from collectors.detectors.skew.pooling import discoveries, merged, patterns, placings, screen
from collectors.detectors.skew.regularity import steps
from fabric.hashing import EcmpHash, five_tuples

LEVEL, DRAWS = 1e-2, 10_000


def null(members: int, flows: int, draws: int) -> npt.NDArray[np.float64]:
    """n·CoV² of so many draws of equal flows, sorted."""
    return np.sort(throws(np.full((1, flows), 1 / flows), members, float(flows), draws, seed=7))


def band(level: float, trials: int, draws: int) -> float:
    """The level and four standard errors, of the trials and of the draws."""
    return float(level + 4 * np.sqrt(level / trials + level / draws))


def weights(kind: str, flows: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    made = {"equal": np.ones(flows), "lognormal": rng.lognormal(0, 1, flows), "pareto": 1 + rng.pareto(1.2, flows)}
    found: npt.NDArray[np.float64] = made[kind] / made[kind].sum()
    return found


# measures


def test_phi_of_equal_flows_is_pearsons_over_its_degrees() -> None:
    counts = np.array([5, 1, 0, 2])
    pearson = ((counts - 2.0) ** 2 / 2.0).sum()
    assert phi(counts, same_samples(np.ones(8))) == pytest.approx(pearson / 3)
    assert np.isnan(phi([4], 4))


def test_phi_is_one_in_the_mean_whatever_the_weights() -> None:
    rng = np.random.default_rng(1)
    for kind in ("equal", "lognormal", "pareto"):
        own = sampled(weights(kind, 24, rng), np.ones(7))
        drawn = throws(own.rows, 7, own.effective, 200_000, seed=3) / 6
        assert drawn.mean() == pytest.approx(1, abs=0.01)


def test_64_flows_on_16_links_look_bad_under_a_perfect_hash() -> None:
    rng = np.random.default_rng(2)
    loads = np.stack([np.bincount(rng.integers(0, 16, 64), minlength=16) for _ in range(4000)])
    assert (loads.max(axis=1) / 4).mean() == pytest.approx(1.97, abs=0.03)
    assert np.sqrt(np.mean([cov2(row) for row in loads])) == pytest.approx(0.48, abs=0.01)


def test_a_range_counts_as_its_low_end() -> None:
    assert from_range(30, 60) == 30
    with pytest.raises(ValueError, match="60 to 30"):
        from_range(60, 30)


def test_few_samples_a_flow_make_no_unbiased_estimate() -> None:
    few, many = np.array([3, 1, 2]), np.array([9, 3, 6])
    assert beside_counters(few) == same_samples(few)
    assert beside_counters(many) == pytest.approx(18 * 17 / (9 * 8 + 3 * 2 + 6 * 5))


def test_the_screens_tail_is_close_to_chi_squared() -> None:
    for degrees, at, tail in ((3, 11.345, 0.01), (15, 30.578, 0.01), (120, 158.95, 0.01)):
        assert chi2_tail(at, degrees) == pytest.approx(tail, rel=0.05)


# the verdict


@pytest.mark.parametrize("kind", ["equal", "lognormal", "pareto"])
@pytest.mark.parametrize("given_as", ["exact", "sflow", "counters"])
@pytest.mark.parametrize(("members", "flows"), [(4, 8), (16, 64), (32, 32)])
def test_false_alarms_keep_to_the_level(kind: str, given_as: str, members: int, flows: int) -> None:
    rng = np.random.default_rng([members, flows])
    sets, trials, wrong = 6, 20_000, 0.0
    for number in range(sets):
        real = weights(kind, flows, rng)
        c = rng.multinomial(4 * flows, real).astype(float)
        c = c[c > 0]
        shown = {"exact": sampled(real, np.ones(members)), "sflow": sampled(c, np.ones(members)),
                 "counters": counted(c, np.ones(members), LEVEL)}[given_as]  # fmt: skip
        thrown = shown.rows if given_as == "sflow" else real[None, :]
        drawn = np.sort(throws(shown.rows, members, 1.0, DRAWS, 100 + number))
        seen = throws(thrown, members, 1.0, trials, 200 + number)
        above = DRAWS - np.searchsorted(drawn, seen * (1 - 1e-9) - 1e-12)
        wrong += float(((1 + above) / (1 + DRAWS) <= LEVEL).mean()) / sets
    assert wrong <= band(LEVEL, sets * trials, sets * DRAWS)


@pytest.mark.parametrize(("members", "flows"), [(4, 16), (16, 32)])
def test_false_alarms_keep_to_a_level_of_1e4_with_a_million_draws(members: int, flows: int) -> None:
    kept = null(members, flows, 1_000_000)
    seen = throws(np.full((1, flows), 1 / flows), members, float(flows), 1_000_000, seed=99)
    above = len(kept) - np.searchsorted(kept, seen * (1 - 1e-9))
    wrong = float(((1 + above) / 1_000_001 <= 1e-4).mean())
    assert wrong <= band(1e-4, 1_000_000, 1_000_000)


def squares(flows: int, members: int) -> dict[int, float]:
    """Σn² of so many flows thrown to members, and the probability of each value, by enumeration."""
    found = {(0, 0): 1.0}
    for _ in range(members):
        more: dict[tuple[int, int], float] = {}
        for (used, total), part in found.items():
            for n in range(flows - used + 1):
                key = used + n, total + n * n
                more[key] = more.get(key, 0.0) + part / factorial(n)
        found = more
    ways = factorial(flows) / members**flows
    return {total: part * ways for (used, total), part in found.items() if used == flows}


def eight(one: dict[int, float]) -> dict[int, float]:
    """The same of the sum of eight groups."""
    found = {0: 1.0}
    for _ in range(8):
        more: dict[int, float] = {}
        for a, first in found.items():
            for b, second in one.items():
                more[a + b] = more.get(a + b, 0.0) + first * second
        found = more
    return found


@pytest.mark.parametrize(("members", "flows", "exact"), [(16, 16, 0.9978), (8, 8, 0.6848), (16, 8, 0.1748)])
def test_power_against_two_fold_collapse_is_that_of_enumeration(members: int, flows: int, exact: float) -> None:
    """Draws may put the value just beyond the level on either side of it."""
    null, skewed = (eight(squares(flows, used)) for used in (members, members // 2))
    values = sorted(null, reverse=True)
    beyond = np.cumsum([null[value] for value in values])
    last = int(np.searchsorted(beyond, 1e-4, side="right"))
    strict, lax = (sum(p for value, p in skewed.items() if value >= values[at]) for at in (last - 1, last))
    assert strict == pytest.approx(exact, abs=1e-4)
    spread = 4 * np.sqrt(strict * (1 - strict) / 4000)
    assert strict - spread <= power(members, flows, trials=4000) <= lax + spread


@pytest.mark.parametrize("errors", [-3.0, -1.5, 0.0])
def test_samples_that_miss_a_part_of_the_heaviest_flow_make_no_false_alarms(errors: float) -> None:
    """A flow of four tenths, and samples that show so many standard errors less of it."""
    rng = np.random.default_rng(17)
    real = np.concatenate([[0.4], 0.6 * weights("lognormal", 511, rng)])
    heavy = round(2048 * 0.4 + errors * np.sqrt(2048 * 0.4 * 0.6))
    c = np.concatenate([[heavy], rng.multinomial(2048 - heavy, real[1:] / 0.6)]).astype(float)
    c = c[c > 0]
    seen = throws(real[None, :], 64, 1.0, 20_000, 300)

    def wrong(rows: npt.NDArray[np.float64]) -> float:
        above = DRAWS - np.searchsorted(np.sort(throws(rows, 64, 1.0, DRAWS, 301)), seen)
        return float(((1 + above) / (1 + DRAWS) <= LEVEL).mean())

    assert wrong(counted(c, np.ones(64), LEVEL).rows) <= band(LEVEL, 20_000, DRAWS)
    if errors == -3:
        blurred = rng.dirichlet(c, 64)
        assert wrong(blurred) > 3 * LEVEL, "a blur alone does not make up for it"


def test_weights_beside_counters_are_tilted_by_the_level_and_flat_ones_are_not() -> None:
    flat, steep = np.full(64, 4), np.array([400, *[4] * 60])

    def heaviest(c: npt.NDArray[np.int_], level: float) -> float:
        return float(counted(c, np.ones(16), level).rows[:, 0].mean())

    assert heaviest(flat, 1e-4) == heaviest(flat, 1e-2) == pytest.approx(1 / 64, rel=0.3)
    assert 400 / 640 < heaviest(steep, 1e-2) < heaviest(steep, 1e-6) < 0.75
    assert np.isfinite(counted([10**9, 1], np.ones(4)).rows).all()
    assert counted([7], np.ones(2)).rows == pytest.approx(1)


def test_few_flows_beside_counters_are_not_judged() -> None:
    assert not enough(np.ones(8), 128)
    assert enough(np.ones(64), 128)


@pytest.mark.parametrize(("flows", "members"), [(2, 3), (4, 3), (5, 4), (6, 2)])
def test_the_moments_are_those_of_all_ways_to_throw_the_flows(flows: int, members: int) -> None:
    w = weights("lognormal", flows, np.random.default_rng(flows))
    ways = product(range(members), repeat=flows)
    y = [sum(w[i] * w[k] * (members * (to[i] == to[k]) - 1) for i in range(flows) for k in range(i)) for to in ways]
    assert variance(w, members) == pytest.approx(np.mean(np.square(y)))
    assert fourth(w, members) == pytest.approx(np.mean(np.power(y, 4)))


@pytest.mark.parametrize("kind", ["equal", "lognormal", "pareto"])
def test_the_bound_is_never_below_what_drawing_says(kind: str) -> None:
    own = [sampled(weights(kind, n, np.random.default_rng(n)), np.ones(m)) for n, m in ((20, 8), (30, 16))]
    drawn = sum(throws(one.rows, one.members, one.effective, 200_000, seed) for seed, one in enumerate(own))
    for at in (40.0, 60.0, 90.0):
        assert bound(own, at) >= float(np.mean(drawn >= at))
    assert bound(own, 22.0) == 1.0
    assert bound([counted(np.full(9, 5), np.ones(4))] * 2, 1e6) == 1.0, "sets of weights of several groups"


def test_what_is_plainly_uneven_is_told_from_a_level_without_draws_or_with_few() -> None:
    plain = sampled(np.ones(256), np.bincount(np.arange(256) % 4, minlength=16))
    assert judge([plain], 1_000_000, level=1e-4).draws == 0
    less = sampled(np.ones(64), np.bincount(np.arange(64) % 7, minlength=16))
    told = judge([less], 1_000_000, level=1e-4)
    assert (told.draws, told.above) == (SURE / 1e-4, 0)
    assert told.p <= 1e-4


def test_false_alarms_keep_to_the_level_where_drawing_may_end_early() -> None:
    """The whole of a verdict, with its bound, and both of its early ends."""
    rng = np.random.default_rng(16)
    wrong = 0
    for trial in range(1500):
        loads = np.bincount(rng.integers(0, 8, 24), minlength=8)
        wrong += judge([sampled(np.ones(24), loads)], DRAWS, level=LEVEL, seed=trial).p <= LEVEL
    assert wrong / 1500 <= band(LEVEL, 1500, 1500)


def test_a_verdict_stops_drawing_where_it_cannot_be_small_and_else_draws_all() -> None:
    even = judge([sampled(np.ones(64), np.full(16, 4))], 1_000_000)
    assert even.draws < 2000
    assert even.above >= STOP
    uneven = judge([sampled(np.ones(64), np.bincount(np.arange(64) % 4, minlength=16))], 1_000_000)
    assert (uneven.draws, uneven.above) == (1_000_000, 0)
    assert uneven.p < 1e-5


def test_the_kept_distribution_says_what_drawing_says() -> None:
    loads = np.array([9, 5, 1, 1])
    drawn = judge([sampled(np.ones(16), loads)], 200_000)
    above = (null(4, 16, 100_000) >= 16 * cov2(loads) * (1 - 1e-9)).sum()
    assert above / 100_000 == pytest.approx(drawn.p, rel=0.4)


@given(st.permutations(range(6)))
def test_the_order_of_members_does_not_matter(order: list[int]) -> None:
    loads = np.array([9, 7, 0, 0, 1, 3])
    one, other = (judge([sampled(np.ones(20), x)], 3000) for x in (loads, loads[order]))
    assert one == other


# many groups


def numbered(ports: Sequence[npt.NDArray[np.int64]]) -> int:
    """How many patterns there are among groups with these ports."""
    start = np.cumsum([0, *(len(own) for own in ports)])
    return len(set(patterns(np.concatenate(ports), start).tolist()))


def test_eight_rails_with_the_same_ports_are_one_observation() -> None:
    rng = np.random.default_rng(4)
    same = rng.integers(0xC000, 0x10000, 64)
    own = [rng.integers(0xC000, 0x10000, 64) for _ in range(8)]
    assert numbered([same] * 8) == 1
    assert numbered(own) == 8
    most = [np.concatenate([same[:56], extra[:8]]) for extra in own]
    assert numbered(most) == 1, "a few others' flows make no other pattern"


def test_patterns_are_known_from_samples_of_a_part_of_their_flows() -> None:
    rng = np.random.default_rng(14)
    same = rng.integers(0xC000, 0x10000, 500)
    parts = [rng.choice(same, 250, replace=False) for _ in range(8)]
    assert numbered(parts) == 1


def test_rails_on_pinned_paths_are_one_observation_whatever_their_ports() -> None:
    """Eight rails of 16 hosts over 8 members, each host's flow on the member that it has on every rail."""
    rng = np.random.default_rng(15)
    pinned, hosts = rng.integers(0, 8, 16), np.arange(16)
    rail, sender = np.repeat(np.arange(8), 16), np.tile(hosts, 8)
    seen = rng.random(128) < 0.7
    same = placings(rail[seen], sender[seen], np.tile(pinned, 8)[seen], np.full(8, 8))
    assert len(set(same.tolist())) == 1
    drawn = placings(rail, sender, rng.integers(0, 8, 128), np.full(8, 8))
    assert len(set(drawn.tolist())) == 8
    two = placings(rail, sender, rng.integers(0, 2, 128), np.full(8, 2))
    assert len(set(two.tolist())) > 4
    several = np.concatenate([rail, rail]), np.concatenate([sender, sender])
    many = placings(*several, rng.integers(0, 8, 256), np.full(8, 8))
    assert len(set(many.tolist())) == 8, "senders whose flows take several members say nothing"
    assert merged(np.array([0, 1, 2, 2]), np.array([0, 0, 2, 3])).tolist() == [0, 0, 2, 2]


def test_equal_rails_make_no_more_alarms_than_one_group() -> None:
    """Eight rails whose hashes are one hash and a fixed XOR: as independent groups they alarm in 8 % of the cases."""
    rng = np.random.default_rng(5)
    wrong = np.zeros(2)
    for _ in range(3000):
        value = phi(np.bincount(rng.integers(0, 16, 64), minlength=16), 64)
        wrong += [screen([value], [15]) <= 1e-2, screen([value] * 8, [15] * 8) <= 1e-2]
    assert wrong[0] / 3000 <= band(1e-2, 3000, 3000)
    assert wrong[1] / 3000 > 0.08


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    assert discoveries(p, 0.05).tolist() == [True, True, *[False] * 8]
    assert discoveries([], 0.05).tolist() == []


@pytest.mark.parametrize(("members", "flows"), [(4, 8), (16, 16), (60, 200)])
def test_pooled_inverse_members_is_unbiased(members: int, flows: int) -> None:
    rng = np.random.default_rng(6)
    rows = [np.bincount(rng.integers(0, members, n), minlength=members) for n in rng.integers(2, flows, 20_000)]
    pairs = sum(float(row.sum() * (row.sum() - 1)) for row in rows) / 2
    error = np.sqrt((1 / members) * (1 - 1 / members) / pairs)
    assert inverse_members(rows) == pytest.approx(1 / members, abs=4 * error)
    assert factor(members, inverse_members(rows)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("up", "here", "same", "other"), [(8, 16, 8, 8), (12, 12, 12, 4), (3, 6, 3, 1), (16, 8, 8, 8), (5, 7, 1, 1)]
)
def test_the_factor_that_a_shared_hash_has(up: int, here: int, same: int, other: int) -> None:
    assert expected(up, here, same_seed=True) == same
    assert expected(up, here, same_seed=False) == other


# causes


def two_tiers(upper: EcmpHash, up: int, here: int, flows: int = 4000) -> tuple[float, float, float]:
    """Factor over all switches of the second tier, and what the contingency table says."""
    rng = np.random.default_rng(7)
    address = rng.integers(0, 2**16, (2, flows)) + 0x0A000000
    keys = five_tuples(address[0], address[1], rng.integers(0xC000, 0x10000, flows), 4791)
    below, above = EcmpHash("crc16-arc", 11).pick(keys, up), upper.pick(keys, here)
    counts = [np.bincount(above[below == switch], minlength=here) for switch in range(up)]
    ratio, p = dependence(below, above, 400)
    return factor(here, inverse_members(counts)), ratio, p


@pytest.mark.parametrize(("up", "here", "g"), [(8, 16, 8), (12, 12, 4), (16, 8, 8), (4, 8, 4)])
def test_a_crc_with_another_seed_is_polarised_by_its_factor(up: int, here: int, g: int) -> None:
    measured, ratio, p = two_tiers(EcmpHash("crc16-arc", 5003), up, here)
    assert measured == pytest.approx(expected(up, here, same_seed=False), rel=0.1)
    assert measured == pytest.approx(g, rel=0.1)
    assert p < 0.01
    assert ratio > 2


@pytest.mark.parametrize("function", ["crc16-ccitt", "crc32c", "murmur3", "toeplitz"])
def test_another_polynomial_is_not_polarised(function: str) -> None:
    measured, _, p = two_tiers(EcmpHash(function), 8, 16)
    assert measured == pytest.approx(1, abs=0.1)
    assert p > 0.01


def test_a_common_leaning_is_no_dependence() -> None:
    rng = np.random.default_rng(8)
    member = rng.choice(8, 2000, p=[0.5, *[0.5 / 7] * 7])
    _, p = dependence(rng.integers(0, 8, 2000), member, 400)
    assert p > 0.01


def test_ports_in_steps_are_regular_and_drawn_or_consecutive_ones_are_not() -> None:
    rng = np.random.default_rng(9)
    assert steps(0xC000 + 16 * np.arange(64), 16, 0.9).step == 16
    assert steps(0xC000 + 6 * np.arange(64), 16, 0.9).step == 6
    assert steps([*(0xC000 + 16 * np.arange(64)), 0xC001, 0xC007], 16, 0.9).step == 16
    assert steps(0xC000 + np.arange(64), 16, 0.9).step == 1
    assert steps([0xC000] * 64, 16, 0.9).step == 1
    for _ in range(200):
        assert steps(rng.integers(0xC000, 0x10000, 40), 16, 0.9).step == 1


def test_64_queue_pairs_in_steps_of_16_are_uneven_under_a_healthy_hash() -> None:
    found = []
    for n in range(16):
        keys = five_tuples(0x0A000001 + 2 * n, 0x0A010001, 0xC000 + 16 * np.arange(64), 4791)
        found.append(phi(np.bincount(EcmpHash("crc16-arc").pick(keys, 16), minlength=16), 64))
    assert np.mean(found) > 5
