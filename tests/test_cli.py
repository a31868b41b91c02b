"""The command as a user meets it: what it prints, its exit codes, and what it leaves behind.

``golden/errors/cli/NAME.txt``: a command line, then what it prints to stderr, then its exit code. It runs in a folder
made by ``folder`` below. ``RAILWRIGHT_UPDATE_GOLDEN=1`` rewrites what is expected.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from conftest import ROOT, need

from fabric.exports import DIALECTS
from railwright import reference
from railwright.cli import cli, main
from railwright.pipeline import OUTPUTS

CASES = ROOT / "tests/golden/errors/cli"
INTENT = """\
name: small
hosts: [{name: gpu, model: hgx-h100, count: 16}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    rails_per_leaf: 1
    segment_hosts: 8
    switches: {leaf: [sn5600], spine: [sn5600]}
  oob: {technology: ethernet, uplinks: {count: 2, speed_gbps: 100, to: external}}
"""
WRONG = """\
name: small
hosts: [{name: gpu, model: hgx-h1000, count: 0}]
networks: {compute: {tecnology: roce, tiers: 4}}
"""
INFEASIBLE = """\
name: too-many
hosts: [{name: gpu, model: dgx-h100, count: 2000}]
networks:
  compute: {technology: infiniband, layout: rail-optimized, tiers: 2, switches: {leaf: [qm9700], spine: [qm9700]}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan in it, and much that is none."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "intent.yaml").write_text(INTENT)
    (folder / "wrong.yaml").write_text(WRONG)
    (folder / "infeasible.yaml").write_text(INFEASIBLE)
    (folder / "latin1.yaml").write_bytes(b"name: caf\xe9\n")
    (folder / "empty.yaml").write_text("")
    (folder / "file").write_text("a file\n")
    (folder / "folder").mkdir()
    (folder / "folder/precious.txt").write_text("keep me\n")
    assert main(["--progress", "none", "plan", str(folder / "intent.yaml"), "-o", str(folder / "plan")]) == 0
    shutil.copytree(folder / "plan", folder / "half", ignore=shutil.ignore_patterns("links.parquet"))
    shutil.copytree(folder / "plan", folder / "newer")
    design = json.loads((folder / "newer/design.json").read_text())
    (folder / "newer/design.json").write_text(json.dumps(design | {"version": 99}))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``made``, where the test runs."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder, by path; folders too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def railwright(*arguments: str, **more: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "railwright", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.txt")))
def test_every_error_is_as_written(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = CASES / f"{case}.txt"
    line = golden.read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(line.removeprefix("$ "))
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    monkeypatch.setenv("RAILWRIGHT_PROGRESS", os.environ.get("RAILWRIGHT_PROGRESS", "none"))
    before = tree(folder)
    code = main(words[1:])
    said = capsys.readouterr()
    text = f"{line}\n{said.err}exit {code}\n".replace(f"{folder}/", "")
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert (code, said.out) == (2, "")
    assert tree(folder) == before


def test_every_error_line_says_what_to_do() -> None:
    """A golden file holds nothing but error lines between the command and its exit code."""
    for path in CASES.glob("*.txt"):
        first, *errors, last = path.read_text(encoding="utf-8").splitlines()
        assert (first[:2], last) == ("$ ", "exit 2"), path
        assert {line[:19] for line in errors} == {"railwright: error: "}, path


def test_a_plan_has_every_output(folder: Path) -> None:
    files = set(tree(folder / "plan"))
    assert files >= {"intent.yaml", "design.json", "catalogue.yaml", "checks.jsonl", "fabric/links.parquet", *OUTPUTS}


def test_what_is_written_is_what_is_exported(folder: Path) -> None:
    for name, dialect in OUTPUTS.items():
        assert main(["export", "plan", "--to", dialect, "-o", "exported"]) == 0
        assert (folder / "exported").read_bytes() == (folder / "plan" / name).read_bytes(), name


def test_export_to_stdout_is_the_same(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["export", "plan", "--to", "links"]) == 0
    assert main(["export", "plan", "--to", "links", "-o", "links.csv"]) == 0
    assert capfdbinary.readouterr().out == (folder / "links.csv").read_bytes()


@pytest.mark.parts
def test_graphviz_reads_the_topology(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [need("graphviz"), "-e", "plan/cabling/topology.dot"], capture_output=True, text=True, check=True
    )
    assert main(["export", "plan", "--to", "links"]) == 0
    links = [line for line in capsys.readouterr().out.splitlines()[1:] if ",external," not in line]
    assert (int(done.stdout.split()[0]), done.stderr) == (len(links), "")


def test_list_names_every_dialect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--to", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*DIALECTS, "configs"]
    assert main(["export", "--to", "list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == [*DIALECTS, "configs"]


def test_show_prints_text_or_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "plan", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["version"], summary["name"]) == (1, "small")
    assert summary["networks"]["compute"]["gpus"] == 128
    assert main(["show", "plan"]) == 0
    assert "128" in capsys.readouterr().out


def test_plan_prints_what_show_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ([], ["--json"]):
        assert main(["plan", "intent.yaml", "-o", "plan", "--force", *option]) == 0
        planned = capsys.readouterr().out
        assert main(["show", "plan", *option]) == 0
        assert capsys.readouterr().out == planned


def test_check_of_a_whole_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "plan", "--json"]) == 0
    assert capsys.readouterr().out == (folder / "plan/checks.jsonl").read_text()


