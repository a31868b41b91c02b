"""Secrets, settings of collecting, and targets from a plan: what is right is taken, all that is wrong is told."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from planned import planned

from collectors import registry
from collectors.running import all_targets
from collectors.secrets import Secret, Secrets, read_secrets, secret
from collectors.settings import Collect, read, with_secrets
from collectors.targets import Place, read_places, shards, targets
from fabric.addressing import addresses
from fabric.errors import InputError
from fabric.plan import Plan

SECRETS = Secrets({"SNMP_TELE_AUTH": "authauthauth", "SNMP_TELE_PRIV": "privprivpriv", "STORAGE": "community"})
GOOD = """
[collect]
concurrency = 64
bus = "nats://127.0.0.1:4222"
[collect.snmp]
period = 20
timeout = 4
user = "tele"
auth_secret = "SNMP_TELE_AUTH"
priv_secret = "SNMP_TELE_PRIV"
networks = ["compute", "storage"]
[[collect.snmp.variants]]
devices = ["leaf-storage-*"]
version = "2c"
community = "STORAGE"
[collect.sflow]
enabled = false
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned("starter-32")


def settings(text: str, secrets: Secrets = SECRETS) -> Collect:
    shared, sources = read(tomllib.loads(text)["collect"])
    return with_secrets(shared, sources, secrets)


def problems(work: Callable[[], object]) -> list[str]:
    with pytest.raises(InputError) as caught:
        work()
    return [str(problem) for problem in caught.value.problems]


def test_a_secret_is_shown_nowhere() -> None:
    one = Secret("hunter2")
    assert one.reveal() == "hunter2"
    assert [repr(one), str(one), f"{one:>20}", f"{[one]}", f"{one!r}"] == ["***", "***", "***", "[***]", "***"]
    assert one == Secret("hunter2")
    assert one != Secret("hunter3")
    assert one != "hunter2"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(one)


def test_secrets_are_of_a_closed_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("# ours\nSNMP_TELE_AUTH=from file\n")
    file.chmod(0o600)
    environment = {"RAILWRIGHT_SECRET_SNMP_TELE_AUTH": "hidden", "RAILWRIGHT_SECRET_TOKEN": "t", "HOME": "/"}
    found = read_secrets(file, environment)
    assert found["snmp-tele-auth"].reveal() == "from file"
    assert found["TOKEN"].reveal() == "t"
    assert "HOME" not in found
    assert repr(found) == "Secrets(SNMP_TELE_AUTH, TOKEN)"


def test_a_file_of_secrets_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("TOKEN=hunter2\n")
    file.chmod(0o640)
    (said,) = problems(lambda: read_secrets(file, {}))
    assert said == f"{file}: others can read it (mode 640); chmod 600 {file}, and change the secrets if it was shared"


def test_a_missing_secret_says_how_to_give_it() -> None:
    assert problems(lambda: secret("tele auth", environment={})) == [
        "secret TELE_AUTH: has no value; "
        "set RAILWRIGHT_SECRET_TELE_AUTH, or add TELE_AUTH=… to the file of --secrets (mode 600)"
    ]


def test_settings_give_each_source_its_pace_options_and_secrets() -> None:
    found = settings(GOOD)
    (snmp,) = found.sources
    assert (snmp.name, snmp.pace.period, snmp.pace.timeout, snmp.port) == ("snmp", 20, 4, 161)
    assert snmp.options["auth_secret"] == Secret("authauthauth")
    ((patterns, options),) = snmp.variants
    assert patterns == ("leaf-storage-*",)
    assert options["community"] == Secret("community")
    assert (found.shared.concurrency, found.shared.interval) == (64, 1.0)
    assert "auth" not in repr(found).replace("auth_secret", "")


