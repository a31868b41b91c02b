"""frr.conf: accepted by vtysh, mirrored at both ends, and run by FRR routers (tests/twin_frr.py)."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from conftest import need
from small_plans import plan_of
from twin_frr import WORLD, Twin, twin, wait

from fabric.addressing import addresses
from fabric.catalogue import load_catalogue
from fabric.exports.frr import PRODUCTION, Timers, configs
from fabric.exports.frr.domains import domains, span
from fabric.exports.frr.kinds import Kind, ordered
from fabric.intent import Intent, load_intent
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "frr"
EXAMPLES = HERE.parent / "examples"
CLOSED = ("twenty", "unnumbered", "outside")
FAMILIES = ("ipv4", "ipv6")
CONVERGED_S = 60


@cache
def plan(path: Path, nos: str | None = None) -> Plan:
    """The plan of an intent; with ``nos`` all its Ethernet switches run that."""
    intent = load_intent(path)
    if nos is not None:
        intent = _with_nos(intent, nos)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def _with_nos(intent: Intent, nos: str) -> Intent:
    networks = {
        name: one if one.technology == "infiniband" else one.model_copy(update={"nos": nos})
        for name, one in intent.networks.items()
    }
    return intent.model_copy(update={"networks": networks})


def small(name: str) -> Plan:
    return plan(GOLDEN / f"{name}.yaml")


def files(plan: Plan) -> dict[str, str]:
    """``frr.conf`` by switch."""
    made = {path: content.decode() for path, content in configs(plan)}
    return {path.split("/")[1]: text for path, text in made.items() if path.endswith("/frr.conf")}


def refused(texts: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What vtysh says of the files that it does not accept, by switch."""
    program = need("frr")

    def check(name: str) -> str:
        path = folder / f"{name}.conf"
        path.write_text(texts[name])
        done = subprocess.run([program, "-C", "-f", str(path)], text=True, capture_output=True)
        return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")

    with ThreadPoolExecutor(2) as pool:
        said = dict(zip(texts, pool.map(check, texts), strict=True))
    return {name: text for name, text in said.items() if text}


@pytest.mark.parts
@pytest.mark.parametrize("nos", ["frr", "sonic"])
def test_vtysh_accepts_every_file_of_the_starter(nos: str, tmp_path: Path) -> None:
    texts = files(plan(EXAMPLES / "starter-32.yaml", nos))
    assert len(texts) == 13
    assert refused(texts, tmp_path) == {}


@pytest.mark.parts
@pytest.mark.parametrize("name", CLOSED)
def test_vtysh_accepts_small_fabrics(name: str, tmp_path: Path) -> None:
    assert refused(files(small(name)), tmp_path) == {}


@pytest.mark.parts
@pytest.mark.parametrize("name", ["two-tier", "three-tier", "rail-only", "pair"])
def test_vtysh_accepts_every_layout(name: str, tmp_path: Path) -> None:
    assert refused(files(plan_of(name)), tmp_path) == {}


@pytest.mark.parts
@pytest.mark.slow
def test_vtysh_accepts_a_whole_pod(tmp_path: Path) -> None:
    texts = files(plan(EXAMPLES / "hpn7-pod.yaml"))
    assert len(texts) > 400
    assert refused(texts, tmp_path) == {}


@pytest.mark.parts
def test_vtysh_refuses_a_mistake(tmp_path: Path) -> None:
    text = files(small("twenty"))["spine-compute-d00-000"]
    wrong = text.replace("maximum-paths 64", "maximum-paths 6400"), text.replace("remote-as", "remote-asn", 1)
    assert set(refused({"a": wrong[0], "b": wrong[1], "c": text}, tmp_path)) == {"a", "b"}


@pytest.mark.parametrize("name", ["leaf-frontend-s000-l0-p0", "spine-frontend-d00-000", "leaf-oob-s000-l0-p0"])
def test_files_of_a_frontend_are_as_reviewed(name: str) -> None:
    made = {path: content for path, content in configs(small("outside")) if path.startswith(f"configs/{name}/")}
    expected = GOLDEN / "outside" / name
    assert {path.rsplit("/", 1)[1]: text for path, text in made.items()} == {
        path.name: path.read_bytes() for path in expected.iterdir()
    }


