"""Mailslot: the peer of a process that can call and can't be called, as a driver of Ray: it fetches its batches."""

from __future__ import annotations

import asyncio

__all__ = ["Mailslot"]


class Mailslot:
    """Holds the batch that is on its way to one reader. The loop's thread."""

    def __init__(self) -> None:
        self._batch = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._filled = asyncio.Event()

    async def send_batch(self, data: bytes) -> bytes:
        """Hold a batch until it is fetched and answered."""
        self._answer = asyncio.get_running_loop().create_future()
        self._batch = data
        self._filled.set()
        try:
            return await self._answer
        finally:
            self._answer = None
            self._empty()

    async def fetch(self, answer: bytes, wait: float) -> bytes:
        """Return the batch that is held.

        Args:
            answer: That to the batch before, a `Received`; empty for the first.
            wait: Seconds to wait for one, at most.

        Returns:
            A batch; empty if there is none.
        """
        if answer and self._answer is not None and not self._answer.done():
            self._empty()
            self._answer.set_result(answer)
        try:
            async with asyncio.timeout(wait):
                await self._filled.wait()
        except TimeoutError:
            return b""
        return self._batch

    def _empty(self) -> None:
        self._batch = b""
        self._filled.clear()
