"""Where things lie: rectangles, and rows divided among what stands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Rect:
    """A rectangle in pixels; y grows downwards."""

    x: float
    y: float
    w: float
    h: float

    @property
    def cx(self) -> float:
        """Middle, across."""
        return self.x + self.w / 2

    @property
    def right(self) -> float:
        """Right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.y + self.h

    def inset(self, dx: float, top: float = 0, bottom: float = 0) -> Rect:
        """The rectangle without ``dx`` at both sides, ``top`` and ``bottom``."""
        return Rect(self.x + dx, self.y + top, self.w - 2 * dx, self.h - top - bottom)

    def at(self, share: float) -> float:
        """X at ``share`` (0 … 1) of the width."""
        return self.x + share * self.w


@dataclass(frozen=True)
class Shown(Generic[T]):
    """Some things one by one and then the rest in bulk: ``first``, ``rest`` not drawn singly, and the ``last``."""

    first: tuple[T, ...]
    rest: tuple[T, ...]
    last: tuple[T, ...] = ()

    @property
    def all_shown(self) -> bool:
        """Nothing is left out."""
        return not self.rest


def divide(row: Rect, weights: Sequence[float], gap: float) -> list[Rect]:
    """The row cut into pieces as wide as their weights, ``gap`` pixels apart."""
    room = row.w - gap * (len(weights) - 1)
    total = sum(weights)
    pieces, x = [], row.x
    for weight in weights:
        w = room * weight / total
        pieces.append(Rect(x, row.y, w, row.h))
        x += w + gap
    return pieces


def abridge(items: Sequence[T], slots: int, tail: int = 1) -> Shown[T]:
    """All items where ``slots`` suffice; else the first, the rest in one slot, and the last ``tail``.

    One item is always shown, so that two slots are the least; a tail needs a third.
    """
    if len(items) <= slots:
        return Shown(tuple(items), ())
    tail = tail if slots >= 3 else 0
    head = max(1, slots - tail - 1)
    end = len(items) - tail if tail else len(items)
    return Shown(tuple(items[:head]), tuple(items[head:end]), tuple(items[end:]))


def grid(count: int, room: Rect, largest: float, gap: float) -> tuple[float, int]:
    """Side of the largest square that fits ``count`` times into the room, and how many stand in a row."""
    side = largest
    while side > 2:
        columns = int((room.w + gap) // (side + gap))
        rows = int((room.h + gap) // (side + gap))
        if columns * rows >= count:
            return side, columns
        side -= 0.5
    return 0.0, 0
