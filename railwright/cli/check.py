"""``railwright check``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import PLAN, Command, counted, exit_code, open_plan

CODES = ("clean, or warnings only", "errors", "it could not run")


@click.command(cls=Command, example="railwright check out/hpn", codes=CODES)
@PLAN
@click.option("--json", "as_json", is_flag=True, help="Print one finding a line, as JSON.")
def check(plan: Path, as_json: bool) -> int:
    """Check a plan: every check there is, on the tables as they are on disk."""
    from fabric.checks import CHECKS, run

    findings = list(run(open_plan(plan)))
    for finding in findings:
        click.echo(finding.to_json() if as_json else str(finding))
    if not as_json:
        click.echo(f"{counted(len(CHECKS), 'check')}: {counted(len(findings), 'finding')}")
    return exit_code(findings)
