"""``/metrics``: what is on it, its bound, who may read it; read back by Prometheus' own parser and promtool."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import polars as pl
import pytest
from conftest import need
from prometheus_client.parser import text_string_to_metric_families

from collectors.exposition import MetricsServer, Sampled, health_samples, page, registry, rollup_samples
from collectors.store.tables import ROLLUP_SCHEMA
from fabric.errors import InputError

TOKEN = "a token"
ROLLUPS = pl.DataFrame(
    [
        [1, "rail", "compute", None, None, "3", None, None, "tx_bytes", 9.0, 5.0, 4.0, 2, 1],
        [2, "rail", "compute", None, None, "3", None, None, "tx_bytes", 90.0, 50.0, 40.0, 2, 1],
        [2, "group", "compute", "leaf", None, None, 'leaf "a"\\', "up", "tx_bytes", 7.5, 4.0, 4.0, 16, 0],
    ],
    schema=ROLLUP_SCHEMA, orient="row",
)  # fmt: skip


def series(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_latest_rollups_are_on_the_page() -> None:
    found = series(page(registry([lambda: rollup_samples(ROLLUPS), lambda: health_samples("store", {"writes": 3})])))
    by_rail = {"by": "rail", "network": "compute", "rail": "3", "tier": "", "segment": "", "device": "", "group": ""}
    assert found["railwright_rollup_tx_bytes_per_second_sum", tuple(sorted(by_rail.items()))] == 90.0
    group = by_rail | {"by": "group", "tier": "leaf", "rail": "", "device": 'leaf "a"\\', "group": "up"}
    assert found["railwright_rollup_ports", tuple(sorted(group.items()))] == 16
    assert found["railwright_store_writes", ()] == 3
    assert found["railwright_exposition_dropped_series", ()] == 0
    assert any(name.startswith("process_") for name, _ in found)
    assert rollup_samples(ROLLUPS.clear()) == []


def test_the_page_is_bounded() -> None:
    many = Sampled("many", "m", "gauge", ("port",), {(f"p{n}",): float(n) for n in range(500)})
    more = Sampled("more", "m", "counter", (), {(): 1.0})
    found = series(page(registry([lambda: [many], lambda: [more]], most=100)))
    assert sum(name == "many" for name, _ in found) == 100
    assert ("more_total", ()) not in found
    assert found["railwright_exposition_dropped_series", ()] == 401


def test_promtool_likes_the_page() -> None:
    made = registry([lambda: [Sampled("railwright_poll", "Polls", "counter", ("outcome",), {("ok",): 4.0})]])
    done = subprocess.run([need("promtool"), "check", "metrics"], input=page(made), capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    made = MetricsServer(registry([]), TOKEN)
    yield made
    made.close()


def get(server: MetricsServer, path: str, token: str | None) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": token}
    asked = urllib.request.Request(f"http://{server.host}:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_only_the_token_reads_it(server: MetricsServer) -> None:
    status, body = get(server, "/metrics", f"Bearer {TOKEN}")
    assert (status, b"process_" in body) == (200, True)
    assert get(server, "/metrics?x=1", f"Bearer {TOKEN}")[0] == 200
    assert get(server, "/", f"Bearer {TOKEN}")[0] == 404
    for wrong in (None, "", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
        assert get(server, "/metrics", wrong)[0] == 401


def test_it_wants_a_token_and_loopback() -> None:
    with pytest.raises(InputError) as caught:
        MetricsServer(registry([]), "", host="0.0.0.0")
    assert len(caught.value.problems) == 2
