"""Whom sources ask, where there is a management network and where there is none."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import pytest
from planned import planned

from collectors.running import all_targets
from collectors.secrets import Secrets
from collectors.settings import Collect, read, with_secrets
from collectors.sources.prometheus import options
from collectors.targets import shards, targets
from fabric.addressing import addresses
from fabric.errors import InputError


def test_switches_sign_their_sflow_with_either_address() -> None:
    plan = planned("starter-32")
    known = addresses(plan).switches
    names = plan.fabric.device_names()
    both = {names[row["device"]]: (row["mgmt_ipv4"], row["loopback_ipv4"]) for row in known.to_dicts()}
    found = targets(plan, 6343, source="sflow", networks=("compute",))
    assert found
    for target in found:
        management, loopback = both[target.device]
        assert (target.address, target.options["addresses"]) == (management, (loopback,))
    given = targets(plan, 6343, source="sflow", networks=("compute",), options={"addresses": ("192.0.2.1",)})
    assert {target.options["addresses"] for target in given} == {("192.0.2.1",)}
    assert all("addresses" not in target.options for target in targets(plan, 161, source="snmp"))


def test_without_a_management_network_a_switch_is_asked_at_its_loopback() -> None:
    plan = planned("hpn7-segment")
    assert "oob" not in plan.design.networks
    found = targets(plan, 161, source="snmp")
    assert len({ipaddress.ip_address(target.address) for target in found}) == len(found) > 0


def load(tables: Mapping[str, object], secrets: Secrets) -> Collect:
    return with_secrets(*read(tables), secrets)


def test_a_server_speaks_for_the_devices_of_the_plan() -> None:
    plan = planned("starter-32")
    tables = {"prometheus": {
        "address": "192.0.2.7", "devices": ["leaf-compute-*"], "device_label": "instance",
        "queries": {"rx_bytes": "ifHCInOctets", "speed_gbps": "ifHighSpeed * 0.001"},
    }}  # fmt: skip
    collect = load(tables, Secrets({}))
    (target,) = all_targets(plan, collect)["prometheus"]
    assert (target.device, target.address, target.port) == ("prometheus", "192.0.2.7", 9090)
    said = options(target)
    assert {one.device for one in said.devices.values()} == {
        name for name in plan.fabric.switches["name"] if name.startswith("leaf-compute-")
    }
    assert shards(plan)["prometheus"] == "servers"
    with pytest.raises(InputError, match='"metrics" is no IP address'):
        all_targets(plan, load({"prometheus": {**tables["prometheus"], "address": "metrics"}}, Secrets({})))
    with pytest.raises(InputError, match="prometheus"):
        all_targets(plan, load({"prometheus": {"queries": {"rx_byte": "x"}}}, Secrets({})))
