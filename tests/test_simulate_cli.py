"""``railwright simulate`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from test_simulate import four

from fabric.bundle import write_plan
from fabric.media import cable
from fabric.plan import Plan
from railwright.cli import main

JOB = """\
name: llm
hosts: 32
gpus_per_host: 8
tp: 8
pp: 2
dp: 16
ep: 4
steps:
- {collective: all-reduce, group: dp, bytes: 1e9}
- {collective: all-to-all, group: ep, bytes: 1e7, skew: 0.5}
- {collective: send-recv, group: pp, bytes: 1e7}
"""
FLOWS = """\
flow,src_host,src_rail,dst_host,dst_rail,gbps
0,gpu-0000,0,gpu-0010,0,400
1,gpu-0001,0,gpu-0010,0,400
"""
FAULTS = "faults: [{kind: incast, host: gpu-0003, rail: 2, senders: 6, start: 5, end: 15}]\n"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulate")
    plan = four()
    cabled = Plan(plan.intent, plan.catalogue, plan.design, cable(plan.fabric, plan.design, plan.catalogue))
    write_plan(cabled, folder / "plan")
    for name, text in {"job.yaml": JOB, "flows.csv": FLOWS, "faults.yaml": FAULTS}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def folder(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(planned)
    return planned


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["simulate", "plan", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("routes", ["ecmp", "greedy", "colored"])
def test_json_has_a_step_each_and_a_bound_that_holds(
    routes: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "--job", "job.yaml", "--routes", routes, "--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, err, found["version"]) == (0, "", 1)
    assert [step["collective"] for step in found["steps"]] == ["all-reduce", "all-to-all", "send-recv"]
    assert found["seconds"] >= found["bound_seconds"] > 0
    assert sum(step["seconds"] for step in found["steps"]) == pytest.approx(found["seconds"])
    assert 0 < found["links"]["p99_load"] <= found["links"]["max_load"]


def test_words_say_how_long_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--job", "job.yaml", "--explain")
    assert code == 0
    assert "llm: all-reduce in dp groups:" in out
    assert "The hottest links:" in out
    assert "Gb/s bus bandwidth a GPU" in out


def test_flows_share_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--flows", "flows.csv", "--json")
    found = json.loads(out)
    assert (code, found["share"]) == (0, {"least": 0.5, "total": 0.5})
    assert (found["seconds"], found["steps"], found["bound_seconds"]) == (None, [], None)


def test_a_host_cut_off_makes_exit_code_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "dead.csv").write_text("device,port\nleaf-compute-s000-l3-p0,\n")
    code, out, _ = said(capsys, "--job", "job.yaml", "--dead", "dead.csv", "--explain")
    assert code == 1
    assert "what waits for them never ends" in out
    assert "some flows have no live path" in out


def test_a_folder_is_written_whole_and_not_over_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "--job",
        "job.yaml",
        "--faults",
        "faults.yaml",
        "--seconds",
        "20",
        "-o",
        "out",
        "--sampling",
        "3000000",
    )
    code, _, err = said(capsys, *arguments)
    assert (code, err) == (0, "")
    assert pl.read_parquet(folder / "out/counters.parquet")["time_ns"].n_unique() == 2
    assert pl.read_parquet(folder / "out/flows.parquet").height > 0
    loads = pl.read_csv(folder / "out/loads.csv")
    assert loads.columns == ["from_device", "from_port", "to_device", "to_port", "speed_gbps", "load"]
    assert loads["load"].is_sorted(descending=True)
    told = json.loads((folder / "out/simulation.json").read_text())
    assert loads["load"][0] == pytest.approx(told["links"]["max_load"])
    code, _, err = said(capsys, *arguments)
    assert code == 2
    assert "out" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "name a --job or --flows, one of them"),
        (("--job", "job.yaml", "--flows", "flows.csv"), "name a --job or --flows, one of them"),
        (("--job", "job.yaml", "--faults", "faults.yaml"), "--faults changes what is written: name a folder with -o"),
        (("--job", "none.yaml"), "none.yaml: cannot be read"),
        (("--job", "faults.yaml"), "faults.yaml: name: is missing"),
        (("--job", "job.yaml", "--network", "storage"), 'the plan has no network "storage"; it has compute'),
    ],
)
def test_mistakes_are_one_line_each(
    arguments: tuple[str, ...], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert all(line.startswith("railwright: error: ") for line in err.splitlines())
