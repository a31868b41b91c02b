"""A gNMI server that does as a test says: it plays a script to each Subscribe, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pygnmi.spec.v080 import gnmi_pb2  # type: ignore[import-untyped]

Script = Callable[[Any, Any, int], Iterable[bytes]]
"""Takes the request, the gRPC context and the number of the stream; yields serialised SubscribeResponses."""
HOLD = b"hold"
"""In a script: keep the stream open, saying nothing, until the client goes."""


@dataclass
class Server:
    """Where it listens, and the requests that came."""

    port: int
    asked: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def serving(script: Script, credentials: Any = None, options: Any = ()) -> Iterator[Server]:
    """Serve on a port of the system's choice for as long as the context lasts."""
    server, found, over = grpc.server(ThreadPoolExecutor(16), options=options), Server(0), threading.Event()

    def subscribe(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        request = gnmi_pb2.SubscribeRequest.FromString(next(requests))
        found.asked.append(request)
        found.metadata.append(dict(context.invocation_metadata()))
        for raw in script(request, context, len(found.asked) - 1):
            while raw is HOLD and context.is_active() and not over.wait(0.02):
                pass
            if raw is not HOLD:
                yield raw

    handler = grpc.stream_stream_rpc_method_handler(subscribe)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("gnmi.gNMI", {"Subscribe": handler}),))
    where = "127.0.0.1:0"
    found.port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    server.start()
    try:
        yield found
    finally:
        over.set()
        server.stop(0.2).wait()


@dataclass(frozen=True)
class Identity:
    """A self-signed certificate of 127.0.0.1, as PEM files."""

    certificate: Path
    key: Path

    def server(self, clients: Identity | None = None) -> Any:
        """Credentials of a server; with ``clients``, it wants theirs."""
        pair = [(self.key.read_bytes(), self.certificate.read_bytes())]
        if clients is None:
            return grpc.ssl_server_credentials(pair)
        return grpc.ssl_server_credentials(pair, clients.certificate.read_bytes(), require_client_auth=True)


def identity(folder: Path, name: str = "leaf-1") -> Identity:
    """A new key and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = Identity(folder / f"{name}.crt", folder / f"{name}.key")
    found.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.touch(0o600)
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return found