def test_check_of_a_broken_plan_exits_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import polars as pl

    table = folder / "plan/fabric/links.parquet"
    links = pl.read_parquet(table)
    first = links.filter(pl.col("id") == 0).select("b_device", "b_port")
    moved = pl.when(pl.col("id") == 8)
    links.with_columns(
        moved.then(first["b_device"][0]).otherwise("b_device").cast(pl.UInt32).alias("b_device"),
        moved.then(first["b_port"][0]).otherwise("b_port").cast(pl.UInt32).alias("b_port"),
    ).write_parquet(table)
    assert main(["check", "plan", "--json"]) == 1
    codes = {json.loads(line)["code"] for line in capsys.readouterr().out.splitlines()}
    assert "port-used-twice" in codes


def test_force_replaces_a_plan(folder: Path) -> None:
    before = tree(folder / "plan")
    (folder / "plan/note.txt").write_text("of mine\n")
    assert main(["--progress", "none", "plan", "intent.yaml", "-o", "plan", "--force"]) == 0
    assert tree(folder / "plan") == before


@pytest.mark.parametrize(
    "variables", [{"PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}]
)
def test_the_same_intent_gives_the_same_bytes(folder: Path, variables: dict[str, str]) -> None:
    other = folder / "elsewhere"
    other.mkdir()
    with railwright("plan", "intent.yaml", "-o", str(other / "plan"), **variables) as done:
        said = done.communicate()
    assert done.returncode == 0, said
    assert tree(other / "plan") == tree(folder / "plan")


def pages(command: click.Command, path: Sequence[str]) -> Iterator[tuple[Sequence[str], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from pages(below, [*path, name])


@pytest.mark.parametrize("path", [path for path, _ in pages(cli, [])], ids=" ".join)
def test_every_command_has_a_page_with_an_example(path: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    page = capsys.readouterr().out
    assert "Example:\n  " in page
    assert " ".join(["railwright", *path]) in page.split("Example:")[1]


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from railwright.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert not loaded & {"polars", "ortools", "networkx", "numpy", "pandas", "pydantic", "jinja2", "yaml", "rich"}


def test_the_reference_is_what_the_command_says() -> None:
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference.text(), "run `make docs`"


def test_config_check_says_where_a_value_came_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "railwright.toml").write_text('color = "never"\n')
    assert main(["--progress", "none", "config", "check", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["color"] == {"value": "never", "origin": "railwright.toml"}
    assert values["progress"] == {"value": "none", "origin": "--progress"}


def test_doctor_names_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["doctor", "--json"]) == 0
    remarks = {remark["name"]: remark for remark in json.loads(capsys.readouterr().out)}
    assert remarks["python"]["state"] == remarks["polars"]["state"] == "ok"
    assert (remarks["dot"]["state"], remarks["dot"]["remedy"]) == ("optional", "apt-get install graphviz")


def test_debug_shows_the_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "show", "absent"], ["show", "absent", "--debug"]):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("Traceback")
        assert said.splitlines()[-1].startswith("railwright: error: absent: ")


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m railwright export plan --to links | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["Read the intent", "Build the tables", "Check"])
def test_interrupted_leaves_nothing(folder: Path, after: str, number: signal.Signals) -> None:
    before = tree(folder)
    intent = folder / "large.yaml"
    intent.write_text(INTENT.replace("count: 16", "count: 1024"))
    with railwright("--progress", "lines", "plan", "large.yaml", "-o", "new/plan") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(after):
                process.send_signal(number)
                break
        rest = process.stderr.read().splitlines()
    intent.unlink()
    assert rest, f"ended by {process.returncode} without a word"
    assert rest[-1] == "railwright: error: interrupted; nothing half-written was left"
    assert sum(line.startswith("railwright: error") for line in rest) == 1
    assert process.returncode == 2
    assert tree(folder) == before


def in_a_mount(folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Plan into a file system of its own, in a namespace that ends with it; then list what it holds."""
    script = (
        f"mkdir small && mount -t tmpfs {options} tmpfs small && "
        f"{shlex.quote(sys.executable)} -m railwright --progress none plan intent.yaml -o small/plan; "
        "echo exit $?; ls -A small"
    )
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "reason"), [("-o size=64k", "no space left on device"), ("-o ro", "read-only file system")]
)
def test_what_cannot_be_written_leaves_nothing(folder: Path, options: str, reason: str) -> None:
    done = in_a_mount(folder, options)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"mounting a small file system is not allowed here: run as root ({done.stderr.strip()})")
    assert done.stderr == f"railwright: error: small/plan: cannot be written: {reason}; nothing was written\n"
    assert done.stdout == "exit 2\n"


def test_configs_are_filled_on_the_way_out_or_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every placeholder gets its value; one without a value, and nothing is written."""
    monkeypatch.setenv("RAILWRIGHT_SECRET_UNUSED", "x")
    secrets = folder / "secrets.env"
    secrets.write_text("SM_KEY=0x2a\n", encoding="utf-8")
    secrets.chmod(0o600)
    assert main(["export", "plan", "--to", "configs", "-o", "loaded"]) == 0
    wanted = {
        n
        for p in (folder / "loaded").rglob("*")
        if p.is_file()
        for n in re.findall(rb"__RAILWRIGHT_([A-Z0-9_]+?)__", p.read_bytes())
    }
    capsys.readouterr()
    code = main(["export", "plan", "--to", "configs", "--fill", "secrets.env", "-o", "filled"])
    said = capsys.readouterr().err
    missing = wanted - {b"SM_KEY"}
    assert code == (2 if missing else 0)
    assert all(name.decode() in said for name in missing)
    assert (folder / "filled").exists() == (not missing)
    secrets.write_text(
        "".join(f"{name.decode()}=secret{n}\n" for n, name in enumerate(sorted(wanted))), encoding="utf-8"
    )
    assert main(["export", "plan", "--to", "configs", "--fill", "secrets.env", "-o", "whole"]) == 0
    assert not any(b"__RAILWRIGHT_" in p.read_bytes() for p in (folder / "whole").rglob("*") if p.is_file())
