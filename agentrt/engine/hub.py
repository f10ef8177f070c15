"""The hub: one thread that sends frames of what is new to whoever is attached, at most ten a second.

It belongs to the core, because `param` watchers need it too; views attach to it as they do. Its thread runs only while
a client is attached, and sends nothing while there are no new records.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..clock import Clock
from ..events import Record, Ring
from ..frames import hide_from_debuggers
from ..interruptible import InterruptibleEvent
from ..logs import is_interrupt, log_safely
from ..schema.numbers import number

__all__ = ["Frame", "Hub"]

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 0.45  # seconds between two frames: whoever watches sees at least two a second
CLOSE_TIMEOUT = 1.0  # seconds that closing waits for a frame that is being drawn

Flush = Callable[["Frame"], object]
Schedule = Callable[[Callable[[], None]], object]


class Frame(msgspec.Struct):
    """What is new since the last frame of a client.

    Clients that have read as far as each other get the same frame; `shared` is for what they compute from it together.

    Args:
        at: When it was made, in seconds on the manager's clock.
        records: The new records, oldest first.
        missed: How many records the ring has discarded before this client read them.
        changed: Ids of the runtimes that the records are about.
        first: Whether it is the first frame of this client.
        cursor: The position in the ring after the last of the records.
    """

    at: float
    records: list[Record]
    missed: int
    changed: set[str]
    first: bool = False
    cursor: int = 0
    shared: Any = None


class _Client:
    """One attached function. A slow one gets fewer frames, each with all records since the one before."""

    def __init__(self, hub: Hub, flush: Flush, schedule: Schedule | None, cursor: int) -> None:
        self.hub = hub
        self.flush = flush
        self.schedule = schedule or _call_directly
        self.cursor = cursor
        self.first = True
        self.pending = self.detached = False

    def offer(self, cursor: int) -> None:
        """Have a frame drawn, unless one is pending or nothing is new."""
        if self.pending or (cursor <= self.cursor and not self.first):
            return
        self.pending = True
        try:
            self.schedule(self.draw)
        except BaseException as error:
            self.hub.remove(self, "its thread has ended")
            if is_interrupt(error):
                raise

    def draw(self) -> None:
        """Read what is new and draw it; on the client's own thread."""
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
        except BaseException as error:  # users write views: none may end the thread that draws the others
            log_safely(logger, "a view failed and was detached")
            self.hub.remove(self, None)
            if is_interrupt(error):
                raise
        finally:
            self.hub.charge(time.thread_time() - started)
            self.hub.frames += 1
            self.pending = False


def _call_directly(call: Callable[[], None]) -> None:
    call()


class _Beat(NamedTuple):
    """When a frame was due, when it was offered, and what drawing had cost by then. All in seconds."""

    due: float
    at: float
    cost: float


