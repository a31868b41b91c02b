"""What neighbours call themselves, as ports of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import polars as pl

from collectors.detectors.view import View
from collectors.detectors.wiring.claims import NOWHERE, UNNAMED, Claims

Texts = Sequence[str | None]
MAC = r"^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$"
"""What a neighbour without a name says instead of one, in lower case."""


class Names:
    """Devices by name (in any case, with or without a domain), ports by name, alias, label, or MAC where known."""

    def __init__(self, view: View, macs: Mapping[int, str] | None = None) -> None:
        """``macs``: by port id, in lower case with colons (``fabric.inventory``)."""
        self.view, self.macs = view, macs or {}

    @cached_property
    def devices(self) -> pl.DataFrame:
        """``system`` (lower case) and ``far_device``."""
        names = pl.Series("system", self.view.device_names, dtype=pl.String).str.to_lowercase().to_frame()
        return names.with_columns(far_device=pl.int_range(pl.len(), dtype=pl.Int64)).unique("system", keep="first")

    @cached_property
    def ports(self) -> pl.DataFrame:
        """``far_device``, ``text`` and ``far``; of a text in several kinds the first counts."""
        table = self.view.plan.fabric.ports.select(
            pl.col("id", "device").cast(pl.Int64), "name", "alias", "label",
            mac=pl.col("id").cast(pl.Int64).replace_strict(dict(self.macs), default=None, return_dtype=pl.String),
        )  # fmt: skip
        kinds = ("name", "alias", "label", "mac")
        rows = [table.select(far_device="device", text=kind, far="id", kind=pl.lit(n)) for n, kind in enumerate(kinds)]
        texts = pl.concat(rows).filter(pl.col("text").is_not_null())
        one = texts.filter(pl.len().over("far_device", "text", "kind") == 1)
        best = one.sort("kind", maintain_order=True).unique(["far_device", "text"], keep="first", maintain_order=True)
        return best.select("far_device", "text", "far")

    def resolve(self, systems: Texts, ports: Texts, descriptions: Texts) -> tuple[pl.Series, pl.Series]:
        """``far`` and ``far_device`` of ``Claims``, row by row."""
        told = {"system": systems, "port": ports, "description": descriptions}
        rows = pl.DataFrame(told, schema=dict.fromkeys(told, pl.String))
        rows = rows.with_columns(pl.col("system").str.to_lowercase())
        rows = rows.with_columns(short=pl.col("system").str.split(".").list.first())
        for column in ("system", "short"):
            found = self.devices.rename({"system": column, "far_device": f"by_{column}"})
            rows = rows.join(found, on=column, how="left", maintain_order="left")
        rows = rows.with_columns(far_device=pl.coalesce("by_system", "by_short"), mac=pl.col("port").str.to_lowercase())
        there = self.ports.filter(pl.col("far_device").is_in(rows["far_device"].unique().implode()))
        for column in ("port", "mac", "description"):
            found = there.rename({"text": column, "far": f"by_{column}_text"})
            rows = rows.join(found, on=["far_device", column], how="left", maintain_order="left")
        nameless = pl.col("system").is_null() | pl.col("system").str.contains(MAC)
        unknown = pl.when(nameless & pl.col("far_device").is_null()).then(UNNAMED).otherwise(NOWHERE)
        far = pl.coalesce("by_port_text", "by_mac_text", "by_description_text", self._by_mac(pl.col("mac")), unknown)
        found = rows.select(far.alias("far"), "far_device")
        devices = self.view.plan.fabric.ports["device"].cast(pl.Int64)
        own = pl.when(pl.col("far") >= 0).then(devices.gather(found["far"].clip(0))).otherwise("far_device")
        return found["far"], found.select(own.fill_null(-1)).to_series()

    def _by_mac(self, text: pl.Expr) -> pl.Expr:
        """Ports by MAC, whatever the device calls itself."""
        return text.replace_strict({mac: port for port, mac in self.macs.items()}, default=None, return_dtype=pl.Int64)

    def claims(self, ids: Sequence[int], systems: Texts, ports: Texts, descriptions: Texts) -> Claims:
        """What the ports ``ids`` heard, row by row; all others heard nothing."""
        found = Claims.none(self.view.ports)
        far, device = self.resolve(systems, ports, descriptions)
        found.take(ids, far.to_numpy(), device.to_numpy(), list(map(told, systems, ports, descriptions)))
        return found


def told(system: str | None, port: str | None, description: str | None) -> tuple[str, str]:
    """A neighbour and its port as it calls them."""
    return system or "", port or description or ""
