"""The source gnmi against OpenConfig's own target simulator, over TLS."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
from pathlib import Path

import polars as pl
from conftest import need
from gnmi_listen import leaf, listen, loop, tls
from gnmi_server import Identity

from fabric.counters import counters

__all__ = ["loop", "tls"]

COUNTERS = [counter for counter in counters().values() if counter.addresses["gnmi"] and counter.kind == "counter"]


def fixed(ports: int, rounds: int) -> tuple[str, dict[tuple[str, int], dict[str, int]]]:
    """A configuration of fake_server: each port's 30 counters a round; and what it tells."""
    plain = [counter.addresses["gnmi"][0].path for counter in COUNTERS if not counter.indexed]
    queues = [counter.addresses["gnmi"][0].path for counter in COUNTERS if counter.object == "port_queue"]
    lines, told = [], dict[tuple[str, int], dict[str, int]]()
    for round_, port in itertools.product(range(rounds), range(ports)):
        leaves = [(path, None) for path in plain] + [(path, queue) for queue in (3, 4) for path in queues]
        at = 1_700_000_000_000_000_000 + round_ * 10**10
        updates = ""
        for number, (path, queue) in enumerate(leaves[:30]):
            count = 10**12 + round_ * 10**6 + port * 100 + number
            updates += f" update {{ path {{ {proto_path(path, port, queue)} }} val {{ uint_val: {count} }} }}"
            name, factor = by_path(path, queue)
            told.setdefault((f"swp{port}", at), {})[name] = int(count * factor)
        lines.append(f"responses {{ update {{ timestamp: {at}{updates} }} }}")
    return 'target: "leaf-1" client_type: GRPC_GNMI disable_eof: true fixed {\n' + "\n".join(lines) + "\n}\n", told


def by_path(path: str, queue: int | None) -> tuple[str, float]:
    counter = next(each for each in COUNTERS if each.addresses["gnmi"][0].path == path)
    return counter.column(queue), counter.addresses["gnmi"][0].factor


def proto_path(path: str, port: int, queue: int | None) -> str:
    found = ""
    for name in path.strip("/").split("/"):
        key = {"queue": ("name", str(queue))}.get(name, ("", ""))
        if name == "interface":
            key = ("interface-id" if path.startswith("/qos") else "name", f"Ethernet{port}")
        entry = f' key {{ key: "{key[0]}" value: "{key[1]}" }}' if key[0] else ""
        found += f'elem {{ name: "{name}"{entry} }} '
    return found


def test_openconfigs_own_target_over_tls_is_read_to_the_last_value(loop: asyncio.Runner, tls: Identity,
                                                                   tmp_path: Path) -> None:  # fmt: skip
    program = need("fake_server")
    text, told = fixed(64, 5)
    (tmp_path / "config").write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--config", str(tmp_path / "config"), "--text", "--port", str(port), "--server_crt",
               str(tls.certificate), "--server_key", str(tls.key), "--allow_no_client_auth"]  # fmt: skip
    ports = {f"Ethernet{number}": f"swp{number}" for number in range(64)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path, env={"PATH": os.environ["PATH"]}) as server:
        try:
            target = leaf(port, ports, ca=str(tls.certificate))
            polls, source = listen(loop, [target], lambda polls: sum(poll.rows.height for poll in polls) >= 320)
        finally:
            server.kill()
    rows = pl.concat([poll.rows for poll in polls if not poll.rows.is_empty()], how="diagonal")
    found = {
        (row["port"], row["time_ns"]): {name: value for name, value in row.items() if value is not None}
        for row in rows.drop("received_ns", "device").iter_rows(named=True)
    }
    assert {key: {**values, "port": key[0], "time_ns": key[1]} for key, values in told.items()} == found
    assert sum(len(values) for values in told.values()) == 64 * 30 * 5
    health = source.health()
    assert (health["updates"], health["malformed"], health["unusable"], health["ignored"]) == (9600, 0, 0, 0)
