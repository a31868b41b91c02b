"""From pydantic's errors to problems that say where, what was expected, and the nearest valid name.

``validate`` reports everything that is wrong at once. Models that people fill in by YAML derive from ``Strict``: text
is no number, a number is no text, and a field nobody knows is an error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from fabric.errors import InputError, Problem

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


class Strict(BaseModel):
    """Base of what comes from YAML: frozen, no unknown field, no silent conversion, no infinite number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=False)


def validate(model: type[M], data: object, where: str, at: Path = ()) -> M:
    """``data`` (plain values, as YAML gives them; lists may fill tuples) as ``model``.

    ``where`` comes before the path of a problem (a file's name; empty: the path alone), ``at`` is the path of ``data``
    itself. Raises InputError.
    """
    try:
        return model.model_validate(as_tuples(data))
    except ValidationError as error:
        raise InputError(problems(error, model, data, where, at)) from None


def problems(
    error: ValidationError, model: type[BaseModel], data: object, where: str = "", at: Path = ()
) -> list[Problem]:
    """What pydantic found, one problem a place, sorted by place."""
    found: dict[Path, list[tuple[Path, ErrorDetails]]] = {}
    for detail in error.errors(include_url=False):
        path = _real_path(detail["loc"], data, detail["type"])
        found.setdefault(path, []).append((detail["loc"], detail))
    bad_keys = {path for path, details in found.items() if any(loc[-1:] == ("[key]",) for loc, _ in details)}
    kept = {
        path: details
        for path, details in found.items()
        if not any(path[:depth] in bad_keys for depth in range(len(path)))
        and (path in bad_keys or not _explained_deeper(path, details, found))
        and not _only_seems_short(path, details, found)
    }
    return sorted({_problem(path, [d for _, d in details], model, where, at) for path, details in kept.items()})


