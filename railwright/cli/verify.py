"""``railwright verify``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fabric.errors import InputError, Problem
from railwright.cli.base import PLAN, Command, counted, exit_code, open_plan

if TYPE_CHECKING:
    from collectors.detectors import Signal
    from collectors.detectors.view import View
    from collectors.detectors.wiring.claims import Claims
    from collectors.detectors.wiring.compare import Compared
    from fabric.findings import Finding
    from fabric.inventory import Inventory
    from fabric.plan import Plan

CODES = ("as planned, or warnings only", "errors", "it could not run")
LIVE_S = 600
"""s: several times as long as LLDP's neighbours are good for; a port's newest sample counts."""
EXAMPLE = """\
railwright verify out/hpn --lldp neighbours/*.json
railwright verify out/superpod --ibnetdiscover subnet.txt
railwright verify out/hpn --live"""


@click.command(cls=Command, example=EXAMPLE, codes=CODES)
@PLAN
@click.argument("more", metavar="[FILE]...", nargs=-1)
@click.option("--lldp", metavar="FILE...", multiple=True, help="DEVICE.json or DEVICE=FILE, of `lldpcli -f json0`.")
@click.option("--ibnetdiscover", "ibnet", metavar="FILE", type=click.Path(path_type=Path), help="What it printed.")
@click.option("--live", is_flag=True, help="The newest neighbours in the store.")
@click.option("--store", "url", metavar="URL", help="The store of --live (default: PLAN.duckdb).")
@click.option("--inventory", metavar="FILE", type=click.Path(path_type=Path), help="MACs and GUIDs of the devices.")
@click.option("--json", "as_json", is_flag=True, help="Print one finding a line, as JSON.")
def verify(
    plan: Path,
    more: tuple[str, ...],
    lldp: tuple[str, ...],
    ibnet: Path | None,
    live: bool,
    url: str | None,
    inventory: Path | None,
    as_json: bool,
) -> int:
    """Compare the cables as they are with the plan, and list the fewest moves that put them right.

    One move is re-plugging one cable end. Give LLDP neighbours (a file a device), an InfiniBand subnet, or --live.
    """
    from collectors.detectors.view import view
    from collectors.detectors.wiring.compare import compare
    from collectors.detectors.wiring.plugs import plugs
    from fabric.inventory import read_inventory

    if (bool(lldp) + (ibnet is not None) + live) != 1:
        raise click.UsageError("give one of --lldp, --ibnetdiscover and --live")
    if more and not lldp:
        raise click.UsageError(f"{more[0]} is no option: only --lldp takes several files")
    made = open_plan(plan)
    seen = view(made)
    known = read_inventory(inventory, made) if inventory else None
    newest = None
    if lldp:
        claims = _of_files((*lldp, *more), made, seen, known)
    elif ibnet is not None:
        claims = _of_subnet(ibnet, seen, known)
    else:
        claims, newest = _of_store(plan, made, seen, url)
    return _report(compare(claims, plugs(seen)), newest, as_json)


def _report(compared: Compared, newest: int | None, as_json: bool) -> int:
    findings = [_finding(signal, newest) for signal in compared.signals]
    for finding in findings:
        click.echo(finding.to_json() if as_json else "\n".join(_lines(finding)))
    if not as_json:
        moves = sum(len(finding.evidence.get("moves", ())) for finding in findings)
        heard = f"{counted(len(compared.links.x), 'link')} heard, {compared.right:,} as planned"
        click.echo(f"{heard}: {counted(len(findings), 'finding')}, {counted(moves, 'move')}")
    return exit_code(findings)


def _of_files(files: tuple[str, ...], made: Plan, seen: View, known: Inventory | None) -> Claims:
    from collectors.detectors.wiring.lldp import read_files
    from collectors.detectors.wiring.names import Names

    claims, others = read_files(files, Names(seen, known.macs(made) if known else None))
    if others:
        click.echo(f"railwright: left out: {counted(others, 'interface')} that the plan does not have", err=True)
    if not (claims.far != -1).any():
        click.echo("railwright: no file has a neighbour of a port that the plan has", err=True)
    return claims


def _of_subnet(file: Path, seen: View, known: Inventory | None) -> Claims:
    from collectors.detectors.wiring.ibnet import claims, read_file

    found, others = claims(read_file(file), seen, known, str(file))
    if others:
        click.echo(f"railwright: {file}: left out: {counted(others, 'node')} that the plan does not have", err=True)
    return found


def _of_store(folder: Path, made: Plan, seen: View, url: str | None) -> tuple[Claims, int | None]:
    import time

    from collectors.detectors.wiring.lldp import from_samples
    from collectors.sources.lldp import COLUMNS
    from collectors.store import open_store
    from railwright.cli.store import default_url

    opened = open_store(url or default_url(folder), plan=made)
    try:
        now = time.time_ns()
        columns = [column for column in COLUMNS if column in opened.columns()]
        rows = opened.read(columns, start_ns=now - LIVE_S * 10**9, end_ns=now + 1) if columns else None
    finally:
        opened.close()
    if rows is None or rows.is_empty():
        what = f"has no neighbours of the last {LIVE_S // 60} minutes"
        raise InputError(Problem(url or default_url(folder), what, "let `railwright collect` run, with LLDP asked for"))
    return from_samples(rows, seen)


def _finding(signal: Signal, newest: int | None) -> Finding:
    from fabric.detections import DETECTIONS
    from fabric.findings import Finding

    about = DETECTIONS[signal.code]
    return Finding(
        signal.code, signal.cause, about.causes[signal.cause], signal.subject, signal.evidence, last_seen=newest,
        advice=about.advice,
    )  # fmt: skip


def _lines(finding: Finding) -> Iterator[str]:
    """For people: what it is called, then a line a move, or the cable."""
    evidence = finding.evidence
    moves = evidence.get("moves", ())
    head = f"{finding.severity}: {finding.code}: {finding.cause}"
    if moves:
        yield f"{head}: {counted(len(moves), 'move')}; see {finding.advice}"
        for move in moves:
            others = ", ".join(_end(end) for end in move["other"])
            yield f"  move the end at {_end(move['from'])} to {_end(move['to'])} (its other end: {others})"
    elif finding.cause == "missing":
        yield f"{head}: nothing is heard between {' and '.join(map(_end, finding.subject['link']))}"
    else:
        pairs = "; ".join(" and ".join(map(_end, pair)) for pair in evidence["links"])
        yield f"{head}: the plan has no cable between {pairs}"


def _end(end: Mapping[str, Any]) -> str:
    if "device" in end:
        return f"{end['device']} {end['port']}"
    return end["neighbour"] or "an unknown neighbour"
