"""From an intent to a plan on disk: this file is the table of contents, each step lives in the package that owns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabric.bundle import write_plan
from fabric.catalogue import Catalogue, load_catalogue
from fabric.checks import run
from fabric.errors import InputError
from fabric.exports import render
from fabric.findings import Finding
from fabric.intent import Intent, load_intent
from fabric.intent_catalogue import check_against
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size
from railwright.progress import Progress, Step

OUTPUTS = {
    "cabling/cables.csv": "cables",
    "cabling/cables.xlsx": "cables-xlsx",
    "cabling/labels.csv": "labels",
    "cabling/netbox-cables.csv": "netbox-cables",
    "cabling/topology.dot": "ptm",
    "bom.csv": "bom",
    "bom.xlsx": "bom-xlsx",
    "drawings/fabric.svg": "drawing",
    "report.html": "report",
}
"""The dialect behind each file of a bundle."""


@dataclass(frozen=True)
class Outcome:
    """A plan, what its checks found, and the files of ``OUTPUTS`` that it is too large for."""

    plan: Plan
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]


def plan(intent_file: Path, folder: Path, progress: Progress, *, replace: bool = False) -> Outcome:
    """Plan what ``intent_file`` asks for and write it, whole, to ``folder``.

    Raises InputError, InfeasibleError, or OutputError; ``folder`` then is as it was.
    """
    with progress.stage("Read the intent"):
        intent, catalogue = read(intent_file)
    with progress.stage("Size the networks", len(intent.networks)) as step:
        design = size(intent, catalogue, step)
    with progress.stage("Build the tables"):
        fabric = build(design, intent, catalogue)
    with progress.stage("Choose cables"):
        fabric = cable(fabric, design, catalogue)
    made = Plan(intent, catalogue, design, fabric)
    with progress.stage("Check"):
        findings = tuple(run(made))
    left_out: list[str] = []
    with progress.stage("Write the plan", len(OUTPUTS) + 1) as step:
        write_plan(made, folder, files(made, findings, step, left_out.append), replace=replace)
    return Outcome(made, findings, tuple(left_out))


def read(intent_file: Path) -> tuple[Intent, Catalogue]:
    """The intent and the parts it is planned from, which fit together; raises InputError with all that does not."""
    intent = load_intent(intent_file)
    catalogue = load_catalogue(intent.catalogue_paths)
    if problems := check_against(intent, catalogue):
        raise InputError(problems)
    return intent, catalogue


def files(
    made: Plan, findings: Sequence[Finding], step: Step, too_large: Callable[[str], None]
) -> Mapping[str, Callable[[Path], None]]:
    """What writes each file of the bundle beside intent, design, catalogue and tables.

    ``step`` hears the name of each file before it is written, ``too_large`` of those that are not.
    """

    def export(name: str, dialect: str) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            step(name)
            data = render(made, dialect)
            if data is None:
                too_large(name)
            else:
                path.write_bytes(data)

        return write

    def checks(path: Path) -> None:
        step("checks.jsonl")
        path.write_text(lines(findings), encoding="utf-8")

    return {"checks.jsonl": checks, **{name: export(name, dialect) for name, dialect in OUTPUTS.items()}}


def lines(findings: Sequence[Finding]) -> str:
    """Findings as JSON, one a line."""
    return "".join(finding.to_json() + "\n" for finding in findings)
