"""The summary counts what the tables hold: a hand-made plan against a golden file, published rows, and sums."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from handmade import plan_of
from handmade_designs import clos, hpn_pod, rail_only, superpod
from planned import planned

from fabric.summary import KINDS, OOB_KINDS, render, summarise

GOLDEN = Path(__file__).parent / "golden" / "summary"


def test_hand_made_plan_is_summarised_as_the_golden_file_says() -> None:
    summary = summarise(plan_of(*superpod(1)))
    assert summary == json.loads((GOLDEN / "superpod-h100-1su.json").read_text(encoding="utf-8"))


def test_one_screen_is_as_the_golden_file_says() -> None:
    shown = render(summarise(plan_of(*hpn_pod(2))), 80)
    assert shown == (GOLDEN / "hpn7-pod-2.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("units", "hosts", "leaves", "spines", "up", "between"),
    [(1, 31, 8, 4, 252, 256), (2, 63, 16, 8, 508, 512), (3, 95, 24, 16, 764, 768), (4, 127, 32, 16, 1020, 1024)],
)
def test_superpod_counts_are_those_of_table_4(
    units: int, hosts: int, leaves: int, spines: int, up: int, between: int
) -> None:
    """NVIDIA RA-11333-001 V11, Table 4."""
    net = summarise(plan_of(*superpod(units)))["networks"]["compute"]
    assert (net["hosts"], net["gpus"], net["segments"]) == (hosts, 8 * hosts, units)
    assert (net["switches"]["leaf"]["count"], net["switches"]["spine"]["count"]) == (leaves, spines)
    assert net["links"]["host-leaf"] + net["links"]["service-leaf"] == up
    assert net["links"]["leaf-spine"] == between
    assert net["switches"]["core"] is None
    assert net["oversubscription"] == {"leaf": 1.0, "spine": None}


def test_hpn_pod_counts_are_published() -> None:
    """Alibaba HPN 7.0 (SIGCOMM 2024): spares take ports and no bandwidth, 8 spine ports wait for a core."""
    net = summarise(plan_of(*hpn_pod()))["networks"]["compute"]
    assert net["oversubscription"] == {"leaf": 1.0667, "spine": 15.0}
    assert (net["hosts"], net["spares"], net["gpus"]) == (1920, 120, 15360)
    assert net["kept_free_ports"] == {"leaf": 0, "spine": 8}
    assert net["links"] == {**dict.fromkeys(KINDS, 0), "host-leaf": 32640, "leaf-spine": 14400}
    assert (net["switches"]["leaf"]["count"], net["switches"]["spine"]["count"]) == (240, 120)


def test_three_tiers_count_pods_and_cores() -> None:
    net = summarise(plan_of(*clos(4, 1, 16)))["networks"]["compute"]
    assert (net["tiers"], net["pods"], net["segments"]) == (3, 4, 4)
    assert net["switches"]["core"]["count"] == 16
    assert net["oversubscription"] == {"leaf": 1.0, "spine": 1.0}
    assert net["links"]["spine-core"] == net["links"]["leaf-spine"] == net["links"]["host-leaf"] == 256


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod", "superpod-h100-4su", "ascend-a3"])
def test_sums_over_networks_are_the_tables(example: str) -> None:
    plan = planned(example)
    summary = summarise(plan)
    nets, totals = summary["networks"].values(), summary["totals"]
    assert sum(sum(net["links"].values()) for net in nets) == plan.fabric.links.height == totals["links"]
    assert sum(sum(net["cables"].values()) for net in nets) == plan.fabric.cables.height == totals["cables"]
    assert sum(sum(net["transceivers"].values()) for net in nets) == totals["transceivers"]
    models = [tier for net in nets for tier in net["switches"].values() if tier]
    assert sum(tier["count"] for tier in models) == plan.fabric.switches.height
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod", "superpod-h100-4su", "ascend-a3"])
def test_counts_are_those_of_the_design(example: str) -> None:
    plan = planned(example)
    for name, net in summarise(plan)["networks"].items():
        design = plan.design.networks[name]
        counted = {tier: found["count"] if found else 0 for tier, found in net["switches"].items()}
        assert counted == design.counts()
        assert net["segments"] == sum(c.segments for c in design.classes)
        assert net["pods"] == design.pods


def test_bill_of_the_superpod_is_published() -> None:
    """NVIDIA RA-11333-001 V11, Tables 7 and 8: 2,040 cables, 1,536 and 508 twin-port transceivers."""
    net = summarise(planned("superpod-h100-4su"))["networks"]["compute"]
    assert net["cables"]["host-leaf"] + net["cables"]["leaf-spine"] == 2040
    assert net["transceivers"]["switch"] == 1536
    assert net["transceivers"]["host"] == 508


def test_out_of_band_tells_hosts_switches_and_pdus_apart() -> None:
    plan = planned("starter-32")
    net = summarise(plan)["networks"]["oob"]
    others = plan.fabric.switches.filter(pl.col("network").cast(pl.String) != "oob")
    assert set(net["links"]) == {*KINDS, *OOB_KINDS}
    assert net["links"]["switch-leaf"] == others.height
    pdus = plan.fabric.hosts.filter(pl.col("role").cast(pl.String) == "pdu").height
    assert net["links"]["pdu-leaf"] == pdus == 2 * 2 * 8
    assert net["links"]["host-leaf"] == net["hosts"] == plan.fabric.hosts.height - pdus
    assert net["links"]["service-leaf"] == 0


def test_prices_are_named_where_a_sum_is() -> None:
    summary = summarise(planned("superpod-h100-4su"))
    assert "arXiv 2307.12169" in summary["totals"]["cost_basis"]
    assert "no spare parts" in render(summary)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    shown = render(summarise(planned("starter-32")), width)
    assert max(map(len, shown.splitlines())) <= max(width, 60)
    assert "\x1b" not in shown


def test_rail_only_is_counted_without_the_design() -> None:
    plan = plan_of(*rail_only(3))
    net = summarise(plan)["networks"]["compute"]
    assert (net["layout"], net["rails"], net["segments"]) == ("rail-only", 8, 3)
    assert net["switches"]["spine"] == {"model": "sn5600", "count": 16}
