"""``railwright simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from railwright.cli.base import PLAN, Command, json_option, open_plan, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric.plan import Plan
    from planner.routing import Method

EXAMPLE = """\
railwright simulate out/hpn --job job.yaml --routes colored --explain
railwright simulate out/hpn --flows flows.csv --dead dead.csv --json
railwright simulate out/hpn --job job.yaml --faults faults.yaml --seconds 120 -o out/day"""

CODES = ("done", "done, but some flows have no way or never end", "could not")

FILE = click.Path(path_type=Path)


@click.command(cls=Command, example=EXAMPLE, codes=CODES)
@PLAN
@click.option("--job", "jobs", metavar="FILE", type=FILE, multiple=True, help="A job (job.yaml); several run at once.")
@click.option("--flows", metavar="FILE", type=FILE, help="Flows with rates (flows.csv) instead of jobs.")
@click.option("--dead", metavar="FILE", type=FILE, help="What does not work (dead.csv).")
@click.option("--faults", metavar="FILE", type=FILE, help="What breaks, and when (faults.yaml); needs -o.")
@click.option(
    "--routes",
    "method",
    metavar="HOW",
    default="ecmp",
    show_default=True,
    type=click.Choice(["ecmp", "greedy", "colored"]),
    help="ecmp (the planned hashes), greedy or colored.",
)
@click.option("--network", metavar="NAME", help="The network (default: compute).")
@click.option("--queue-pairs", metavar="N", type=click.IntRange(1, 1024), help="Queue pairs of each pair of ends.")
@click.option("-o", "--output", metavar="DIR", type=FILE, help="Also write samples, flow samples and the truth there.")
@click.option(
    "--seconds", default=60.0, show_default=True, type=click.FloatRange(1, 86_400 * 7), help="How long -o runs."
)
@click.option("--interval", default=10.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds a sample.")
@click.option(
    "--sampling", metavar="N", default=0, type=click.IntRange(0), help="One frame in N as a flow sample; 0: none."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of everything drawn by lot.")
@click.option("--explain", is_flag=True, help="Say why it takes as long as it does.")
@json_option
def simulate(
    plan: Path,
    jobs: Sequence[Path],
    flows: Path | None,
    dead: Path | None,
    faults: Path | None,
    method: Method,
    network: str | None,
    queue_pairs: int | None,
    output: Path | None,
    seconds: float,
    interval: float,
    sampling: int,
    seed: int,
    explain: bool,
    as_json: bool,
) -> int:
    """How long a job's collectives take on the planned links, or what flows get of them.

    With -o a folder of what every switch and host would report meanwhile: samples, flow samples, jobs.csv, qps.csv and
    truth.jsonl, what the faults really were.
    """
    from fabric.flowfile import read_dead
    from railwright.simulation import Asked, simulated, written

    if bool(jobs) == bool(flows):
        raise click.UsageError("name a --job or --flows, one of them")
    if faults and output is None:
        raise click.UsageError("--faults changes what is written: name a folder with -o")
    made: Plan = open_plan(plan)
    gone = read_dead(dead, made) if dead else None
    asked = Asked(made, tuple(jobs), flows, gone, method, network, queue_pairs)
    answer = simulated(asked)
    if output is not None:
        written(asked, answer, output, faults, seconds, interval, sampling, seed)
    if as_json:
        print_json(answer.json)
        return answer.code
    for line in (*answer.text, *(answer.why() if explain else ())):
        click.echo(line)
    return answer.code
