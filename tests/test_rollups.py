"""Roll-ups against a loop over the plan's tables, in one go and as samples come."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_plans import plan_of

from collectors.store.rollups import Members, Rolling, rollup
from fabric.plan import Plan

SECOND = 1_000_000_000
INTERVAL = 10 * SECOND
START = 1_700_000_000 * SECOND
PLANS = ("two-tier", "three-tier", "rail-only")


def samples(plan: Plan, times: int, seed: int = 5) -> pl.DataFrame:
    """Every port at every interval, a little after its start; now and then a counter falls or a row is missing."""
    dice = random.Random(seed)
    names = plan.fabric.device_names()
    rows = []
    for device, port in plan.fabric.ports.select("device", "name").iter_rows():
        sent = errors = 0
        for n in range(times):
            sent = 0 if dice.random() < 0.05 else sent + dice.randrange(10**6)
            errors += dice.random() < 0.02
            time_ns = START + n * INTERVAL + 300_000_000
            if dice.random() > 0.05:
                rows.append((time_ns, time_ns, names[device], port, sent, errors))
    columns = ("time_ns", "received_ns", "device", "port", "tx_bytes", "rx_errors")
    return pl.DataFrame(rows, schema=columns, orient="row").cast({"tx_bytes": pl.UInt64, "rx_errors": pl.UInt64})


def sets_of(plan: Plan) -> dict[tuple[str, ...], set[tuple[str, str]]]:
    """The ports of each rail, segment, link tier and ECMP group, by loops over links."""
    names = plan.fabric.device_names()
    found: dict[tuple[str, ...], set[tuple[str, str]]] = defaultdict(set)
    ports = {
        i: (names[device], name) for i, device, name in plan.fabric.ports.select("id", "device", "name").iter_rows()
    }
    switches = {row["id"]: row for row in plan.fabric.switches.iter_rows(named=True)}
    linked: dict[int, dict[str, str | None]] = {}
    for row in plan.fabric.links.iter_rows(named=True):
        for end in "ab":
            if row[f"{end}_port"] is not None:
                linked[row[f"{end}_port"]] = {name: row[name] for name in ("tier", "segment", "rail")}
    for port in plan.fabric.ports.iter_rows(named=True):
        link = linked.get(port["id"], {})
        own = switches.get(port["device"], {})
        for by in ("rail", "segment", "tier"):
            value = link.get(by)
            if value is None and by != "tier":
                value = own.get(by)
            if value is None and by == "segment" and port["device"] < plan.fabric.hosts.height:
                value = plan.fabric.hosts["segment"][port["device"]]
            if value is not None:
                found[by, port["network"], str(value)].add(ports[port["id"]])
    for row in plan.fabric.ecmp_groups().iter_rows(named=True):
        name = "up" if row["peer"] is None else f"down-{row['peer']}"
        found["group", row["network"], names[row["device"]], name].add(ports[row["port"]])
    return found


@pytest.mark.parametrize("name", PLANS)
def test_rollups_are_what_a_loop_says(name: str) -> None:
    plan = plan_of(name)
    rows = samples(plan, 3)
    found = rollup(rows, Members.of(plan), INTERVAL)
    rates: dict[tuple[int, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for (device, port), part in rows.partition_by("device", "port", as_dict=True).items():
        part = part.sort("time_ns")
        for before, after in zip(part.iter_rows(named=True), part[1:].iter_rows(named=True), strict=False):
            end = START + ((after["time_ns"] - START) // INTERVAL + 1) * INTERVAL
            for counter in ("tx_bytes", "rx_errors"):
                if after[counter] >= before[counter]:
                    seconds = (after["time_ns"] - before["time_ns"]) / 1e9
                    rates[end, counter][str(device), str(port)] = (after[counter] - before[counter]) / seconds
    expected = {}
    for key, members in sets_of(plan).items():
        for (end, counter), known in rates.items():
            values = sorted(known[port] for port in members if port in known)
            bad = sum(rates[end, "rx_errors"].get(port, 0) > 0 for port in members)
            if values and (key[0] != "group" or counter == "tx_bytes"):
                p99 = values[math.ceil(0.99 * (len(values) - 1))]
                expected[key, end, counter] = (sum(values), values[-1], p99, len(values), bad)
    got = {}
    for row in found.iter_rows(named=True):
        by = row["by"]
        key = (by, row["network"], row["device"], row["group"]) if by == "group" else (by, row["network"], row[by])
        told = (row["sum"], row["max"], row["p99"], row["ports"], row["ports_with_errors"])
        got[key, row["time_ns"], row["counter"]] = told
    assert got.keys() == expected.keys()
    assert all(got[key] == pytest.approx(expected[key]) for key in got)


def test_as_they_come_it_is_the_same() -> None:
    plan = plan_of("two-tier")
    rows, members = samples(plan, 6), Members.of(plan)
    rolling, parts = Rolling(members, INTERVAL), []
    for n in range(6):
        now = rows.filter((pl.col("time_ns") - START) // INTERVAL == n)
        parts += [rolling.feed(half, START + n * INTERVAL + 5 * SECOND) for half in (now[::2], now[1::2])]
    parts.append(rolling.feed(rows.clear(), START + 6 * INTERVAL + SECOND))
    found = pl.concat(parts)
    whole = rollup(rows, members, INTERVAL)
    keys = ["time_ns", "by", "network", "tier", "segment", "rail", "device", "group", "counter"]
    assert found.select(keys).is_unique().all()
    filled = found.join(whole, on=keys, nulls_equal=True, how="semi")
    assert filled.height == found.height
    steady = [*keys, "sum", "ports"]
    assert_frame_equal(found.sort(keys).select(steady), whole.sort(keys).select(steady))


def test_nothing_gives_nothing() -> None:
    plan = plan_of("two-tier")
    rows = samples(plan, 2)
    assert rollup(rows.clear(), Members.of(plan), INTERVAL).is_empty()
    assert rollup(rows.drop("tx_bytes", "rx_errors"), Members.of(plan), INTERVAL).is_empty()
