"""What the settings say of a target, as who we are to its agent: an SNMPv3 user, or a community of v2c."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collectors.secrets import Secret
from collectors.sources.snmp.keys import AUTHS, PRIVS, Auth, Priv
from fabric.errors import InputError, Problem
from fabric.validation import suggest

LEAST_PASSPHRASE = 8
"""Octets (RFC 3414, 11.2)."""


@dataclass(frozen=True, slots=True)
class User:
    """An SNMPv3 user; without ``priv`` what it asks is signed but not encrypted."""

    name: str
    auth: Auth
    auth_secret: Secret
    priv: Priv | None
    priv_secret: Secret | None
    context: str = ""


@dataclass(frozen=True, slots=True)
class Community:
    """A community of SNMPv2c: a password that everybody on the way can read."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class Options:
    """How to ask one agent.

    ``retries``: times a request is sent again; ``window``: requests under way at once; ``varbinds``: asked for in one
    answer (100 is what net-snmp gives at most unless told otherwise); ``most``: taken in one poll; ``refresh_seconds``:
    age at which names of ports are read again; ``slow_seconds``: age at which texts and what hardly changes are.
    """

    who: User | Community
    retries: int = 2
    window: int = 4
    varbinds: int = 100
    most: int = 200_000
    refresh_seconds: float = 600.0
    slow_seconds: float = 60.0


_NUMBERS = {
    "retries": (0, 10), "window": (1, 64), "varbinds": (1, 500), "most": (1, 5_000_000),
    "refresh_seconds": (1, 86400), "slow_seconds": (0, 86400),
}  # fmt: skip
_V3 = ("user", "auth", "auth_secret", "priv", "priv_secret", "context")
_KNOWN = ("version", *_V3, "community", *_NUMBERS)


def options(given: Mapping[str, object], where: str) -> Options:
    """Read ``Target.options``. Raises InputError with all that is wrong; no message holds a secret.

    ``version``: "3" (if absent) or "2c"; for 3 ``user``, ``auth``, ``auth_secret``, ``priv``, ``priv_secret``,
    ``context``; for 2c ``community``. Secrets are ``Secret``.
    """
    problems = [*_unknown(given, where), *_numbers(given, where)]
    version = str(given.get("version", "3"))
    if version in ("3", "v3"):
        problems += _user_problems(given, where)
    elif version in ("2c", "v2c"):
        problems += _secret(given, "community", where, 1)
    else:
        problems.append(Problem(f"{where}.version", f"{version} is none of ours", 'write "3" or, in the clear, "2c"'))
    if problems:
        raise InputError(problems)
    who = _user(given) if version.endswith("3") else Community(_secret_of(given, "community"))
    whole = {name: int(str(given[name])) for name in _NUMBERS if name in given and not name.endswith("seconds")}
    ages = {name: float(str(given[name])) for name in _NUMBERS if name in given and name.endswith("seconds")}
    return Options(who, **whole, **ages)  # type: ignore[arg-type]  # mypy takes one type for all of a mapping


def _unknown(given: Mapping[str, object], where: str) -> Iterator[Problem]:
    for name in given:
        if name not in _KNOWN:
            yield Problem(f"{where}.{name}", f"unknown field, {suggest(name, list(_KNOWN))}")


def _numbers(given: Mapping[str, object], where: str) -> Iterator[Problem]:
    for name, (least, most) in _NUMBERS.items():
        value = given.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            yield Problem(f"{where}.{name}", f"{value!r} is no number from {least} to {most}")


def _user_problems(given: Mapping[str, object], where: str) -> Iterator[Problem]:
    name = given.get("user")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 32:
        yield Problem(f"{where}.user", "is missing or longer than 32 octets", "name the SNMPv3 user")
    auth, priv = given.get("auth", "SHA-256"), given.get("priv", "AES-128")
    if auth not in AUTHS:
        yield Problem(f"{where}.auth", f"{auth} is none of ours", f"take one of {', '.join(AUTHS)}")
    if priv not in PRIVS and priv is not None:
        yield Problem(f"{where}.priv", f"{priv} is none of ours", f"take one of {', '.join(PRIVS)}")
    yield from _secret(given, "auth_secret", where, LEAST_PASSPHRASE)
    if priv is not None:
        yield from _secret(given, "priv_secret", where, LEAST_PASSPHRASE)


def _secret(given: Mapping[str, object], name: str, where: str, least: int) -> Iterator[Problem]:
    value = given.get(name)
    if not isinstance(value, Secret):
        yield Problem(f"{where}.{name}", "is missing", "name a secret of the environment or of the file of secrets")
    elif len(value.reveal().encode()) < least:
        yield Problem(f"{where}.{name}", f"is shorter than {least} octets", "agents refuse it: choose a longer one")


def _secret_of(given: Mapping[str, object], name: str) -> Secret:
    found = given[name]
    assert isinstance(found, Secret)
    return found


def _user(given: Mapping[str, object]) -> User:
    priv = given.get("priv", "AES-128")
    return User(
        str(given["user"]),
        AUTHS[str(given.get("auth", "SHA-256"))],
        _secret_of(given, "auth_secret"),
        PRIVS[str(priv)] if priv is not None else None,
        _secret_of(given, "priv_secret") if priv is not None else None,
        str(given.get("context", "")),
    )
