"""The hub: one thread that tells everybody who watches what is new, at most ten times a second.

It is part of the core, as `param` watchers need it too; views attach to it like anybody else. It runs only while
somebody is attached, and is silent while nothing happens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..clock import Clock
from ..events import Record, Ring

__all__ = ["Frame", "Hub"]

logger = logging.getLogger(__name__)

SLOWEST = 0.45  # seconds between two frames at the most: whoever looks sees at least two a second
LAST = 1.0  # seconds that closing waits for a frame that is being drawn

Flush = Callable[["Frame"], object]
Schedule = Callable[[Callable[[], None]], object]


class Frame(msgspec.Struct):
    """What is new since the last frame of this client: the records, how many were let go, whose runtimes changed.

    Clients that keep up with each other are given the same frame; `shared` is for what they work out of it together.
    """

    at: float
    records: list[Record]
    missed: int
    changed: set[str]
    first: bool = False
    cursor: int = 0
    shared: Any = None


class _Client:
    """One who watches. A slow client gets fewer frames, and all that came in between."""

    def __init__(self, hub: Hub, flush: Flush, schedule: Schedule | None, cursor: int) -> None:
        self.hub = hub
        self.flush = flush
        self.schedule = schedule or _directly
        self.cursor = cursor
        self.first = True
        self.pending = self.detached = False

    def offer(self, cursor: int) -> None:
        """Have a frame drawn, unless one is on its way or there is nothing new."""
        if self.pending or (cursor <= self.cursor and not self.first):
            return
        self.pending = True
        try:
            self.schedule(self.draw)
        except Exception:
            self.hub.remove(self, "its thread is gone")

    def draw(self) -> None:
        """Pull and draw; on the client's own thread."""
        if self.detached:
            return
        started = time.thread_time()
        frame = self.hub.frame(self.cursor)
        if self.first:
            self.first, frame = False, msgspec.structs.replace(frame, first=True)
        self.cursor = frame.cursor
        self.hub.missed += frame.missed
        try:
            self.flush(frame)
        except (Exception, SystemExit):  # anybody's function: it may not end the thread that tells the others
            logger.exception("a view failed and was detached")
            self.hub.remove(self, None)
        self.hub.charge(time.thread_time() - started)
        self.hub.frames += 1
        self.pending = False


def _directly(call: Callable[[], None]) -> None:
    call()


class Hub:
    """Feeds whoever is attached with frames. `attach` and the function it returns may be called from any thread.

    Watching has a budget: once drawing takes more than `budget` of a core (settable; 0.1 is a tenth), all together,
    frames come less often, down to two a second; the runtimes go on as before. `cost` are the CPU seconds spent on
    drawing so far, `frames` how often it was done, `missed` how many records were let go before a view could draw them,
    `pause` the seconds between two frames now.

    >>> import agentrt, threading
    >>> seen = threading.Event()
    >>> with agentrt.RuntimeManager() as manager:
    ...     detach = manager.hub.attach(lambda frame: seen.set())
    ...     seen.wait(5)
    True
    """

    def __init__(self, ring: Ring, clock: Clock, interval: float = 0.1) -> None:
        self.ring = ring
        self.clock = clock
        self.interval = self.pause = interval
        self.budget = 0.1
        self.cost = 0.0
        self.missed = self.frames = 0
        self.clients: list[_Client] = []
        self._offered: tuple[int, dict[int, Frame]] = (ring.cursor, {})
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether somebody is attached."""
        return bool(self.clients)

    @property
    def drawing(self) -> bool:
        """Whether a frame is on its way to somebody."""
        return any(client.pending for client in tuple(self.clients))

    def frame(self, cursor: int) -> Frame:
        """What is new since a record, up to the last offer. Who asks from the same one is given the same frame."""
        until, frames = self._offered
        frame = frames.get(cursor)
        if frame is None:
            records, end, missed = self.ring.since(cursor)
            records = records[: max(0, len(records) - max(0, end - until))]
            changed = {record.runtime for record in records if record.runtime}
            frame = Frame(self.clock.now(), records, missed, changed, cursor=cursor + missed + len(records))
            frames[cursor] = frame
        return frame

    def charge(self, seconds: float) -> None:
        """Count CPU seconds that were spent on drawing. Any thread."""
        with self._lock:
            self.cost += seconds

    def attach(self, flush: Flush, schedule: Schedule | None = None) -> Callable[[], None]:
        """Have `flush(frame)` called when there is news, through `schedule(call)` if given (it must not block).

        The first frame comes at once. Never two at once; one that raises is logged and detached. Returns what ends it.
        """
        client = _Client(self, flush, schedule, max(0, self.ring.cursor - self.ring.limit))
        with self._lock:
            self.clients.append(client)
            if self._thread is None:
                self.pause = self.interval
                self._stop = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._stop,), name="agentrt-hub", daemon=True)
                self._thread.start()
        return lambda: self.remove(client, None)

    def remove(self, client: _Client, why: str | None) -> None:
        """Detach a client."""
        if why is not None:
            logger.info("detached a view: %s", why)
        client.detached = True
        with self._lock:
            if client in self.clients:
                self.clients.remove(client)
            if not self.clients:
                self._stop.set()
                self._thread = None
                self._offered = (0, {})

    def _run(self, stop: threading.Event) -> None:
        self._offer()
        spent = self.cost
        due = since = time.monotonic()
        # From when it was due: under load this thread is late each time, and that may not add up.
        while not stop.wait(max(0.0, due + self.pause - time.monotonic())):
            self._offer()
            cost, now = self.cost, time.monotonic()
            due = max(due + self.pause, now - self.pause / 2)
            self.pause = self.pace((cost - spent) / (now - since))
            spent, since = cost, now

    def pace(self, share: float) -> float:
        """The next pause when drawing took this share of a core during the last."""
        wanted = min(SLOWEST, max(self.interval, self.pause * share / self.budget))
        # Half of the way at a time: one dear frame, such as the first, does not make those after it late.
        return (self.pause + wanted) / 2

    def _offer(self) -> None:
        self._offered = (self.ring.cursor, {})
        for client in tuple(self.clients):
            client.offer(self._offered[0])

    def close(self) -> None:
        """End the thread, have everybody draw a last time, and let them go."""
        with self._lock:
            self._stop.set()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(LAST)
        self._offer()
        self.clients.clear()


def changed(frame: Any, id: str) -> bool:
    """Whether a frame is worth drawing for one runtime."""
    return bool(frame.first or id in frame.changed)
