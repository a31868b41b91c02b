"""A configuration as text with slots: built once for each kind of switch, filled for each switch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]
Table = dict[str, Entry]
Tables = Mapping[str, Table]
"""Table → key → field → value, as in CONFIG_DB: values are text or lists of text."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{_OPEN}([a-z0-9_]+):([0-9]+){_CLOSE}")
_MORE = "more:"
_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def slot(column: str, row: int = 0) -> str:
    """What stands in a key or a value for ``column[row]`` of a switch; the text put there is JSON already."""
    return f"{_OPEN}{column}:{row}{_CLOSE}"


def more(table: Table, column: str) -> None:
    """Further entries of ``table``, given for each switch in ``column[0]``: each begins with a comma."""
    table[_MORE + column] = {}


@dataclass(frozen=True)
class Template:
    """Text between slots, and what goes into each: column and row."""

    texts: tuple[str, ...]
    slots: tuple[tuple[str, int], ...]

    def fill(self, columns: Mapping[str, Sequence[str]]) -> bytes:
        """The text of one switch; ``columns``: what goes into the slots."""
        pieces = [""] * (2 * len(self.slots) + 1)
        pieces[::2] = self.texts
        pieces[1::2] = [columns[column][row] for column, row in self.slots]
        return "".join(pieces).encode()


def template(tables: Tables) -> Template:
    """The template of some tables: in the order of their names, an entry a line, fields sorted; empty ones left out."""
    texts = [_table(name, tables[name]) for name in sorted(tables) if tables[name]]
    split = _SLOT.split("{\n" + ",\n".join(texts) + "\n}\n")
    return Template(tuple(split[::3]), tuple(zip(split[1::3], map(int, split[2::3]), strict=True)))


def entry(key: str, fields: Entry) -> str:
    """One entry of a table as text."""
    return f"{_text(key)}:{_text(fields)}"


def _table(name: str, table: Table) -> str:
    distinct = {id(fields): fields for fields in table.values()}
    known = {number: _text(fields) for number, fields in distinct.items()}
    own = [f"{_text(key)}:{known[id(fields)]}" for key, fields in table.items() if not key.startswith(_MORE)]
    further = [slot(key.removeprefix(_MORE)) for key in table if key.startswith(_MORE)]
    return f'"{name}":{{\n' + ",\n".join(own) + "".join(further) + "\n}"
