"""``railwright doctor``."""

from __future__ import annotations

import click

from railwright.cli.base import Command, json_option, print_json

CODES = ("nothing that is needed is missing", "something is")


@click.command(cls=Command, example="railwright doctor", codes=CODES)
@json_option
def doctor(as_json: bool) -> int:
    """Say what this machine lacks, and the command that installs it."""
    from railwright.doctor import examine

    remarks = examine()
    if as_json:
        print_json([remark.as_dict() for remark in remarks])
    else:
        for remark in remarks:
            click.echo(str(remark))
    return int(any(remark.state == "missing" for remark in remarks))
