"""What hosts load: netplan and shellcheck accept it, it routes every address by its own port, and runs twice alike."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import yaml
from conftest import need
from planned import planned
from small_plans import NAMES, plan_of

from fabric.addressing import addresses
from fabric.catalogue import load_catalogue
from fabric.errors import InputError
from fabric.exports.host import configs, samples
from fabric.exports.host_nccl import Nccl, conf
from fabric.intent import intent_from
from fabric.intent.services import Services
from fabric.inventory import Inventory
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

EXAMPLES = ("starter-32", "hpn7-pod", "ascend-a3", "superpod-h100-1su")


@cache
def files(example: str) -> dict[str, str]:
    return {path: data.decode() for path, data in samples(planned(example))}


@cache
def everything(example: str) -> dict[str, bytes]:
    return dict(configs(planned(example)))


def of_kind(name: str) -> list[Any]:
    """Every file of this name of the first hosts of the examples."""
    found = [(e, path) for e in EXAMPLES for path in files(e) if path.endswith(f"/{name}")]
    return [pytest.param(example, path, id=f"{example}-{path}") for example, path in found]


def netplan(example: str, host: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(everything(example)[f"hosts/{host}/netplan.yaml"])["network"]["ethernets"]
    return found


# --------------------------------------------------------------------------------------------------- the real consumers


@pytest.mark.parts
@pytest.mark.parametrize(("example", "path"), of_kind("netplan.yaml"))
def test_netplan_accepts_it(example: str, path: str, tmp_path: Path) -> None:
    program = need("netplan")
    folder = tmp_path / "etc/netplan"
    folder.mkdir(parents=True)
    (folder / "90-railwright.yaml").write_text(files(example)[path], encoding="utf-8")
    (folder / "90-railwright.yaml").chmod(0o600)
    ran = subprocess.run([program, "generate", "--root-dir", tmp_path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    made = {p.stem.removeprefix("10-netplan-"): p for p in (tmp_path / "run/systemd/network").glob("*.network")}
    asked = yaml.safe_load(files(example)[path])["network"]["ethernets"]
    assert set(made) == set(asked)
    for interface, settings in asked.items():
        text = made[interface].read_text(encoding="utf-8")
        assert text.count("[Route]") == len(settings["routes"])
        assert text.count("[RoutingPolicyRule]") == len(settings["routing-policy"]) == 2
        assert f"MTUBytes={settings['mtu']}" in text


@pytest.mark.parts
@pytest.mark.parametrize(("example", "path"), of_kind("roce-qos.sh"))
def test_shellcheck_and_bash_accept_it(example: str, path: str, tmp_path: Path) -> None:
    program = need("shellcheck")
    script = tmp_path / "roce-qos.sh"
    script.write_text(files(example)[path], encoding="utf-8")
    for command in ([program, "--norc", str(script)], ["bash", "-n", str(script)], ["sh", "-n", str(script)]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


TOOL = """\
#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"$LOG"
if [ "$(basename "$0")" = rdma ]; then  # rdma dev set OLD name NEW
  for path in "$SYSFS"/class/net/*/device/infiniband/"$3"; do
    [ -e "$path" ] || continue
    mv "$path" "$(dirname "$path")/$5"
    mv "$SYSFS/class/infiniband/$3" "$SYSFS/class/infiniband/$5"
  done
fi
"""


def machine(folder: Path, interfaces: list[str], tools: tuple[str, ...]) -> dict[str, str]:
    """A /sys with these interfaces and one RDMA device each, and tools that write down how they were called."""
    bin_, sys = folder / "bin", folder / "sys"
    bin_.mkdir()
    for tool in tools:
        (bin_ / tool).write_text(TOOL, encoding="utf-8")
        (bin_ / tool).chmod(0o755)
    for number, interface in enumerate(interfaces):
        device = f"mlx5_{number}"
        ecn = f"class/net/{interface}/ecn"
        for path, text in (
            (f"{ecn}/roce_np/enable/3", "0"), (f"{ecn}/roce_rp/enable/3", "1"),
            (f"{ecn}/roce_np/cnp_dscp", "0"), (f"{ecn}/roce_np/cnp_802p_prio", "0"),
            (f"class/net/{interface}/device/infiniband/{device}/.keep", ""),
            (f"class/infiniband/{device}/tc/1/traffic_class", "0"),
        ):  # fmt: skip
            (sys / path).parent.mkdir(parents=True, exist_ok=True)
            (sys / path).write_text(f"{text}\n", encoding="utf-8")
        for name in (device, interface):
            ports = folder / "config/rdma_cm" / name / "ports/1"
            ports.mkdir(parents=True)
            (ports / "default_roce_mode").write_text("IB/RoCE v1\n", encoding="utf-8")
            (ports / "default_roce_tos").write_text("0\n", encoding="utf-8")
    return {
        "PATH": f"{bin_}:{os.environ['PATH']}", "SYSFS": str(sys), "CONFIGFS": str(folder / "config"),
        "LOG": str(folder / "log"),
    }  # fmt: skip


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("tools", [("mlnx_qos", "dcb", "rdma"), ("dcb", "rdma")], ids=["mlnx_qos", "dcb"])
def test_the_script_sets_everything_and_twice_is_once(tools: tuple[str, ...], tmp_path: Path) -> None:
    script = files("starter-32")["hosts/stor-0000/roce-qos.sh"]
    environment = machine(tmp_path, ["storage-0", "storage-1"], tools)
    first = run(script, environment)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    after = tree(tmp_path / "sys")
    for interface in ("storage-0", "storage-1"):
        assert after[f"class/net/{interface}/ecn/roce_np/enable/3"] == "1\n"
        assert after[f"class/net/{interface}/ecn/roce_np/cnp_dscp"] == "48\n"
        assert after[f"class/infiniband/{interface}/tc/1/traffic_class"] == "104\n"
        config = tree(tmp_path / f"config/rdma_cm/{interface}")
        assert config == {"ports/1/default_roce_mode": "RoCE v2\n", "ports/1/default_roce_tos": "104\n"}
    called = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert "rdma dev set mlx5_0 name storage-0" in called
    assert sum(line.startswith("mlnx_qos") for line in called) == (2 if "mlnx_qos" in tools else 0)
    assert run(script, environment).returncode == 0
    assert tree(tmp_path / "sys") == after
    again = (tmp_path / "log").read_text(encoding="utf-8").splitlines()[len(called) :]
    assert again == [line for line in called if not line.startswith("rdma")]


def test_the_script_stops_where_an_interface_is_missing(tmp_path: Path) -> None:
    script = files("starter-32")["hosts/stor-0000/roce-qos.sh"]
    ran = run(script, machine(tmp_path, ["storage-1"], ("dcb", "rdma")))
    assert ran.returncode == 1
    assert ran.stderr == "storage-0: there is no such interface\n"


# --------------------------------------------------------------------------------------------------------------- routes


def ports_of(plan: Plan, host: str) -> dict[str, dict[str, Any]]:
    device = plan.fabric.device_names().to_list().index(host)
    rows = addresses(plan).host_ports.filter(device=device).iter_rows(named=True)
    names = plan.fabric.ports["name"]
    return {names[row["port"]]: row for row in rows}


@pytest.mark.parametrize(
    ("example", "host"), [("starter-32", "gpu-0007"), ("hpn7-pod", "gpu-0300"), ("starter-32", "mgmt-0001")]
)
def test_every_address_leaves_by_its_own_port(example: str, host: str) -> None:
    plan = planned(example)
    expected = ports_of(plan, host)
    found = netplan(example, host)
    assert set(found) == set(expected)
    tables = set()
    for interface, row in expected.items():
        port = found[interface]
        assert port["addresses"] == [f"{row['ipv4']}/31", f"{row['ipv6']}/127"]
        rules = {rule["from"]: rule["table"] for rule in port["routing-policy"]}
        assert set(rules) == {f"{row['ipv4']}/32", f"{row['ipv6']}/128"}
        table = rules[f"{row['ipv4']}/32"]
        assert set(rules.values()) == {table}
        tables.add(table)
        own = {route["to"]: route["via"] for route in port["routes"] if route.get("table") == table}
        assert own == {"0.0.0.0/0": row["gateway_ipv4"], "::/0": row["gateway_ipv6"]}
        main = {route["to"]: route["via"] for route in port["routes"] if "table" not in route}
        assert main[row["subnet_ipv4"]] == row["gateway_ipv4"]
        assert main[row["subnet_ipv6"]] == row["gateway_ipv6"]
        assert ("0.0.0.0/0" in main) == ("::/0" in main) == (row["network"] == "frontend")
    assert len(tables) == len(expected)


def test_no_two_routes_of_the_main_table_are_alike() -> None:
    for host in ("gpu-0000", "stor-0000", "mgmt-0000"):
        routes = [route for port in netplan("starter-32", host).values() for route in port["routes"]]
        keys = [(route["to"], route.get("metric"), route.get("table")) for route in routes]
        assert len(set(keys)) == len(keys)


def test_a_host_that_lacks_rails_reaches_them_by_those_it_has() -> None:
    """A service with one NIC has a route to all rails of the network; a host with all of them has none such."""
    hosts = [
        {"name": "gpu", "model": "hgx-h100", "count": 62},
        {"name": "svc", "model": "ufm-appliance", "count": 2, "role": "service"},
    ]
    asked = {"technology": "roce", "segment_hosts": 32, "switches": {"leaf": ["sn5600"], "spine": ["sn5600"]}}
    intent, catalogue = intent_from({"name": "lab", "hosts": hosts, "networks": {"compute": asked}}), load_catalogue()
    design = size(intent, catalogue)
    plan = Plan(intent, catalogue, design, build(design, intent, catalogue))
    every = ipaddress.ip_network("10.0.0.0/11")
    rails, seen = 8, set()
    for path, data in configs(plan):
        if path.endswith("netplan.yaml"):
            ports = yaml.safe_load(data)["network"]["ethernets"].values()
            compute = [port for port in ports if ipaddress.ip_interface(port["addresses"][0]).ip in every]
            wide = [route for port in compute for route in port["routes"] if route["to"] == str(every)]
            assert bool(wide) == (0 < len(compute) < rails)
            seen.add(bool(wide))
    assert seen == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_gives_yaml(name: str) -> None:
    for path, data in configs(plan_of(name)):
        assert data.decode().endswith("\n")
        if path.endswith(".yaml"):
            yaml.safe_load(data)


def test_macs_of_an_inventory_name_the_interfaces() -> None:
    plan = planned("starter-32")
    known = Inventory(mac={("stor-0001", "storage-0"): "02:00:5e:00:00:01"})
    for path, data in configs(plan, known):
        if path.endswith("netplan.yaml"):
            ports = yaml.safe_load(data)["network"]["ethernets"]
            named = {name: port["match"] for name, port in ports.items() if "match" in port}
            mine = "stor-0001" in path
            assert named == ({"storage-0": {"macaddress": "02:00:5e:00:00:01"}} if mine else {})


def test_name_servers_are_told_once() -> None:
    plan = planned("starter-32")
    services = Services.model_validate({"dns": ("192.0.2.53", "ns.example.org", "2001:db8::53")})
    plan = replace(plan, intent=plan.intent.model_copy(update={"services": services}))
    found = yaml.safe_load(dict(samples(plan))["hosts/gpu-0000/netplan.yaml"])["network"]["ethernets"]
    told = {name: port["nameservers"] for name, port in found.items() if "nameservers" in port}
    assert told == {"inbandp0": {"addresses": ["192.0.2.53", "2001:db8::53"]}}


def test_a_name_that_no_interface_can_have_is_refused() -> None:
    plan = planned("starter-32")
    ports = plan.fabric.ports
    bad = ports.with_columns(name=ports["name"].str.replace("cx7-0", "rail 0; reboot"))
    with pytest.raises(InputError, match=r'"rail 0; reboot" is no name for an interface'):
        list(configs(replace(plan, fabric=replace(plan.fabric, ports=bad))))


# ----------------------------------------------------------------------------------------------------------------- NCCL


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_nccl_uses_the_rails_and_the_class_of_the_switches() -> None:
    found = settings_of(files("starter-32")["hosts/gpu-0000/nccl.conf"])
    assert found["NCCL_IB_HCA"] == "=" + ",".join(f"cx7-{n}:1" for n in range(8))
    assert found["NCCL_IB_TC"] == "104"
    assert found["NCCL_IB_GID_INDEX"] == "3"
    assert found["NCCL_SOCKET_IFNAME"] == "=inbandp0,inbandp1"
    assert found["NCCL_CROSS_NIC"] == "0"
    assert "hosts/stor-0000/nccl.conf" not in files("starter-32")


def test_nccl_on_infiniband_has_no_traffic_class_and_the_host_no_addresses() -> None:
    found = settings_of(files("superpod-h100-1su")["hosts/dgx-0000/nccl.conf"])
    assert found["NCCL_IB_HCA"].startswith("=mlx5_0:1,mlx5_3:1")
    assert found["NCCL_IB_ADAPTIVE_ROUTING"] == "1"
    assert not {"NCCL_IB_TC", "NCCL_IB_GID_INDEX"} & set(found)
    assert not [path for path in files("superpod-h100-1su") if "netplan" in path or "qos" in path]


def test_nccl_merges_the_ports_of_one_nic() -> None:
    assert settings_of(files("hpn7-pod")["hosts/gpu-0000/nccl.conf"])["NCCL_NET_MERGE_LEVEL"] == "PORT"


def test_nccl_says_what_it_does_not_know() -> None:
    text = conf(Nccl("infiniband", (), (), crossing=True, tos=None, ports_per_nic=1))
    assert "NCCL_IB_HCA" not in settings_of(text)
    assert "does not name the RDMA devices" in text
    assert settings_of(text)["NCCL_CROSS_NIC"] == "1"


# ------------------------------------------------------------------------------------------------------------ all hosts


def test_every_host_has_its_files_in_order() -> None:
    plan = planned("starter-32")
    paths = list(everything("starter-32"))
    hosts = [name for name in plan.fabric.hosts["name"] if not name.startswith("pdu")]
    assert list(dict.fromkeys(path.split("/")[1] for path in paths)) == hosts
    assert dict(configs(plan)) == everything("starter-32")


@pytest.mark.slow
def test_2184_hosts_are_quick() -> None:
    plan = planned("hpn7-pod")
    addresses(plan)
    begin = process_time()
    found = sum(1 for path, _ in configs(plan) if path.endswith("lldpd.conf"))
    assert process_time() - begin < 4  # 1.5 s on an idle core; the machine that runs tests may be slower
    assert found == plan.fabric.hosts.filter(plan.fabric.hosts["role"] != "pdu").height
