"""The shipped catalogue, then the user's files over it; every mistake of every file at once.

A file has the sections ``servers``, ``switches``, ``optics`` and ``cables`` and may name further files under
``catalogue`` (relative to itself; read before it). An entry replaces the one of its name and keeps its place; with
``extends: NAME`` it starts as a copy of NAME and says only what differs (mappings merge, everything else replaces).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from fabric.catalogue.models import Cable, Catalogue, Optic, Server, Switch
from fabric.errors import InputError, Problem
from fabric.validation import suggest, validate
from fabric.yaml import load_file

SECTIONS: dict[str, type[Server | Switch | Optic | Cable]] = {
    "servers": Server,
    "switches": Switch,
    "optics": Optic,
    "cables": Cable,
}
SHIPPED = tuple(Path(__file__).parent / f"{section}.yaml" for section in SECTIONS)

Entries = dict[str, dict[str, Any]]
"""Entries of one section, as plain values."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """The shipped catalogue with the entries of ``extra`` added or in place of its own. Raises InputError."""
    if not extra:
        return _shipped()
    known, problems = _merge(_plain_shipped(), _closure(extra))
    return _catalogue(known, problems)


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return _catalogue(_plain_shipped(), [])


@lru_cache(maxsize=1)
def _plain_shipped() -> dict[str, dict[str, tuple[str, dict[str, Any]]]]:
    known, problems = _merge({section: {} for section in SECTIONS}, [(str(p.name), load_file(p)) for p in SHIPPED])
    if problems:
        raise InputError(problems)
    return known


Known = dict[str, dict[str, tuple[str, dict[str, Any]]]]
"""Section, then name, then the file an entry is from and its values, ``extends`` resolved."""


def _merge(base: Known, files: Sequence[tuple[str, object]]) -> tuple[Known, list[Problem]]:
    """``base`` with the files' entries over it, in order; and what is wrong with the files' own shape."""
    known = {section: dict(entries) for section, entries in base.items()}
    problems: list[Problem] = []
    for where, data in files:
        problems += _shape_problems(where, data)
        for section in SECTIONS:
            entries = _entries(data, section)
            resolved, wrong = _extend(where, section, entries, known[section])
            known[section].update({name: (where, entry) for name, entry in resolved.items()})
            problems += wrong
    return known, problems


def _catalogue(known: Known, problems: list[Problem]) -> Catalogue:
    """Validates every entry; raises all problems together."""
    sections: dict[str, dict[str, Any]] = {}
    found = list(problems)
    for section, model in SECTIONS.items():
        sections[section] = {}
        for name, (where, entry) in known[section].items():
            try:
                sections[section][name] = validate(model, {**entry, "name": name}, where, (section, name))
            except InputError as error:
                found += error.problems
    if found:
        raise InputError(sorted(set(found)))
    return Catalogue(**sections)


def _entries(data: object, section: str) -> Entries:
    """What of a section has the right shape."""
    entries = data.get(section) if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict) and _is_name(name)}


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _shape_problems(where: str, data: object) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield Problem(where, "is no catalogue", f"it needs at least one of {', '.join(SECTIONS)}")
        return
    for key, value in data.items():
        if key == "catalogue":
            continue
        if key not in SECTIONS:
            yield Problem(f"{where}: {key}", f"unknown field, {suggest(key, [*SECTIONS, 'catalogue'])}")
        elif not isinstance(value, dict):
            yield Problem(f"{where}: {key}", "expected a mapping of names to entries")
        else:
            yield from _entry_shape_problems(f"{where}: {key}", value)


def _entry_shape_problems(where: str, entries: dict[object, object]) -> Iterator[Problem]:
    for name, entry in entries.items():
        if not isinstance(name, str):
            yield Problem(f"{where}.{name}", "a name must be text", f'write "{name}" in quotes')
        elif not _NAME.fullmatch(name):
            yield Problem(f"{where}.{name}", "a name has letters, digits and . _ + - only, at most 64")
        elif not isinstance(entry, dict):
            yield Problem(f"{where}.{name}", "expected a mapping of fields to values")
        elif "name" in entry:
            yield Problem(f"{where}.{name}.name", "unknown field, the key is the name")


def _extend(where: str, section: str, entries: Entries, before: dict[str, Any]) -> tuple[Entries, list[Problem]]:
    """Entries with ``extends`` followed; one that extends its own name starts from the earlier entry of that name."""
    resolved: Entries = {}
    problems: list[Problem] = []

    def resolve(name: str, chain: tuple[str, ...]) -> dict[str, Any]:
        if name in resolved:
            return resolved[name]
        entry = dict(entries[name])
        parent = entry.pop("extends", None)
        if "extends" in entries[name]:
            entry = _deep_merge(start(name, parent, (*chain, name)), entry)
        entry.pop("name", None)
        return resolved.setdefault(name, entry)

    def start(name: str, parent: object, chain: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(parent, str) and parent in entries and parent != name:
            if parent not in chain:
                return resolve(parent, chain)
            circle = " extends ".join((*chain[chain.index(parent) :], parent))
            problems.append(Problem(f"{where}: {section}.{name}.extends", f"is circular: {circle}"))
        elif isinstance(parent, str) and parent in before:
            return dict(before[parent][1])
        else:
            said = suggest(parent, [*before, *(other for other in entries if other != name)])
            problems.append(Problem(f"{where}: {section}.{name}.extends", f'unknown name "{parent}", {said}'))
        return {}

    for name in entries:
        resolve(name, ())
    broken = {problem.where for problem in problems}
    return {name: e for name, e in resolved.items() if f"{where}: {section}.{name}.extends" not in broken}, problems


def _deep_merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _deep_merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _closure(paths: Sequence[Path]) -> list[tuple[str, object]]:
    """The files and those that they name, each once, a named file before the one that names it."""
    loaded: dict[Path, tuple[str, object]] = {}
    problems: list[Problem] = []

    def visit(path: Path, chain: tuple[Path, ...]) -> None:
        real = path.resolve()
        if real in chain:
            circle = " → ".join(str(p.name) for p in (*chain[chain.index(real) :], real))
            problems.append(Problem(str(path), f"is circular: {circle}", "a catalogue file cannot name itself"))
        elif real not in loaded:
            read(path, (*chain, real))

    def read(path: Path, chain: tuple[Path, ...]) -> None:
        try:
            data = load_file(path)
        except InputError as error:
            problems.extend(error.problems)
            return
        for other in _named_files(path, data, problems):
            visit(path.parent / other, chain)
        loaded[chain[-1]] = (str(path), data)

    for path in paths:
        visit(path, ())
    if problems:
        raise InputError(sorted(set(problems)))
    return list(loaded.values())


def _named_files(path: Path, data: object, problems: list[Problem]) -> list[str]:
    named = data.get("catalogue", []) if isinstance(data, dict) else []
    if isinstance(named, list) and all(isinstance(one, str) and one for one in named):
        return named
    problems.append(Problem(f"{path}: catalogue", "expected a list of files"))
    return []
