"""One cable list behind every file: what the files say, and that they say the same.

``golden/cabling/NAME`` is what each dialect makes of ``golden/cabling/small.yaml``.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import ceil

import polars as pl
import pytest
from cabled import EXAMPLES, GOLDEN, plan, plan_of, pod

from fabric.exports.bom import FOR_CABLES, bom, bom_table, optic_counts, total_usd
from fabric.exports.cabling import COLUMNS, cable_list, cables, label_list, labels
from fabric.exports.counts import counts, ordered
from fabric.exports.ends import cable_ends
from fabric.exports.links import link_list, links
from fabric.exports.netbox import netbox_cables, termination_pairs
from fabric.exports.ptm import edges, ptm
from fabric.plan import Plan

FILES = {
    "cables.csv": cables,
    "labels.csv": labels,
    "links.csv": links,
    "netbox-cables.csv": netbox_cables,
    "topology.dot": ptm,
    "bom.csv": bom,
}
SHAPES = [*EXAMPLES, "small", pod(), pod(media="[dac]"), pod(trunk=True)]


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_looks_like(name: str) -> None:
    written = FILES[name](plan("small"))
    golden = GOLDEN / name
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_bytes(written)
    assert written == golden.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_the_same_bytes_twice(name: str) -> None:
    assert FILES[name](plan_of("small")) == FILES[name](plan_of("small"))


def test_columns_of_the_interface() -> None:
    header = cables(plan("small")).split(b"\n", 1)[0].decode()
    assert header == (
        "cable,label_a,label_b,network,tier,rail,plane,"
        "a_device,a_site,a_row,a_rack,a_unit,a_cage,a_connector,a_ports,a_optic,"
        "b_device,b_site,b_row,b_rack,b_unit,b_cage,b_connector,b_ports,b_optic,"
        "speed_gbps,medium,part,polarity,length_m,bundle"
    )
    assert links(plan("small")).split(b"\n", 1)[0].decode() == (
        "link,network,tier,segment,pod,rail,plane,a_device,a_port,b_device,b_port,speed_gbps,cable"
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_csv_read_back_is_the_table(shape: str) -> None:
    made = plan(shape)
    table = cable_list(made)
    again = pl.read_csv(io.BytesIO(cables(made)), schema=table.schema)
    assert tuple(again.columns) == COLUMNS
    assert again.equals(table)


def side_ports(row: dict[str, str], side: str) -> list[tuple[str, str]]:
    """Device and port of every port in a row of ``cables.csv``, read as the interface says."""
    ports = row[f"{side}_ports"].split()
    if " " in row[f"{side}_device"]:
        return [(device, port) for device, port in (entry.split(":", 1) for entry in ports)]
    return [(row[f"{side}_device"], port) for port in ports]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_link_is_in_exactly_one_cable(shape: str) -> None:
    """Pairing the ports of links.csv by cable gives the ports of cables.csv, no more and no fewer."""
    made = plan(shape)
    rows = list(csv.DictReader(io.StringIO(cables(made).decode())))
    listed = {row["cable"]: (Counter(side_ports(row, "a")), Counter(side_ports(row, "b"))) for row in rows}
    assert len(listed) == len(rows) == made.fabric.cables.height
    found: dict[str, tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]] = {}
    for link in csv.DictReader(io.StringIO(links(made).decode())):
        a, b = found.setdefault(link["cable"], (Counter(), Counter()))
        a[link["a_device"], link["a_port"]] += 1
        if link["b_port"]:
            b[link["b_device"], link["b_port"]] += 1
    assert found == listed


@pytest.mark.parametrize("shape", SHAPES)
def test_no_cable_twice_and_no_plug_twice(shape: str) -> None:
    made = plan(shape)
    ends = [cable_ends(made.fabric, side).filter(pl.col("device") != "external") for side in ("a", "b")]
    plugs = pl.concat([frame.select("device", "cage", "connector", "cable") for frame in ends])
    assert plugs.select("device", "cage", "connector").n_unique() == plugs.height
    a, b = (set(frame.select("device", "cage", "connector").rows()) for frame in ends)
    assert not a & b
    table = made.fabric.cables
    away = made.fabric.links.filter(pl.col("b_device").is_null())["cable"]
    ours = table.filter(~pl.col("id").is_in(away.implode()))
    assert plugs.height == int(table["a_ends"].sum()) + int(ours["b_ends"].sum())


def test_several_ends_are_lists() -> None:
    """A splitter's row: two NIC ports of two hosts, one connector of a leaf."""
    row = next(r for r in cable_list(plan("hpn7-segment")).iter_rows(named=True) if " " in r["a_device"])
    assert len(row["a_device"].split()) == len(row["a_cage"].split()) == len(row["a_connector"].split()) == 2
    assert all(entry.count(":") == 1 for entry in row["a_ports"].split())
    assert row["label_a"].split() == [f"{row['cable']}-A1", f"{row['cable']}-A2"]
    assert (row["label_b"], row["b_connector"]) == (f"{row['cable']}-B", "1")
    assert len(row["b_ports"].split()) == 2
    assert ":" not in row["b_ports"]


