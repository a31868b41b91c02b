"""``config_db.json`` of every SONiC switch, judged by SONiC's own YANG models and held against the plan."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from functools import cache
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cabled import plan, plan_of
from conftest import need, shared_data
from yang import Models, UnknownError

from fabric.addressing import addresses
from fabric.ecmp_hash import hash_of
from fabric.errors import InputError
from fabric.exports.sonic import configs
from fabric.exports.sonic.facts import facts
from fabric.exports.sonic.kinds import with_kinds
from fabric.exports.sonic.ports import first_lanes
from fabric.exports.sonic.tables import hwsku_name, platform_name
from fabric.fill import named, placeholders
from fabric.plan import Plan
from fabric.qos import port_headroom, qos

Config = dict[str, dict[str, Any]]
HERE = Path(__file__).parent
GOLDEN = HERE / "golden/sonic"
STARTER = (HERE.parent / "examples/starter-32.yaml").read_text(encoding="utf-8")
SMALL = (GOLDEN / "small.yaml").read_text(encoding="utf-8")
UNNUMBERED = "addressing: {point_to_point: unnumbered}\n"
TOMAHAWK = SMALL.replace("[sn5400]", "[celestica-ds5000]")
GENERIC = SMALL.replace("[sn5400]", "[box-51.2t]")
NO_OOB = SMALL[: SMALL.index("  oob:")] + SMALL[SMALL.index("services:") :]
OTHER_CLASSES = SMALL.replace(
    "    min_spines: 2",
    "    qos: {roce: {dscp: 24, traffic_class: 0}, cnp: {dscp: 46, traffic_class: 7}, mtu: 4200}",
)
PLANS = {
    "starter-32": STARTER,
    "unnumbered": STARTER + UNNUMBERED,
    "ascend-a3": "ascend-a3",
    "small": SMALL,
    "tomahawk": TOMAHAWK,
    "generic": GENERIC,
    "without-oob": NO_OOB,
    "other-classes": OTHER_CLASSES,
}
LEAF = "leaf-compute-s000-l0-p0"


@cache
def made(name: str) -> dict[str, Config]:
    """The configurations of a plan by switch."""
    return dict(parsed(name))


def parsed(name: str, among: Collection[str] | None = None) -> Iterator[tuple[str, Config]]:
    """Switches and their configurations, one after the other; ``among``: only of these."""
    for path, data in configs(planned(name)):
        switch = path.split("/")[1]
        if among is None or switch in among:
            yield switch, json.loads(data)


def planned(name: str) -> Plan:
    return plan(PLANS.get(name, name))


@pytest.fixture(scope="module")
def models() -> Models:
    return loaded(str(shared_data("sonic-yang")), need("yanglint"))


@cache
def loaded(folder: str, program: str) -> Models:
    return Models.load(Path(folder), program)


def sample(part: str) -> Config:
    text = shared_data("sonic-yang/sample_config_db.json").read_text(encoding="utf-8")
    found: Config = json.loads(text)[part]
    return found


# --- The judge ---


def test_the_judge_takes_sonics_own_sample(models: Models, tmp_path: Path) -> None:
    config = sample("SAMPLE_CONFIG_DB_JSON")
    assert len(config) > 150
    assert models.complaints(config, tmp_path) == []
    assert models.complaints(sample("SAMPLE_CONFIG_DB_SPECIAL_CASE"), tmp_path) == []


def test_the_judge_knows_every_table_of_the_sample_by_the_models_alone(models: Models) -> None:
    assert set(sample("SAMPLE_CONFIG_DB_JSON")) <= set(models.tables)


def test_a_table_without_a_model_fails(models: Models, tmp_path: Path) -> None:
    config = sample("SAMPLE_CONFIG_DB_UNKNOWN")
    assert models.complaints(config, tmp_path) == ["UNKNOWN_TABLE: no model has this table"]
    with pytest.raises(UnknownError, match="no model has the field colour"):
        models.xml({"PORT": {"Ethernet0": {"colour": "red"}}})
    with pytest.raises(UnknownError, match="no list of PORT has 2 keys"):
        models.xml({"PORT": {"Ethernet0|1": {}}})


# --- Every configuration passes ---


@pytest.mark.parametrize("name", PLANS)
def test_every_configuration_is_valid(models: Models, tmp_path: Path, name: str) -> None:
    assert made(name)
    assert wrong(models, made(name), tmp_path) == {}


@pytest.mark.parametrize("name", ["hpn7-pod", pytest.param("roce-131072", marks=pytest.mark.slow)])
def test_each_kind_of_a_large_plan_is_valid(models: Models, tmp_path: Path, name: str) -> None:
    found = facts(planned(name))
    switches = with_kinds(found.switches, found.ports)
    kinds = switches.unique("kind", keep="first", maintain_order=True)["name"].to_list()
    assert 3 <= len(kinds) < 40
    assert wrong(models, dict(parsed(name, kinds)), tmp_path) == {}


@pytest.mark.slow
def test_every_configuration_of_a_large_pod_is_valid(models: Models, tmp_path: Path) -> None:
    everything = list(made("hpn7-pod").items())
    assert len(everything) > 400
    for start in range(0, len(everything), 50):
        assert wrong(models, dict(everything[start : start + 50]), tmp_path) == {}


def wrong(models: Models, found: dict[str, Config], folder: Path) -> dict[str, list[str]]:
    """Complaints by switch, of those that have any."""
    complaints = models.complaints_of(list(found.values()), folder)
    return {name: told for name, told in zip(found, complaints, strict=True) if told}


# --- Mistakes are caught ---


def broken(table: str, key: str, **fields: Any) -> Callable[[Config], None]:
    """Other values of an entry; None takes a field away."""

    def change(config: Config) -> None:
        entry = config[table].setdefault(key, {})
        for field, value in fields.items():
            entry[field] = value
            if value is None:
                del entry[field]

    return change


def without(table: str, key: str) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        del config[table][key]

    return change


MISTAKES: dict[str, tuple[Callable[[Config], None], str]] = {
    "speed in Tb/s": (broken("PORT", "Ethernet0", speed="4000000"), "speed"),
    "speed in words": (broken("PORT", "Ethernet0", speed="400G"), "speed"),
    "no speed": (broken("PORT", "Ethernet0", speed=None), "speed"),
    "no lanes": (broken("PORT", "Ethernet0", lanes=None), "lanes"),
    "empty lanes": (broken("PORT", "Ethernet0", lanes=""), "lanes"),
    "unknown fec": (broken("PORT", "Ethernet0", fec="rs544"), "fec"),
    "jumbo beyond the chip": (broken("PORT", "Ethernet0", mtu="9300"), "mtu"),
    "queue map that is missing": (without("TC_TO_QUEUE_MAP", "AZURE"), "tc_to_queue_map"),
    "DSCP map that is missing": (without("DSCP_TO_TC_MAP", "AZURE"), "dscp_to_tc_map"),
    "scheduler that is missing": (without("SCHEDULER", "scheduler.3"), "scheduler"),
    "marking curve that is missing": (without("WRED_PROFILE", "ecn-400g"), "wred_profile"),
    "buffer profile that is missing": (without("BUFFER_PROFILE", "egress_lossless_profile"), "profile"),
    "buffer pool that is missing": (without("BUFFER_POOL", "ingress_lossless_pool"), "pool"),
    "dangling headroom": (broken("BUFFER_PG", "Ethernet0|3", profile="headroom_1_1m_profile"), "profile"),
    "no such priority group": (broken("BUFFER_PG", "Ethernet0|9", profile="ingress_lossy_profile"), "pg_num"),
    "watchdog of an unknown port": (broken("PFC_WD", "Ethernet9999", action="drop"), "ifname"),
    "watchdog faster than its poll": (broken("PFC_WD", "Ethernet0", detection_time="100"), "POLL_INTERVAL"),
    "pause of priority 8": (broken("PORT_QOS_MAP", "Ethernet0", pfc_enable="8"), "pfc_enable"),
    "marking upside down": (broken("WRED_PROFILE", "ecn-400g", green_max_threshold="1"), "threshold"),
    "DSCP 64": (broken("DSCP_TO_TC_MAP", "AZURE", **{"64": "0"}), "DSCP"),
    "address without its interface": (without("INTERFACE", "Ethernet0"), "INTERFACE"),
    "address of no address": (broken("INTERFACE", "Ethernet0|10.0.0.300/31"), "ip-prefix"),
    "interface without its port": (without("PORT", "Ethernet0"), "Ethernet0"),
    "loopback without itself": (without("LOOPBACK_INTERFACE", "Loopback0"), "Loopback0"),
    "gateway of the other family": (broken("MGMT_INTERFACE", "eth0|10.9.0.2/24", gwaddr="fd00::1"), "Must"),
    "length without a unit": (broken("CABLE_LENGTH", "AZURE", Ethernet0="30"), "cable length"),
    "unknown routing mode": (broken("DEVICE_METADATA", "localhost", docker_routing_config_mode="joined"), "pattern"),
    "hash nobody has": (broken("SWITCH_HASH", "GLOBAL", ecmp_hash_algorithm="CRC64"), "ecmp_hash_algorithm"),
    "hash of the queue pair": (broken("SWITCH_HASH", "GLOBAL", ecmp_hash=["RDMA_QP"]), "ecmp_hash"),
    "sample rate of 1": (broken("SFLOW_SESSION", "Ethernet0", sample_rate="1"), "sample"),
    "third collector": (broken("SFLOW_COLLECTOR", "collector2", collector_ip="10.0.0.9"), "SFLOW_COLLECTOR"),
    "short pass phrase": (broken("SNMP_USER", "telemetry-1", SNMP_USER_AUTH_PASSWORD="short"), "Must"),
    "placeholder with a brace": (broken("SNMP_USER", "telemetry-1", SNMP_USER_AUTH_PASSWORD="${A:B}"), "password"),
    "management VRF that is off": (without("MGMT_VRF_CONFIG", "vrf_global"), "VRF"),
}


@pytest.fixture(scope="module")
def told(models: Models, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the judge says of each mistake."""
    found = []
    for change, _ in MISTAKES.values():
        config = copy.deepcopy(made("small")[LEAF])
        change(config)
        assert config != made("small")[LEAF]
        found.append(config)
    return dict(zip(MISTAKES, models.complaints_of(found, tmp_path_factory.mktemp("mistakes")), strict=True))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_caught(told: dict[str, list[str]], mistake: str) -> None:
    assert told[mistake]
    assert MISTAKES[mistake][1].lower() in " ".join(told[mistake]).lower()


