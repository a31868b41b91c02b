"""From an intent to a plan on disk: this file is the table of contents, each step lives in the package that owns it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from pathlib import Path

from fabric.bundle import refuse, write_plan
from fabric.catalogue import Catalogue, load_catalogue
from fabric.checks import run
from fabric.errors import InputError
from fabric.exports import render
from fabric.exports.configs import configs
from fabric.exports.report import report
from fabric.exports.workorders import workorders
from fabric.failures import analyse
from fabric.findings import Finding
from fabric.intent import Intent, load_intent
from fabric.intent_catalogue import check_against
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.floorplan import bundle, place
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
}
"""The dialect behind each file of a bundle."""
ON_THE_FLOOR = {"drawings/racks.svg": "racks", "drawings/floor.svg": "floor"}
"""The same for files that need a floor plan."""
Tree = Callable[[Plan], Iterable[tuple[str, bytes]]]
TREES: dict[str, Tree] = {"configs": configs, "workorders": workorders}
"""What writes many files, each with its path in the bundle."""


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
    refuse(folder, replace=replace)
    with progress.stage("Read the intent"):
        intent, catalogue = read(intent_file)
    with progress.stage("Size the networks", len(intent.networks)) as step:
        design = size(intent, catalogue, step)
    with progress.stage("Build the tables"):
        fabric = build(design, intent, catalogue)
    with progress.stage("Place in racks"):
        placed = place(fabric, design, intent, catalogue)
    with progress.stage("Choose cables"):
        fabric = bundle(cable(placed.fabric, design, catalogue, placed.lengths_m))
    made = Plan(intent, catalogue, changed(design, floor=placed.proof), fabric)
    with progress.stage("Check"):
        findings = tuple(run(made))
    left_out: list[str] = []
    with progress.stage("Write the plan", len(OUTPUTS) + len(TREES) + 2) as step:
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

    def written(name: str, data: Callable[[], bytes | None]) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            step(name)
            if (content := data()) is None:
                too_large(name)
            else:
                path.write_bytes(content)

        return write

    def tree(name: str, of: Tree) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            step(name)
            for within, content in of(made):
                file = path.parent / within
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

        return write

    return {
        "checks.jsonl": written("checks.jsonl", lambda: lines(findings).encode()),
        **{name: written(name, partial(render, made, dialect)) for name, dialect in outputs(made).items()},
        "report.html": written("report.html", lambda: report(made, findings, analyse(made))),
        **{name: tree(name, of) for name, of in TREES.items()},
    }


def outputs(made: Plan) -> Mapping[str, str]:
    """The files of ``OUTPUTS``, and those of the floor plan where there is one."""
    return {**OUTPUTS, **(ON_THE_FLOOR if made.fabric.racks.height else {})}


def lines(findings: Sequence[Finding]) -> str:
    """Findings as JSON, one a line."""
    return "".join(finding.to_json() + "\n" for finding in findings)
