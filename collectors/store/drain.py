"""The thread that hands the spool's records to a server, and lets go of them when the server has them on disk."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.store.errors import StoreAwayError, StoreError
from collectors.store.server import RejectedError, Server
from collectors.store.spool import Spool

LEAST_WAIT_S, MOST_WAIT_S = 0.05, 10.0
"""Between attempts while the server is away; each wait is twice the one before, with jitter."""

AGAIN_S = 0.25
"""Before what a server lost is posted again: one that just started is asked until it is older than that."""


@dataclass
class Window:
    """Records [first, end) posted between two times of the monotonic clock; ``closed`` is None while it grows."""

    first: int
    end: int
    opened: float
    closed: float | None = None


class Drain:
    """Posts records in order; after an answer that one was lost, posts them again from there: keys make that safe."""

    def __init__(self, spool: Spool, server: Server) -> None:
        """Starts at once."""
        self._spool, self._server = spool, server
        self._windows: deque[Window] = deque()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._unsure = False
        self.error: StoreError | None = None
        self.counts = dict.fromkeys(("records_sent", "records_resent", "records_rejected", "send_failures"), 0)
        self._thread = threading.Thread(target=self._run, name="store-drain", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        wait = LEAST_WAIT_S
        while not self._stopping.is_set():
            try:
                self._step()
                self.error, wait = None, LEAST_WAIT_S
            except StoreError as error:
                self.error = error
                self.counts["send_failures"] += 1
                with self._spool.changed:
                    self._spool.changed.notify_all()
                self._stopping.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret
                wait = min(2 * wait, MOST_WAIT_S)

    def _step(self) -> None:
        """Post one record, or wait for one; then ask for what may be on the server's disk."""
        record = self._spool.read()
        if record is not None:
            self._post(*record)
        self._seal()
        while self._windows and self._windows[0].closed is not None and self._ask(self._windows[0]):
            pass
        if record is None:
            with self._spool.changed:
                if not self._spool.pending and not self._stopping.is_set():
                    self._spool.changed.wait(self._idle_s())

    def _idle_s(self) -> float:
        return min(1.0, self._server.window_s) if self._windows else 60.0

    def _post(self, number: int, lines: bytes) -> None:
        opened = time.monotonic()
        try:
            self._server.post(lines)
            self.counts["records_sent"] += 1
        except RejectedError as error:
            self.counts["records_rejected"] += 1
            self._spool.reject(number, str(error).encode() + b"\n" + lines)
        except StoreError:
            self._spool.rewind(number)
            raise
        if not self._windows or self._windows[-1].closed is not None:
            self._windows.append(Window(number, number, opened))
        self._windows[-1].end = number + 1

    def _seal(self) -> None:
        if self._windows and self._windows[-1].closed is None:
            window = self._windows[-1]
            hurry = self._hurry.is_set() and not self._spool.pending
            if hurry or time.monotonic() - window.opened >= self._server.window_s:
                window.closed = time.monotonic()

    def _ask(self, window: Window) -> bool:
        """Whether the window is settled: let go of, or posted again."""
        now = time.monotonic()
        kept = self._server.on_disk(now - window.opened, now - (window.closed or now))
        self._unsure = kept is None
        if kept is None:
            return False
        if kept:
            self._windows.popleft()
            self._spool.confirm(window.end)
        else:
            self.counts["records_resent"] += self._windows[-1].end - window.first
            self._windows.clear()
            self._spool.rewind(window.first)
            self._stopping.wait(AGAIN_S)
        return True

    def wait_kept(self, patience_s: float) -> None:
        """Return when the server has all records, on its disk if it can tell.

        Raises StoreAwayError, with what it said last, when it took none for ``patience_s`` seconds.
        """
        with self._spool.changed:
            end = self._spool.end
        self._hurry.set()
        try:
            sent, until = -1, 0.0
            while not self._has(end):
                if sent != self.counts["records_sent"]:
                    sent, until = self.counts["records_sent"], time.monotonic() + patience_s
                if time.monotonic() >= until or self._stopping.is_set():
                    raise self.error or StoreAwayError("the server took nothing for too long")
                with self._spool.changed:
                    self._spool.changed.notify_all()
                    self._spool.changed.wait(0.05)
        finally:
            self._hurry.clear()

    def _has(self, end: int) -> bool:
        sent = self._unsure and any(window.end >= end for window in list(self._windows))
        return sent or self._spool.confirmed >= end

    def health(self) -> Mapping[str, float]:
        """Its counters; ``server_away`` is 1 while the last attempt failed."""
        return {**self.counts, "server_away": float(self.error is not None)}

    def stop(self) -> None:
        """End after the request under way."""
        self._stopping.set()
        with self._spool.changed:
            self._spool.changed.notify_all()
        self._thread.join(timeout=30)
