"""Our times beside csg-htsim's: the same flows on the same pinned paths, recorded in golden/htsim (PROVENANCE.md)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fabric.catalogue import load_catalogue
from fabric.errors import InputError
from fabric.exports.htsim_flows import Connections, htsim_connections, htsim_finished
from fabric.intent import load_intent
from fabric.jobfile import Job, read_job
from fabric.plan import Plan
from planner.build import build
from planner.routing import METHODS, Method
from planner.simulate import prepare, router
from planner.simulate.events import Clock, Work, spans
from planner.simulate.flows import Flows
from planner.simulate.job import workload
from planner.simulate.walk import Hops
from planner.simulate.wires import Floats
from planner.sizing import size

GOLDEN = Path(__file__).parent / "golden/htsim"
TOLERATED = 0.15
"""Between the two simulators' ratios of one kind of routes to the colored ones."""


@cache
def four_segments() -> tuple[Plan, Job]:
    intent = load_intent(GOLDEN / "intent.yaml")
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue)), read_job(GOLDEN / "job.yaml")


@cache
def routed(method: Method) -> tuple[Flows, Hops, float]:
    """The flows that cross the network, their channels, and our seconds."""
    flows, hops, ends = ended_by_us(method)
    return flows, hops, float(ends.max())


@cache
def ended_by_us(method: Method) -> tuple[Flows, Hops, Floats]:
    """The same with the seconds of each flow."""
    plan, job = four_segments()
    now = prepare(plan)
    (stage,) = workload(plan, [job], "compute")[0]
    flows = stage.flows.take(~stage.flows.local)
    hops = router(method)(now, flows)
    ends = np.zeros(len(flows))
    for span in spans([[Work(hops, flows.size, flows.gbps)]], now.wires.gbps, Clock(), batch=0.0):
        ends[span.rows[:, 2]] = span.begin + span.until
    return flows, hops, ends


def exported(flows: Flows, hops: Hops) -> Connections:
    columns = {"host_leaf": hops[:, 0], "leaf_spine": hops[:, 1], "spine_leaf": hops[:, 2], "leaf_host": hops[:, 3]}
    links = {name: pl.Series(channel // 2).cast(pl.UInt32) for name, channel in columns.items()}
    table = pl.DataFrame({"flow": np.arange(len(hops)), "bytes": flows.size.astype(np.int64), **links})
    return htsim_connections(four_segments()[0], table)


def recorded(method: Method) -> pl.DataFrame:
    flows, hops, _ = routed(method)
    return htsim_finished((GOLDEN / f"{method}.txt").read_text(), exported(flows, hops).nodes)


def test_both_simulators_agree_on_order_and_ratios() -> None:
    ours = {method: routed(method)[2] for method in METHODS}
    theirs = {method: float(recorded(method)["seconds"].max()) for method in METHODS}  # type: ignore[arg-type]
    assert sorted(METHODS, key=ours.__getitem__) == sorted(METHODS, key=theirs.__getitem__)
    assert sorted(METHODS, key=ours.__getitem__) == ["colored", "greedy", "ecmp"]
    for method in METHODS:
        ratio = (ours[method] / ours["colored"]) / (theirs[method] / theirs["colored"])
        assert abs(ratio - 1) <= TOLERATED, (method, ours, theirs)
        assert theirs[method] >= ours[method], "packets cannot be faster than fluid"


@pytest.mark.parametrize("method", METHODS)
def test_single_flows_agree_too(method: Method) -> None:
    """All of them where pauses hurt nobody else, half of them where flows stand behind others' (ECMP)."""
    ratio = recorded(method)["seconds"].to_numpy() / ended_by_us(method)[2]
    assert abs(np.median(ratio) - 1) <= TOLERATED
    if method != "ecmp":
        assert (abs(ratio - 1) <= TOLERATED).all()


@pytest.mark.parametrize("method", METHODS)
def test_every_flow_of_a_recorded_run_ended_no_sooner_than_its_port_allows(method: Method) -> None:
    ended = recorded(method)
    flows, _, _ = routed(method)
    assert (ended.height, ended["seconds"].null_count()) == (1024, 0)
    assert (ended["seconds"].to_numpy() >= flows.size * 8 / 400e9).all()


def test_the_files_name_nodes_leaf_after_leaf_and_links_by_spine() -> None:
    flows, hops, _ = routed("colored")
    files = exported(flows, hops)
    plan = four_segments()[0]
    first, second, *rest = files.matrix.decode().splitlines()
    assert (first, second, len(rest)) == ("Nodes 1024", "Connections 1024", 1024)
    links = plan.fabric.links
    leaves = sorted(links.filter(pl.col("tier").cast(pl.String) == "host-leaf")["b_device"].unique())
    spines = sorted(links.filter(pl.col("tier").cast(pl.String) == "leaf-spine")["b_device"].unique())
    pins = [list(map(int, line.split())) for line in files.pins.decode().splitlines()]
    for row, src, (_, up, down) in zip(hops, files.nodes["src"], pins, strict=True):
        assert src // 32 == leaves.index(links["b_device"][int(row[0]) // 2])
        assert up // 2 == spines.index(links["b_device"][int(row[1]) // 2])
        assert down in (0, 1)
    used = {(int(src) // 32, up) for src, (_, up, _) in zip(files.nodes["src"], pins, strict=True)}
    assert len(used) == 1024, "colored routes take every uplink once"


def test_what_cannot_be_told_apart_is_refused() -> None:
    flows, hops, _ = routed("colored")
    twice = np.concatenate([np.arange(4), [0]])
    with pytest.raises(InputError, match="two flows share both ends"):
        exported(flows.take(twice), hops[twice])


def test_lines_of_other_senders_are_read_too() -> None:
    nodes = pl.DataFrame({"flow": [0, 1], "src": [3, 4], "dst": [5, 6]})
    text = "Flow HPCC_3_5 finished at 12.5 total bytes 8\nFlow ndp_4_6 flow_id 7 finished at 1e3 total bytes 8\nnoise\n"
    assert htsim_finished(text, nodes)["seconds"].to_list() == pytest.approx([12.5e-6, 1e-3])
