"""A burst: many sends at a rate, on the loop of the agents. It waits while the lane is full, and can be stopped."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import AgentError
from ..receipt import Receipt
from .source import BurstProgress

__all__ = ["Burst"]

TICK = 0.02  # seconds between two turns: a faster rate sends several in one
AT_ONCE = 200  # sends in one turn at the most: then the loop serves others

Send = Callable[[], Coroutine[Any, Any, Receipt]]
Submit = Callable[[Coroutine[Any, Any, None]], concurrent.futures.Future[None]]


class Burst:
    """`total` sends at `rate` a second of real time. `sent`, `error` and `running` may be read from any thread.

    `send()` gives the coroutine of one send, which waits while its lane is full. `ended()` is called once, on the
    thread where it ends, after the last send, the first that fails, or `stop()`.
    """

    def __init__(self, send: Send, total: int, rate: float, ended: Callable[[], Any] = lambda: None) -> None:
        self.send = send
        self.total = total
        self.rate = rate
        self.ended = ended
        self.sent = 0
        self.error: str = ""
        self.stopped = False
        self.waiting: deque[Receipt] = deque()
        self.fates: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._future: concurrent.futures.Future[None] | None = None

    def start(self, submit: Submit) -> Burst:
        """Begin; `submit` runs a coroutine on the loop of the agents."""
        self._future = submit(self.run())
        self._future.add_done_callback(self._end)
        return self

    def stop(self) -> None:
        """Send no more. What was sent is not taken back."""
        if self.running and self._future is not None:
            self.stopped = True
            self._future.cancel()

    @property
    def running(self) -> bool:
        """Whether it still has something to send."""
        return self._future is not None and not self._future.done()

    def progress(self) -> BurstProgress:
        """Return how far it is, and what became of what was sent. Any thread."""
        running = self.running  # first: what is sent after this is counted when it is read the next time
        with self._lock:
            pending = self._count()
            fates = dict(self.fates)
        return BurstProgress(self.total, self.sent, pending, running, self.stopped, self.error, fates)

    def _count(self) -> int:
        """Bring `fates` up to date. Returns how many of those sent are pending."""
        for _ in range(len(self.waiting)):
            receipt = self.waiting.popleft()
            if receipt.outcome is None:
                self.waiting.append(receipt)
            else:
                self.fates[receipt.outcome.kind] += 1
        return len(self.waiting)

    async def run(self) -> None:
        """Send until all are sent. Raises nothing but `CancelledError`; a failure is in `error`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while self.sent < self.total:
                await self._send_due(1 + int((loop.time() - started) * self.rate))
                await asyncio.sleep(max(TICK, 1 / self.rate) if self.sent < self.total else 0)
        except AgentError as error:
            self.error = str(error)

    async def _send_due(self, due: int) -> None:
        most = min(due, self.total, self.sent + AT_ONCE)
        while self.sent < most:
            self.waiting.append(await self.send())
            self.sent += 1

    def _end(self, future: concurrent.futures.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.error = f"{type(error).__name__}: {error}"
        self.ended()
