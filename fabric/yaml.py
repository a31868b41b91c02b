"""YAML from people, read safely: plain values only, bounded, no duplicate keys, each mistake with its line.

Bounds keep a hostile file from taking the machine: size of the text, depth of nesting, and the number of values after
all aliases are followed (the "billion laughs" bomb). Dates and base-60 numbers stay text: ``12:30`` is nobody's 750.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

from fabric.errors import InputError, Problem

MAX_BYTES = 4 * 1024 * 1024
"""Longest text read; the shipped catalogue is about a hundredth of it."""
MAX_DEPTH = 50
"""Deepest nesting; an intent has about 5 levels."""
MAX_VALUES = 500_000
"""Most values after aliases are followed; long texts count once for each 64 characters."""

_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?$|[-+]?\.inf$|\.nan$"
)
_UNWANTED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(_BASE):  # type: ignore[valid-type,misc]
    """The safe loader without dates and base-60 numbers, and with 1e6 as a number."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def load_file(path: Path) -> object:
    """The plain values of a YAML file; raises InputError naming the file and line of each mistake."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}")) from error
    except UnicodeDecodeError as error:
        if len(raw) > MAX_BYTES:
            raise InputError(_too_long(str(path))) from error
        raise InputError(Problem(str(path), f"is not UTF-8 text (byte {error.start + 1})")) from error
    return load_text(text, str(path))


def load_text(text: str, where: str) -> object:
    """The plain values of a YAML document (None where it is empty).

    ``where`` names the document in messages (``where:line:column``). Raises InputError.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InputError(_too_long(where))
    try:
        _check_depth(text, where)
        node = yaml.compose(text, _Loader)
        if node is None:
            return None
        _check_size(node, where)
        problems = sorted(set(_key_problems(node, where)))
        if problems:
            raise InputError(problems)
        return _construct(node)
    except yaml.MarkedYAMLError as error:
        raise InputError(Problem(_at(where, error.problem_mark or error.context_mark), _plain(error))) from error
    except yaml.reader.ReaderError as error:
        raise InputError(Problem(where, f"character {error.position + 1} is not allowed in YAML")) from error
    except ValueError as error:
        raise InputError(Problem(where, "holds a number too long to be read, or not a number")) from error


def _too_long(where: str) -> Problem:
    return Problem(where, f"is longer than {MAX_BYTES // 1024 // 1024} MiB", "split it, or is it the right file?")


def _check_depth(text: str, where: str) -> None:
    """Reads the events only, so that no parser recurses into what is nested too deep."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise InputError(_too_deep(where, event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(root: yaml.Node, where: str) -> None:
    """Weighs each node once, aliases included, so that a bomb or a chain of aliases is measured and not unrolled."""
    measured: dict[int, tuple[int, int]] = {}
    within: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        """Values and levels under a node."""
        if id(node) in within:
            raise InputError(Problem(_at(where, node.start_mark), "an anchor contains itself"))
        if id(node) not in measured:
            within.add(id(node))
            below = [measure(child) for child in _children(node)]
            within.discard(id(node))
            values = 1 + len(_scalar(node)) // 64 + sum(values for values, _ in below)
            measured[id(node)] = values, 1 + max((levels for _, levels in below), default=0)
            if measured[id(node)][1] > MAX_DEPTH + 1:
                raise InputError(_too_deep(where, node.start_mark))
        return measured[id(node)]

    if measure(root)[0] > MAX_VALUES:
        raise InputError(Problem(where, f"holds more than {MAX_VALUES:,} values once its aliases are followed"))


def _too_deep(where: str, mark: Any) -> Problem:
    return Problem(_at(where, mark), f"is nested deeper than {MAX_DEPTH} levels")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return []


def _scalar(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _key_problems(root: yaml.Node, where: str) -> Iterator[Problem]:
    """Duplicate keys, and keys that are not plain text or numbers; each node is visited once."""
    seen: set[int] = set()
    queue = [root]
    while queue:
        node = queue.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _mapping_problems(node, where)
        queue.extend(_children(node))


def _mapping_problems(node: yaml.MappingNode, where: str) -> Iterator[Problem]:
    first: dict[tuple[str, str], yaml.ScalarNode] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(_at(where, key.start_mark), "a key must be plain text")
        elif (earlier := first.setdefault((key.tag, key.value), key)) is not key:
            line = earlier.start_mark.line + 1
            yield Problem(_at(where, key.start_mark), f'"{key.value}" is given twice (first on line {line})')


def _construct(node: yaml.Node) -> object:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _at(where: str, mark: Any) -> str:
    return where if mark is None else f"{where}:{mark.line + 1}:{mark.column + 1}"


def _plain(error: yaml.MarkedYAMLError) -> str:
    """The parser's words in one line, with what it was doing."""
    said = " ".join(part for part in (error.context, error.problem) if part)
    if "could not determine a constructor" in said:
        return said[said.index("could not") :].replace("could not determine a constructor for the tag", "unknown tag")
    return f"is not YAML: {said}"