def test_vlan_mistakes_are_caught(models: Models, tmp_path: Path) -> None:
    config = copy.deepcopy(made("small")["leaf-oob-s000-l0-p0"])
    member = next(iter(config["VLAN_MEMBER"])).split("|")[1]
    config["INTERFACE"][member] = {}
    assert any("router interface" in told for told in models.complaints(config, tmp_path))


# --- What the configurations say is what was planned ---


@pytest.mark.parametrize("name", PLANS)
def test_ports_are_those_of_the_plan(name: str) -> None:
    ports = planned(name).fabric.ports.filter(pl.col("use") != "mgmt")
    linked = set(facts(planned(name)).ports.filter("linked").select("device", "name").iter_rows())
    for device, switch, config in each(name):
        own = config["PORT"]
        rows = list(ports.filter(device=device).iter_rows(named=True))
        for row in rows:
            port = own[row["name"]]
            assert port["alias"] == row["alias"]
            assert port["speed"] == str(row["speed_gbps"] * 1000)
            assert port["index"] == str(row["cage"])
            assert len(port["lanes"].split(",")) == row["lanes"]
            assert (port["admin_status"] == "up") == ((device, row["name"]) in linked)
        assert all(own[extra]["admin_status"] == "down" for extra in set(own) - {row["name"] for row in rows})
        assert len({port["alias"] for port in own.values()}) == len(own), switch


