"""Files of samples: what is written is read back, and all that is wrong with one is told at once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_plans import plan_of

from fabric import samplefile
from fabric.errors import InputError, OutputError
from fabric.samplefile import Samples, known_to, read_samples, write_counters, write_flows
from fabric.samples import FLOW_SCHEMA, OUTCOME_SCHEMA, empty_outcomes, schema

COLUMNS = ("rx_bytes", "speed_gbps", "lldp_system", "rx_pfc_frames_p3")


def counters(count: int) -> pl.DataFrame:
    rows = [
        (n, n + 1, f"d{n % 3}", None if n % 7 == 0 else "p", 2**64 - 1 - n, n / 8, f'say "{n}", ü', None)
        for n in range(count)
    ]
    return pl.DataFrame(rows, schema=schema(COLUMNS), orient="row")


def flows(count: int) -> pl.DataFrame:
    row = dict.fromkeys(FLOW_SCHEMA, 3) | {
        "device": "d",
        "in_port": "a",
        "out_port": None,
        "src_ip": "10.0.0.1",
        "dst_ip": "::2",
    }
    return pl.DataFrame([row | {"time_ns": n, "dest_qp": None} for n in range(count)], schema=FLOW_SCHEMA)


def together(path: Path) -> Samples:
    pieces = list(read_samples(path))
    return Samples(
        pl.concat([p.counters for p in pieces], how="diagonal"), pl.concat([p.flows for p in pieces]),
        pl.concat([p.outcomes for p in pieces]),
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_is_read_back(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplefile, "PIECE", 7)
    path = tmp_path / f"s.{suffix}"
    ended = pl.DataFrame(
        [[5, 6, "snmp", "d1", "silent", "no, answer", None, None]], schema=OUTCOME_SCHEMA, orient="row"
    )
    write_counters(path, counters(30), ended)
    found = together(path)
    assert_frame_equal(found.counters.sort("time_ns"), counters(30))
    assert_frame_equal(found.outcomes, ended)
    write_flows(path, flows(20))
    found = together(path)
    assert_frame_equal(found.flows, flows(20))
    assert found.counters.is_empty()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_file_without_outcomes_or_rows(tmp_path: Path) -> None:
    write_counters(tmp_path / "s.csv", counters(0), empty_outcomes())
    assert together(tmp_path / "s.csv").counters.is_empty()


MEND = "; mend it or leave it empty"
WRONG = {
    "time_ns,device,port,rx_bytez\n1,d,p,3\n": ["has no column received_ns; add it; docs/counters.md names all columns",
        'rx_bytez: unknown column, did you mean "rx_bytes"?'],
    "time_ns,received_ns,device,port,rx_bytes,speed_gbps\n,1,d,p,1,1\n2,2,,p,-1,x\n3,z,d,p,1.5,1\n": [
        "line 2: has no time_ns; fill it in", "line 3: has no device; fill it in",
        f"line 4: received_ns is no Int64{MEND}", f"line 3: rx_bytes is no UInt64{MEND}",
        f"line 4: rx_bytes is no UInt64{MEND}", f"line 3: speed_gbps is no Float64{MEND}"],
    "time_ns,device,in_port,src_ip,dst_ip,frame_bytes,sampling_rat\n1,d,p,1,2,x,4\n": [
        'sampling_rat: unknown column, did you mean "sampling_rate"?', "has no column sampling_rate; add it",
        f"line 2: frame_bytes is no UInt32{MEND}"],
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_all_mistakes_come_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(read_samples(path))
    assert [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems] == WRONG[text]


def test_parquet_of_other_kinds_is_told_by_row(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    counters(3).with_columns(rx_bytes=pl.Series([1, -2, 3])).write_parquet(path)
    with pytest.raises(InputError, match="row 2: rx_bytes is no UInt64"):
        list(read_samples(path))


def test_too_many_mistakes_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("time_ns,received_ns,device,port,rx_bytes\n" + "x,y,,p,z\n" * 400)
    with pytest.raises(InputError) as caught:
        list(read_samples(path))
    assert len(caught.value.problems) == 51
    assert "mend these first" in str(caught.value.problems[-1])


@pytest.mark.parametrize("name", ["no.csv", "no.parquet", "no.txt", "junk.parquet", "ragged.csv"])
def test_what_is_no_file_of_samples(name: str, tmp_path: Path) -> None:
    (tmp_path / "junk.parquet").write_bytes(b"PAR1" + b"junk" * 20)
    (tmp_path / "ragged.csv").write_text("time_ns,device\n1,2,3,4\n")
    with pytest.raises(InputError, match=name):
        list(read_samples(tmp_path / name))


def test_only_what_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no kind of file"):
        write_flows(tmp_path / "s.xls", flows(1))
    with pytest.raises(OutputError, match="cannot be written"):
        write_flows(tmp_path / "no" / "s.csv", flows(1))


def test_what_the_plan_does_not_have_is_kept_apart() -> None:
    plan = plan_of("two-tier")
    leaf = "leaf-compute-s000-l0-p0"
    rows = pl.DataFrame(
        {"device": [leaf, leaf, leaf, "x", "gpu-0000"], "port": ["Ethernet0", None, "e", "Ethernet0", "nic-0p0"]}
    )
    kept, others = known_to(plan, rows)
    assert kept.rows() == [(leaf, "Ethernet0"), (leaf, None), ("gpu-0000", "nic-0p0")]
    assert others == [f"{leaf} e", "x Ethernet0"]
    assert known_to(plan, rows.select("device"))[1] == ["x"]