def as_tuples(data: object) -> object:
    """The same values with every list a tuple, which is what frozen models hold."""
    if isinstance(data, Mapping):
        return {key: as_tuples(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return tuple(as_tuples(value) for value in data)
    return data


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The valid name most like ``name``, or None where none is near; a name it begins counts as near."""
    longer = [candidate for candidate in names if len(name) >= 3 and _fold(candidate).startswith(_fold(name))]
    if longer:
        return min(longer, key=len)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close[0] if close else None


def suggest(name: object, names: Sequence[str]) -> str:
    """``did you mean "x"?``, or else the names there are."""
    near = nearest(str(name), names)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"expected {one_of(names)}" if names else "none is known here"


def one_of(names: Sequence[str]) -> str:
    """``a``, ``one of a, b, c``; shortened where there are many."""
    shown = [*names[:20], "…"] if len(names) > 20 else list(names)
    return shown[0] if len(shown) == 1 else "one of " + ", ".join(shown)


def join(path: Path) -> str:
    """``hosts[0].networks.storage``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _real_path(loc: Path, data: object, kind: str) -> Path:
    """``loc`` without what pydantic puts in for branches of unions and for keys: only steps that the data has."""
    path: list[str | int] = []
    for place, part in enumerate(loc):
        if _has(data, part):
            path.append(part)
            data = data[part]  # type: ignore[index]
        elif kind == "missing" and place == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _has(data: object, part: str | int) -> bool:
    if isinstance(data, list | tuple):
        return isinstance(part, int) and 0 <= part < len(data)
    return isinstance(data, Mapping) and part in data


def _explained_deeper(
    path: Path, details: list[tuple[Path, ErrorDetails]], found: Mapping[Path, list[tuple[Path, ErrorDetails]]]
) -> bool:
    """Whether this is one branch of a union that does not fit, while another branch fits but for a detail below."""
    if any(len(loc) == len(path) for loc, _ in details):
        return False
    return any(len(other) > len(path) and other[: len(path)] == path for other in found)


def _only_seems_short(
    path: Path, details: list[tuple[Path, ErrorDetails]], found: Mapping[Path, list[tuple[Path, ErrorDetails]]]
) -> bool:
    """Whether a list is short only because pydantic does not count the members that are wrong."""
    below = any(len(other) > len(path) and other[: len(path)] == path for other in found)
    return below and all(detail["type"] == "too_short" for _, detail in details)


def _problem(path: Path, details: list[ErrorDetails], model: type[BaseModel], where: str, at: Path) -> Problem:
    place = join((*at, *path))
    return Problem(f"{where}: {place}" if where and place else where or place, _what(path, details, model))


def _what(path: Path, details: list[ErrorDetails], model: type[BaseModel]) -> str:
    first = details[0]
    if first["type"] == "missing":
        return "is missing"
    if first["type"] == "extra_forbidden":
        return f"unknown field, {suggest(path[-1], fields_at(model, path[:-1]))}"
    keys = [detail["loc"][-2] for detail in details if detail["loc"][-1:] == ("[key]",)]
    if keys:
        name = "unknown name" if keys[0] == path[-1] else f'unknown name "{keys[0]}"'
        return f"{name}, {suggest(keys[0], _literals(details))}"
    said = [text for text in (_expected(detail) for detail in details) if text is not None]
    if len(said) == len(details):
        value = first["input"]
        return f"expected {' or '.join(dict.fromkeys(said))}, got {_shown(value)}{_did_you_mean(value, details)}"
    return " or ".join(dict.fromkeys(_sentence(detail) for detail in details if _expected(detail) is None))


_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "nothing",
    "path_type": "a path",
    "is_instance_of": "a value of another kind",
}


def _expected(detail: ErrorDetails) -> str | None:
    """What belongs here, as a noun; None where the error is better told in a sentence."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in ("literal_error", "enum"):
        return one_of(_literals([detail]))
    for name, words in (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most")):
        if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal") and name in context:
            return f"{words} {context[name]:g}"
    return None


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "too_short":
        return f"needs at least {context['min_length']}, has {context['actual_length']}"
    if kind == "too_long":
        return f"takes at most {context['max_length']}, has {context['actual_length']}"
    if kind == "string_too_short":
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"needs at least {least} characters"
    if kind == "string_too_long":
        return f"takes at most {context['max_length']} characters"
    if kind == "string_pattern_mismatch":
        return f"{_shown(detail['input'])} does not match {context['pattern']}"
    if kind == "value_error":
        return str(context["error"])
    message = detail["msg"]
    return message[0].lower() + message[1:]


def _literals(details: Sequence[ErrorDetails]) -> list[str]:
    """The valid values that pydantic names in its message."""
    choices = (detail for detail in details if detail["type"] in ("literal_error", "enum"))
    texts = (str(detail.get("ctx", {}).get("expected", "")) for detail in choices)
    return [quoted or bare for text in texts for quoted, bare in re.findall(r"'([^']*)'|([^\s,']+)(?=,| or |$)", text)]


def _did_you_mean(value: object, details: Sequence[ErrorDetails]) -> str:
    near = nearest(value, _literals(details)) if isinstance(value, str) else None
    return f', did you mean "{near}"?' if near else ""


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    text = text if len(text) <= 40 else text[:39] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """Fields of the model (or of all models, where there is a choice) that belongs at ``path``."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [inner for kind in kinds for branch in _branches(kind) for inner in _step(branch, part)]
    models = [branch for kind in kinds for branch in _branches(kind) if _is_model(branch)]
    return list(dict.fromkeys(name for one in models for name in one.model_fields))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _branches(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Annotated:
        yield from _branches(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for argument in get_args(kind):
            yield from _branches(argument)
    elif kind is not NoneType and get_origin(kind) is not Literal:
        yield kind


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    """What is below ``kind`` at a field's name, a key or a place in a list."""
    if _is_model(kind):
        if part in kind.model_fields:
            yield kind.model_fields[part].annotation
    elif isinstance(part, int):
        arguments = [a for a in get_args(kind) if a is not Ellipsis]
        if arguments:
            yield arguments[min(part, len(arguments) - 1)]
    elif len(get_args(kind)) == 2:
        yield get_args(kind)[1]
