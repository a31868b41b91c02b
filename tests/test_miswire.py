"""Wrong cables are named for what was done, and the moves that are listed put them right, with none too many."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned
from rewired import Rewired, told
from small_plans import NAMES, plan_of

from collectors.detectors.view import NONE
from collectors.detectors.wiring.claims import NOWHERE, UNNAMED, links
from collectors.detectors.wiring.compare import compare
from collectors.detectors.wiring.matching import assign
from collectors.detectors.wiring.names import Names

EXAMPLES = ("starter-32", "superpod-h100-1su", "hpn7-segment")
LEAF, ROOMY, NEXT = (f"leaf-compute-s000-l{rail}-p0" for rail in (0, 4, 5))
"""The last two have a free port in the plan of one SuperPOD unit."""


def made(name: str) -> Rewired:
    return Rewired(plan_of(name) if name in NAMES else planned(name))


# patterns


@pytest.mark.parametrize("name", [*NAMES, *EXAMPLES])
def test_a_plan_as_it_is_has_nothing_wrong(name: str) -> None:
    bench = made(name)
    found = bench.compared()
    assert found.signals == ()
    assert found.right == len(found.links.x) == len(bench.links())


def test_two_ends_exchanged_at_a_leaf_are_a_swap_there() -> None:
    bench = made("three-tier")
    (a, _), (b, _) = bench.links(tier="leaf-spine", a_device=LEAF)[:2]
    far = bench.view.device[bench.view.peer[[a, b]]]
    if far[0] == far[1]:
        b = next(p for p, q in bench.links(tier="leaf-spine", a_device=LEAF) if bench.view.device[q] != far[0])
    bench.exchange(a, b)
    (signal,) = bench.compared().signals
    assert told([signal]) == [("swap", 2)]
    assert signal.subject == {"ends": [bench.view.end(p) for p in sorted((a, b))]}
    assert set(signal.ports) == {a, b, *bench.view.peer[[a, b]].tolist()}


def test_members_of_a_trunk_are_interchangeable() -> None:
    bench = made("twin-cages")
    (a, x), (b, y) = next(
        found for spine in bench.view.device_names
        if len(found := bench.links(tier="leaf-spine", a_device=LEAF, b_device=spine)) == 2
    )  # fmt: skip
    bench.exchange(a, b)
    assert (bench.peer[a], bench.peer[b]) == (y, x)
    after = bench.compared()
    assert after.signals == ()
    assert after.right == len(bench.links())


@pytest.mark.parametrize("name", ["twin-cages", "three-tier", "superpod-h100-1su"])
def test_all_uplinks_of_a_leaf_turned_by_one_are_a_rotation(name: str) -> None:
    bench = made(name)
    ups = [a for a, _ in bench.links(tier="leaf-spine", a_device=LEAF)]
    bench.replug(dict(zip(ups, [*ups[1:], ups[0]], strict=True)))
    signals = bench.compared().signals
    wrong = int((bench.view.device[bench.peer[ups]] != bench.view.device[bench.view.peer[ups]]).sum())
    assert told(signals) == [("swap" if wrong == 2 else "rotation", wrong)]
    assert {end["device"] for end in signals[0].subject["ends"]} == {LEAF}
    assert bench.mend(signals) == wrong
    assert bench.compared().signals == ()


def test_a_panel_off_by_one_is_a_shift() -> None:
    bench = made("superpod-h100-1su")
    down = [b for _, b in bench.links(tier="host-leaf", b_device=ROOMY)]
    free = bench.empty(ROOMY, down[0])[0]
    bench.replug(dict(zip(down, [*down[1:], free], strict=True)))
    signals = bench.compared().signals
    assert told(signals) == [("shift", len(down))]
    assert bench.mend(signals) == len(down)
    assert bench.compared().signals == ()


def test_a_shift_over_a_gap_is_one_shift() -> None:
    bench = made("superpod-h100-1su")
    down = [b for _, b in bench.links(tier="host-leaf", b_device=ROOMY)]
    free = bench.empty(ROOMY, down[0])[0]
    bench.unplug(down[10])
    places = dict(zip(down, [*down[1:], free], strict=True))
    del places[down[10]]
    bench.replug(places)
    assert told(bench.compared().signals) == [("missing", 0), ("shift", len(down) - 1)]


def test_a_host_on_the_next_rails_leaf() -> None:
    bench = made("superpod-h100-1su")
    (nic, port) = bench.links(tier="host-leaf", b_device=ROOMY)[3]
    bench.replug({port: bench.empty(NEXT, port)[0]})
    (signal,) = bench.compared().signals
    assert told([signal]) == [("wrong-rail", 1)]
    (move,) = signal.evidence["moves"]
    assert (move["from"]["device"], move["to"], move["other"]) == (
        NEXT, bench.view.end(port), [bench.view.end(nic)]
    )  # fmt: skip
    assert signal.evidence["wrong_rails"] == 1


def test_a_host_in_a_free_port_of_its_own_leaf() -> None:
    bench = made("superpod-h100-1su")
    _, port = bench.links(tier="host-leaf", b_device=ROOMY)[3]
    free = bench.empty(ROOMY, port)[0]
    bench.replug({port: free})
    (signal,) = bench.compared().signals
    assert told([signal]) == [("wrong-port", 1)]
    assert signal.subject == {"ends": [bench.view.end(free)]}


def test_a_whole_breakout_in_another_cage_is_one_move() -> None:
    bench = made("hpn7-segment")
    ports = [b for _, b in bench.links(tier="host-leaf", b_device=LEAF)]
    gone = bench.sockets_ports(ports[-1])
    bench.unplug(gone[0])
    bench.replug({ports[0]: gone[0]})
    *missing, signal = bench.compared().signals
    assert told([signal]) == [("wrong-port", 1)]
    assert len(signal.evidence["links"]) == 2
    assert [s.subject["link"][1] for s in missing] == [bench.view.end(p) for p in gone]
    assert bench.mend([signal]) == 1
    assert told(bench.compared().signals) == [("missing", 0)] * 2


def test_the_legs_of_a_breakout_exchanged_are_a_swap() -> None:
    bench = made("hpn7-segment")
    _, port = bench.links(tier="host-leaf", b_device=LEAF)[0]
    legs = [int(bench.peer[p]) for p in bench.sockets_ports(port)]
    bench.exchange(*legs)
    signals = bench.compared().signals
    assert told(signals) == [("swap", 2)]
    assert {(end["device"], end["port"]) for end in signals[0].subject["ends"]} == {
        (end["device"], end["port"]) for end in map(bench.view.end, legs)
    }


def test_two_trunk_plugs_exchanged_are_two_moves_not_four() -> None:
    bench = made("hpn7-segment")
    ports = [b for _, b in bench.links(tier="host-leaf", b_device=LEAF)]
    bench.exchange(ports[0], ports[-1])
    signals = bench.compared().signals
    assert told(signals) == [("swap", 2)]
    assert {end["device"] for end in signals[0].subject["ends"]} == {LEAF}


def test_a_cable_taken_away_is_missing_and_one_too_many_is_extra() -> None:
    bench = made("superpod-h100-1su")
    nic, port = bench.links(tier="host-leaf", b_device=LEAF)[3]
    bench.unplug(port)
    near, far = bench.empty(ROOMY, port)[0], bench.empty(NEXT, port)[0]
    bench.peer[near], bench.peer[far] = far, near
    extra, missing = bench.compared().signals
    assert (extra.cause, extra.subject) == ("extra", {"ends": [bench.view.end(near), bench.view.end(far)]})
    assert missing.cause == "missing"
    assert missing.subject == {"link": [bench.view.end(nic), bench.view.end(port)]}


def test_a_cable_that_leads_to_a_stranger() -> None:
    bench = made("superpod-h100-1su")
    nic, port = bench.links(tier="host-leaf", b_device=ROOMY)[3]
    free = bench.empty(ROOMY, port)[0]
    bench.unplug(port)
    claims = bench.claims()
    claims.take(
        [port, free], np.array([NOWHERE, NOWHERE]), np.array([NONE, NONE]), [("lab-sw", "7"), ("printer", "eth0")]
    )
    extra, wrong = compare(claims, bench.plugs).signals
    assert (extra.cause, extra.evidence["links"][0][1]) == ("extra", {"neighbour": "printer eth0"})
    assert wrong.cause == "wrong-port"
    assert wrong.evidence["moves"] == [
        {"from": {"neighbour": "lab-sw 7"}, "to": bench.view.end(nic), "other": [bench.view.end(port)]}
    ]


# who is believed


def test_a_device_that_says_nothing_has_no_wiring_fault() -> None:
    bench = made("superpod-h100-1su")
    dumb = bench.view.device_ids["dgx-0003"]
    claims = bench.claims()
    own = bench.view.device == dumb
    claims.far[own] = NONE
    claims.far[bench.view.peer[own][bench.view.peer[own] != NONE]] = NONE
    assert compare(claims, bench.plugs).signals == ()


@pytest.mark.parametrize("silent", ["hosts", "switches"])
def test_either_end_may_speak_for_a_link(silent: str) -> None:
    bench = made("superpod-h100-1su")
    hosts = bench.plan.fabric.hosts.height
    (_, a), (_, b) = bench.links(tier="host-leaf", b_device=LEAF)[:2]
    bench.exchange(a, b)
    dumb = range(hosts) if silent == "hosts" else range(hosts, hosts + bench.plan.fabric.switches.height)
    found = compare(bench.claims(dumb), bench.plugs)
    assert told(found.signals) == [("swap", 2)]


def test_ends_that_disagree_are_not_believed() -> None:
    bench = made("superpod-h100-1su")
    (_, a), (_, b) = bench.links(tier="host-leaf", b_device=LEAF)[:2]
    claims = bench.claims()
    bench.exchange(a, b)
    news = bench.claims().far
    claims.far[[a, b]] = news[[a, b]]
    found = compare(claims, bench.plugs)
    assert found.signals == ()
    assert found.right == len(bench.links()) - 2


def test_a_neighbour_whose_port_has_no_known_name_is_right_if_its_device_is() -> None:
    bench = made("superpod-h100-1su")
    nic, port = bench.links(tier="host-leaf", b_device=LEAF)[3]
    claims = bench.claims()
    claims.far[nic] = NONE
    claims.take([port], np.array([NOWHERE]), bench.view.device[[nic]], [("?", "")])
    assert compare(claims, bench.plugs).signals == ()
    claims.far_device[port] += 1
    assert [s.cause for s in compare(claims, bench.plugs).signals] == ["wrong-port"]


def test_a_neighbour_without_a_name_may_be_the_right_one() -> None:
    bench = made("superpod-h100-1su")
    nic, port = bench.links(tier="host-leaf", b_device=LEAF)[3]
    mac = "02:00:5e:10:00:01"
    for macs, expected in (({}, UNNAMED), ({nic: mac}, nic)):
        far, device = Names(bench.view, macs).resolve([mac, None], [mac, None], [None, None])
        assert far.to_list() == [expected, UNNAMED]
        assert device.to_list() == [bench.view.device[nic] if macs else NONE, NONE]
    claims = bench.claims()
    claims.far[nic] = NONE
    claims.take([port], np.array([UNNAMED]), np.array([NONE]), [("", mac)])
    assert compare(claims, bench.plugs).signals == ()


def test_a_host_of_another_name_in_its_own_place_is_no_wiring_fault() -> None:
    bench = made("superpod-h100-1su")
    host = bench.view.device_ids["dgx-0003"]
    nics = np.flatnonzero((bench.view.device == host) & (bench.peer != NONE))
    claims = bench.claims()
    ports = bench.peer[nics]
    claims.far[nics] = NONE
    said = [("node17", "eth0")] * len(nics)
    claims.take(ports.tolist(), np.full(len(ports), NOWHERE), np.full(len(ports), NONE), said)
    assert compare(claims, bench.plugs).signals == ()
    a, b = int(ports[0]), next(p for _, p in bench.links(b_device=LEAF) if p != ports[0])
    claims.far[bench.peer[b]] = NONE
    claims.take([b], np.array([NOWHERE]), np.array([NONE]), [("node17", "eth0")])
    assert bench.view.device[a] == bench.view.device[b]
    assert "wrong-port" in {signal.cause for signal in compare(claims, bench.plugs).signals}


def test_management_controllers_with_names_of_their_own_are_no_wiring_fault() -> None:
    bench = made("starter-32")
    claims = bench.claims()
    hosts = bench.plan.fabric.hosts.height
    ports = [b for a, b in bench.links(tier="oob") if bench.view.device[a] < hosts]
    claims.far[bench.peer[ports]] = NONE
    said = [(f"bmc-{port}", "eth0") for port in ports]
    claims.take(ports, np.full(len(ports), NOWHERE), np.full(len(ports), NONE), said)
    assert len(ports) > 30
    assert compare(claims, bench.plugs).signals == ()


# the fewest moves


@given(st.integers(0, 10_000), st.sampled_from(["twin-cages", "three-tier", "two-tier", "rail-only"]))
def test_the_moves_put_everything_right(seed: int, name: str) -> None:
    """Plugs of like sockets in any order among these and free ones."""
    bench, rng = made(name), random.Random(seed)
    ports = sorted({bench.sockets_ports(p)[0] for link in bench.links() for p in link})
    size = len(bench.sockets_ports(rng.choice(ports)))
    alike = [p for p in ports if len(bench.sockets_ports(p)) == size]
    chosen = rng.sample(alike, min(len(alike), rng.choice([2, 3, 5, 9, 40])))
    places = list(chosen)
    places += bench.empty(bench.view.device_names[bench.view.device[chosen[0]]], chosen[0])[: rng.randrange(2)]
    rng.shuffle(places)
    bench.replug(dict(zip(chosen, places, strict=False)))
    moved = sum(a != b for a, b in zip(chosen, places, strict=False))
    signals = bench.compared().signals
    assert not {signal.cause for signal in signals} & {"extra", "missing"}
    assert bench.mend(signals) <= moved
    found = bench.compared()
    assert found.signals == ()
    assert found.right == len(bench.links())


def placements(bench: Rewired, wanted: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ports of every cable that would do for one of these links."""
    own = set(wanted)
    trunks: dict[int, list[tuple[int, int]]] = {}
    for a, b in own:
        trunks.setdefault(int(bench.plugs.trunk[a]), []).append((a, b))
    return [(a, b) for links in trunks.values() for (a, _), (_, b) in product(links, links)]


