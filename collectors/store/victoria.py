"""VictoriaMetrics: it answers 204 before anything is on disk, keeps whole milliseconds and 64-bit floats.

So what was posted counts as kept only after a snapshot (which writes all that is in memory to disk) made by a process
that was already running when the first of it was posted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence

import polars as pl

from collectors.store.server import Http, any_of, csv_of, understood
from collectors.store.urls import StoreUrl
from fabric.counters import TAGS

FLUSHED_S = 75.0
"""Where no snapshot can be had: it writes what is in memory to disk within about a minute."""
_SNAPSHOT = re.compile(rb'"snapshot"\s*:\s*"([0-9A-Za-z_-]{1,100})"')
_UPTIME = re.compile(rb"^vm_app_uptime_seconds\S*\s+(\d+)", re.MULTILINE)


class VictoriaServer:
    """One VictoriaMetrics server."""

    window_s = 10.0

    def __init__(self, url: StoreUrl) -> None:
        """Connects when first used."""
        self.url, self._http = url, Http(url)
        self.post = self._http.post

    def on_disk(self, age_s: float, sealed_s: float) -> bool | None:
        """Take a snapshot and drop it again, and see that the server is older than the window."""
        asked = time.monotonic()
        snapshot = self._snapshot()
        if not snapshot and sealed_s < FLUSHED_S:
            return None
        uptime = self._uptime()
        waited = time.monotonic() - asked
        return uptime is None or uptime >= age_s + waited

    def _snapshot(self) -> bool:
        """Whether all that was in the server's memory is on its disk now."""
        found = _SNAPSHOT.search(self._http.get_if("/snapshot/create", {}))
        if found:
            self._http.get_if("/snapshot/delete", {"snapshot": found[1].decode()})
        return bool(found)

    def _uptime(self) -> float | None:
        """The server's age in whole seconds, rounded down; None where it does not tell."""
        found = _UPTIME.search(self._http.get_if("/metrics", {}))
        return float(found[1]) if found else None

    def show(self) -> None:
        """Fresh rows are searchable after a second or two; this makes them so now."""
        self._http.get_if("/internal/force_flush", {})

    @understood
    def series(
        self, measurement: str, fields: Sequence[str], keys: Sequence[str], only: Mapping[str, Sequence[str]],
        start_ns: int, end_ns: int,
    ) -> pl.DataFrame:  # fmt: skip
        """One export of raw samples; one sample a time, should the server have it twice. See ``Server.series``."""
        names = [f"{measurement}_{field}" for field in fields]
        within = [f'__name__=~"{_quoted(any_of(names))}"']
        within += [f'{tag}=~"{_quoted(any_of(values))}"' for tag, values in only.items()]
        asked = {
            "match[]": "{" + ",".join(within) + "}",
            "format": ",".join(["__name__", *keys, "__value__", "__timestamp__:unix_ms"]),
            "start": f"{start_ns // 1_000_000 / 1000:.3f}",
            "end": f"{(end_ns - 1) // 1_000_000 / 1000:.3f}",
        }
        body = self._http.get("/api/v1/export/csv", asked, how="POST")
        return _wide(_long(body, keys), measurement, fields, keys)

    @understood
    def known_fields(self) -> list[tuple[str, str, list[str]]]:
        """From the index; the tags' values of one name at a time."""
        names = json.loads(self._http.get("/api/v1/label/__name__/values", {"start": "0"}))["data"]
        known = []
        for name in (name for name in names if name.startswith("railwright_")):
            for measurement, tag in (("railwright_port_text", "counter"), *_OBJECTS):
                if name.startswith(f"{measurement}_"):
                    values = self._values(name, tag) if tag else []
                    known.append((measurement, name[len(measurement) + 1 :], values))
        return known

    def _values(self, name: str, tag: str) -> list[str]:
        body = self._http.get(f"/api/v1/label/{tag}/values", {"match[]": f'{{__name__="{name}"}}', "start": "0"})
        return [str(value) for value in json.loads(body)["data"]]

    def close(self) -> None:
        """Give back connections."""
        self._http.close()


_OBJECTS = [(f"railwright_{name}", TAGS.get(name, "")) for name in (*TAGS, "port", "device")]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _long(body: bytes, keys: Sequence[str]) -> pl.DataFrame:
    columns = ["name", *keys, "value", "time_ms"]
    if not body.strip():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return csv_of(",".join(columns).encode() + b"\n" + body)


def _wide(found: pl.DataFrame, measurement: str, fields: Sequence[str], keys: Sequence[str]) -> pl.DataFrame:
    found = found.with_columns(pl.col("time_ms").cast(pl.Int64), pl.col("value").cast(pl.Float64))
    found = found.with_columns(pl.col(key).fill_null("") for key in keys).unique(["name", *keys, "time_ms"])
    wide = found.pivot(
        on="name", index=["time_ms", *keys], values="value", on_columns=[f"{measurement}_{f}" for f in fields]
    )
    return wide.select("time_ms", *keys, *(pl.col(f"{measurement}_{field}").alias(field) for field in fields))
