"""Plans on disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_build import superpod, with_oob

from fabric.bundle import NEEDED, design_json, read_plan, write_plan
from fabric.errors import OutputError, PlanError
from fabric.plan import Plan
from planner.build import build


@pytest.fixture(scope="module")
def plan() -> Plan:
    made = superpod()
    return Plan(made.intent, made.catalogue, made.design, build(made.design, made.intent, made.catalogue))


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refusal(plan: Plan, folder: Path, files: dict[str, Callable[[Path], None]] | None = None) -> str:
    with pytest.raises(OutputError) as caught:
        write_plan(plan, folder, files)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_is_read_as_it_was_written(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path / "deep" / "p", {"cabling/cables.csv": lambda path: path.touch()})
    assert (tmp_path / "deep" / "p" / "cabling" / "cables.csv").exists()
    again = read_plan(tmp_path / "deep" / "p")
    assert again.design == plan.design
    assert again.intent == plan.intent
    assert again.catalogue == plan.catalogue.subset({"dgx-h100", "ufm-appliance"}, {"qm9700"})
    for (name, table), (_, read) in zip(plan.fabric.tables(), again.fabric.tables(), strict=True):
        assert read.schema == table.schema, name
        assert read.equals(table, null_equal=True), name


def test_several_networks_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = with_oob()
    plan = Plan(made.intent, made.catalogue, made.design, build(made.design, made.intent, made.catalogue))
    write_plan(plan, tmp_path / "p")
    assert read_plan(tmp_path / "p").design == plan.design


def test_the_same_plan_gives_the_same_bytes(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path / "one")
    write_plan(read_plan(tmp_path / "one"), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == set(NEEDED)


def test_design_json_keeps_the_order_of_the_fields(plan: Plan) -> None:
    text = design_json(plan.design)
    assert list(json.loads(text))[:3] == ["version", "name", "networks"]
    assert list(json.loads(text)["networks"]["compute"])[:3] == ["network", "technology", "layout"]


def test_what_is_there_is_not_overwritten(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    write_plan(plan, tmp_path / "plan")
    before = contents(tmp_path)
    assert "is a file, not a folder" in refusal(plan, tmp_path / "file")
    assert "is a file, not a folder" in refusal(plan, tmp_path / "file" / "p")
    assert "exists and is no plan" in refusal(plan, tmp_path / "folder")
    assert "is a plan already; replace it with --force" in refusal(plan, tmp_path / "plan")
    with pytest.raises(OutputError, match="is no plan"):
        write_plan(plan, tmp_path / "folder", replace=True)
    assert contents(tmp_path) == before


def test_a_plan_is_replaced_on_demand(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path / "p", {"old.txt": lambda path: path.touch()})
    write_plan(plan, tmp_path / "p", {"new.txt": lambda path: path.touch()}, replace=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p"]
    assert (tmp_path / "p" / "new.txt").exists()
    assert not (tmp_path / "p" / "old.txt").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug"), OSError(errno.ENOSPC, "full")])
@pytest.mark.parametrize("there", [False, True])
def test_what_ends_the_writing_leaves_everything_as_it_was(
    plan: Plan, tmp_path: Path, error: BaseException, there: bool
) -> None:
    if there:
        write_plan(plan, tmp_path / "out" / "p")
    before = contents(tmp_path)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write_plan(plan, tmp_path / "out" / "p", {"bom.csv": fail}, replace=there)
    if isinstance(error, OSError):
        assert str(caught.value).endswith("cannot be written: no space left on device; nothing was written")
    assert contents(tmp_path) == before
    assert (tmp_path / "out").exists() == there


def test_the_old_plan_comes_back_when_the_new_one_cannot_be_moved(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plan(plan, tmp_path / "p")
    before = contents(tmp_path)
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(errno.EIO, "broken")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OutputError, match="input/output error"):
        write_plan(plan, tmp_path / "p", replace=True)
    assert contents(tmp_path) == before


def test_a_folder_that_refuses_is_told(plan: Plan) -> None:
    assert "cannot be written" in refusal(plan, Path("/proc/railwright/plan"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing(plan: Plan, full_disk: Path) -> None:
    assert "no space left on device" in refusal(plan, full_disk / "p")
    assert list(full_disk.iterdir()) == []


def broken_plan(plan: Plan, folder: Path, change: Callable[[Path], object]) -> str:
    write_plan(plan, folder)
    change(folder)
    with pytest.raises(PlanError) as caught:
        read_plan(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: (p / "intent.yaml").unlink(), "is no whole plan, without intent.yaml"),
        (lambda p: (p / "fabric" / "links.parquet").unlink(), "without fabric/links.parquet"),
        (lambda p: (p / "fabric" / "links.parquet").write_bytes(b"x"), "links.parquet: is no table"),
        (lambda p: (p / "design.json").write_text("{"), "design.json: is no JSON"),
        (lambda p: (p / "design.json").write_text('{"version": 2}'), "is of version 2; this program reads version 1"),
        (lambda p: (p / "design.json").write_text("[]"), "is of version None"),
        (lambda p: (p / "design.json").write_text('{"version": 1, "name": "x"}'), "networks: field required"),
        (lambda p: (p / "intent.yaml").write_text("name: x"), "intent.yaml"),
        (lambda p: (p / "catalogue.yaml").write_text("servers: 3"), "catalogue.yaml"),
        (lambda p: (p / "catalogue.yaml").write_bytes(b"\xff"), "cannot be read"),
        (lambda p: shutil.copy(p / "fabric" / "nics.parquet", p / "fabric" / "hosts.parquet"), "has the columns"),
    ],
)  # fmt: skip
def test_a_broken_plan_is_told(plan: Plan, tmp_path: Path, change: Callable[[Path], object], told: str) -> None:
    assert told in broken_plan(plan, tmp_path / "p", change)


def test_no_plan_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="does not exist"):
        read_plan(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(PlanError, match="is no folder"):
        read_plan(tmp_path / "file")
