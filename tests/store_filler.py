"""Fills a store until its disk is full, makes room, and goes on: run by test_store_full.py on a small file system.

``store_filler.py URL FOLDER``: prints what the store said, and what it holds at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stores import numbered, numbers

from collectors.store import StoreFullError, open_store
from collectors.store.lines import LineStore

ROWS = 2000


def say(*words: object) -> None:
    """One line."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def main() -> None:
    """Write until full, make room, write the same again."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * ((12 if url.startswith("duckdb") else 23) << 20))
    store = open_store(url, spool=folder / "spool")
    batch, refused = 0, 0
    while batch < 400 and not refused:
        try:
            store.write(numbered(batch * ROWS, ROWS))
            batch += 1
        except StoreFullError as error:
            refused += 1
            say("full:", str(error).replace(str(folder), ""))
    say("acknowledged", batch)
    try:
        store.write(numbered(batch * ROWS, ROWS))
        say("not full")
    except StoreFullError:
        say("still full")
    ballast.unlink()
    for _ in range(3):
        store.write(numbered(batch * ROWS, ROWS))
        batch += 1
    if isinstance(store, LineStore):
        say("records", int(store.health()["spool_records"]), batch)
    else:
        say("whole", numbers(store) == list(range(batch * ROWS)))
    store.close()
    if not isinstance(store, LineStore):
        again = open_store(url)
        say("whole", numbers(again) == list(range(batch * ROWS)))
        again.close()


main()
