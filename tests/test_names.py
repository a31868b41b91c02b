"""Names of devices and ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_designs import BOX, catalogue, setup

from fabric import names
from fabric.catalogue import load_catalogue
from fabric.catalogue.models import NicGroup
from fabric.portnames import Place, management_ports, nic_lanes, nic_name, nic_port_name, switch_ports
from planner.build_templates import switch_template

c = pl.col
NUMBER = st.integers(0, 200_000)
OPTIONAL = st.none() | NUMBER
NETWORK = st.sampled_from(["compute", "storage", "frontend", "oob"])
SWITCHES: dict[str, tuple[dict[str, st.SearchStrategy[Any]], Callable[..., pl.Expr]]] = {
    "leaf": ({"network": NETWORK, "segment": NUMBER, "position": NUMBER, "plane": NUMBER}, names.leaf_name),
    "spine": (
        {"network": NETWORK, "pod": NUMBER, "position": OPTIONAL, "plane": OPTIONAL, "index": NUMBER},
        names.spine_name,
    ),
    "core": (
        {"network": NETWORK, "position": OPTIONAL, "plane": OPTIONAL, "core_group": NUMBER, "index": NUMBER},
        names.core_name,
    ),
}


def parsed(name: str) -> dict[str, Any]:
    """What a name says, without what it does not."""
    return {k: v for k, v in names.parse(pl.Series([name])).row(0, named=True).items() if v is not None}


@pytest.mark.parametrize("tier", SWITCHES)
@given(data=st.data())
def test_switch_names_say_what_they_were_made_of(tier: str, data: st.DataObject) -> None:
    parts, make = SWITCHES[tier]
    rows = data.draw(st.lists(st.fixed_dictionaries(parts), min_size=1, max_size=5))
    frame = pl.DataFrame(rows, schema={p: pl.String if p == "network" else pl.UInt32 for p in parts})
    made = frame.select(make(**{("group" if p == "core_group" else p): c(p) for p in parts})).to_series()
    read = names.parse(made)
    assert read["kind"].to_list() == [tier] * len(rows)
    assert read.select(frame.columns).equals(frame)
    assert read.drop("kind", *frame.columns).null_count().row(0) == (len(rows),) * (len(names.PARTS) - len(parts))


@given(st.from_regex(r"[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True), NUMBER)
def test_host_names_say_what_they_were_made_of(group: str, index: int) -> None:
    name = pl.DataFrame({"group": [group], "index": [index]}).select(names.host_name(c("group"), c("index"))).item()
    if not group.startswith(("leaf-", "spine-", "core-")):
        kind = "pdu" if group == "pdu" else "host"
        assert parsed(name) == {"kind": kind, "host_group": group, "index": index}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("leaf-compute-s007-l3-p1", {"kind": "leaf", "network": "compute", "segment": 7, "position": 3, "plane": 1}),
        ("spine-storage-d00-012", {"kind": "spine", "network": "storage", "pod": 0, "index": 12}),
        ("spine-compute-d01-l2-p0-003",
         {"kind": "spine", "network": "compute", "pod": 1, "position": 2, "plane": 0, "index": 3}),
        ("core-compute-p1-g004-005", {"kind": "core", "network": "compute", "plane": 1, "core_group": 4, "index": 5}),
        ("gpu-a-0012", {"kind": "host", "host_group": "gpu-a", "index": 12}),
        ("gpu-12345", {"kind": "host", "host_group": "gpu", "index": 12345}),
        ("pdu-0001", {"kind": "pdu", "host_group": "pdu", "index": 1}),
    ],
)  # fmt: skip
def test_names_are_parsed(name: str, parts: dict[str, Any]) -> None:
    assert parsed(name) == parts


@pytest.mark.parametrize("name", ["external", "gpu-1", "gpu-00012", "-0001", "leaf-compute-s07-l3-p1", "", "gpu-0001 "])
def test_what_is_no_name_is_not_parsed(name: str) -> None:
    assert parsed(name) == {}


PLACES = [
    Place(0, 0, 1, 0, 0),
    *(Place(1, n, 2, n, 4 * n) for n in range(2)),
    *(Place(2, n, 4, n // 2, 2 * n) for n in range(4)),
]
"""A whole cage, one of two ports, one of four."""


@pytest.mark.parametrize(
    ("nos", "expected"),
    [
        ("sonic", ["Ethernet0", "Ethernet8", "Ethernet12", "Ethernet16", "Ethernet18", "Ethernet20", "Ethernet22"]),
        ("cumulus", ["swp1", "swp2s0", "swp2s1", "swp3s0", "swp3s1", "swp3s2", "swp3s3"]),
        ("frr", ["swp1", "swp2s0", "swp2s1", "swp3s0", "swp3s1", "swp3s2", "swp3s3"]),
        ("eos", [f"Ethernet{n}" for n in ("1/1", "2/1", "2/5", "3/1", "3/3", "3/5", "3/7")]),
        ("opensm", ["1", "5", "7", "9", "10", "11", "12"]),
    ],
)  # fmt: skip
def test_ports_are_named_as_the_operating_system_does(nos: str, expected: list[str]) -> None:
    box = catalogue({}, nos=nos).switches[BOX]
    assert [p.name for p in switch_ports(box, nos, PLACES)] == expected
    assert [p.label for p in switch_ports(box, nos, PLACES)][:3] == ["1/1", "2/1", "2/2"]


def test_no_two_ports_of_any_switch_share_a_name() -> None:
    for switch in load_catalogue().switches.values():
        for nos in switch.nos:
            for which in range(max(len(group.modes) for group in switch.cages)):
                modes = [group.modes[which % len(group.modes)] for group in switch.cages for _ in range(group.count)]
                places = [
                    Place(cage, n, mode.ports, 0, 0) for cage, mode in enumerate(modes) for n in range(mode.ports)
                ]
                made = [p.name for p in switch_ports(switch, nos, _with_lanes(switch.cages, places))]
                assert len(set(made)) == len(made), (switch.name, nos, which)


def _with_lanes(cages: Any, places: list[Place]) -> list[Place]:
    lanes = [group.lanes for group in cages for _ in range(group.count)]
    return [Place(p.cage, p.index, p.ports, 0, p.index * lanes[p.cage] // p.ports) for p in places]


def test_management_ports_count_up() -> None:
    switches = load_catalogue().switches
    assert management_ports(switches["sn5600"], "sonic") == ["eth0"]
    qm9700 = switches["qm9700"]
    two = qm9700.model_copy(update={"management": qm9700.management.model_copy(update={"ports": 2})})
    assert management_ports(two, "opensm") == ["mgmt0", "mgmt1"]


def test_nics_are_named_by_their_interfaces_or_their_group() -> None:
    nic: dict[str, Any] = {
        "name": "cx",
        "count": 2,
        "ports": 2,
        "speed_gbps": 200,
        "network": "compute",
        "cage": "qsfp112",
    }
    plain = NicGroup(**nic)
    assert [nic_name(plain, n) for n in range(2)] == ["cx-0", "cx-1"]
    assert nic_port_name(plain, 1, 1) == "cx-1p1"
    told = NicGroup(**nic, interfaces=("eth0", "eth1", "eth2", "eth3"))
    assert (nic_name(told, 1), nic_port_name(told, 1, 1)) == ("eth2", "eth3")
    assert nic_name(plain.model_copy(update={"count": 1}), 0) == "cx"
    assert nic_lanes(plain, 4) == 2


def test_management_and_service_ports_have_rows_of_their_own() -> None:
    plan = setup("small", ("host", 3, "1x1"), ("free", 2, "1x1"), ("service", 1, "1x1"))
    template = switch_template(plan, catalogue({}).switches["small"], "sonic", "oob", managed=True)
    assert [p.use for p in template.ports] == ["host"] * 3 + ["free"] * 2 + ["mgmt"]
    assert template.ports[-1].cage == 53
