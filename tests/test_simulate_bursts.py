"""Bursts beside the jobs, and flows without end beside jobs that stand still."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
from test_simulate import four, job

from fabric.qos import qos
from planner.simulate.faults import faults_from
from planner.simulate.job import workload
from planner.simulate.pressure import curve
from planner.simulate.reports import Interval
from planner.simulate.telemetry import Scenario, Settings, intervals
from planner.simulate.wires import wires

QUIET = ("ecn_marked_packets", "rx_discards", "tx_discards", "rx_pfc_port_frames", "roce_sequence_errors")


@cache
def run(bursts: float, *stalls: str, sampling: int = 0) -> tuple[Interval, ...]:
    """Rings over all hosts for 40 s; from 20 s on what ``stalls`` names goes on at two hosts."""
    plan = four()
    hosts = plan.fabric.hosts.filter(~pl.col("spare")).sort("place", "segment")["name"].to_list()
    places = {"pfc-storm": hosts[0], "incast": hosts[9]}
    faults = [{"kind": kind, "host": places[kind], "rail": 0, "start": 20, "end": 40} for kind in stalls]
    ring = job(hosts, "all-reduce")
    settings = Settings(seconds=40, detail=False, idle=1.0, bursts=bursts, sampling=sampling)
    tracks = workload(plan, [ring], "compute")
    script = faults_from({"faults": faults}, plan, "compute")
    return tuple(intervals(Scenario(plan, "compute", [ring], tracks, faults=script, settings=settings)))


def column(interval: Interval, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A column of the ports, NaN where null."""
    ports = interval.counters.filter(pl.col("port").is_not_null())
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = ports[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


def test_bursts_add_bytes_and_watermarks_but_no_mark_pause_or_drop() -> None:
    plain, busy = run(0.0)[-1], run(0.03)[-1]
    more = column(busy, "tx_bytes") - column(plain, "tx_bytes")
    assert (more >= 0).all()
    assert (more > 0).mean() > 0.5
    for name in QUIET:
        np.testing.assert_array_equal(column(busy, name), column(plain, name))
    higher = column(busy, "queue_watermark_bytes_q3") > column(plain, "queue_watermark_bytes_q3")
    kmin = curve(wires(four(), "compute"), qos(four(), "compute")).kmin.max()
    assert higher.any()
    assert column(busy, "queue_watermark_bytes_q3")[higher].max() < kmin


def test_nics_send_on_average_what_was_asked_and_never_more_than_their_line() -> None:
    plain, busy = run(0.0)[-1], run(0.03)[-1]
    nics = busy.counters.filter(pl.col("port").is_not_null())["device"].str.starts_with("gpu-").to_numpy()
    share = (column(busy, "tx_bytes") - column(plain, "tx_bytes"))[nics] * 8 / 40e9 / 400
    assert 0.02 < share.mean() < 0.035
    assert (column(busy, "tx_bytes")[nics] * 8 / 40e9 <= 400).all()


def test_what_bursts_send_arrives() -> None:
    busy = run(0.03)[-1].counters.filter(pl.col("port").is_not_null())
    assert busy["tx_bytes"].sum() == busy["rx_bytes"].sum()


def test_bursts_are_sampled_and_the_same_in_every_run() -> None:
    plain, busy = run(0.0, sampling=2_000_000), run(0.03, sampling=2_000_000)
    assert sum(one.flows.height for one in busy) > sum(one.flows.height for one in plain)
    again = run.__wrapped__(0.03, sampling=2_000_000)
    assert all(a.counters.equals(b.counters) and a.flows.equals(b.flows) for a, b in zip(busy, again, strict=True))


def test_a_storm_lets_no_burst_through() -> None:
    late = [column(one, "rx_bytes") for one in run(0.03, "pfc-storm")[-2:]]
    device = run(0.03)[-1].counters.filter(pl.col("port").is_not_null())["device"]
    victim = np.flatnonzero((device == "gpu-0000").to_numpy())[0]
    assert late[1][victim] - late[0][victim] < 1e6


def test_flows_without_end_go_on_where_a_job_stands_still() -> None:
    early, late = (column(one, "tx_bytes") for one in run(0.0, "pfc-storm", "incast")[-2:])
    alone, after = (column(one, "tx_bytes") for one in run(0.0, "pfc-storm")[-2:])
    assert ((after - alone) < 1e6).all()
    assert (late - early).max() * 8 / 10e9 > 300
