"""Drops where none may be: told at once, but not those of a watchdog, of PFC that is off, of a link that went down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planned import planned
from small_plans import plan_of
from storms import LEAF, hits, opened, simulated, the_job, watched
from test_simulate import four
from test_simulate_faults import host_port, up_ports

from collectors.detectors.pauses.lossless import lossless
from collectors.detectors.view import NONE, view
from fabric.findings import Severity
from fabric.plan import Plan
from fabric.qos import port_headroom, qos

TIMES = {"start": 13, "end": 47}


def drop(**more: Any) -> dict[str, Any]:
    """A fault at the leaf's first uplink."""
    return {"kind": "lossless-drop", "device": LEAF, "port": up_ports(four())[0]} | TIMES | more


@pytest.mark.parametrize("plan", [planned("starter-32"), plan_of("two-tier"), planned("superpod-h100-1su")])
def test_lossless_ports_are_those_that_switches_are_configured_for(plan: Plan) -> None:
    seen = view(plan)
    found = lossless(seen)
    for code, network in enumerate(seen.networks):
        mine = found.ports & (seen.network == code)
        rules = qos(plan, network) if network in plan.design.networks else None
        configured = port_headroom(plan, network)["port"].to_list() if rules else []
        assert np.flatnonzero(mine & seen.on_switch).tolist() == configured
        if rules:
            assert set(found.priority[mine]) == {rules.roce_class}
            assert all(seen.peer[mine] != NONE)


@pytest.mark.parametrize("more", [{}, {"rate": 0.5}])
@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_a_drop_is_critical_and_told_within_two_intervals(more: dict[str, Any], refresh: float) -> None:
    found = watched(simulated([drop(**more)], refresh=refresh))
    hits(found, drop(**more), within=2)
    assert {finding.severity for _, finding in found} == {Severity.CRITICAL}


def test_what_a_watchdog_drops_is_the_storms() -> None:
    storm = {"kind": "pfc-storm", "host": "gpu-0000", "rail": 0, **TIMES}
    run = simulated([storm], the_job("all-to-all"), refresh=7.0)
    assert [row[1] for row in opened(watched(run))] == ["pfc-storm"]
    assert watched(run, ["lossless-drop"]) == []
    _, leaf, port = host_port(four(), "gpu-0000")
    dropped = run[-1].counters.filter(device=leaf, port=port)["queue_dropped_packets_q3"]
    assert dropped[0] > 0, "and there were some"


@pytest.mark.parametrize("refresh", [0.0, 7.0])
def test_drops_on_the_way_in_wait_for_the_setting_and_are_told_where_pfc_is_on(refresh: float) -> None:
    drift = {"kind": "config-drift", "device": LEAF, "setting": "pfc", "start": 13, "end": 77}
    run = simulated([drift], refresh=refresh, seconds=120.0)
    assert [row[1:3] for row in opened(watched(run))] == [("config-drift", "pfc")]
    for interval in run:
        interval.counters.drop_in_place("pfc_enabled_mask") if "pfc_enabled_mask" in interval.counters.columns else None
    found = opened(watched(run, ["lossless-drop"]))
    assert {row[3]["switch"] for row in found} == {LEAF}
    assert min(row[0] for row in found) <= 30, "who tells no setting is told of at once"


def test_a_total_without_queues_is_a_warning() -> None:
    run = simulated([drop()])
    for interval in run:
        interval.counters.drop_in_place("queue_dropped_packets_q3")
    found = watched(run)
    assert [row[1:] for row in opened(found)] == [
        ("lossless-drop", "drop", {"switch": LEAF, "ports": [drop()["port"]]})
    ]
    assert found[0][1].severity == Severity.WARNING


def test_drops_of_a_link_that_went_down_are_the_links() -> None:
    down = {"kind": "link-down", "device": LEAF, "port": drop()["port"], "start": 12, "end": 60}
    assert watched(simulated([down, drop(start=14, end=30)]), ["lossless-drop"]) == []