@pytest.mark.parametrize("name", PLANS)
def test_a_lane_has_one_port_and_a_cage_one_breakout(name: str) -> None:
    catalogue = planned(name).catalogue.switches
    for switch, config in made(name).items():
        lanes = [lane for port in config["PORT"].values() for lane in port["lanes"].split(",")]
        assert len(lanes) == len(set(lanes)), switch
        assert set(config["BREAKOUT_CFG"]) <= set(config["PORT"])
        assert len(config["BREAKOUT_CFG"]) == len({port["index"] for port in config["PORT"].values()})
        model = catalogue[model_of(name, switch)]
        if model.max_logical_ports is not None:
            assert len(config["PORT"]) <= model.max_logical_ports


def test_lanes_and_breakouts_are_the_platforms_own() -> None:
    switches = planned("starter-32").catalogue.switches | plan(TOMAHAWK).catalogue.switches
    assert first_lanes(switches["sn5600"])[:3] == (0, 8, 16)
    assert first_lanes(switches["sn4600c"])[:3] == (0, 8, 16)
    assert first_lanes(switches["sn2201"])[:2] == (0, 4)
    assert first_lanes(switches["celestica-ds5000"])[:6] == (1, 17, 25, 9, 33, 49)
    config = made("starter-32")[LEAF]
    assert config["BREAKOUT_CFG"]["Ethernet0"] == {"brkout_mode": "2x400G[200G,100G,50G,40G,25G,10G]"}
    assert config["PORT"]["Ethernet4"]["lanes"] == "4,5,6,7"
    assert config["PORT"]["Ethernet4"]["subport"] == "2"
    oob = made("starter-32")["leaf-oob-s000-l0-p0"]
    assert oob["BREAKOUT_CFG"]["Ethernet0"] == {"brkout_mode": "1x1000[100,10]"}
    assert oob["PORT"]["Ethernet48"]["lanes"] == "192,193,194,195"


