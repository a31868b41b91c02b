"""flows.csv and dead.csv: what is read, and what is said of files that are wrong.

Cases are files: ``golden/errors/{flows,dead}/NAME.csv`` with the messages in ``NAME.txt``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned
from small_plans import device, plan_of

from fabric.errors import InputError
from fabric.flowfile import (
    DEAD_COLUMNS,
    FLOW_COLUMNS,
    FLOWS,
    MOST_PROBLEMS,
    Dead,
    parse_dead,
    parse_flows,
    read_dead,
    read_flows,
)

ERRORS = Path(__file__).parent / "golden/errors"
READERS: dict[str, Callable[..., object]] = {"flows": read_flows, "dead": read_dead}
CASES = sorted((kind, path.stem) for kind in READERS for path in (ERRORS / kind).glob("*.csv"))


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_every_mistake_is_told(kind: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS / kind)
    with pytest.raises(InputError) as caught:
        READERS[kind](Path(f"{case}.csv"), planned("starter-32"))
    said = f"{caught.value}\n"
    expected = ERRORS / kind / f"{case}.txt"
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert len(caught.value.problems) <= MOST_PROBLEMS + 1


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    plan = planned("starter-32")
    with pytest.raises(InputError, match="no such file or directory"):
        read_flows(tmp_path / "none.csv", plan)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no UTF-8 text"):
        read_dead(tmp_path / "binary.csv", plan)


def test_flows_in_any_order_of_columns_with_what_is_left_out() -> None:
    plan = planned("starter-32")
    text = '\ndst_rail, SRC_HOST,flow,gbps,dst_host,src_rail\r\n3,"gpu-0001",7,12.5,gpu-0002,2\r\n\r\n'
    found = parse_flows(text.removeprefix("\n"), plan)
    assert found.schema == pl.Schema(FLOWS)
    src, dst = device(plan, "gpu-0001"), device(plan, "gpu-0002")
    assert found.rows() == [(7, src, 2, dst, 3, 12.5, None, 1)]


def test_rails_and_planes_are_those_of_the_network() -> None:
    plan = plan_of("two-tier")
    head = "flow,src_host,src_rail,dst_host,dst_rail,gbps,plane\n"
    assert parse_flows(f"{head}0,gpu-0000,1,gpu-0001,1,200,1\n", plan)["plane"].to_list() == [1]
    with pytest.raises(InputError, match='has no rail "1" on the frontend network'):
        parse_flows(f"{head}0,gpu-0000,1,gpu-0001,0,200,\n", plan, "frontend")
    with pytest.raises(InputError, match="gpu-0001 rail 1 has no port in plane 2"):
        parse_flows(f"{head}0,gpu-0000,1,gpu-0001,1,200,2\n", plan)


def test_a_dead_device_kills_its_links_and_a_dead_port_its_own() -> None:
    plan = plan_of("two-tier")
    links = plan.fabric.links
    names = plan.fabric.device_names()
    up = links.filter((pl.col("tier") == "leaf-spine") & (pl.col("network") == "compute")).row(0, named=True)
    spine, port = names[up["b_device"]], plan.fabric.ports["name"][up["a_port"]]
    by_port = parse_dead(f"device,port\n{names[up['a_device']]},{port}\n", plan).dead_links(plan)
    assert by_port.nonzero()[0].tolist() == [up["id"]]
    by_device = parse_dead(f"device\n{spine}\n", plan).dead_links(plan)
    ends = (pl.col("a_device") == up["b_device"]) | (pl.col("b_device") == up["b_device"])
    assert by_device.nonzero()[0].tolist() == links.filter(ends)["id"].to_list()
    assert len(by_device.nonzero()[0]) > 1
    assert not Dead().dead_links(plan).any()


def problems_of(parse: Callable[..., object], text: str) -> int:
    try:
        parse(text, planned("starter-32"))
    except InputError as error:
        return len(error.problems)
    return 0


@given(st.sampled_from([parse_flows, parse_dead]), st.text(max_size=300))
def test_no_text_does_more_than_be_refused(parse: Callable[..., object], text: str) -> None:
    assert 0 <= problems_of(parse, text) <= MOST_PROBLEMS + 1


CELL = st.one_of(st.text(max_size=8), st.sampled_from(["gpu-0000", "gpu-0001", "0", "1", "99999999999", "1e999", "-0"]))


@given(st.lists(st.lists(CELL, max_size=9), max_size=5))
def test_no_row_does_more_than_be_refused(rows: list[list[str]]) -> None:
    body = [",".join(row) for row in rows]
    assert 0 <= problems_of(parse_flows, "\n".join([",".join(FLOW_COLUMNS), *body])) <= MOST_PROBLEMS + 1
    assert 0 <= problems_of(parse_dead, "\n".join([",".join(DEAD_COLUMNS), *body])) <= MOST_PROBLEMS + 1
