"""The hosts that are free, and within what they may stand in for each other.

The file: a name a line, ``NAME,reserve`` for one that is held back; ``#`` begins a comment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabric.errors import InputError, Problem
from fabric.plan import Plan
from fabric.validation import nearest

MOST_BYTES = 64 << 20
MOST_PROBLEMS = 50


@dataclass(frozen=True)
class Free:
    """Names in the order of the file: free ones, and those of the reserve."""

    hosts: tuple[str, ...] = ()
    reserve: tuple[str, ...] = ()


def read_free(path: Path, known: frozenset[str]) -> Free:
    """The hosts of a file; raises InputError with every line that is wrong, ``known`` being the plan's hosts."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "name a list of hosts"))
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "cannot be read: is no UTF-8 text", "name a list of hosts")) from error
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise InputError(Problem(str(path), f"cannot be read: {reason}", "name a list of hosts")) from error
    return parse_free(text, known, str(path))


def parse_free(text: str, known: frozenset[str], where: str = "free") -> Free:
    """The same of the file's text."""
    free: dict[str, bool] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        name, _, word = (part.strip() for part in line.partition("#")[0].partition(","))
        if not name and not word:
            continue
        if problem := _problem(name, word, known, free):
            problems.append(Problem(f"{where}: line {number}", *problem))
            if len(problems) == MOST_PROBLEMS:
                break
        free[name] = word == "reserve"
    if not free:
        problems.append(Problem(where, "names no host", "write a host's name a line"))
    if problems:
        raise InputError(problems)
    return Free(
        tuple(name for name, held in free.items() if not held), tuple(name for name, held in free.items() if held)
    )


def meant(name: str, known: Sequence[str]) -> str:
    """What to do about a host that is not there."""
    near = nearest(name[:60], known)
    return f'did you mean "{near}"?' if near else "names are those of cables.csv"


def _problem(name: str, word: str, known: frozenset[str], free: dict[str, bool]) -> tuple[str, str] | None:
    if name not in known:
        return f'the plan has no host "{name[:60]}"', meant(name, sorted(known))
    if word not in ("", "reserve"):
        return f'"{word[:60]}" follows {name}', "write nothing there, or reserve"
    if name in free:
        return f"{name} is there already", "name each host once"
    return None


def scopes(plan: Plan) -> dict[str, str]:
    """By host: its supernode where the scale-up domain spans hosts, else its segment, as ``segment 3 domain 0``.

    A domain is so many neighbours by place; spares, which come last in a segment, belong to its last domain.
    """
    found = {}
    columns = ("name", "model", "group", "segment", "place")
    inside = _segment_hosts(plan)
    for name, model, group, segment, place in plan.fabric.hosts.select(columns).iter_rows():
        server = plan.catalogue.servers.get(str(model))
        span = server.scale_up.hosts if server and server.scale_up else 1
        where = f"segment {segment}"
        if span > 1 and place is not None:
            last = max(inside.get(str(group), span) // span - 1, 0)
            where += f" domain {min(place // span, last)}"
        found[str(name)] = where
    return found


def _segment_hosts(plan: Plan) -> dict[str, int]:
    """Places for hosts of a segment by host group, on the first network that has the group."""
    found: dict[str, int] = {}
    for network in plan.design.networks.values():
        for host_class in network.classes:
            for group in host_class.groups:
                found.setdefault(group, host_class.segment_hosts)
    return found


def domains(plan: Plan, names: Sequence[str]) -> dict[str, str]:
    """Scale-up domain of each host named: a host of its own, or its supernode."""
    scope = scopes(plan)
    return {name: scope[name] if " domain " in scope[name] else f"host {name}" for name in names}
