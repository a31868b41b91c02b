"""How network operating systems name ports, as patterns that the catalogue carries.

A pattern has ``whole`` for a cage that is one logical port and ``split`` for one that is several (default: as whole).
Placeholders, all numbers from the cage's own order:

===============  =====================================================================================
``{cage}``       the cage, from 1, over the whole switch
``{connector}``  the connector of the cage, from 1
``{lane}``       the first lane of the port within its cage, from 1
``{index}``      the port within its cage, from 0
``{letter}``     the same as a letter: a, b, c …
``{offset}``     steps of all cages before this one, plus the port's share of this cage's step: SONiC's number;
                 port p of P in a cage of step s adds p·s/P
``{number}``     the port over the whole switch, from 1, every cage counted with the most ports that any cage of this
                 switch is set to (InfiniBand numbers all ports of a switch alike: a cage of 2 ports on a switch that
                 has a cage of 4 ports takes numbers 1 and 3 of its four)
===============  =====================================================================================
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from fabric.validation import Strict, suggest

PLACEHOLDERS = ("cage", "connector", "lane", "index", "letter", "offset", "number")


def _checked(pattern: str, names: Sequence[str]) -> list[str]:
    """The placeholders of a pattern; raises ValueError where one is unknown or is more than a plain ``{name}``."""
    try:
        parts = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        raise ValueError(f'"{pattern}" is no pattern: {error}') from None
    for name, spec, how in parts:
        if name not in names:
            raise ValueError(f'"{pattern}" has an unknown placeholder {{{name}}}, {suggest(name, names)}')
        if spec or how:
            raise ValueError(f'"{pattern}": a placeholder is a plain {{{name}}}, without format')
    return [name for name, _, _ in parts]


def _port(pattern: str) -> str:
    if not _checked(pattern, PLACEHOLDERS):
        raise ValueError(f'"{pattern}" has no placeholder, so that all ports would have one name')
    return pattern


def _label(pattern: str) -> str:
    _checked(pattern, ("cage", "connector"))
    return pattern


Pattern = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_port)]
Label = Annotated[str, Field(max_length=60), AfterValidator(_label)]
"""What is printed on a box: ``{cage}`` and ``{connector}``."""


class PortPattern(Strict):
    """Names of ports: ``whole`` cages and ``split`` ones. A text stands for both."""

    whole: Pattern
    split: Pattern

    @model_validator(mode="before")
    @classmethod
    def _both(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"whole": data, "split": data}
        if isinstance(data, dict) and "whole" in data and "split" not in data:
            return {**data, "split": data["whole"]}
        return data

    def of(self, ports: int) -> str:
        """The pattern for a cage set to so many ports."""
        return self.whole if ports == 1 else self.split


DEFAULTS: dict[str, dict[str, object]] = {
    "sonic": {
        "name": "Ethernet{offset}",
        "alias": {"whole": "Eth{cage}", "split": "Eth{cage}/{lane}"},
        "management": "eth0",
    },
    "cumulus": {"name": {"whole": "swp{cage}", "split": "swp{cage}s{index}"}, "management": "eth0"},
    "eos": {"name": "Ethernet{cage}/{lane}", "management": "Management1"},
    "frr": {"name": {"whole": "swp{cage}", "split": "swp{cage}s{index}"}, "management": "eth0"},
    "opensm": {"name": "{number}", "management": "mgmt0"},
}
"""The usual naming of each operating system, for what a switch's entry leaves out."""
