"""The reference of the intent, docs/intent.md, made from the models: ``python -m fabric.intent.reference``.

A test compares the file with ``reference()``, so that the two never part.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fabric.intent.models import Intent, plain
from fabric.intent.network import NETWORKS, NetworkIntent, with_defaults
from fabric.intent.rules import RULES
from fabric.intent.shape import expected, model_in
from fabric.intent_catalogue import CHECKS, servers_have_the_nics

SMALLEST = """\
name: lab
hosts:
  - {name: gpu, model: dgx-h100, count: 32}
networks:
  compute: {technology: infiniband}
"""
"""The least that is an intent; the reference shows it and a test plans it."""

HEAD = f"""\
# The intent

<!-- Made from the models by `python -m fabric.intent.reference`; edit those. -->

One YAML file says what is asked; everything that is not said has a default. The smallest intent:

```yaml
{SMALLEST}```

A field that nobody knows is an error, text is no number ("8" is not 8), and all mistakes are told at once, each with
its path and the nearest valid name. Ratios are kept exactly as written: 1.067 is 1067/1000. Relative paths start from
the folder of the intent. `intent.yaml` of a plan is the same intent with every default written out.
"""


def reference() -> str:
    """The whole document."""
    parts = [HEAD, *_sections(Intent, ""), _by_network(), _rules()]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    """A table of the model's fields, then those of the models in it."""
    yield _section(model, path)
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None:
            yield from _sections(inner, f"{path}.{name}".lstrip(".") + _suffix(field.annotation))


def _section(model: type[BaseModel], path: str) -> str:
    title = f"## `{path}`" if path else "## Fields"
    own = with_defaults("oob", {}) if model is NetworkIntent else {}
    rows = [_row(name, field, varies=name in own) for name, field in model.model_fields.items()]
    head = ["| field | takes | default | unit | meaning |", "|---|---|---|---|---|"]
    return "\n".join([title, "", (model.__doc__ or "").split("``source``")[0].strip(), "", *head, *rows])


def _row(name: str, field: FieldInfo, *, varies: bool) -> str:
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    cells = (f"`{name}`", _takes(field), "by network" if varies else _default(field), unit, field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _takes(field: FieldInfo) -> str:
    if expected(field):
        return expected(field)
    kind = {"[]": "a list, see below", ".NAME": "a mapping, see below"}.get(_suffix(field.annotation), "see below")
    return f"{kind}, or null" if type(None) in typing.get_args(field.annotation) else kind


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = plain(field.get_default(call_default_factory=True, validated_data={}))
    if model_in(field.annotation) is not None and isinstance(value, dict):
        return "see below"
    if value and isinstance(value, list) and isinstance(value[0], dict):
        return ", ".join(f"`{_flow(row)}`" for row in value)
    return f"`{_flow(value)}`"


def _flow(value: Any) -> str:
    """A value as YAML writes it on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("\n").removesuffix("...").strip()


def _suffix(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return ""
    return {tuple: "[]", dict: ".NAME"}.get(origin, "") if origin is not None else ""


def _by_network() -> str:
    """Defaults that depend on the network."""
    defaults = {name: with_defaults(name, {}) for name in NETWORKS}
    fields = sorted({field for given in defaults.values() for field in given})
    rows = [
        f"| `{field}` | " + " | ".join(_cell(defaults[name].get(field)) for name in NETWORKS) + " |" for field in fields
    ]
    head = [f"| field | {' | '.join(NETWORKS)} |", "|---" * (1 + len(NETWORKS)) + "|"]
    text = "Where a network's default is its own; `technology: infiniband` besides means `nos: opensm` and `qos: null`."
    return "\n".join(["## Defaults by network", "", text, "", *head, *rows])


def _cell(value: Any) -> str:
    if value is None:
        return "required"
    return ", ".join(f"`{each}`" for each in value) if isinstance(value, tuple) else f"`{value}`"


def _rules() -> str:
    """What several fields together must mean, one line a rule."""
    checks: tuple[Callable[..., Any], ...] = (servers_have_the_nics, *CHECKS)
    lines = ["## What must hold besides", "", "Within the intent:", ""]
    lines += [f"- {_first_line(rule)}" for rule in RULES]
    lines += ["", "With the catalogue:", ""]
    lines += [f"- {_first_line(check)}" for check in checks]
    return "\n".join(lines)


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(reference())
