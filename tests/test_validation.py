"""Problems from pydantic's errors: every mistake, its path, what was expected, the nearest name."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from fabric.errors import InputError
from fabric.validation import Strict, as_tuples, fields_at, join, nearest, validate


class Over(Strict):
    leaf: Annotated[float, Field(gt=0)] | dict[Literal["compute", "storage"], float] = 1.0


class Net(Strict):
    technology: Literal["roce", "infiniband"]
    oversubscription: Over = Over()
    tiers: Annotated[int, Field(ge=1, le=3)] | Literal["auto"] = "auto"
    switches: dict[Literal["leaf", "spine"], tuple[str, ...]] = Field(default_factory=dict)


class Host(Strict):
    name: Annotated[str, Field(min_length=1)]
    count: int = 1


class Intent(Strict):
    networks: dict[Literal["compute", "storage"], Net]
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    site: Over | None = None


def _said(data: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        validate(Intent, data, "")
    return [str(problem) for problem in caught.value.problems]


def _net(**fields: object) -> dict[str, object]:
    return {"networks": {"compute": {"technology": "roce", **fields}}, "hosts": [{"name": "a"}]}


def _leaf(value: object) -> dict[str, object]:
    return _net(oversubscription={"leaf": value})


def test_what_is_right_passes() -> None:
    intent = validate(Intent, _net(tiers=2, switches={"leaf": ["a"]}), "")
    assert intent.networks["compute"].switches == {"leaf": ("a",)}


def test_all_mistakes_come_at_once_each_with_its_path() -> None:
    data = {
        "networks": {"compute": {"technology": "roc", "oversubscripton": 3}, "storge": {}},
        "hosts": [{"nme": "a", "count": "3"}, 5],
        "foo": 1,
    }
    assert _said(data) == [
        "foo: unknown field, expected one of networks, hosts, site",
        'hosts[0].count: expected a whole number, got "3"',
        "hosts[0].name: is missing",
        'hosts[0].nme: unknown field, did you mean "name"?',
        "hosts[1]: expected a mapping, got 5",
        'networks.compute.oversubscripton: unknown field, did you mean "oversubscription"?',
        'networks.compute.technology: expected one of roce, infiniband, got "roc", did you mean "roce"?',
        'networks.storge: unknown name, did you mean "storage"?',
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_net(tiers="aut"), 'tiers: expected a whole number or auto, got "aut", did you mean "auto"?'),
        (_net(tiers=4), "tiers: expected at most 3 or auto, got 4"),
        (_net(tiers=2.5), "tiers: expected a whole number or auto, got 2.5"),
        (_net(tiers=True), "tiers: expected a whole number or auto, got true"),
        (_leaf({"compte": 1}), 'oversubscription.leaf.compte: unknown name, did you mean "compute"?'),
        (_leaf({"compute": "x"}), 'oversubscription.leaf.compute: expected a number, got "x"'),
        (_leaf("x"), 'oversubscription.leaf: expected a number or a mapping, got "x"'),
        (_leaf(-1), "oversubscription.leaf: expected more than 0 or a mapping, got -1"),
        (_leaf(float("inf")), "oversubscription.leaf: expected a finite number or a mapping, got inf"),
        (_net(oversubscription=None), "oversubscription: expected a mapping, got nothing"),
        (_net(switches={"leef": [3]}), 'switches.leef: unknown name, did you mean "leaf"?'),
        (_net(switches={"leaf": [3]}), "switches.leaf[0]: expected text, got 3"),
        (_net(switches={"leaf": "sn5600"}), 'switches.leaf: expected a list, got "sn5600"'),
    ],
)
def test_unions_keys_and_lists_are_told_in_one_sentence(data: object, said: str) -> None:
    assert _said(data) == [f"networks.compute.{said}"]


def test_a_list_is_short_only_when_it_is() -> None:
    assert _said({"networks": {}, "hosts": []}) == ["hosts: needs at least 1, has 0"]
    assert _said({"networks": {}, "hosts": [7]}) == ["hosts[0]: expected a mapping, got 7"]
    assert _said({"networks": {}, "hosts": [{"name": ""}]}) == ["hosts[0].name: must not be empty"]


@pytest.mark.parametrize("data", [None, 3, "x", [1], [{}]])
def test_what_is_no_mapping_is_refused(data: object) -> None:
    assert _said(data)[0].startswith("expected a mapping, got ")


def test_the_file_and_the_place_of_a_part_come_first() -> None:
    with pytest.raises(InputError) as caught:
        validate(Host, {"name": "a", "cuont": 1}, "f.yaml", ("hosts", 3))
    assert str(caught.value) == 'f.yaml: hosts[3].cuont: unknown field, did you mean "count"?'


def test_fields_are_found_at_every_depth() -> None:
    assert fields_at(Intent, ()) == ["networks", "hosts", "site"]
    assert fields_at(Intent, ("hosts", 7)) == ["name", "count"]
    assert fields_at(Intent, ("networks", "compute", "oversubscription")) == ["leaf"]
    assert fields_at(Intent, ("site",)) == ["leaf"]
    assert fields_at(Intent, ("nowhere", 3, "x")) == []


def test_helpers() -> None:
    assert join(("hosts", 0, "networks", "storage")) == "hosts[0].networks.storage"
    assert as_tuples({"a": [1, [2, {"b": []}]]}) == {"a": (1, (2, {"b": ()}))}
    assert nearest("osfp", ["sfp56", "osfp-finned", "osfp-flat"]) == "osfp-flat"
    assert nearest("rack_unit", ["rack_units", "psus"]) == "rack_units"
    assert nearest("zzz", ["rack_units"]) is None
