"""What can be said of plain values before the models read them: keys that are no text, and fields that are missing."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fabric.errors import Problem
from fabric.intent.expect import Expect, shown
from fabric.intent.network import NetworkIntent, with_defaults
from fabric.validation import Path, join

LONGEST_KEY = 80
"""Longer keys, and those with control characters, would spoil the messages that name them."""


def text_keys(value: Any, path: Path = ()) -> tuple[Any, list[Problem]]:
    """The same values without keys that are no text, and a problem for each of those."""
    if isinstance(value, Mapping):
        strange = [
            Problem(join(path), f"key {shown(key)} is no plain text", "name a field as docs/intent.md does")
            for key in value
            if not _is_text(key)
        ]
        kept = {key: text_keys(item, (*path, key)) for key, item in value.items() if _is_text(key)}
        return {key: item for key, (item, _) in kept.items()}, strange + [
            p for _, found in kept.values() for p in found
        ]
    if isinstance(value, list | tuple):
        items = [text_keys(item, (*path, index)) for index, item in enumerate(value)]
        return [item for item, _ in items], [p for _, found in items for p in found]
    return value, []


def _is_text(key: Any) -> bool:
    return isinstance(key, str) and key.isprintable() and 0 < len(key) <= LONGEST_KEY


def missing(model: type[BaseModel], data: Any, path: Path = ()) -> Iterator[Problem]:
    """Fields that must be given and are not, with what they take."""
    if not isinstance(data, Mapping):
        return
    given = with_defaults(str(path[-1]), data) if model is NetworkIntent else data
    for name, field in model.model_fields.items():
        if name in given:
            for inner_path, inner in _parts(field, given[name], (*path, name)):
                yield from missing(model_in(field.annotation) or model, inner, inner_path)
        elif field.is_required():
            yield Problem(join((*path, name)), "is missing", f"give {expected(field) or _meaning(field)}")


def expected(field: FieldInfo) -> str:
    """What a field takes, in words; empty for a model of its own."""
    return next((entry.text for entry in field.metadata if isinstance(entry, Expect)), "")


def _meaning(field: FieldInfo) -> str:
    text = (field.description or "").rstrip(".")
    return text[:1].lower() + text[1:]


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model a field holds: itself, or in a list, a mapping or an option."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in typing.get_args(annotation) if (found := model_in(inner)) is not None), None)


def _parts(field: FieldInfo, value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Places and values of the models inside a field."""
    if model_in(field.annotation) is None:
        return
    if isinstance(value, list | tuple):
        yield from (((*path, index), item) for index, item in enumerate(value))
    elif typing.get_origin(field.annotation) is dict and isinstance(value, Mapping):
        yield from (((*path, key), item) for key, item in value.items())
    else:
        yield path, value
