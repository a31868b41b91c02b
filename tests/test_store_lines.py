"""Line protocol against influxdb-client's own writer, and names of series and tags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point
from influxdb_client.domain.write_precision import WritePrecision
from small_plans import plan_of

from collectors.store.line import counter_lines
from collectors.store.series import SeriesTags, series_of, tag_value, unescaped
from collectors.store.tidy import tidy_counters
from collectors.store.urls import TOKEN_FILE, parse_url
from fabric.counters import counters
from fabric.errors import InputError
from fabric.samples import schema

COLUMNS = (
    "rx_bytes",
    "oper_status",
    "speed_gbps",
    "rx_pfc_frames_p0",
    "rx_pfc_frames_p7",
    "rx_power_dbm_l1",
    "uptime_seconds",
)
TIME = 1_700_000_000_123_000_000

values = st.fixed_dictionaries({
    "port": st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
    "device": st.sampled_from(["leaf-compute-s000-l0-p0", "a b", "c,d=e"]),
    "rx_bytes": st.none() | st.integers(0, 2**64 - 1),
    "oper_status": st.none() | st.integers(0, 7),
    "speed_gbps": st.none() | st.floats(),
    "rx_pfc_frames_p0": st.none() | st.integers(0, 2**64 - 1),
    "rx_pfc_frames_p7": st.none() | st.integers(0, 9),
    "rx_power_dbm_l1": st.none() | st.floats(-40, 10),
    "uptime_seconds": st.none() | st.floats(0, 1e9),
})  # fmt: skip


def parsed(line: str) -> tuple[str, dict[str, float], str]:
    head, fields, time = line.split(" ")
    found = {}
    for field in fields.split(","):
        name, _, value = field.partition("=")
        found[name] = float(value.rstrip("ui"))
    return head, found, time


def pointed(row: dict[str, float | str | None], time_ms: int) -> set[tuple[str, tuple[tuple[str, float], ...], str]]:
    """The lines of a row as influxdb-client writes them."""
    objects: dict[tuple[str, tuple[str, int] | None], dict[str, float]] = {}
    own = "railwright_device" if row["port"] is None else "railwright_port"
    if any(row[name] is not None for name in COLUMNS):
        objects[own, None] = {"received_lag_seconds": 0.25}
    for name in COLUMNS:
        value = row[name]
        if isinstance(value, int | float) and value not in (float("inf"), float("-inf")) and value == value:
            series = series_of(name)
            objects.setdefault((series.measurement, series.tag), {})[series.field] = float(value)
    found = set()
    for (measurement, tag), fields in objects.items():
        point: Any = Point(measurement)  # type: ignore[no-untyped-call]  # it has no types
        point.time(time_ms, WritePrecision.MS).tag("device", tag_value(str(row["device"])))
        point = point if row["port"] is None else point.tag("port", tag_value(str(row["port"])))
        point = point if tag is None else point.tag(tag[0], tag[1])
        for name, value in fields.items():
            point.field(name, value)
        head, numbers, time = parsed(point.to_line_protocol())
        found.add((head, tuple(sorted(numbers.items())), time))
    return found


@given(st.lists(values, max_size=6))
def test_lines_are_what_influxdb_client_writes(rows: list[dict[str, float | str | None]]) -> None:
    times = [TIME + n * 1_000_000 for n in range(len(rows))]
    keyed = [{"time_ns": t, "received_ns": t + 250_000_000, **row} for t, row in zip(times, rows, strict=True)]
    frame = pl.DataFrame(keyed, schema=schema(COLUMNS), orient="row")
    text = b"".join(counter_lines(tidy_counters(frame), SeriesTags.none())).decode()
    found = set()
    for line in text.split("\n")[:-1]:
        head, numbers, time = parsed(line)
        measurement, *tags = head.split(",")
        found.add((",".join([measurement, *sorted(tags)]), tuple(sorted(numbers.items())), time))
    wanted = set().union(*(pointed(row, t // 1_000_000) for row, t in zip(rows, times, strict=True)))
    assert found == wanted


@given(st.lists(st.none() | st.text(), max_size=5))
def test_tags_come_back(names: list[str | None]) -> None:
    safe = [None if name is None else tag_value(name) for name in names]
    assert all(name is None or not re.search(r'[\x00-\x20\x7f,="\\]', name) for name in safe)
    assert unescaped(pl.Series("n", safe, dtype=pl.String)).to_list() == names


def test_every_counter_has_a_series_of_its_own() -> None:
    names = {c.column(3) if c.indexed else c.name for c in counters().values() if c.kind != "text"}
    found = {series_of(name).name for name in names}
    assert len(found) == len(names)
    assert all(re.fullmatch(r"railwright_[a-z_0-9]+", name) for name in found)
    assert series_of("rx_pfc_frames_p3").name == "railwright_port_priority_rx_pfc_frames_total"
    assert series_of("rx_pfc_frames_p3").tag == ("priority", 3)
    assert series_of("module_temperature_celsius").name == "railwright_port_module_temperature_celsius"


def test_a_plan_gives_its_ports_their_tags() -> None:
    table = SeriesTags.of(plan_of("two-tier")).table
    row = table.row(
        by_predicate=(pl.col("device") == "leaf-compute-s000-l1-p0") & (pl.col("port") == "Ethernet0"), named=True
    )
    assert row == {"device": "leaf-compute-s000-l1-p0", "port": "Ethernet0", "fabric": "two-tier", "network": "compute",
                   "tier": "host-leaf", "pod": "0", "segment": "0", "rail": "1", "plane": "0"}  # fmt: skip
    assert table.select("device", "port").is_unique().all()


def test_urls_and_tokens(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    url = parse_url("influxdb://[::1]:8086/my%20org/b?tls=1", {TOKEN_FILE: str(secret)})
    assert (url.base, url.org, url.bucket, url.token) == ("https://[::1]:8086", "my org", "b", "s3cret")
    assert "s3cret" not in repr(url)
    assert parse_url("victoriametrics://h:1", {}).token == ""
    assert parse_url("duckdb:a/b.duckdb", {}).path == Path("a/b.duckdb")
    secret.chmod(0o640)
    with pytest.raises(InputError, match="others may read it; chmod 600"):
        parse_url("victoriametrics://h:1", {TOKEN_FILE: str(secret)})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is no store"), ("postgres:x", "is no store"), ("duckdb:", "names no file"),
        ("duckdb://x", "names no file"), ("influxdb://h:1/o", "has 1 names after the port"),
        ("influxdb://h/o/b", "names no host and port"), ("influxdb://h:99999/o/b", "is no URL"),
        ("victoriametrics://u:pass@h:1", "holds a password"), ("victoriametrics://h:1?tsl=1", "unknown option"),
        ("influxdb://h:1/o/b", "InfluxDB needs a token"), ("victoriametrics://h:1?tls=yes", "tls is 0 or 1"),
    ],
)  # fmt: skip
def test_what_is_no_url(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_url(url, {})
    assert "pass@" not in str(caught.value)
