"""Will it fit: styles of filling racks, and what to say when none does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import numpy as np
import polars as pl

from fabric.errors import InfeasibleError, Problem
from fabric.intent.site import Site
from planner.floorplan.contents import Asked, NoRoomError, fill
from planner.floorplan.racks import Racks, too_large


def free_places(site: Site) -> list[tuple[int, int]]:
    """Row and position of every rack that is not taken, row by row."""
    taken = set(site.occupied)
    every = ((row, at) for row in range(1, site.rows + 1) for at in range(1, site.racks_per_row + 1))
    return [place for place in every if place not in taken]


def filled(asked: Asked) -> Racks:
    """The racks in the first style that fits the room; raises InfeasibleError with what is missing."""
    _each_fits(asked)
    places = len(free_places(asked.site))
    tried: list[tuple[str, Racks | None, int]] = []
    for style in _styles(asked.site):
        try:
            racks = fill(asked, style)
        except NoRoomError as error:
            tried.append((style, None, error.left))
            continue
        if len(racks) <= places and own_racks(racks) <= _allowed(asked.site):
            return racks
        tried.append((style, racks, 0))
    raise InfeasibleError(_too_few(asked, places, tried))


def own_racks(racks: Racks) -> int:
    """Racks that hold switches only."""
    return len(racks) - sum(racks.hosts)


def _styles(site: Site) -> tuple[str, ...]:
    if site.switch_racks == "auto":
        return ("beside", "few", "shared")
    return ("beside", "few") if site.switch_racks else ("shared",)


def _allowed(site: Site) -> int:
    return 1 << 30 if site.switch_racks == "auto" else site.switch_racks


def _each_fits(asked: Asked) -> None:
    """Every device fits an empty rack."""
    both = [asked.fabric.hosts["model"], asked.fabric.switches["model"]]
    names = pl.concat([models.cast(pl.String) for models in both]).to_list()
    site = asked.site
    problems = []
    for name, units, watts in too_large(site, names, asked.units, asked.watts.to_numpy()):
        kw = _tenths(watts)
        if units > site.rack_units:
            said = f"{name} is {units} units high; a rack has {site.rack_units}"
            problems.append(Problem("site.rack_units", said, f"raise rack_units to {units}"))
        if kw > site.rack_power_kw:
            said = f"{name} draws up to {kw:g} kW; a rack gives {site.rack_power_kw:g} kW"
            problems.append(Problem("site.rack_power_kw", said, f"raise rack_power_kw to {kw:g}"))
    if problems:
        raise InfeasibleError(sorted(problems))


def _tenths(watts: float) -> float:
    """Kilowatts, rounded up to a tenth."""
    return ceil(round(watts / 100, 6)) / 10


def _too_few(asked: Asked, places: int, tried: list[tuple[str, Racks | None, int]]) -> Problem:
    """Why no style fits, with the smallest remedy of each sort."""
    site = asked.site
    found = [racks for _, racks, _ in tried if racks is not None]
    if not found:
        left = next(left for _, racks, left in tried if racks is None)
        where = "site.switch_racks"
        said = f"{left} switches find no room in the racks of the hosts without sharing one with another plane"
        return Problem(where, said, "let switch_racks be auto, or raise rack_power_kw or rack_units")
    least = min(found, key=len)
    own = min(own_racks(racks) for racks in found)
    if len(least) <= places:
        said = f"switches need {own} racks of their own; switch_racks allows {site.switch_racks}"
        return Problem("site.switch_racks", said, f"raise switch_racks to {own}, or let it be auto")
    hosts = sum(least.hosts)
    each = f"racks of {site.rack_power_kw:g} kW and {site.rack_units} units"
    needs = f"needs {len(least)} {each} ({hosts} with hosts, {len(least) - hosts} with switches only)"
    missing = len(least) - places
    rows = ceil(missing / site.racks_per_row)
    taken = f", {len(site.occupied)} of them occupied" if site.occupied else ""
    has = f"the site has {places}" if not site.occupied else f"the site has {site.rows * site.racks_per_row}{taken}"
    remedy = f"add {rows} row{'s' if rows > 1 else ''} of {site.racks_per_row}"
    power = _power_that_fits(asked, places)
    more = f", or raise rack_power_kw to {power:g}" if power else ""
    return Problem("site", f"{needs}; {has}", remedy + more)


def _power_that_fits(asked: Asked, places: int) -> float | None:
    """The least power of a rack with which everything fits, of ``_steps``; None where none does."""
    for kw in _steps(asked):
        site = asked.site.model_copy(update={"rack_power_kw": kw})
        for style in _styles(site):
            try:
                racks = fill(replace(asked, site=site), style)
            except NoRoomError:
                continue
            if len(racks) <= places and own_racks(racks) <= _allowed(site):
                return kw
    return None


def _steps(asked: Asked) -> Iterator[float]:
    """Powers at which one more host of some model fits a rack, rising; a few."""
    hosts = slice(0, asked.hosts)
    models = np.unique(np.column_stack([asked.units[hosts], asked.watts.to_numpy()[hosts]]), axis=0)
    most = {
        _tenths(number * watts)
        for units, watts in models
        if units and watts
        for number in range(1, int(asked.site.rack_units // units) + 1)
    }
    yield from sorted(kw for kw in most if kw > asked.site.rack_power_kw)[:12]
