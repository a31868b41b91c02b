"""Connecting to NATS: who we are comes from secrets, never from the URL."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from collectors.secrets import Secrets


async def connect(url: str, secrets: Secrets | None, counts: Counter[str]) -> Client:
    """A connection that reconnects for ever; ``counts`` gets its errors and reconnects.

    Raises InputError where the URL has a password.
    """
    if any(urlsplit(part).password for part in url.split(",")):
        remedy = "leave it out and set RAILWRIGHT_SECRET_NATS_PASSWORD"
        raise InputError(Problem("bus", "a password has no place in a URL", remedy))

    async def failed(_: Exception) -> None:
        counts["errors"] += 1

    async def again() -> None:
        counts["reconnects"] += 1

    servers = [part if "://" in part else f"nats://{part}" for part in url.split(",")]
    return await nats.connect(
        servers=servers,
        name="railwright",
        error_cb=failed,
        reconnected_cb=again,
        max_reconnect_attempts=-1,
        connect_timeout=3,
        reconnect_time_wait=1,
        **_who(servers, secrets),
    )


def _who(servers: list[str], secrets: Secrets | None) -> dict[str, Any]:
    user = next((found for server in servers if (found := urlsplit(server).username)), None)
    if secrets is not None and user and "NATS_PASSWORD" in secrets:
        return {"user": user, "password": secrets["NATS_PASSWORD"].reveal()}
    if secrets is not None and "NATS_TOKEN" in secrets:
        return {"token": secrets["NATS_TOKEN"].reveal()}
    return {}


def shown(url: str) -> str:
    """The URL without what comes before an @."""
    return ",".join(
        part if "@" not in part else f"{part.split('://')[0]}://{part.rsplit('@')[-1]}" for part in url.split(",")
    )
