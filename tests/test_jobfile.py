"""Job files: every mistake told at once, and groups that divide the ranks as frameworks do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.errors import InputError
from fabric.jobfile import Job, job_from, read_job

GOOD = {
    "name": "llm", "hosts": 4, "gpus_per_host": 8, "tp": 8, "pp": 2, "dp": 2,
    "steps": [{"collective": "all-reduce", "group": "dp", "bytes": 1e9}],
}  # fmt: skip


def told(data: object) -> list[str]:
    with pytest.raises(InputError) as error:
        job_from(data)
    return [str(problem) for problem in error.value.problems]


def test_a_job_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        "name: llm\nhosts: [gpu-0000, gpu-0001]\ngpus_per_host: 8\ntp: 8\ndp: 2\n"
        "steps:\n- {collective: all-to-all, group: ep, bytes: 1e6, skew: 0.5}\n"
    )
    job = read_job(path)
    assert (job.hosts, job.host_count, job.ranks) == (("gpu-0000", "gpu-0001"), 2, 16)
    assert (job.pp, job.ep, job.steps[0].bytes, job.steps[0].algorithm) == (1, 1, 1_000_000, "ring")


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {
        "name": "", "hosts": 3, "gpus_per_host": 8, "tp": 8, "dp": 4, "ep": 3, "gpu": 1,
        "steps": [
            {"collective": "allreduce", "group": "dp", "bytes": 1.5},
            {"collective": "all-gather", "group": "dp", "bytes": 8, "algorithm": "tree"},
        ],
    }  # fmt: skip
    assert told(wrong) == [
        "job: tp · pp · dp = 32, but hosts · gpus_per_host = 24; make them equal: dp 3 would do",
        "job: ep: 3 does not divide dp, which is 4; take a divisor of dp",
        'job: gpu: unknown field, did you mean "gpus_per_host"?',
        "job: name: must not be empty",
        "job: steps[0].bytes: expected a whole number, got 1.5",
        "job: steps[0].collective: expected one of all-reduce, all-gather, reduce-scatter, all-to-all, send-recv, "
        'got "allreduce", did you mean "all-reduce"?',
        "job: steps[1]: algorithm tree is for all-reduce, not all-gather",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hosts": ["a", "a", "b", "c"]}, "job: hosts: names a twice; name each host once"),
        ({"hosts": 1 << 20, "dp": 1 << 19}, "job: hosts: 8,388,608 GPUs; a job has at most 1,048,576"),
        ({"steps": []}, "job: steps: needs at least 1, has 0"),
        (
            {"steps": [{"collective": "send-recv", "group": "pp", "bytes": 1, "skew": 1.0}]},
            "job: steps[0]: skew is for all-to-all, not send-recv",
        ),
    ],
)
def test_a_mistake_says_what_to_do(change: dict[str, object], said: str) -> None:
    assert told(GOOD | change) == [said]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "ep", "pp"]), anything), st.integers(0, 400))
def test_no_file_brings_anything_but_problems(change: dict[str, object], digits: int) -> None:
    for data in (GOOD | change, GOOD | {"hosts": 10**digits, "tp": 10 ** (digits // 2)}):
        with suppress(InputError):
            job_from(data)


@pytest.mark.parametrize("data", [None, [], "job", 3])
def test_what_is_no_mapping_is_no_job(data: object) -> None:
    assert "a job has at least name, hosts, gpus_per_host and steps" in told(data)[0]


def test_ranks_run_tp_fastest_then_dp_then_pp() -> None:
    job = Job.model_validate(
        {**GOOD, "hosts": 2, "gpus_per_host": 6, "tp": 2, "pp": 3, "dp": 2, "ep": 2,
         "steps": ({"collective": "all-reduce", "group": "dp", "bytes": 8},)}
    )  # fmt: skip
    assert job.groups("tp").tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    assert job.groups("dp").tolist() == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9, 11]]
    assert job.groups("pp").tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert job.groups("ep").tolist() == job.groups("dp").tolist()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_groups_of_each_kind_hold_every_rank_once(tp: int, pp: int, factor: int, ep: int) -> None:
    data = GOOD | {"hosts": tp * pp * factor * ep, "gpus_per_host": 1, "tp": tp, "pp": pp, "dp": factor * ep, "ep": ep}
    job = job_from(data)
    for kind in ("tp", "pp", "dp", "ep"):
        groups = job.groups(kind)
        assert groups.shape == (job.ranks // job.size(kind), job.size(kind))
        assert np.array_equal(np.sort(groups, axis=None), np.arange(job.ranks))
    inside = {tuple(group) for dp in job.groups("dp").tolist() for group in np.array(dp).reshape(-1, ep).tolist()}
    assert inside == {tuple(group) for group in job.groups("ep").tolist()}
