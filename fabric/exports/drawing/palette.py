"""Colours that colour-blind people can tell apart, and the greys around them."""

from __future__ import annotations

INK = "#1d2733"
MUTED = "#5b6875"
FAINT = "#8a96a3"
RULE = "#d5dce3"
PAPER = "#ffffff"
GROUND = "#f5f7f9"
CARD = "#fbfcfd"
STEEL = "#64748b"
"""What belongs to no rail and no plane."""

_RAILS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#c9bb1e", "#3a3a3a")
"""Okabe and Ito's eight (Color Universal Design, 2008); the yellow darkened and the black lightened for thin lines."""

_PLANES = ("#004488", "#bb5566", "#ddaa33", "#666666")
"""Paul Tol's high-contrast scheme, which also survives a grey printer."""


def rail_colour(rail: int) -> str:
    """Colour of a rail; they repeat after eight."""
    return _RAILS[rail % len(_RAILS)]


def plane_colour(plane: int) -> str:
    """Colour of a plane; they repeat after four."""
    return _PLANES[plane % len(_PLANES)]


def tint(colour: str, share: float = 0.16) -> str:
    """``colour`` mixed with white: ``share`` of it."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)
