"""Fault scripts, and the tables of counters and flow samples of the runs that they trouble."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import planned
from small_plans import plan_of
from test_simulate import four, job

from fabric.counters import counters, parse
from fabric.errors import InputError
from fabric.flowfile import parse_flows
from fabric.jobfile import Job
from fabric.plan import Plan
from fabric.samples import FLOW_SCHEMA, conform
from planner.simulate.effects import effects
from planner.simulate.events import spread
from planner.simulate.faults import KINDS, Fault, faults_from, link_ends, truth
from planner.simulate.flows import from_file
from planner.simulate.job import workload
from planner.simulate.paths import tier_hashes
from planner.simulate.pressure import PACKET, XOFF
from planner.simulate.reports import Interval
from planner.simulate.telemetry import START_NS, Scenario, Settings, epochs, intervals
from planner.simulate.wires import wires
from planner.simulate.write import write

LEAF, SPINE = "leaf-compute-s000-l0-p0", "spine-compute-d00-000"
EXTRA: dict[str, dict[str, Any]] = {
    "link-down": {}, "link-flap": {}, "link-errors": {}, "grey-loss": {"share": 0.01}, "slow-link": {"share": 0.25},
    "polarised-hash": {"tier": "spine"}, "low-entropy": {"ports": 1}, "regular-ports": {"step": 16},
    "incast": {"host": "gpu-0000", "rail": 0, "senders": 8}, "slow-receiver": {"host": "gpu-0000", "rail": 0},
    "slow-rail": {"host": "gpu-0000", "rail": 0}, "pfc-storm": {"host": "gpu-0000", "rail": 0},
    "lossless-drop": {"rate": 100.0}, "miswire": {"other_device": LEAF}, "config-drift": {"setting": "mtu"},
    "silence": {}, "reboot": {},
}  # fmt: skip


def up_ports(plan: Plan, device: str = LEAF) -> list[str]:
    """Ports of a leaf's uplinks."""
    number = plan.fabric.device_names().to_list().index(device)
    rows = plan.fabric.links.filter((pl.col("a_device") == number) & (pl.col("tier").cast(pl.String) == "leaf-spine"))
    return [plan.fabric.ports["name"][port] for port in rows["a_port"].sort()]


def host_port(plan: Plan, host: str, rail: int = 0) -> tuple[str, str, str]:
    """A host's port on a rail, its leaf and the leaf's port."""
    number = plan.fabric.device_names().to_list().index(host)
    rows = plan.fabric.links.filter((pl.col("a_device") == number) & (pl.col("rail") == rail))
    row = rows.filter(pl.col("network").cast(pl.String) == "compute").row(0, named=True)
    ports, names = plan.fabric.ports["name"], plan.fabric.device_names()
    return ports[row["a_port"]], names[row["b_device"]], ports[row["b_port"]]


def fault(kind: str, start: float = 10, end: float = 20, **more: Any) -> dict[str, Any]:
    """A fault of a kind, with what it needs from ``EXTRA`` and the first uplinks of the first leaf."""
    ports = up_ports(four())
    made = {"kind": kind, "start": start, "end": end, **EXTRA[kind], **more}
    for need in KINDS[kind].needs:
        default = {"device": LEAF, "port": ports[0], "other_port": ports[2]}.get(need)
        made.setdefault(need, default)
    return made


def script(*faults: dict[str, Any], plan: Plan | None = None) -> tuple[Fault, ...]:
    return faults_from({"faults": list(faults)}, plan or four(), "compute")


@cache
def ring() -> Job:
    """Hosts dealt over the segments, so that all traffic climbs."""
    hosts = four().fabric.hosts.filter(~pl.col("spare")).sort("place", "segment")["name"].to_list()
    return job(hosts, "all-reduce")


def run(*faults: dict[str, Any], **more: Any) -> list[Interval]:
    settings = Settings(**{"seconds": 30.0, "detail": False, "batch": 0.0} | more)
    plan = four()
    tracks = workload(plan, [ring()], "compute")
    scenario = Scenario(plan, "compute", [ring()], tracks, faults=script(*faults), method="colored", settings=settings)
    return list(intervals(scenario))


