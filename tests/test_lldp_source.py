"""LLDP read from real lldpd daemons on both ends of cables between network namespaces."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st

from collectors.sources import Outcome, Poll, Target
from collectors.sources.lldp import COLUMNS, LldpSource, neighbours, rows

SWITCH, HOST = "leaf-compute-s000-l0-p0", "gpu-0000"
CABLES = (("Ethernet0", "cx7-0"), ("Ethernet8", "cx7-1"))


def asked(target: Target) -> Poll:
    return asyncio.run(LldpSource().poll(target, 10.0))


@contextmanager
def daemons() -> Iterator[dict[str, Path]]:
    """A switch and a host, two cables between them, lldpd on each; gives the control sockets.

    lldpd gives up root: its folder has to be open to others.
    """
    need("lldpd")
    need("iproute2")
    if os.geteuid() != 0:
        pytest.skip("namespaces need root: run as root")
    spaces = {name: f"rw-lldp-{os.getpid()}-{number}" for number, name in enumerate((SWITCH, HOST))}
    running: list[subprocess.Popen[bytes]] = []
    folder = Path(tempfile.mkdtemp(prefix="rw-lldp-"))
    folder.chmod(0o755)
    try:
        for space in spaces.values():
            _ip("netns", "add", space)
        for near, far in CABLES:
            _ip("-n", spaces[SWITCH], "link", "add", near, "type", "veth", "peer", far, "netns", spaces[HOST])
            _ip("-n", spaces[SWITCH], "link", "set", near, "up")
            _ip("-n", spaces[HOST], "link", "set", far, "up")
        Path("/run/lldpd").mkdir(exist_ok=True)
        sockets = {}
        for name, space in spaces.items():
            sockets[name] = folder / f"{space[-1]}.sock"
            settings = folder / f"{space[-1]}.conf"
            lines = f"configure system hostname {name}\nconfigure lldp tx-interval 1\n"
            settings.write_text(f"{lines}configure lldp portidsubtype ifname\nresume\n")
            command = ["ip", "netns", "exec", space, "lldpd", "-d", "-u", str(sockets[name]), "-O", str(settings)]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield sockets
    finally:
        for process in running:
            process.kill()
            process.wait()
        for space in spaces.values():
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                subprocess.run(["kill", "-9", pid], check=False)
            subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.rmtree(folder)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def test_both_ends_of_a_cable_name_each_other() -> None:
    with daemons() as sockets:
        switch = Target(SWITCH, "", 0, {near: near for near, _ in CABLES}, {"socket": str(sockets[SWITCH])})
        host = Target(HOST, "", 0, {"cx7-0": "nic0"}, {"socket": str(sockets[HOST])})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (asked(switch).rows.height < 2 or asked(host).rows.is_empty()):
            time.sleep(0.2)
        of_switch, of_host = asked(switch), asked(host)
        text = subprocess.run(
            ["lldpcli", "-u", str(sockets[SWITCH]), "-f", "json", "show", "neighbors"], capture_output=True, check=True
        ).stdout
    assert of_switch.outcome is Outcome.OK
    ends = {row["port"]: (row["lldp_system"], row["lldp_port"]) for row in of_switch.rows.to_dicts()}
    assert ends == {near: (HOST, far) for near, far in CABLES}
    assert of_host.rows.select("port", "lldp_system", "lldp_port").rows() == [("nic0", SWITCH, "Ethernet0")]
    assert of_host.unknown == 1, "the plan that was given knows one of its two interfaces"
    again, _ = rows(json.loads(text), switch, 7)
    columns = ["port", *COLUMNS]
    assert again.select(columns).sort("port").equals(of_switch.rows.select(columns).sort("port")), "json is as json0"


def test_no_daemon_is_a_failure_that_says_so(tmp_path: Path) -> None:
    need("lldpd")
    found = asked(Target(HOST, "", 0, {"cx7-0": "nic0"}, {"socket": str(tmp_path / "none")}))
    assert found.outcome is Outcome.FAILED
    assert found.detail.startswith("lldpcli ended with 1")


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["lldp", "interface", "name", "chassis", "port", "id", "descr", "value", "eth0"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_hostile_json_gives_texts_or_nothing(found: Any) -> None:
    for values in neighbours(found).values():
        assert values
        assert set(values) <= set(COLUMNS)
        assert all(isinstance(text, str) and 0 < len(text) <= 255 for text in values.values())
