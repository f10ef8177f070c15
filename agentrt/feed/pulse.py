"""Whether an event loop still turns, asked from another thread."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Pulse"]


class Pulse:
    """Asks a loop for a sign of life each time that somebody looks. It costs the loop one call for each look."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: float | None = None

    def blocked_for(self) -> float:
        """Return the real seconds for which the loop has owed a sign of life; 0 if it owes none. Any thread."""
        asked = self._asked
        if asked is None:
            self._ask()
            return 0.0
        return time.monotonic() - asked

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # it is closed
            self._answer()

    def _answer(self) -> None:
        self._asked = None
