"""Reading YAML from people: what is kept as text, and what is refused with which place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric import yaml as reader
from fabric.errors import InputError
from fabric.yaml import load_file, load_text


def _said(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_text(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_plain_values_are_read() -> None:
    assert load_text("{a: [1, -2, 0x10, 1_000, 1.5, .5, 1e6, true, null, 2x400, '8', ' ']}", "") == {
        "a": [1, -2, 16, 1000, 1.5, 0.5, 1e6, True, None, "2x400", "8", " "]
    }
    assert load_text("", "") is None
    assert load_text("# nothing", "") is None


def test_dates_and_base_60_and_octal_stay_text() -> None:
    assert load_text("[2026-01-01, 12:30, 1:2:3.5, 010]", "") == ["2026-01-01", "12:30", "1:2:3.5", "010"]


def test_merge_keys_and_aliases_are_followed() -> None:
    assert load_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a", "") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }


def test_every_duplicate_key_is_named_with_its_line() -> None:
    assert _said("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        'f.yaml:2:11: "c" is given twice (first on line 2)',
        'f.yaml:3:1: "a" is given twice (first on line 1)',
    ]
    assert _said("[1, 2]: x") == ["f.yaml:1:1: a key must be plain text"]


def test_a_bomb_is_weighed_and_not_unrolled() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert _said("\n".join(lines)) == ["f.yaml: holds more than 500,000 values once its aliases are followed"]


def test_a_long_text_repeated_is_a_bomb_too() -> None:
    text = f"a: &a {'x' * 100_000}\nb: &b [{', '.join(['*a'] * 100)}]\nc: [{', '.join(['*b'] * 10)}]"
    assert _said(text) == ["f.yaml: holds more than 500,000 values once its aliases are followed"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 60 + "1" + "}" * 60, "- " * 60 + "1"])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested deeper than 50 levels" in _said(text)[0]


def test_a_chain_of_aliases_is_nesting_too() -> None:
    text = "a0: &a0 []\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000))
    assert _said(text) == ["f.yaml:52:6: is nested deeper than 50 levels"]


def test_a_file_longer_than_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_bytes(b"a: " + b"x" * reader.MAX_BYTES)
    with pytest.raises(InputError, match="is longer than 4 MiB; split it"):
        load_file(path)
    path.write_bytes("ä".encode() * (reader.MAX_BYTES // 2 + 1))
    with pytest.raises(InputError, match="is longer than 4 MiB"):
        load_file(path)
    assert _said("x" * (reader.MAX_BYTES + 1))[0].startswith("f.yaml: is longer than 4 MiB")


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: no such file or directory"):
        load_file(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        load_file(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: M\xfcnchen")
    with pytest.raises(InputError, match=r"latin.yaml: is not UTF-8 text \(byte 8\)"):
        load_file(latin)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert load_file(path) == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "f.yaml:2:1: is not YAML: while parsing a flow sequence did not find expected ',' or ']'"),
        ("a: \x01", "f.yaml: character 4 is not allowed in YAML"),
        ("a\n---\nb", "f.yaml:2:1: is not YAML: expected a single document in the stream but found another document"),
        ("!!python/object:os.x {}", "f.yaml:1:1: unknown tag 'tag:yaml.org,2002:python/object:os.x'"),
        ("a: &a [*a]", "f.yaml:1:4: an anchor contains itself"),
        ("a: " + "9" * 5000, "f.yaml: holds a number too long to be read, or not a number"),
        ("a: *b", "f.yaml:1:4: is not YAML: found undefined alias"),
    ],
)  # fmt: skip
def test_what_is_not_yaml_says_where(text: str, said: str) -> None:
    assert _said(text) == [said]


@given(st.text(alphabet="ab:[]{}&*- \n#!<'\"|>,0.%@\t", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_text(text, "f.yaml")
        said = ["f.yaml"]
    except InputError as error:
        said = [problem.where for problem in error.problems]
    assert said
    assert all(where.startswith("f.yaml") for where in said)
