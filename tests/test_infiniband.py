"""InfiniBand exports, judged by ibsim, OpenSM and ibnetdiscover themselves."""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path

import pytest
from conftest import need
from ibfabric import ibsim, links_of

from fabric.catalogue import Catalogue, load_catalogue
from fabric.errors import InputError
from fabric.exports import infiniband, opensm
from fabric.intent import parse_intent
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

RAIL_OPTIMIZED = "technology: infiniband, layout: rail-optimized"
SWITCHES = "switches: {leaf: [qm9700], spine: [qm9700], core: [qm9700]}"


@cache
def planned(hosts: int, network: str = RAIL_OPTIMIZED, more: str = "") -> Plan:
    groups = f"{{name: dgx, model: dgx-h100, count: {hosts}}}{more}"
    return plan_of(f"name: ib\nhosts: [{groups}]\nnetworks: {{compute: {{{network}, {SWITCHES}}}}}\n", load_catalogue())


def plan_of(text: str, catalogue: Catalogue) -> Plan:
    intent = parse_intent(text)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


UFM = ", {name: ufm, model: ufm-appliance, count: 4, role: service}"


def link_ends(plan: Plan) -> set[frozenset[tuple[str, int]]]:
    """Links of the plan by its own tables: NIC by id and port, switch by id and the number in its port's name."""
    fabric = plan.fabric
    ports = {row["id"]: row for row in fabric.ports.iter_rows(named=True)}
    first = {row["nic"]: row["id"] for row in fabric.ports.sort("id", descending=True).iter_rows(named=True)}

    def end(port: int) -> tuple[str, int]:
        row = ports[port]
        if row["nic"] is None:
            return f"S-{0x0252420000000000 + row['device'] * 16:016x}", int(row["name"])
        return f"H-{0x0252410000000000 + row['nic'] * 16:016x}", port - first[row["nic"]] + 1

    return {frozenset({end(a), end(b)}) for a, b in fabric.links.select("a_port", "b_port").iter_rows()}


@pytest.mark.parts
@pytest.mark.parametrize(
    ("hosts", "network"),
    [(128, f"{RAIL_OPTIMIZED}, segment_hosts: 32"), pytest.param(1280, RAIL_OPTIMIZED, marks=pytest.mark.slow)],
    ids=["1024-hcas-two-tiers", "10240-hcas-three-tiers"],
)
def test_a_real_subnet_manager_routes_the_plan(hosts: int, network: str, tmp_path: Path) -> None:
    for part in ("ibsim", "opensm", "ibnetdiscover"):
        need(part)
    plan = planned(hosts, network)
    (tmp_path / "net").write_bytes(infiniband.ibsim(plan))
    for path, content in opensm.configs(plan):
        here = content.replace(b"/etc/opensm", str(tmp_path).encode()).replace(b"__RAILWRIGHT_SM_KEY__", b"0x2a")
        (tmp_path / Path(path).name).write_bytes(here)
    with ibsim(tmp_path / "net", "dgx-0000 mlx5_0", tmp_path) as fabric:
        log = tmp_path / "opensm.log"
        brought_up = fabric.run("opensm", "-F", tmp_path / "opensm-primary.conf", "-o", "-f", log)
        found = fabric.run("ibnetdiscover")
    said = log.read_text()
    assert brought_up.returncode == 0, brought_up.stderr
    assert "ftree tables configured on all switches" in said, said[-3000:]
    assert "nrecognized" not in brought_up.stdout + brought_up.stderr + said
    assert links_of(found.stdout) == link_ends(plan)


def test_a_topology_names_every_link_once_from_each_end() -> None:
    plan = planned(31, f"{RAIL_OPTIMIZED}, segment_hosts: 32", UFM)
    text = infiniband.ibnetdiscover(plan).decode()
    assert links_of(text) == link_ends(plan)
    assert text.count("4xNDR") == 2 * plan.fabric.links.height
    assert text.count("\nCa\t") == plan.fabric.nics.height
    assert '"dgx-0000 mlx5_11"' in text  # rail 7 of a DGX H100 is mlx5_11


def test_ibsim_is_told_no_speed_it_does_not_know() -> None:
    text = infiniband.ibsim(planned(31)).decode()
    assert "NDR" not in text
    assert text.count("4xHDR") == 2 * planned(31).fabric.links.height


def test_the_ufm_topology_has_each_link_once() -> None:
    plan = planned(31, f"{RAIL_OPTIMIZED}, segment_hosts: 32", UFM)
    rows = list(csv.DictReader(io.StringIO(infiniband.ufm(plan).decode())))
    assert list(rows[0]) == ["Start Device", "Start Port", "End Device", "End Port", "Link Type"]
    assert len(rows) == plan.fabric.links.height
    ends = [(row[f"{side} Device"], row[f"{side} Port"]) for row in rows for side in ("Start", "End")]
    assert len(set(ends)) == len(ends)


def test_subnet_managers_are_a_pair_on_service_hosts() -> None:
    files = dict(opensm.configs(planned(31, f"{RAIL_OPTIMIZED}, segment_hosts: 32", UFM)))
    folder = "configs/subnet-manager/compute/"
    pair = [files[f"{folder}opensm-{role}.conf"].decode() for role in ("primary", "standby")]
    assert [text.split(" on ")[1].split(";")[0] for text in pair] == ["ufm-0000 mlx5_0", "ufm-0001 mlx5_0"]
    assert ["sm_priority 15" in pair[0], "sm_priority 14" in pair[1]] == [True, True]
    assert files[f"{folder}cn_guids.conf"].count(b"\n") == 31 * 8
    assert files[f"{folder}io_guids.conf"].count(b"\n") == 4
    assert files[f"{folder}root_guids.conf"].count(b"\n") == 4


def test_planes_that_never_join_are_subnets_of_their_own() -> None:
    shipped = load_catalogue()
    one = shipped.servers["dgx-a100"].nics[0]
    nic = one.model_copy(update={"ports": 2, "count": 2, "gpu": None, "rdma": None, "interfaces": None})
    server = shipped.servers["dgx-a100"].model_copy(update={"name": "two", "nics": (nic,)})
    network = f"{RAIL_OPTIMIZED}, planes: 2, segment_hosts: 8, switches: {{leaf: [qm8700], spine: [qm8700]}}"
    plan = plan_of(
        f"name: ib\nhosts: [{{name: a, model: two, count: 8}}]\nnetworks: {{compute: {{{network}}}}}\n",
        shipped.model_copy(update={"servers": {"two": server}}),
    )
    files = dict(opensm.configs(plan))
    guids = [set(files[f"configs/subnet-manager/compute-p{plane}/cn_guids.conf"].split()) for plane in (0, 1)]
    assert [len(g) for g in guids] == [16, 16]
    assert not guids[0] & guids[1]


def test_no_infiniband_is_said() -> None:
    plan = plan_of(
        "name: t\nhosts: [{name: gpu, model: megascale-8x200, count: 4}]\n"
        "networks: {compute: {technology: roce, switches: {leaf: [box-25.6t], spine: [box-25.6t]}}}\n",
        load_catalogue(),
    )
    assert list(opensm.configs(plan)) == []
    with pytest.raises(InputError, match="no InfiniBand network"):
        infiniband.ufm(plan)