def test_every_mistake_is_told_at_once() -> None:
    text = """
    [collect]
    concurency = 5
    interval = "soon"
    [collect.snmmp]
    [collect.snmp]
    period = 2
    timeout = 5
    [collect.gnmi]
    period = -1
    networks = ["compute", "oops"]
    password = "hunter2"
    """
    said = problems(lambda: read(tomllib.loads(text)["collect"]))
    assert said == [
        'railwright.toml: collect.snmmp: unknown source, did you mean "snmp"?',
        'railwright.toml: collect.concurency: unknown field, did you mean "concurrency"?',
        'railwright.toml: collect.interval: expected a number, got "soon"',
        "railwright.toml: collect.snmp: timeout 5 is longer than period 2",
        'railwright.toml: collect.gnmi.networks[1]: expected one of compute, storage, frontend, oob, got "oops"',
        "railwright.toml: collect.gnmi.period: expected more than 0, got -1",
    ]


def test_a_secret_in_the_settings_is_refused_and_not_shown() -> None:
    for value in ('"hunter2"', "17", '"correct horse"'):
        text = f"[collect.snmp]\nuser = 'tele'\nauth_secret = {value}\n[[collect.snmp.variants]]\ncommunity = {value}"
        said = problems(lambda text=text: read(tomllib.loads(text)["collect"]))  # type: ignore[misc]
        assert len(said) == 2
        assert all("is no name of a secret; write a name" in line for line in said)
        assert not any(value.strip('"') in line for line in said)


def test_secrets_that_are_not_set_are_told_together() -> None:
    said = problems(lambda: settings(GOOD, Secrets({"STORAGE": "x"})))
    assert [line.partition(";")[0] for line in said] == [
        "railwright.toml: collect.snmp.auth_secret: SNMP_TELE_AUTH has no value",
        "railwright.toml: collect.snmp.priv_secret: SNMP_TELE_PRIV has no value",
    ]


def test_a_source_that_the_settings_do_not_have_is_told() -> None:
    assert problems(lambda: settings(GOOD).only(["snmp", "gnmi"])) == [
        "collect.gnmi: is not in the settings; add [collect.gnmi]; docs/collect.md"
    ]


def test_options_that_a_source_would_refuse_are_told_before_anything_is_asked(plan: Plan) -> None:
    said = problems(lambda: all_targets(plan, settings('[collect.snmp]\nuser = "tele"\n[collect.gnmi]\nmode = "x"')))
    assert any("collect.snmp.auth_secret" in line for line in said)
    assert any("gnmi: collect.gnmi: mode" in line for line in said)


@pytest.mark.parametrize("name", registry.SOURCES)
def test_every_source_of_the_registry_can_be_made(name: str) -> None:
    source = registry.make(name, {})
    assert source.name == name
    assert hasattr(source, "run" if registry.SOURCES[name].listens else "poll")


def test_targets_are_the_plans_switches_at_their_management_addresses(plan: Plan) -> None:
    found = targets(plan, 161)
    made = addresses(plan).switches
    names = dict(zip(plan.fabric.switches["id"], plan.fabric.switches["name"], strict=True))
    expected = {names[device]: address for device, address in made.select("device", "mgmt_ipv4").iter_rows()}
    assert {target.device: target.address for target in found} == expected
    assert [target.device for target in found] == sorted(expected)
    assert {target.port for target in found} == {161}


def test_ports_are_known_by_name_alias_and_label(plan: Plan) -> None:
    (leaf,) = targets(plan, 161, devices=["leaf-compute-s000-l0-p0"])
    assert leaf.ports["Ethernet0"] == leaf.ports["etp1a"] == leaf.ports["1/1"] == "Ethernet0"
    assert leaf.ports["Ethernet4"] == leaf.ports["etp1b"] == "Ethernet4"
    own = plan.fabric.ports.filter(device=plan.fabric.switches.filter(name=leaf.device)["id"][0])
    assert set(leaf.ports.values()) == set(own["name"])


