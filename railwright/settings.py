"""Settings: flags before environment (``RAILWRIGHT_…``) before ``railwright.toml`` before defaults.

Each value knows where it came from. What is set and unknown, or set to what cannot be, is an error; all come at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabric.errors import InputError, Problem

PREFIX = "RAILWRIGHT_"
SECRETS = "RAILWRIGHT_SECRET_"
"""Of values for placeholders (``fabric.fill``); they are no settings and are never shown."""
FILE = "railwright.toml"
OTHERS = (
    "RAILWRIGHT_CONFIG", "RAILWRIGHT_REQUIRE", "RAILWRIGHT_STORE_TOKEN", "RAILWRIGHT_STORE_TOKEN_FILE",
    "RAILWRIGHT_TEST_DATA", "RAILWRIGHT_UPDATE_GOLDEN",
)  # fmt: skip
"""Variables that are no settings: the file of settings itself, the store's token, and those of the tests."""
TABLES = ("collect",)
"""Tables of the file that belong to one command, which reads them itself."""


@dataclass(frozen=True)
class Setting:
    """One thing that can be set: its values in text, and what it does."""

    name: str
    choices: tuple[str, ...]
    default: str
    description: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()


SETTINGS = (
    Setting(
        "color", ("auto", "always", "never"), "auto", "Colours on stderr; auto: on a terminal, unless NO_COLOR is set."
    ),
    Setting(
        "progress",
        ("auto", "bars", "lines", "none"),
        "auto",
        "How long work is shown; auto: bars on a terminal, else lines.",
    ),
    Setting("debug", ("false", "true"), "false", "Show the traceback of an error."),
)
"""Every setting there is, in the order in which ``config check`` prints them."""


@dataclass(frozen=True)
class Value:
    """A setting in force: its value and where that came from (``default``, a flag, a variable, a file)."""

    setting: Setting
    value: str
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings in force; ``tables``: those of the file that one command reads, ``file``: where they are from."""

    values: tuple[Value, ...]
    tables: Mapping[str, Any] = field(default_factory=dict)
    file: str = FILE

    def __getitem__(self, name: str) -> str:
        """The value of one setting."""
        return next(value.value for value in self.values if value.setting.name == name)


def load(
    flags: Mapping[str, str | None], *, config_file: str | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The settings in force.

    ``flags``: by setting, None where not given; ``config_file``: the file named by ``--config``, which then must be
    there. Raises InputError with every problem of flags, environment and file.
    """
    environ = os.environ if environ is None else environ
    named = config_file or environ.get("RAILWRIGHT_CONFIG") or None
    path = Path(named or FILE)
    in_file = _read(path) if named or path.is_file() else {}
    tables = {name: in_file.pop(name) for name in TABLES if isinstance(in_file.get(name), dict)}
    problems = [*_unknown(in_file, str(path), lambda setting: setting.name), *_unknown_variables(environ)]
    values = []
    for setting in SETTINGS:
        value = _first(setting, flags, environ, in_file, path)
        values.append(value)
        if value.value not in setting.choices:
            where = f"{value.origin}: {setting.name}" if value.origin == str(path) else value.origin
            problems.append(Problem(where, f'"{value.value}" is not a value of {setting.name}', _choices(setting)))
    if problems:
        raise InputError(problems)
    return Settings(tuple(values), tables, str(path))


def _first(
    setting: Setting,
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    in_file: Mapping[str, Any],
    path: Path,
) -> Value:
    flag = flags.get(setting.name)
    if flag is not None:
        return Value(setting, flag, f"--{setting.name}")
    if environ.get(setting.variable):
        return Value(setting, environ[setting.variable], setting.variable)
    if setting.name in in_file:
        return Value(setting, _text(in_file[setting.name]), str(path))
    return Value(setting, setting.default, "default")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(setting: Setting) -> str:
    return "expected one of " + ", ".join(setting.choices)


def _read(path: Path) -> dict[str, Any]:
    """The values of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}")) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"is not UTF-8 text (byte {error.start + 1})")) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(Problem(str(path), f"is not TOML: {str(error)[:1].lower()}{str(error)[1:]}")) from error


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(SECRETS) and name not in OTHERS


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    ours = {name: value for name, value in environ.items() if _is_setting(name)}
    return _unknown(ours, "", lambda setting: setting.variable)


def _unknown(given: Mapping[str, Any], where: str, name_of: Callable[[Setting], str]) -> Iterator[Problem]:
    """A problem for each name that no setting has, with the nearest one that does."""
    known = [name_of(setting) for setting in SETTINGS]
    for name in sorted(set(given) - set(known)):
        from fabric.validation import suggest

        yield Problem(f"{where}: {name}" if where else name, f"unknown setting, {suggest(name, known)}")
