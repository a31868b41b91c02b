"""The command itself: the demonstration, a plan with a file of targets, /metrics, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, need
from planned import planned

from collectors.demo_agent import NAMES, agent
from collectors.secrets import Secret
from collectors.store import open_store
from fabric.bundle import write_plan
from railwright.cli import main

END = 2**62
LEAVES = ("leaf-compute-s000-l0-p0", "leaf-compute-s000-l1-p0")
COMMUNITY = "quite-secret"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collect") / "plan"
    write_plan(planned("starter-32"), folder)
    return folder


@pytest.fixture
def folder(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings and targets for two leaves of the plan, agents of this process that have some of the leaves' ports."""
    monkeypatch.chdir(tmp_path)
    with agent(Secret(COMMUNITY)) as one, agent(Secret(COMMUNITY)) as two:
        lines = [f"{leaf},127.0.0.1,{port}" for leaf, port in zip(LEAVES, (one, two), strict=True)]
        Path("targets.csv").write_text("\n".join(["device,address,port", *lines]))
        Path("railwright.toml").write_text(
            '[collect]\ntargets = "targets.csv"\n[collect.snmp]\nperiod = 0.5\ntimeout = 0.5\n'
            'devices = ["leaf-compute-s000-l0-p0", "leaf-compute-s000-l1-p0"]\nversion = "2c"\ncommunity = "DEMO"\n'
        )
        yield tmp_path


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "RAILWRIGHT_SECRET_DEMO": COMMUNITY, "NO_COLOR": "1", **more}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "railwright", "collect", *words]