@pytest.mark.parametrize("name", ["core-compute-g000-000", "spine-compute-d01-001", "leaf-compute-s001-l0-p0"])
def test_unnumbered_files_are_as_reviewed(name: str) -> None:
    expected = (GOLDEN / "unnumbered" / name / "frr.conf").read_text()
    assert files(small("unnumbered"))[name] == expected


_NEIGHBOUR = re.compile(r"^ neighbor (\S+) (?:interface )?remote-as (\S+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r"^ neighbor (\S+) description (\S+) (\S+)$", re.MULTILINE)


@pytest.mark.parametrize(
    "planned",
    [small("twenty"), small("unnumbered"), plan_of("rail-only"), plan_of("pair"), plan(EXAMPLES / "starter-32.yaml")],
    ids=["twenty", "unnumbered", "rail-only", "pair", "starter-32"],
)
def test_each_session_is_the_same_at_both_ends(planned: Plan) -> None:
    """An end names the other's AS number; the other's description names this end's port, and as often."""
    texts = files(planned)
    own = {name: re.search(r"^router bgp (\d+)$", text, re.MULTILINE) for name, text in texts.items()}
    said: Counter[tuple[str, str]] = Counter()
    for name, text in texts.items():
        remote = dict(_NEIGHBOUR.findall(text))
        for address, peer, _ in _DESCRIPTION.findall(text):
            number = own[peer]
            assert number is not None
            assert remote[address] == number[1]
            said[name, peer] += 1
    assert said
    assert all(said[b, a] == count for (a, b), count in said.items())


def test_every_router_has_a_session_a_family_and_link() -> None:
    """Counted from the tables."""
    planned = small("twenty")
    texts = files(planned)
    links = planned.fabric.links.filter(pl.col("tier") == "leaf-spine")
    names = planned.fabric.device_names()
    degree = Counter([names[d] for d in [*links["a_device"], *links["b_device"]]])
    assert {name: len(_NEIGHBOUR.findall(text)) for name, text in texts.items()} == {
        n: 2 * c for n, c in degree.items()
    }


def test_spines_of_different_pods_have_different_as_numbers() -> None:
    """So that no router needs ``allowas-in``: a path never holds an AS twice."""
    planned = small("unnumbered")
    table = planned.fabric.switches.with_columns(asn=addresses(planned).switches["asn"])
    spines = table.filter(pl.col("tier") == "spine")
    assert spines.group_by("pod").agg(pl.col("asn").n_unique())["asn"].to_list() == [1, 1]
    assert spines["asn"].n_unique() == 2
    assert not any("allowas-in" in text for text in files(planned).values())


@pytest.mark.parametrize("name", CLOSED)
def test_a_route_may_have_all_planned_next_hops(name: str) -> None:
    planned = small(name)
    names, links = planned.fabric.device_names(), planned.fabric.links
    ups = links.filter(pl.col("tier").is_in(["leaf-spine", "spine-core"])).group_by("a_device").len()
    texts = files(planned)
    for device, count in ups.iter_rows():
        paths = [int(n) for n in re.findall(r"maximum-paths (\d+)", texts[names[device]])]
        assert len(paths) == 2
        assert min(paths) >= count


def test_many_uplinks_raise_maximum_paths() -> None:
    """Leaves with more than 64 uplinks: the daemons are told too."""
    domain = domains(small("twenty"), addresses(small("twenty")))["compute"]
    groups = [ordered({"spines": count}) for count in (8, 65, 300)]
    kinds = [Kind("leaf", domain, group, numbered=True, own=3, timers=PRODUCTION) for group in groups]
    assert [kind.paths for kind in kinds] == [64, 65, 256]


def test_only_loopbacks_and_summaries_get_through() -> None:
    text = files(small("twenty"))["spine-compute-d00-000"]
    lists = re.findall(r"^(ip(?:v6)?) prefix-list FABRIC seq \d+ permit (.*)$", text, re.MULTILINE)
    assert lists == [
        ("ip", "10.255.0.0/16 ge 32"),
        ("ip", "10.0.0.0/10 ge 29 le 29"),
        ("ipv6", "fd00:ff::/32 ge 128"),
        ("ipv6", "fd00:1::/32 ge 64 le 64"),
    ]
    assert "DEFAULT" not in text


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([26], " ge 26 le 26"), ([24, 26], " ge 24 le 26"), ([10, 12], " le 12"), ([10], ""), ([32], " ge 32")],
)
def test_a_span_is_what_frr_takes(lengths: list[int], expected: str) -> None:
    """FRR wants length < ge ≤ le."""
    assert span("10.0.0.0/10", lengths, 32) == "10.0.0.0/10" + expected