def rows(interval: Interval, device: str, port: str) -> dict[str, Any]:
    found = interval.counters.filter((pl.col("device") == device) & (pl.col("port") == port))
    return found.row(0, named=True)


def grown(run_of: list[Interval], number: int, device: str, port: str, counter: str) -> float:
    """What a counter grew by in an interval."""
    before = 0 if number == 0 else rows(run_of[number - 1], device, port)[counter]
    return float(rows(run_of[number], device, port)[counter] - before)


# scripts


def test_all_mistakes_of_a_script_are_told_at_once() -> None:
    wrong = [
        {"kind": "link-down", "start": 5, "end": 1, "device": LEAF},
        {"kind": "incast", "start": 0, "end": 1, "host": "gpu-9999", "rail": 0, "tier": "spine"},
        {"kind": "slow-rail", "start": 0, "end": 1, "host": "gpu-0000", "rail": 9},
        {"kind": "grey-loss", "start": 0, "end": 1, "device": LEAF, "port": "nowhere"},
    ]
    with pytest.raises(InputError) as error:
        script(*wrong)
    assert [str(problem) for problem in error.value.problems] == [
        "faults: faults[0].port: is missing; link-down needs device, port",
        "faults: faults[0].end: 1 is not after start, 5",
        "faults: faults[1].tier: does not belong to incast; leave it out",
        'faults: faults[1].host: the plan has no device "gpu-9999"; names are those of cables.csv'.replace(
            "device", "host"
        ),
        "faults: faults[2].rail: gpu-0000 has no rail 9 on the compute network; rails count from 0",
        f'faults: faults[3].port: {LEAF} has no link at port "nowhere" on the compute network; names are those of '
        "cables.csv",
    ]


@pytest.mark.parametrize("data", [None, [], {"fault": []}, {"faults": [{"kind": "link-dawn"}]}])
def test_what_is_no_script_is_refused(data: object) -> None:
    with pytest.raises(InputError):
        faults_from(data, four(), "compute")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(list(Fault.model_fields)), anything, max_size=4))
@settings(max_examples=60)
def test_no_script_brings_anything_but_problems(kind: str, change: dict[str, Any]) -> None:
    with suppress(InputError):
        truth(four(), "compute", script(fault(kind) | change))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_and_has_a_truth(kind: str) -> None:
    faults = script(fault(kind))
    (row,) = truth(four(), "compute", faults, START_NS)
    assert {"code", "cause", "subject", "onset_ns", "end_ns"} <= set(row)
    assert (row["onset_ns"], row["end_ns"]) == (START_NS + 10**10, START_NS + 2 * 10**10)
    assert row["cause"]
    assert row["subject"]
    found = run(fault(kind))
    assert len(found) == 3
    for interval in found:
        assert conform(interval.counters, kind).height == interval.counters.height


def test_a_link_in_the_truth_has_both_ends() -> None:
    port = up_ports(four())[0]
    (row,) = truth(four(), "compute", script(fault("link-down")))
    assert row["subject"]["link"][0] == {"device": LEAF, "port": port}
    far = link_ends(four(), LEAF, port)[1]
    assert row["subject"]["link"][1] == {"device": far[0], "port": far[1]}
    assert far[0].startswith("spine-")


def test_epochs_are_cut_where_traffic_changes() -> None:
    faults = script(fault("link-down", 5, 12), fault("link-errors", 3, 9), fault("low-entropy", 8, 100))
    found = list(epochs(Scenario(four(), "compute", faults=faults, settings=Settings(seconds=20))))
    assert [(e.begin, e.end, len(e.faults)) for e in found] == [(0, 5, 0), (5, 8, 1), (8, 12, 2), (12, 20, 1)]


# a healthy run


