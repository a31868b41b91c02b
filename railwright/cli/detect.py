"""``railwright detect``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fabric.detections import DETECTIONS
from railwright.cli.base import PLAN, Command, counted, open_plan
from railwright.cli.store import SINCE, SPOOL, STORE, UNTIL

if TYPE_CHECKING:
    from collectors.detectors.run import Watch
    from collectors.store import Store
    from fabric.findings import Finding
    from fabric.plan import Plan

CODES = ("nothing, or warnings only", "errors or worse", "it could not run")
EXAMPLE = """\
railwright detect out/hpn --since 1h
railwright detect out/hpn --follow --code link --json
railwright detect out/hpn --since 2026-01-01T00:00:00Z --until 2026-01-01T01:00:00Z --jobs jobs.csv"""
SETTLE_S = 5.0
"""How long --follow waits after an interval's end for the last of its samples to reach the store."""


@dataclass(frozen=True)
class Asked:
    """The options that say what is watched."""

    jobs: Path | None
    maintenance: Path | None
    codes: tuple[str, ...]


@click.command(cls=Command, example=EXAMPLE, codes=CODES)
@PLAN
@STORE
@SPOOL
@SINCE
@UNTIL
@click.option("--follow", is_flag=True, help="Go on with every interval as it comes, until interrupted.")
@click.option(
    "--jobs", metavar="FILE", type=click.Path(path_type=Path), help="jobs.csv: findings name whom they touch."
)
@click.option(
    "--maintenance", metavar="FILE", type=click.Path(path_type=Path), help="CSV device,start,end: announced work."
)
@click.option("--code", "codes", multiple=True, type=click.Choice(list(DETECTIONS)), help="Only this; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one finding a line, as JSON.")
def detect(
    plan: Path,
    url: str | None,
    spool: Path | None,
    since: str | None,
    until: str | None,
    follow: bool,
    jobs: Path | None,
    maintenance: Path | None,
    codes: tuple[str, ...],
    as_json: bool,
) -> int:
    """Print what the samples of a store say is wrong: findings as they opened, changed and cleared.

    Without --since it begins an hour ago. A replay says what a watch that ran then would have said, byte for byte.
    docs/runbook.md says of each code what it means and what to do.
    """
    from railwright.cli.store import _there

    if follow and until:
        raise click.UsageError("--follow has no end: leave out --until")
    made = open_plan(plan)
    watching = _watch(made, Asked(jobs, maintenance, codes))
    bad = total = 0
    with _there(plan, url, spool) as opened:
        for finding in _findings(watching, opened, *_times(since, until), follow=follow):
            click.echo(finding.to_json() if as_json else told(finding))
            total += 1
            bad += finding.severity in ("error", "critical")
    for note in watching.notes():
        click.echo(f"railwright: {note}", err=True)
    if not as_json:
        click.echo(f"{counted(len(watching.detectors), 'detector')}: {counted(total, 'finding')}")
    return int(bad > 0)


def _watch(plan: Plan, asked: Asked) -> Watch:
    from collectors.detectors.jobs import read_jobs
    from collectors.detectors.maintenance import read_maintenance
    from collectors.detectors.run import watch

    ran = read_jobs(asked.jobs, plan) if asked.jobs else None
    announced = read_maintenance(asked.maintenance, plan) if asked.maintenance else ()
    return watch(plan, codes=asked.codes or None, jobs=ran, maintenance=announced)


def _times(since: str | None, until: str | None) -> tuple[int, int]:
    """From when until when, in nanoseconds since 1970; raises InputError."""
    import time

    from fabric.errors import InputError, Problem
    from railwright.cli.store import moment_ns

    now = time.time_ns()
    start = moment_ns(since or "1h", now, "--since")
    end = moment_ns(until, now, "--until") if until else now
    if end <= start:
        raise InputError(Problem("--since", "is not before --until"))
    return start, end


def _findings(watching: Watch, opened: Store, start: int, end: int, *, follow: bool) -> Iterator[Finding]:
    """Those of the past, and with ``follow`` those of each interval that ends from now on."""
    import time

    from collectors.detectors.run import look, replay

    for found in replay(watching, opened, start, end):
        yield from found
    step = watching.interval_ns
    now = end // step * step
    while follow:
        now += step
        time.sleep(max((now - time.time_ns()) / 1e9 + SETTLE_S, 0.0))
        yield from look(watching, opened, now)


def told(finding: Finding) -> str:
    """A finding as one line for people: when, what became of it, and the jobs that it touches."""
    from datetime import UTC, datetime

    at = datetime.fromtimestamp((finding.last_seen or 0) // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    jobs = f"; jobs {', '.join(finding.jobs)}" if finding.jobs else ""
    return f"{at} {finding.state} {finding.cause} {finding}{jobs}"
