"""What the subcommands share: lazy loading, help pages with an example, common options, settings, and output."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fabric.findings import Finding
    from fabric.plan import Plan
    from railwright.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class State:
    """What the options before and after the subcommand said; one a run of the command."""

    debug: bool = False
    config_file: str | None = None
    flags: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force; raises InputError with all that is wrong with them."""
        from railwright.settings import load

        return load(self.flags, config_file=self.config_file)


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    state = ctx.find_object(State)
    if value and state is not None:
        state.debug = True
        state.flags = {**state.flags, "debug": "true"}


DEBUG = click.Option(
    ["--debug"], is_flag=True, expose_value=False, callback=_remember_debug, help="Show the traceback of an error."
)
"""Of every command, before or after the subcommand's name."""


class Command(click.Command):
    """A subcommand whose help page has an example and, where they say something, the exit codes."""

    def __init__(self, *args: Any, example: str, codes: Sequence[str] = (), **kwargs: Any) -> None:
        """``example``: command lines; ``codes``: what exit codes 0, 1, 2 mean here."""
        super().__init__(*args, **kwargs)
        self.example, self.codes = example, tuple(codes)
        self.params.append(DEBUG)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it with the settings in force: what is wrong with them is told by every command."""
        state = ctx.ensure_object(State)
        state.debug = state.settings["debug"] == "true"
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example and the exit codes, below the options."""
        _section(formatter, "Example", self.example.splitlines())
        if self.codes:
            _section(formatter, "Exit codes", [f"{code}  {meaning}" for code, meaning in enumerate(self.codes)])


class LazyGroup(click.Group):
    """A group that imports a subcommand's module only when the subcommand is asked for."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str], example: str, **kwargs: Any) -> None:
        """``commands_at``: ``module:attribute`` of each subcommand, in the order of the help page."""
        super().__init__(*args, **kwargs)
        self.commands_at, self.example = commands_at, example
        self.params.append(DEBUG)

    def list_commands(self, _: click.Context) -> list[str]:
        """Names in the order given."""
        return list(self.commands_at)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported now; None where there is none of that name."""
        if cmd_name not in self.commands_at:
            return None
        module, attribute = self.commands_at[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the arguments name; a mistake names the nearest."""
        if args[0] not in self.commands_at and not args[0].startswith("-"):
            from fabric.validation import suggest

            ctx.fail(f'no such command "{args[0]}", {suggest(args[0], list(self.commands_at))}')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand, telling a reader that went away from other errors of the system."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, below the subcommands."""
        _section(formatter, "Example", self.example.splitlines())


class ReaderGoneError(Exception):
    """Whoever read our output stopped reading; no error of the user's."""


def _section(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    with formatter.section(title):
        for line in lines:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def json_option(command: F) -> F:
    """``--json``: data for programs instead of text for people."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


PLAN = click.argument("plan", metavar="PLAN", type=click.Path(path_type=Path))
"""The folder of a plan."""


def print_json(data: Any) -> None:
    """One JSON document, keys in the order given."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def open_plan(folder: Path) -> Plan:
    """The plan in ``folder``; raises PlanError."""
    from fabric.bundle import read_plan

    return read_plan(folder)


def counted(number: int, noun: str) -> str:
    """``1 check``, ``2 checks``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def warn(findings: Sequence[Finding], most: int = 10) -> None:
    """Errors and warnings on stderr, the first ``most`` of them, and how many findings more there are."""
    told = [finding for finding in findings if finding.severity != "info"][:most]
    for finding in told:
        click.echo(f"railwright: {finding}", err=True)
    if rest := len(findings) - len(told):
        click.echo(f"railwright: {counted(rest, 'more finding' if told else 'finding')} in checks.jsonl", err=True)


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where nothing is worse than a warning, else 1."""
    return int(any(finding.severity == "error" for finding in findings))