def least(bench: Rewired, cables: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> tuple[int, int]:
    """By trying everything: links that lack a cable, and moves, at least. An end of each cable stays or it is out."""
    possible = placements(bench, wanted)

    def choices(at: int, used: frozenset[int]) -> Iterator[tuple[int, int]]:
        if at == len(cables):
            yield 0, 0
            return
        for filled, moves in choices(at + 1, used):
            yield filled, moves
        x, y = cables[at]
        for a, b in possible:
            stays = max((x == a) + (y == b), (x == b) + (y == a))
            if stays and a not in used and b not in used:
                for filled, moves in choices(at + 1, used | {a, b}):
                    yield filled + 1, moves + 2 - stays

    filled, moves = min(choices(0, frozenset()), key=lambda found: (-found[0], found[1]))
    return len(wanted) - filled, moves


@given(st.integers(0, 10_000), st.sampled_from(["twin-cages", "three-tier", "superpod-h100-1su"]))
def test_no_list_of_moves_is_shorter(seed: int, name: str) -> None:
    bench, rng = made(name), random.Random(seed)
    leaf = rng.choice(
        sorted({bench.view.device_names[bench.view.device[a]] for a, _ in bench.links(tier="leaf-spine")})
    )
    near = bench.links(tier="leaf-spine", a_device=leaf) + bench.links(tier="host-leaf", b_device=leaf)
    wanted = rng.sample(near, min(len(near), rng.randint(2, 4)))
    ends = [p for link in wanted for p in link]
    ends += bench.empty(leaf, ends[0])[: rng.randrange(3)]
    for a, _ in wanted:
        bench.unplug(a)
    rng.shuffle(ends)
    cables = [(min(pair), max(pair)) for pair in zip(ends[::2], ends[1::2], strict=False)][: len(wanted)]
    for x, y in cables:
        bench.peer[x], bench.peer[y] = y, x
    signals = bench.compared().signals
    lacking, moves = least(bench, cables, wanted)
    extra = sum(signal.cause == "extra" for signal in signals)
    assert len(wanted) - (len(cables) - extra) == lacking
    assert sum(len(signal.evidence.get("moves", ())) for signal in signals) == moves


def test_a_trunk_that_lacks_a_member_says_so_however_the_others_are_plugged() -> None:
    bench = made("twin-cages")
    (a, _), (b, _) = bench.links(tier="leaf-spine", a_device=LEAF)[:2]
    bench.exchange(a, b)
    bench.unplug(a)
    found = bench.compared()
    assert [signal.cause for signal in found.signals] == ["missing"]
    assert found.right == len(bench.links()) - 1


@given(st.lists(st.dictionaries(st.integers(0, 3), st.integers(0, 5), max_size=4), max_size=5), st.data())
def test_assignments_are_the_cheapest(costs: list[dict[int, int]], data: st.DataObject) -> None:
    room = {column: data.draw(st.integers(0, 3)) for column in range(4)}
    found = assign(costs, room)

    def price(choice: Iterable[int | None]) -> tuple[int, int] | None:
        picked = list(choice)
        if any(picked.count(column) > room[column] for column in room):
            return None
        paid = [row[c] for row, c in zip(costs, picked, strict=True) if c is not None]
        return len(costs) - len(paid), sum(paid)

    best = min(p for choice in product(*([*row, None] for row in costs)) if (p := price(choice)) is not None)
    assert price(found) == best


def test_links_of_strangers_claims_stay_within_the_plan() -> None:
    bench = made("pair")
    rng = np.random.default_rng(1)
    for _ in range(200):
        claims = bench.claims()
        n = len(claims.far)
        claims.take(range(n), rng.integers(-3, n, n), rng.integers(-1, 5, n), [("?", "")] * n)
        found = links(claims, bench.plugs)
        ends = found.ports.tolist()
        assert len(ends) == len(set(ends)), "a port is at the end of one link"
        compare(claims, bench.plugs)