def test_timers_change_nothing_else() -> None:
    planned = small("twenty")
    slow, fast = dict(configs(planned)), dict(configs(planned, timers=Timers(1, 3, 1, 1000)))
    assert slow.keys() == fast.keys()
    changed = {
        (before.split()[-2], before.split()[-1], *after.split()[-2:])
        for path, content in slow.items()
        for before, after in zip(content.decode().splitlines(), fast[path].decode().splitlines(), strict=True)
        if before != after
    }
    assert changed == {
        ("3", "9", "1", "3"),
        ("connect", "10", "connect", "1"),
        ("receive-interval", "300", "receive-interval", "1000"),
        ("transmit-interval", "300", "transmit-interval", "1000"),
    }


def test_the_same_plan_gives_the_same_bytes() -> None:
    path = GOLDEN / "outside.yaml"
    assert list(configs(plan(path))) == list(configs(plan.__wrapped__(path)))


def test_other_switches_have_no_files() -> None:
    assert list(configs(plan(EXAMPLES / "starter-32.yaml", "eos"))) == []
    assert list(configs(plan(EXAMPLES / "superpod-h100-1su.yaml", "eos"))) == []


def test_a_router_takes_two_milliseconds() -> None:
    planned = plan(EXAMPLES / "hpn7-pod.yaml")
    addresses(planned)
    start = time.process_time()
    count = sum(path.endswith("frr.conf") for path, _ in configs(planned))
    assert (time.process_time() - start) / count < 0.004  # twice what is promised: machines differ


def next_hops(plan: Plan, dead: frozenset[int] = frozenset()) -> dict[str, dict[str, dict[str, int]]]:
    """By family, leaf and prefix: next hops that each leaf has to every other's loopback and host subnets.

    First links of all shortest paths over live links, of one network, between routers.
    """
    names, known = plan.fabric.device_names(), addresses(plan)
    near: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for link, tier, a, b in plan.fabric.links.select("id", "tier", "a_device", "b_device").iter_rows():
        if tier in ("leaf-spine", "spine-core", "leaf-leaf") and link not in dead:
            near[a][b] += 1
            near[b][a] += 1
    leaves = plan.fabric.switches.filter((pl.col("tier") == "leaf") & (pl.col("network") != "oob"))["id"].to_list()
    found: dict[str, dict[str, dict[str, int]]] = {f: {names[leaf]: {} for leaf in leaves} for f in FAMILIES}
    first = plan.fabric.hosts.height
    for target in leaves:
        far = _distances(near, target)
        subnets = known.leaf_subnets.filter(pl.col("leaf") == target)
        for family, full in (("ipv4", 32), ("ipv6", 128)):
            loopback = f"{known.switches[f'loopback_{family}'][target - first]}/{full}"
            for leaf in leaves:
                count = sum(n for peer, n in near[leaf].items() if leaf in far and far[peer] == far[leaf] - 1)
                if leaf != target and count:
                    found[family][names[leaf]] |= dict.fromkeys([loopback, *subnets[f"subnet_{family}"]], count)
    return found


def _distances(near: Mapping[int, Mapping[int, int]], target: int) -> dict[int, int]:
    far, edge = {target: 0}, [target]
    while edge:
        edge = [
            peer for node in edge for peer in near[node] if peer not in far and not far.update({peer: far[node] + 1})
        ]
    return far


