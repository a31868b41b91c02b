"""``railwright route``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from railwright.cli.base import PLAN, Command, counted, json_option, open_plan, print_json

if TYPE_CHECKING:
    from planner.routing import Routes

EXAMPLE = """\
railwright route out/hpn --flows flows.csv --explain
railwright route out/hpn --flows flows.csv --dead dead.csv --json > routes.json
railwright route out/hpn --flows more.csv --before routes.json --most-moved 4"""
CODES = ("every flow has a path", "some flows have none", "cannot run")
_FILE = click.Path(path_type=Path)
_BOUNDS = {
    "leaf": "a leaf's traffic over its live uplinks",
    "pair": "two leaves' traffic over the spines they share",
    "pod": "a pod's traffic over its live links to cores",
    "lp": "flows split at will (linear programme)",
    "whole": "queue pairs kept whole",
}


@click.command(cls=Command, example=EXAMPLE, codes=CODES)
@PLAN
@click.option(
    "--flows", "flows_file", metavar="FILE", required=True, type=_FILE, help="flows.csv: who sends whom what."
)
@click.option("--dead", "dead_file", metavar="FILE", type=_FILE, help="dead.csv: devices and ports that do not work.")
@click.option(
    "--routes", "method", type=click.Choice(["colored", "greedy", "ecmp"]), default="colored", show_default=True,
    help="How paths are chosen; ecmp: by the switches' hashes.",
)  # fmt: skip
@click.option("--network", metavar="NAME", help="The network of the flows' rails (default: the plan's first).")
@click.option(
    "--split", metavar="N", type=click.IntRange(1, 64),
    help="Split flows into at most N queue pairs of one size.",
)  # fmt: skip
@click.option("--before", metavar="FILE", type=_FILE, help="routes.json in force: keep its paths where they live.")
@click.option(
    "--most-moved", metavar="N", type=click.IntRange(0), default=8, show_default=True,
    help="Living paths that --before may move.",
)  # fmt: skip
@click.option(
    "--weights", "weights_file", metavar="FILE", type=_FILE,
    help="Write the weights of next hops as CSV: leaf,to_leaf,port,weight.",
)  # fmt: skip
@click.option("--explain", is_flag=True, help="Say why the load is what it is.")
@json_option
def route(
    plan: Path, flows_file: Path, dead_file: Path | None, method: str, network: str | None, split: int | None,
    before: Path | None, most_moved: int, weights_file: Path | None, explain: bool, as_json: bool,
) -> int:  # fmt: skip
    """Choose a path for every flow so that no link gets more than it must.

    Prints the load of the busiest link beside what no routing goes below; --json has the paths and the UDP source
    ports that bring them about on the planned hashes.
    """
    from fabric.flowfile import read_dead, read_flows
    from planner import routing
    from planner.routing.explain import explain as words
    from planner.routing.network import network as net_of
    from planner.routing.realise import NONE, source_ports, weights
    from planner.routing.routefile import read_routes, to_json, weights_csv
    from planner.routing.split import split as split_flows

    made = open_plan(plan)
    name = net_of(made, network).name
    flows = read_flows(flows_file, made, name)
    if split:
        flows = split_flows(flows, split)
    dead = read_dead(dead_file, made) if dead_file else None
    if before:
        found = routing.update(made, read_routes(before, made, flows), flows, dead, most_moved)
    else:
        found = routing.routes(made, flows, dead, method, name)  # type: ignore[arg-type]
    net = net_of(made, name, dead)
    ports = source_ports(net, found)
    if weights_file:
        weights_file.write_bytes(weights_csv(made, weights(found, net)))
    if as_json:
        print_json(to_json(made, found, ports))
    else:
        _show(found, int((ports != NONE).sum()))
    if explain:
        click.echo("\n" * (not as_json) + "\n".join(words(net, flows, found)), err=as_json)
    return int(found.status == "INFEASIBLE")


def _show(found: Routes, realised: int) -> None:
    paths = found.paths
    routed = paths.height - found.unrouted.height
    flows = paths["flow"].n_unique()
    click.echo(f"{found.network}: {counted(flows, 'flow')}, {counted(paths.height, 'queue pair')}, {found.method}")
    lines: list[tuple[str, Any]] = [
        ("busiest link between switches", found.max_load),
        ("no routing goes below", found.bound),
        *((f"  {what}", getattr(found.bounds, name)) for name, what in _BOUNDS.items()),
        ("busiest link of a host", found.host_load),
    ]
    for what, value in lines:
        if value is not None:
            click.echo(f"{what:<50}{value:>9.3f}")
    click.echo(f"{'status':<50}{found.status:>9}")
    for what, number in (("with a path", routed), ("with a source port", realised), ("moved", found.moved)):
        click.echo(f"{f'queue pairs {what}':<50}{number:>9,}")
    for note in found.notes:
        click.echo(f"railwright: {note}", err=True)
