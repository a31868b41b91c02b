"""InfluxDB 2: what it answered 204 to is in its synced log; InfluxQL answers wide tables as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from influxdb_client.rest import ApiException

from collectors.store.errors import StoreAwayError
from collectors.store.server import Http, any_of, csv_of, understood
from collectors.store.urls import StoreUrl
from fabric.counters import TAGS
from fabric.errors import Problem


class InfluxServer:
    """One bucket of an InfluxDB 2 server."""

    window_s = 0.0

    def __init__(self, url: StoreUrl) -> None:
        """Connects when first used."""
        self.url, self._http = url, Http(url)
        self.post = self._http.post

    def on_disk(self, age_s: float, sealed_s: float) -> bool | None:
        """Always: InfluxDB syncs its log before it answers (``storage-wal-fsync-delay`` 0, its default)."""
        return True

    def show(self) -> None:
        """A write can be read when it is answered."""

    @understood
    def series(
        self, measurement: str, fields: Sequence[str], keys: Sequence[str], only: Mapping[str, Sequence[str]],
        start_ns: int, end_ns: int,
    ) -> pl.DataFrame:  # fmt: skip
        """One InfluxQL statement; see ``Server.series``."""
        named, tags = ", ".join(f'"{field}"' for field in fields), ", ".join(f'"{key}"' for key in keys)
        within = [f"time >= {start_ns} AND time < {end_ns}"]
        within += [f'"{tag}" =~ /{any_of(values).replace("/", chr(92) + "/")}/' for tag, values in only.items()]
        found = self._ask(f'SELECT {named} FROM "{measurement}" WHERE {" AND ".join(within)} GROUP BY {tags}')  # noqa: S608  names are ours
        if found.is_empty():
            return pl.DataFrame(schema={"time_ms": pl.Int64, **dict.fromkeys((*keys, *fields), pl.String)})
        split = found.unique("tags").select("tags", *(_tag(key) for key in keys))
        found = found.join(split, on="tags", how="left")
        return found.select((pl.col("time").cast(pl.Int64) // 1_000_000).alias("time_ms"), *keys, *fields)

    def _ask(self, statement: str) -> pl.DataFrame:
        asked = {"db": self.url.bucket, "epoch": "ns", "q": statement}
        return csv_of(self._http.get("/query", asked, "application/csv", how="POST"))

    @understood
    def known_fields(self) -> list[tuple[str, str, list[str]]]:
        """From the index; which tag's values go with which field is asked a measurement at a time."""
        found = self._ask("SHOW FIELD KEYS")
        known = []
        for measurement, field in found.select("name", "fieldKey").iter_rows() if found.width else ():
            tag = TAGS.get(measurement.removeprefix("railwright_"), "")
            tag = "counter" if measurement == "railwright_port_text" else tag
            known.append((measurement, field, self._values(measurement, tag) if tag else []))
        return known

    def _values(self, measurement: str, tag: str) -> list[str]:
        found = self._ask(f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"')
        return found["value"].to_list() if found.width else []

    @understood
    def first_ns(self) -> int | None:
        """The time of the oldest row."""
        found = self._ask('SELECT first("received_lag_seconds") FROM "railwright_port"')
        return int(found["time"][0]) if found.height else None

    def keep(self, seconds: int) -> None:
        """Have the server itself drop what is older."""
        try:
            api: Any = self._http.client.buckets_api()
            bucket = api.find_bucket_by_name(self.url.bucket)
            bucket.retention_rules = [{"type": "expire", "everySeconds": seconds}]
            api.update_bucket(bucket=bucket)
        except ApiException as error:
            raise self._refused(error) from error

    def delete(self, start_ns: int, end_ns: int, measurement: str) -> None:
        """Delete the rows of [start_ns, end_ns)."""
        predicate = f'_measurement="{measurement}"'
        try:
            api: Any = self._http.client.delete_api()
            api.delete(_rfc3339(start_ns), _rfc3339(end_ns - 1), predicate, self.url.bucket, self.url.org)
        except ApiException as error:
            raise self._refused(error) from error

    def _refused(self, error: ApiException) -> StoreAwayError:
        said = " ".join(str(error.body or error.reason).split())[:300]
        return StoreAwayError(Problem(self.url.where, f"answers {error.status}: {said}", "see the server's log"))

    def close(self) -> None:
        """Give back connections."""
        self._http.close()


def _tag(key: str) -> pl.Expr:
    return pl.col("tags").str.extract(f"(?:^|,){key}=([^,]*)", 1).fill_null("").alias(key)


def _rfc3339(time_ns: int) -> str:
    from datetime import UTC, datetime

    whole, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