def test_a_plug_that_fills_a_cage_has_no_connector() -> None:
    rows = cable_list(plan(pod(media="[dac]")))
    assert rows["b_connector"].null_count() == rows.height
    assert not rows["b_cage"].str.contains(" ").any()


def test_names_count_within_the_network() -> None:
    listed = cable_list(plan("small"))
    assert listed.group_by("network", maintain_order=True).first().select("network", "cable").rows() == [
        ("compute", "C000000"), ("storage", "S000000"), ("frontend", "F000000"), ("oob", "O000000"),
    ]  # fmt: skip
    assert listed["cable"].is_unique().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_labels(shape: str) -> None:
    """Each plug has a label of its own; the two sides of a cable name each other."""
    made = plan(shape)
    rows = label_list(made)
    listed = cable_list(made)
    assert rows["label"].is_unique().all()
    assert sorted(rows["label"]) == sorted(" ".join([*listed["label_a"], *listed["label_b"]]).split())
    near = {(r["cable"], r["end"]): [] for r in rows.iter_rows(named=True)}  # type: dict[tuple[str, str], list[str]]
    for row in rows.iter_rows(named=True):
        near[row["cable"], row["end"]].append(row["near"])
    for row in rows.iter_rows(named=True):
        assert row["far"] == ", ".join(near[row["cable"], "B" if row["end"] == "A" else "A"])
        assert row["text"] == f"{row['label']} {row['near']} > {row['far']}"


def test_labels_say_where_once_there_are_racks() -> None:
    made = plan("small")
    racks = pl.DataFrame(
        {"id": [0], "name": ["A01"], "site": ["hall"], "row": [1], "position": [1], "units": [48], "power_kw": [40.0],
         "feed": ["a"]},
        schema=dict(made.fabric.racks.schema),
    )  # fmt: skip
    place = [pl.lit(0, pl.UInt32).alias("rack"), (pl.col("id") + 1).cast(pl.UInt16).alias("unit")]
    fabric = replace(
        made.fabric,
        racks=racks,
        hosts=made.fabric.hosts.with_columns(place),
        switches=made.fabric.switches.with_columns(place),
    )
    placed = replace(made, fabric=fabric)
    first = label_list(placed).row(0, named=True)
    assert first["near"] == "A01-U1 gpu-0000 1/1"
    row = cable_list(placed).row(0, named=True)
    assert (row["a_site"], row["a_row"], row["a_rack"], row["a_unit"]) == ("hall", "1", "A01", "1")


# --- other people's formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_netbox_has_a_row_a_pair(shape: str) -> None:
    made = plan(shape)
    rows = termination_pairs(made)
    inside = link_list(made.fabric).filter(pl.col("b_device") != "external")
    pairs = rows.select("side_a_device", "side_a_name", "side_b_device", "side_b_name").rows()
    assert pairs == inside.select("a_device", "a_port", "b_device", "b_port").rows()
    ends = [(d, p) for a, ap, b, bp in pairs for d, p in ((a, ap), (b, bp))]
    assert len(set(ends)) == len(ends)
    assert rows["label"].to_list() == inside["cable"].to_list()
    assert set(rows["type"]) <= {"mmf-om4", "smf-os2", "dac-passive", "dac-active", "aoc", "cat6a"}
    assert not rows.null_count().sum_horizontal().item()


@pytest.mark.parametrize("shape", SHAPES)
def test_ptm_has_a_line_a_link(shape: str) -> None:
    made = plan(shape)
    text = ptm(made).decode()
    lines = re.findall(r'^  "([^"]+)":"([^"]+)" -- "([^"]+)":"([^"]+)"$', text, re.MULTILINE)
    inside = link_list(made.fabric).filter(pl.col("b_device") != "external")
    assert lines == inside.select("a_device", "a_port", "b_device", "b_port").rows()
    assert len(text.splitlines()) == len(lines) + 2
    assert len(edges(made)) == len(lines)


