"""Quality of service: the published tables, and the same numbers at both ends of a link."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
import yaml
from planned import planned
from small_plans import plan_of

from fabric.catalogue import load_catalogue
from fabric.catalogue.models import Asic, Switch
from fabric.checking.qos import Maps, differences, host_maps, switch_maps
from fabric.exports import sonic
from fabric.exports.host import samples
from fabric.exports.host_qos import class_list, pfc_list, share_list, tsa_list
from fabric.intent.qos import Qos
from fabric.qos import (
    NVIDIA_DEFAULT_KB,
    QosPlan,
    Queue,
    ecn_probability_percent,
    host_headroom,
    is_spectrum,
    port_headroom,
    qos,
)


def rules(**overrides: Any) -> QosPlan:
    return QosPlan("compute", Qos.model_validate(overrides))


def switch(name: str) -> Switch:
    return load_catalogue().switches[name]


def with_asic(**asic: Any) -> Switch:
    return switch("sn5600").model_copy(update={"asic": Asic.model_validate(asic)})


# ---------------------------------------------------------------------------------------------------- published tables


@pytest.mark.parametrize(
    ("speed", "length", "expected"), [(400, 30, 171_388), (800, 100, 438_668)], ids=["400G 30 m", "800G 100 m"]
)
def test_mlx5e_reproduces_the_table(speed: int, length: float, expected: int) -> None:
    assert host_headroom(speed, length, 9216) == expected


def test_mlx5e_reckons_slow_ports_as_40() -> None:
    assert host_headroom(25, 5, 9216) == host_headroom(40, 5, 9216) == round((301 + 2.16 * 5) * 40 + 2.72 * 9216)


QUANTA = {800: 905, 400: 905, 200: 453, 100: 394, 50: 147, 25: 80}


@pytest.mark.parametrize("speed", QUANTA)
@pytest.mark.parametrize("length", [5, 40, 300])
def test_sonic_follows_its_formula_step_by_step(speed: int, length: int) -> None:
    box = with_asic(name="spectrum-9", cell_bytes=192, mac_phy_delay_kib=0.8, pipeline_latency_kib=18.5)
    peer_response = QUANTA[speed] * 64
    on_cable = 2 * length * speed * 1e9 / (8 * 1.98e8)
    propagation = 9216 + on_cable + 0 + 0.8 * 1024 + peer_response
    xoff = ceil((1024 + propagation * 192 / 64) / 1024) * 1024
    found = rules().headroom(speed, length, box)
    assert (found.xoff, found.xon, found.formula, found.estimate) == (xoff, 19 * 1024, "sonic", False)
    assert found.size == xoff + 19 * 1024


def test_a_gearbox_and_small_cells_count() -> None:
    cells = with_asic(name="spectrum-9", cell_bytes=96, mac_phy_delay_kib=0.8)
    plain = rules().headroom(100, 5, cells).xoff
    geared = rules().headroom(
        100, 5, with_asic(name="spectrum-9", cell_bytes=96, mac_phy_delay_kib=0.8, gearbox_delay_ns=500)
    )
    propagation = 9216 + 2 * 5 * 1e11 / (8 * 1.98e8) + 0.8 * 1024 + 394 * 64
    occupancy = 2 * 96 / 97
    assert plain == ceil((1024 + propagation * occupancy) / 1024) * 1024
    assert geared.xoff == ceil((1024 + (propagation + 2 * 500 * 100 / 8) * occupancy) / 1024) * 1024 > plain


@pytest.mark.parametrize("name", ["celestica-ds5000", "box-51.2t", "arista-7060x6-64pe"])
def test_other_families_use_mlx5e_and_say_so(name: str) -> None:
    found = rules().headroom(400, 30, switch(name))
    assert not is_spectrum(switch(name))
    assert (found.xoff, found.formula, found.estimate) == (171_388, "mlx5e", True)


def test_spectrum_without_the_speed_is_an_estimate() -> None:
    assert rules().headroom(1600, 30, switch("sn5600")).estimate


@pytest.mark.parametrize(
    ("speed", "row", "published"),
    [
        (100, (400, 1600), True), (200, (600, 2400), True), (400, (800, 3200), True),
        (800, (1600, 6400), False), (1600, (3200, 12800), False), (25, (50, 200), False),
    ],
)  # fmt: skip
def test_ecn_rows_are_published_or_scaled_by_speed(speed: int, row: tuple[int, int], published: bool) -> None:
    curve = rules().ecn(speed)
    assert ((curve.kmin_kb, curve.kmax_kb), curve.published) == (row, published)
    assert curve.pmax == Fraction(1, 5)
    assert ecn_probability_percent(curve) == 20


def test_a_row_given_is_published() -> None:
    own = {"speed_gbps": 800, "kmin_kb": 150, "kmax_kb": 1500, "pmax": Fraction(1, 1000)}
    curve = rules(ecn=(own,)).ecn(800)
    assert curve.published
    assert (curve.kmin_kb, curve.kmax_kb) == NVIDIA_DEFAULT_KB
    assert ecn_probability_percent(curve) == 1


def test_classes_are_those_of_the_reference() -> None:
    found = rules()
    special = {26: 3, 48: 6}
    assert found.dscp_to_class == tuple(special.get(dscp, 0) for dscp in range(64))
    assert found.pfc_priorities == (3,)
    assert found.class_to_group == (0, 0, 0, 3, 0, 0, 0, 0)
    assert found.queues == (Queue(0, "weighted", 50), Queue(3, "weighted", 50), Queue(6, "strict", 0))
    assert (found.roce_tos, found.watchdog.detection_ms, found.watchdog.restoration_ms) == (104, 200, 200)


@pytest.mark.parametrize("roce", range(8))
@pytest.mark.parametrize("cnp", range(8))
def test_shares_add_up_whatever_the_classes(roce: int, cnp: int) -> None:
    if roce == cnp:
        return
    found = rules(roce={"dscp": 24, "traffic_class": roce}, cnp={"dscp": 48, "traffic_class": cnp}, lossless_percent=70)
    weighted = {q.traffic_class: q.percent for q in found.queues if q.service == "weighted"}
    assert len({q.traffic_class for q in found.queues}) == len(found.queues)
    assert roce in weighted
    assert cnp not in weighted
    assert sum(weighted.values()) == 100


# --------------------------------------------------------------------------------------------------------------- plans


def test_only_roce_networks_are_lossless() -> None:
    plan = planned("starter-32")
    assert qos(plan, "compute") == QosPlan("compute", Qos())
    for network in ("frontend", "oob"):
        assert qos(plan, network) is None
        assert port_headroom(plan, network).is_empty()
    assert qos(planned("superpod-h100-1su"), "compute") is None


def test_headroom_follows_the_cable_of_each_port() -> None:
    plan = planned("starter-32")
    found = port_headroom(plan, "compute")
    ends = plan.fabric.links.filter(network="compute")
    lengths = plan.fabric.cables["length_m"]
    expected: dict[int, float] = {}
    for a, b, cable in ends.select("a_port", "b_port", "cable").iter_rows():
        expected |= {a: lengths[cable], b: lengths[cable]}
    assert found.height == ends.height + ends.filter(tier="leaf-spine").height
    for port, device, speed, length, xoff in found.select(
        "port", "device", "speed_gbps", "length_m", "xoff"
    ).iter_rows():
        assert plan.fabric.ports["device"][port] == device
        assert length == expected[port]
        assert xoff == rules().headroom(speed, length, switch("sn5600")).xoff


def test_uplinks_that_leave_a_network_are_not_lossless() -> None:
    plan = planned("hpn7-pod")
    leaving = plan.fabric.links.filter(tier="uplink")
    assert leaving.height
    assert not set(port_headroom(plan, "compute")["port"]) & set(leaving["a_port"])


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod", "ascend-a3", "superpod-h100-1su"])
def test_hosts_and_switches_agree(example: str) -> None:
    assert list(differences(planned(example))) == []


def read_back(own: QosPlan) -> Maps:
    """Maps of the first RoCE port of a host whose plan has these rules."""
    plan = plan_of("two-tier")
    compute = plan.intent.networks["compute"].model_copy(update={"qos": own.settings})
    intent = plan.intent.model_copy(update={"networks": {**plan.intent.networks, "compute": compute}})
    files = {path: data.decode() for path, data in samples(replace(plan, intent=intent))}
    path = next(path for path in files if path.endswith("roce-qos.sh"))
    netplan = yaml.safe_load(files[path.replace("roce-qos.sh", "netplan.yaml")])
    return next(iter(host_maps(files[path], netplan).values()))


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"roce": {"dscp": 24, "traffic_class": 4}, "lossless_percent": 80, "mtu": 4200},
        {"cnp": {"dscp": 50, "traffic_class": 5}},
    ],
)
def test_what_the_host_is_given_reads_back_as_the_rules(overrides: dict[str, Any]) -> None:
    own = rules(**overrides)
    assert read_back(own) == switch_maps(own)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ("dscp-prio 0:3", "dscp_to_class"), ("prio-pfc 0:on", "pfc_priorities"), ("tc-bw 0:40", "shares"),
        ('cnp_dscp" 47', "cnp_dscp"), ('default_roce_tos" 96', "roce_dscp"),
    ],
)  # fmt: skip
def test_a_difference_is_seen(wrong: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value changed in the script shows up under its name."""
    from fabric.exports import host

    plan = planned("starter-32")
    original = dict(samples(plan))
    right = wrong.rsplit(" ", 1)[0]

    def damaged(_: Any) -> Any:
        for path, data in original.items():
            text = data.decode()
            at = text.find(right)
            end = text.find(" ", at + len(right) + 1)
            stop = min(e for e in (end, text.find("\n", at)) if e >= 0)
            yield path, (text if at < 0 else text[:at] + wrong + text[stop:]).encode()

    monkeypatch.setattr(host, "samples", damaged)
    found = list(differences(plan))
    assert found
    assert all(list(evidence) == [field] for _, evidence in found)


