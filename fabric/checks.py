"""What must hold of a plan, as functions in a tuple that yield findings; they never raise, log or mend."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from fabric.checking import (
    bandwidth,
    cables,
    cages,
    counts,
    coverage,
    floor,
    polarisation,
    ports,
    qos,
    rails,
    resilience,
    structure,
    trunks,
)
from fabric.checking.view import View
from fabric.findings import CODES, Finding, Severity

if TYPE_CHECKING:
    from fabric.plan import Plan

Check = Callable[[View], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    *structure.CHECKS,
    *ports.CHECKS,
    *cages.CHECKS,
    *rails.CHECKS,
    *trunks.CHECKS,
    *coverage.CHECKS,
    *cables.CHECKS,
    *floor.CHECKS,
    *counts.CHECKS,
    *bandwidth.CHECKS,
    *resilience.CHECKS,
)
CONFIGURED: tuple[Check, ...] = (*qos.CHECKS, *polarisation.CHECKS)
"""Checks of what is configured; they read what is written for a plan, and so run only where its tables hold."""

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def run(plan: Plan, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Findings of all checks (or of ``checks`` alone), the worst first, else in the order of the checks."""
    view = View(plan)
    found = list(chain.from_iterable(check(view) for check in checks))
    if checks is CHECKS and not failed(found):
        found += chain.from_iterable(check(view) for check in CONFIGURED)
    return sorted(found, key=lambda finding: _RANK[finding.severity])


def failed(findings: Iterable[Finding]) -> bool:
    """One of the findings is an error: the plan must not be built."""
    return any(_RANK[finding.severity] <= _RANK[Severity.ERROR] for finding in findings)


def markdown() -> str:
    """``docs/checks.md``: every code, from where it is declared."""
    lines = [
        "# What the checks find",
        "",
        "Generated from `fabric/findings.py` by `python -m fabric.checks`. `railwright check PLAN` prints one finding",
        "a line (`--json`: one object a line) and exits with 1 when one of them is an error. Of one code at most 20",
        "findings a check are printed; the evidence of the last says how many `more` there are.",
        "",
        "| code | cause | severity |",
        "|---|---|---|",
        *(f"| [{code.name}](#{code.name}) | {code.cause} | {code.severity} |" for code in CODES.values()),
    ]
    for code in CODES.values():
        lines += ["", f"## {code.name}", "", code.meaning, "", f"*What to do.* {code.remedy}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
