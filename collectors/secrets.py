"""Secrets of sources and stores: from the environment or a file that only its owner can read, and never shown.

Settings hold a secret's *name*; its value is ``RAILWRIGHT_SECRET_NAME`` of the environment, or a line ``NAME=value`` of
the file of secrets (mode 600), the same that ``railwright export --fill`` reads.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from fabric.errors import InputError, Problem
from fabric.fill import ENVIRONMENT, read_values, user_name

HIDDEN = "***"


class Secret:
    """A value that prints as ``***``; only ``reveal`` gives it, and nothing copies it to disk."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that sends it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Secrets:
    """Values by name; a name is looked up in capitals, with ``_`` for what is neither letter nor digit."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: Secret(value) for name, value in values.items()}

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def __contains__(self, name: str) -> bool:
        return user_name(name) in self._values

    def __getitem__(self, name: str) -> Secret:
        """The secret of that name. Raises InputError that says how to give it."""
        found = self._values.get(user_name(name))
        if found is None:
            raise InputError(missing([name]))
        return found


def read_secrets(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Secrets:
    """Everything in the file and in the environment, the file first.

    Raises InputError where the file is open to others (mode other than 600 or 400), no file, or not made of
    ``NAME=value`` lines; no message holds a value.
    """
    return Secrets(read_values(path, environment))


def secret(name: str, path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Secret:
    """One secret by name. Raises InputError that says how to give it."""
    return read_secrets(path, environment)[name]


def missing(names: Iterable[str], where: str = "") -> list[Problem]:
    """A problem for each secret that has no value."""
    return [
        Problem(
            where or f"secret {user_name(name)}",
            f"{user_name(name)} has no value" if where else "has no value",
            f"set {ENVIRONMENT}{user_name(name)}, or add {user_name(name)}=… to the file of --secrets (mode 600)",
        )
        for name in names
    ]
