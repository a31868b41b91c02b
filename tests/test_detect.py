"""``railwright detect``: replay says what the live watch said, the runbook is whole, and a small copy of the suite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.detection.cases import Case, Made, cases, made
from benchmarks.detection.run import Scores, one, told
from benchmarks.detection.table import pooled
from collectors.detectors.maintenance import read_maintenance
from collectors.detectors.policy import Policy
from collectors.detectors.run import DETECTORS, replay, watch
from collectors.detectors.runbook import markdown, texts
from collectors.store import Store, open_store
from fabric.bundle import write_plan
from fabric.detections import DETECTIONS
from fabric.errors import InputError
from planner.simulate.telemetry import START_NS, intervals
from railwright.cli import main
from railwright.cli.detect import _findings

ROOT = Path(__file__).parent.parent
SECOND = 1_000_000_000
STEP = 10 * SECOND
DOWN = Case("small", "single", ("link-down",), 1)


@cache
def run() -> Made:
    return made(DOWN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan's folder with the store of a run in which a link goes down."""
    plan = tmp_path_factory.mktemp("detect") / "plan"
    write_plan(run().scenario.plan, plan)
    store = open_store(f"duckdb:{plan}.duckdb")
    for part in intervals(run().scenario):
        store.write(part.counters, part.flows, part.outcomes)
    store.close()
    return plan


def said(store: Store, since: int, until: int, codes: Sequence[str] | None = None) -> list[str]:
    watching = watch(run().scenario.plan, codes=codes)
    return [finding.to_json() for found in replay(watching, store, since, until) for finding in found]


def end_ns() -> int:
    return START_NS + round(run().scenario.settings.seconds) * SECOND


@pytest.mark.slow
def test_a_replay_says_what_the_live_watch_said_byte_for_byte(folder: Path) -> None:
    live = [one.finding.to_json() for one in told(run())]
    assert any('"code":"link","cause":"down"' in line for line in live)
    store = open_store(f"duckdb:{folder}.duckdb")
    try:
        assert said(store, START_NS, end_ns()) == live
        onset = run().truths[0].onset_ns // STEP * STEP
        assert said(store, onset - STEP, end_ns()) == live, "a warm-up is enough"
    finally:
        store.close()


@pytest.mark.slow
def test_what_was_open_before_is_told_first(folder: Path) -> None:
    (truth,) = run().truths
    store = open_store(f"duckdb:{folder}.duckdb")
    try:
        later = [json.loads(line) for line in said(store, truth.deadline_ns + 2 * STEP, end_ns(), ["link"])]
    finally:
        store.close()
    assert [(one["cause"], one["state"]) for one in later] == [("down", "open"), ("down", "cleared")]
    assert later[0]["id"] == later[1]["id"]


@pytest.mark.slow
def test_following_goes_on_where_the_replay_ended(folder: Path) -> None:
    """From before the fault on: the intervals are past, so nothing waits."""
    store = open_store(f"duckdb:{folder}.duckdb")
    try:
        whole = said(store, START_NS, end_ns(), ["link"])
        watching = watch(run().scenario.plan, codes=["link"])
        going = _findings(watching, store, START_NS, START_NS + 4 * STEP, follow=True)
        assert [finding.to_json() for finding in islice(going, len(whole))] == whole
    finally:
        store.close()


def detect(folder: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    times = ["--since", str(START_NS), "--until", str(end_ns())]
    code = main(["detect", str(folder), *times, *options])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.slow
def test_the_command_prints_a_finding_a_line_and_exits_as_check_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = detect(folder, "--code", "link", "--json", capsys=capsys)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, [row["state"] for row in rows]) == (1, ["open", "cleared"])
    assert rows[0]["advice"] == "docs/runbook.md#link"
    code, out, _ = detect(folder, "--code", "link", capsys=capsys)
    assert code == 1
    assert out.splitlines()[-1] == "1 detector: 2 findings"
    assert " open down error: link: " in out
    assert detect(folder, "--code", "miswire", "--json", capsys=capsys)[:2] == (0, "")


