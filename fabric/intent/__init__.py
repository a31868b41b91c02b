"""What is asked of a fabric: read, checked as a whole, and written in full.

``load_intent`` and ``parse_intent`` raise InputError with every problem found, each with file, path and remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fabric import yaml
from fabric.errors import InputError, Problem
from fabric.intent.addressing import Addressing
from fabric.intent.models import HostGroup, Intent
from fabric.intent.network import NETWORKS, NetworkIntent, Oversubscription, Uplinks, UplinkSpeed
from fabric.intent.qos import Qos
from fabric.intent.rules import broken
from fabric.intent.services import Services
from fabric.intent.shape import missing, text_keys
from fabric.intent.site import Site
from fabric.validation import validate

__all__ = [
    "NETWORKS",
    "Addressing",
    "HostGroup",
    "Intent",
    "NetworkIntent",
    "Oversubscription",
    "Qos",
    "Services",
    "Site",
    "UplinkSpeed",
    "Uplinks",
    "intent_from",
    "load_intent",
    "parse_intent",
]


def load_intent(path: Path) -> Intent:
    """The intent in a YAML file; raises InputError."""
    return intent_from(yaml.load_file(path), where=path)


def parse_intent(text: str, *, where: Path | None = None) -> Intent:
    """The intent in a YAML text; ``where``: the file it came from. Raises InputError."""
    return intent_from(yaml.load_text(text, _name(where)), where=where)


def intent_from(data: object, *, where: Path | None = None) -> Intent:
    """The intent in plain values, as YAML gives them; raises InputError with every problem."""
    if not isinstance(data, Mapping):
        what = "is empty" if data is None else "is not a mapping"
        raise InputError(Problem(_name(where), f"{what}; an intent has at least name, hosts and networks"))
    values, strange = text_keys(data)
    seen = [*strange, *missing(Intent, values), *broken(values)]
    found = [Problem(f"{_name(where)}: {one.where}".removesuffix(": "), one.what, one.remedy) for one in seen]
    try:
        intent = validate(Intent, values, _name(where))
    except InputError as error:
        told = {problem.where for problem in found}
        found += [problem for problem in error.problems if problem.where not in told]
    if found:
        raise InputError(sorted(set(found)))
    intent._source = where
    return intent


def _name(where: Path | None) -> str:
    return "intent" if where is None else str(where)