def test_networks_and_patterns_choose_switches(plan: Plan) -> None:
    assert {t.device.split("-")[1] for t in targets(plan, 1, networks=["storage"])} == {"storage"}
    assert all(t.device.startswith("spine-") for t in targets(plan, 1, devices=["spine-*"]))
    assert problems(lambda: targets(plan, 1, devices=["spin-*"], source="snmp"))[0].startswith(
        'collect.snmp.devices: "spin-*" matches no device'
    )


def test_hosts_are_asked_at_their_own_addresses(plan: Plan) -> None:
    found = targets(plan, 9342, asks="host")
    assert len(found) == len(plan.fabric.hosts.filter(plan.fabric.hosts["role"] != "pdu"))
    assert len({target.address for target in found}) == len(found)
    assert found[0].ports


def test_variants_have_options_of_their_own(plan: Plan) -> None:
    found = {target.device: target.options for target in all_targets(plan, settings(GOOD))["snmp"]}
    assert {name.split("-")[1] for name in found} == {"compute", "storage"}
    for device, options in found.items():
        assert options.get("version") == ("2c" if device.startswith("leaf-storage") else None)


def test_every_device_has_a_shard_of_its_segment(plan: Plan) -> None:
    found = shards(plan)
    assert set(found) == {*plan.fabric.device_names(), *plan.design.networks, "prometheus"}
    assert found["leaf-compute-s000-l0-p0"] == found["leaf-compute-s000-l3-p0"] == "compute-s000"
    assert found["gpu-0000"] == "host-s000"
    assert found["spine-compute-d00-000"] == "compute-spine-00"


def places(tmp_path: Path, text: str, plan: Plan) -> dict[tuple[str, str], Place]:
    (tmp_path / "targets.csv").write_text(text)
    return read_places(tmp_path / "targets.csv", plan, ["snmp", "gnmi"])


def test_a_file_puts_devices_elsewhere(tmp_path: Path, plan: Plan) -> None:
    leaf, spine = "leaf-compute-s000-l0-p0", "spine-compute-d00-000"
    found = places(tmp_path, f"device,address,port,source\n{leaf},127.0.0.1,1161,snmp\n{spine},::1,,\n", plan)
    snmp = {t.device: t for t in targets(plan, 161, source="snmp", places=found)}
    gnmi = {t.device: t for t in targets(plan, 9339, source="gnmi", places=found)}
    assert (snmp[leaf].address, snmp[leaf].port) == ("127.0.0.1", 1161)
    assert gnmi[leaf].address.startswith("10.")
    assert (snmp[spine].address, snmp[spine].port, gnmi[spine].port) == ("::1", 161, 9339)


def test_mistakes_in_the_file_of_targets_are_told_at_once(tmp_path: Path, plan: Plan) -> None:
    leaf = "leaf-compute-s000-l0-p0"
    text = (
        f"device,address,port,source\nleaf-x,10.0.0.1,,\n{leaf},host.example,99999,smtp\n{leaf},::1,,\n{leaf},::1,,\n"
    )
    said = problems(lambda: places(tmp_path, text, plan))
    assert [line.split(": ", 1)[1].partition(";")[0] for line in said] == [
        'line 2: the plan has no device "leaf-x"',
        'line 3: unknown source "smtp"',
        'line 3: "host.example" is no IP address',
        'line 3: "99999" is no port',
        f"line 5: {leaf} is given twice",
    ]
    assert "expected device,address,port,source" in problems(lambda: places(tmp_path, "a,b\n", plan))[0]


def test_two_devices_in_one_place_are_refused(tmp_path: Path, plan: Plan) -> None:
    text = "device,address\nleaf-compute-s000-l0-p0,127.0.0.1\nleaf-compute-s000-l1-p0,127.0.0.1\n"
    found = places(tmp_path, text, plan)
    assert problems(lambda: targets(plan, 161, source="snmp", places=found)) == [
        "snmp leaf-compute-s000-l1-p0: 127.0.0.1:161 is also leaf-compute-s000-l0-p0; give each its own in the targets"
    ]
