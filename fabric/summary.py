"""What a plan amounts to: ``show --json`` and the one-screen summary.

Every number is counted from the tables; the design gives only what no table holds (layout, tiers, planes, proof).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.exports.bom import bom_table, occupied_cages, total_usd
from fabric.media.prices import RULE, UNKNOWN

if TYPE_CHECKING:
    from fabric.design import NetworkDesign
    from fabric.plan import Plan
    from fabric.tables import Fabric

VERSION = 1
KINDS = ("host-leaf", "service-leaf", "leaf-leaf", "leaf-spine", "spine-core", "uplink")
OOB_KINDS = ("switch-leaf", "pdu-leaf")
TIERS = ("leaf", "spine", "core")
ENDS = ("switch", "host", "service")

Summary = dict[str, Any]


def summarise(plan: Plan) -> Summary:
    """``show --json`` as docs and other programs know it; keys beyond the stable ones may be added.

    ``hosts`` leaves spares out; ``gpus`` counts those of the network's compute hosts. ``links`` are logical links and
    ``cables`` physical ones, a breakout once. ``oversubscription`` is down over up bandwidth, rounded to four digits.
    """
    links = link_kinds(plan.fabric)
    optics = occupied_cages(plan)
    networks = {name: _network(plan, name, links, optics) for name in plan.design.networks}
    return {
        "version": VERSION,
        "name": plan.design.name,
        "networks": networks,
        "totals": _totals(plan, optics),
    }


def link_kinds(fabric: Fabric) -> pl.DataFrame:
    """Links with what they join: ``id, network, kind, segment, a_device, a_port, b_device, b_port, speed_gbps, cable``.

    ``kind`` is one of ``KINDS`` and ``OOB_KINDS``. A service host has service links only where hosts that are not
    services have places: on oob, and where there is nothing but services, it is a host like the others.
    """
    hosts = fabric.hosts.select(a_device="id", role=pl.col("role").cast(pl.String))
    links = fabric.links.join(hosts, on="a_device", how="left").with_columns(pl.col("network", "tier").cast(pl.String))
    places = pl.col("tier").eq("host-leaf") & pl.col("role").ne_missing("service")
    mixed = places.any().over("network")
    kind = (
        pl.when(pl.col("tier") == "oob")
        .then(pl.when(pl.col("role").is_null()).then(pl.lit("switch-leaf"))
              .when(pl.col("role") == "pdu").then(pl.lit("pdu-leaf")).otherwise(pl.lit("host-leaf")))
        .when((pl.col("tier") == "host-leaf") & (pl.col("role") == "service") & mixed)
        .then(pl.lit("service-leaf"))
        .otherwise(pl.col("tier"))
    )  # fmt: skip
    wanted = ["id", "network", "kind", "segment", "a_device", "a_port", "b_device", "b_port", "speed_gbps", "cable"]
    return links.with_columns(kind=kind).select(wanted).sort("id")


def _network(plan: Plan, name: str, links: pl.DataFrame, optics: pl.DataFrame) -> Summary:
    fabric, design = plan.fabric, plan.design.networks[name]
    mine = links.filter(pl.col("network") == name)
    switches = fabric.switches.filter(pl.col("network").cast(pl.String) == name)
    ports = fabric.ports.filter(pl.col("network").cast(pl.String) == name)
    return {
        "technology": design.technology,
        "layout": design.layout,
        "tiers": design.tiers,
        "planes": design.planes,
        "segments": switches["segment"].drop_nulls().n_unique(),
        "pods": max(1, switches["pod"].drop_nulls().n_unique()),
        **_population(fabric, mine),
        "switches": {tier: _tier(switches, tier) for tier in TIERS},
        "rails": _rails(fabric, name, mine),
        "kept_free_ports": _kept_free(switches, ports, mine),
        "links": _by_kind(mine, name),
        "cables": _by_kind(mine.unique("cable", keep="first", maintain_order=True), name),
        "transceivers": {end: int((optics.filter(pl.col("network") == name)["side"] == end).sum()) for end in ENDS},
        "oversubscription": oversubscription(switches, ports, design),
        "proof": asdict(design.proof),
        "runners_up": [asdict(a) for a in design.runners_up],
        "neighbours": [asdict(a) for a in design.neighbours],
    }


def _population(fabric: Fabric, links: pl.DataFrame) -> dict[str, int]:
    """Hosts that have places on the network; spares are counted apart."""
    ends = links.filter(pl.col("kind") == "host-leaf")["a_device"].unique()
    hosts = fabric.hosts.filter(pl.col("id").is_in(ends.implode()))
    active = hosts.filter(~pl.col("spare"))
    compute = active.filter(pl.col("role").cast(pl.String) == "compute")
    return {"hosts": active.height, "spares": hosts.height - active.height, "gpus": int(compute["gpus"].sum())}


def _tier(switches: pl.DataFrame, tier: str) -> Summary | None:
    """Model and count of a tier; ``None`` where the network has no such tier. Several models are joined by ``+``."""
    found = switches.filter(pl.col("tier").cast(pl.String) == tier)
    if found.is_empty():
        return None
    models = found["model"].cast(pl.String).unique(maintain_order=True).to_list()
    return {"model": " + ".join(models), "count": found.height}


def _rails(fabric: Fabric, name: str, links: pl.DataFrame) -> int | None:
    """Rails of the hosts that have places here; ``None`` without such hosts."""
    ends = links.filter(pl.col("kind") == "host-leaf")["a_device"].unique()
    nics = fabric.nics.filter((pl.col("network").cast(pl.String) == name) & pl.col("host").is_in(ends.implode()))
    return None if nics.is_empty() else nics["rail"].n_unique()


def _kept_free(switches: pl.DataFrame, ports: pl.DataFrame, links: pl.DataFrame) -> dict[str, int | None]:
    """Least ports that every leaf has kept free and not taken; ports that every spine keeps for a core."""
    taken = pl.concat([links["a_port"], links["b_port"].drop_nulls()])
    free = ports.filter(pl.col("use").cast(pl.String).is_in(["free", "reserve"]) & ~pl.col("id").is_in(taken.implode()))
    counts = free.group_by("device", pl.col("use").cast(pl.String)).len()
    return {"leaf": _least(switches, counts, "leaf", "free"), "spine": _least(switches, counts, "spine", "reserve")}


def _least(switches: pl.DataFrame, counts: pl.DataFrame, tier: str, use: str) -> int | None:
    ids = switches.filter(pl.col("tier").cast(pl.String) == tier).select(device="id")
    if ids.is_empty():
        return None
    found = ids.join(counts.filter(pl.col("use") == use), on="device", how="left")
    return int(found["len"].fill_null(0).to_numpy().min())


def _by_kind(links: pl.DataFrame, name: str) -> dict[str, int]:
    counts = dict(links.group_by("kind").len().iter_rows())
    return {kind: int(counts.get(kind, 0)) for kind in (*KINDS, *(OOB_KINDS if name == "oob" else ()))}


def oversubscription(switches: pl.DataFrame, ports: pl.DataFrame, design: NetworkDesign) -> dict[str, float | None]:
    """Down over up bandwidth of the worst leaf and spine; ``None`` where nothing leads up and nothing is reserved."""
    table = bandwidths(switches, ports, design)
    worst = table.filter(pl.col("up_gbps") > 0).with_columns(ratio=pl.col("down_gbps") / pl.col("up_gbps"))
    ratios = dict(worst.group_by("tier").agg(pl.col("ratio").max()).iter_rows())
    return {tier: round(ratios[tier], 4) if tier in ratios else None for tier in ("leaf", "spine")}


def bandwidths(switches: pl.DataFrame, ports: pl.DataFrame, design: NetworkDesign) -> pl.DataFrame:
    """Bandwidth of one switch of each kind: ``tier, host_class, switches, down_gbps, up_gbps``.

    Up counts what is kept free for a tier that is not built. Places of spares take ports and no bandwidth: S of the
    S + σ places of a segment count, vacant ones too.
    """
    use = pl.col("use").cast(pl.String)
    sums = ports.group_by("device").agg(
        host=pl.col("speed_gbps").filter(use == "host").sum(),
        down=pl.col("speed_gbps").filter(use == "down").sum(),
        up_gbps=pl.col("speed_gbps").filter(use.is_in(["up", "reserve"])).sum(),
    )
    share = [c.segment_hosts / (c.segment_hosts + c.spares_per_segment) for c in design.classes]
    active = pl.DataFrame(
        {"host_class": range(len(share)), "share": share}, {"host_class": pl.UInt16, "share": pl.Float64}
    )
    return (
        switches.select("id", pl.col("tier").cast(pl.String), "host_class")
        .join(sums, left_on="id", right_on="device", how="left")
        .join(active, on="host_class", how="left")
        .with_columns(down_gbps=pl.col("host") * pl.col("share").fill_null(1.0) + pl.col("down"))
        .group_by("tier", "host_class", maintain_order=True)
        .agg(pl.len().alias("switches"), pl.col("down_gbps").max(), pl.col("up_gbps").max())
    )


def _totals(plan: Plan, optics: pl.DataFrame) -> Summary:
    role = pl.col("role").cast(pl.String)
    hosts = plan.fabric.hosts.filter(~pl.col("spare") & role.is_in(["compute", "storage"]))
    return {
        "cost_usd": total_usd(plan),
        "cost_basis": cost_basis(plan),
        "power_w": power_w(plan, optics),
        "power_basis": "typical power of switches, and transceivers at full load",
        "switches": plan.fabric.switches.height,
        "cables": plan.fabric.cables.height,
        "transceivers": optics.height,
        "links": plan.fabric.links.height,
        "hosts": hosts.height,
        "spares": int(plan.fabric.hosts["spare"].sum()),
        "services": plan.fabric.hosts.filter(role == "service").height,
        "gpus": int(hosts["gpus"].sum()),
        "racks": _racks_used(plan),
        "floor": None if plan.design.floor is None else asdict(plan.design.floor),
    }


def _racks_used(plan: Plan) -> int | None:
    """Racks that hold anything; None without a floor plan."""
    if not plan.fabric.racks.height:
        return None
    hosts = plan.fabric.hosts.filter(pl.col("role").cast(pl.String) != "pdu")
    used = pl.concat([hosts["rack"], plan.fabric.switches["rack"]])
    return used.drop_nulls().n_unique()


def cost_basis(plan: Plan) -> str:
    """What a sum of money holds and which prices it rests on; printed wherever a sum is."""
    table = bom_table(plan).filter(~pl.col("kind").is_in(["server", "pdu"]))
    sources = [source for source in table["price_source"].drop_nulls().unique().sort() if source != UNKNOWN]
    unpriced = table.filter(pl.col("unit_price_usd").is_null() | (pl.col("price_source") == UNKNOWN)).height
    text = "switches, transceivers and cables, no spare parts; prices: " + ", ".join(map(_spelled, sources))
    return text + (
        f"; {unpriced} parts without a price" if unpriced > 1 else "; 1 part without a price" if unpriced else ""
    )


def _spelled(source: str) -> str:
    return "rail-only paper (arXiv 2307.12169)" if source == RULE else source


def power_w(plan: Plan, optics: pl.DataFrame) -> int:
    """Typical power of all switches and of all transceivers that the catalogue knows, in watts, rounded."""
    boxes = plan.fabric.switches["model"].cast(pl.String).value_counts().iter_rows()
    switches, parts = plan.catalogue.switches, plan.catalogue.optics
    total = sum(switches[model].power_w.typical * count for model, count in boxes)
    light = optics["optic"].cast(pl.String).value_counts().iter_rows()
    return round(float(total + sum(parts[name].power_w * count for name, count in light if name in parts)))


FACTS: tuple[tuple[str, Callable[[Summary], Any]], ...] = (
    ("technology", lambda net: net["technology"]),
    ("layout", lambda net: net["layout"]),
    ("tiers, planes", lambda net: f"{net['tiers']}, {net['planes']}"),
    ("rails", lambda net: net["rails"]),
    ("segments, pods", lambda net: f"{net['segments']:,}, {net['pods']:,}"),
    ("hosts", lambda net: f"{net['hosts']:,}" + (f" + {net['spares']:,} spare" if net["spares"] else "")),
    ("GPUs", lambda net: net["gpus"]),
    *((tier, lambda net, tier=tier: _switch_words(net["switches"][tier])) for tier in TIERS),
    *((f"{tier} down : up", lambda net, tier=tier: net["oversubscription"][tier]) for tier in ("leaf", "spine")),
    *((f"{kind} links", lambda net, kind=kind: net["links"].get(kind)) for kind in (*KINDS, *OOB_KINDS)),
    ("cables", lambda net: sum(net["cables"].values())),
    ("transceivers", lambda net: sum(net["transceivers"].values())),
    ("proof", lambda net: f"{net['proof']['status']}, gap {net['proof']['gap']:g}"),
)
"""Rows of the one-screen summary: label, and what a network says there."""


def render(summary: Summary, width: int = 100) -> str:
    """One screen of plain text: a column a network, cut to ``width`` characters; rows that say nothing are left out."""
    networks = summary["networks"]
    rows = [(label, [_cell(tell(net)) for net in networks.values()]) for label, tell in FACTS]
    rows = [("", list(networks)), *((label, cells) for label, cells in rows if set(cells) - {"–", "0"})]
    first = max(len(label) for label, _ in rows)
    room = max(8, (width - first) // max(1, len(networks)) - 2)
    sizes = [min(room, max(len(cells[i]) for _, cells in rows)) for i in range(len(networks))]
    lines = [_line(label, cells, first, sizes) for label, cells in rows]
    return (
        "\n".join(
            [_cut(_head(summary["totals"], summary["name"]), width), "", *lines, "", *_foot(summary["totals"], width)]
        )
        + "\n"
    )


def _head(totals: Summary, name: str) -> str:
    spares = f" + {totals['spares']:,} spare" if totals["spares"] else ""
    services = f", {totals['services']:,} service hosts" if totals["services"] else ""
    return (
        f"{name}: {totals['gpus']:,} GPUs, {totals['hosts']:,} hosts{spares}{services}, {totals['switches']:,} switches"
    )


def _foot(totals: Summary, width: int) -> list[str]:
    sums = f"{totals['links']:,} links, {totals['cables']:,} cables, {totals['transceivers']:,} transceivers"
    money = f"${totals['cost_usd']:,.0f}, {totals['power_w'] / 1000:,.1f} kW"
    return [
        _cut(f"{sums}, {money}", width),
        *_floor_words(totals),
        *wrap(f"({totals['cost_basis']}; {totals['power_basis']})", width),
    ]


def _floor_words(totals: Summary) -> list[str]:
    floor = totals["floor"]
    if floor is None:
        return []
    cents = f"cables of ${floor['objective'] / 100:,.0f}, at least ${floor['bound'] / 100:,.0f} in any arrangement"
    return [f"{totals['racks']:,} racks; {cents} of these racks (gap {floor['gap']:.1%})"]


def _switch_words(tier: Summary | None) -> str | None:
    return None if tier is None else f"{tier['count']:,} × {tier['model']}"


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _line(label: str, cells: list[str], first: int, sizes: list[int]) -> str:
    parts = [_cut(cell, size).ljust(size) for cell, size in zip(cells, sizes, strict=True)]
    return "  ".join([label.ljust(first), *parts]).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"
