"""``railwright export``."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from fabric.errors import OutputError, Problem
from railwright.cli.base import Command, json_option, open_plan, print_json

EXAMPLE = """\
railwright export out/hpn --to links -o links.csv
railwright export --to list"""


@click.command(cls=Command, example=EXAMPLE)
@click.argument("plan", metavar="PLAN", required=False, type=click.Path(path_type=Path))
@click.option("--to", "dialect", metavar="DIALECT", required=True, help="The format; `list` names them all.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="The file to write (default: stdout)."
)
@json_option
def export(plan: Path | None, dialect: str, output: Path | None, as_json: bool) -> int:
    """Write a plan in somebody else's format, to stdout or to a file.

    --json is for `--to list`. A FILE that is there is replaced, when the whole of the new one is written.
    """
    from fabric.exports import known, render

    if dialect == "list":
        _list(as_json)
        return 0
    if plan is None:
        raise click.UsageError("missing argument PLAN")
    chosen = known(dialect)
    if chosen.binary and output is None and sys.stdout.isatty():
        raise OutputError(
            Problem("stdout", f"{dialect} is no text to show on a terminal", "write it to a file with -o FILE")
        )
    data = render(open_plan(plan), dialect)
    if data is None:
        raise OutputError(Problem("--to", f"the plan has more rows than {dialect} takes", "take a CSV dialect"))
    if output is None:
        sys.stdout.buffer.write(data)
    else:
        _replace(output, data)
    return 0


def _list(as_json: bool) -> None:
    from fabric.exports import DIALECTS

    if as_json:
        print_json({name: dialect.description for name, dialect in DIALECTS.items()})
        return
    width = max(map(len, DIALECTS))
    for name, dialect in DIALECTS.items():
        click.echo(f"{name:<{width}}  {dialect.description}")


def _replace(path: Path, data: bytes) -> None:
    """Write beside ``path`` and rename: the file is the old one or the whole new one. Raises OutputError."""
    beside = path.with_name(f".{path.name}.railwright")
    try:
        if path.is_dir():
            raise OutputError(Problem(str(path), "is a folder", "name a file"))
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise OutputError(Problem(str(path), f"cannot be written: {(error.strerror or str(error)).lower()}")) from error
    finally:
        with suppress(OSError):
            beside.unlink()
