"""Every store answers the same reads alike, whatever was written in whatever pieces, and holds nothing twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from small_plans import plan_of
from stores import NOW_NS, Daemon, influx, victoria

from collectors.store import Store, open_store
from collectors.store.retention import Retention, downsampled, duration_ns
from collectors.store.rollups import Members, rollup
from collectors.store.tables import ROLLUP_SCHEMA
from fabric.counters import parse
from fabric.errors import InputError
from fabric.samples import FLOW_SCHEMA, OUTCOME_SCHEMA, Outcome, schema

BACKENDS = ("duckdb", "influx", "victoria")
COLUMNS = (
    "rx_bytes", "tx_bytes", "oper_status", "speed_gbps", "rx_pfc_frames_p3", "rx_pfc_frames_p0",
    "rx_pfc_pause_seconds_p3", "queue_watermark_bytes_q7", "rx_power_dbm_l2", "fec_codewords_b15", "lldp_port",
    "lldp_system", "uptime_seconds",
)  # fmt: skip
DEVICES = ("leaf-compute-s000-l0-p0", "a, b=c", 'odd "name" \\ % ü')
PORTS = ("Ethernet0", "Eth1/1/2", "x y", None)
STEP_NS = 1_000_000
Key = tuple[int, str, str | None]
Model = dict[Key, dict[str, Any]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Daemon]]:
    folder = tmp_path_factory.mktemp("servers")
    with influx(folder) as one, victoria(folder) as other:
        yield {"influx": one, "victoria": other}


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Store]]:
    kind = request.param
    url = f"duckdb:{tmp_path}/s.duckdb" if kind == "duckdb" else request.getfixturevalue("servers")[kind].url
    opened = open_store(url, spool=tmp_path / "spool", plan=plan_of("two-tier"))
    yield kind, opened
    opened.close()


def random_rows(dice: random.Random, count: int, offset_ns: int) -> list[dict[str, Any]]:
    """Rows as dictionaries, many of one key; values of every kind and size."""
    found = []
    for _ in range(count):
        time_ns = NOW_NS + offset_ns + dice.randrange(20) * STEP_NS
        late = dice.randrange(4) * STEP_NS
        port = dice.choice(PORTS)
        row = {"time_ns": time_ns, "received_ns": time_ns + late, "device": dice.choice(DEVICES), "port": port}
        for column in dice.sample(COLUMNS, dice.randrange(len(COLUMNS))):
            if port is None and not column.startswith("uptime"):
                continue
            row[column] = random_value(dice, column)
        found.append(row)
    return found


def random_value(dice: random.Random, column: str) -> Any:
    known = parse(column)
    assert known is not None
    kind = known[0].dtype
    if kind == pl.String:
        return dice.choice(["Ethernet 1", "", "a,b=c\\", "100%", "two\nlines"])
    if kind == pl.Float64:
        return dice.choice([0.0, -3.25, 0.0001, 123456.789, 1e9])
    return dice.randrange(256 if kind == pl.UInt8 else dice.choice([10, 2**40, 2**53]))


def tables(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    return pl.DataFrame([{name: row.get(name) for name in schema(columns)} for row in rows], schema=schema(columns))


def modelled(model: Model, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add rows to what a store should hold; a key that is there keeps its value: the rows as they are to be written."""
    written = []
    for row in rows:
        key = (row["time_ns"], row["device"], row["port"])
        there = model.setdefault(key, {"received_ns": row["received_ns"]})
        for name, value in row.items():
            if name not in ("time_ns", "device", "port"):
                there.setdefault(name, value)
        written.append({**row, **{name: there[name] for name in row if name in there}})
    return written


def expected(
    model: Model, columns: Sequence[str], devices: Sequence[str] | None, ports: Sequence[str] | None, span: range
) -> pl.DataFrame:
    """What a read should give, by a loop over dictionaries."""
    found = []
    for (time_ns, device, port), there in model.items():
        right = (devices is None or device in devices) and (ports is None or port in ports)
        if right and span.start <= time_ns < span.stop and any(name in there for name in columns):
            row = {"time_ns": time_ns, "received_ns": there["received_ns"], "device": device, "port": port}
            found.append(row | {name: there.get(name) for name in columns})
    return pl.DataFrame(found, schema=schema(columns)).sort("device", "port", "time_ns")