def test_what_leaves_one_end_arrives_at_the_other_and_counters_only_grow() -> None:
    found = run()
    links = four().fabric.links.filter(pl.col("network").cast(pl.String) == "compute")
    ports, names = four().fabric.ports["name"], four().fabric.device_names()
    for link in links.sample(40, seed=1).iter_rows(named=True):
        ends = [(names[link[f"{side}_device"]], ports[link[f"{side}_port"]]) for side in "ab"]
        one, other = (rows(found[-1], *end) for end in ends)
        assert (one["tx_bytes"], one["rx_bytes"]) == (other["rx_bytes"], other["tx_bytes"])
        assert one["tx_packets"] == other["rx_packets"]
    counters = [name for name in found[0].counters.columns if found[0].counters[name].dtype == pl.UInt64]
    for before, after in pairwise(found):
        for name in counters:
            assert (after.counters[name].fill_null(0).cast(int) >= before.counters[name].fill_null(0).cast(int)).all()


def test_a_port_moves_the_rings_bytes() -> None:
    """Line rate while the ring runs, and a fifth of the time idle: 400 Gb/s · 10 s / 1.25."""
    found = run(idle=0.25)
    port, leaf, leaf_port = host_port(four(), "gpu-0000")
    for number in range(3):
        assert grown(found, number, "gpu-0000", port, "tx_bytes") == pytest.approx(400e9 / 8 * 10 / 1.25, rel=1e-3)
        assert grown(found, number, leaf, leaf_port, "queue_tx_packets_q3") == pytest.approx(4e11 / PACKET, rel=1e-3)
    assert grown(found, 2, leaf, leaf_port, "queue_ecn_marked_packets_q3") == 0
    assert grown(found, 2, leaf, leaf_port, "rx_pfc_pause_seconds_p3") == 0


def test_the_same_seed_gives_the_same_tables_and_another_does_not() -> None:
    one, same, other = (run(seed=seed, sampling=1_000_000)[1] for seed in (1, 1, 2))
    assert one.counters.equals(same.counters)
    assert one.flows.equals(same.flows)
    assert not one.counters.equals(other.counters)


def test_every_counter_that_a_device_has_is_there_with_the_schemas_dtype() -> None:
    (interval,) = intervals(Scenario(four(), "compute", settings=Settings(seconds=10)))
    switch = pl.col("device").str.starts_with("leaf") | pl.col("device").str.starts_with("spine")
    for which, protocols in ((switch, ("oid", "gnmi", "sonic", "sflow")), (~switch, ("sysfs", "ethtool"))):
        frame = interval.counters.filter(which & pl.col("port").is_not_null())
        has = {parse(name)[0].name for name in frame.columns[4:] if frame[name].null_count() < frame.height}  # type: ignore[index]
        wanted = {
            counter.name
            for counter in counters().values()
            if counter.kind == "counter" and any(counter.addresses.get(protocol) for protocol in protocols)
        }
        assert wanted <= has
        assert {name for name in has if counters()[name].kind == "counter"} <= wanted


def test_infiniband_waits_for_credits_and_has_no_pfc() -> None:
    plan = planned("superpod-h100-1su")
    made = job(plan.fabric.hosts.filter(pl.col("gpus") > 0)["name"].to_list()[:8], "all-to-all", skew=1.5)
    scenario = Scenario(plan, "compute", [made], workload(plan, [made], "compute"), settings=Settings(seconds=10))
    (interval,) = intervals(scenario)
    assert interval.counters["tx_wait_ticks"].sum() > 0
    assert not [name for name in interval.counters.columns if "pfc" in name or "lldp" in name]


def test_stale_counters_stand_still_and_then_make_up_for_it() -> None:
    found = run(interval=2.0, refresh=5.0, seconds=20.0)
    _, leaf, port = host_port(four(), "gpu-0000")
    steps = np.array([grown(found, n, leaf, port, "tx_bytes") for n in range(10)])
    assert (steps == 0).sum() >= 2
    assert steps.max() == pytest.approx(400e9 / 8 * 5 / 1.25, rel=0.01)
    host = host_port(four(), "gpu-0000")[0]
    assert min(grown(found, n, "gpu-0000", host, "tx_bytes") for n in range(10)) > 0


