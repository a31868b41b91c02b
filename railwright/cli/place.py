"""``railwright place``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import PLAN, Command, json_option, open_plan, print_json

CODES = ("the job is placed", "never", "it could not be placed")
FILE = click.Path(path_type=Path)


@click.command(cls=Command, example="railwright place out/hpn --job job.yaml --free free.txt --explain", codes=CODES)
@PLAN
@click.option("--job", required=True, type=FILE, metavar="FILE", help="The job: YAML, hosts, tp, pp, dp, ep, steps.")
@click.option(
    "--free", type=FILE, metavar="FILE", help="Free hosts, one a line (default: all hosts but spares)."
)  # fmt: skip
@click.option("--dead", type=FILE, metavar="FILE", help="What does not work: CSV, device,port.")
@click.option("--network", metavar="NETWORK", help="Network that the job uses (default: the plan's first).")
@click.option("--explain", is_flag=True, help="Say why.")
@json_option
def place(plan: Path, job: Path, free: Path | None, dead: Path | None, **rest: object) -> int:
    """Say which hosts a job takes, in rank order.

    So that few bytes cross segments and few holes are left; hosts that lost ports come last.
    """
    from fabric.flowfile import read_dead
    from fabric.jobfile import read_job
    from planner.freehosts import read_free
    from planner.placement.hosts import placed
    from planner.placement.told import json_of, words_of

    opened, asked, network = open_plan(plan), read_job(job), rest["network"]
    listed = read_free(free, frozenset(opened.fabric.hosts["name"])) if free else None
    broken = read_dead(dead, opened) if dead else None
    found = placed(opened, asked, listed, broken, str(network) if network else None)
    if rest["as_json"]:
        print_json(json_of(found))
    else:
        click.echo(words_of(found, explain=bool(rest["explain"])))
    return 0
