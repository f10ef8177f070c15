"""Where the code of an activity is, read from its coroutine without instrumentation; and breakpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from .activity import Activity, Lane
from .context import Context
from .engine.admission import wait_for_room
from .engine.commands import ACTOR
from .engine.deadlock import awaits
from .engine.entry_state import EntryState
from .engine.isolation import original_function, thread_of
from .errors import ConfigurationError
from .frames import StackFrame, definition_of, location_of, suspended_stack, thread_stack
from .receipt import Promise

__all__ = ["WAITS", "Breakpoint", "Breakpoints", "How", "Wait", "Whereabouts", "breakpoints", "where", "whereabouts"]

Entry = EntryState[Any, Any]
# A lane's name, "error", or a function that is given the activity.
Breakpoint = str | Callable[[Activity[Any]], object]


class How(StrEnum):
    """How a runtime is running."""

    IDLE = "idle"  # nothing runs
    AWAITING = "awaiting"  # its workflow is suspended, the loop is free for others
    RUNNING = "running"  # its workflow runs on the loop's thread at this moment
    THREAD = "thread"  # its workflow runs in a worker thread (`blocking=True`)
    PROCESS = "process"  # its workflow runs in another process, which can't be looked into


class Wait(StrEnum):
    """What a function of this package waits for."""

    CLOCK = "clock"  # that time passes on the manager's clock
    REPLY = "reply"  # that another runtime answers
    ROOM = "room"  # that there is room in another runtime's mailbox
    OUTCOME = "outcome"  # that an activity ends


# By the package and the function of a stack frame. Of the functions themselves: a new name can't break it silently.
WAITS = {
    location_of(Context.sleep): Wait.CLOCK,
    location_of(Context.ask): Wait.REPLY,
    location_of(Context.send): Wait.ROOM,
    location_of(wait_for_room): Wait.ROOM,
    location_of(Promise.wait): Wait.OUTCOME,
}


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a runtime is at one time. `waits_for`: the runtimes it can't go on without (a reply, or room to send).

    `workflow` is where its workflow begins, running or not; None if that is no Python function of this process.
    """

    runtime: str
    at: float
    how: How
    activity: Activity[Any] | None = None
    frames: tuple[StackFrame, ...] = ()
    waits_for: tuple[str, ...] = ()
    workflow: StackFrame | None = None


def whereabouts(entry: Entry) -> Whereabouts:
    """Return where a runtime is now. Any thread."""
    host = entry.host
    activity, how, frames = _position(entry)
    with host.lock:
        waits_for = tuple(other.id for other in awaits(entry)) if activity is not None else ()
    begins = definition_of(original_function(entry.workflow.call))
    return Whereabouts(entry.id, host.clock.now(), how, activity, tuple(frames), waits_for, begins)


def where(entry: Entry) -> list[StackFrame]:
    """Return the frames of the current activity, outermost first; empty when nothing runs. Any thread.

    For a workflow in a worker thread they are the frames of that thread; for one in another process there are none.
    """
    return _position(entry)[2]


def _position(entry: Entry) -> tuple[Activity[Any] | None, How, list[StackFrame]]:
    activity, task, workflow, host = entry.current, entry.task, entry.running, entry.host
    if activity is None or task is None:
        return None, How.IDLE, []
    if entry.limits.isolation is not None:
        return activity, How.PROCESS, []
    if entry.limits.blocking and entry.workflow.is_async:
        thread = thread_of(activity)
        return activity, How.THREAD, [] if thread is None else thread_stack(thread)
    if not host.loop.is_closed() and asyncio.current_task(host.loop) is task:
        return activity, How.RUNNING, thread_stack(host.thread)
    return activity, How.AWAITING, suspended_stack(workflow, host.awaits) if entry.workflow.is_async else []


def breakpoints(entry: Entry) -> Breakpoints:
    """Return the breakpoints of a runtime, made on first use."""
    with entry.host.lock:
        if entry.breakpoints is None:
            entry.set_breakpoints(Breakpoints(entry))
        found: Breakpoints = entry.breakpoints
        return found


class Breakpoints:
    """Before which activities a runtime pauses. Its status is then PAUSED, as after `pause()`; `step()` or `resume()`.

    A breakpoint is "priority" or "standard" (a lane), "error" (the last activity failed), or a function of the activity
    that says whether to pause; it runs on the agents' loop, and one that raises is removed. Each activity pauses the
    runtime once. Without breakpoints there is no cost. Safe from any thread.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    ...     runtime.breakpoints.add(lambda activity: activity.payload > 10)
    ...     receipts = [runtime.send_nowait(n) for n in (1, 100)]
    ...     receipts[0].result(5).state
    ...     _ = runtime.step()
    ...     receipts[1].result(5).state
    1
    101
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._points: tuple[Breakpoint, ...] = ()
        self._stopped_at: int | None = None

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self._points)

    def __repr__(self) -> str:
        return f"<Breakpoints of {self._entry.id!r}: {', '.join(self.names) or 'none'}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each, in order: the word, or the name of the function."""
        return tuple(map(_breakpoint_name, self._points))

    def add(self, at: Breakpoint) -> None:
        """Pause there from now on.

        Args:
            at: "priority", "standard", "error", or a function of the activity.

        Raises:
            ConfigurationError: It is none of these.
        """
        words = [*Lane, "error"]
        if not callable(at) and at not in words:
            raise ConfigurationError(
                f"breakpoint is {at!r}; give {', '.join(words)}, or a function of the activity", runtime=self._entry.id
            )
        with self._entry.host.lock:
            if at not in self._points:
                self._change((*self._points, at), "breakpoint_added", {"at": _breakpoint_name(at)})

    def remove(self, at: Breakpoint) -> None:
        """Remove a breakpoint; nothing happens if it is not there."""
        with self._entry.host.lock:
            if at in self._points:
                left = tuple(point for point in self._points if point != at)
                self._change(left, "breakpoint_removed", {"at": _breakpoint_name(at)})

    def clear(self) -> None:
        """Remove all breakpoints."""
        for point in self:
            self.remove(point)

    def _change(self, points: tuple[Breakpoint, ...], kind: str, detail: Any) -> None:
        entry = self._entry
        self._points = points
        entry.set_breakpoints(self)
        entry.record_event(kind, detail, ACTOR.get())
        entry.host.notify()

    def let_pass(self) -> bool:
        """Return whether the next activity may be taken; if not, pause the runtime. The loop's thread only."""
        entry = self._entry
        with entry.host.lock:
            activity = entry.mailbox.peek()
            if activity is None or activity.id == self._stopped_at:
                return True
            point = next((point for point in self._points if self._matches(point, activity)), None)
            if point is None:
                return True
            self._stopped_at = activity.id
            entry.pause()
            entry.record_event("breakpoint", {"at": _breakpoint_name(point), "activity": activity.id})
        entry.host.notify()
        return False

    def _matches(self, point: Breakpoint, activity: Activity[Any]) -> bool:
        if not callable(point):
            return self._entry.in_error if point == "error" else activity.lane == point
        try:
            return bool(point(activity))
        except BaseException as error:  # a user's function may not stop the runtime for good
            left = tuple(other for other in self._points if other is not point)
            self._change(left, "breakpoint_removed", {"at": _breakpoint_name(point), "error": repr(error)})
            return False


def _breakpoint_name(point: Breakpoint) -> str:
    return str(point) if isinstance(point, str) else getattr(point, "__qualname__", type(point).__qualname__)