def test_a_run_of_nothing_reports_a_trickle() -> None:
    (interval,) = intervals(Scenario(four(), "compute", settings=Settings(seconds=10, detail=False)))
    assert 0 < interval.counters["tx_bytes"].max() < 1_000_000  # type: ignore[operator]
    assert interval.flows.is_empty()


# faults in counters


def test_a_link_that_is_down_says_so_at_both_ends_and_carries_nothing() -> None:
    found = run(fault("link-down"))
    port = up_ports(four())[0]
    for device, name in link_ends(four(), LEAF, port):
        assert [rows(i, device, name)["oper_status"] for i in found] == [1, 2, 1]
        assert [grown(found, n, device, name, "link_down_events") for n in range(3)] == [0, 1, 0]
        assert grown(found, 1, device, name, "tx_bytes") == 0
        assert grown(found, 2, device, name, "tx_bytes") > 0


def test_a_flapping_link_goes_down_again_and_again() -> None:
    found = run(fault("link-flap", every=2.5))
    assert grown(found, 1, LEAF, up_ports(four())[0], "link_down_events") == 4


def test_a_grey_link_loses_its_share_and_receivers_see_gaps() -> None:
    port = up_ports(four())[0]
    found = run(fault("grey-loss", share=0.01))
    (_, _), (far, far_port) = link_ends(four(), LEAF, port)
    sent, came = grown(found, 1, far, far_port, "tx_packets"), grown(found, 1, LEAF, port, "rx_packets")
    assert (sent - came) / sent == pytest.approx(0.01, rel=0.02)
    gaps = found[1].counters["roce_out_of_sequence_packets"].sum()
    assert gaps == pytest.approx(sent - came, rel=0.02)
    assert found[0].counters["roce_out_of_sequence_packets"].sum() == 0


def test_errors_and_drops_are_counted_at_their_port_alone() -> None:
    ports = up_ports(four())
    found = run(fault("link-errors", rate=100.0), fault("lossless-drop", port=ports[1], rate=100.0))
    assert grown(found, 1, LEAF, ports[0], "fec_uncorrectable_codewords") > 300
    assert grown(found, 1, LEAF, ports[0], "rx_fcs_errors") > 200
    assert 800 < grown(found, 1, LEAF, ports[1], "tx_discards") < 1200
    last = found[-1].counters
    assert last.filter(pl.col("fec_uncorrectable_codewords") > 0).height == 1
    assert last.filter(pl.col("tx_discards") > 0).height == 1
    assert (last["fec_corrected_codewords"].drop_nulls() > 0).all()


def test_a_slow_link_runs_at_its_share() -> None:
    found = run(fault("slow-link", share=0.25))
    port = up_ports(four())[0]
    assert [rows(i, LEAF, port)["speed_gbps"] for i in found] == [400, 100, 400]
    assert grown(found, 1, LEAF, port, "tx_bytes") <= 100e9 / 8 * 10 * 1.001


def incast_alone(**more: Any) -> list[Interval]:
    lines = ["flow,src_host,src_rail,dst_host,dst_rail,gbps"]
    lines += [f"{n},gpu-{8 + n:04d},0,gpu-0000,0,400" for n in range(8)]
    flows = from_file(parse_flows("\n".join(lines), four(), "compute"))
    scenario = Scenario(four(), "compute", flows=flows, method="colored", settings=Settings(detail=False, **more))
    return list(intervals(scenario))


