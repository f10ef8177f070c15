"""The watchdog: says which runtime keeps the loop from turning, and where."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import Any

from ..events import Event
from ..frames import StackFrame, thread_stack
from .loop_thread import time_of

__all__ = ["Watchdog"]

LET_IN = 0.0005  # seconds that the loop waits for it at most
BREATHS, BREATH = 0.002, 0.00002  # while somebody draws: seconds from one to the next, and of each


class Watchdog:
    """Looks, while something is busy, whether the loop still turns; made by the manager.

    A workflow that blocks the loop for longer than `after` seconds (settable; real seconds) is told of once: an event
    of kind "blocked" with the seconds so far, the stack (`StackFrame`s, from the workflow on), the activity and the
    task. Its `runtime` is "" if it is no runtime that blocks: with `loop="current"` the loop is not only ours. Up to
    one and a half times `after` may go unseen.

    A thread of its own asks, twice per `after`; while all runtimes are idle it sleeps and nothing wakes. On a virtual
    loop there is none: its time is not the one that is lost.

    A busy loop lets go of the interpreter once a slice and takes it back before anybody who waits for it has woken: a
    thread that wants a word then wakes in vain at every slice, and takes a fifth of what the loop does. So the loop
    is told when that thread is `due`, and lets it in. Those who draw for somebody that watches have the same trouble,
    worse: each message they send lets go of the interpreter too. While there are any, the loop takes a breath now and
    then that is long enough for them to wake.
    """

    def __init__(self, host: Any, after: float = 0.25) -> None:
        self.after = after
        # Whether `rouse` has to be called when something becomes busy.
        self.dozing = time_of(host.loop) is time.monotonic
        self._host = host
        self.due = math.inf  # time.monotonic() from which on somebody is to be let in:
        self._asleep_until = math.inf  # this thread,
        self._breath = math.inf  # or those who draw
        self._work = threading.Event()
        self._inside = threading.Event()
        self._beat = threading.Event()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def rouse(self) -> None:
        """Something is busy. The loop's thread only."""
        self.dozing = False
        self._work.set()
        if self._thread is None:
            name = f"{self._host.name}-watchdog"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            thread.start()
            self._thread = thread  # only now: another thread's `close` joins what it finds here
        self.let_in()

    def let_in(self) -> None:
        """Wait until those who are due have had the interpreter, but not for long. The loop's thread only."""
        now = time.monotonic()
        if self._asleep_until <= now:
            self._inside.clear()
            self._asleep_until = math.inf
            self._inside.wait(LET_IN)
        if self._host.hub.running:
            if self._host.hub.drawing:
                time.sleep(BREATH)
            self._breath = time.monotonic() + BREATHS
        else:
            self._breath = math.inf
        self.due = min(self._asleep_until, self._breath)

    def close(self) -> None:
        """End the thread."""
        self.dozing = False
        for event in (self._end, self._work, self._beat):
            event.set()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._end.is_set():
            self._work.wait()
            self._work.clear()
            while self._has_work():
                self._look()

    def _has_work(self) -> bool:
        if self._end.is_set():
            return False
        if not self._host.busy:
            self.dozing = True
            # Who became busy before that was set has not roused us.
            self.dozing = not self._host.busy
        return not self.dozing

    def _look(self) -> None:
        """See whether the loop takes a turn within `after`; if not, tell, and wait until it does."""
        self._beat.clear()
        if self._end.is_set():
            return
        asked = time.monotonic()
        try:
            self._host.loop.call_soon_threadsafe(self._beat.set)
        except RuntimeError:  # it is closed
            self._end.set()
            return
        for _ in range(2):
            self._nap(self.after / 2)
            if self._beat.is_set():
                return
        if self._host.loop.is_running():
            self._tell(asked)
        self._beat.wait()

    def _nap(self, seconds: float) -> None:
        self._asleep_until = time.monotonic() + seconds
        self.due = min(self._asleep_until, self._breath)
        self._inside.set()
        self._end.wait(seconds)

    def _tell(self, asked: float) -> None:
        host = self._host
        task = asyncio.current_task(host.loop)
        entry = next((entry for entry in tuple(host.busy) if entry.task is task), None) if task else None
        activity = None if entry is None else entry.current
        detail = {
            "seconds": time.monotonic() - asked,
            "stack": self.stack(),
            "activity": None if activity is None else activity.id,
            "task": None if task is None else task.get_name(),
        }
        id = "" if entry is None else entry.id
        host.ring.append(Event(host.number(), id, host.clock.now(), "blocked", None, detail))
        host.notify()

    def stack(self) -> list[StackFrame]:
        """Where the loop's thread is now."""
        return thread_stack(self._host.thread)
