"""LLDP read from real lldpd daemons on both ends of cables between network namespaces."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from conftest import need
from hypothesis import given
from hypothesis import strategies as st
from lldp_daemons import daemons

from collectors.sources import Outcome, Poll, Target
from collectors.sources.lldp import COLUMNS, LldpSource, neighbours, rows

SWITCH, HOST = "leaf-compute-s000-l0-p0", "gpu-0000"
CABLES = (("Ethernet0", "cx7-0"), ("Ethernet8", "cx7-1"))


def asked(target: Target) -> Poll:
    return asyncio.run(LldpSource().poll(target, 10.0))


def test_both_ends_of_a_cable_name_each_other() -> None:
    with daemons((SWITCH, HOST), [((SWITCH, near), (HOST, far)) for near, far in CABLES]) as sockets:
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
