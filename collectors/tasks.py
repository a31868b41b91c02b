"""Ending background work of an event loop."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they are gone.

    A cancellation can be lost where it meets an answer (``asyncio.wait_for`` before Python 3.12), so it is repeated.
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=0.5)
        for task in done:
            if not task.cancelled():
                task.exception()
