"""Packages import only what the architecture lets them, and are those of this project."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import fabric

ROOT = Path(__file__).parent.parent
PACKAGES = ("collectors", "fabric", "planner", "railwright")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_direction_holds() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("fabric/design.py", "import planner.cages"),
        ("fabric/design.py", "import railwright.settings"),
        ("fabric/design.py", "import ortools"),
        ("fabric/design.py", "import socket"),
        ("fabric/design.py", "import collectors.rates"),
        ("planner/cages.py", "import railwright.settings"),
        ("planner/cages.py", "import collectors.rates"),
        ("collectors/rates.py", "import planner.cages"),
        ("collectors/rates.py", "import railwright.settings"),
    ],
)
def test_an_upward_import_is_red(tmp_path: Path, importer: str, line: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / importer).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_fabric_is_ours() -> None:
    """The import name is also that of an SSH library."""
    assert fabric.__file__ is not None
    assert Path(fabric.__file__).parent == ROOT / "fabric"


def imported() -> Iterator[str]:
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.split(".")[0]


IMPORTED_AS = {
    "pyyaml": "yaml", "grpcio": "grpc", "protobuf": "google", "nats-py": "nats", "influxdb-client": "influxdb_client",
    "prometheus-client": "prometheus_client",
}  # fmt: skip


def test_dependencies_are_those_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", need)[0] for need in project["dependencies"]}
    declared = {IMPORTED_AS.get(name, name) for name in declared}
    used = set(imported()) - set(sys.stdlib_module_names) - set(PACKAGES)
    used = {"pydantic" if name == "pydantic_core" else name for name in used}
    assert used == declared
