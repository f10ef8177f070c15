"""Where the code of an activity is, read from its coroutine without instrumentation."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from types import FrameType
from typing import Any, NamedTuple

import msgspec

from ..activity import Activity
from ..context import Context
from ..engine.admission import wait_for_room
from ..engine.deadlock import awaits
from ..engine.entry_state import EntryState
from ..engine.isolation import original_function, thread_of
from ..frames import (
    StackFrame,
    debugger_of,
    definition_of,
    location_of,
    stack_of,
    suspended_frames,
    suspended_stack,
    thread_frames,
)
from ..receipt import Promise
from .stop import Stop, StopKind

__all__ = ["WAITS", "How", "Wait", "Whereabouts", "frames_of", "where", "whereabouts"]

Entry = EntryState[Any, Any]


class How(StrEnum):
    """How a runtime is running."""

    IDLE = "idle"  # nothing runs
    AWAITING = "awaiting"  # its workflow is suspended, the loop is free for others
    RUNNING = "running"  # its workflow runs on the loop's thread at this moment
    THREAD = "thread"  # its workflow runs in a worker thread (`blocking=True`)
    PROCESS = "process"  # its workflow runs in another process, which can't be looked into
    STOPPED = "stopped"  # it is stopped inside of its activity


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
    `stop` is where it is stopped inside of its activity.
    """

    runtime: str
    at: float
    how: How
    activity: Activity[Any] | None = None
    frames: tuple[StackFrame, ...] = ()
    waits_for: tuple[str, ...] = ()
    workflow: StackFrame | None = None
    stop: Stop | None = None


class Position(NamedTuple):
    """What runs, how, and its frames as they are."""

    activity: Activity[Any] | None = None
    how: How = How.IDLE
    frames: list[FrameType] = []
    stop: Stop | None = None


def whereabouts(entry: Entry) -> Whereabouts:
    """Return where a runtime is now. Any thread."""
    host = entry.host
    found = _position(entry)
    frames = _stack(entry, found)
    with host.lock:
        waits_for = tuple(other.id for other in awaits(entry)) if found.activity is not None else ()
    begins = definition_of(original_function(entry.workflow.call))
    now = host.clock.now()
    return Whereabouts(entry.id, now, found.how, found.activity, tuple(frames), waits_for, begins, found.stop)


def where(entry: Entry) -> list[StackFrame]:
    """Return the frames of the current activity, outermost first; empty when nothing runs. Any thread.

    For a workflow in a worker thread they are the frames of that thread; for one in another process there are none.
    """
    return _stack(entry, _position(entry))


def frames_of(entry: Entry) -> list[FrameType]:
    """The frames themselves, in the same order."""
    return _position(entry).frames


def _stack(entry: Entry, found: Position) -> list[StackFrame]:
    if found.how is How.AWAITING:
        return suspended_stack(_coroutine(entry), entry.host.awaits) if entry.workflow.is_async else []
    return stack_of(found.frames)


def _coroutine(entry: Entry) -> Any:
    """What the workflow that runs awaits in."""
    run = _stoppable_run(entry)
    return entry.running if run is None or run.coroutine is None else run.coroutine


def _stoppable_run(entry: Entry) -> Any:
    """The run that can be stopped; None if nothing of the kind runs."""
    return None if entry.breakpoints is None else entry.breakpoints.run


def _position(entry: Entry) -> Position:
    activity, task, host, run = entry.current, entry.task, entry.host, _stoppable_run(entry)
    if activity is None or task is None:
        return Position()
    if run is not None and (stop := run.stop) is not None:
        return Position(activity, How.STOPPED, run.frames(), stop)
    if entry.limits.isolation is not None:
        return Position(activity, How.PROCESS)
    if entry.limits.blocking and entry.workflow.is_async:
        thread = thread_of(activity)
        return Position(activity, How.THREAD) if thread is None else _on_thread(activity, How.THREAD, thread)
    if not host.loop.is_closed() and asyncio.current_task(host.loop) is task:
        return _on_thread(activity, How.RUNNING, host.thread)
    frames = [frame for frame, _ in suspended_frames(_coroutine(entry))] if entry.workflow.is_async else []
    return Position(activity, How.AWAITING, frames)


def _on_thread(activity: Activity[Any], how: How, thread: int) -> Position:
    """It runs on a thread, unless a debugger of Python keeps that stopped."""
    debugger, frames = debugger_of(thread), thread_frames(thread)
    if not debugger:
        return Position(activity, how, frames)
    return Position(activity, How.STOPPED, frames, Stop(debugger, StopKind.PYTHON, activity.id))
