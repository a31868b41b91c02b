"""``report.html``: the whole plan on one page that opens offline, without a script and without a request.

The template escapes everything that is not SVG made here; those escape what they print themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fabric import roce
from fabric.catalogue.models import Asic
from fabric.exports.bom import bom_table
from fabric.exports.drawing import words
from fabric.exports.drawings import draw
from fabric.exports.panel import COLOURS, panels
from fabric.findings import Finding
from fabric.intent.qos import Qos
from fabric.plan import Plan
from fabric.summary import KINDS, OOB_KINDS, Summary, link_kinds, summarise

BOM_LINES = 20
"""Most lines of the bill of materials on the page."""
FINDINGS = 200
"""Most findings on the page."""
FILES = (
    ("intent.yaml", "what was asked, with every default written out"),
    ("design.json", "what was decided, with the proof"),
    ("catalogue.yaml", "the parts it was decided with"),
    ("checks.jsonl", "what the checks found, one finding a line"),
    ("cabling/cables.csv", "every cable with both ends"),
    ("cabling/cables.xlsx", "the same as a workbook, up to a million cables"),
    ("cabling/labels.csv", "what is printed on each end"),
    ("cabling/netbox-cables.csv", "NetBox's bulk import of cables"),
    ("cabling/topology.dot", "Prescriptive Topology Manager's topology"),
    ("bom.csv", "bill of materials by orderable part"),
    ("bom.xlsx", "the same as a workbook"),
    ("drawings/fabric.svg", "the drawing below, as a file"),
)
"""Files of the bundle, relative to the report."""


def report(plan: Plan, findings: Sequence[Finding] | None = None, failures: pl.DataFrame | None = None) -> bytes:
    """The page. Checks run and failures are analysed unless what they found is given."""
    if findings is None:
        from fabric.checks import run

        findings = run(plan)
    summary = summarise(plan)
    shown = list(panels(plan))
    used = {use for panel in shown for cage in panel.cages for use in cage.uses}
    context = {
        "summary": summary,
        "drawing": Markup(draw(plan)),  # noqa: S704 - escaped where it is drawn
        "findings": [asdict(finding) | {"text": str(finding)} for finding in findings[:FINDINGS]],
        "unlisted": max(0, len(findings) - FINDINGS),
        "severities": _severities(findings),
        "failures": dict(_failures(plan, failures)),
        "panels": [asdict(panel) | {"svg": Markup(panel.svg)} for panel in shown],  # noqa: S704 - as above
        "uses": {words.USES[use]: colour for use, colour in COLOURS.items() if use in used},
        "bom": _bom(plan),
        "link_kinds": _kinds_of(summary),
        "names": list(_names(plan)),
        "roce": list(_roce(plan)),
        "qos": _qos(plan),
        "files": FILES,
    }
    page: str = _environment().get_template("report.html.j2").render(context)
    return page.encode()


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("fabric.exports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "count": _count,
        "speed": words.speed,
        "ratio": words.ratio,
        "share": _share,
        "plain": _plain,
        "amount": amount,
        "technology": lambda name: words.TECHNOLOGIES.get(name, name),
        "network": lambda name: words.NETWORK_TITLES.get(name, name),
    }
    return made


def _count(value: float | None) -> str:
    return "–" if value is None else words.count(value)


def _share(value: float | None) -> str:
    """A ratio as a percentage, one decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def _plain(value: Any) -> str:
    """A value of a finding as people write it."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(_plain, value))
    return ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def amount(value: int | None, unit: str) -> str:
    """An objective in its unit: cents become dollars, tenths of a watt become watts."""
    if value is None:
        return "–"
    if "cent" in unit:
        return f"${value / 100:,.2f}"
    if "watt" in unit:
        return f"{value / 10:,.1f} W"
    return f"{value:,} {unit}"


def _severities(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each severity, the worst first."""
    order = ("critical", "error", "warning", "info")
    counts = {name: sum(str(finding.severity) == name for finding in findings) for name in order}
    return {name: number for name, number in counts.items() if number}