def test_an_incast_pauses_its_senders_by_just_what_the_victim_lacks() -> None:
    """Eight senders of 400 Gb/s into one port: each gets an eighth and is paused seven eighths of the time."""
    found = incast_alone(seconds=10)
    _, leaf, leaf_port = host_port(four(), "gpu-0000")
    victim = rows(found[0], leaf, leaf_port)
    assert victim["tx_bytes"] == pytest.approx(400e9 / 8 * 10, rel=1e-3)
    assert victim["queue_watermark_bytes_q3"] > XOFF * 3.2e6
    assert victim["queue_ecn_marked_packets_q3"] == pytest.approx(0.2 * victim["queue_tx_packets_q3"], rel=1e-3)
    assert victim["rx_pfc_pause_seconds_p3"] == 0, "the victim itself is not paused"
    for n in range(8):
        port, near, near_port = host_port(four(), f"gpu-{8 + n:04d}")
        sender = rows(found[0], f"gpu-{8 + n:04d}", port)
        assert sender["tx_bytes"] == pytest.approx(50e9 / 8 * 10, rel=1e-3)
        assert sender["rx_pfc_pause_seconds_p3"] == pytest.approx(8.75, rel=1e-6)
        assert rows(found[0], near, near_port)["tx_pfc_pause_seconds_p3"] == sender["rx_pfc_pause_seconds_p3"]
    bystander = rows(found[0], *host_port(four(), "gpu-0001")[1:])
    assert (bystander["rx_pfc_pause_seconds_p3"], bystander["tx_pfc_pause_seconds_p3"]) == (0, 0)


def test_a_slow_receiver_pauses_its_leaf_by_what_it_does_not_take() -> None:
    found = run(fault("slow-receiver", share=0.5), idle=0.0)
    _, leaf, port = host_port(four(), "gpu-0000")
    assert grown(found, 1, leaf, port, "rx_pfc_pause_seconds_p3") == pytest.approx(5.0, rel=0.02)
    assert grown(found, 1, leaf, port, "tx_bytes") == pytest.approx(200e9 / 8 * 10, rel=1e-2)
    assert grown(found, 0, leaf, port, "rx_pfc_pause_seconds_p3") == 0


def test_a_storm_spreads_without_a_watchdog_and_is_cut_off_with_one() -> None:
    _, leaf, port = host_port(four(), "gpu-0000")
    paused = []
    for watchdog in (True, False):
        found = run(fault("pfc-storm", watchdog=watchdog))
        assert grown(found, 1, leaf, port, "rx_pfc_pause_seconds_p3") == pytest.approx(10.0)
        assert grown(found, 1, leaf, port, "queue_tx_bytes_q3") == 0
        assert grown(found, 1, leaf, port, "pfc_watchdog_storms_q3") == 1
        whole = [i.counters["rx_pfc_pause_seconds_p3"].fill_null(0.0).to_numpy() for i in found[:2]]
        paused.append(int(((whole[1][: len(whole[0])] - whole[0]) > 9.9).sum()))
    assert paused[0] == 1
    assert paused[1] > 2, "who sends to the stormed host stands still too"


def test_blocking_spreads_against_the_flow_of_paths() -> None:
    start, items = np.array([0, 3, 6, 8], np.int32), np.array([0, 1, 2, 3, 1, 4, 5, 3], np.int32)
    blocked = np.zeros(6, dtype=np.bool_)
    blocked[2] = True
    spread(start, items, blocked)
    assert blocked.tolist() == [True, True, True, True, False, True]


def test_who_is_silent_sends_nothing_and_a_reboot_begins_anew() -> None:
    found = run(fault("silence", device=SPINE), fault("reboot", device=LEAF))
    assert [i.counters.filter(pl.col("device") == SPINE).is_empty() for i in found] == [False, True, False]
    assert [i.outcomes.filter(device=SPINE)["outcome"][0] for i in found] == ["ok", "silent", "ok"]
    port = up_ports(four())[0]
    assert rows(found[2], LEAF, port)["tx_bytes"] < 1.5 * rows(found[0], LEAF, port)["tx_bytes"]
    uptime = found[2].counters.filter((pl.col("device") == LEAF) & pl.col("port").is_null())["uptime_seconds"]
    assert uptime.to_list() == [10.0]


def test_swapped_ports_hear_each_others_neighbours() -> None:
    ports = up_ports(four())
    found = run(fault("miswire", 0, 30))
    (_, far), (_, farther) = link_ends(four(), LEAF, ports[0]), link_ends(four(), LEAF, ports[2])
    heard = [rows(found[0], LEAF, port) for port in (ports[0], ports[2])]
    assert [(h["lldp_system"], h["lldp_port_description"]) for h in heard] == [farther, far]
    back = [rows(found[0], *end)["lldp_port_description"] for end in (far, farther)]
    assert back == [ports[2], ports[0]]
    assert rows(found[0], LEAF, ports[1])["lldp_system"] == link_ends(four(), LEAF, ports[1])[1][0]