def test_both_tools_are_told_the_same() -> None:
    own = rules(roce={"dscp": 24, "traffic_class": 4}, lossless_percent=60)
    assert pfc_list(own) == "0,0,0,0,1,0,0,0"
    assert class_list(own) == "0,0,0,0,4,0,6,0"
    assert tsa_list(own) == "ets,strict,strict,strict,ets,strict,strict,strict"
    assert share_list(own) == "40,0,0,0,60,0,0,0"


def test_sonic_switches_say_what_hosts_say() -> None:
    """The maps of a generated config_db.json, read back, are those read back from the hosts' scripts."""
    plan = planned("starter-32")
    paths = ("configs/leaf-compute-s000-l0-p0/config_db.json", "configs/leaf-storage-s000-l0-p0/config_db.json")
    found = {path: json.loads(data) for path, data in sonic.configs(plan) if path in paths}
    files = {path: data.decode() for path, data in samples(plan)}
    netplan = yaml.safe_load(files["hosts/gpu-0000/netplan.yaml"])
    hosts = host_maps(files["hosts/gpu-0000/roce-qos.sh"], netplan)
    for path, interface in zip(paths, ("cx7-0", "storage-0"), strict=True):
        switch_says, host = found[path], hosts[interface]
        (dscps,) = switch_says["DSCP_TO_TC_MAP"].values()
        assert tuple(int(dscps[str(dscp)]) for dscp in range(64)) == host.dscp_to_class
        lossless = {port["pfc_enable"] for port in switch_says["PORT_QOS_MAP"].values() if "pfc_enable" in port}
        assert lossless == {",".join(map(str, host.pfc_priorities))}
        weights = {
            int(name.rsplit(".", 1)[1]): int(entry["weight"])
            for name, entry in switch_says["SCHEDULER"].items() if entry["type"] == "DWRR"
        }  # fmt: skip
        assert weights == host.shares
        used = {port for port in switch_says["PORT_QOS_MAP"] if port != "global"}
        assert {int(switch_says["PORT"][port]["mtu"]) for port in used} == {host.mtu}
