"""Faults over the wire: what is stored is what was counted, and what is said of it what is said of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from benchmarks.detection import wire, wire_compare
from benchmarks.detection.plans import plan_of
from collectors.store.line import counter_lines
from collectors.store.series import SeriesTags
from fabric.samples import KEYS, empty_flows, schema
from planner.simulate.faults import KINDS
from railwright.replay.gnmi import Servers
from railwright.replay.recording import Recording, standing
from railwright.replay.steps import Steps

SECOND = 10**9


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "way"), [("link-flap", "snmp"), ("incast", "sonic")])
def test_a_fault_over_the_wire_is_the_fault_in_the_tables(kind: str, way: str, tmp_path: Path) -> None:
    result = wire.one(kind, way, "DuckDB", tmp_path)
    assert result.wrong == {}
    assert result.values > 250_000
    assert result.flows_wrong == 0
    assert result.flows > 0 or kind != "incast"
    assert result.findings > 0
    assert result.same_findings
    assert (result.found, result.cause) == (True, True)


def test_every_fault_has_a_way_and_what_detectors_read_has_one() -> None:
    assert set(wire.WAYS) | set(wire.STORES) <= set(KINDS)
    assert set(wire.WAYS.values()) | {"snmp"} == set(wire_compare.SPEAKS)
    for name in ("rx_bytes", "rx_pfc_frames_p3", "queue_watermark_bytes_q3", "lldp_system", "uptime_seconds"):
        assert any(wire_compare.unit(name, protocols) is not None for protocols in wire_compare.SPEAKS.values()), name
    assert {"rx_bytes", "oper_status", "rx_pfc_pause_seconds", "lldp_system"} <= wire_compare.read_by_detectors()


def test_what_differs_is_counted_by_column() -> None:
    one = table([(0, "Ethernet0", 5, 1.0), (0, "Ethernet1", 7, None)])
    assert wire_compare.compared(one, one) == (3, {})
    other = table([(0, "Ethernet0", 5, 1.0 + 1e-9), (0, "Ethernet2", 7, None)])
    assert wire_compare.compared(one, other) == (3, {"rx_bytes": 2, "speed_gbps": 1})
    assert wire_compare.compared(one, one.drop("rx_bytes")) == (3, {"rx_bytes": 2})
    assert wire_compare.compared(one.drop("rx_bytes"), one) == (1, {"rx_bytes": 2})


def table(rows: list[tuple[int, str, int | None, float | None]]) -> pl.DataFrame:
    made = pl.DataFrame(rows, ["time_ns", "port", "rx_bytes", "speed_gbps"], orient="row")
    made = made.with_columns(device=pl.lit("leaf"), received_ns="time_ns")
    return made.select(pl.col(name).cast(kind) for name, kind in schema(["rx_bytes", "speed_gbps"]).items())


def test_what_no_protocol_has_is_not_expected_of_it() -> None:
    leaf = plan_of("small").fabric.switches["name"][0]
    made = table([(0, "Ethernet0", 5, 1.0)]).with_columns(
        device=pl.lit(leaf), fec_corrected_codewords=pl.lit(3, pl.UInt64), rx_pfc_pause_seconds_p3=pl.lit(0.0123456)
    )
    assert wire_compare.carried(made, [leaf], "snmp").row(0)[4:] == (5, 1.0, None, 0.012)
    assert wire_compare.carried(made, [leaf], "sonic").row(0)[4:] == (5, 1.0, 3, 0.012346)
    assert wire_compare.carried(made, [], "snmp").row(0)[4:] == (5, 1.0, 3, 0.012346)


def test_what_a_way_lacks_another_has() -> None:
    columns = ["rx_bytes", "queue_watermark_bytes_q3", "rx_pfc_pause_seconds_p3", "uptime_seconds", *KEYS]
    assert list(wire_compare.lacking(columns)) == [
        "snmp does not carry queue_watermark_bytes_q3; openconfig, sonic",
        "openconfig does not carry rx_pfc_pause_seconds_p3; snmp, sonic",
        "openconfig does not carry uptime_seconds; snmp",
        "sonic does not carry uptime_seconds; snmp",
        "host does not carry queue_watermark_bytes_q3; nothing else does",
        "host does not carry uptime_seconds; nothing else does",
    ]


def test_nothing_was_told_to_a_device_that_nobody_listens_to() -> None:
    """So that an interval does not end while streams are made anew."""
    made = table([(10 * SECOND, "Ethernet0", 5, 1.0)])
    servers = Servers(Recording(made, empty_flows(), ("leaf",), {}), cast(Any, Steps([10 * SECOND])))
    try:
        assert not servers.told(10 * SECOND)
    finally:
        servers.close()


def test_a_clock_that_steps_gives_recorded_time_back() -> None:
    steps = Steps([10 * SECOND, 20 * SECOND])
    first = steps.ours(0)
    assert steps.sample() < 10 * SECOND
    steps.to(10 * SECOND)
    steps.to(15 * SECOND)
    assert (steps.now_ns(), steps.sample()) == (15 * SECOND, 10 * SECOND)
    steps.to(20 * SECOND)
    for at in (10, 15, 20):
        assert steps.recorded(steps.ours(at * SECOND)) == at * SECOND
    assert (steps.recorded(first), steps.recorded(1 << 62)) == (10 * SECOND - 1, 20 * SECOND)


def test_settings_stand_until_they_are_asked_for_again() -> None:
    rows = [
        (at, port, 9216.0 if at in (1, 4) else None, "far" if at in (1, 4) and (at, port) != (4, "b") else None)
        for at in range(1, 6) for port in ("a", "b")
    ]  # fmt: skip
    made = pl.DataFrame(rows, ["time_ns", "port", "mtu_bytes", "lldp_system"], orient="row")
    made = made.with_columns(device=pl.lit("leaf"), received_ns="time_ns", rx_bytes=pl.lit(1, pl.UInt64))
    found = standing(made)
    assert found.columns == made.columns
    assert found["mtu_bytes"].to_list() == [9216.0] * 10
    assert found["lldp_system"].to_list() == ["far"] * 7 + [None, "far", None]


def test_texts_of_some_ports_become_lines() -> None:
    """What polars 2.1 panicked at: neighbours of the last of many ports, and none of the others."""
    plan = plan_of("small")
    fabric = plan.fabric
    names = fabric.device_names()
    zero = pl.lit(0, pl.Int64)
    device = names.gather(fabric.ports["device"])
    ports = fabric.ports.select(time_ns=zero, received_ns=zero, device=device, port="name")
    hosts = ports["device"].is_in(fabric.hosts["name"].to_list())
    rows = pl.concat([ports.filter(~hosts)[:768], ports.filter(hosts)[:256]])
    rows = rows.with_columns(gid_type=pl.when(pl.int_range(pl.len()) >= 768).then(pl.lit("RoCE v2")))
    lines = b"".join(counter_lines(rows, SeriesTags.of(plan))).decode().splitlines()
    assert sum("counter=gid_type,text=RoCE%20v2 present=1u" in line for line in lines) == 256
