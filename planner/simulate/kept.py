"""What follows from a plan alone, worked out once for all runs of a process."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fabric.plan import Plan

T = TypeVar("T")
_CACHE = "_simulated"


def kept(plan: Plan, name: Hashable, make: Callable[[], T]) -> T:
    """What ``make`` gives, made the first time and kept with the plan; nobody writes into it."""
    known: dict[Any, T] = plan.__dict__.setdefault(_CACHE, {})
    if name not in known:
        known[name] = make()
    return known[name]
