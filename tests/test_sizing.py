"""What sizing says when there is no answer, and what goes with an answer."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from fabric.catalogue import Catalogue, load_catalogue
from fabric.errors import RailwrightError
from fabric.intent import load_intent, parse_intent
from planner.sizing import size

ERRORS = Path(__file__).parent / "golden" / "errors" / "sizing"
EXAMPLES = Path(__file__).parents[1] / "examples"


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize("case", sorted(ERRORS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_is_an_answer_with_numbers(case: Path) -> None:
    with pytest.raises(RailwrightError) as no:
        size(load_intent(case), catalogue())
    said = f"{no.value}\n"
    golden = case.with_suffix(".txt")
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_text(said)
    assert said == golden.read_text()


@pytest.mark.parametrize("case", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_proved(case: Path) -> None:
    design = size(load_intent(case), catalogue())
    proofs = {(n.proof.status, n.proof.gap, n.proof.objective == n.proof.bound) for n in design.networks.values()}
    assert proofs == {("OPTIMAL", 0.0, True)}


def test_runners_up_are_other_designs_in_order_of_what_they_cost() -> None:
    design = size(load_intent(EXAMPLES / "starter-32.yaml"), catalogue())
    for network in design.networks.values():
        costs = [a.objective or 0 for a in network.runners_up]
        assert costs == sorted(costs)
        assert all(cost >= network.proof.objective for cost in costs)
        assert len({a.shape for a in network.runners_up}) == len(costs)


def test_objectives_differ_where_they_should() -> None:
    """The objective is counted in what was asked to be least, and fewest switches are no more than the cheapest."""
    text = """
name: t
hosts: [{{name: gpu, model: dgx-h100, count: 31}}]
networks: {{compute: {{technology: infiniband, switches: {{leaf: [qm9700, q3400], spine: [qm9700, q3400]}}}}}}
objective: {}
"""
    found = {o: size(parse_intent(text.format(o)), catalogue()).networks["compute"] for o in ("cost", "switches")}
    assert sum(found["switches"].counts().values()) <= sum(found["cost"].counts().values())
    assert found["switches"].proof.objective == sum(found["switches"].counts().values())
    assert {n.proof.unit for n in found.values()} == {"US cents", "switches"}


def test_spares_are_hosts_on_the_other_networks() -> None:
    design = size(load_intent(EXAMPLES / "hpn7-pod.yaml"), catalogue())
    spares = sum(c.segments * c.spares_per_segment for c in design.networks["compute"].classes)
    assert spares == 120
    assert [c.hosts for c in design.networks["frontend"].classes] == [1920 + 128 + spares]


def test_out_of_band_reaches_what_it_manages() -> None:
    """Frontend and oob are sized together: every switch but oob's own has its management port there."""
    design = size(load_intent(EXAMPLES / "hpn7-pod.yaml"), catalogue())
    managed = sum(sum(n.counts().values()) for name, n in design.networks.items() if name != "oob")
    oob, frontend = design.networks["oob"], design.networks["frontend"]
    assert oob.classes[0].hosts == 1920 + 120 + 128 + 16 + managed
    assert frontend.attached == 2 * oob.counts()["leaf"]