@pytest.mark.parametrize("name", ["starter-32", "ascend-a3", "small"])
def test_both_ends_of_a_link_have_one_subnet(name: str) -> None:
    found = planned(name)
    names, ports = found.fabric.device_names(), found.fabric.ports["name"]
    links = found.fabric.links.join(addresses(found).links.select(id="link"), on="id", how="semi")
    assert links.height
    for a, a_port, b, b_port in links.select("a_device", "a_port", "b_device", "b_port").iter_rows():
        near, far = addressed(name, names[a], ports[a_port]), addressed(name, names[b], ports[b_port])
        assert len(near) == len(far) == 2
        assert {one.network for one in near} == {one.network for one in far}
        assert not set(near) & set(far)


def test_host_ports_are_the_gateways_of_their_hosts() -> None:
    found = planned("starter-32")
    names, ports = found.fabric.device_names(), found.fabric.ports["name"]
    for row in addresses(found).host_ports.iter_rows(named=True):
        own = {str(one.ip) for one in addressed("starter-32", names[row["leaf"]], ports[row["leaf_port"]])}
        assert own == {row["gateway_ipv4"], row["gateway_ipv6"]}


def test_unnumbered_links_have_no_address_but_link_local() -> None:
    spine = made("unnumbered")["spine-compute-d00-000"]
    assert spine["INTERFACE"]
    assert all(entry == {"ipv6_use_link_local_only": "enable"} for entry in spine["INTERFACE"].values())
    leaf = made("unnumbered")[LEAF]["INTERFACE"]
    hosts = {key.split("|")[0] for key in leaf if "|" in key}
    assert {key for key, entry in leaf.items() if entry} == set(leaf) - hosts - {k for k in leaf if "|" in k}


def test_what_leaves_the_cluster_is_unnumbered() -> None:
    leaf = made("starter-32")["leaf-frontend-s000-l0-p0"]
    outside = [name for name, port in leaf["PORT"].items() if port["description"] == "external"]
    assert len(outside) == 4
    assert all(leaf["INTERFACE"][name] == {"ipv6_use_link_local_only": "enable"} for name in outside)


@pytest.mark.parametrize("name", PLANS)
def test_pause_is_where_roce_is_and_nowhere_else(name: str) -> None:
    found = planned(name)
    for device, switch, config in each(name):
        network = str(found.fabric.switches.row(device - found.fabric.hosts.height, named=True)["network"])
        up = {port for port, fields in config["PORT"].items() if fields["admin_status"] == "up"}
        paused = {port for port, fields in config.get("PORT_QOS_MAP", {}).items() if fields.get("pfc_enable")}
        if found.design.networks[network].technology != "roce":
            assert not paused, switch
            assert "PFC_WD" not in config
            assert "BUFFER_PG" not in config
            continue
        assert paused == up
        assert set(config["PFC_WD"]) == paused | {"GLOBAL"}
        assert {key.split("|")[0] for key in config["BUFFER_PG"]} == paused
        rules = qos(found, network)
        assert rules is not None
        lossless = rules.roce_class
        pgs = {key for key, fields in config["BUFFER_PG"].items() if fields["profile"] != "ingress_lossy_profile"}
        assert pgs == {f"{port}|{lossless}" for port in paused}
        assert {f"{port}|{queue.traffic_class}" for port in paused for queue in rules.queues} == set(config["QUEUE"])
        assert {key for key, fields in config["QUEUE"].items() if "wred_profile" in fields} == pgs


@pytest.mark.parametrize("name", ["starter-32", "ascend-a3", "tomahawk", "generic"])
def test_headroom_is_that_of_the_planned_cable(name: str) -> None:
    found = planned(name)
    names, ports = found.fabric.device_names(), found.fabric.ports["name"]
    for port, device, speed, length, xoff in port_headroom(found, "compute")[
        :, ["port", "device", "speed_gbps", "length_m", "xoff"]
    ].iter_rows():
        config = made(name)[names[device]]
        profile = config["BUFFER_PROFILE"][config["BUFFER_PG"][f"{ports[port]}|3"]["profile"]]
        assert profile["xoff"] == str(xoff)
        assert config["CABLE_LENGTH"]["AZURE"][ports[port]] == f"{length:.0f}m"
        assert str(speed * 1000) in config["BUFFER_PG"][f"{ports[port]}|3"]["profile"]