# --- counts and the bill of materials ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_one_list_feeds_all(shape: str) -> None:
    made = plan(shape)
    found = counts(made)
    assert found["table"] == found["cables"] == found["links"]
    by_network: Counter[str] = Counter()
    for (network, _), count in found["table"].items():
        by_network[network] += count
    assert ordered(made) == dict(by_network)


@pytest.mark.parametrize("units", [1, 2, 3, 4])
def test_superpod_counts(units: int) -> None:
    """NVIDIA RA-11333-001 V11, Tables 4, 7 and 8: cables; optics at 4 SU."""
    made = plan(f"superpod-h100-{units}su")
    cables_by_tier = {tier: count for (_, tier), count in counts(made)["table"].items()}
    assert cables_by_tier == {"host-leaf": 256 * units - 4, "leaf-spine": 256 * units}
    sides = dict(optic_counts(made).group_by("side").agg(pl.col("count").sum()).rows())
    assert sides["service"] == 4
    assert sides["host"] == 4 * (32 * units - 1)
    if units == 4:
        assert (cables_by_tier["host-leaf"] + cables_by_tier["leaf-spine"]) - 4 == 2040
        assert sides == {"switch": 1536, "host": 508, "service": 4}


@pytest.mark.parametrize("shape", SHAPES)
def test_optics_fill_cages(shape: str) -> None:
    """An optic a cage, counted again by plain sets over links."""
    made = plan(shape)
    fabric = made.fabric
    ports = fabric.ports.select("device", "cage").rows()
    a_optics, b_optics = fabric.cables["a_optic"].to_list(), fabric.cables["b_optic"].to_list()
    cages = set()
    for a_port, b_port, cable in fabric.links.select("a_port", "b_port", "cable").iter_rows():
        if a_optics[cable]:
            cages.add(ports[a_port])
        if b_optics[cable]:
            cages.add(ports[b_port])
    assert optic_counts(made)["count"].sum() == len(cages)
    listed = bom_table(made).filter(pl.col("kind") == "optic")
    assert listed["quantity"].sum() == len(cages)


@pytest.mark.parametrize("shape", SHAPES)
def test_spares_and_sums(shape: str) -> None:
    made = plan(shape)
    for row in bom_table(made).iter_rows(named=True):
        spared = row["kind"] in ("optic", *FOR_CABLES)
        assert row["spare"] == (
            ceil(Fraction(made.intent.spare_parts_percent) * row["quantity"] / 100) if spared else 0
        )
        assert row["total"] == row["quantity"] + row["spare"]
        if row["unit_price_usd"] is not None:
            assert row["sum_usd"] == row["total"] * row["unit_price_usd"]
            assert row["price_source"]
    priced = bom_table(made).filter(pl.col("unit_price_usd").is_not_null())
    assert total_usd(made) == float(sum(r["quantity"] * r["unit_price_usd"] for r in priced.iter_rows(named=True)))


def test_networks_add_up_to_the_whole() -> None:
    made = plan("small")
    whole = bom_table(made).filter(~pl.col("kind").is_in(["server", "pdu"]))
    parts = pl.concat([bom_table(made, name) for name in made.design.networks])
    key = ["kind", "part", "length_m"]
    summed = parts.group_by(key).agg(pl.col("quantity").sum()).sort(key)
    assert summed.equals(whole.select(*key, "quantity").sort(key))


def test_a_price_of_the_users_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = plan("small")
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text("optics: {osfp-2xsr4: 1000}\nservers: {dgx-h100: 300000}\n", encoding="utf-8")
    dear = Plan(made.intent.model_copy(update={"prices": str(file)}), made.catalogue, made.design, made.fabric)
    rows = {row["part"]: row for row in bom_table(dear).iter_rows(named=True)}
    assert (float(rows["osfp-2xsr4"]["unit_price_usd"]), rows["osfp-2xsr4"]["price_source"]) == (
        1000.0,
        "user's prices",
    )
    assert float(rows["dgx-h100"]["sum_usd"]) == 900_000.0
    assert rows["qm9700"]["price_source"] == "arXiv 2307.12169 rule"
    assert rows["storage" if "storage" in rows else "nvme-storage-2x200"]["unit_price_usd"] is None
    optics = rows["osfp-2xsr4"]["quantity"]
    assert total_usd(dear) - total_usd(made) == pytest.approx(optics * (1000 - 398))
