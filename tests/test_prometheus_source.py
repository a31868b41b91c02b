"""The source prometheus against a real Prometheus that scrapes a small exposition, and against servers that lie."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import need
from gnmi_server import Identity, identity
from hypothesis import given
from hypothesis import strategies as st

from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target, prometheus, prometheus_api
from collectors.sources.prometheus import Prometheus
from fabric.errors import InputError

LEAF = Target("leaf-1", "192.0.2.1", 9100, {"Ethernet0": "swp0", "Ethernet4": "swp1"})
QUERIES = {
    "rx_bytes": "ifHCInOctets",
    "speed_gbps": 'ifHighSpeed{ifName=~".+"} * 0.001',
    "rx_pfc_frames": "pfc_rx",
    "tx_pfc_frames_p3": 'pfc_tx{priority="3"}',
    "oper_status": "ifOperStatus",
}
Answer = Callable[[http.server.BaseHTTPRequestHandler, str], None]


@contextmanager
def answering(answer: Answer, tls: Identity | None = None) -> Iterator[int]:
    """A web server that answers as said, on a port of the system's choice."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

        def do_GET(self) -> None:
            answer(self, "")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def says(status: int, body: bytes) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler, _: str) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def server(port: int, **said: Any) -> Target:
    return Target("metrics", "127.0.0.1", port, {}, {"queries": QUERIES, "devices": [LEAF], "insecure": True, **said})


def ask(target: Target, timeout: float = 5.0, source: Prometheus | None = None) -> Poll:
    return asyncio.run((source or Prometheus()).poll(target, timeout))


def matrix(*series: tuple[dict[str, str], list[list[Any]]]) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def exposition(count: int) -> bytes:
    lines = []
    for device, port in (("leaf-1", "Ethernet0"), ("leaf-1", "Ethernet4"), ("leaf-1", "mgmt0"), ("other", "Ethernet0")):
        labels = f'switch="{device}",ifName="{port}"'
        lines += [f"ifHCInOctets{{{labels}}} {1e15 + count:.0f}", f"ifHighSpeed{{{labels}}} 400000",
                  f'pfc_rx{{{labels},priority="3"}} {count}', f'pfc_rx{{{labels},priority="many"}} 1',
                  f'pfc_tx{{{labels},priority="3"}} NaN', f"ifOperStatus{{{labels}}} 1"]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def until(port: int, enough: int) -> None:
    """Wait until Prometheus has scraped so often."""
    asked = f"http://127.0.0.1:{port}/api/v1/query?query=max(count_over_time(ifHCInOctets[1m]))"
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(asked, timeout=1) as answer:
                result = json.load(answer)["data"]["result"]
            if result and int(result[0]["value"][1]) >= enough:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError("prometheus has not scraped")


def test_a_real_prometheus_gives_each_scrape_once_at_its_own_time(tmp_path: Path) -> None:
    program, scrapes = need("prometheus"), list[int]()

    def expose(request: http.server.BaseHTTPRequestHandler, body: str) -> None:
        scrapes.append(len(scrapes))
        says(200, exposition(scrapes[-1]))(request, body)

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        free = bound.getsockname()[1]
    with answering(expose) as exposed:
        job = {"job_name": "switches", "static_configs": [{"targets": [f"127.0.0.1:{exposed}"]}]}
        config = {"global": {"scrape_interval": "250ms", "scrape_timeout": "200ms"}, "scrape_configs": [job]}
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        command = [program, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{free}",
                   f"--storage.tsdb.path={tmp_path}/data"]  # fmt: skip
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as running:
            try:
                until(free, 3)
                source = Prometheus()
                target = server(free, device_label="switch", port_label="ifName")
                first = ask(target, source=source)
                until(free, 6)
                second = ask(target, source=source)
                third = ask(server(free, queries={"rx_bytes": "sum("}), source=Prometheus())
            finally:
                running.kill()
    assert [first.detail, second.detail] == ["", ""]
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.OK)
    rows = pl.concat([first.rows, second.rows], how="diagonal").sort("port", "time_ns")
    assert rows["device"].unique().to_list() == ["leaf-1"]
    for port in ("swp0", "swp1"):
        of = rows.filter(pl.col("port") == port)
        assert of["rx_bytes"].to_list() == [10**15 + count for count in range(len(of))]
        assert of["rx_pfc_frames_p3"].to_list() == list(range(len(of)))
        assert of["speed_gbps"].unique().to_list() == [400.0]
        assert of["oper_status"].unique().to_list() == [1]
        assert all(150e6 < step < 2e9 for step in of["time_ns"].diff().drop_nulls())
    assert len(rows) >= 12
    assert first.unknown == 4
    assert (third.outcome, third.detail.split(":")[1]) == (Outcome.FAILED, " bad_data")