def test_headroom_is_taken_out_of_the_pool() -> None:
    for config in made("tomahawk").values():
        if "BUFFER_PG" in config:
            assert config["DEVICE_METADATA"]["localhost"]["buffer_model"] == "traditional"
            used = [pg["profile"] for key, pg in config["BUFFER_PG"].items() if key.endswith("|3")]
            pool = config["BUFFER_POOL"]["ingress_lossless_pool"]
            assert int(pool["xoff"]) == sum(int(config["BUFFER_PROFILE"][one]["xoff"]) for one in used)
            assert int(pool["size"]) + int(pool["xoff"]) == 165_660_324


@pytest.mark.parametrize("name", ["starter-32", "ascend-a3"])
def test_classes_and_marking_are_those_that_hosts_are_given(name: str) -> None:
    rules = qos(planned(name), "compute")
    assert rules is not None
    for switch, config in made(name).items():
        if "-compute-" not in switch:
            continue
        assert config["DSCP_TO_TC_MAP"]["AZURE"] == {str(d): str(c) for d, c in enumerate(rules.dscp_to_class)}
        assert config["DSCP_TO_TC_MAP"]["AZURE"]["26"] == "3"
        assert config["DSCP_TO_TC_MAP"]["AZURE"]["48"] == "6"
        assert config["SCHEDULER"]["scheduler.6"] == {"type": "STRICT"}
        for port in config["PFC_WD"].keys() - {"GLOBAL"}:
            curve = config["WRED_PROFILE"][config["QUEUE"][f"{port}|3"]["wred_profile"]]
            wanted = rules.ecn(int(config["PORT"][port]["speed"]) // 1000)
            assert int(curve["green_min_threshold"]) == wanted.kmin_kb * 1000
            assert int(curve["green_max_threshold"]) == wanted.kmax_kb * 1000
            assert Fraction(curve["green_drop_probability"]) == wanted.pmax * 100


def test_estimates_are_called_so() -> None:
    curves = made("starter-32")["spine-compute-d00-000"]["WRED_PROFILE"]
    assert list(curves) == ["ecn-800g-estimate"]


@pytest.mark.parametrize("name", PLANS)
def test_each_tier_hashes_as_the_check_of_polarisation_has_it(name: str) -> None:
    found = planned(name)
    hashes: dict[str, set[str]] = {}
    for switch, config in made(name).items():
        row = found.fabric.switches.filter(name=switch).row(0, named=True)
        wanted = hash_of(found, row["tier"], "sonic", row["model"])
        assert wanted is not None
        own = config["SWITCH_HASH"]["GLOBAL"]
        assert own["ecmp_hash_algorithm"] == wanted.algorithm
        assert len(own["ecmp_hash"]) == len(wanted.fields)
        hashes.setdefault(row["tier"], set()).add(wanted.algorithm)
    assert not hashes["leaf"] & hashes.get("spine", set())


def test_an_oob_leaf_is_one_vlan_with_its_gateway() -> None:
    found = planned("starter-32")
    config = made("starter-32")["leaf-oob-s000-l0-p0"]
    up = {name for name, port in config["PORT"].items() if port["admin_status"] == "up"}
    members = {key.split("|")[1] for key in config["VLAN_MEMBER"]}
    assert members | {key for key in config["INTERFACE"] if "|" not in key} == up
    device = found.fabric.device_names().to_list().index("leaf-oob-s000-l0-p0")
    gateway = addresses(found).switches.filter(device=device).row(0, named=True)
    assert f"Vlan100|{gateway['mgmt_ipv4']}/{gateway['mgmt_prefix_ipv4']}" in config["VLAN_INTERFACE"]
    assert "MGMT_INTERFACE" not in config
    assert config["SFLOW"]["global"]["agent_id"] == "Vlan100"


def test_frr_is_left_to_its_own_file() -> None:
    for config in made("starter-32").values():
        metadata = config["DEVICE_METADATA"]["localhost"]
        assert metadata["docker_routing_config_mode"] == "split-unified"
        assert not [table for table in config if table.startswith("BGP")]


def test_services_are_asked_from_the_management_port() -> None:
    config = made("small")[LEAF]
    own = next(key for key in config["MGMT_INTERFACE"] if "." in key).split("|")[1].split("/")[0]
    assert config["SYSLOG_SERVER"]["10.128.0.2"] == {"severity": "notice", "source": own, "vrf": "mgmt"}
    assert "source" not in config["SYSLOG_SERVER"]["log.example.net"]
    assert config["NTP"]["global"]["src_intf"] == "eth0"
    assert set(config["NTP_SERVER"]) == {"10.128.0.2", "fd00:3::2", "ntp.example.net"}
    assert config["SFLOW_COLLECTOR"]["collector1"]["collector_port"] == "6344"
    assert config["SFLOW"]["global"]["admin_state"] == "up"
    assert made("starter-32")[LEAF]["SFLOW"]["global"]["admin_state"] == "down"
    assert f"{own}|161|mgmt" in config["SNMP_AGENT_ADDRESS_CONFIG"]


def test_without_a_management_network_nobody_is_locked_out() -> None:
    config = made("without-oob")[LEAF]
    assert "ACL_TABLE" not in config
    assert "MGMT_VRF_CONFIG" not in config
    assert config["NTP"]["global"]["src_intf"] == "Loopback0"


# --- Secrets, bytes, refusals ---


@pytest.mark.parametrize("name", ["small", "generic"])
def test_secrets_are_placeholders(name: str) -> None:
    found = planned(name)
    models = found.catalogue.switches.values()
    known = {*placeholders(found), *map(hwsku_name, models), *map(platform_name, models)}
    for path, data in configs(found):
        assert {"SNMP_TELEMETRY_1_AUTH", "SNMP_TELEMETRY_1_PRIV"} <= named(data) <= known, path
        assert b"SNMP_COMMUNITY" not in data


def test_a_box_that_nobody_named_is_asked_for() -> None:
    metadata = made("generic")[LEAF]["DEVICE_METADATA"]["localhost"]
    assert metadata["hwsku"] == "__RAILWRIGHT_HWSKU_BOX_51_2T__"
    assert metadata["platform"] == "__RAILWRIGHT_PLATFORM_BOX_51_2T__"


def test_the_golden_leaf() -> None:
    found = dict(configs(planned("small")))[f"configs/{LEAF}/config_db.json"]
    assert found.decode() == (GOLDEN / "config_db.json").read_text(encoding="utf-8")


def test_the_same_plan_gives_the_same_bytes() -> None:
    first, second = list(configs(planned("small"))), list(configs(plan_of(SMALL)))
    assert first == second
    assert [path for path, _ in first] == [f"configs/{name}/config_db.json" for name in sonic_names("small")]


def test_what_sonic_cannot_do_is_said_at_once() -> None:
    services = SMALL.index("services:")
    text = SMALL[:services].replace("    min_spines: 2", "    qos: {mtu: 16000, watchdog: {detection_ms: 50}}")
    text += (
        "services:\n  dns: [10.0.0.1, 10.0.0.2, 10.0.0.3, dns.example.net]\n"
        "  collectors: [flows.example.net]\n  snmp_users: [{name: abc}, {name: telemetry, privacy: aes256}]\n"
    )
    with pytest.raises(InputError) as caught:
        configs(plan(text))
    assert str(caught.value) == (GOLDEN / "refused.txt").read_text(encoding="utf-8").strip()


def test_cables_that_ask_for_more_headroom_than_there_is() -> None:
    lengths = pl.repeat(40_000.0, plan(SMALL).fabric.cables.height, dtype=pl.Float64, eager=True)
    with pytest.raises(InputError, match=r"networks\.compute: .* bytes of headroom .* sn5400 has 158,229,504"):
        configs(plan_of(SMALL, lengths))


def each(name: str) -> list[tuple[int, str, Config]]:
    """Device id, name and configuration of every SONiC switch."""
    ids = {switch: device for device, switch in planned(name).fabric.switches.select("id", "name").iter_rows()}
    return [(ids[switch], switch, config) for switch, config in made(name).items()]


def sonic_names(name: str) -> list[str]:
    return planned(name).fabric.switches["name"].to_list()


def model_of(name: str, switch: str) -> str:
    return str(planned(name).fabric.switches.filter(name=switch)["model"][0])


def addressed(name: str, switch: str, port: str) -> list[Any]:
    """Addresses of a port."""
    keys = made(name)[switch]["INTERFACE"]
    return [ip_interface(key.split("|")[1]) for key in keys if key.startswith(f"{port}|")]
