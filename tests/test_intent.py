"""The intent: what it takes, what it refuses and with which words, and that its reference is true.

Cases are files: ``golden/errors/intent/NAME.yaml`` with the messages in ``NAME.txt`` (``_parts.yaml`` is their
catalogue), ``golden/intents/NAME.yaml`` with the normalised intent in ``NAME.full.yaml``. With
``RAILWRIGHT_UPDATE_GOLDEN=1`` what is expected is rewritten; read the difference before you keep it.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fabric.catalogue import Catalogue
from fabric.errors import InputError, Problem
from fabric.intent import Intent, intent_from, load_intent, parse_intent
from fabric.intent.expect import shown
from fabric.intent.network import LINK_TIERS, MEDIA, NETWORKS, ROLES, TIERS
from fabric.intent.reference import SMALLEST, reference
from fabric.intent_catalogue import check_against

ROOT = Path(__file__).parent.parent
ERRORS = ROOT / "tests/golden/errors/intent"
INTENTS = ROOT / "tests/golden/intents"


def _same_as_golden(path: Path, text: str) -> None:
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def _parts() -> Catalogue:
    return Catalogue.from_yaml((ERRORS / "_parts.yaml").read_text(encoding="utf-8"))


def _said_of(path: Path) -> str:
    """Every problem of an intent file, one a line."""
    try:
        problems = check_against(load_intent(path), _parts())
    except InputError as error:
        return f"{error}\n"
    return "".join(f"{problem}\n" for problem in problems)


@pytest.mark.parametrize("case", sorted(p.stem for p in ERRORS.glob("[!_]*.yaml")))
def test_every_mistake_is_told(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    said = _said_of(Path(f"{case}.yaml"))
    assert said
    assert all(line.startswith(f"{case}.yaml") for line in said.splitlines())
    _same_as_golden(ERRORS / f"{case}.txt", said)


MADE: dict[str, Callable[[Path], Any]] = {
    "made-binary": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "made-control-character": lambda path: path.write_bytes(b"name: lab\nhosts: \x07\n"),
    "made-directory": lambda path: path.mkdir(),
    "made-huge": lambda path: path.write_text("name: lab\n" + "# padding\n" * 500_000, encoding="utf-8"),
    "made-missing": lambda _: None,
    "made-deep": lambda path: path.write_text("name: " + "[" * 5000, encoding="utf-8"),
}


@pytest.mark.parametrize("case", sorted(MADE))
def test_what_is_no_text_file_is_told(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    MADE[case](Path("intent.yaml"))
    said = _said_of(Path("intent.yaml"))
    assert len(said.splitlines()) == 1
    _same_as_golden(ERRORS / f"{case}.txt", said)


def test_no_expectation_is_left_over() -> None:
    expected = {p.stem for p in ERRORS.glob("*.txt")}
    assert expected == {p.stem for p in ERRORS.glob("[!_]*.yaml")} | set(MADE)
    assert len(expected) >= 30


@pytest.mark.parametrize("case", sorted(p.stem for p in INTENTS.glob("*.yaml") if not p.stem.endswith(".full")))
def test_normalised_intent(case: str) -> None:
    intent = load_intent(INTENTS / f"{case}.yaml")
    _same_as_golden(INTENTS / f"{case}.full.yaml", intent.to_yaml())
    assert parse_intent(intent.to_yaml()) == intent


def test_reference_is_that_of_the_models() -> None:
    text = (ROOT / "docs/intent.md").read_text(encoding="utf-8")
    assert text == reference(), "run: python -m fabric.intent.reference > docs/intent.md"
    assert parse_intent(SMALLEST).networks["compute"].nos == "opensm"


def test_order_is_fixed() -> None:
    intent = load_intent(INTENTS / "everything.yaml")
    assert tuple(intent.networks) == NETWORKS
    assert tuple(intent.networks["compute"].switches) == ("leaf", "core")


def test_defaults_depend_on_the_network() -> None:
    text = "name: a\nhosts: [{name: g, model: m, count: 1}]\nnetworks: {oob: {}, storage: {technology: roce, tiers: 1}"
    networks = parse_intent(
        f"{text}, frontend: {{technology: ethernet}}, compute: {{technology: infiniband}}}}"
    ).networks
    assert [network.planes_join for network in networks.values()] == ["never", "never", "spine", "never"]
    assert [network.layout for network in networks.values()] == ["auto", *["top-of-rack"] * 3]
    assert [network.nos for network in networks.values()] == ["opensm", "sonic", "sonic", "sonic"]
    assert networks["compute"].roles == ("compute", "service")
    assert networks["oob"].roles == ROLES
    assert networks["oob"].technology == "ethernet"
    assert networks["compute"].qos is None


def test_oversubscription_is_exact() -> None:
    everything = load_intent(INTENTS / "everything.yaml").networks
    assert everything["compute"].oversubscription.leaf_for("compute") == Fraction(1333, 1000)
    assert everything["compute"].oversubscription.leaf_for("service") == 1
    assert not everything["compute"].oversubscription.spine_given
    assert everything["compute"].oversubscription.spine_or(4) == 4
    pod = load_intent(INTENTS / "dual-plane-pod.yaml").networks
    assert pod["compute"].oversubscription.leaf_for("storage") == Fraction(1067, 1000)
    assert pod["compute"].oversubscription.spine_or(1) == 15
    assert not pod["frontend"].oversubscription.leaf_given
    assert pod["frontend"].oversubscription.leaf_for("compute") == 1


def test_media_of_a_tier() -> None:
    networks = load_intent(INTENTS / "everything.yaml").networks
    assert networks["compute"].media_for("leaf-spine") == ("singlemode",)
    assert networks["compute"].media_for("spine-core") is None
    assert networks["storage"].media_for("host-leaf") == ("dac", "aec", "multimode")
    assert networks["oob"].media_for("host-leaf") is None


def test_paths_start_from_the_folder_of_the_intent(tmp_path: Path) -> None:
    text = (INTENTS / "everything.yaml").read_text(encoding="utf-8")
    here = parse_intent(text, where=tmp_path / "intent.yaml")
    assert here.catalogue_paths == (tmp_path / "my-switches.yaml", Path("/srv/parts/more.yaml"))
    assert here.prices_path == tmp_path / "prices.yaml"
    assert here.model_copy(update={"objective": "cost"}).base == tmp_path
    assert here == parse_intent(text)
    assert str(tmp_path) not in here.to_yaml()


def test_a_good_intent_fits_its_parts() -> None:
    text = """
