"""A process that forks writers: imports once, so that fifty of them can be killed in a minute.

A line ``URL SPOOL FIRST`` on stdin starts a writer; it prints its pid, then the number of each batch that the store
acknowledged. ``stores.numbered`` says what the batches hold.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb  # noqa: F401  imported before the fork
import influxdb_client.client.influxdb_client  # noqa: F401  imported before the fork
from stores import numbered

from collectors.store import open_store

ROWS = 20


def write_for_ever(url: str, spool: str, first: int) -> None:
    """Write batches and say which the store acknowledged, until killed."""
    from collectors.store import duck
    from collectors.store.victoria import VictoriaServer

    VictoriaServer.window_s = 0.1
    duck.SETTINGS["checkpoint_threshold"] = "16KB"
    store = open_store(url, spool=Path(spool))
    batch = first
    while True:
        store.write(numbered(batch * ROWS, ROWS))
        os.write(1, f"{batch}\n".encode())
        batch += 1


def main() -> None:
    """Fork a writer a line."""
    for line in sys.stdin:
        url, spool, first = line.split()
        child = os.fork()
        if not child:
            os.write(1, f"pid {os.getpid()}\n".encode())
            write_for_ever(url, spool, int(first))
        os.waitpid(child, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
