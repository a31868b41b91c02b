"""``railwright route``, its JSON, and the way back from it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plans import plan_of
from traffic import permutation

from fabric.bundle import write_plan
from fabric.errors import InputError
from fabric.plan import Plan
from planner.routing import PATHS, routes
from planner.routing.network import network
from planner.routing.realise import source_ports
from planner.routing.routefile import Reader, read_routes, to_json
from railwright.cli import main


def named(plan: Plan, flows: pl.DataFrame) -> str:
    names = plan.fabric.device_names()
    return flows.with_columns(
        src_host=names.gather(flows["src_host"]), dst_host=names.gather(flows["dst_host"])
    ).write_csv()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan, folder = plan_of("twin-cages"), tmp_path_factory.mktemp("route")
    write_plan(plan, folder / "plan")
    (folder / "flows.csv").write_text(named(plan, permutation(plan)), encoding="utf-8")
    (folder / "dead.csv").write_text("device,port\nspine-compute-d00-000,\n", encoding="utf-8")
    (folder / "all.csv").write_text("device\nspine-compute-d00-000\nspine-compute-d00-001\n", encoding="utf-8")
    return folder


def run(folder: Path, *arguments: str) -> int:
    return main(["route", str(folder / "plan"), "--flows", str(folder / "flows.csv"), *arguments])


def test_the_load_stands_beside_its_bounds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--explain") == 0
    said = capsys.readouterr().out
    assert "busiest link between switches                         1.000" in said
    assert "no routing goes below                                 1.000" in said
    assert "OPTIMAL" in said
    assert "Nothing less is possible: whole queue pairs do not divide evenly" in said


def test_json_is_as_documented(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert {"version", "network", "max_load", "bound", "status", "moved", "routes"} <= data.keys()
    assert (data["version"], data["network"], data["status"], data["moved"]) == (1, "compute", "OPTIMAL", 0)
    assert len(data["routes"]) == 10
    first = data["routes"][0]
    assert [device.split("-")[0] for device, _ in first["hops"]] == ["leaf", "spine", "leaf"]
    assert 0xC000 <= first["udp_source_ports"][0] <= 0xFFFF


@pytest.mark.parametrize("method", ["colored", "greedy", "ecmp"])
def test_a_dead_spine_is_gone_round(folder: Path, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--dead", str(folder / "dead.csv"), "--routes", method, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert all(device != "spine-compute-d00-000" for route in data["routes"] for device, _ in route["hops"])
    assert data["max_load"] >= data["bound"]


def test_no_path_at_all_is_exit_code_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--dead", str(folder / "all.csv"), "--explain") == 1
    said = capsys.readouterr().out
    assert "INFEASIBLE" in said
    assert "5 more flows have no path" in said or "has no path" in said


def test_a_mistake_is_exit_code_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--network", "storrage") == 2
    assert 'no network "storrage"' in capsys.readouterr().err


def test_routes_in_force_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json") == 0
    text = capsys.readouterr().out
    (folder / "routes.json").write_text(text, encoding="utf-8")
    assert run(folder, "--before", str(folder / "routes.json"), "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["routes"] == json.loads(text)["routes"]
    assert run(folder, "--before", str(folder / "routes.json"), "--dead", str(folder / "dead.csv"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["moved"] <= 8


def test_splitting_makes_more_queue_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--split", "4", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["bounds"]["lp"], data["max_load"]) == (0.5, 1.0)
    assert run(folder, "--split", "0") == 2


def test_weights_are_written_by_name(folder: Path) -> None:
    assert run(folder, "--weights", str(folder / "weights.csv")) == 0
    table = pl.read_csv(folder / "weights.csv")
    assert table.columns == ["leaf", "to_leaf", "port", "weight"]
    assert (table["leaf"] != table["to_leaf"]).all()
    assert table["leaf"].str.starts_with("leaf-compute-").all()
    assert run(folder, "--weights", str(folder / "nowhere" / "weights.csv")) == 2


# ----------------------------------------------------------------------------------------------------------- files back


def document(name: str = "three-tier") -> tuple[Plan, pl.DataFrame, dict[str, Any]]:
    plan = plan_of(name)
    flows = permutation(plan, queue_pairs=2)
    found = routes(plan, flows)
    return plan, flows, to_json(plan, found, source_ports(network(plan), found))


@pytest.mark.parametrize("name", ["three-tier", "two-tier", "rail-only"])
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    plan, flows, data = document(name)
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    found = read_routes(file, plan, flows)
    expected = routes(plan, flows)
    order = ["flow", "pair"]
    assert found.paths.sort(order).equals(expected.paths.sort(order))
    assert (found.max_load, found.method) == (expected.max_load, "colored")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(version=2), "no document of version 1"),
        (lambda data: data.update(method="magic"), "by which method"),
        (lambda data: data.update(bound=None), "load and bound"),
        (lambda data: data.update(routes=7), "has no routes"),
        (lambda data: data["routes"][0].update(hops=[["leaf", "x"]]), r"routes\[0\]: names leaf x, which has no link"),
        (lambda data: data["routes"][1]["hops"].reverse(), r"routes\[1\]: jumps to"),
        (lambda data: data["routes"][2].update(queue_pairs="x"), r"routes\[2\]: has no numbers"),
        (lambda data: data["routes"].insert(0, 5), r"routes\[0\]: has no flow"),
    ],
)
def test_a_file_that_is_wrong_is_told(change: Any, said: str, tmp_path: Path) -> None:
    plan, flows, data = document()
    data = json.loads(json.dumps(data))
    change(data)
    (tmp_path / "routes.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_routes(tmp_path / "routes.json", plan, flows)


@cache
def reader_of(name: str) -> Reader:
    plan = plan_of(name)
    return Reader(plan, permutation(plan), "compute")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["flow", "hops", "queue_pairs"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_document_does_more_than_be_refused(entries: list[Any]) -> None:
    reader = reader_of("twin-cages")
    for entry in entries:
        found = reader.rows(entry)
        assert isinstance(found, str) or all(len(row) == len(PATHS) for row in found)
