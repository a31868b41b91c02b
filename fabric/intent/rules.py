"""Rules that join several fields of an intent.

Each is a function in ``RULES`` that looks at the plain values as YAML gave them and yields problems. They run also where
other fields are wrong, so that everything is said at once; what has the wrong type is left to the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fabric.errors import Problem

Data = Mapping[Any, Any]
Rule = Callable[[Data], Iterator[Problem]]


def broken(data: Data) -> list[Problem]:
    """Problems of every rule; ``where`` is the path within the intent."""
    return [problem for rule in RULES for problem in rule(data)]


RULES: tuple[Rule, ...] = ()