def _failures(plan: Plan, table: pl.DataFrame | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of the failure table by network."""
    if table is None:
        from fabric.failures import analyse

        table = analyse(plan)
    for name in plan.design.networks:
        rows = table.filter(pl.col("network") == name).to_dicts()
        if rows:
            yield name, rows


def _bom(plan: Plan) -> dict[str, Any]:
    """Lines of the bill of materials: all of them where they are few, else the dearest, and what the rest come to."""
    table = bom_table(plan)
    dear = table.sort(pl.col("sum_usd").fill_null(0), descending=True, maintain_order=True)[:BOM_LINES]
    shown = table.join(
        dear.select("kind", "part", "length_m", "medium"), how="semi", on=["kind", "part"], nulls_equal=True
    )
    return {
        "rows": shown.to_dicts(),
        "others": table.height - shown.height,
        "sum_usd": float(table["sum_usd"].fill_null(0).sum()),
        "spare_percent": float(plan.intent.spare_parts_percent),
    }


def _kinds_of(summary: Summary) -> list[str]:
    """Kinds of links that at least one network has."""
    return [
        kind for kind in (*KINDS, *OOB_KINDS) if any(net["links"].get(kind) for net in summary["networks"].values())
    ]


@dataclass(frozen=True)
class NameExample:
    """How one kind of device is called: the pattern, the first name of the plan, and what its parts say."""

    kind: str
    pattern: str
    example: str
    meaning: str


_PATTERNS = (
    ("host", "{group}-{index}", "number within the host group, from 0"),
    ("PDU", "pdu-{index}", "number over the room, from 0"),
    ("leaf", "leaf-{network}-s{segment}-l{position}-p{plane}", "segment, leaf position (its rails) and plane, from 0"),
    ("spine", "spine-{network}-d{pod}[-l{position}][-p{plane}]-{index}",
     "pod, then position and plane where the spine serves only one, then its number in the group"),
    ("core", "core-{network}[-l{position}][-p{plane}]-g{group}-{index}",
     "core group: the number of the spines that share it, then its number in the group"),
)  # fmt: skip


def _names(plan: Plan) -> Iterator[NameExample]:
    """The naming rules of the kinds of device that the plan has."""
    hosts = plan.fabric.hosts.with_columns(pl.col("role").cast(pl.String))
    tiers = plan.fabric.switches.with_columns(pl.col("tier").cast(pl.String))
    found = {
        "host": hosts.filter(pl.col("role") != "pdu")["name"],
        "PDU": hosts.filter(pl.col("role") == "pdu")["name"],
        **{tier: tiers.filter(pl.col("tier") == tier)["name"] for tier in ("leaf", "spine", "core")},
    }
    for kind, pattern, meaning in _PATTERNS:
        if len(found[kind]):
            yield NameExample(kind, pattern, found[kind][0], meaning)


def _roce(plan: Plan) -> Iterator[dict[str, Any]]:
    """ECN thresholds and PFC headroom of each kind of port of the RoCE networks; all of them estimates."""
    kinds = link_kinds(plan.fabric)
    lengths = plan.fabric.cables.select(cable="id", length_m="length_m")
    longest = (
        kinds.join(lengths, on="cable")
        .group_by("network", "kind", "speed_gbps", maintain_order=True)
        .agg(pl.col("length_m").max())
    )
    for network, kind, speed, length in longest.iter_rows():
        design = plan.design.networks[network]
        if design.technology == "roce" and kind != "uplink":
            setup = design.spine if kind == "spine-core" and design.spine else design.classes[0].leaf
            yield {
                "network": network,
                "kind": kind,
                "speed": speed,
                "length": length or 0.0,
                "model": setup.model,
                **_lossless(_qos(plan)[network], speed, length or 0.0, plan.catalogue.switches[setup.model].asic),
            }


def _lossless(qos: Qos, speed: int, length: float, asic: Asic | None) -> dict[str, Any]:
    """Thresholds and headroom of one kind of port."""
    return {
        "curve": roce.thresholds(speed, qos),
        "mlx5e": roce.mlx5e_headroom(speed, length, qos.mtu),
        "sonic": roce.sonic_headroom(speed, length, qos.mtu, asic),
    }


def _qos(plan: Plan) -> dict[str, Qos]:
    """Quality of service of the RoCE networks, the intent's or the defaults."""
    asked: dict[str, Qos | None] = {name: net.qos for name, net in plan.intent.networks.items()}
    return {name: asked.get(name) or Qos() for name, net in plan.design.networks.items() if net.technology == "roce"}
