"""What all tests share: Hypothesis' profile, and parts that a machine may lack.

A test that needs such a part asks for it with ``need`` (a program) or ``shared_data`` (files): where it is missing the
test is skipped, naming the part and the command that brings it. Under ``RAILWRIGHT_REQUIRE=all`` a skip is a failure.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
ROOT = HERE.parent

settings.register_profile(
    "railwright", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("railwright")


def parts() -> dict[str, dict[str, str]]:
    """The rows of parts.csv by part: program, Debian package, what it does here."""
    with (HERE / "parts.csv").open(newline="", encoding="utf-8") as file:
        return {row["part"]: row for row in csv.DictReader(file)}


def need(part: str) -> str:
    """The path of a part's program; skips the test where it is missing."""
    row = parts()[part]
    made = ROOT / ".parts/bin" / row["program"]
    if os.access(made, os.X_OK):
        return str(made)
    found = shutil.which(row["program"])
    if found is None:
        package = row["package"]
        command = package if package.startswith("make ") else f"apt-get install {package}"
        pytest.skip(f"{part} ({row['what']}) is missing: {command}")
    return found


def shared_data(name: str) -> Path:
    """A file or folder of ``RAILWRIGHT_TEST_DATA``; skips the test where it is missing."""
    folder = os.environ.get("RAILWRIGHT_TEST_DATA")
    if not folder or not Path(folder, name).exists():
        pytest.skip(f"test data {name} is missing: set RAILWRIGHT_TEST_DATA to the folder that holds it")
    return Path(folder, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn a skip into a failure where everything is required; an expected failure stays one."""
    report: Any = yield
    if os.environ.get("RAILWRIGHT_REQUIRE") == "all" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: RAILWRIGHT_REQUIRE=all, but skipped: {report.longrepr[2]}"
    return report  # type: ignore[no-any-return]
