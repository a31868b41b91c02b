"""Where a setting comes from, and what is said of one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.errors import InputError
from railwright.settings import SETTINGS, load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def origins(**settings: str) -> dict[str, tuple[str, str]]:
    found = load({"color": settings.pop("flag", None)}, environ=settings)
    return {v.setting.name: (v.value, v.origin) for v in found.values}


def test_defaults() -> None:
    assert origins() == {s.name: (s.default, "default") for s in SETTINGS}


def test_each_source_goes_before_the_next(empty_folder: Path) -> None:
    assert origins()["color"] == ("auto", "default")
    (empty_folder / "railwright.toml").write_text('color = "never"\ndebug = true\n')
    assert origins()["color"] == ("never", "railwright.toml")
    assert origins()["debug"] == ("true", "railwright.toml")
    assert origins(RAILWRIGHT_COLOR="always")["color"] == ("always", "RAILWRIGHT_COLOR")
    assert origins(RAILWRIGHT_COLOR="always", flag="auto")["color"] == ("auto", "--color")


def test_a_file_can_be_named(empty_folder: Path) -> None:
    (empty_folder / "mine.toml").write_text('progress = "none"\n')
    assert load({}, config_file="mine.toml", environ={})["progress"] == "none"
    assert load({}, environ={"RAILWRIGHT_CONFIG": "mine.toml"})["progress"] == "none"


def problems(flags: dict[str, str | None], config_file: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(flags, config_file=config_file, environ=environ)
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_is_told_at_once(empty_folder: Path) -> None:
    (empty_folder / "railwright.toml").write_text('colour = "never"\nprogress = "bar"\n')
    assert problems({"color": "pink"}, RAILWRIGHT_DEBAG="1") == [
        'railwright.toml: colour: unknown setting, did you mean "color"?',
        'RAILWRIGHT_DEBAG: unknown setting, did you mean "RAILWRIGHT_DEBUG"?',
        '--color: "pink" is not a value of color; expected one of auto, always, never',
        'railwright.toml: progress: "bar" is not a value of progress; expected one of auto, bars, lines, none',
    ]


def test_a_named_file_must_be_there() -> None:
    assert problems({}, "absent.toml") == ["absent.toml: cannot be read: no such file or directory"]


def test_a_file_must_be_toml(empty_folder: Path) -> None:
    (empty_folder / "railwright.toml").write_text("color = \n")
    assert problems({}) == ["railwright.toml: is not TOML: invalid value (at line 1, column 9)"]


def test_variables_of_the_tests_are_no_settings() -> None:
    assert load({}, environ={"RAILWRIGHT_REQUIRE": "all", "RAILWRIGHT_TEST_DATA": "/data"})["debug"] == "false"