@pytest.mark.parametrize(
    ("setting", "device", "column", "planned_value", "drifted"),
    [
        ("mtu", LEAF, "mtu_bytes", 9216, 1500), ("pfc", LEAF, "pfc_enabled_mask", 8, 0),
        ("pcie", "gpu-0000", "pcie_lanes", 16, 8), ("gid", "gpu-0000", "gid_type", "RoCE v2", "IB/RoCE v1"),
    ],
)  # fmt: skip
def test_a_drifted_setting_shows(setting: str, device: str, column: str, planned_value: Any, drifted: Any) -> None:
    found = run(fault("config-drift", setting=setting, device=device, start=10, end=40), states_every=10)
    seen = [i.counters.filter((pl.col("device") == device) & pl.col("port").is_not_null())[column] for i in found]
    assert set(seen[0].drop_nulls()) == {planned_value}
    assert set(seen[1].drop_nulls()) == {drifted}


# hashes and samples


def test_a_polarised_tier_hashes_as_the_one_below() -> None:
    whole = wires(four(), "compute")
    found = effects(whole, script(fault("polarised-hash")))
    assert set(found.hashes) == set(np.flatnonzero(whole.level == 2).tolist())
    assert set(found.hashes.values()) == {tier_hashes(whole)["leaf"]}


def test_polarised_spines_leave_links_to_cores_idle() -> None:
    """Three tiers: the flows that a spine gets agreed in their hash at the leaf, and agree again."""
    plan = plan_of("three-tier")
    hosts = plan.fabric.hosts.filter(pl.col("gpus") > 0).sort("pod")["name"].to_list()
    half = len(hosts) // 2
    lines = ["flow,src_host,src_rail,dst_host,dst_rail,gbps,queue_pairs"]
    lines += [f"{n},{hosts[n]},{r},{hosts[n + half]},{r},1,64" for r in range(2) for n in range(half)]
    lines[1:] = [f"{n},{line.split(',', 1)[1]}" for n, line in enumerate(lines[1:])]
    flows = from_file(parse_flows("\n".join(lines), plan, "compute"))
    busy = []
    for faults in ((), script({"kind": "polarised-hash", "tier": "spine", "start": 0, "end": 20}, plan=plan)):
        scenario = Scenario(plan, "compute", flows=flows, faults=faults, settings=Settings(seconds=10, detail=False))
        (interval,) = intervals(scenario)
        sends = pl.col("device").str.starts_with("spine") & pl.col("lldp_system").str.starts_with("core")
        busy.append(interval.counters.filter(sends & (pl.col("queue_tx_bytes_q3") > 0)).height)
    assert busy[1] <= 0.6 * busy[0]


def test_low_entropy_and_regular_ports_show_in_samples() -> None:
    common = {"start": 0, "end": 30, "sampling": 300_000}
    one = run(fault("low-entropy", 0, 30), sampling=common["sampling"])[0].flows
    assert one["src_port"].unique().to_list() == [0xC000]
    steps = run(fault("regular-ports", 0, 30), sampling=common["sampling"])[0].flows["src_port"].unique()
    assert len(steps) > 50
    assert set((steps.cast(int) % 16).unique()) == {0}


def test_samples_are_binomial_and_name_the_ports_of_the_path() -> None:
    one_in = 1_000_000
    found = run(sampling=one_in)[1]
    busy = pl.col("queue_tx_packets_q3") > 0
    expected = sum(
        grown([found], 0, device, port, "queue_tx_packets_q3") / 2 / one_in
        for device, port in found.counters.filter(busy).select("device", "port").iter_rows()
    )
    assert abs(found.flows.height - expected) < 5 * np.sqrt(expected)
    assert found.flows.schema == pl.Schema(FLOW_SCHEMA)
    known = set(found.counters.select("device", "port").iter_rows())
    assert set(found.flows.select("device", "in_port").iter_rows()) <= known
    assert set(found.flows.select("device", "out_port").iter_rows()) <= known
    assert found.flows["time_ns"].is_sorted()
    assert found.flows["time_ns"].is_between(START_NS + 10**10, START_NS + 2 * 10**10).all()


