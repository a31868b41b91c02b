"""Secrets by placeholder: a plan holds ``__RAILWRIGHT_NAME__``, and what is exported may be filled on the way out.

Values come from a file that only its owner can read, or from the environment (``RAILWRIGHT_SECRET_NAME``), and go
nowhere but into the output: not into a message, a log or the plan.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.plan import Plan

PLACEHOLDER = re.compile(rb"__RAILWRIGHT_([A-Z0-9]+(?:_[A-Z0-9]+)*)__")
ENVIRONMENT = "RAILWRIGHT_SECRET_"
_NAME = re.compile(r"[A-Z0-9]+(?:_[A-Z0-9]+)*")
_LINE = re.compile(r"([A-Za-z0-9_]+)\s*=\s*(.*)")


def placeholder(name: str) -> str:
    """The placeholder of a name of capitals, digits and single underscores: ``__RAILWRIGHT_NAME__``."""
    assert _NAME.fullmatch(name), f"{name} is no name of a placeholder"
    return f"__RAILWRIGHT_{name}__"


def named(data: bytes) -> set[str]:
    """Names of the placeholders in a file."""
    return {name.decode() for name in PLACEHOLDER.findall(data)}


def user_name(user: str) -> str:
    """A user's name as part of a placeholder's: ``tele-1`` is ``TELE_1``."""
    return re.sub(r"[^A-Z0-9]+", "_", user.upper()).strip("_")


def placeholders(plan: Plan) -> tuple[str, ...]:
    """Names that the files of a plan may hold, sorted.

    Pass phrases of the SNMPv3 users, the key of the subnet managers, the host name of the web server for provisioning,
    and what SONiC calls a box that the catalogue does not say. What one file holds, ``named`` says.
    """
    systems = {network.nos for network in plan.design.networks.values()}
    names = {"SM_KEY"} if "opensm" in systems else set()
    if systems - {"opensm"}:
        users = [user.name for user in plan.intent.services.snmp_users]
        names |= {snmp_secret(user, kind) for user in users for kind in ("AUTH", "PRIV")}
    if systems & {"sonic", "cumulus", "eos"}:
        names.add("ZTP_SERVER")
    if any(n.nos == "eos" and n.external_to == "external" for n in plan.design.networks.values()):
        names.add("EXTERNAL_ASN")
    return tuple(sorted(names | set(_unnamed_boxes(plan))))


def _unnamed_boxes(plan: Plan) -> Iterator[str]:
    from fabric.exports.sonic.tables import hwsku_name, platform_name

    switches = plan.fabric.switches
    for model in switches.filter(switches["nos"] == "sonic")["model"].unique():
        switch = plan.catalogue.switches[model]
        said = {str(nos): support for nos, support in switch.nos.items()}.get("sonic")
        if said is None or said.hwsku is None:
            yield hwsku_name(switch)
        if said is None or said.platform is None:
            yield platform_name(switch)


def snmp_secret(user: str, kind: str) -> str:
    """Name of the placeholder of an SNMPv3 user's pass phrase; ``kind``: AUTH or PRIV."""
    return f"SNMP_{user_name(user)}_{kind}"


def fill(data: bytes, values: Mapping[str, str], where: str = "") -> bytes:
    """The file with every placeholder replaced. Raises InputError with all names that have no value."""
    missing = sorted(named(data) - values.keys())
    if missing:
        raise InputError(_missing(missing, where))
    return PLACEHOLDER.sub(lambda found: values[found[1].decode()].encode(), data)


def fill_tree(files: Iterable[tuple[str, bytes]], values: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """All files filled, or none: raises InputError with every name that has no value, each once."""
    whole = list(files)
    missing: dict[str, str] = {}
    for path, data in whole:
        for name in sorted(named(data) - values.keys()):
            missing.setdefault(name, path)
    if missing:
        raise InputError(problem for name, path in sorted(missing.items()) for problem in _missing([name], path))
    return [(path, fill(data, values, path)) for path, data in whole]


def _missing(names: Iterable[str], where: str) -> list[Problem]:
    return [
        Problem(
            where,
            f"{placeholder(name)} has no value",
            f"add {name}=… to the file of --fill, or set {ENVIRONMENT}{name}",
        )
        for name in names
    ]


def read_values(path: Path | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """``NAME=value`` lines of the file (comments begin with #), over ``RAILWRIGHT_SECRET_NAME`` of the environment.

    The file must be one's own and closed to others (mode 600 or 400). Raises InputError; a message never holds a value.
    """
    prefix = len(ENVIRONMENT)
    values = {name[prefix:]: value for name, value in environment.items() if name.startswith(ENVIRONMENT)}
    if path is not None:
        values |= _from_file(path)
    bad = [name for name, value in values.items() if not value or not value.isprintable()]
    if bad:
        what = "is empty, or has characters that no config file can hold"
        raise InputError(Problem(name, what, "choose another pass phrase") for name in sorted(bad))
    return values


def _from_file(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno())
            if not stat.S_ISREG(mode.st_mode):
                raise InputError(Problem(str(path), "is no file"))
            if mode.st_mode & 0o077:
                what = f"others can read it (mode {stat.S_IMODE(mode.st_mode):o})"
                raise InputError(Problem(str(path), what, f"chmod 600 {path}, and change the secrets if it was shared"))
            text = file.read(1 << 20).decode("utf-8")
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}")) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "is no UTF-8 text")) from error
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        name = "" if match is None else match[1].upper().removeprefix("__RAILWRIGHT_").removesuffix("__")
        if match is None or not _NAME.fullmatch(name):
            problems.append(Problem(f"{where}: line {number}", "is no NAME=value", "names are capitals, digits and _"))
        elif name in values:
            problems.append(Problem(f"{where}: line {number}", f"{name} is given twice", "keep one"))
        else:
            values[name] = match[2]
    if problems:
        raise InputError(problems)
    return values
