"""The inventory: what it fills, and what is said of a file that is wrong.

Cases are files: ``golden/errors/inventory/NAME.csv`` with the messages in ``NAME.txt``.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from fabric.errors import InputError
from fabric.exports import opensm
from fabric.inventory import COLUMNS, MOST_PROBLEMS, guids, parse_inventory, read_inventory

ERRORS = Path(__file__).parent / "golden/errors/inventory"
IB = "superpod-h100-1su"


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.csv")))
def test_every_mistake_is_told(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InputError) as caught:
        read_inventory(Path(f"{case}.csv"), planned("starter-32"))
    said = f"{caught.value}\n"
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        (ERRORS / f"{case}.txt").write_text(said, encoding="utf-8")
    assert said == (ERRORS / f"{case}.txt").read_text(encoding="utf-8")
    assert len(caught.value.problems) <= MOST_PROBLEMS + 1


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    plan = planned("starter-32")
    with pytest.raises(InputError, match="no such file or directory"):
        read_inventory(tmp_path / "none.csv", plan)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no UTF-8 text"):
        read_inventory(tmp_path / "binary.csv", plan)
    with pytest.raises(InputError, match="is a directory"):
        read_inventory(tmp_path, plan)


@pytest.mark.parametrize("text", ["02:00:5E:10:00:01", "02-00-5e-10-00-01", "0200.5e10.0001", "02005e100001"])
def test_macs_are_read_in_every_spelling(text: str) -> None:
    found = parse_inventory(f"serial,mac,port,device\n,{text},bmc,gpu-0000\n", planned("starter-32"))
    assert found.mac == {("gpu-0000", "bmc"): "02:00:5e:10:00:01"}


def test_rows_of_devices_and_of_ports() -> None:
    plan = planned("starter-32")
    text = "\ufeffdevice,port,serial\n\nleaf-compute-s000-l0-p0,,MT1234X\ngpu-0000,cx7-0,SN-9/1\n"
    found = parse_inventory(text.removeprefix("\ufeff"), plan)
    assert found.serial == {("leaf-compute-s000-l0-p0", ""): "MT1234X", ("gpu-0000", "cx7-0"): "SN-9/1"}
    assert found.macs(plan) == {}


def problems_of(text: str) -> int:
    try:
        parse_inventory(text, planned(IB))
    except InputError as error:
        return len(error.problems)
    return 0


@given(st.text(max_size=300))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert 0 <= problems_of(text) <= MOST_PROBLEMS + 1


@given(st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=5))
def test_no_row_does_more_than_be_refused(rows: list[list[str]]) -> None:
    lines = [",".join(COLUMNS), *(",".join(row) for row in rows)]
    assert 0 <= problems_of("\n".join(lines)) <= MOST_PROBLEMS + 1


# ---------------------------------------------------------------------------------------------------------------- GUIDs


def test_simulated_guids_are_all_different_and_always_the_same() -> None:
    plan = planned(IB)
    found = guids(plan)
    ports = plan.fabric.ports.filter(pl.col("nic").is_not_null() & (pl.col("network") == "compute"))
    assert found.drop_nulls("port")["port"].to_list() == ports["id"].to_list()
    assert found.filter(pl.col("port").is_null())["device"].to_list() == plan.fabric.switches["id"].to_list()
    assert found["simulated"].all()
    assert found.select("guid").is_unique().all()
    assert found.equals(guids(plan))
    assert all(guid >> 56 & 0x02 for guid in found["guid"])  # locally administered: no delivered device has it


def test_an_inventory_takes_their_place() -> None:
    plan = planned(IB)
    text = "device,port,guid\ndgx-0000,enp24s0np0,0x0002c90300a1b2c3\nleaf-compute-s000-l0-p0,,0002:c903:00a1:b2c4\n"
    known = parse_inventory(text, plan)
    found = guids(plan, known)
    assert found.filter(~pl.col("simulated"))["guid"].to_list() == [0x0002C90300A1B2C3, 0x0002C90300A1B2C4]
    assert found.row(0, named=True)["node"] == 0x0002C90300A1B2C3
    files = dict(opensm.configs(plan, known))
    names = files["configs/subnet-manager/compute/node-name-map"].decode().splitlines()
    assert '0x0002c90300a1b2c3 "dgx-0000 mlx5_0"' in names
    assert '0x0002c90300a1b2c4 "leaf-compute-s000-l0-p0"' in names
    assert len(names) == len(set(names)) == plan.fabric.nics.filter(network="compute").height + 12


def test_ethernet_has_no_guids() -> None:
    assert guids(planned("starter-32")).is_empty()
