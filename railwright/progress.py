"""How long work is shown: bars by stage on a terminal, a line a stage elsewhere, or nothing; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from railwright.settings import Settings

Step = Callable[[str], None]
"""Called with what comes next, once a step of the stage."""


class Progress:
    """Shows nothing, and remembers how long each stage took (seconds, by title, in order)."""

    def __init__(self) -> None:
        """No stage has begun."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, title: str, steps: int = 1) -> Iterator[Step]:
        """One stage of about ``steps`` steps; the block calls what it gets at the beginning of each."""
        start = time.perf_counter()
        with self._shown(title, steps) as step:
            yield step
        self.seconds[title] = time.perf_counter() - start
        self._done(title)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Around all stages: what draws on the terminal begins and ends here."""
        yield

    @contextmanager
    def _shown(self, _title: str, _steps: int) -> Iterator[Step]:
        yield lambda _: None

    def _done(self, title: str) -> None:
        """Nothing is shown here."""


class Lines(Progress):
    """A line on stderr when a stage is done."""

    def _done(self, title: str) -> None:
        click.echo(f"{title:<24} {self.seconds[title]:6.1f} s", err=True)


class Bars(Progress):
    """A bar a stage on stderr, redrawn in place."""

    def __init__(self, color: bool | None) -> None:
        """``color``: whether to use colours; None where the terminal decides."""
        super().__init__()
        self.color = color
        self.live: RichProgress | None = None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Draw until the block ends, also by an error."""
        with _rich(self.color) as self.live:
            yield
        self.live = None

    @contextmanager
    def _shown(self, title: str, steps: int) -> Iterator[Step]:
        if self.live is None:
            raise RuntimeError("a stage is shown inside whole()")
        live, begun = self.live, 0
        task = live.add_task(title, total=steps, what="")

        def step(what: str) -> None:
            nonlocal begun
            live.update(task, completed=min(begun, steps - 1), what=what)
            begun += 1

        yield step
        live.update(task, completed=steps, what="")


def choose(settings: Settings) -> Progress:
    """How the settings and the terminal want it shown."""
    how = settings["progress"]
    if how == "auto":
        how = "bars" if sys.stderr.isatty() else "lines"
    if how == "bars":
        return Bars({"always": True, "never": False}.get(settings["color"]))
    return Lines() if how == "lines" else Progress()


def _rich(color: bool | None) -> RichProgress:
    """The drawing itself; rich honours NO_COLOR where ``color`` is None."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=None if color is None else not color, force_terminal=True)
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<24}"),
        BarColumn(28),
        TimeElapsedColumn(),
    )
    return Progress(*columns, TextColumn("[dim]{task.fields[what]}"), console=console)
