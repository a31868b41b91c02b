"""Placeholders: filled from a file of one's own or the environment, all missing ones told, no value ever shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from fabric.errors import InputError
from fabric.fill import fill, fill_tree, named, placeholder, placeholders, read_values, user_name
from fabric.intent.services import Services

SECRET = "correct horse"
DATA = b'{"auth": "__RAILWRIGHT_SNMP_TELE_AUTH__", "priv": "__RAILWRIGHT_SNMP_TELE_PRIV__", "x": "__RAILWRIGHT_x__"}'


def closed(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_all_placeholders_are_filled() -> None:
    filled = fill(DATA, {"SNMP_TELE_AUTH": "one", "SNMP_TELE_PRIV": r"t\1wo", "OTHER": "unused"})
    assert filled == rb'{"auth": "one", "priv": "t\1wo", "x": "__RAILWRIGHT_x__"}'
    assert named(filled) == set()


@given(st.dictionaries(st.from_regex(r"[A-Z0-9]{1,8}(_[A-Z0-9]{1,8}){0,2}", fullmatch=True), st.text(), max_size=5))
def test_names_and_placeholders_are_each_other(values: dict[str, str]) -> None:
    data = "|".join(placeholder(name) for name in values).encode()
    assert named(data) == set(values)
    assert fill(data, values) == "|".join(values.values()).encode(errors="strict")


def test_all_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        fill_tree([("a", DATA), ("b", b"__RAILWRIGHT_SM_KEY__")], {"SNMP_TELE_PRIV": SECRET})
    assert str(caught.value).splitlines() == [
        "b: __RAILWRIGHT_SM_KEY__ has no value; add SM_KEY=… to the file of --fill, or set RAILWRIGHT_SECRET_SM_KEY",
        "a: __RAILWRIGHT_SNMP_TELE_AUTH__ has no value; add SNMP_TELE_AUTH=… to the file of --fill, or set "
        "RAILWRIGHT_SECRET_SNMP_TELE_AUTH",
    ]


def test_a_tree_is_filled_whole() -> None:
    made = fill_tree([("a", b"__RAILWRIGHT_A__"), ("b", b"plain")], {"A": SECRET})
    assert made == [("a", SECRET.encode()), ("b", b"plain")]


def test_values_come_from_a_file_over_the_environment(tmp_path: Path) -> None:
    file = closed(tmp_path / "secrets", f"# mine\n\nSNMP_TELE_AUTH={SECRET}\n__RAILWRIGHT_SM_KEY__ = 0x2a=b\n")
    environment = {"RAILWRIGHT_SECRET_SNMP_TELE_AUTH": "no", "RAILWRIGHT_SECRET_ZTP_SERVER": "192.0.2.1", "HOME": "/"}
    assert read_values(file, environment) == {
        "SNMP_TELE_AUTH": SECRET, "SM_KEY": "0x2a=b", "ZTP_SERVER": "192.0.2.1",
    }  # fmt: skip
    assert read_values(None, environment)["SNMP_TELE_AUTH"] == "no"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606, 0o620])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = closed(tmp_path / "secrets", f"A={SECRET}\n", mode)
    with pytest.raises(InputError, match=rf"others can read it \(mode {mode:o}\); chmod 600") as caught:
        read_values(file, {})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{SECRET}\n", "line 1: is no NAME=value"), (f"a b={SECRET}\n", "line 1: is no NAME=value"),
        (f"A={SECRET}\na={SECRET}\n", "line 2: A is given twice"), (f"A__B={SECRET}\n", "line 1: is no NAME=value"),
        ("A=\n", "A: is empty"), (f"A={SECRET}\x07\n", "A: is empty, or has characters"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_told_without_its_values(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_values(closed(tmp_path / "secrets", text), {})
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            read_values(path, {})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe=")
    binary.chmod(0o600)
    with pytest.raises(InputError, match="no UTF-8 text"):
        read_values(binary, {})


def test_a_plan_says_what_it_needs() -> None:
    plan = planned("starter-32")
    services = Services.model_validate({"snmp_users": ("tele-1", "ops")})
    plan = replace(plan, intent=plan.intent.model_copy(update={"services": services}))
    users = {f"SNMP_{user}_{kind}" for user in ("TELE_1", "OPS") for kind in ("AUTH", "PRIV")}
    assert set(placeholders(plan)) == users | {"ZTP_SERVER"}
    assert placeholders(planned("superpod-h100-1su")) == ("SM_KEY",)
    assert user_name("a--b_") == "A_B"
