"""``railwright store``: history in, asked, thinned out, and out again."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from small_plans import plan_of

from fabric.bundle import write_plan
from railwright.cli import main

LEAF = "leaf-compute-s000-l0-p0"
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
CSV = f"""\
time_ns,received_ns,device,port,tx_bytes,rx_pfc_frames_p3,source,outcome,detail
{START},{START},{LEAF},Ethernet0,100,5,,,
{START + 10 * SECOND},{START + 10 * SECOND},{LEAF},Ethernet0,300,5,,,
{START + 10 * SECOND},{START + 10 * SECOND},{LEAF},Ethernet999,300,5,,,
{START + 20 * SECOND},{START + 20 * SECOND},{LEAF},,,,snmp,silent,"no answer, twice"
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plans") / "small"
    write_plan(plan_of("two-tier"), folder)
    return str(folder)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"duckdb:{tmp_path}/s.duckdb"


@pytest.fixture
def loaded(plan: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    (tmp_path / "s.csv").write_text(CSV)
    for _ in range(2):
        assert main(["store", "load", plan, str(tmp_path / "s.csv"), "--store", url]) == 0
        said = capsys.readouterr()
        assert said.out.endswith("s.csv: 3 rows\n")
        assert f"left out, not in the plan: {LEAF} Ethernet999" in said.err
    return [plan, "--store", url]


def test_what_was_loaded_is_there_once(loaded: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "query", *loaded]) == 0
    assert capsys.readouterr().out == "rx_pfc_frames_p3\ntx_bytes\n"
    assert main(["store", "query", *loaded, "tx_bytes", "--port", "Ethernet0"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows == ["time_ns,received_ns,device,port,tx_bytes", f"{START},{START},{LEAF},Ethernet0,100",
                    f"{START + 10 * SECOND},{START + 10 * SECOND},{LEAF},Ethernet0,300"]  # fmt: skip
    assert main(["store", "query", *loaded, "tx_bytes", "--rate", "--json"]) == 0
    assert [row["tx_bytes"] for row in json.loads(capsys.readouterr().out)["rows"]] == [20.0]
    assert main(["store", "query", *loaded, "tx_bytes", "--until", "2023-11-14T22:13:25Z"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["store", "query", *loaded, "--what", "outcomes"]) == 0
    assert f'snmp,{LEAF},silent,"no answer, twice",,' in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_exported_can_be_loaded(
    loaded: list[str], suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / f"out.{suffix}", f"duckdb:{tmp_path}/other.duckdb"
    assert main(["store", "export", *loaded, "-o", str(out)]) == 0
    assert main(["store", "load", loaded[0], str(out), "--store", other]) == 0
    again = tmp_path / f"again.{suffix}"
    assert main(["store", "export", loaded[0], "--store", other, "-o", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()
    assert "2 rows" in capsys.readouterr().out


def test_retain_says_what_it_did(loaded: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "retain", *loaded, "--fine", "1d", "--step", "1m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "deleted": 0, "downsampled": 2, "written": 1}
    assert main(["store", "retain", *loaded, "--keep", "1d"]) == 0
    assert capsys.readouterr().out == "2 deleted, 0 downsampled, 0 written\n"
    for wrong in (["--keep", "soon"], ["--fine", "1d"], [], ["--keep", "0s"]):
        assert main(["store", "retain", *loaded, *wrong]) == 2
        assert "railwright: error: " in capsys.readouterr().err


def test_nothing_of_wrong_files_is_taken(
    plan: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, worse = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "worse.csv"
    good.write_text(CSV)
    bad.write_text(CSV.replace(",100,", ",-1,"))
    worse.write_text("a,b\n1,2\n")
    assert main(["store", "load", plan, str(good), str(bad), str(worse), "--store", url]) == 2
    said = capsys.readouterr().err
    assert "bad.csv: line 2: tx_bytes is no UInt64" in said
    assert "worse.csv: a: unknown column" in said
    assert main(["store", "query", plan, "--store", url]) == 2
    assert "there is no store; `railwright store load`" in capsys.readouterr().err


def test_the_default_store_is_beside_the_plan(plan: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"time_ns": [START], "received_ns": [START], "device": [LEAF], "port": ["Ethernet0"], "tx_bytes": [1]}
    )
    frame.write_parquet(tmp_path / "s.parquet")
    assert main(["store", "load", plan, str(tmp_path / "s.parquet")]) == 0
    assert Path(plan).with_name("small.duckdb").is_file()


@pytest.mark.parametrize(
    "wrong", [["tx_bites"], ["tx_bytes", "--since", "yesterday"], ["lldp_port", "--rate"], ["tx_bytes", "--store", "x"]]
)
def test_mistakes_are_one_line(plan: str, url: str, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "query", plan, "--store", url, *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
