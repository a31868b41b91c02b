"""``railwright config``."""

from __future__ import annotations

import click

from railwright.cli.base import Command, LazyGroup, State, json_option, print_json


@click.group(
    cls=LazyGroup, commands_at={"check": "railwright.cli.config:config_check"}, example="railwright config check"
)
def config() -> None:
    """Settings: what they are and where they come from."""


@click.command("check", cls=Command, example="RAILWRIGHT_PROGRESS=lines railwright config check")
@json_option
@click.pass_obj
def config_check(state: State, as_json: bool) -> int:
    """Print every setting in force and where it came from.

    A flag goes before the environment (RAILWRIGHT_…), that before railwright.toml, that before the default.
    """
    settings = state.settings
    if as_json:
        print_json({v.setting.name: {"value": v.value, "origin": v.origin} for v in settings.values})
        return 0
    for v in settings.values:
        click.echo(f"{v.setting.name:<10} {v.value:<8} {v.origin:<22} {v.setting.description}")
    return 0