def demonstrated(env: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    run = subprocess.run(
        command("--demo", "--agents", "2", "--period", "0.5", "--for", "6", "--json"),
        env=env, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), run.stderr


def assert_collected(health: Mapping[str, Any]) -> None:
    assert set(health["outcomes"]) <= {"ok", "partial", "silent"}, "a busy machine answers late, and never wrongly"
    assert health["outcomes"]["ok"] >= 4
    assert health["writer"]["rows"] == health["collector"]["rows"] + health["collector"]["polls"] > 0
    assert health["writer"]["failures"] == health["collector"]["waiting_rows"] == health["schedule"]["stuck"] == 0


@pytest.mark.slow
def test_the_demonstration_polls_real_agents_and_stores_what_they_say() -> None:
    need("snmpd")
    health, said = demonstrated(environment())
    assert "2 × snmpd (SNMPv3, SHA-256, AES-128)" in said
    assert_collected(health)


def test_the_demonstration_has_agents_of_its_own_where_there_is_no_snmpd(tmp_path: Path) -> None:
    health, said = demonstrated(environment(PATH=str(tmp_path)))
    assert "agents of this process (SNMPv2c)" in said
    assert_collected(health)
    assert health["collector"]["rows"] % (len(NAMES) + 1) == 0


def test_a_plan_is_collected_until_the_signal_and_nothing_is_lost(plan: Path, folder: Path) -> None:
    store = f"duckdb:{folder / 'samples.duckdb'}"
    words = command(str(plan), "--store", store, "--metrics", "127.0.0.1:0", "--json")
    child = subprocess.Popen(
        words, env=environment(RAILWRIGHT_SECRET_METRICS_TOKEN="t0ken"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stderr is not None
        line = child.stderr.readline().decode()
        url = re.search(r"metrics at (\S+)", line)
        assert url, line + child.stderr.read().decode()
        until = time.monotonic() + 40
        while (page := scraped(url[1], "t0ken")).count('outcome="partial"') < 2 or "writer_rows 0.0" in page:
            assert time.monotonic() < until, page
            time.sleep(0.2)
        with pytest.raises(urllib.error.HTTPError):
            scraped(url[1], "wrong")
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=200)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, err
    assert COMMUNITY not in err.decode() + out.decode() + page
    health = json.loads(out)
    opened = open_store(store)
    rows = opened.read(["rx_bytes"], start_ns=0, end_ns=END)
    outcomes = opened.read_outcomes(start_ns=0, end_ns=END)
    opened.close()
    assert outcomes.height == health["collector"]["polls"]
    assert set(rows["device"]) == set(LEAVES)
    assert set(rows["port"].drop_nulls()) == set(NAMES)
    one = rows.filter(device=LEAVES[0], port="Ethernet4")
    assert one["rx_bytes"].is_sorted()
    assert one["rx_bytes"][-1] > one["rx_bytes"][0]
    assert f'railwright_polls_ended_total{{device="{LEAVES[0]}",outcome="partial",source="snmp"}}' in page


def scraped(url: str, token: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["collect", *words]) == 2
    return capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_what_is_missing_is_told_with_what_to_do(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing argument PLAN (or --demo)" in refused(capsys)
    assert "--demo takes no PLAN" in refused(capsys, str(plan), "--demo")
    said = refused(capsys, str(plan))
    assert "collect.snmp.community: DEMO has no value; set RAILWRIGHT_SECRET_DEMO, or add DEMO=…" in said
    Path("railwright.toml").unlink()
    assert "there is nobody to ask; add [collect.snmp]" in refused(capsys, str(plan), "--store", "duckdb:x.duckdb")


def test_options_that_do_not_go_together_are_told(
    plan: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWRIGHT_SECRET_DEMO", COMMUNITY)
    assert "--only needs a bus between processes" in refused(capsys, str(plan), "--only", "write")
    assert "METRICS_TOKEN: has no value" in refused(capsys, str(plan), "--metrics", "127.0.0.1:0")
    assert "is no address and port" in refused(capsys, str(plan), "--metrics", "here")
    monkeypatch.setenv("RAILWRIGHT_SECRET_METRICS_TOKEN", "t")
    assert "is not loopback" in refused(capsys, str(plan), "--metrics", "192.0.2.1:1")
    assert "collect.gnmi: is not in the settings" in refused(capsys, str(plan), "--source", "gnmi")
    assert "is no bus" in refused(capsys, str(plan), "--bus", "amqp://127.0.0.1")


def test_a_run_of_a_given_time_ends_by_itself_with_a_table(
    plan: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWRIGHT_SECRET_DEMO", COMMUNITY)
    store = f"duckdb:{folder / 'samples.duckdb'}"
    before = signal.getsignal(signal.SIGTERM)
    assert main(["collect", str(plan), "--store", store, "--for", "2"]) == 0
    assert signal.getsignal(signal.SIGTERM) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["device", "source", "outcome", "took", "rows", "in", "out", "polls", "age"]
    assert [line.split()[:3] for line in lines[1:3]] == [[leaf, "snmp", "partial"] for leaf in LEAVES]
    assert re.search(r"Gb/s", lines[1])
    assert re.match(r"2 devices; polls: \d+ partial; [\d,]+ rows stored", lines[3])


def test_an_agent_that_is_silent_is_a_recorded_outcome(
    plan: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWRIGHT_SECRET_DEMO", "wrong")
    store = f"duckdb:{folder / 'samples.duckdb'}"
    assert main(["collect", str(plan), "--store", store, "--for", "2", "--json"]) == 0
    health = json.loads(capsys.readouterr().out)
    assert set(health["outcomes"]) == {"silent"}
    opened = open_store(store)
    assert set(opened.read_outcomes(start_ns=0, end_ns=END)["outcome"]) == {"silent"}
    opened.close()


def test_the_agent_of_the_demonstration_says_what_snmpbulkwalk_reads() -> None:
    program = need("snmpbulkwalk")
    with agent(Secret(COMMUNITY)) as port:
        words = [program, "-v2c", "-c", COMMUNITY, "-On", "-Oe", f"127.0.0.1:{port}", "1.3.6.1.2.1.31.1.1.1"]
        out = subprocess.run(words, capture_output=True, text=True, timeout=200, check=True).stdout
        assert [f'STRING: "{name}"' in out for name in NAMES] == [True] * len(NAMES)
        assert len([line for line in out.splitlines() if "Counter64" in line]) == 4 * len(NAMES)
        wrong = [word.replace(COMMUNITY, "wrong") for word in [*words[:1], "-r0", "-t0.3", *words[1:]]]
        assert subprocess.run(wrong, capture_output=True, timeout=200, check=False).returncode != 0
