"""What parts cost: the rail-only paper's rule, overridden by model where the user knows better.

A switch costs ``switch_usd_per_400g`` for each 400 Gb/s of its full bandwidth, used or not; a transceiver
``transceiver_usd_per_400g`` for each 400 Gb/s (arXiv 2307.12169). Sums are in whole cents, each price rounded half up.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fabric.catalogue.models import Catalogue, Switch
from fabric.errors import InputError, Problem
from fabric.validation import Strict, suggest, validate
from fabric.yaml import load_file

Usd = Annotated[float, Field(ge=0, le=1e9)]
Kind = Literal["switches", "servers", "optics", "cables"]


class Prices(Strict):
    """Prices in US dollars, as in the file; the methods give cents."""

    switch_usd_per_400g: Usd
    transceiver_usd_per_400g: Usd
    switches: dict[str, Usd] = Field(default_factory=dict)
    servers: dict[str, Usd] = Field(default_factory=dict)
    optics: dict[str, Usd] = Field(default_factory=dict)
    cables: dict[str, Usd] = Field(default_factory=dict)
    source: str
    overridden: tuple[str, ...] = ()
    """What the user's file gives, as paths (``switches.qm9700``); everything else is the default."""

    def switch_cents(self, switch: Switch) -> int:
        """Price of a switch: its own, else by its bandwidth."""
        if switch.name in self.switches:
            return cents(self.switches[switch.name])
        return _share(self.switch_usd_per_400g, switch.bandwidth_gbps)

    def optic_cents(self, gbps: int) -> int:
        """Price of a transceiver of so much bandwidth, by the rule."""
        return _share(self.transceiver_usd_per_400g, gbps)

    def part_cents(self, kind: Kind, name: str) -> int | None:
        """The user's own price of a part, or None."""
        own: dict[str, float] = getattr(self, kind)
        return cents(own[name]) if name in own else None

    def is_default(self, kind: Kind, name: str) -> bool:
        """Whether a switch or optic is priced by the shipped rule alone."""
        rule = {"switches": "switch_usd_per_400g", "optics": "transceiver_usd_per_400g"}.get(kind)
        return f"{kind}.{name}" not in self.overridden and rule not in self.overridden


class _Given(Strict):
    """A user's file: everything optional."""

    switch_usd_per_400g: Usd | None = None
    transceiver_usd_per_400g: Usd | None = None
    switches: dict[str, Usd] = Field(default_factory=dict)
    servers: dict[str, Usd] = Field(default_factory=dict)
    optics: dict[str, Usd] = Field(default_factory=dict)
    cables: dict[str, Usd] = Field(default_factory=dict)
    source: str | None = None


def load_prices(path: Path | None = None, catalogue: Catalogue | None = None) -> Prices:
    """The shipped prices, with those of ``path`` over them; a model that ``catalogue`` has not is an error.

    Raises InputError with everything that is wrong.
    """
    if path is None:
        return _shipped()
    data = load_file(path)
    given = validate(_Given, {} if data is None else data, str(path))
    if catalogue is not None:
        _check_names(given, catalogue, path)
    changes = given.model_dump(exclude_unset=True, exclude_none=True)
    return _shipped().model_copy(update={**changes, "overridden": _paths(changes)})


@lru_cache(maxsize=1)
def _shipped() -> Prices:
    path = Path(__file__).parent / "prices.yaml"
    return validate(Prices, load_file(path), path.name)


def _paths(changes: dict[str, object]) -> tuple[str, ...]:
    paths: list[str] = []
    for field, value in changes.items():
        if field != "source":
            paths += [f"{field}.{name}" for name in value] if isinstance(value, dict) else [field]
    return tuple(sorted(paths))


def _check_names(given: _Given, catalogue: Catalogue, path: Path) -> None:
    problems = [
        Problem(f"{path}: {kind}.{name}", f"unknown model, {suggest(name, list(getattr(catalogue, kind)))}")
        for kind in ("switches", "servers", "optics", "cables")
        for name in getattr(given, kind)
        if name not in getattr(catalogue, kind)
    ]
    if problems:
        raise InputError(sorted(problems))


def cents(usd: float) -> int:
    """Dollars as written in whole cents, rounded half up."""
    return int((Decimal(str(usd)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _share(usd_per_400g: float, gbps: int) -> int:
    """``usd_per_400g``·gbps/400 in cents, rounded half up."""
    return int((Decimal(str(usd_per_400g)) * 100 * gbps / 400).quantize(Decimal(1), ROUND_HALF_UP))