def differences(running: Twin, expected: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[tuple[object, ...]]:
    """Where FRR or the kernel has other next hops to leaves than expected."""
    wrong: list[tuple[object, ...]] = []
    for family, leaves in expected.items():
        every = {prefix for routes in leaves.values() for prefix in routes}
        for leaf, routes in leaves.items():
            for who in ("frr", "kernel"):
                have = getattr(running, f"{who}_next_hops")(leaf, family)
                have = {prefix: count for prefix, count in have.items() if prefix in every}
                if have != routes:
                    wrong.append((who, family, leaf, set(routes.items()) ^ set(have.items())))
    return wrong


def settles(running: Twin, expected: Mapping[str, Mapping[str, Mapping[str, int]]]) -> float:
    """Seconds until all next hops are as expected."""
    last: list[tuple[object, ...]] = []

    def done() -> bool:
        last[:] = differences(running, expected)
        return not last

    try:
        return wait(done, CONVERGED_S)
    except pytest.fail.Exception:
        pytest.fail(f"{len(last)} differences, first: {last[:3]}")


def hosts_reach(running: Twin, rail: int) -> list[str]:
    """Hosts that an echo from the first host on a rail does not come back from, IPv4 and IPv6."""
    names = running.plan.fabric.device_names()
    rows = addresses(running.plan).host_ports.filter((pl.col("rail") == rail) & (pl.col("plane") == 0))
    first, *others = rows.iter_rows(named=True)
    return [
        f"{names[row['device']]} {row[family]}"
        for row in others
        for family in FAMILIES
        if not running.reaches(names[first["device"]], first[family], row[family])
    ]


@pytest.mark.parts
@pytest.mark.slow
def test_twenty_routers_have_the_planned_next_hops() -> None:
    planned = small("twenty")
    assert planned.fabric.switches.height == 20
    whole = next_hops(planned)
    assert {count for routes in whole["ipv4"].values() for count in routes.values()} == {4}
    links = planned.fabric.links.filter(pl.col("tier") == "leaf-spine")
    with twin(planned) as running:
        settles(running, whole)
        assert hosts_reach(running, rail=1) == []
        loopbacks = addresses(planned).switches
        for family in FAMILIES:
            ends = loopbacks[f"loopback_{family}"]
            assert all(running.reaches(running.routers[0], ends[0], ends[n]) for n in (1, 5, 15, 16))
        cut = links.row(5, named=True)
        shrunk = next_hops(planned, frozenset([cut["id"]]))
        assert shrunk != whole
        running.port(cut["a_device"], cut["a_port"], "down")
        settles(running, shrunk)
        assert hosts_reach(running, rail=1) == []
        running.port(cut["a_device"], cut["a_port"], "up")
        settles(running, whole)


@pytest.mark.parts
@pytest.mark.slow
def test_unnumbered_pods_meet_at_the_cores() -> None:
    planned = small("unnumbered")
    whole = next_hops(planned)
    links = planned.fabric.links.filter(pl.col("tier") == "leaf-spine")
    with twin(planned) as running:
        settles(running, whole)
        assert hosts_reach(running, rail=0) == []
        cut = links.row(0, named=True)
        running.port(cut["b_device"], cut["b_port"], "down")
        settles(running, next_hops(planned, frozenset([cut["id"]])))
        running.port(cut["b_device"], cut["b_port"], "up")
        settles(running, whole)


_WORLD = """frr defaults datacenter
hostname world
ip route 192.0.2.0/24 blackhole
router bgp 65000
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 neighbor ours peer-group
 neighbor ours timers connect 1
{neighbours}
 address-family ipv4 unicast
  network 192.0.2.0/24
  neighbor ours activate
  neighbor ours default-originate
 exit-address-family
 address-family ipv6 unicast
  neighbor ours activate
  neighbor ours default-originate
 exit-address-family
exit
"""


@pytest.mark.parts
@pytest.mark.slow
def test_frontend_leads_out_and_to_the_oob_network() -> None:
    planned = small("outside")
    leaves = [name for name in planned.fabric.switches["name"] if name.startswith("leaf-frontend")]
    uplinks = planned.fabric.links.filter(pl.col("b_device").is_null()).rows(named=True)
    neighbours = "\n".join(
        f" neighbor w{n} interface remote-as external\n neighbor w{n} peer-group ours" for n in range(len(uplinks))
    )
    with twin(planned, world=_WORLD.format(neighbours=neighbours)) as running:
        settles(running, next_hops(planned))
        wait(lambda: all(_default(running, leaf, f) == 1 for leaf in leaves for f in FAMILIES), CONVERGED_S)
        wait(lambda: _given(running) >= _announced(planned), CONVERGED_S)
        assert _leaks(running, leaves) == []
        assert hosts_reach(running, rail=0) == []
        running.port(uplinks[0]["a_device"], uplinks[0]["a_port"], "down")
        wait(lambda: all(_default(running, leaves[0], f) == 2 for f in FAMILIES), CONVERGED_S)
        _oob_is_reached(running)


def _given(running: Twin) -> set[str]:
    """Prefixes that what is outside hears of."""
    return set(running.vtysh(WORLD, "show bgp ipv4 unicast")["routes"])


def _announced(plan: Plan) -> set[str]:
    """Every loopback and every host subnet."""
    known = addresses(plan)
    return {*known.leaf_subnets["subnet_ipv4"], *(known.switches["loopback_ipv4"] + "/32")}


def _default(running: Twin, node: str, family: str) -> int:
    """Next hops of the kernel's default route."""
    return running.kernel_next_hops(node, family).get({"ipv4": "default/32", "ipv6": "default/128"}[family], 0)


def _leaks(running: Twin, leaves: list[str]) -> list[str]:
    """What the fabric takes or gives though it should not: prefixes of others, links, AS numbers of its inside."""
    taken = [leaf for leaf in leaves if "192.0.2.0/24" in running.frr_next_hops(leaf, "ipv4")]
    given = running.vtysh(WORLD, "show bgp ipv4 unicast")["routes"]
    known = {*_announced(running.plan), "192.0.2.0/24"}
    return taken + [
        f"{prefix} by {path['path']}"
        for prefix, paths in given.items()
        for path in paths
        if prefix not in known or len(set(path["path"].split())) > 1
    ]


def _oob_is_reached(running: Twin) -> None:
    """From a spine, by either uplink alone."""
    planned, known = running.plan, addresses(running.plan)
    spine = planned.fabric.switches.filter(pl.col("tier") == "spine").row(0, named=True)["name"]
    host = known.management.sort("port").row(0, named=True)
    source = dict(zip(running.routers, known.switches["loopback_ipv4"], strict=True))[spine]
    assert running.reaches(spine, source, host["ipv4"])
    for link in planned.fabric.links.filter((pl.col("network") == "oob") & (pl.col("tier") == "uplink")).rows(
        named=True
    ):
        running.port(link["a_device"], link["a_port"], "down")
        wait(lambda: running.reaches(spine, source, host["ipv4"]), CONVERGED_S)
        running.port(link["a_device"], link["a_port"], "up")
        wait(lambda: running.reaches(spine, source, host["ipv4"]), CONVERGED_S)


ALONE = """name: alone
hosts: [{name: stor, model: nvme-storage-2x200, count: 4, role: storage}]
networks:
  storage: {technology: roce, nos: frr, tiers: 1, planes: 1, switches: {leaf: [box-25.6t]}}
  oob: {technology: ethernet, uplinks: {count: 2, speed_gbps: 100, to: external}, switches: {leaf: [sn2201]}}
"""


@pytest.mark.parts
def test_a_switch_without_peers_has_no_bgp(tmp_path: Path) -> None:
    """And an oob leaf says which ports lead to what the plan does not know."""
    path = tmp_path / "alone.yaml"
    path.write_text(ALONE)
    made = {name: content.decode() for name, content in configs(plan(path))}
    texts = {name: text for name, text in made.items() if name.endswith("frr.conf")}
    assert len(texts) == 2
    assert not any(re.search(r"^(router bgp|ip(v6)? route) ", text, re.MULTILINE) for text in texts.values())
    assert "bgpd=no\n" in made["configs/leaf-storage-s000-l0-p0/daemons"]
    outside = plan(path).fabric.ports.filter(pl.col("use") == "external")["name"].str.join(" ").item()
    assert f"! {outside}: not ours" in made["configs/leaf-oob-s000-l0-p0/frr.conf"]
    assert refused({name.split("/")[1]: text for name, text in texts.items()}, tmp_path) == {}
