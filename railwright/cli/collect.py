"""``railwright collect``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from railwright.cli.base import Command, State, json_option, open_plan

if TYPE_CHECKING:
    from collectors.secrets import Secrets
    from collectors.service import Site
    from collectors.settings import Collect

EXAMPLE = """\
railwright collect --demo --for 30
railwright collect out/hpn --secrets secrets.env
railwright collect out/hpn --bus nats://127.0.0.1:4222 --only collect"""


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    url: str | None
    spool: Path | None
    bus: str | None
    only: str | None
    seconds: float | None
    metrics: str | None
    as_json: bool


@dataclass(frozen=True)
class Work:
    """Who is to be asked, how, with which secrets, and where samples go."""

    site: Site
    settings: Collect
    secrets: Secrets
    url: str


@click.command(cls=Command, example=EXAMPLE)
@click.argument("plan", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Start agents on this machine and poll them; needs no PLAN.")
@click.option("--agents", metavar="N", type=click.IntRange(1, 64), default=4, help="Of --demo: how many (default: 4).")
@click.option(
    "--period",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    help="Of --demo: between two polls of one (default: 2).",
)
@click.option("--source", "sources", metavar="NAME", multiple=True, help="Only this source; may be repeated.")
@click.option("--targets", metavar="FILE", help="CSV device,address,port,source: where devices are instead.")
@click.option(
    "--store", "url", metavar="URL", help="duckdb:FILE, influxdb://… or victoriametrics://… (default: PLAN.duckdb)."
)
@click.option(
    "--spool", metavar="DIR", type=click.Path(path_type=Path), help="Folder of what a server has not got yet."
)
@click.option("--bus", metavar="URL", help="memory: or nats://HOST:PORT (default: memory:).")
@click.option(
    "--only", type=click.Choice(["collect", "write"]), help="With nats: collect and publish, or take and write."
)
@click.option(
    "--secrets", "secrets_file", metavar="FILE", help="NAME=value lines, mode 600; RAILWRIGHT_SECRET_NAME works too."
)
@click.option(
    "--metrics", metavar="ADDR:PORT", help="Serve /metrics there (loopback), behind the secret METRICS_TOKEN."
)
@click.option("--for", "seconds", metavar="SECONDS", type=click.FloatRange(0.1), help="End after that long.")
@json_option
@click.pass_obj
def collect(
    state: State, plan: Path | None, demo: bool, agents: int, period: float, sources: tuple[str, ...],
    targets: str | None, url: str | None, spool: Path | None, bus: str | None, only: str | None,
    secrets_file: str | None, metrics: str | None, seconds: float | None, as_json: bool,
) -> int:  # fmt: skip
    """Collect telemetry of a plan's devices into a store, until interrupted.

    Whom to ask, how, and how often is in the tables [collect] of railwright.toml: docs/collect.md. On a terminal a
    table shows every device; --json prints the numbers of all parts at the end.
    """
    from collectors.secrets import read_secrets

    asked = Asked(url, spool, bus, only, seconds, metrics, as_json)
    with ExitStack() as stack:
        if demo:
            if plan is not None or sources or targets:
                raise click.UsageError("--demo takes no PLAN, --source or --targets")
            from collectors.demo import demo as demonstrate

            site, settings, what = stack.enter_context(demonstrate(agents, period))
            click.echo(f"railwright: {agents} × {what}", err=True)
            secrets = read_secrets(Path(secrets_file) if secrets_file else None)
        else:
            if plan is None:
                raise click.UsageError("missing argument PLAN (or --demo)")
            site, settings, secrets = _planned(state, plan, sources, targets, secrets_file, asked)
        url = url or settings.shared.store or _default_store(stack, plan)
        from railwright.cli.collecting import run

        return run(state, Work(site, settings, secrets, url), asked)


def _planned(
    state: State, plan: Path, only: tuple[str, ...], targets: str | None, secrets_file: str | None, asked: Asked
) -> tuple[Site, Collect, Secrets]:
    """Site, settings with their secrets, and secrets, as flags and the file of settings say."""
    from collectors.secrets import read_secrets
    from collectors.service import Site
    from collectors.settings import read, with_secrets
    from collectors.targets import shards

    found = state.settings
    flags = {"targets": targets, "secrets": secrets_file, "bus": asked.bus, "metrics": asked.metrics}
    tables = {**found.tables.get("collect", {}), **{name: value for name, value in flags.items() if value}}
    shared, sources = read(tables, found.file)
    secrets = read_secrets(Path(shared.secrets) if shared.secrets else None)
    made = open_plan(plan)
    if asked.only == "write":
        from collectors.settings import Collect

        return Site(shards(made), {}, made), Collect(shared, ()), secrets
    settings = with_secrets(shared, sources, secrets, found.file)
    settings = settings.only(only) if only else settings
    return Site.of(made, settings), settings, secrets


def _default_store(stack: ExitStack, plan: Path | None) -> str:
    """Beside the plan; of a demonstration a folder that goes with it."""
    if plan is not None:
        from railwright.cli.store import default_url

        return default_url(plan)
    import tempfile

    return f"duckdb:{stack.enter_context(tempfile.TemporaryDirectory(prefix='railwright-demo-'))}/demo.duckdb"