def same(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """Equal; numbers over 2^53 within a step of a 64-bit float, which is what VictoriaMetrics has."""
    assert_frame_equal(found, wanted, rel_tol=1e-15, abs_tol=0.0)


def test_the_same_reads_give_the_same_answers(store: tuple[str, Store]) -> None:
    kind, opened = store
    dice, model = random.Random(7), Model()
    base = 10**12 * BACKENDS.index(kind) // 10
    for part in range(4):
        written = modelled(model, random_rows(dice, 60, base + part * 10 * STEP_NS))
        opened.write(tables(written))
        opened.write(tables(written[::-1]))
    opened.flush()
    start = NOW_NS + base
    whole = range(start, start + 100 * STEP_NS)
    same(opened.read(COLUMNS, start_ns=whole.start, end_ns=whole.stop), expected(model, COLUMNS, None, None, whole))
    for _ in range(25):
        first = start + dice.randrange(60) * STEP_NS
        span = range(first, first + dice.randrange(1, 30) * STEP_NS)
        columns = dice.sample(COLUMNS, dice.randrange(1, 5))
        devices = dice.choice([None, dice.sample(DEVICES, 2), [DEVICES[1]], ["nobody"], []])
        ports = dice.choice([None, None, ["Ethernet0", "x y"], ["Eth1/1/2"]])
        found = opened.read(columns, devices=devices, ports=ports, start_ns=span.start, end_ns=span.stop)
        same(found, expected(model, columns, devices, ports, span))
    assert set(opened.columns()) >= {name for there in model.values() for name in there} - {"received_ns"}


def test_counters_of_64_bits_come_back(store: tuple[str, Store]) -> None:
    kind, opened = store
    values = [2**64 - 1, 2**63, 2**53 + 1, 2**53, 0]
    rows = [
        {
            "time_ns": NOW_NS + n * STEP_NS,
            "received_ns": NOW_NS + n * STEP_NS,
            "device": "d",
            "port": kind,
            "rx_bytes": v,
        }
        for n, v in enumerate(values)
    ]
    opened.write(tables(rows))
    opened.flush()
    found = opened.read(["rx_bytes"], ports=[kind], start_ns=NOW_NS, end_ns=NOW_NS + 10**9)["rx_bytes"].to_list()
    if kind == "victoria":
        assert found == pytest.approx(values, rel=1e-15)
    else:
        assert found == values


def test_times_are_whole_milliseconds(store: tuple[str, Store]) -> None:
    kind, opened = store
    row = {
        "time_ns": NOW_NS + 1_999_999,
        "received_ns": NOW_NS + 2_999_999,
        "device": "ms",
        "port": kind,
        "rx_bytes": 5,
    }
    opened.write(tables([row]))
    opened.write(tables([{**row, "time_ns": NOW_NS + 1_000_000}]))
    opened.flush()
    found = opened.read(["rx_bytes"], devices=["ms"], ports=[kind], start_ns=NOW_NS, end_ns=NOW_NS + 10**9)
    assert found.rows() == [(NOW_NS + 1_000_000, NOW_NS + 2_000_000, "ms", kind, 5)]


def flows(count: int) -> pl.DataFrame:
    row = dict.fromkeys(FLOW_SCHEMA, 1) | {
        "device": "d",
        "in_port": "a",
        "out_port": None,
        "src_ip": "::1",
        "dst_ip": "::2",
    }
    return pl.DataFrame([row | {"time_ns": NOW_NS + n // 2, "dest_qp": None} for n in range(count)], schema=FLOW_SCHEMA)


def test_flow_samples_and_outcomes_are_there_once(store: tuple[str, Store]) -> None:
    _, opened = store
    outcomes = pl.DataFrame(
        [[NOW_NS, NOW_NS, "snmp", "d", Outcome.SILENT.value, "no answer in 2 s", 2.0, None],
         [NOW_NS, NOW_NS, "snmp", "e", Outcome.OK.value, "", 0.25, 128]],
        schema=OUTCOME_SCHEMA, orient="row",
    )  # fmt: skip
    nothing = tables([{"time_ns": NOW_NS, "received_ns": NOW_NS, "device": "d", "port": "p"}])
    for _ in range(2):
        opened.write(nothing, flows(7), outcomes)
    opened.flush()
    span: dict[str, Any] = {"start_ns": NOW_NS, "end_ns": NOW_NS + 10**9}
    assert_frame_equal(opened.read_flows(**span), flows(7))
    assert_frame_equal(opened.read_outcomes(**span), outcomes)
    assert opened.read_outcomes(devices=["e"], **span)["rows"].to_list() == [128]
    assert opened.read_flows(devices=["e"], **span).is_empty()


def test_rollups_come_back(store: tuple[str, Store]) -> None:
    _, opened = store
    plan = plan_of("two-tier")
    ports = Members.of(plan).table.select(device="port_device", port="port").unique().sort("device", "port")
    rows = pl.concat(
        ports.select(
            time_ns=NOW_NS + k * 10**10, received_ns=NOW_NS + k * 10**10, device="device", port="port",
            tx_bytes=pl.int_range(pl.len()).cast(pl.UInt64) * k,
        )
        for k in range(3)
    )  # fmt: skip
    made = rollup(rows, Members.of(plan), 10**10)
    assert made.height
    opened.write_rollups(made)
    opened.write_rollups(made)
    opened.flush()
    found = opened.read_rollups(start_ns=0, end_ns=NOW_NS + 10**12)
    assert_frame_equal(found, made.select(list(ROLLUP_SCHEMA)), check_row_order=False)


def test_an_unknown_counter_is_an_error(store: tuple[str, Store]) -> None:
    _, opened = store
    with pytest.raises(InputError, match='unknown column "rx_bites"'):
        opened.read(["rx_bites"], start_ns=0, end_ns=1)
    with pytest.raises(InputError, match='unknown column "x; DROP TABLE counters"'):
        opened.write(pl.DataFrame({"time_ns": [1], "received_ns": [1], "device": ["d"], "port": ["p"],
                                   "x; DROP TABLE counters": [1]}))  # fmt: skip


def test_what_is_old_goes_or_gets_coarse(store: tuple[str, Store]) -> None:
    kind, opened = store
    if kind == "victoria":
        with pytest.raises(InputError, match="-retentionPeriod"):
            opened.retain(Retention(NOW_NS, keep_ns=10**9))
        return
    step, names = duration_ns("1m"), ["rx_bytes", "speed_gbps", "oper_status", "queue_watermark_bytes_q1", "lldp_port"]
    start = (NOW_NS - 10 * step) // step * step
    rows = [
        {"time_ns": start + n * 7 * 10**9, "received_ns": start + n * 7 * 10**9, "device": "old", "port": kind,
         "rx_bytes": n, "speed_gbps": float(n % 3), "oper_status": n % 2 + 1, "queue_watermark_bytes_q1": float(n % 5),
         "lldp_port": None if n % 2 else f"p{n}"}
        for n in range(60)
    ]  # fmt: skip
    opened.write(tables(rows))
    opened.flush()
    span: dict[str, Any] = {"ports": [kind], "devices": ["old"], "start_ns": start, "end_ns": start + 60 * step}
    fine = opened.read(names, **span)
    cut = start + 4 * step
    wanted = pl.concat([downsampled(fine.filter(pl.col("time_ns") < cut), step), fine.filter(pl.col("time_ns") >= cut)])
    for _ in range(2):
        opened.retain(Retention(cut + step // 2, fine_ns=step // 2, step_ns=step))
        assert_frame_equal(opened.read(names, **span), wanted)
    if kind == "duckdb":
        done = opened.retain(Retention(cut + step, keep_ns=step))
        assert done["deleted"] == 4
        assert_frame_equal(opened.read(names, **span), wanted[4:])


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sets(st.integers(0, 4))), max_size=8), max_size=5
    )
)
def test_any_order_of_writes_gives_the_same_rows(batches: list[list[tuple[int, int, set[int]]]]) -> None:
    """DuckDB against a dictionary: the value of a key depends on the key alone."""
    from tempfile import TemporaryDirectory

    from collectors.store.duck import DuckStore

    names, model = ("rx_bytes", "tx_bytes", "speed_gbps", "lldp_port", "rx_pfc_frames_p3"), Model()
    with TemporaryDirectory() as folder:
        opened = DuckStore(Path(folder) / "s.duckdb")
        for batch in batches:
            rows = []
            for time, port, columns in batch:
                row: dict[str, Any] = {"time_ns": NOW_NS + time * STEP_NS, "received_ns": NOW_NS, "device": "d"}
                values = {names[c]: (f"{time}" if c == 3 else float(c) if c == 2 else time * 7 + port) for c in columns}
                rows.append(row | {"port": f"p{port}"} | values)
            if rows:
                opened.write(tables(modelled(model, rows)))
        whole = range(NOW_NS, NOW_NS + 10**9)
        found = opened.read(names, start_ns=whole.start, end_ns=whole.stop)
        opened.close()
    assert_frame_equal(found, expected(model, names, None, None, whole))
