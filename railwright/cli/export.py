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
railwright export out/hpn --to configs --fill secrets.env -o loaded
railwright export --to list"""
CONFIGS = "a folder: what switches and hosts load, DHCP and ZTP (--fill, --inventory)"


@click.command(cls=Command, example=EXAMPLE)
@click.argument("plan", metavar="PLAN", required=False, type=click.Path(path_type=Path))
@click.option("--to", "dialect", metavar="DIALECT", required=True, help="The format; `list` names them all.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="The file to write (default: stdout)."
)
@click.option(
    "--fill",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="NAME=value lines, mode 600, for the placeholders of `configs`; RAILWRIGHT_SECRET_NAME works too.",
)
@click.option(
    "--inventory",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="CSV of device,port,mac,guid,serial: what `configs` cannot know before the devices are there.",
)
@json_option
def export(
    plan: Path | None, dialect: str, output: Path | None, fill: Path | None, inventory: Path | None, as_json: bool
) -> int:
    """Write a plan in somebody else's format, to stdout or to a file.

    `configs` is a folder of everything that switches and hosts load. --json is for `--to list`. A FILE that is there
    is replaced, when the whole of the new one is written; a folder that is there is not.
    """
    from fabric.exports import known, render

    if dialect == "list":
        _list(as_json)
        return 0
    if plan is None:
        raise click.UsageError("missing argument PLAN")
    if dialect == "configs":
        _configs(plan, output, fill, inventory)
        return 0
    if fill or inventory:
        raise click.UsageError("--fill and --inventory are for --to configs")
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


def _configs(plan: Path, output: Path | None, secrets: Path | None, inventory: Path | None) -> None:
    """Write the tree whole or not at all; with secrets in it, only its owner may read it."""
    from fabric.bundle import whole_folder
    from fabric.exports.configs import configs
    from fabric.fill import fill_tree, read_values
    from fabric.inventory import read_inventory

    if output is None:
        raise click.UsageError("--to configs writes a folder: name it with -o")
    made = open_plan(plan)
    files = configs(made, read_inventory(inventory, made) if inventory else None)
    if secrets:
        files = iter(fill_tree(files, read_values(secrets)))
    with whole_folder(output) as folder:
        folder.chmod(0o700)
        for path, content in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def _list(as_json: bool) -> None:
    from fabric.exports import DIALECTS

    described = {name: dialect.description for name, dialect in DIALECTS.items()} | {"configs": CONFIGS}
    if as_json:
        print_json(described)
        return
    width = max(map(len, described))
    for name, description in described.items():
        click.echo(f"{name:<{width}}  {description}")


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
