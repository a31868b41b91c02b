"""The HTTP API of Prometheus: one question, one answer, both bounded in time and size."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.sources import Outcome

MOST_BYTES = 64 << 20
"""Of one answer; a longer one is dropped."""


class Ended(Exception):  # noqa: N818 - it is no error of ours
    """An answer that is no samples: how it is called."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, "".join(x if x.isprintable() else " " for x in detail[:200])


def connect(address: str, port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    """A connection that opens with the first question; with TLS where there is a context."""
    if context is None:
        return http.client.HTTPConnection(address, port)
    return http.client.HTTPSConnection(address, port, context=context)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of the settings' ``column``: an expression at a time, to be answered by a monotonic ``deadline``."""

    column: str
    expression: str
    now: float
    deadline: float

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Ended(Outcome.LATE, "not all came in time")
        return left

    def send(self, connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> bytes:
        """The body of the answer; raises Ended for one that is none, too long or late."""
        connection.timeout = self._left()
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)
        words = {"query": self.expression, "time": f"{self.now:.3f}", "timeout": f"{connection.timeout:.3f}"}
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Encoding": "identity"}
        try:
            connection.request("POST", f"{path}/api/v1/query", urllib.parse.urlencode(words), {**headers, **form})
            sock = connection.sock
            with connection.getresponse() as answer:
                raw = self._body(answer, sock)
        except (OSError, http.client.HTTPException) as error:
            raise Ended(*_failure(error)) from error
        return self._checked(answer.status, raw)

    def _body(self, answer: http.client.HTTPResponse, sock: socket.socket) -> bytes:
        parts, size = [], 0
        try:
            while part := answer.read1(1 << 16):
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise Ended(Outcome.OVERSIZED, f"an answer over {MOST_BYTES} bytes")
                sock.settimeout(self._left())
        except TimeoutError:
            self._left()
            raise
        return b"".join(parts)

    def _checked(self, status: int, raw: bytes) -> bytes:
        if status in (401, 403):
            raise Ended(Outcome.DENIED, f"HTTP {status}")
        if status == 200:
            return raw
        try:
            answer = json.loads(raw)
            said = f"{answer['errorType']}: {answer['error']}"
        except (ValueError, KeyError, TypeError, RecursionError):
            said = f"HTTP {status}, its answer is not the API's"
        raise Ended(Outcome.FAILED, f"{self.column}: {said}")

    def read(self, raw: bytes) -> list[Any]:
        """The series of an answer; raises Ended for what is none."""
        try:
            data = json.loads(raw)["data"]
            if data["resultType"] == "matrix":
                return list(data["result"])
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise Ended(Outcome.MALFORMED, f"{self.column}: its answer is no range of samples")


def _failure(error: Exception) -> tuple[Outcome, str]:
    if isinstance(error, ssl.SSLError):
        return Outcome.DENIED, f"TLS: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return Outcome.REFUSED, "connection refused"
    if isinstance(error, TimeoutError):
        return Outcome.SILENT, "no answer"
    if isinstance(error, http.client.HTTPException):
        return Outcome.MALFORMED, f"its answer is no HTTP: {type(error).__name__}"
    unreachable = isinstance(error, socket.gaierror) or getattr(error, "errno", 0) in (101, 113)
    return (Outcome.UNREACHABLE if unreachable else Outcome.FAILED), str(error)
