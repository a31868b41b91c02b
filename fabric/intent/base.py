"""How the intent's models declare a field."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def said(meaning: str, default: Any = ..., *, unit: str = "", make: Any = None) -> Any:
    """A field: its meaning, default (none: required) and unit, which are also its line in docs/intent.md.

    ``make`` builds the default of a part that is a model of its own.
    """
    extra: Any = {"unit": unit} if unit else None
    if make is not None:
        return Field(default_factory=make, description=meaning, json_schema_extra=extra)
    return Field(default, description=meaning, json_schema_extra=extra)
