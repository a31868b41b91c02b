"""``railwright plan``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import Command, State, exit_code, json_option, print_json, warn
from railwright.progress import choose

CODES = (
    "the plan is whole; warnings are printed",
    "a check found an error; the plan is kept to be read",
    "it could not be planned; nothing was written",
)


@click.command(cls=Command, example="railwright plan examples/hpn7-pod.yaml -o out/hpn", codes=CODES)
@click.argument("intent", metavar="INTENT", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="PLAN", required=True, type=click.Path(path_type=Path), help="The folder to write."
)
@click.option("--force", is_flag=True, help="Replace the plan that is there.")
@json_option
@click.pass_obj
def plan(state: State, intent: Path, output: Path, force: bool, as_json: bool) -> int:
    """Plan what the file INTENT asks for.

    Sizes every network with a proof, builds the tables, chooses cables and parts, checks the result, and writes the
    whole plan into one folder, or nothing.
    """
    progress = choose(state.settings)
    with progress.whole():
        from fabric.summary import render, summarise
        from railwright import pipeline

        outcome = pipeline.plan(intent, output, progress, replace=force)
    summary = summarise(outcome.plan)
    if as_json:
        print_json(summary)
    else:
        click.echo(render(summary))
    for name in outcome.left_out:
        click.echo(f"railwright: {name} is left out: the plan has more rows than the format takes", err=True)
    warn(outcome.findings)
    return exit_code(outcome.findings)
