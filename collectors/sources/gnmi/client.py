"""One device's connection: TLS, credentials, subscriptions, and what went wrong by its name."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Iterator

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a device that cannot be reached is an outcome, not a line a second

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from collectors.sources import Target
from collectors.sources.gnmi.options import MOST_MESSAGE, Options
from fabric.samples import Outcome

METHOD = "/gnmi.gNMI/Subscribe"
_CODES = {
    grpc.StatusCode.UNAUTHENTICATED: Outcome.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: Outcome.DENIED,
    grpc.StatusCode.NOT_FOUND: Outcome.EMPTY,
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.SILENT,
}
_WORDS = (
    (re.compile(r"ssl|tls|handshake|certificate|verification", re.IGNORECASE), Outcome.DENIED),
    (re.compile(r"connection refused", re.IGNORECASE), Outcome.REFUSED),
    (re.compile(r"no route|unreachable", re.IGNORECASE), Outcome.UNREACHABLE),
    (re.compile(r"timed out|timeout|deadline", re.IGNORECASE), Outcome.SILENT),
)
"""gRPC says UNAVAILABLE of all of these; only its words tell them apart."""
REJECTED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.OUT_OF_RANGE)
"""What a device says that cannot do what is asked: another wish may suit it."""
LONGEST_DETAIL = 200


class StreamEnded(Exception):  # noqa: N818 - an end is no error
    """A stream ended: how, and whether asking otherwise may help."""

    def __init__(self, outcome: Outcome, detail: str, rejected: bool = False) -> None:
        super().__init__(detail)
        self.outcome, self.detail, self.rejected = outcome, printable(detail), rejected


def printable(text: str) -> str:
    """Words of a device that are fit for a terminal and a table: one line, not long."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_DETAIL])


def ended(error: grpc.aio.AioRpcError) -> StreamEnded:
    """What a gRPC status means."""
    code, words = error.code(), error.details() or ""
    detail = f"{code.name.lower()}: {words.rpartition('last error: ')[2]}"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in words:
        return StreamEnded(Outcome.OVERSIZED, f"a message over {MOST_MESSAGE} bytes")
    if code is grpc.StatusCode.UNAVAILABLE:
        outcome = next((outcome for pattern, outcome in _WORDS if pattern.search(words)), Outcome.FAILED)
        return StreamEnded(outcome, detail)
    return StreamEnded(_CODES.get(code, Outcome.FAILED), detail, code in REJECTED)


def address(target: Target) -> str:
    """As gRPC names it; never a name to be looked up, and never by a proxy."""
    host = ipaddress.ip_address(target.address)
    return f"ipv4:{host}:{target.port}" if host.version == 4 else f"ipv6:[{host}]:{target.port}"


def channel(target: Target, options: Options) -> grpc.aio.Channel:
    """A connection of its own, with TLS unless the settings say otherwise, and bounded messages."""
    settings: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", MOST_MESSAGE),
        ("grpc.http2.lookahead_bytes", 1 << 20),
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if options.insecure:
        return grpc.aio.insecure_channel(address(target), settings)
    if options.server_name:
        settings.append(("grpc.ssl_target_name_override", options.server_name))
    else:
        settings.append(("grpc.default_authority", f"{target.address}" if ":" not in target.address else ""))
    credentials = grpc.ssl_channel_credentials(options.ca, options.key, options.certificate)
    return grpc.aio.secure_channel(address(target), credentials, [pair for pair in settings if pair[1] != ""])


async def subscribe(target: Target, options: Options, requests: dict[str, bytes],
                    take: Callable[[str, bytes], Awaitable[None]]) -> None:  # fmt: skip
    """Read all streams of a device until one ends; raises StreamEnded. ``take`` gets the database and the bytes."""
    connection = channel(target, options)
    metadata: tuple[tuple[str, str], ...] = ()
    if options.password is not None:
        metadata = (("username", options.user), ("password", options.password.reveal()))
    try:
        async with asyncio.TaskGroup() as group:
            for database, request in requests.items():
                group.create_task(_read(connection, metadata, database, request, take))
    except BaseExceptionGroup as many:
        raise next(_flat(many)) from None
    finally:
        await connection.close()


def _flat(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flat(error)
        else:
            yield error


async def _read(connection: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], database: str, request: bytes,
                take: Callable[[str, bytes], Awaitable[None]]) -> None:  # fmt: skip
    call = connection.stream_stream(METHOD)(metadata=metadata)
    try:
        await call.write(request)
        while (raw := await call.read()) is not grpc.aio.EOF:
            await take(database, raw)
        code, words = await call.code(), await call.details()
    except grpc.aio.AioRpcError as error:
        raise ended(error) from None
    except asyncio.InvalidStateError as error:
        raise StreamEnded(Outcome.FAILED, f"the stream broke: {error}") from None
    finally:
        call.cancel()
    raise StreamEnded(Outcome.FAILED, f"the device ended the stream: {code.name.lower()} {words}")
