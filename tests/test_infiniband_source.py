"""Counters of a real (simulated) subnet: ibsim, opensm, and the source that asks it by infiniband-diags."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st
from ibfabric import PRELOAD, Simulated, ibsim
from planned import planned

from collectors.sources import Outcome, Poll, Target
from collectors.sources.infiniband import InfinibandSource, places, read_counters
from fabric.exports import infiniband

EXAMPLE = "superpod-h100-1su"


def asked(target: Target, timeout: float = 60.0) -> Poll:
    return asyncio.run(InfinibandSource().poll(target, timeout))


@contextmanager
def subnet(folder: Path) -> Iterator[Simulated]:
    """The compute network of the plan, with a subnet manager on it until the end."""
    for part in ("ibsim", "opensm", "ibnetdiscover"):
        need(part)
    net = folder / "net"
    net.write_bytes(infiniband.ibsim(planned(EXAMPLE)))
    match = re.search(r'^Ca\s+\d+\s+"([^"]+)"', net.read_text(), re.MULTILINE)
    assert match is not None
    with (
        ibsim(net, match[1], folder) as simulated,
        simulated.start("opensm", "-R", "ftree", "-f", folder / "opensm.log") as manager,
    ):
        try:
            _wait(simulated, manager)
            yield simulated
        finally:
            manager.kill()


def _wait(simulated: Simulated, manager: subprocess.Popen[bytes]) -> None:
    """Until the subnet manager answers for every node: ibqueryerrors needs its paths."""
    log = simulated.folder / "opensm.log"
    for _ in range(100):
        assert manager.poll() is None, log.read_text()[-2000:]
        if simulated.run("ibqueryerrors", "--counters", "--data").stdout.strip():
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def target_of(simulated: Simulated, network: str = "compute") -> Target:
    environment = {"LD_PRELOAD": str(PRELOAD), "SIM_HOST": simulated.host}
    return Target(network, "", 0, places(planned(EXAMPLE), network), {"environment": environment})


def linked_ports(network: str) -> set[tuple[str, str]]:
    """(device, port) of every end of a link of the network, from the tables."""
    fabric = planned(EXAMPLE).fabric
    links = fabric.links.filter(pl.col("network").cast(pl.String) == network)
    ends = pl.concat([links["a_port"], links["b_port"].drop_nulls()])
    names = fabric.device_names()
    rows = fabric.ports.filter(pl.col("id").is_in(ends.implode())).select("device", "name").iter_rows()
    return {(names[device], name) for device, name in rows}


@pytest.mark.slow
def test_counters_set_at_the_console_are_read(tmp_path: Path) -> None:
    with subnet(tmp_path) as simulated:
        target = target_of(simulated)
        first = asked(target)
        assert (first.outcome, first.detail) == (Outcome.OK, "")
        at = {(row["device"], row["port"]): row for row in first.rows.to_dicts()}
        # The adapters of the storage network are on the same simulator, but in a subnet of their own.
        assert set(at) == linked_ports("compute")
        assert all(row["rx_symbol_errors"] == 0 and row["oper_status"] == 1 for row in at.values())
        assert {row["speed_gbps"] for row in at.values()} == {200.0}, "the simulator runs at HDR"
        leaf = re.search(r'^Switch\s+\d+ "([^"]+)"\s+# "leaf-compute-s000-l3-p0"', (tmp_path / "net").read_text(), re.M)
        assert leaf is not None
        node = leaf[1]
        simulated.say(
            f'PerformanceSet "{node}"[5] PortCounters.SymbolErrorCounter=77',
            f'PerformanceSet "{node}"[5] PortCounters.LinkDownedCounter=3',
            f'PerformanceSet "{node}"[6] PortCounters.PortXmitWait=123456',
            f'PerformanceSet "{node}"[7] PortCounters.PortRcvErrors=65535',
        )
        second = asked(target)
        assert (second.outcome, second.detail) == (Outcome.OK, "")
        at = {(row["device"], row["port"]): row for row in second.rows.to_dicts()}
    five, six, seven = (port_of("leaf-compute-s000-l3-p0", number) for number in (5, 6, 7))
    assert (at[five]["rx_symbol_errors"], at[five]["link_down_events"]) == (77, 3)
    assert (at[six]["tx_wait_ticks"], at[six]["rx_symbol_errors"]) == (123456, 0)
    assert at[seven]["rx_errors"] == 65535
    assert at[five]["rx_bytes"] > 0
    assert at[five]["rx_bytes"] % 4 == 0, "the field counts words of four octets"
    assert sum(row["rx_symbol_errors"] for row in at.values()) == 77


def port_of(device: str, number: int) -> tuple[str, str]:
    """The port that InfiniBand numbers so."""
    found = places(planned(EXAMPLE), "compute")[f"{device}/{number}"]
    return device, found.rpartition(" ")[2]


@pytest.mark.slow
def test_perfquery_says_the_same(tmp_path: Path) -> None:
    device = "leaf-compute-s000-l0-p0"
    fields = {
        "SymbolErrorCounter": "rx_symbol_errors",
        "PortRcvErrors": "rx_errors",
        "PortXmitWait": "tx_wait_ticks",
    }
    with subnet(tmp_path) as simulated:
        text = simulated.run("ibnetdiscover").stdout
        switch = re.search(rf'"(S-[0-9a-f]+)"\s+# "{device}" .*? lid (\d+)', text)
        assert switch is not None
        for number in (1, 2, 33, 34):
            for at, field in enumerate(fields):
                simulated.say(f'PerformanceSet "{switch[1]}"[{number}] PortCounters.{field}={number * 7 + at}')
        rows = asked(target_of(simulated)).rows.filter(device=device)
        told = simulated.run("perfquery", "-l", switch[2], "1-64").stdout
    mine = {row["port"]: row for row in rows.to_dicts()}
    blocks = dict(re.findall(r"port (\d+) \(Cap(.*?)(?=# Port|\Z)", told, re.DOTALL))
    for number in (1, 2, 3, 33, 34):
        for field, column in fields.items():
            match = re.search(rf"{field}:\.*(\d+)", blocks[str(number)])
            assert match is not None
            assert mine[port_of(device, number)[1]][column] == int(match[1])
    assert mine[port_of(device, 33)[1]]["tx_wait_ticks"] == 33 * 7 + 2


def test_where_there_is_no_fabric_it_says_so(tmp_path: Path) -> None:
    need("ibnetdiscover")
    target = Target("compute", "", 0, {}, {"environment": {"SIM_HOST": "nowhere", "LD_PRELOAD": ""}})
    found = asked(target, 20.0)
    assert found.outcome is Outcome.FAILED
    assert found.detail.startswith("ibqueryerrors ended with 255: ")
    assert found.rows.is_empty()


@pytest.mark.slow
def test_without_a_subnet_manager_it_says_so(tmp_path: Path) -> None:
    need("ibsim")
    net = tmp_path / "net"
    net.write_bytes(infiniband.ibsim(planned(EXAMPLE)))
    match = re.search(r'^Ca\s+\d+\s+"([^"]+)"', net.read_text(), re.MULTILINE)
    assert match is not None
    with ibsim(net, match[1], tmp_path) as simulated:
        found = asked(target_of(simulated))
    assert (found.outcome, found.detail) == (
        Outcome.FAILED, "ibqueryerrors printed nothing: is a subnet manager running?",
    )  # fmt: skip


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = asked(Target("compute", "", 0, {}))
    assert (found.outcome, found.detail) == (
        Outcome.FAILED,
        "ibqueryerrors: no such file or directory; install infiniband-diags",
    )


CRASHES = """#!/bin/sh
echo x >> "$TRIES"
[ "$(wc -l < "$TRIES")" -gt {good} ] || kill -SEGV $$
"""


@pytest.mark.parametrize(
    ("crashes", "detail"),
    [(2, "ibqueryerrors printed nothing: is a subnet manager running?"), (3, "ibqueryerrors ended with -11")],
)
def test_a_program_that_crashed_is_asked_again_and_then_told(
    crashes: int, detail: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tools = {"ibqueryerrors": CRASHES.replace("{good}", str(crashes)), "iblinkinfo": "#!/bin/sh\n"}
    for name, text in tools.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("TRIES", str(tmp_path / "tries"))
    assert asked(Target("compute", "", 0, {})).detail == detail


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                'Errors for 0x1 "leaf"',
                'Data Counters for 0xfffffffffffffffff "x"',
                "   GUID 0x1 port 1: [SymbolErrorCounter == 77] [PortXmitData == 3 (12B)]",
                "   GUID 0x1 port 1: [PortXmitData == 99999999999999999999]",
                "   GUID 0x1 port ALL: [SymbolErrorCounter == 77]",
                "   GUID 0x1 port 999: [Nothing == 1]",
            ]
        ),
        st.text(max_size=60),
    ),
    max_size=12,
)


@given(LINES)
def test_hostile_text_gives_known_columns_or_nothing(lines: list[str]) -> None:
    read = read_counters("\n".join(lines), {"leaf/1": "leaf Port1"})
    for place, values in read.known.items():
        assert place == ("leaf", "Port1")
        assert values in ({}, {"rx_symbol_errors": 77, "tx_bytes": 12})


def test_a_subnet_of_others_is_empty() -> None:
    read = read_counters('Errors for 0x1 "a"\n   GUID 0x1 port 1: [SymbolErrorCounter == 1]\n', {})
    assert (dict(read.known), read.unknown) == ({}, 1)
