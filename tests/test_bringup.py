"""Bringing up: DHCP servers accept their files, switches fetch what is there, and every rail is measured."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import need
from planned import planned
from small_plans import NAMES, plan_of

from fabric.addressing import addresses
from fabric.exports.acceptance import COLUMNS, LEAST_SHARE, WINDOWS, acceptance
from fabric.exports.bringup import configs, scopes, ztp
from fabric.fill import named
from fabric.inventory import Inventory, parse_inventory
from fabric.plan import Plan

EXAMPLES = ("starter-32", "hpn7-pod")


def known(plan: Plan) -> Inventory:
    """An inventory with the MAC of every management port."""
    devices, ports = plan.fabric.device_names(), plan.fabric.ports
    rows = []
    for port in addresses(plan).management["port"]:
        mac = f"02:00:00:{port >> 16:02x}:{port >> 8 & 255:02x}:{port & 255:02x}"
        rows.append(f"{devices[ports['device'][port]]},{ports['name'][port]},{mac}")
    return parse_inventory("\n".join(["device,port,mac", *rows]), plan)


@cache
def files(example: str) -> dict[str, bytes]:
    plan = planned(example)
    return dict(configs(plan, known(plan)))


@cache
def measured(example: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(acceptance(planned(example)).decode())))


# ----------------------------------------------------------------------------------------------------------------- DHCP


@pytest.mark.parts
@pytest.mark.parametrize("example", EXAMPLES)
def test_dhcpd_accepts_it(example: str, tmp_path: Path) -> None:
    program = need("dhcpd")
    (tmp_path / "dhcpd.conf").write_bytes(files(example)["bringup/dhcpd.conf"])
    (tmp_path / "leases").touch()
    command = [program, "-t", "-cf", str(tmp_path / "dhcpd.conf"), "-lf", str(tmp_path / "leases")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parts
@pytest.mark.parametrize("example", EXAMPLES)
def test_kea_accepts_it(example: str, tmp_path: Path) -> None:
    program = need("kea")
    (tmp_path / "kea.conf").write_bytes(files(example)["bringup/kea-dhcp4.conf"])
    ran = subprocess.run([program, "-t", str(tmp_path / "kea.conf")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "ERROR" not in ran.stdout + ran.stderr


def test_every_management_port_has_its_address_in_both() -> None:
    plan = planned("starter-32")
    expected = set(addresses(plan).management["ipv4"])
    kea = json.loads(files("starter-32")["bringup/kea-dhcp4.conf"])["Dhcp4"]["subnet4"]
    reserved = [port for subnet in kea for port in subnet["reservations"]]
    assert {port["ip-address"] for port in reserved} == expected
    assert len({port["hw-address"] for port in reserved}) == len(reserved) == len(expected)
    isc = files("starter-32")["bringup/dhcpd.conf"].decode()
    for port in reserved:
        line = f"host {port['hostname']} {{ hardware ethernet {port['hw-address']}; fixed-address {port['ip-address']};"
        assert line in isc


def test_a_port_without_a_mac_is_a_comment() -> None:
    isc = dict(configs(planned("starter-32")))["bringup/dhcpd.conf"].decode()
    assert "\nhost " not in isc
    assert "# gpu-0000-bmc 10.128.0.2: its MAC is not in the inventory" in isc


def test_a_plan_without_oob_has_no_dhcp() -> None:
    plan = planned("superpod-h100-1su")
    assert scopes(plan) == []
    assert list(dict(configs(plan))) == ["acceptance.csv"]


# ------------------------------------------------------------------------------------------------------------------ ZTP


def with_nos(plan: Plan, nos: str) -> Plan:
    switches = plan.fabric.switches.with_columns(nos=pl.lit(nos, dtype=pl.Enum([nos])))
    return replace(plan, fabric=replace(plan.fabric, switches=switches))


def test_sonic_fetches_its_own_configuration_and_routing() -> None:
    plan = planned("starter-32")
    found = dict(ztp(plan))
    for name in plan.fabric.switches["name"]:
        sections = json.loads(found[f"bringup/ztp/{name}.json"])["ztp"]
        assert list(sections) == ["01-configdb-json", "02-frr"]
        source = sections["01-configdb-json"]["url"]["source"]
        assert source == f"http://__RAILWRIGHT_ZTP_SERVER__/configs/{name}/config_db.json"
        assert sections["02-frr"]["frr"]["url"]["source"].endswith(f"/configs/{name}/frr.conf")
    urls = {port.boot for scope in scopes(plan) for port in scope.ports if port.nos == "sonic"}
    assert {url.partition("/bringup/")[2] for url in urls if url} <= {path.removeprefix("bringup/") for path in found}


@pytest.mark.parametrize(("nos", "option"), [("cumulus", "cumulus-provision-url"), ("eos", "bootfile-name")])
def test_other_systems_are_told_where_to_fetch(nos: str, option: str) -> None:
    plan = with_nos(planned("starter-32"), nos)
    isc = dict(configs(plan, known(planned("starter-32"))))["bringup/dhcpd.conf"].decode()
    hosts = [line for line in isc.splitlines() if line.startswith("host ")]
    assert sum(f"option {option} " in line for line in hosts) == 11
    kea = json.loads(dict(configs(plan, known(planned("starter-32"))))["bringup/kea-dhcp4.conf"])
    options = {o["name"] for s in kea["Dhcp4"]["subnet4"] for p in s["reservations"] for o in p.get("option-data", [])}
    assert options == {option.replace("bootfile", "boot-file")}


@pytest.mark.parts
def test_shellcheck_accepts_the_scripts(tmp_path: Path) -> None:
    program = need("shellcheck")
    scripts = {**dict(ztp(planned("starter-32"))), **dict(ztp(with_nos(planned("starter-32"), "cumulus")))}
    for path in ("bringup/ztp/sonic-frr.sh", "bringup/ztp/leaf-compute-s000-l0-p0.sh"):
        (tmp_path / "script.sh").write_bytes(scripts[path])
        ran = subprocess.run([program, "--norc", tmp_path / "script.sh"], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "")
    assert b"CUMULUS-AUTOPROVISIONING" in scripts["bringup/ztp/leaf-compute-s000-l0-p0.sh"]


def test_nothing_but_the_server_is_to_be_filled() -> None:
    assert {name for data in files("starter-32").values() for name in named(data)} == {"ZTP_SERVER"}


# ----------------------------------------------------------------------------------------------------------- acceptance


def rows(example: str, test: str) -> list[dict[str, str]]:
    return [row for row in measured(example) if row["test"] == test]


def test_every_fast_link_is_measured_once() -> None:
    plan = planned("starter-32")
    links = rows("starter-32", "link")
    assert len(links) == plan.fabric.links.filter(pl.col("speed_gbps") >= 25).height
    assert len({(row["a_device"], row["a_port"]) for row in links}) == len(links)
    assert {row["post_fec_ber_most"] for row in links if row["speed_gbps"] in ("400", "800")} == {"1e-13"}
    for row in links:
        assert (row["pre_fec_ber_most"] == "0.00024") == ("RS(544,514)" in row["source"])
        assert (row["rx_dbm_least"] == "") == ("light: IEEE" not in row["source"] and "CWDM4" not in row["source"])
        if row["rx_dbm_least"]:
            assert float(row["rx_dbm_least"]) < float(row["rx_dbm_most"])


def test_light_windows_are_those_of_the_standards() -> None:
    assert WINDOWS["singlemode", 100, 1][:2] == (-5.9, 4.0)
    assert WINDOWS["singlemode", 100, 4][:2] == (-7.3, 3.5)
    assert all(least < most <= 5 for least, most, _ in WINDOWS.values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_rail_and_plane_has_a_ping_and_a_bandwidth_test(example: str) -> None:
    plan = planned(example)
    for name, network in plan.design.networks.items():
        if name == "oob":
            continue
        asked = {(str(rail), str(plane)) for rail in range(network.classes[0].rails) for plane in range(network.planes)}
        tests = {"ping"} | ({"bandwidth"} if network.technology == "roce" else set())
        for test in tests:
            found = {(row["rail"], row["plane"]) for row in rows(example, test) if row["network"] == name}
            assert found == asked, (name, test)


def test_pairs_are_different_hosts_of_one_rail() -> None:
    plan = planned("hpn7-pod")
    links = plan.fabric.links.filter(tier="host-leaf")
    names, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    where = {
        (names[d], ports[p]): (names[leaf], rail, plane)
        for d, p, leaf, rail, plane in links.select("a_device", "a_port", "b_device", "rail", "plane").iter_rows()
    }
    tiers = set()
    for row in rows("hpn7-pod", "bandwidth"):
        a, b = (where[row[f"{side}_device"], row[f"{side}_port"]] for side in "ab")
        assert row["a_device"] != row["b_device"]
        assert a[1:] == b[1:]
        assert (a[0] == b[0]) == (row["tier"] == "leaf")
        tiers.add(row["tier"])
    assert tiers == {"leaf", "fabric"}


def test_bandwidth_expected_is_the_line_less_its_headers() -> None:
    row = rows("starter-32", "bandwidth")[0]
    assert float(row["gbps_expected"]) == round(400 * 4096 / (4096 + 8 + 14 + 20 + 8 + 12 + 4 + 4 + 12), 1) == 392.1
    assert float(row["gbps_least"]) == pytest.approx(392.1 * LEAST_SHARE, abs=0.1)
    assert "--tclass=104" in row["command"]
    infiniband = rows("superpod-h100-1su", "bandwidth")[0]
    assert float(infiniband["gbps_expected"]) == round(400 * 4096 / 4122, 1)
    assert "-d mlx5_0" in infiniband["command"]
    assert rows("superpod-h100-1su", "ping") == []


def test_pings_fill_the_largest_packet() -> None:
    row: dict[str, Any] = rows("starter-32", "ping")[0]
    assert row["command"] == "gpu-0000: ping -c 3 -M do -s 9188 -I 10.0.0.1 10.0.0.3"


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_is_measured(name: str) -> None:
    text = acceptance(plan_of(name)).decode()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert "\nlink," in text
    assert "\nping," in text
