"""What can go wrong with a store, each with what to do about it.

StoreError            the store cannot do what was asked
├── StoreFullError    no room: the disk or the spool's bound; nothing of the write was kept, the same write may be tried
└── StoreAwayError    the server, or the process that holds the file, does not answer
"""

from __future__ import annotations

from fabric.errors import OutputError


class StoreError(OutputError):
    """The store cannot do what was asked."""


class StoreFullError(StoreError):
    """There is no room; nothing of the write was acknowledged, and the same write succeeds once there is room."""


class StoreAwayError(StoreError):
    """Nobody answers; what was acknowledged is safe."""
