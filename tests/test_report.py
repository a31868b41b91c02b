"""The report: complete, offline, inert, and safe with hostile names; and the estimates it prints."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import polars as pl
import pytest
from handmade import plan_of
from handmade_designs import hpn_pod, superpod
from planned import planned

from fabric.catalogue.models import Asic
from fabric.exports.drawing.canvas import text_width
from fabric.exports.panel import panels
from fabric.exports.report import FILES, amount, report
from fabric.findings import find
from fabric.intent.qos import Qos
from fabric.roce import cell_occupancy, mlx5e_headroom, sonic_headroom, thresholds
from fabric.summary import summarise
from railwright.pipeline import OUTPUTS

HOSTILE = "<img src=x onerror=alert(1)>'\"</td><script>alert(2)</script>{{ 7 * 7 }}"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements, attributes, ids and visible text of a page; ``unclosed`` must be empty at its end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.unclosed: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        else:
            self.unclosed.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]


@cache
def page(example: str) -> Page:
    return Page(report(planned(example)).decode())


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod", "superpod-h100-4su"])
def test_every_tier_of_every_network_is_on_the_page(example: str) -> None:
    for network in summarise(planned(example))["networks"].values():
        for tier in filter(None, network["switches"].values()):
            assert f"{tier['count']:,} × {tier['model']}" in page(example).text
        assert network["proof"]["status"] in page(example).text


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod"])
def test_page_is_whole_and_asks_for_nothing(example: str) -> None:
    shown = page(example)
    assert shown.unclosed == []
    assert not shown.tags & {"script", "iframe", "object", "embed", "img", "link", "form", "base"}
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    targets = shown.values("href", "src")
    assert all(re.fullmatch(r"#[a-z]+|[a-z-]+(/[a-z-]+)?\.[a-z]+", target) for target in targets)
    assert {target[1:] for target in targets if target.startswith("#")} <= set(shown.values("id"))


def test_all_files_of_the_bundle_are_linked() -> None:
    linked = {path for path, _ in FILES}
    assert set(OUTPUTS) - {"report.html"} <= linked
    assert linked <= set(page("starter-32").values("href"))


def test_hostile_names_stay_text() -> None:
    plan = plan_of(*superpod(1))
    fabric = replace(
        plan.fabric,
        hosts=plan.fabric.hosts.with_columns(name=pl.lit(HOSTILE)),
        switches=plan.fabric.switches.with_columns(name=pl.lit(HOSTILE)),
        ports=plan.fabric.ports.with_columns(name=pl.lit(HOSTILE)),
        cables=plan.fabric.cables.with_columns(part=pl.lit(HOSTILE)),
    )
    design = replace(plan.design, name=HOSTILE)
    finding = find("oob-missing", {"network": HOSTILE}, {HOSTILE: [HOSTILE]})
    shown = Page(report(replace(plan, fabric=fabric, design=design), [finding]).decode())
    assert not shown.tags & {"script", "img"}
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert HOSTILE in shown.text
    assert shown.unclosed == []


def test_same_plan_gives_the_same_bytes() -> None:
    assert report(plan_of(*superpod(1)), []) == report(plan_of(*superpod(1)), [])


def test_findings_and_runners_up_are_told() -> None:
    finding = find("oob-missing", {"network": "oob"}, {"hosts": 131})
    shown = Page(report(plan_of(*superpod(1)), [finding]).decode()).text
    assert "oob-missing" in shown
    assert "hosts 131" in shown
    assert "$26,544.00 more (21.5%)" in shown
    assert "one host fewer" in shown
    assert "objective $123,456.00" in shown


def test_estimates_are_marked_and_only_where_there_is_roce() -> None:
    assert "estimate" in page("starter-32").text
    assert "roce" in page("starter-32").values("id")
    assert "roce" not in page("superpod-h100-4su").values("id")


def test_panels_show_every_cage_of_the_box() -> None:
    """HPN: 34 cages of 4 × 200G and 30 of 2 × 400G are the 64 of a 51.2T box."""
    leaf, spine, *_ = panels(plan_of(*hpn_pod(15)))
    assert [cage.mode for cage in leaf.cages] == ["4x200"] * 34 + ["2x400"] * 30
    assert [(run.cages, run.use, run.ports) for run in leaf.runs] == [
        ("1 – 34", "to hosts", 136),
        ("35 – 64", "up", 60),
    ]
    assert [(run.use, run.ports, run.linked) for run in spine.runs] == [
        ("down", 120, 120), ("kept for a tier above", 8, 0),
    ]  # fmt: skip
    assert (leaf.count, spine.count) == (240, 120)


@pytest.mark.parametrize("example", ["starter-32", "hpn7-pod"])
def test_panel_labels_fit_their_cages(example: str) -> None:
    for panel in panels(planned(example)):
        assert panel.svg.count("<rect") == len(panel.cages) + 1
        assert max(text_width(cage.mode, 9) for cage in panel.cages) <= 32


@pytest.mark.parametrize(("speed", "length", "expected"), [(400, 30, 171_388), (800, 100, 438_668)])
def test_mlx5e_headroom_is_the_published_one(speed: int, length: float, expected: int) -> None:
    assert mlx5e_headroom(speed, length, 9216) == expected
    assert mlx5e_headroom(25, length, 9216) is None


def test_sonic_headroom_follows_the_buffer_model() -> None:
    """400G, 40 m, by hand: cable 20,202.02 B, peer 57,920 B, MTU 9,216 B, 0.5 KiB delay; a cell of 192 B for 64 B."""
    asic = Asic(name="chip", cell_bytes=192, mac_phy_delay_kib=0.5)
    propagation = 9216 + 20202.02 + 57920 + 512
    expected = 1024 * -(-(1024 + 3 * propagation) // 1024)
    assert sonic_headroom(400, 40, 9216, asic) == expected
    assert sonic_headroom(400, 40, 9216, Asic(name="chip")) is None
    assert sonic_headroom(123, 40, 9216, asic) is None
    assert cell_occupancy(96) == pytest.approx(192 / 97)


def test_thresholds_are_published_or_scaled() -> None:
    assert (thresholds(400, Qos()).kmin_kb, thresholds(400, Qos()).published) == (800, True)
    assert (thresholds(800, Qos()).kmin_kb, thresholds(800, Qos()).kmax_kb) == (1600, 6400)
    assert not thresholds(800, Qos()).published


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(123, "US cents", "$1.23"), (85, "tenths of a watt", "8.5 W"), (48, "switches", "48 switches"), (None, "", "–")],
)
def test_objectives_are_shown_in_their_unit(value: int | None, unit: str, shown: str) -> None:
    assert amount(value, unit) == shown
