"""The shipped catalogue, then the user's files over it; every mistake of every file at once.

A file has the sections ``servers``, ``switches``, ``optics`` and ``cables`` and may name further files under
``catalogue`` (relative to itself; read before it). An entry replaces the one of its name and keeps its place; with
``extends: NAME`` it starts as a copy of NAME and says only what differs (mappings merge, everything else replaces).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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

MAX_CHAIN = 50
"""Longest row of entries that extend, or files that name, one another."""

Entries = dict[str, dict[str, Any]]
"""Entries of one section, as plain values."""
Known = dict[str, dict[str, tuple[str, dict[str, Any]]]]
"""Section, then name, then the file an entry is from and its values, ``extends`` resolved."""
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
def _plain_shipped() -> Known:
    known, problems = _merge({section: {} for section in SECTIONS}, [(str(p.name), load_file(p)) for p in SHIPPED])
    if problems:
        raise InputError(problems)
    return known


def _merge(base: Known, files: Sequence[tuple[str, object]]) -> tuple[Known, list[Problem]]:
    """``base`` with the files' entries over it, in order; and what is wrong with the files' own shape."""
    known = {section: dict(entries) for section, entries in base.items()}
    problems: list[Problem] = []
    for where, data in files:
        problems += _shape_problems(where, data)
        for section in SECTIONS:
            entries = _entries(data, section)
            extender = _Extender(f"{where}: {section}", entries, known[section])
            wholes = {name: extender.resolve(name) for name in entries}
            known[section].update({name: (where, whole) for name, whole in wholes.items() if whole is not None})
            problems += extender.problems
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


class _Extender:
    """Follows ``extends`` within one section of one file, over what earlier files gave."""

    def __init__(self, where: str, entries: Entries, before: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
        self.where, self.entries, self.before = where, entries, before
        self.resolved: dict[str, dict[str, Any] | None] = {}
        self.problems: list[Problem] = []

    def resolve(self, name: str, chain: tuple[str, ...] = ()) -> dict[str, Any] | None:
        """The whole entry, or None where what it extends is not to be had; a problem says why, once."""
        if name not in self.resolved:
            own = {key: value for key, value in self.entries[name].items() if key not in ("extends", "name")}
            if "extends" in self.entries[name]:
                start = self._start(name, self.entries[name]["extends"], (*chain, name))
                self.resolved.setdefault(name, None if start is None else _deep_merge(start, own))
            else:
                self.resolved[name] = own
        return self.resolved[name]

    def _start(self, name: str, parent: object, chain: tuple[str, ...]) -> dict[str, Any] | None:
        """What ``name`` starts from; its own name means the entry an earlier file gave."""
        if isinstance(parent, str) and parent in self.entries and parent != name:
            if parent not in chain and len(chain) < MAX_CHAIN:
                return self.resolve(parent, chain)
            if parent not in chain:
                self._refuse(name, f"is the {MAX_CHAIN}th in a row")
                return None
            circle = " extends ".join((*chain[chain.index(parent) :], parent))
            self._refuse(name, f"is circular: {circle}")
        elif isinstance(parent, str) and parent in self.before:
            return self.before[parent][1]
        else:
            names = [*self.before, *(other for other in self.entries if other != name)]
            self._refuse(name, f'unknown name "{parent}", {suggest(parent, names)}')
        return None

    def _refuse(self, name: str, what: str) -> None:
        self.problems.append(Problem(f"{self.where}.{name}.extends", what))


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
        if len(chain) >= MAX_CHAIN:
            problems.append(Problem(str(path), f"is the {MAX_CHAIN}th catalogue file in a row that names another"))
        elif real in chain:
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