class Hub:
    """Sends frames to whoever is attached. `attach`, and the function that it returns, work on any thread.

    Drawing has a budget: once it takes more than `budget` of a processor core, all clients together, frames come
    less often, down to two a second; the runtimes go on as before. These can be read at any time:

    - `cost`: Processor seconds spent on drawing so far.
    - `frames`: How many frames were drawn.
    - `missed`: How many records the ring has discarded before a client read them.
    - `pause`: Seconds between two frames now.

    Args:
        ring: Where the records come from.
        clock: Dates the frames.
        interval: Seconds between two frames while drawing stays within the budget.

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
        self._budget = 0.1
        self.cost = 0.0
        self.missed = self.frames = 0
        self.clients: list[_Client] = []
        self._offered: tuple[int, dict[int, Frame]] = (ring.cursor, {})
        self.lock: Any = threading.Lock()
        self._stop = InterruptibleEvent()
        self._thread: threading.Thread | None = None

    @property
    def budget(self) -> float:
        """The share of a core that drawing may take; 0.1 is a tenth."""
        return self._budget

    @budget.setter
    def budget(self, budget: float) -> None:
        self._budget = number("budget", budget, "a share of a core above 0, such as 0.1", above=True, endless=True)

    @property
    def running(self) -> bool:
        """Whether anybody is attached."""
        return bool(self.clients)

    @property
    def drawing(self) -> bool:
        """Whether a client has a frame that it has not drawn yet."""
        return any(client.pending for client in tuple(self.clients))

    def frame(self, cursor: int) -> Frame:
        """Return what is new since a position in the ring, up to the last offer. The same position, the same frame."""
        until, frames = self._offered
        frame = frames.get(cursor)
        if frame is None:
            records, end, missed = self.ring.since(cursor, until)
            changed = {record.runtime for record in records if record.runtime}
            frame = Frame(self.clock.now(), records, missed, changed, cursor=end)
            frames[cursor] = frame
        return frame

    def charge(self, seconds: float) -> None:
        """Count processor seconds that were spent on drawing. Any thread."""
        with self.lock:
            self.cost += seconds

    def attach(self, flush: Flush, schedule: Schedule | None = None) -> Callable[[], None]:
        """Call `flush(frame)` whenever something is new; the first frame comes at once.

        There are never two calls at once. A function that raises is logged and detached.

        Args:
            flush: Draws a frame.
            schedule: Is called with a function to call later, and must not block. It decides on which thread a frame is
                drawn. The hub's own thread, if left out.

        Returns:
            A function that detaches it. Idempotent.
        """
        client = _Client(self, flush, schedule, max(0, self.ring.cursor - self.ring.limit))
        with self.lock:
            self.clients.append(client)
            if self._thread is None:
                self.pause = self.interval
                self._stop = InterruptibleEvent()
                self._thread = threading.Thread(
                    target=_feed, args=(weakref.ref(self), self._stop), name="agentrt-hub", daemon=True
                )
                hide_from_debuggers(self._thread)
                self._thread.start()
        return lambda: self.remove(client, None)

    def remove(self, client: _Client, why: str | None) -> None:
        """Detach a client, and log why if there is a reason."""
        if why is not None:
            log_safely(logger, "detached a view: %s", why, level=logging.INFO)
        client.detached = True
        with self.lock:
            if client in self.clients:
                self.clients.remove(client)
            if not self.clients:
                self._stop.set()
                self._thread = None
                self._offered = (0, {})

    def _next_frame(self, last: _Beat | None) -> _Beat:
        """Offer a frame, and compute how long the next pause has to be. The hub's thread only."""
        self._offer()
        cost, now = self.cost, time.monotonic()
        if last is None:
            return _Beat(now, now, cost)
        due = max(last.due + self.pause, now - self.pause / 2)
        self.pause = self.next_pause((cost - last.cost) / (now - last.at))
        return _Beat(due, now, cost)

    def next_pause(self, share: float) -> float:
        """Return the next pause in seconds, when drawing took this share of a core during the last one."""
        target = min(LONGEST_PAUSE, max(self.interval, self.pause * share / self.budget))
        # Only half of the difference: one expensive frame, such as the first, does not delay those after it.
        return (self.pause + target) / 2

    def _offer(self) -> None:
        self._offered = (self.ring.cursor, {})
        for client in tuple(self.clients):
            client.offer(self._offered[0])

    def close(self) -> None:
        """End the thread, offer a last frame to every client, and detach them all."""
        with self.lock:
            self._stop.set()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_TIMEOUT)
        self._offer()
        self.clients.clear()


def _feed(reference: weakref.ref[Hub], stop: InterruptibleEvent) -> None:
    """Offer frames until the hub is stopped. It holds no strong reference to the hub: a manager can be collected."""
    beat = None
    while (hub := reference()) is not None:
        beat = hub._next_frame(beat)
        # Counted from when the last frame was due: under load it is late each time, and the delays must not add up.
        due = beat.due + hub.pause
        del hub
        if stop.wait(max(0.0, due - time.monotonic())):
            return