name: lab
hosts: [{name: gpu, model: dgx-h100, count: 64}, {name: st, model: nvme, count: 4, role: storage}]
networks:
  compute: {technology: infiniband, planes: 1, rails_per_leaf: 8, uplink_speed_gbps: {leaf: 400}}
  storage: {technology: roce, switches: {leaf: [sn5600]}}
  oob: {uplinks: {count: 2, speed_gbps: 100}}
"""
    assert check_against(parse_intent(text), _parts()) == []


# Properties


def _decimals(low: int, high: int) -> st.SearchStrategy[float]:
    return st.decimals(low, high, places=3).map(float)


RATIOS = _decimals(1, 64)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,5})?", fullmatch=True).filter(
    lambda name: name not in ("pdu", "external") and name.split("-")[0] not in TIERS
)
AUTO = st.just("auto")


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


ECN = st.builds(
    lambda speed, kmin, more: {"speed_gbps": speed, "kmin_kb": kmin, "kmax_kb": kmin + more},
    st.integers(1, 3200), st.integers(1, 5000), st.integers(0, 5000),
)  # fmt: skip
NETWORK = st.builds(
    lambda fields, technology: {**fields, "technology": technology},
    _optional(
        layout=st.sampled_from(["auto", "top-of-rack"]),
        tiers=AUTO | st.integers(1, 3),
        segment_hosts=AUTO | st.integers(1, 512),
        planes=AUTO | st.integers(1, 4),
        oversubscription=_optional(leaf=RATIOS | st.dictionaries(st.sampled_from(ROLES), RATIOS)),
        uplink_speed_gbps=_optional(leaf=AUTO | st.integers(1, 1600), spine=AUTO | st.just(400)),
        free_leaf_ports=st.integers(0, 64),
        switches=_optional(leaf=_some(("a", "b c", "d.e")), core=_some(("x",))),
        media=AUTO | _some(MEDIA) | st.dictionaries(st.sampled_from(LINK_TIERS), _some(MEDIA)),
        trunk_cables=st.booleans(),
        roles=_some(ROLES),
        uplinks=_optional(to=st.just("external")).map(lambda given: {"count": 1, "speed_gbps": 100, **given}),
    ),
    st.sampled_from(["roce", "ethernet"]),
)
GROUP = st.fixed_dictionaries(
    {"name": NAMES, "model": st.sampled_from(["dgx-h100", "a b+"]), "count": st.integers(1, 10_000_000)},
    optional={"spares_per_segment": st.integers(0, 64), "role": st.sampled_from(ROLES)},
)
SITE = _optional(row_pitch_m=_decimals(1, 9), occupied=st.just([[1, 2]]), switch_racks=AUTO | st.integers(0, 3)).map(
    lambda given: {"rows": 2, "racks_per_row": 3, **given}
)
SERVICES = _optional(ntp=st.lists(st.ip_addresses().map(str), unique=True), snmp_users=_some(("u", "v_1", "no")))
HOSTS = st.lists(GROUP, min_size=1, max_size=4, unique_by=lambda group: str(group["name"]))
FIELDS_NEEDED: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES,
    "hosts": HOSTS,
    "networks": st.dictionaries(st.sampled_from(NETWORKS), NETWORK, min_size=1),
}
INTENT = st.builds(
    lambda needed, more: {**needed, **more},
    st.fixed_dictionaries(FIELDS_NEEDED),
    _optional(
        site=SITE,
        objective=st.sampled_from(["cost", "power", "switches"]),
        spare_parts_percent=_decimals(0, 100),
        prices=st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20),
        services=SERVICES,
    ),
)


@given(INTENT)
def test_the_normalised_intent_is_the_same_intent(data: dict[str, Any]) -> None:
    intent = intent_from(data)
    text = intent.to_yaml()
    assert parse_intent(text) == intent
    assert parse_intent(text).to_yaml() == text


FIELDS = st.sampled_from(
    [*Intent.model_fields, *NETWORKS, "count", "tiers", "leaf", "to", "ipv4", "qos", "ecn", "role"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "roce", "core"])
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=4) | st.integers(), inner, max_size=5)
    ),
    max_leaves=25,
)


def _only_input_errors(read: Callable[[], Intent]) -> None:
    found: tuple[Problem, ...] = (Problem("", "an intent"),)
    try:
        read()
    except InputError as error:
        found = error.problems
    assert found
    assert all(problem.what and "\n" not in str(problem) for problem in found)


@given(NESTED)
@example({"networks": {"compute": {"uplinks": {"to": ["compute"]}}}})
@example({"hosts": [{"count": 10**5000}], "networks": {10**5000: {}}})
def test_any_data_is_an_intent_or_an_input_error(data: Any) -> None:
    _only_input_errors(lambda: intent_from(data))


@given(INTENT, st.data())
def test_one_part_replaced_is_an_intent_or_an_input_error(data: dict[str, Any], draw: st.DataObject) -> None:
    at: Any = copy.deepcopy(data)
    whole = at
    while True:
        key = draw.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or draw.draw(st.booleans()):
            at[key] = draw.draw(NESTED)
            break
        at = at[key]
    _only_input_errors(lambda: intent_from(whole))


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_an_intent_or_an_input_error(text: str) -> None:
    _only_input_errors(lambda: parse_intent(text))


@given(NESTED.map(lambda data: yaml.safe_dump(data)))
def test_any_yaml_is_an_intent_or_an_input_error(text: str) -> None:
    _only_input_errors(lambda: parse_intent(text))


@given(NESTED)
def test_values_are_quoted_in_one_short_line(value: Any) -> None:
    assert len(shown(value)) <= 250
    assert "\n" not in shown(value)


@given(INTENT)
def test_any_intent_can_be_held_against_a_catalogue(data: dict[str, Any]) -> None:
    intent, parts = intent_from(data), _parts()
    problems = check_against(intent, parts)
    unknown = [index for index, group in enumerate(intent.hosts) if group.model not in parts.servers]
    assert {f"hosts[{index}].model" for index in unknown} <= {problem.where for problem in problems}
    assert problems == sorted(set(problems))
