"""Whom sources ask, where there is a management network and where there is none."""

from __future__ import annotations

import ipaddress

from planned import planned

from collectors.targets import targets
from fabric.addressing import addresses


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
