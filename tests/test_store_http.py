"""What becomes of lines when a server answers otherwise than 204."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from collectors.store.errors import StoreAwayError
from collectors.store.influx import InfluxServer
from collectors.store.server import DeniedError, Http, RejectedError, TooMuchError
from collectors.store.urls import StoreUrl
from collectors.store.victoria import FLUSHED_S, VictoriaServer

LINES = b"".join(b"m,device=d n=%du %d\n" % (n, n) for n in range(5000))


class Answers(BaseHTTPRequestHandler):
    """Answers as its server's ``say`` has it, and keeps what it took."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        server: Any = self.server
        status, said = server.by_path.get(self.path.partition("?")[0]) or server.say(body)
        if status == 204:
            server.taken.append(body)
        server.tokens.append(self.headers.get("Authorization"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST  # noqa: N815  the base class calls it so

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    made.taken, made.tokens, made.by_path, made.say = [], [], {}, lambda _: (204, b"")
    made.url = StoreUrl("influxdb", host="127.0.0.1", port=made.server_address[1], org="o", bucket="b", token="s3cret")
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize("refusal", [(413, b"too large"), (500, b'{"message": "writing points: timeout"}')])
def test_too_much_at_once_goes_in_halves(server: Any, refusal: tuple[int, bytes]) -> None:
    server.say = lambda body: refusal if len(body) > 30_000 else (204, b"")
    http = Http(server.url)
    http.post(LINES)
    assert b"".join(server.taken) == LINES
    assert all(part.endswith(b"\n") for part in server.taken)
    server.say = lambda _: refusal
    with pytest.raises(TooMuchError):
        http.post(LINES)
    http.close()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (400, RejectedError, "will not take it"), (422, RejectedError, "will not take it"),
        (401, DeniedError, "refuses the token"), (403, DeniedError, "refuses the token"),
        (404, DeniedError, "answers 404"), (429, DeniedError, "answers 429"),
        (503, StoreAwayError, "answers 503"),
        (301, StoreAwayError, "influxdb"), (307, StoreAwayError, "influxdb"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_name(server: Any, status: int, error: type[Exception], said: str) -> None:
    server.say = lambda _: (status, b"because\nof this")
    http = Http(server.url)
    with pytest.raises(error, match=said) as caught:
        http.post(LINES)
    assert type(caught.value) is error
    assert "s3cret" not in str(caught.value)
    http.close()


def test_the_token_goes_as_each_server_wants_it(server: Any) -> None:
    http = Http(server.url)
    http.post(b"m n=1 1\n")
    http.get("/query", {})
    other = Http(StoreUrl("victoriametrics", host="127.0.0.1", port=server.url.port, token="s3cret"))
    other.post(b"m n=1 1\n")
    other.get("/x", {})
    none = Http(StoreUrl("victoriametrics", host="127.0.0.1", port=server.url.port))
    none.post(b"m n=1 1\n")
    assert server.tokens == ["Token s3cret"] * 2 + ["Bearer s3cret"] * 2 + [None]
    for one in (http, other, none):
        one.close()


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"<html>", b'{"data": 5}', b"[]", b"null", b"name,tags\n,", b"\xff\xfe"]
)
def test_nonsense_from_a_server_is_an_error_of_the_store(server: Any, body: bytes) -> None:
    server.say = lambda _: (200, body)
    influx = InfluxServer(server.url)
    victoria = VictoriaServer(StoreUrl("victoriametrics", host="127.0.0.1", port=server.url.port))
    asked: Any = ("m", ["f"], ["device"], {}, 0, 1)
    for ask in (
        influx.known_fields, victoria.known_fields, influx.first_ns,
        lambda: influx.series(*asked), lambda: victoria.series(*asked),
    ):  # fmt: skip
        try:
            ask()
        except StoreAwayError as error:
            assert "nonsense" in str(error)  # noqa: PT017  some bodies are an empty answer to some questions
    influx.close()
    victoria.close()


UPTIME = b"x 1\nvm_app_uptime_seconds 40\ny 2\n"
CREATED = b'{"status":"ok","snapshot":"20231114221320-17"}'


@pytest.mark.parametrize(
    ("answers", "age_s", "sealed_s", "kept"),
    [
        ({"/snapshot/create": (200, CREATED), "/metrics": (200, UPTIME)}, 39.0, 1.0, True),
        ({"/snapshot/create": (200, CREATED), "/metrics": (200, UPTIME)}, 40.5, 1.0, False),
        ({"/snapshot/create": (404, b""), "/metrics": (200, UPTIME)}, 12.0, 1.0, None),
        ({"/snapshot/create": (401, b""), "/metrics": (200, UPTIME)}, 12.0, FLUSHED_S - 1, None),
        ({"/snapshot/create": (200, b"<html>"), "/metrics": (200, UPTIME)}, 12.0, FLUSHED_S, True),
        ({"/snapshot/create": (404, b""), "/metrics": (200, UPTIME)}, FLUSHED_S + 12.0, FLUSHED_S, False),
        ({"/snapshot/create": (404, b""), "/metrics": (403, b"")}, FLUSHED_S + 12.0, FLUSHED_S, True),
    ],
)
def test_when_victoriametrics_has_it_on_disk(
    server: Any, answers: dict[str, tuple[int, bytes]], age_s: float, sealed_s: float, kept: bool | None
) -> None:
    server.by_path = answers
    victoria = VictoriaServer(StoreUrl("victoriametrics", host="127.0.0.1", port=server.url.port))
    assert victoria.on_disk(age_s, sealed_s) is kept
    victoria.close()


def test_a_server_that_is_not_there_says_nothing_about_its_disk() -> None:
    victoria = VictoriaServer(StoreUrl("victoriametrics", host="127.0.0.1", port=1))
    with pytest.raises(StoreAwayError, match="does not answer"):
        victoria.on_disk(1.0, 1.0)
    victoria.close()
