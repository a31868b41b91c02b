"""``GET /metrics``: a page in Prometheus' text format, bounded, on loopback, behind a token.

What is on it: roll-ups, ECMP groups, findings, decisions, how polls ended, and this process. Counters of ports are not:
those of a large fabric would be 161 MB a scrape; they leave by line protocol.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from collectors.store.tables import ROLLUP_KEY
from fabric.errors import InputError, Problem

MOST_SERIES = 20_000
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TIMEOUT_S = 10


@dataclass(frozen=True)
class Sampled:
    """Series of one name: ``kind`` is ``gauge`` or ``counter``, a value by the values of ``labels``."""

    name: str
    help: str
    kind: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


Read = Callable[[], Iterable[Sampled]]
"""Gives the series of now; called at each scrape, from a thread of the server."""


class _Bounded(Collector):
    """All readers' series, the first ``MOST_SERIES`` of them in the order of the readers; how many were left out."""

    def __init__(self, readers: Iterable[Read], most: int) -> None:
        self._readers, self._most = tuple(readers), most

    def collect(self) -> Iterator[Metric]:
        """One family a name."""
        left, dropped = self._most, 0
        for sampled in (sampled for reader in self._readers for sampled in reader()):
            family = CounterMetricFamily if sampled.kind == "counter" else GaugeMetricFamily
            metric = family(sampled.name, sampled.help, labels=sampled.labels)
            for labels, value in list(sampled.values.items())[:left]:
                metric.add_metric(labels, value)
            dropped += max(0, len(sampled.values) - left)
            left = max(0, left - len(sampled.values))
            yield metric
        yield GaugeMetricFamily("railwright_exposition_dropped_series", "Series left out of this page", value=dropped)


def registry(readers: Iterable[Read], most: int = MOST_SERIES) -> CollectorRegistry:
    """What a page shows: the readers' series within the bound, and this process."""
    made = CollectorRegistry()
    made.register(_Bounded(readers, most))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def page(made: CollectorRegistry) -> bytes:
    """The page in Prometheus' text format."""
    return generate_latest(made)


def rollup_samples(rollups: pl.DataFrame) -> list[Sampled]:
    """The latest roll-ups as series: ``railwright_rollup_<counter>_per_second_<sum|max|p99>``, and ports."""
    if rollups.is_empty():
        return []
    last = rollups.filter(pl.col("time_ns") == pl.col("time_ns").max())
    keys = tuple(name for name in ROLLUP_KEY if name not in {"time_ns", "counter"})
    found = []
    for (counter,), part in last.partition_by("counter", as_dict=True, maintain_order=True).items():
        for of in ("sum", "max", "p99"):
            name = f"railwright_rollup_{counter}_per_second_{of}"
            text = f"{of} over the ports of a set of the rise of {counter} a second"
            found.append(Sampled(name, text, "gauge", keys, _by_key(part, keys, of)))
    for of, text in (("ports", "Ports that have a rate"), ("ports_with_errors", "Ports that counted errors")):
        found.append(Sampled(f"railwright_rollup_{of}", text, "gauge", keys, _by_key(last, keys, of)))
    return found


def _by_key(rows: pl.DataFrame, keys: tuple[str, ...], of: str) -> dict[tuple[str, ...], float]:
    texts = [rows[key].fill_null("").to_list() for key in keys]
    return dict(zip(zip(*texts, strict=True), map(float, rows[of].to_list()), strict=True))


def health_samples(name: str, health: Mapping[str, float]) -> list[Sampled]:
    """A part's own numbers as gauges ``railwright_<name>_<what>``."""
    return [
        Sampled(f"railwright_{name}_{what}", f"{what.replace('_', ' ')} of the {name}", "gauge", (), {(): float(value)})
        for what, value in health.items()
    ]


class MetricsServer:
    """Serves the page at ``http://HOST:PORT/metrics`` until closed, to who sends ``Authorization: Bearer TOKEN``."""

    def __init__(self, made: CollectorRegistry, token: str, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises InputError for an empty token or an address that is not loopback."""
        problems = []
        if not token:
            problems.append(Problem("metrics", "there is no token", "give it one"))
        if host not in _LOOPBACK:
            problems.append(Problem("metrics", f"{host} is not loopback", "put a proxy with TLS before 127.0.0.1"))
        if problems:
            raise InputError(problems)
        self._server = _Server((host, port), _handler(made, token))
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=_TIMEOUT_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 8


def _handler(made: CollectorRegistry, token: str) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {token}".encode()
    gate = threading.BoundedSemaphore(2)

    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S
        server_version, sys_version = "railwright", ""

        def do_GET(self) -> None:
            given = (self.headers.get("Authorization") or "").encode()
            if not hmac.compare_digest(given, expected):
                self._answer(HTTPStatus.UNAUTHORIZED, b"a bearer token is needed\n")
            elif self.path.partition("?")[0] != "/metrics":
                self._answer(HTTPStatus.NOT_FOUND, b"see /metrics\n")
            else:
                with gate:
                    body = page(made)
                self._answer(HTTPStatus.OK, body, CONTENT_TYPE_LATEST)

        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status is HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
            """Nothing: scrapes are no news."""

    return Handler
