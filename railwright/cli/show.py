"""``railwright show``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import PLAN, Command, json_option, open_plan, print_json


@click.command(cls=Command, example="railwright show out/hpn --json")
@PLAN
@json_option
def show(plan: Path, as_json: bool) -> int:
    """Show what a plan amounts to.

    For each network tiers, switches, links and cables, oversubscription and the proof; in all cost and power.
    """
    from fabric.summary import render, summarise

    summary = summarise(open_plan(plan))
    if as_json:
        print_json(summary)
    else:
        click.echo(render(summary))
    return 0