@pytest.mark.slow
def test_it_names_jobs_and_keeps_back_announced_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = run().truths[0].subject["link"]
    hosts = run().scenario.plan.fabric.hosts["name"].to_list()
    jobs = pl.DataFrame({"job": ["llm"] * len(hosts), "host": hosts, "gpu": 0, "rank": 0})
    jobs.with_columns(start_ns=START_NS, end_ns=pl.lit(None, pl.Int64)).write_csv(tmp_path / "jobs.csv")
    _, out, _ = detect(folder, "--code", "link", "--json", "--jobs", str(tmp_path / "jobs.csv"), capsys=capsys)
    assert {tuple(json.loads(line)["jobs"]) for line in out.splitlines()} == {("llm",)}
    window = f"device,start,end\n{ends[0]['device']},{START_NS},2026-01-02T00:00:00Z\n"
    (tmp_path / "maintenance.csv").write_text(window, encoding="utf-8")
    options = ("--code", "link", "--json", "--maintenance", str(tmp_path / "maintenance.csv"))
    assert detect(folder, *options, capsys=capsys)[:2] == (0, "")


def test_what_the_command_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = detect(folder, "--follow", capsys=capsys)
    assert (code, err) == (
        2,
        "railwright: error: --follow has no end: leave out --until; see `railwright detect --help`\n",
    )
    code = main(["detect", str(folder), "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"])
    assert (code, capsys.readouterr().err) == (2, "railwright: error: --since: is not before --until\n")


def test_all_mistakes_of_a_maintenance_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "maintenance.csv"
    host = run().scenario.plan.fabric.hosts["name"][0]
    file.write_text(f"device,start,end\nnobody,1,2\n{host},soon,2\n{host},2,1\n{host},,\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_maintenance(file, run().scenario.plan)
    advice = "write 2026-01-31T12:00:00Z, or nanoseconds since 1970"
    assert [str(problem).removeprefix(f"{file}:") for problem in error.value.problems] == [
        '2: device: the plan has no device "nobody"', f'3: start: "soon" is no time; {advice}',
        "4: end: is not after start", f'5: start: "" is no time; {advice}', f'5: end: "" is no time; {advice}',
    ]  # fmt: skip
    for text in ("", "device,start\n", "a,b\n"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError):
            read_maintenance(file, run().scenario.plan)
    with pytest.raises(InputError):
        read_maintenance(tmp_path / "none.csv", run().scenario.plan)


def test_the_runbook_is_generated() -> None:
    assert (ROOT / "docs/runbook.md").read_text(encoding="utf-8") == markdown(), (
        "run `python -m collectors.detectors.runbook > docs/runbook.md`"
    )


def test_the_runbook_has_every_code_cause_and_threshold() -> None:
    assert set(DETECTORS) == set(DETECTIONS) == set(texts())
    for code, text in texts().items():
        assert set(text.causes) == set(DETECTIONS[code].causes), code
    page = markdown()
    for name in DETECTIONS:
        assert f"\n## {name}\n" in page
        part: Any = getattr(Policy(), name.replace("-", "_"))
        for field, about in type(part).model_fields.items():
            row = next(line for line in page.splitlines() if line.startswith(f"| `{field}` |"))
            assert about.description, field
            assert row.count("|  |") == 0, f"{name}.{field} has no reason"


@pytest.mark.slow
def test_a_smaller_copy_of_the_scored_suite() -> None:
    """On 32 hosts every fault twice, every pair once, and healthy runs."""
    scores, imperfect = Scores(), []
    for case in cases("small", 2, 1, 10):
        done = one(case)
        scores.add(done)
        imperfect += [] if done.perfect else [str(done.case), *done.lines]
    said = "\n".join(imperfect)
    for (relation, name), tally in scores.found.items():
        assert relation != "single" or tally.hits == tally.faults, f"{name} was missed\n{said}"
    sums = pooled(scores.found, "single", "separate", "overlapping")
    assert sums.faults > 200
    assert sums.hits / sums.faults >= 0.99, said
    assert sums.hits / (sums.hits + sums.false) >= 0.99, said
    assert sums.causes / sums.hits >= 0.97, said
    assert pooled(scores.found, "healthy").false == 0, said
