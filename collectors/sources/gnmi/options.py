"""What the settings say of a gNMI target, read once and all mistakes named at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.secrets import Secret
from collectors.sources import Target
from collectors.sources.gnmi.proto import ENCODINGS
from fabric.counters import MOST_INDEX
from fabric.errors import InputError, Problem

MODES = ("openconfig", "sonic")
MOST_MESSAGE = 8 << 20
KNOWN = (
    "mode", "period", "heartbeat", "user", "password", "ca", "certificate", "key", "server_name", "insecure",
    "encoding", "target", "queues",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """One target's settings.

    ``period``, ``heartbeat``: seconds between samples, and between repetitions of what is told on change; ``ca``,
    ``certificate``, ``key``: PEM bytes; ``server_name``: the name in the device's certificate, where it is not its
    address; ``encoding``: of values, tried in turn where none is said; ``target``: whom to ask for at a gateway;
    ``queues``: number of a queue by its name.
    """

    mode: str = "openconfig"
    period: float | None = None
    heartbeat: float = 60.0
    user: str = ""
    password: Secret | None = field(default=None, repr=False)
    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    server_name: str = ""
    insecure: bool = False
    encoding: str = ""
    target: str = ""
    queues: Mapping[str, int] = field(default_factory=dict)


def options(target: Target) -> Options:
    """The options of a target; raises InputError with all that is wrong with them."""
    given = dict(target.options)
    where = f"gnmi: {target.device}"
    problems = [
        Problem(f"{where}: {key}", f"unknown, one of {', '.join(KNOWN)}") for key in sorted({*given} - {*KNOWN})
    ]
    values: dict[str, Any] = {}
    for key in KNOWN:
        if given.get(key) is None:
            continue
        try:
            values[key] = _READ[key](given[key])
        except (ValueError, OSError) as error:
            problems.append(Problem(f"{where}: {key}", _reason(error)))
    if not problems:
        found = Options(**values)
        problems += [Problem(f"{where}: {key}", what, remedy) for key, what, remedy in _contradictions(found)]
    if problems:
        raise InputError(problems)
    return found


def _reason(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def _contradictions(given: Options) -> Iterator[tuple[str, str, str]]:
    if given.insecure and (given.ca or given.certificate):
        yield "insecure", "is said beside a certificate", "leave it out: TLS is used where it is not said"
    if bool(given.certificate) != bool(given.key):
        yield "certificate", "comes with its key", "say certificate and key, or neither"
    if bool(given.user) != (given.password is not None):
        yield "user", "comes with its password", "say user and password, or neither"


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in names:
            raise ValueError(f"is {value!r}, not one of {', '.join(names)}")
        return str(value)

    return read


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 255:
        raise ValueError("is not a line of text")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 86400:
        raise ValueError("is not a number of seconds from 0.1 to 86400")
    return float(value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        raise ValueError("is not a secret: say the secret's name in the settings")
    if not value.reveal().isascii() or not value.reveal().isprintable():
        raise ValueError("has characters that gRPC's metadata cannot carry")
    return value


def _pem(value: object) -> bytes:
    if isinstance(value, Secret):
        return value.reveal().encode()
    found = Path(_text(value)).read_bytes()
    if b"-----BEGIN " not in found:
        raise ValueError("is no PEM file")
    return found


def _key(value: object) -> bytes:
    if isinstance(value, str) and Path(value).stat().st_mode & 0o077:
        raise ValueError("can be read by others: chmod 600")
    return _pem(value)


def _queues(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError("is not a table of numbers by queue")
    wrong = [name for name, number in value.items() if type(number) is not int or not 0 <= number <= MOST_INDEX]
    if wrong:
        raise ValueError(f"{wrong[0]!r} has no number from 0 to {MOST_INDEX}")
    return dict(value)


_READ: dict[str, Callable[[object], object]] = {
    "mode": _one_of(*MODES), "period": _seconds, "heartbeat": _seconds, "user": _text, "password": _secret,
    "ca": _pem, "certificate": _pem, "key": _key, "server_name": _text, "insecure": _switch,
    "encoding": _one_of(*ENCODINGS), "target": _text, "queues": _queues,
}  # fmt: skip
