"""The agent's HTTP server: one path, a bearer token, TLS unless it listens on loopback."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.hostagent import PATH
from collectors.hostagent.read import document
from collectors.secrets import Secret
from fabric.errors import InputError, Problem

LEAST_PERIOD_S = 1.0
"""A reading younger than this is given again: whoever asks more often does not make the host read more often."""
MOST_CONNECTIONS = 16
Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Listen:
    """Where the agent listens, and with which certificate (a pair of PEM files)."""

    address: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def check(self) -> None:
        """Raise InputError where the agent would speak without TLS beyond this machine."""
        where = f"{self.address}:{self.port}"
        try:
            loopback = ipaddress.ip_address(self.address).is_loopback
        except ValueError as error:
            raise InputError(Problem(where, "is no address", "give an IPv4 or IPv6 address and a port")) from error
        if (self.certificate is None) != (self.key is None):
            raise InputError(Problem(where, "needs a certificate and its key, both", "give --cert and --key"))
        if self.certificate is None and not loopback and not self.insecure:
            remedy = "give --cert and --key, or --insecure where the network is trusted"
            raise InputError(Problem(where, "is not loopback: the token would cross the network in the clear", remedy))


class Agent:
    """An ASGI application that answers ``GET /v1/ports`` to whoever knows the token."""

    def __init__(
        self,
        host: str,
        token: Secret,
        read: Callable[[str], dict[str, Any]] = document,
        *,
        period: float = LEAST_PERIOD_S,
    ) -> None:
        """``host``: the name under which the plan knows it; ``read`` gives the document, at most once a ``period``."""
        self.host, self.read, self.period = host, read, period
        self._expected = f"Bearer {token.reveal()}".encode()
        self._body, self._at, self._reading = b"", -1e9, asyncio.Lock()

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._expected):
            await _answer(send, 401, b'{"error":"a bearer token is needed"}')
        elif scope["method"] != "GET" or scope["path"] != PATH:
            await _answer(send, 404, b'{"error":"there is GET ' + PATH.encode() + b' alone"}')
        else:
            await _answer(send, 200, await self._document())

    async def _document(self) -> bytes:
        loop = asyncio.get_running_loop()
        async with self._reading:
            if loop.time() - self._at >= self.period:
                found = await asyncio.to_thread(self.read, self.host)
                self._body, self._at = json.dumps(found, separators=(",", ":")).encode(), loop.time()
            return self._body


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(listen: Listen, agent: Agent) -> None:
    """Answer until interrupted. Raises InputError where the place is taken or the certificate cannot be read."""
    import uvicorn

    listen.check()
    config = uvicorn.Config(
        agent, host=listen.address, port=listen.port, log_level="warning", access_log=False, server_header=False,
        limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=30, lifespan="off", ws="none",
        ssl_certfile=listen.certificate, ssl_keyfile=None if listen.key is None else str(listen.key),
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(Problem(str(listen.certificate), f"cannot be used: {reason}", "give PEM files")) from error
    server = uvicorn.Server(config)
    try:
        server.run()
    except SystemExit as error:
        where = f"{listen.address}:{listen.port}"
        raise InputError(Problem(where, "cannot be listened on", "choose another with --listen")) from error
