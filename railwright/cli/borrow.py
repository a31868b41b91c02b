"""``railwright borrow``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import PLAN, Command, json_option, open_plan, print_json

CODES = ("rails are borrowed", "nothing can be borrowed; the alternative is printed", "it could not")
FILE = click.Path(path_type=Path)
SHARE = click.FloatRange(0, 1)


@click.command(cls=Command, example="railwright borrow out/hpn --dead dead.csv --host gpu-0003 --explain", codes=CODES)
@PLAN
@click.option("--dead", required=True, type=FILE, metavar="FILE", help="What does not work: CSV, device,port.")
@click.option("--host", metavar="HOST", help="The host that lost ports (default: every host that did).")
@click.option(
    "--peer", "peers", multiple=True, metavar="HOST",
    help="Whom it talks to; may be given again (default: its neighbours in the segment, as in a ring).",
)  # fmt: skip
@click.option("--free", type=FILE, metavar="FILE", help="Free hosts, one a line (default: the plan's spares).")
@click.option("--load", type=FILE, metavar="FILE", help="What others send: CSV, device,port,gbps.")
@click.option("--network", metavar="NETWORK", help="Network whose rails are lost (default: the plan's first).")
@click.option("--mode", type=click.Choice(["auto", "both-ends", "one-end"]), default="auto", show_default=True,
              help="Move both ends of a rail, or only the end that lost it.")  # fmt: skip
@click.option("--queue-pairs", type=click.IntRange(1, 1024), metavar="K",
              help="Equal queue pairs a port (default: as NCCL is told in nccl.conf).")  # fmt: skip
@click.option("--demand", type=SHARE, default=1.0, show_default=True, help="What the job sends, of a port's speed.")
@click.option("--scale-up-load", type=SHARE, default=0.0, show_default=True,
              help="What the job sends inside the host, of a scale-up link's speed.")  # fmt: skip
@click.option("--network-share", type=SHARE, default=1.0, show_default=True,
              help="Of a step's time, in which the job waits for the network.")  # fmt: skip
@click.option("--restart-minutes", type=click.FloatRange(0), default=68.0, show_default=True,
              help="What it costs to replace the host.")  # fmt: skip
@click.option("--explain", is_flag=True, help="Say why.")
@json_option
def borrow(plan: Path, dead: Path, free: Path | None, load: Path | None, **rest: object) -> int:
    """Say which NICs carry the traffic of lost rails.

    How much each, at both ends or one, what that leaves, and whether replacing the host is worth more.
    """
    from fabric.flowfile import read_dead
    from planner.borrowing.hosts import Wish, answers
    from planner.borrowing.loadfile import read_load
    from planner.borrowing.told import json_of, words_of
    from planner.freehosts import read_free

    explain, as_json = bool(rest.pop("explain")), bool(rest.pop("as_json"))
    opened = open_plan(plan)
    listed = read_free(free, frozenset(opened.fabric.hosts["name"])) if free else None
    loads = read_load(load, opened) if load else {}
    wish = Wish(read_dead(dead, opened), free=listed, load_gbps=loads, **rest)  # type: ignore[arg-type]
    found = answers(opened, wish)
    if as_json:
        print_json(json_of(found[0]) if wish.host else [json_of(one) for one in found])
    else:
        click.echo("\n\n".join(words_of(one, explain=explain) for one in found))
    return int(not all(one.worst.found for one in found))
