"""The URLs of stores, and the token: from the environment or from a file that only its owner may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from fabric.errors import InputError, Problem

TOKEN = "RAILWRIGHT_STORE_TOKEN"  # noqa: S105  the name of a variable
TOKEN_FILE = "RAILWRIGHT_STORE_TOKEN_FILE"  # noqa: S105  the name of a variable
KINDS = ("duckdb", "influxdb", "victoriametrics")
FORMS = "write duckdb:FILE, influxdb://HOST:PORT/ORG/BUCKET or victoriametrics://HOST:PORT, with ?tls=1 for TLS"
_OPTIONS = {"influxdb": ("tls", "ca", "token_file"), "victoriametrics": ("tls", "ca", "token_file")}


@dataclass(frozen=True)
class StoreUrl:
    """A store's URL in its parts; ``ca`` and ``token_file`` are files. The token is never shown."""

    kind: str
    path: Path = Path()
    host: str = ""
    port: int = 0
    org: str = ""
    bucket: str = ""
    tls: bool = False
    ca: str = ""
    token: str = field(default="", repr=False)

    @property
    def base(self) -> str:
        """The server's ``http(s)://HOST:PORT``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def where(self) -> str:
        """The store as an error names it, without options."""
        if self.kind == "duckdb":
            return f"duckdb:{self.path}"
        tail = f"/{self.org}/{self.bucket}" if self.kind == "influxdb" else ""
        return f"{self.kind}://{self.host}:{self.port}{tail}"


def parse_url(url: str, environ: Mapping[str, str] | None = None) -> StoreUrl:
    """The parts of a URL and its token; raises InputError with all that is wrong."""
    environ = os.environ if environ is None else environ
    kind, colon, rest = url.partition(":")
    if not colon or kind not in KINDS:
        raise InputError(Problem("--store", f'"{_shown(url)}" is no store', FORMS))
    if kind == "duckdb":
        if not rest or rest.startswith("//"):
            raise InputError(Problem("--store", f'"{_shown(url)}" names no file', FORMS))
        return StoreUrl(kind, path=Path(rest))
    return _server(url, kind, environ)


def _server(url: str, kind: str, environ: Mapping[str, str]) -> StoreUrl:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise InputError(Problem("--store", f'"{_shown(url)}" is no URL ({error})', FORMS)) from error
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    steps = [unquote(step) for step in parts.path.split("/") if step]
    problems = list(_wrong(url, kind, bool(parts.username or parts.password), host, port, steps, options))
    if problems:
        raise InputError(problems)
    org, bucket = steps if kind == "influxdb" else ("", "")
    token = read_token(environ, options.get("token_file"))
    if kind == "influxdb" and not token:
        raise InputError(
            Problem("--store", "InfluxDB needs a token", f"set {TOKEN}, or {TOKEN_FILE} to a file of mode 600")
        )
    return StoreUrl(kind, Path(), host, port, org, bucket, options.get("tls") == "1", options.get("ca", ""), token)


def _wrong(
    url: str, kind: str, user: bool, host: str, port: int, steps: list[str], options: Mapping[str, str]
) -> Iterator[Problem]:
    shown = f'"{_shown(url)}"'
    if user:
        yield Problem("--store", f"{shown} holds a password", f"take it out and set {TOKEN}")
    if not host or not port:
        yield Problem("--store", f"{shown} names no host and port", FORMS)
    if len(steps) != (2 if kind == "influxdb" else 0):
        yield Problem("--store", f"{shown} has {len(steps)} names after the port", FORMS)
    for name in options:
        if name not in _OPTIONS[kind]:
            yield Problem("--store", f'unknown option "{name[:40]}"', f"options are {', '.join(_OPTIONS[kind])}")
    if options.get("tls", "1") not in {"0", "1"}:
        yield Problem("--store", "tls is 0 or 1", FORMS)


def read_token(environ: Mapping[str, str], file: str | None = None) -> str:
    """The token of the environment, or of a file of mode 600; empty where there is none. Raises InputError."""
    if environ.get(TOKEN):
        return environ[TOKEN].strip()
    named = file or environ.get(TOKEN_FILE)
    if not named:
        return ""
    path = Path(named)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InputError(Problem(named, "others may read it", f"chmod 600 {named}"))
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is no text"
        raise InputError(Problem(named, f"cannot be read: {said or error}", "name a file with the token")) from error


def _shown(url: str) -> str:
    """The URL without what may be a password."""
    head, at, tail = url.rpartition("@")
    kind = head.partition("://")[0]
    return (f"{kind}://…@{tail}" if at else url)[:120]
