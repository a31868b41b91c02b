"""``railwright verify``: LLDP files, a subnet, the store; on made-up words, real lldpd daemons and a real ibsim."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import need
from hypothesis import given, settings
from hypothesis import strategies as st
from ibfabric import ibsim
from lldp_daemons import daemons
from planned import planned
from rewired import Rewired
from small_plans import plan_of

from collectors.detectors.view import NONE, view
from collectors.detectors.wiring.ibnet import cables, claims
from collectors.sources.lldp import COLUMNS
from collectors.store import open_store
from fabric.bundle import write_plan
from fabric.errors import InputError
from fabric.exports import infiniband
from fabric.guids import hexadecimal
from fabric.inventory import Inventory
from fabric.plan import Plan
from fabric.samples import schema
from railwright.cli import main

LEAF, HOSTS = "leaf-compute-s000-l0-p0", ("gpu-0000", "gpu-0001")
POD = "superpod-h100-1su"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plans ``roce`` and ``ib``."""
    made = tmp_path_factory.mktemp("plans")
    write_plan(plan_of("three-tier"), made / "roce")
    write_plan(planned(POD), made / "ib")
    return made


def verified(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings."""
    capsys.readouterr()
    code = main(["verify", *map(str, words), "--json"])
    said = capsys.readouterr()
    assert code < 2, said.err
    return code, [json.loads(line) for line in said.out.splitlines()]


def swapped_leaf_ports(bench: Rewired) -> tuple[int, int]:
    (_, a), (_, b) = bench.links(tier="host-leaf", b_device=LEAF)[:2]
    bench.exchange(a, b)
    return a, b


# LLDP files


def neighbour(bench: Rewired, port: int, form: int) -> dict[str, Any]:
    """An interface as lldpcli writes it: by name, by alias in the older form, or by MAC with the name beside it."""
    row = bench.plan.fabric.ports.row(port, named=True)
    name = bench.view.end(port)["device"]
    if form == 0:
        chassis = {"id": [{"type": "mac", "value": "02:00:00:00:00:01"}], "name": [{"value": name}]}
        return {"chassis": [chassis], "port": [{"id": [{"type": "ifname", "value": row["name"]}]}]}
    if form == 1:
        return {"chassis": {name.upper(): {"id": {"type": "mac", "value": "02:00:00:00:00:01"}}},
                "port": {"id": {"type": "ifalias", "value": row["alias"]}}}  # fmt: skip
    own = {"id": {"type": "mac", "value": "02:00:00:00:00:02"}, "descr": row["name"]}
    return {"chassis": {f"{name}.dc.example": {"id": {"type": "local", "value": "x"}}}, "port": own}


def write_files(bench: Rewired, folder: Path) -> list[str]:
    """A file a device that has any cable."""
    folder.mkdir()
    for device, name in enumerate(bench.view.device_names):
        form = device % 3
        own = (bench.view.device == device) & (bench.peer != NONE)
        rows = [
            (bench.view.port_names[p], neighbour(bench, int(bench.peer[p]), form)) for p in own.nonzero()[0].tolist()
        ]
        found: Any = {"lldp": {"interface": [{port: said} for port, said in rows]}}
        if form == 0:
            found = {"lldp": [{"interface": [{"name": port, **said} for port, said in rows]}]}
        elif len(rows) == 1:
            found = {"lldp": {"interface": dict(rows)}}
        (folder / f"{name}.json").write_text(json.dumps(found))
    return sorted(str(path) for path in folder.iterdir())


def test_files_of_a_fabric_as_planned(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Rewired(plan_of("three-tier"))
    files = write_files(bench, tmp_path / "lldp")
    assert verified(capsys, folder / "roce", "--lldp", *files) == (0, [])
    assert main(["verify", str(folder / "roce"), "--lldp", *files]) == 0
    links = len(bench.links())
    assert capsys.readouterr().out == f"{links} links heard, {links} as planned: 0 findings, 0 moves\n"


def test_a_swap_is_told_with_its_moves(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Rewired(plan_of("three-tier"))
    a, b = swapped_leaf_ports(bench)
    files = write_files(bench, tmp_path / "lldp")
    code, (finding,) = verified(capsys, folder / "roce", "--lldp", *files)
    assert code == 1
    assert {key: finding[key] for key in ("version", "code", "cause", "severity", "state", "first_seen", "jobs")} == {
        "version": 1, "code": "miswire", "cause": "swap", "severity": "error", "state": "open", "first_seen": None,
        "jobs": [],
    }  # fmt: skip
    assert finding["subject"] == {"ends": [bench.view.end(p) for p in sorted((a, b))]}
    assert main(["verify", str(folder / "roce"), "--lldp", *files]) == 1
    told = capsys.readouterr().out.splitlines()
    one, other = (" ".join(bench.view.end(p).values()) for p in sorted((a, b)))
    assert told[0] == "error: miswire: swap: 2 moves; see docs/runbook.md#miswire"
    assert sorted(line.split(" (")[0] for line in told[1:3]) == sorted(
        [f"  move the end at {one} to {other}", f"  move the end at {other} to {one}"]
    )


def test_one_devices_file_is_enough_for_its_cables(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Rewired(plan_of("three-tier"))
    swapped_leaf_ports(bench)
    write_files(bench, tmp_path / "lldp")
    (tmp_path / "lldp" / f"{LEAF}.json").rename(tmp_path / "odd=name.json")
    code, (finding,) = verified(capsys, folder / "roce", "--lldp", f"{LEAF}={tmp_path}/odd=name.json")
    assert (code, finding["cause"]) == (1, "swap")


def test_a_cable_that_is_not_there_is_a_warning(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Rewired(plan_of("three-tier"))
    a, b = bench.links(tier="leaf-spine", a_device=LEAF)[0]
    bench.unplug(a)
    code, (finding,) = verified(capsys, folder / "roce", "--lldp", *write_files(bench, tmp_path / "lldp"))
    assert (code, finding["cause"], finding["severity"]) == (0, "missing", "warning")
    assert finding["subject"] == {"link": [bench.view.end(a), bench.view.end(b)]}


def test_all_that_is_wrong_with_files_is_told_at_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpu-0000.json").write_text("[1, 2")
    (tmp_path / "gpu-0001.json").write_text('{"interfaces": 3}')
    names = ["gpu-0000.json", "gpu-0001.json", "gpu-0002.json", "gpu-00003.json", "gpu-0001=again.json"]
    words = [str(tmp_path / name) if "=" not in name else name for name in names]
    assert main(["verify", str(folder / "roce"), "--lldp", *words]) == 2
    told = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
    asked = "write it by `lldpcli -f json0 show neighbors`"
    assert told == [
        f"railwright: error: gpu-0000.json: is no JSON; {asked}",
        f"railwright: error: gpu-0001.json: has no neighbours of LLDP in it; {asked}",
        "railwright: error: gpu-0002.json: cannot be read: no such file or directory; name a file of lldpcli",
        'railwright: error: gpu-00003.json: the plan has no device "gpu-00003"; did you mean "gpu-0003"?; '
        "or write DEVICE=gpu-00003.json",
        "railwright: error: gpu-0001=again.json: gpu-0001 has the file gpu-0001.json already; give one file a device",
    ]


@pytest.mark.parametrize("words", [[], ["--live", "--ibnetdiscover", "x"], ["--live", "y"]])
def test_one_source_is_asked_for(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder / "roce"), *words]) == 2
    assert "see `railwright verify --help`" in capsys.readouterr().err


# the store


def test_live_reads_the_newest_neighbours(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench, url = Rewired(plan_of("three-tier")), f"duckdb:{tmp_path}/s.duckdb"
    now = time.time_ns() // 1_000_000 * 1_000_000
    newest = now - 10_000_000_000
    opened = open_store(url)
    opened.write(samples(bench, now - 60_000_000_000))
    swapped_leaf_ports(bench)
    opened.write(samples(bench, newest))
    opened.close()
    code, (finding,) = verified(capsys, folder / "roce", "--live", "--store", url)
    assert (code, finding["cause"], finding["last_seen"]) == (1, "swap", newest)


def samples(bench: Rewired, at_ns: int) -> pl.DataFrame:
    ports = (bench.peer != NONE).nonzero()[0].tolist()
    own = [bench.view.end(p) for p in ports]
    far = [bench.view.end(int(bench.peer[p])) for p in ports]
    data = {
        "time_ns": at_ns, "received_ns": at_ns, "device": [end["device"] for end in own],
        "port": [end["port"] for end in own], "lldp_system": [end["device"] for end in far],
        "lldp_chassis": None, "lldp_port": [end["port"] for end in far], "lldp_port_description": None,
    }  # fmt: skip
    return pl.DataFrame(data, schema_overrides=schema(COLUMNS))


def test_a_store_without_neighbours_is_no_clean_bill(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(f"duckdb:{tmp_path}/s.duckdb").close()
    assert main(["verify", str(folder / "roce"), "--live", "--store", f"duckdb:{tmp_path}/s.duckdb"]) == 2
    assert "has no neighbours of the last 10 minutes" in capsys.readouterr().err


# InfiniBand


def net_swapped(text: str, node: str, one: int, other: int) -> str:
    """A topology with the plugs in two ports of a switch exchanged, at both of their ends."""
    block = re.search(rf'^Switch\s+\d+ "{node}".*?(?=\n\n|\Z)', text, re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = {n: re.search(rf"^\[{n}\](.*)$", block[0], re.MULTILINE) for n in (one, other)}
    first, second = lines[one], lines[other]
    assert first is not None
    assert second is not None
    new = block[0].replace(first[0], "\0").replace(second[0], f"[{other}]{first[1]}")
    text = text.replace(block[0], new.replace("\0", f"[{one}]{second[1]}"))
    text = text.replace(f'"{node}"[{one}]', "\0").replace(f'"{node}"[{other}]', f'"{node}"[{one}]')
    return text.replace("\0", f'"{node}"[{other}]')


def node_of(text: str, name: str) -> str:
    match = re.search(rf'^Switch\s+\d+ "(\S+)"\s+# "{name}"', text, re.MULTILINE)
    assert match is not None
    return match[1]


def test_a_subnet_as_planned_and_swapped(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = infiniband.ibnetdiscover(planned(POD)).decode()
    file = tmp_path / "net"
    file.write_text(text)
    assert verified(capsys, folder / "ib", "--ibnetdiscover", file) == (0, [])
    file.write_text(net_swapped(text, node_of(text, LEAF), 3, 9))
    code, (finding,) = verified(capsys, folder / "ib", "--ibnetdiscover", file)
    assert (code, finding["cause"]) == (1, "swap")
    assert finding["subject"] == {"ends": [{"device": LEAF, "port": "3"}, {"device": LEAF, "port": "9"}]}


def test_nodes_without_a_known_description_are_found_by_guid() -> None:
    plan = planned(POD)
    own = infiniband.subnets(plan).nodes.filter(pl.col("name") == LEAF)["node"]
    real = 0x0002_C903_00A1_B2C3
    text = infiniband.ibnetdiscover(plan).decode().replace(hexadecimal(own)[0], f"{real:016x}")
    text = re.sub(r'"(leaf|spine|dgx)-[^"]*"', '"localhost"', text)
    seen = view(plan)
    found, strange = claims(text, seen, Inventory(guid={(LEAF, ""): real}))
    assert strange == 0
    linked = seen.peer != NONE
    assert (found.far[linked] == seen.peer[linked]).all()
    assert claims(text, seen)[1] == 1, "without the inventory one switch is a stranger"


def test_a_file_of_something_else_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net").write_text("nothing of the kind\n")
    assert main(["verify", str(folder / "ib"), "--ibnetdiscover", str(tmp_path / "net")]) == 2
    assert "has no cable of a node that the plan has" in capsys.readouterr().err
    assert main(["verify", str(folder / "roce"), "--ibnetdiscover", str(tmp_path / "net")]) == 2
    assert "the plan has no InfiniBand network" in capsys.readouterr().err


LINES = st.sampled_from([
    'Switch 64 "S-0252420000000240" # "leaf-compute-s000-l0-p0"', '[1] "H-1"[1](2) # "a" lid 0', "", "[9", 'Ca 1 "H-',
    'Ca\t1 "H-0252410000000000"\t\t# "dgx-0000 mlx5_0"', '[1](3) "S-0252420000000240"[999] # lid 0 "x"', "\0", "[1]",
])  # fmt: skip


@settings(max_examples=40)
@given(st.lists(LINES | st.text(max_size=30), max_size=12))
def test_hostile_topologies_give_cables_or_nothing(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert all(0 <= near < 1000 and 0 <= far < 1000 for _, near, _, far in cables(text))
    try:
        found, _ = claims(text, view(planned(POD)))
    except InputError:
        return
    assert (found.far != NONE).any()


def test_a_real_subnet_with_cables_swapped_and_unlinked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("ibsim", "ibnetdiscover"):
        need(part)
    text = infiniband.ibsim(planned(POD)).decode()
    leaf, spine = node_of(text, "leaf-compute-s000-l1-p0"), node_of(text, "spine-compute-d00-002")
    (tmp_path / "net").write_text(net_swapped(text, leaf, 5, 6))
    with ibsim(tmp_path / "net", "dgx-0000 mlx5_0", tmp_path) as fabric:
        fabric.say(f'Unlink "{spine}"[7]')
        (tmp_path / "found").write_text(fabric.run("ibnetdiscover").stdout)
    code, findings = verified(capsys, folder / "ib", "--ibnetdiscover", tmp_path / "found")
    assert code == 1
    missing, swap = sorted(findings, key=lambda finding: str(finding["cause"]))
    assert {"device": "spine-compute-d00-002", "port": "7"} in missing["subject"]["link"]
    assert missing["cause"] == "missing"
    device = "leaf-compute-s000-l1-p0"
    assert (swap["cause"], swap["subject"]) == (
        "swap", {"ends": [{"device": device, "port": "5"}, {"device": device, "port": "6"}]}
    )  # fmt: skip
    assert len(swap["evidence"]["moves"]) == 2


# lldpd


@contextmanager
def lldpd(plugged: Mapping[str, tuple[str, str]]) -> Iterator[dict[str, Path]]:
    """A leaf and two hosts, a daemon on each; ``plugged``: host and its interface by the leaf's port. Their sockets."""
    with daemons((LEAF, *HOSTS), [((LEAF, port), end) for port, end in plugged.items()]) as sockets:
        yield sockets


def host_ports(plan: Plan) -> dict[str, tuple[str, str]]:
    """Host and interface by port of the leaf."""
    bench = Rewired(plan)
    ends = [(bench.view.end(b)["port"], bench.view.end(a)) for a, b in bench.links(tier="host-leaf", b_device=LEAF)]
    return {port: (end["device"], end["port"]) for port, end in ends if end["device"] in HOSTS}


def written(sockets: Mapping[str, Path], folder: Path, cables: int) -> list[str]:
    """What each daemon says, once it has as many neighbours as it has cables; hosts write the older form."""
    wanted = {LEAF: cables} | dict.fromkeys(HOSTS, cables // len(HOSTS))
    deadline = time.monotonic() + 30
    for name, socket in sockets.items():
        form = "json0" if name == LEAF else "json"
        file = folder / f"{name}.json"
        while True:
            command = ["lldpcli", "-u", str(socket), "-f", form, "show", "neighbors"]
            file.write_bytes(subprocess.run(command, capture_output=True, check=False).stdout)
            if file.read_text().count('"ifname"') >= wanted[name] or time.monotonic() > deadline:
                break
            time.sleep(0.2)
    return [str(folder / f"{name}.json") for name in sockets]


@pytest.mark.parametrize("swapped", [False, True], ids=["as-planned", "swapped"])
def test_real_daemons_on_real_cables(
    swapped: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugged = host_ports(plan_of("three-tier"))
    assert len(plugged) == 2
    if swapped:
        plugged = dict(zip(plugged, reversed(plugged.values()), strict=True))
    with lldpd(plugged) as sockets:
        files = written(sockets, tmp_path, len(plugged))
    code, findings = verified(capsys, folder / "roce", "--lldp", *files)
    if not swapped:
        assert (code, findings) == (0, [])
        return
    (finding,) = findings
    assert (code, finding["cause"], len(finding["evidence"]["moves"])) == (1, "swap", 2)
    assert finding["subject"] == {"ends": [{"device": LEAF, "port": port} for port in plugged]}
