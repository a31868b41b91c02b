"""Numbers and names as a drawing or a report writes them."""

from __future__ import annotations

from collections.abc import Sequence

from fabric.exports.drawing.facts import Facts, Group, Segment, Usage

TECHNOLOGIES = {"roce": "RoCE", "infiniband": "InfiniBand", "ethernet": "Ethernet"}
NETWORK_TITLES = {"compute": "Compute", "storage": "Storage", "frontend": "Frontend", "oob": "Out-of-band"}
USES = {
    "host": "to hosts", "service": "for services", "attach": "from other leaves", "up": "up", "down": "down",
    "reserve": "kept for a tier above", "external": "out", "interswitch": "to its pair", "free": "kept free",
}  # fmt: skip
_TILES = {
    "host": "host",
    "spare": "spare",
    "service": "service host",
    "switch": "switch",
    "pdu": "PDU",
    "vacant": "vacant place",
}


def count(value: float) -> str:
    """A whole number with thousands apart."""
    return f"{value:,.0f}"


def several(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``, ``2 switches``."""
    plural = noun + ("es" if noun.endswith(("ch", "sh")) else "s")
    return f"{count(number)} {noun if number == 1 else plural}"


def speed(gbps: float) -> str:
    """``400G``; from a terabit ``1.6T``."""
    return f"{gbps / 1000:.4g}T" if gbps >= 1000 else f"{gbps:.4g}G"


def ratio(value: float | None) -> str:
    """``1.0667 : 1``; a dash where there is none."""
    return "–" if value is None else f"{value:.4f}".rstrip("0").rstrip(".") + " : 1"


def usage(use: Usage, network: str = "") -> str:
    """``32 × 400G up``."""
    name = "to endpoints" if (network, use.use) == ("oob", "host") else USES.get(use.use, use.use)
    return f"{use.ports} × {speed(use.speed_gbps)} {name}"


def tiles(counts: dict[str, int], kinds: tuple[str, ...]) -> list[str]:
    """``8 spares`` and so on, of the kinds that there are."""
    return [several(counts[kind], _TILES[kind]) for kind in kinds if counts.get(kind)]


def segment(item: Segment, gpus: bool = True) -> str:
    """What is in a segment, with or without its GPUs."""
    parts = tiles(item.tiles, ("host",)) + ([f"{count(item.gpus)} GPUs"] if item.gpus and gpus else [])
    parts += tiles(item.tiles, ("spare", "service", "switch", "pdu", "vacant"))
    return " · ".join(parts)


def stack(items: Sequence[Segment], gpus: bool = True) -> list[str]:
    """What is in each of several segments, as far as they are alike: all, or all but the last."""
    first, last = items[0], items[-1]
    if all(item.tiles == first.tiles for item in items):
        return [f"each {segment(first, gpus)}"]
    if all(item.tiles == first.tiles for item in items[:-1]):
        return [f"each {segment(first, gpus)}", f"the last {segment(last, gpus)}"]
    sizes = sorted({sum(n for kind, n in item.tiles.items() if kind not in ("vacant", "service")) for item in items})
    return [f"{count(sizes[0])} to {count(sizes[-1])} places taken in each"]


def group(item: Group, facts: Facts, noun: str) -> list[str]:
    """``plane 0``, ``60 spines``: what sets the group apart from its neighbours, and its size."""
    parts = [rails(item.rail, facts.design.classes[0].rails_per_leaf)] if item.rail is not None else []
    parts += [f"plane {item.plane}"] if item.plane is not None and facts.shows_planes else []
    parts += [f"group {item.number}"] if item.number is not None else []
    return [*parts, several(len(item.members), noun)]


def rails(first: int, number: int) -> str:
    """``rail 3``, or ``rails 4–7``."""
    return f"rail {first}" if number == 1 else f"rails {first}–{first + number - 1}"


def subtitle(facts: Facts) -> str:
    """Technology, layout and tiers of a network."""
    design = facts.design
    parts = [TECHNOLOGIES.get(design.technology, design.technology), design.layout, several(design.tiers, "tier")]
    parts += [several(design.planes, "plane") + _joined(design.planes_join)] if facts.shows_planes else []
    parts += [several(len(facts.segments), "segment")]
    parts += [several(design.pods, "pod")] if design.pods > 1 else []
    return " · ".join(parts)


def _joined(where: str) -> str:
    return " kept apart" if where == "never" else f" joined at the {where}"