def test_tls_and_the_token_are_used_and_not_shown(tmp_path: Path) -> None:
    heard: list[str | None] = []

    def answer(request: http.server.BaseHTTPRequestHandler, body: str) -> None:
        heard.append(request.headers["Authorization"])
        says(200, matrix())(request, body)

    tls = identity(tmp_path)
    with answering(answer, tls) as port:
        said = {"insecure": False, "token": Secret("hidden"), "queries": {"rx_bytes": "a"}}
        trusted = ask(server(port, ca=str(tls.certificate), **said))
        denied = ask(server(port, **said))
        basic = {"token": None, "user": "a", "password": Secret("b")}
        ask(server(port, ca=str(tls.certificate), **{**said, **basic}))
    assert (trusted.outcome, denied.outcome) == (Outcome.EMPTY, Outcome.DENIED)
    assert heard == ["Bearer hidden", "Basic YTpi"]
    assert "hidden" not in repr([trusted, denied, prometheus.options(server(1, **said))])


@pytest.mark.parametrize(
    ("status", "body", "outcome", "detail"),
    [
        (401, b"", Outcome.DENIED, "HTTP 401"),
        (403, b"{}", Outcome.DENIED, "HTTP 403"),
        (302, b"", Outcome.FAILED, "rx_bytes: HTTP 302, its answer is not the API's"),
        (503, b"<html>", Outcome.FAILED, "rx_bytes: HTTP 503, its answer is not the API's"),
        (422, b'{"errorType":"execution","error":"too\\nmany"}', Outcome.FAILED, "rx_bytes: execution: too many"),
        (200, b"<html>", Outcome.MALFORMED, "rx_bytes: its answer is no range of samples"),
        (200, b"[" * 100000, Outcome.MALFORMED, "rx_bytes: its answer is no range of samples"),
        (200, matrix(({}, [[1]])), Outcome.MALFORMED, "rx_bytes: its answer is no range of samples"),
        (200, matrix(), Outcome.EMPTY, ""),
    ],
)
def test_what_a_server_answers_has_a_name(status: int, body: bytes, outcome: Outcome, detail: str) -> None:
    with answering(says(status, body)) as port:
        poll = ask(server(port, queries={"rx_bytes": "a"}, devices=[Target("", "", 0, {}), LEAF]))
    assert (poll.outcome, poll.detail, poll.rows.height) == (outcome, detail, 0)


def test_an_answer_over_the_bound_is_dropped_and_the_others_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_api, "MOST_BYTES", 1000)
    good = matrix(({"device": "192.0.2.1:9100", "port": "Ethernet0"}, [[5.5, "7"]]))

    def answer(request: http.server.BaseHTTPRequestHandler, body: str) -> None:
        says(200, good if "good" in body else bytes(5000))(request, body)

    with answering(answer) as port:
        poll = ask(server(port, queries={"rx_bytes": "huge", "tx_bytes": "good"}))
    assert (poll.outcome, poll.detail) == (Outcome.PARTIAL, "an answer over 1000 bytes")
    assert poll.rows.select("time_ns", "device", "port", "tx_bytes").rows() == [(5_500_000_000, "leaf-1", "swp0", 7)]


def test_a_server_that_drips_or_sleeps_ends_in_time() -> None:
    def drip(request: http.server.BaseHTTPRequestHandler, _: str) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for _second in range(100):
                request.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass

    with answering(drip) as port:
        poll = ask(server(port), 0.5)
    assert (poll.outcome, poll.seconds < 1.0) == (Outcome.LATE, True)
    with answering(lambda *_: time.sleep(1)) as port:
        poll = ask(server(port), 0.3)
    assert (poll.outcome, poll.detail) == (Outcome.SILENT, "no answer")


def test_nobody_there_is_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert ask(server(bound.getsockname()[1])).outcome is Outcome.REFUSED


def test_all_mistakes_come_at_once() -> None:
    said = {
        "queries": {"rx_byte": "a", "tx_bytes": " ", "lldp_port": "b"},
        "token": "words",
        "ca": "/none",
        "colour": 1,
    }
    with pytest.raises(InputError) as raised:
        prometheus.options(server(1, **{**said, "insecure": False}))
    assert [problem.where.removeprefix("prometheus: metrics: ") for problem in raised.value.problems] == [
        "queries.rx_byte", "queries.tx_bytes", "queries.lldp_port", "token", "ca", "colour"]  # fmt: skip
    assert "words" not in str(raised.value)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["metric", "values", "device", "port", "x"]), inner, max_size=3)),
    max_leaves=10,
)  # fmt: skip
VALUES = st.one_of(JSON, st.lists(st.one_of(JSON, st.tuples(st.floats(), st.text(max_size=5))), max_size=3))
SERIES = st.one_of(
    JSON, st.fixed_dictionaries({"metric": st.one_of(JSON, st.just({"device": "leaf-1"})), "values": VALUES})
)


@given(st.one_of(JSON, st.lists(SERIES, max_size=3)))
def test_an_answer_of_any_shape_ends_as_a_named_outcome(result: Any) -> None:
    said = prometheus.options(server(1))
    raw = json.dumps({"data": {"resultType": "matrix", "result": result}}).encode()
    gathered = prometheus._Gathered(said, 5, {})
    outcomes, ask_ = set(), prometheus_api.Ask("", "", 0, 0)
    for query in said.queries:
        try:
            gathered.add(query, ask_.read(raw))
        except prometheus_api.Ended as ended:
            outcomes.add(ended.outcome)
    assert outcomes <= {Outcome.MALFORMED}
    assert gathered.table().height <= gathered.count
