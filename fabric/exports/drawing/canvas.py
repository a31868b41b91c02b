"""A page of SVG: shapes and text, measured as they are drawn, written out the same way every time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
"""Faces with the same metrics, so that text measured here fits on every machine."""

# Advance widths of Helvetica in 1/1000 em, codes 32–126 (Adobe's AFM files; Arial and Liberation Sans match them).
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
_OTHER_WIDTHS = {"·": 278, "×": 584, "–": 556, "…": 1000, "→": 1000, "↓": 600, "↑": 600, "−": 584}
_BOLD = 1.09
# What XML 1.0 cannot carry at all, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class TextBox:
    """Where a line of text lies: left, top, right and bottom edge in pixels."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: TextBox, slack: float = 0.5) -> bool:
        """Both boxes share more than ``slack`` pixels in both directions."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > slack and down > slack


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width in pixels of ``text`` set in Helvetica; characters of unknown width count a full em."""
    units = sum(_WIDTHS[ord(c) - 32] if " " <= c <= "~" else _OTHER_WIDTHS.get(c, 1000) for c in text)
    return units * size / 1000 * (_BOLD if bold else 1.0)


def fit(text: str, size: float, width: float, bold: bool = False) -> str:
    """``text``, cut with an ellipsis where it is wider than ``width`` pixels."""
    if text_width(text, size, bold) <= width:
        return text
    kept = text
    while kept and text_width(kept + "…", size, bold) > width:
        kept = kept[:-1]
    return kept.rstrip() + "…" if kept else ""


def number(value: float) -> str:
    """At most two decimals, no trailing zero: the same bytes everywhere."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def clean(text: str) -> str:
    """Text that XML can carry: characters it forbids become U+FFFD, line breaks become spaces."""
    return _NOT_XML.sub("\ufffd", text).replace("\n", " ").replace("\r", " ").replace("\t", " ")


class Canvas:
    """Shapes in drawing order. Coordinates are pixels, y grows downwards; ``texts`` holds the box of every text."""

    def __init__(self) -> None:
        self.texts: list[TextBox] = []
        self._out: list[str] = []

    def rect(self, x: float, y: float, w: float, h: float, fill: str, *, stroke: str = "none", rx: float = 0,
             width: float = 1, dash: str = "", opacity: float = 1, title: str = "") -> None:  # fmt: skip
        """A rectangle; ``title`` is shown when pointed at."""
        place = {"x": x, "y": y, "width": w, "height": h, "rx": rx or None}
        self._shape("rect", place, title, fill=fill, **_stroke(stroke, width, dash), opacity=_share(opacity))

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1, dash: str = "",
             opacity: float = 1) -> None:  # fmt: skip
        """A straight line."""
        place: dict[str, float | None] = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._shape("line", place, "", **_stroke(stroke, width, dash), opacity=_share(opacity))

    def path(self, d: str, *, fill: str = "none", stroke: str = "none", width: float = 1, dash: str = "",
             opacity: float = 1, title: str = "") -> None:  # fmt: skip
        """A path, given as SVG path data."""
        self._shape("path", {}, title, d=d, fill=fill, **_stroke(stroke, width, dash), opacity=_share(opacity))

    def cubic(self, x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1, opacity: float = 1,
              dash: str = "", title: str = "") -> None:  # fmt: skip
        """A line that leaves and arrives vertically."""
        mid = (y1 + y2) / 2
        points = [number(value) for value in (x1, y1, x1, mid, x2, mid, x2, y2)]
        d = "M{} {}C{} {} {} {} {} {}".format(*points)
        self.path(d, stroke=stroke, width=width, opacity=opacity, dash=dash, title=title)

    def text(self, x: float, y: float, text: str, *, size: float = 12, bold: bool = False, anchor: str = "start",
             fill: str = "#1d2733", room: float | None = None) -> float:  # fmt: skip
        """One line with its baseline at ``y``, cut to ``room`` pixels; gives its width in pixels."""
        text = clean(text)
        text = text if room is None else fit(text, size, room, bold)
        if not text.strip():
            return 0.0
        width = text_width(text, size, bold)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self.texts.append(TextBox(text, left, y - 0.76 * size, left + width, y + 0.22 * size))
        attributes = {"font-weight": "bold" if bold else None, "text-anchor": None if anchor == "start" else anchor}
        self._open("text", {"x": x, "y": y, "font-size": size}, fill=fill, **attributes)
        self._out.append(f">{escape(text)}</text>\n")
        return width

    def pill(self, x: float, y: float, text: str, *, size: float = 11, stroke: str = "#c3ccd6", fill: str = "#ffffff",
             colour: str = "#1d2733", bold: bool = False) -> None:  # fmt: skip
        """A label with a background, centred on (x, y)."""
        half = text_width(text, size, bold) / 2 + 7
        self.rect(x - half, y - size * 0.82, 2 * half, size * 1.64, fill, stroke=stroke, rx=size * 0.82)
        self.text(x, y + size * 0.36, text, size=size, anchor="middle", fill=colour, bold=bold)

    def extend(self, other: Canvas) -> None:
        """Put everything drawn on ``other`` on top."""
        self.texts += other.texts
        self._out += other._out

    @contextmanager
    def group(self, label: str) -> Iterator[None]:
        """Shapes that belong together; ``label`` names them to assistive technology."""
        self._out.append(f'<g role="group" aria-label={quoteattr(clean(label))}>\n')
        yield
        self._out.append("</g>\n")

    def to_svg(self, width: float, height: float, title: str, description: str) -> str:
        """The page as a document of its own, with a white ground so that it prints as it looks."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}" '
            f'viewBox="0 0 {number(width)} {number(height)}" role="img" font-family="{FONT}">\n'
            f"<title>{escape(clean(title))}</title>\n<desc>{escape(clean(description))}</desc>\n"
        )
        return head + "".join(self._out) + "</svg>\n"

    def _shape(self, tag: str, place: dict[str, float | None], title: str, **attributes: str | None) -> None:
        self._open(tag, place, **attributes)
        self._out.append(f"><title>{escape(clean(title))}</title></{tag}>\n" if title else "/>\n")

    def _open(self, tag: str, place: dict[str, float | None], **attributes: str | None) -> None:
        pairs = [(key, number(value)) for key, value in place.items() if value is not None]
        pairs += [(key, value) for key, value in attributes.items() if value is not None]
        self._out.append(f"<{tag}" + "".join(f" {key}={quoteattr(value)}" for key, value in pairs))


def _stroke(colour: str, width: float, dash: str) -> dict[str, str | None]:
    if colour == "none":
        return {}
    return {"stroke": colour, "stroke-width": number(width), "stroke-dasharray": dash or None}


def _share(opacity: float) -> str | None:
    return None if opacity >= 1 else number(opacity)


def overlapping(texts: Iterable[TextBox]) -> list[tuple[TextBox, TextBox]]:
    """Pairs of texts that lie on each other, found by a sweep from the top."""
    found: list[tuple[TextBox, TextBox]] = []
    open_boxes: list[TextBox] = []
    for box in sorted(texts, key=lambda b: (b.top, b.left, b.text)):
        open_boxes = [other for other in open_boxes if other.bottom > box.top]
        found += [(other, box) for other in open_boxes if box.overlaps(other)]
        open_boxes.append(box)
    return found
