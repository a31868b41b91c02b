"""``docs/cli.md``, written from the commands themselves: ``python -m railwright.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from railwright.cli import FAILED, READER_GONE, cli
from railwright.settings import FILE, SETTINGS

WIDTH = 100

HEAD = f"""\
# The `railwright` command

This page is generated from the command (`make docs`); a test fails when they differ.

Exit codes are 0 (done), 1 (done, and it found something wrong) and {FAILED} (it could not be done). An error is one
line a problem on stderr: where, what, and what to do about it; `--debug` adds the traceback. What is printed is plain
where stdout or stderr is no terminal. Long work shows its progress on stderr; Ctrl-C ends it and leaves nothing
half-written. A reader that goes away early (`| head`) ends a command quietly, with exit code {READER_GONE}.
"""

COMPLETION = """\
## Shell completion

Completes subcommands and options. For bash, in `~/.bashrc`:

```sh
eval "$(_RAILWRIGHT_COMPLETE=bash_source railwright)"
```

For zsh, in `~/.zshrc`:

```sh
eval "$(_RAILWRIGHT_COMPLETE=zsh_source railwright)"
```

For fish, once:

```sh
_RAILWRIGHT_COMPLETE=fish_source railwright > ~/.config/fish/completions/railwright.fish
```
"""


def text() -> str:
    """The whole page, Markdown."""
    return "\n".join([HEAD, *_pages(cli, "railwright", None), _settings(), COMPLETION])


def _pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """The help pages of a command and of everything below it, in the order of the help page."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _pages(found, below, context)


def _settings() -> str:
    rows = [
        f"| `{s.name}` | `{s.variable}` | {', '.join(s.choices)} | {s.default} | {s.description} |" for s in SETTINGS
    ]
    return "\n".join(
        [
            "## Settings",
            "",
            "A flag goes before the environment, that before the file, that before the default. The file is",
            f"`{FILE}` in the folder where the command runs, or the one that `--config` or `RAILWRIGHT_CONFIG` names;",
            'it holds lines such as `progress = "lines"`. A setting that nobody knows is an error.',
            "",
            "| setting | in the environment | values | default | what it does |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(text())
