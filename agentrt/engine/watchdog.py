"""The watchdog: reports which runtime blocks the event loop, and in which line."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import weakref
from typing import Any

from ..events import Event
from ..frames import StackFrame, debugger_of, hide_from_debuggers, thread_stack
from ..interruptible import InterruptibleEvent
from .loop_thread import time_of

__all__ = ["Watchdog"]

MAX_YIELD = 0.0005  # seconds that the loop waits at most until the watchdog's thread has had the interpreter
YIELD_AGAIN = 0.002  # seconds until the loop waits for it (again), while it is awake and has not had it
DRAWING_EVERY, DRAWING_PAUSE = 0.002, 0.00002  # seconds between two pauses for those who draw, and of each pause


class Watchdog:
    """Checks, while any runtime is busy, whether the event loop still runs its callbacks; made by the manager.

    A workflow that blocks the loop for longer than `after` seconds (settable; real seconds) is reported once: an event
    of kind "blocked" with the seconds so far, the stack (`StackFrame`s, from the workflow on), the activity and the
    task. Its `runtime` is "" if no runtime blocks: with `loop="current"` others use the loop too. A block that is
    shorter than one and a half times `after` may be missed.

    A thread of its own checks, twice per `after`; while all runtimes are idle it waits and nothing wakes it. On a
    virtual loop it does nothing: the time of that loop is not the real time.

    A loop that debugpy or pdb keeps stopped is not reported; `whereabouts` says that it is stopped there.

    A busy loop releases the interpreter lock (GIL) once a slice, and takes it again before a thread that waits for it
    has woken: such a thread then wakes in vain at each slice, which costs a fifth of the loop's time. So the loop
    compares the time with `due`, and from then on waits a moment for this thread, again and again until it sleeps. The
    threads that draw views suffer more: each message that they send releases the lock too. While any of them draws, the
    loop makes short pauses in which they can wake.

    Args:
        host: The manager.
        after: Real seconds from which on a loop counts as blocked.
    """

    def __init__(self, host: Any, after: float = 0.25) -> None:
        self.after = after
        # Whether `start_watching` has to be called when a runtime becomes busy.
        self.is_waiting = time_of(host.loop) is time.monotonic
        # Its thread may not keep a manager alive that nobody has any more.
        self._host = weakref.ref(host)
        self._loop, self._name = host.loop, host.name
        self._loop_thread = host.thread
        self.due = math.inf  # time.monotonic() from which on the loop has to call `yield_interpreter`: the earlier of
        self._next_check = math.inf  # when this thread wakes,
        self._next_pause = math.inf  # and the next pause for those who draw
        self._work = InterruptibleEvent()
        self._has_woken = InterruptibleEvent()
        self._callback_ran = InterruptibleEvent()
        self._end = InterruptibleEvent()
        self._thread: threading.Thread | None = None

    def start_watching(self) -> None:
        """Watch from now on, as a runtime is busy. The loop's thread only."""
        self.is_waiting = False
        self._next_check = time.monotonic() + YIELD_AGAIN  # before the thread wakes: it sets it when it sleeps
        self._work.set()
        if self._thread is None:
            name = f"{self._name}-watchdog"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            hide_from_debuggers(thread)
            thread.start()
            self._thread = thread  # only now: another thread's `close` joins what it finds here
        self.yield_interpreter()

    def yield_interpreter(self) -> None:
        """Wait until the threads that are due have had the interpreter, `MAX_YIELD` at most. The loop's thread only."""
        now = time.monotonic()
        if self._next_check <= now:
            self._has_woken.clear()
            self._next_check = math.inf if self._end.is_set() else now + YIELD_AGAIN
            self._has_woken.wait(MAX_YIELD)
        host = self._host()
        if host is not None and host.hub.running:
            if host.hub.drawing:
                time.sleep(DRAWING_PAUSE)
            self._next_pause = time.monotonic() + DRAWING_EVERY
        else:
            self._next_pause = math.inf
        self.due = min(self._next_check, self._next_pause)

    def close(self) -> None:
        """End the thread, and wait for it."""
        self.stop_soon()
        if self._thread is not None:
            self._thread.join(1)

    def stop_soon(self) -> None:
        """End the thread."""
        self.is_waiting = False
        for event in (self._end, self._work, self._callback_ran):
            event.set()

    def _run(self) -> None:
        while not self._end.is_set():
            self._work.wait()
            self._work.clear()
            while self._has_work():
                self._check_loop()

    def _has_work(self) -> bool:
        host = self._host()
        if host is None or self._end.is_set():
            return False
        if not host.busy:
            self.is_waiting = True
            # A runtime that became busy before that was set has not called `start_watching`.
            self.is_waiting = not host.busy
        return not self.is_waiting

    def _check_loop(self) -> None:
        """Check whether the loop runs a callback within `after`; if not, report it, and wait until it does."""
        self._callback_ran.clear()
        if self._end.is_set():
            return
        asked = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._callback_ran.set)
        except RuntimeError:  # it is closed
            self._end.set()
            return
        is_debugged = False
        for _ in range(2):
            self._sleep(self.after / 2)
            if self._callback_ran.is_set():
                return
            is_debugged = is_debugged or self._is_debugged()
        if self._loop.is_running() and not is_debugged:
            self._report(asked)
        self._callback_ran.wait()

    def _sleep(self, seconds: float) -> None:
        self._next_check = time.monotonic() + seconds
        self.due = min(self._next_check, self._next_pause)
        self._has_woken.set()
        self._end.wait(seconds)

    def _report(self, asked: float) -> None:
        host = self._host()
        if host is None:
            return
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
        """Where the loop's thread is now, or the one that stands in for it."""
        return thread_stack(self._thread_of_loop())

    def _is_debugged(self) -> bool:
        """Whether a debugger of Python keeps the loop's thread stopped: that is no fault of the workflow's."""
        return bool(debugger_of(self._thread_of_loop()))

    def _thread_of_loop(self) -> int:
        host = self._host()
        return self._loop_thread if host is None else int(host.thread)
