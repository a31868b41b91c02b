"""Slow rails are named with their cause within four intervals; rails that are idle, uneven or in trouble are not."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from link_cases import Hand, found, hits, opened, seen
from storms import Hands
from test_simulate import four, job
from test_simulate_faults import fault, host_port, ring

from collectors.detectors.policy import Policy
from collectors.detectors.rails.evidence import STALLED
from collectors.detectors.rails.polish import medians, polished, scores
from collectors.detectors.rails.table import Rails
from collectors.detectors.slow_rail import SlowRail
from fabric.jobfile import Job

DUE_S = 40.0
PAUSE = "tx_pfc_pause_seconds_p3"


def long() -> list[Job]:
    """All-reduce whose steps outlast the samples' distance: what is sent shows who sends slowly."""
    return [job(list(ring().hosts), "all-reduce", bytes=4_000_000_000_000)]  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_a_slow_receiver_is_named_though_all_rails_move_the_same_bytes(share: float, refresh: float) -> None:
    one = fault("slow-receiver", 42, 110, share=share)
    assert hits(found(one, refresh=refresh), one, DUE_S)


@pytest.mark.parametrize("kind", ["slow-receiver", "slow-rail"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_nic_that_waits_for_reads_is_slow_itself_however_short_the_phases(kind: str, share: float) -> None:
    one = fault(kind, 42, 110, share=share)
    assert hits(found(one, idle=1.0), one, DUE_S)


@pytest.mark.parametrize("kind", ["slow-receiver", "slow-rail"])
def test_without_word_of_reads_who_sends_slowly_shows_in_long_phases(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.detectors.rails.evidence.STALLED", "pcie_gone")
    one = fault(kind, 42, 110)
    assert hits(found(one, jobs=long()), one, DUE_S)


def test_a_host_that_pauses_its_leaf_is_told_after_three_windows_and_not_for_one_checkpoint() -> None:
    made, rails = Hands(SlowRail(seen(), Policy())), Rails.of(seen())
    rose = {port: {"rx_bytes": 0.2 * 10 * seen().capacity[port], PAUSE: 0.0} for port in rails.port.tolist()}
    slow = rose | {port: rose[port] | {PAUSE: 3.0} for port in rails.port[5:6].tolist()}
    assert made.run(2, rose) == []
    assert [len(made.step(slow)), len(made.step(slow)), len(made.step(rose))] == [0, 0, 0]
    assert [len(made.step(slow)), len(made.step(slow)), len(made.step(slow))] == [0, 0, 1]


def sends(stalled: float, job: float = 0.2) -> list[list[str]]:
    """Causes told in five intervals in which all rails send alike, and one NIC waits for reads for so long."""
    made = Hand(SlowRail(seen(), Policy()))
    ports = Rails.of(seen()).port.tolist()
    rose = {port: job * 10 * seen().capacity[port] for port in ports}
    rows = {
        port: {"tx_bytes": rose[port], "rx_bytes": rose[port], STALLED: stalled if port == ports[5] else 0.01}
        for port in ports
    }
    return [[one.cause for one in made.step(rows, [STALLED])] for _ in range(5)]


def test_who_pauses_nobody_is_slow_where_its_nic_waits_for_a_third_of_the_time() -> None:
    assert sends(0.33) == [[], [], [], ["slow-nic"], ["slow-nic"]]
    assert sends(0.25) == [[]] * 5
    assert sends(0.02, job=0.01) == [[]] * 5


def test_a_slow_rail_outlasts_idle_phases_of_fine_samples() -> None:
    work = [job(list(ring().hosts), "all-reduce", bytes=200_000_000_000)]  # type: ignore[arg-type]
    one = fault("slow-rail", 22, 80)
    told = found(one, jobs=work, interval=1.0, seconds=60.0)
    assert hits(told, one, 4.0)
    assert len(told) == 1


def test_a_slow_host_and_a_slow_leaf_are_one_thing_each() -> None:
    host = [fault("slow-receiver", 32, 90, host="gpu-0003", rail=rail) for rail in range(8)]
    (told,) = [one for one in found(*host, seconds=80.0) if one.state == "open"]
    assert (told.cause, dict(told.subject), told.evidence["rails"]) == ("slow-host", {"host": "gpu-0003"}, 8)
    rows = four().fabric.hosts.filter(pl.col("segment") == 1)["name"].to_list()
    leaf = [fault("slow-receiver", 32, 90, host=name, rail=2) for name in rows]
    (told,) = [one for one in found(*leaf, seconds=80.0) if one.state == "open"]
    assert (told.cause, dict(told.subject)) == ("slow-leaf", {"switch": host_port(four(), rows[0], 2)[1]})


def jobs_of(kind: str) -> list[Job]:
    hosts = four().fabric.hosts.filter(~pl.col("spare"))["name"].to_list()
    if kind == "tree":
        return [job(hosts, "all-reduce", algorithm="tree")]
    return [job(hosts[::4], "all-to-all", "ep", skew=0.8, tp=1, dp=64, ep=64)]


@pytest.mark.parametrize("kind", ["tree", "experts"])
@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_uneven_work_is_no_slow_rail(kind: str, interval: float) -> None:
    assert opened(found(jobs=jobs_of(kind), method="ecmp", interval=interval, seconds=15 * interval)) == []


PCIE = fault("config-drift", 32, 100, device="gpu-0001", setting="pcie")


@pytest.mark.parametrize(
    "one", [PCIE, fault("pfc-storm", 35, 77), fault("incast", 33, 77)], ids=["pcie", "storm", "incast"]
)
def test_what_explains_a_slow_rail_is_told_instead(one: dict[str, Any]) -> None:
    assert opened(found(one, seconds=100.0)) == []


def test_a_slow_link_of_a_host_is_told_as_a_link_alone() -> None:
    port, *_ = host_port(four(), "gpu-0000", 0)
    one = fault("slow-link", 32, 90, device="gpu-0000", port=port, share=0.5)
    assert opened(found(one, seconds=90.0)) == [("link", "speed")]


def test_rails_of_a_host_that_lends_one_are_left_out() -> None:
    port, *_ = host_port(four(), "gpu-0000", 0)
    lost = fault("link-down", 12, 90, device="gpu-0000", port=port)
    slow = fault("slow-receiver", 32, 90, host="gpu-0000", rail=3)
    assert opened(found(lost, slow, seconds=90.0)) == [("link", "down")]


# the statistics


def test_tables_hold_every_rail_of_every_host_once() -> None:
    rails = Rails.of(seen())
    ones = rails.total(np.ones(len(rails.port)))
    assert rails.shape == (4, 8, 8)
    assert (ones == 1).all()
    host = rails.view.device_names[int(rails.host[1, 2])]
    assert rails.ports((1 * 8 + 2) * 8 + 5)[0] in {
        port for port in range(seen().ports) if seen().end(port)["device"] == host and seen().rail[port] == 5
    }


SOME = arrays.arrays(np.float64, (2, 5, 4), elements=st.floats(-3, 3) | st.just(float("nan")))


@given(SOME)
def test_medians_are_those_of_what_is_known(table: Any) -> None:
    for axis in (1, 2):
        mine = medians(table, axis)
        for at in np.ndindex(mine.shape):
            line = np.moveaxis(table, axis, -1)[tuple(n for i, n in enumerate(at) if i != axis)]
            known = line[np.isfinite(line)].tolist()
            assert mine[at] == pytest.approx(median(known)) if known else np.isnan(mine[at])


@given(arrays.arrays(np.float64, 6, elements=st.floats(-2, 2)), arrays.arrays(np.float64, 5, elements=st.floats(-2, 2)))
def test_polish_takes_off_what_rows_and_columns_share(hosts: Any, rails: Any) -> None:
    table = (hosts[:, None] + rails[None, :])[None]
    table[0, 2, 3] -= 1.0
    made = polished(table.copy())
    rest = made.rest.copy()
    assert rest[0, 2, 3] == pytest.approx(-1.0)
    rest[0, 2, 3] = 0.0
    assert np.abs(rest).max() < 1e-9
    whole = made.level[:, None, None] + made.hosts[:, :, None] + made.rails[:, None, :] + made.rest
    assert whole == pytest.approx(table)
    assert scores(made.rest, made.rest, 0.03)[0, 2, 3] == pytest.approx(-1 / 0.03)


def test_wobble_beyond_the_floor_seldom_makes_an_outlier() -> None:
    """One in 160 a window, where a normal deviate beyond 3.5 is one in 4,300: polish takes wobble off the middle."""
    table = np.random.default_rng(3).normal(0.0, 0.1, (200, 16, 8))
    score = scores(polished(table).rest, polished(table).rest, 0.03)
    assert 1e-3 < (score < -3.5).mean() < 8e-3