def test_too_many_samples_are_refused_before_they_are_made() -> None:
    with pytest.raises(InputError, match=r"one frame in 100 makes .* flow samples an interval; at most 20,000,000"):
        run(sampling=100)


def test_a_mark_shows_behind_the_queue_that_made_it() -> None:
    plan = four()
    tracks = workload(plan, [ring()], "compute")
    settings = Settings(seconds=10, sampling=300_000, detail=False)
    (found,) = intervals(Scenario(plan, "compute", [ring()], tracks, settings=settings))
    spines = pl.col("device").str.starts_with("spine")
    assert 0 < (found.flows.filter(spines)["ecn"] == 3).mean() < 0.2  # type: ignore[operator]
    entering = found.counters.filter(pl.col("lldp_system").str.starts_with("gpu")).select("device", in_port="port")
    first_leaf = found.flows.join(entering, on=["device", "in_port"])
    assert first_leaf.height > 1000
    assert first_leaf["ecn"].unique().to_list() == [2]


@given(st.floats(0, 200), st.floats(0.001, 200))
@settings(max_examples=50)
def test_any_interval_of_a_repeated_iteration_is_the_sum_of_its_parts(begin: float, length: float) -> None:
    line = _timeline()
    cut = begin + 0.37 * length
    whole = line.weights(begin, begin + length)
    parts = line.weights(begin, cut) + line.weights(cut, begin + length)
    np.testing.assert_allclose(whole, parts, atol=1e-9)
    assert whole.sum() <= length + 1e-9
    np.testing.assert_allclose(line.weights(0, line.period * 3), 3 * np.array([s.seconds for s in line.spans]))


@cache
def _timeline() -> Any:
    from planner.simulate.events import Clock, Work, spans
    from planner.simulate.timeline import Timeline

    hops = np.array([[0], [0], [1]], dtype=np.int32)
    found = list(
        spans([[Work(hops, np.array([1e9, 2e9, 9e9]), np.full(3, np.inf))]], np.array([10.0, 10.0]), Clock(), 0.0)
    )
    return Timeline(tuple(found), (), sum(span.seconds for span in found) * 1.25)


# the folder


def test_the_folder_holds_what_it_says(tmp_path: Path) -> None:
    plan = four()
    tracks = workload(plan, [ring()], "compute")
    faults = script(fault("link-down"))
    settings = Settings(seconds=30, sampling=3_000_000)
    write(Scenario(plan, "compute", [ring()], tracks, faults=faults, settings=settings), {"version": 1}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "counters.parquet", "flows.parquet", "jobs.csv", "qps.csv", "simulation.json", "truth.jsonl",
    ]  # fmt: skip
    counters = pl.read_parquet(tmp_path / "counters.parquet")
    assert conform(counters, "counters").height == counters.height
    assert counters.filter(pl.col("outcome") == "ok").height == 3 * counters["device"].n_unique()
    assert pl.read_parquet(tmp_path / "flows.parquet").schema == pl.Schema(FLOW_SCHEMA)
    jobs, qps = (pl.read_csv(tmp_path / name) for name in ("jobs.csv", "qps.csv"))
    assert jobs.columns == ["job", "host", "gpu", "rank", "start_ns", "end_ns"]
    assert (jobs.height, jobs["rank"].max()) == (256, 255)
    assert qps.columns == ["src_host", "src_rail", "dst_host", "dst_rail", "src_port", "dest_qp", "job"]
    assert qps.height == 256
    samples = pl.read_parquet(tmp_path / "flows.parquet")
    assert set(samples["dest_qp"]) <= set(qps["dest_qp"])
    (line,) = (tmp_path / "truth.jsonl").read_text().splitlines()
    assert json.loads(line)["code"] == "link"
