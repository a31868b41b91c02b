"""A server that takes line protocol at ``/api/v2/write``: what InfluxDB 2 and VictoriaMetrics have in common.

Writes go through influxdb-client. What a server answers is bounded and never evaluated.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import polars as pl
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from collectors.store.errors import StoreAwayError, StoreError
from collectors.store.urls import StoreUrl
from fabric.errors import Problem

TIMEOUT_S = 60
READ_TIMEOUT_S = 300
LEAST_BYTES = 1 << 14
"""Lines shorter than this are not halved."""
_MS: Any = WritePrecision.MS
_FOR_GOOD = {400, 422}
"""Answers to lines that will never be taken."""


class RejectedError(StoreError):
    """The server will never take these lines."""


class DeniedError(StoreAwayError):
    """The server is there and does not do this for us: an answer of 4xx."""


class TooMuchError(StoreAwayError):
    """The server cannot take so much at once."""


class _AtUrl(Protocol):
    url: StoreUrl


class Server(Protocol):
    """What ``LineStore`` needs of a server."""

    url: StoreUrl
    window_s: float
    """How long what was posted is collected before the server is asked whether it is on disk."""

    def post(self, lines: bytes) -> None:
        """Hand over lines; raises RejectedError (never) and StoreAwayError (not now)."""
        ...

    def on_disk(self, age_s: float, sealed_s: float) -> bool | None:
        """Whether all that was posted in a window is on the server's disk; False: lost, None: not known yet.

        The window opened ``age_s`` and closed ``sealed_s`` seconds ago.
        """
        ...

    def show(self) -> None:
        """Make what was posted readable now."""
        ...

    def series(
        self, measurement: str, fields: Sequence[str], keys: Sequence[str], only: Mapping[str, Sequence[str]],
        start_ns: int, end_ns: int,
    ) -> pl.DataFrame:  # fmt: skip
        """``time_ms``, ``keys`` (tags) and ``fields``, a row a series' time; text or Float64. ``only``: by tag."""
        ...

    def known_fields(self) -> list[tuple[str, str, list[str]]]:
        """Measurement, field and tags' values that tell columns apart, of all that the server holds."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class Http:
    """The connections to one server: writes through influxdb-client, reads through its pool's kind."""

    def __init__(self, url: StoreUrl) -> None:
        """Connects when first used."""
        self.url = url
        ca = url.ca or None
        self.client = InfluxDBClient(
            url.base, token=url.token or "none", org=url.org or "-", timeout=TIMEOUT_S * 1000, ssl_ca_cert=ca
        )
        self._scheme = "Token" if url.kind == "influxdb" else "Bearer"
        if url.kind != "influxdb":
            self.client.api_client.default_headers.pop("Authorization", None)
            if url.token:
                self.client.api_client.default_headers["Authorization"] = f"Bearer {url.token}"
        self._writer: WriteApi = self.client.write_api(write_options=SYNCHRONOUS)
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, ca_certs=ca)

    def post(self, lines: bytes) -> None:
        """Lines with times in milliseconds, in halves where one request is too much; see ``Server.post``."""
        try:
            self._send(lines)
        except TooMuchError:
            middle = lines.rfind(b"\n", 0, len(lines) // 2) + 1
            if len(lines) < LEAST_BYTES or not middle:
                raise
            self.post(lines[:middle])
            self.post(lines[middle:])

    def _send(self, lines: bytes) -> None:
        try:
            self._writer.write(self.url.bucket or "-", self.url.org or "-", lines, write_precision=_MS)
        except ApiException as error:
            raise self._refused(error.status or 0, str(error.body or error.reason)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.away(error) from error

    def get(self, path: str, fields: Mapping[str, str], accept: str = "*/*", *, how: str = "GET") -> bytes:
        """The body of an answer; raises StoreAwayError and StoreError."""
        headers = {"Accept": accept}
        if self.url.token:
            headers["Authorization"] = f"{self._scheme} {self.url.token}"
        form: dict[str, Any] = {"encode_multipart": False} if how == "POST" else {}
        try:
            answer = self._pool.request(
                how, self.url.base + path, fields=dict(fields), headers=headers, timeout=READ_TIMEOUT_S, redirect=False,
                **form,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.away(error) from error
        if answer.status >= 300:
            raise self._refused(answer.status, answer.data[:300].decode(errors="replace"))
        return answer.data

    def get_if(self, path: str, fields: Mapping[str, str]) -> bytes:
        """The same, empty where the server is there and denies it; raises StoreAwayError where it is not."""
        try:
            return self.get(path, fields)
        except (DeniedError, RejectedError):
            return b""

    def away(self, error: Exception) -> StoreAwayError:
        """Nobody answers there."""
        reason = getattr(error, "reason", None) or error
        said = re.sub(r"<[^>]*>:?\s*", "", str(reason))[:200]
        return StoreAwayError(Problem(self.url.where, f"does not answer ({said})", "start it, or mend the URL"))

    def _refused(self, status: int, body: str) -> StoreError:
        said = " ".join(body.split())[:300]
        if status in {401, 403}:
            return DeniedError(Problem(self.url.where, "refuses the token", "give one that may read and write"))
        if status == 413 or (status >= 500 and "timeout" in said):
            return TooMuchError(Problem(self.url.where, f"cannot take so much at once ({status}: {said})", "wait"))
        if status in _FOR_GOOD:
            return RejectedError(Problem(self.url.where, f"will not take it ({status}: {said})", "see docs/store.md"))
        kind = DeniedError if 400 <= status < 500 else StoreAwayError
        return kind(Problem(self.url.where, f"answers {status}: {said}", "see the server's log"))

    def close(self) -> None:
        """Give back connections."""
        self.client.close()  # type: ignore[no-untyped-call]  # it has no types
        self._pool.clear()


P = ParamSpec("P")
S = TypeVar("S", bound="_AtUrl")
T = TypeVar("T")


def understood(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method that reads what a server answered: an answer of another shape is StoreAwayError."""

    @wraps(method)
    def careful(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except (ValueError, LookupError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
            said = f"answers nonsense ({type(error).__name__})"
            raise StoreAwayError(
                Problem(self.url.where, said, "check that the URL is this kind of server's")
            ) from error

    return careful


def csv_of(body: bytes) -> pl.DataFrame:
    """A CSV answer, every cell as text."""
    if not body.strip():
        return pl.DataFrame()
    return pl.read_csv(io.BytesIO(body), infer_schema=False)


def any_of(names: Sequence[str]) -> str:
    """A regular expression (RE2) of exactly these names."""
    return "^(" + "|".join(re.sub(r"([.+*?()|\[\]{}^$])", r"\\\1", name) for name in names) + ")$"
