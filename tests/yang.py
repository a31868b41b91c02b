"""SONiC's own YANG models as the judge of a ``config_db.json``.

Nothing here knows a table: which module has a table, what its lists and keys are, and which of its fields are lists is
read from the models (their trees, as yanglint prints them). A configuration becomes XML, where all values are text as
in CONFIG_DB, and yanglint validates it: types, mandatory leaves, leafrefs, musts and whens.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

LINE = re.compile(r"^(?P<indent>[ |]*)[+x]--(?P<flags>rw|ro|:)?\s*(?P<rest>.+)$")
NODE = re.compile(r"^(?P<name>[^\s?*!]+)(?P<mark>[?*!]?)(?:\s+\[(?P<keys>[^\]]*)\])?(?:\s+(?P<type>\S.*))?$")
MODULE = re.compile(r"^module: (\S+)")
NAMESPACE = re.compile(r'^\s*namespace\s+"?([^";\s]+)', re.M)
MARK = re.compile(r"^.*Unknown command \"mark-(\d+|end)\".*\n", re.M)
ERROR = re.compile(r"^(?:libyang\[0\]|YANGLINT\[E\]): (.*?)(?=^libyang\[|^YANGLINT\[|\Z)", re.M | re.S)
NOTHING = "NULL"
"""Field that CONFIG_DB puts in an entry that has none."""


class UnknownError(Exception):
    """A table or a field that no model has, or a key of the wrong shape."""


@dataclass
class Node:
    """A data node of a model: container, list (with keys), leaf-list, or leaf (with a type)."""

    name: str
    keys: tuple[str, ...] = ()
    many: bool = False
    leaf: bool = False
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def lists(self) -> list[Node]:
        """Lists directly below."""
        return [child for child in self.children.values() if child.keys]


@dataclass(frozen=True)
class Models:
    """The tables of all models: table → module, its namespace, and the table's node."""

    folder: Path
    program: str
    tables: dict[str, tuple[str, str, Node]]

    @classmethod
    def load(cls, folder: Path, program: str) -> Models:
        """Every model of a folder; ``program`` is yanglint."""
        trees = _run([program, "-p", str(folder), "-f", "tree", *map(str, _modules(folder))]).stdout
        tables: dict[str, tuple[str, str, Node]] = {}
        for module, root in _parse(trees.splitlines()):
            namespace = NAMESPACE.search((folder / f"{module}.yang").read_text(encoding="utf-8"))
            for top in root.children.values() if namespace else ():
                for table in top.children.values():
                    assert namespace is not None
                    tables.setdefault(table.name, (module, namespace[1], table))
        return cls(folder, program, tables)

    def xml(self, config: Mapping[str, Mapping[str, Any]]) -> str:
        """The configuration as instance data; raises UnknownError."""
        modules: dict[tuple[str, str], list[str]] = {}
        for name, entries in config.items():
            if name not in self.tables:
                raise UnknownError(f"{name}: no model has this table")
            module, namespace, table = self.tables[name]
            modules.setdefault((module, namespace), []).append(_table(table, entries))
        return "\n".join(
            f'<{module} xmlns="{namespace}">\n' + "\n".join(tables) + f"\n</{module}>"
            for (module, namespace), tables in modules.items()
        )

    def complaints(self, config: Mapping[str, Mapping[str, Any]], folder: Path) -> list[str]:
        """What is wrong with a configuration; ``folder``: for a file."""
        return self.complaints_of([config], folder)[0]

    def complaints_of(self, configs: Sequence[Mapping[str, Mapping[str, Any]]], folder: Path) -> list[list[str]]:
        """The same of several, each on its own, in one process."""
        found: list[list[str]] = [[] for _ in configs]
        files: dict[int, Path] = {}
        for number, config in enumerate(configs):
            try:
                text = self.xml(config)
            except UnknownError as error:
                found[number] = [str(error)]
                continue
            files[number] = folder / f"{number}.xml"
            files[number].write_text(text, encoding="utf-8")
        for number, told in self._judge(files, folder).items():
            found[number] = told
        return found

    def _judge(self, files: Mapping[int, Path], home: Path) -> dict[int, list[str]]:
        """What yanglint says of each file; an unknown command (a mark) tells where one ends and the next begins."""
        commands = [f"searchpath {self.folder}", *(f"load {path.stem}" for path in _modules(self.folder))]
        for number, file in files.items():
            commands += [f"mark-{number}", f"data -t config {file}"]
        said = _run([self.program], "\n".join([*commands, "mark-end", ""]), home).stderr
        loading, *parts = MARK.split(said)
        assert not ERROR.search(loading), loading
        assert len(parts) == 2 * (len(files) + 1), said
        told = dict(zip(parts[:-2:2], parts[1:-2:2], strict=True))
        return {number: [one.strip() for one in ERROR.findall(told[str(number)])] for number in files}


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yang"))


