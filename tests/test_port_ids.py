"""Names of ports in samples are the plan's ports that a join by both names finds, and no others."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from collectors.detectors.ids import Ids
from collectors.detectors.intervals import Intervals
from collectors.detectors.view import NONE, View, view
from fabric.samples import FLOW_SCHEMA

END = 1_767_225_610_000_000_000
STEP = 10_000_000_000
STRANGE = [None, "", "eth0", "nobody", "ö", "x" * 300]


@cache
def seen() -> View:
    return view(planned("starter-32"))


def names(column: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*STRANGE, *seen().keys[column].unique().sort()])


def joined(device: pl.Series, port: pl.Series) -> list[int | None]:
    """The ids that polars finds."""
    rows = pl.DataFrame({"device": device, "port": port}, schema={"device": pl.String, "port": pl.String})
    return rows.join(seen().keys, on=["device", "port"], how="left", maintain_order="left")["id"].to_list()


@given(st.lists(st.tuples(names("device"), names("port")), max_size=20))
def test_ids_are_those_of_a_join(rows: list[tuple[str | None, str | None]]) -> None:
    device = pl.Series("device", [row[0] for row in rows], dtype=pl.String)
    port = pl.Series("port", [row[1] for row in rows], dtype=pl.String)
    devices, ports = Ids(seen()).of(device, port)
    assert devices.tolist() == [seen().device_ids.get(name or "", NONE) for name in device]
    assert ports.tolist() == [NONE if one is None else one for one in joined(device, port)]


def test_every_port_of_the_plan_is_found() -> None:
    keys = seen().keys.sample(fraction=1.0, shuffle=True, seed=1)
    assert Ids(seen()).of(keys["device"], keys["port"])[1].tolist() == keys["id"].to_list()


def test_the_same_names_give_the_same_arrays() -> None:
    keys, ids = seen().keys, Ids(seen())
    first = ids.of(keys["device"], keys["port"])
    again = ids.of(keys["device"].clone(), keys["port"].clone())
    assert again[0] is first[0]
    assert again[1] is first[1]
    other = ids.of(keys["device"].reverse(), keys["port"].reverse())
    assert np.array_equal(other[1], first[1][::-1])


@given(st.lists(st.tuples(names("device"), names("port"), names("port")), min_size=1, max_size=20), st.integers(1, 3))
def test_flow_samples_keep_their_rows_and_columns(
    rows: list[tuple[str | None, str | None, str | None]], tables: int
) -> None:
    made = pl.DataFrame(
        {
            "time_ns": [END - number for number in range(len(rows))],
            "device": [row[0] for row in rows], "in_port": [row[1] for row in rows],
            "out_port": [row[2] for row in rows], "src_port": list(range(len(rows))),
        }
    )  # fmt: skip
    flows = made.select(
        pl.col(n).cast(d) if n in made.columns else pl.lit(None, d).alias(n) for n, d in FLOW_SCHEMA.items()
    )
    steps = Intervals(seen(), STEP)
    for part in range(tables):
        steps.feed(pl.DataFrame(), flows.gather_every(tables, part) if part < flows.height else flows.clear())
    told = steps.step(END).flows.sort("src_port")
    assert told.select(FLOW_SCHEMA.keys()).equals(flows)
    for side in ("in", "out"):
        assert told[f"{side}_id"].to_list() == joined(flows["device"], flows[f"{side}_port"])
        assert told.schema[f"{side}_id"] == pl.Int64
