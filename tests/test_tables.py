"""The schema, its documentation, and what a fabric refuses to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from test_build import superpod

from fabric.errors import PlanError
from fabric.tables import CATEGORIES, FOREIGN, LATER, NAMES, SCHEMA, Fabric, markdown
from planner.build import build

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    plan = superpod()
    return build(plan.design, plan.intent, plan.catalogue)


def test_the_documentation_is_that_of_the_schema() -> None:
    written = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert written == markdown(), "run: python -m fabric.tables > docs/tables.md"


def test_every_schema_file_is_a_table() -> None:
    assert {p.stem for p in (ROOT / "fabric" / "schema").glob("*.csv")} >= set(NAMES)
    for table in SCHEMA.values():
        assert table.empty().columns == [c.name for c in table.columns]
        assert all(c.description for c in table.columns)


def test_what_is_said_of_columns_is_said_of_columns_there_are() -> None:
    known = {(table.name, c.name): c for table in SCHEMA.values() for c in table.columns}
    assert all(known[key].dtype == "Enum" for key in CATEGORIES)
    assert all((table, column) in known for table, columns in LATER.items() for column in columns)
    assert all((table, column) in known for table, columns in FOREIGN.items() for column in columns)


def test_a_built_fabric_is_valid(fabric: Fabric) -> None:
    fabric.validate()
    assert fabric.device_names().len() == fabric.hosts.height + fabric.switches.height
    assert fabric.cables["medium"].null_count() == fabric.cables.height


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("links", lambda f: f.drop("rail"), "fabric/links.parquet: has the columns"),
        ("links", lambda f: f.with_columns(pl.col("rail").cast(pl.Int64)), "links.parquet: rail: is Int64; UInt16"),
        ("hosts", lambda f: f.with_columns(name=pl.lit(None, pl.String)), "hosts.parquet: name: is empty in 131 of"),
        ("ports", lambda f: f.with_columns(autoneg=pl.col("id") == 3).with_columns(
            pl.when("autoneg").then("autoneg")), "ports.parquet: autoneg: is empty in"),
        ("nics", lambda f: f.reverse(), "nics.parquet: id: is not 0, 1, …"),
        ("switches", lambda f: f.with_columns(pl.col("id") - 1), "switches.parquet: id: is not 131, 132, …"),
        ("links", lambda f: f.with_columns(a_port=pl.lit(10**6, pl.UInt32)), "a_port: names 1000000, but ports end at"),
        ("links", lambda f: f.with_columns(b_device=pl.lit(179, pl.UInt32)), "hosts and switches end at 178"),
        ("switches", lambda f: f.with_columns(pl.col("tier").cast(pl.Enum(["leaf", "spine"]))), "parquet: tier: is"),
    ],
)  # fmt: skip
def test_what_differs_from_the_schema_is_told(fabric: Fabric, table: str, change: object, told: str) -> None:
    assert callable(change)
    wrong = replace(fabric, **{table: change(getattr(fabric, table))})
    with pytest.raises(PlanError) as caught:
        wrong.validate()
    assert told in str(caught.value)


def test_all_differences_are_told_at_once(fabric: Fabric) -> None:
    wrong = replace(fabric, hosts=fabric.hosts.drop("rack"), links=fabric.links.drop("rail"))
    with pytest.raises(PlanError) as caught:
        wrong.validate()
    assert len(caught.value.problems) == 2


def test_the_graph_has_every_device_and_link(fabric: Fabric) -> None:
    graph = fabric.graph()
    assert graph.number_of_nodes() == fabric.hosts.height + fabric.switches.height
    assert graph.number_of_edges() == fabric.links.height
    assert graph.nodes[0] == {"name": "gpu-0000", "kind": "host", "tier": "compute"}
    assert graph.number_of_edges(131, 163) == 2
