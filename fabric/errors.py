"""The errors a user can meet.

RailwrightError
├── InputError       what was given is wrong; carries every problem found, not the first
├── InfeasibleError  what was asked cannot be built; carries the numbers and what would do
├── OutputError      what was asked cannot be written
└── PlanError        a plan on disk is not a plan, or is of another version

The command prints each problem on a line of its own and exits with 2; ``--debug`` shows the traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: where it is, what is wrong, and what to do about it."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.remedy}" if self.remedy else head


class RailwrightError(Exception):
    """Base of every error that is the user's to mend; ``problems`` is never empty."""

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = [Problem("", problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InputError(RailwrightError):
    """An intent, a catalogue or another input file is wrong."""


class InfeasibleError(RailwrightError):
    """No fabric meets the intent."""


class OutputError(RailwrightError):
    """The plan cannot be written where it was asked for."""


class PlanError(RailwrightError):
    """The folder is not a whole plan."""
