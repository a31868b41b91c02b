"""The ``railwright`` command: subcommands by name, and what every one of them does with an error.

Only click is imported here; a subcommand's module is imported when it is asked for, and what is heavy (polars, ortools)
inside the subcommand, so that ``railwright --help`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from fabric.errors import Problem, RailwrightError
from railwright.cli.base import LazyGroup, ReaderGoneError, State

COMMANDS = {
    "plan": "railwright.cli.plan:plan",
    "show": "railwright.cli.show:show",
    "check": "railwright.cli.check:check",
    "export": "railwright.cli.export:export",
    "verify": "railwright.cli.verify:verify",
    "simulate": "railwright.cli.simulate:simulate",
    "route": "railwright.cli.route:route",
    "borrow": "railwright.cli.borrow:borrow",
    "place": "railwright.cli.place:place",
    "collect": "railwright.cli.collect:collect",
    "store": "railwright.cli.store:store",
    "detect": "railwright.cli.detect:detect",
    "host-agent": "railwright.cli.host_agent:host_agent",
    "replay": "railwright.cli.replay:replay",
    "config": "railwright.cli.config:config",
    "doctor": "railwright.cli.doctor:doctor",
}
"""Where each subcommand is, in the order in which a user meets them."""

FAILED = 2
"""Exit code of whatever could not be done."""

READER_GONE = 128 + signal.SIGPIPE
"""Exit code where nobody reads our output any more, as a shell reports it of other programs; nothing is printed."""


EXAMPLE = """\
railwright plan examples/starter-32.yaml -o out/first
railwright show out/first"""


@click.group(
    cls=LazyGroup, commands_at=COMMANDS, example=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config", "config_file", metavar="FILE", help="Settings file (default: railwright.toml, where there is one)."
)
@click.option("--color", metavar="WHEN", help="auto, always or never (default: auto; NO_COLOR is honoured).")
@click.option("--progress", metavar="HOW", help="auto, bars, lines or none (default: bars on a terminal, else lines).")
@click.version_option(package_name="railwright", message="%(prog)s %(version)s")
@click.pass_obj
def cli(state: State, config_file: str | None, color: str | None, progress: str | None) -> None:
    """Plan the network fabrics of a GPU cluster, watch them, and decide on what was seen.

    From an intent (a short YAML file) to a proved design, cabling and configurations; from the agents of switches and
    hosts to samples in a store; from what is dead to routes, borrowed rails and placements.
    """
    state.config_file = config_file
    state.flags = {**state.flags, "color": color, "progress": progress}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; errors become lines on stderr, never a traceback unless asked for."""
    state = State()
    try:
        with _unwinding_on_signals():
            code = cli.main(argv, prog_name="railwright", obj=state, standalone_mode=False)
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, ReaderGoneError):
        _discard(sys.stdout.fileno())
        return READER_GONE
    except (click.Abort, KeyboardInterrupt):
        return _fail(state, [Problem("", "interrupted", "nothing half-written was left")])
    except RailwrightError as error:
        return _fail(state, error.problems)
    except click.UsageError as error:
        return _fail(state, [_usage(error)])
    except click.ClickException as error:
        return _fail(state, [Problem("", error.format_message())])
    except OSError as error:
        return _fail(state, [Problem(str(error.filename or ""), (error.strerror or str(error)).lower())])
    except MemoryError:
        return _fail(
            state, [Problem("", "not enough memory", "`railwright doctor` says what a plan of each size takes")]
        )
    except Exception as error:  # noqa: BLE001  the last resort: a user gets a line, who debugs gets the traceback
        said = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        what = f"a fault of Railwright itself ({said})"
        return _fail(state, [Problem("", what, "run it again with --debug and report what it prints")])


def _fail(state: State, problems: Iterable[Problem]) -> int:
    if state.debug:
        traceback.print_exc()
    for problem in problems:
        click.echo(f"railwright: error: {problem}", err=True)
    return FAILED


def _usage(error: click.UsageError) -> Problem:
    """A mistake in the command line, with the page that says how it goes."""
    command = error.ctx.command_path if error.ctx else "railwright"
    message = error.format_message().rstrip(".").replace(". Did you mean", ", did you mean")
    remedy = "" if message.endswith("?") else f"see `{command} --help`"
    return Problem("", message[:1].lower() + message[1:], remedy)


@contextmanager
def _unwinding_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind like Ctrl-C, so that temporary folders go."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _discard(descriptor: int) -> None:
    """Let the interpreter's last flush go nowhere once nobody reads us."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