def _run(command: Sequence[str], told: str = "", home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``home``: where yanglint keeps its history."""
    own = os.environ | ({} if home is None else {"HOME": str(home)})
    return subprocess.run(command, input=told, env=own, capture_output=True, text=True, timeout=300, check=False)


def _parse(lines: Sequence[str]) -> Iterator[tuple[str, Node]]:
    """Modules with their data trees; choices and cases are no data and are left out."""
    module, root = "", Node("")
    path: list[tuple[int, Node]] = []
    for line in lines:
        if match := MODULE.match(line):
            if module:
                yield module, root
            module, root = match[1], Node(match[1])
            path = [(-1, root)]
        elif line.strip() in ("rpcs:", "notifications:", "augment:"):
            path = [(-1, Node("other"))]
        elif path and (found := LINE.match(line)):
            _place(path, len(found["indent"]), found["flags"], found["rest"])
    if module:
        yield module, root


def _place(path: list[tuple[int, Node]], depth: int, flags: str | None, rest: str) -> None:
    while path[-1][0] >= depth:
        path.pop()
    parent = path[-1][1]
    if flags == ":" or rest.startswith("("):
        path.append((depth, parent))
        return
    match = NODE.match(rest)
    assert match is not None, rest
    keys = tuple((match["keys"] or "").split())
    node = Node(match["name"], keys, match["mark"] == "*" and not keys, match["type"] is not None)
    parent.children[node.name] = node
    path.append((depth, node))


def _table(table: Node, entries: Mapping[str, Any]) -> str:
    return _element(table.name, [_entry(table, key, value) for key, value in entries.items()])


def _entry(table: Node, key: str, value: Any) -> str:
    """One ``T|key`` of CONFIG_DB: a container of that name, a leaf of the table, or a member of one of its lists."""
    where = f"{table.name}|{key}"
    child = table.children.get(key)
    if child is not None and not child.keys:
        if child.leaf or child.many:
            return "".join(_leaf(child, value))
        return _element(child.name, _fields(child, value, where))
    parts = key.split("|")
    fitting = [one for one in table.lists if len(one.keys) == len(parts)]
    if not fitting:
        raise UnknownError(f"{where}: no list of {table.name} has {len(parts)} keys")
    member = max(fitting, key=lambda one: sum(name in one.children for name in value))
    names = [f"<{name}>{escape(part)}</{name}>" for name, part in zip(member.keys, parts, strict=True)]
    return _element(member.name, names + _fields(member, value, where))


def _fields(node: Node, value: Mapping[str, Any], where: str) -> list[str]:
    found: list[str] = []
    for name, content in value.items():
        child = node.children.get(name)
        if child is not None and (child.leaf or child.many):
            found += _leaf(child, content)
        elif (inner := _map(node)) is not None:
            found.append(_pair(inner, name, content))
        elif name != NOTHING:
            raise UnknownError(f"{where}: no model has the field {name}")
    return found


def _map(node: Node) -> Node | None:
    """The list that stands for fields with names of their own: ``{"26": "3"}`` as members of one key and one leaf."""
    return next((one for one in node.lists if len(one.keys) == 1 and len(one.children) == 2), None)


def _pair(inner: Node, name: str, value: Any) -> str:
    key, leaf = sorted(inner.children, key=lambda child: child not in inner.keys)
    return _element(inner.name, [f"<{key}>{escape(name)}</{key}>", f"<{leaf}>{escape(str(value))}</{leaf}>"])


def _leaf(node: Node, value: Any) -> list[str]:
    """A leaf, or the members of a leaf-list: a list in CONFIG_DB, or text with commas or semicolons."""
    values = [value]
    if node.many:
        values = re.split("[,;]", value) if isinstance(value, str) else value
    return [f"<{node.name}>{escape(str(one))}</{node.name}>" for one in values]


def _element(name: str, content: Sequence[str]) -> str:
    return f"<{name}>" + "".join(content) + f"</{name}>"
