"""One activity in a workflow that can be stopped: at its steps, where it raises, and before its new state is committed.

While a runtime has breakpoints inside of its workflow, `StoppableCall` is called in place of the workflow.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Awaitable, Iterator
from types import FrameType
from typing import Any, Protocol

import msgspec

from ..activity import Activity
from ..engine.entry_state import EntryState
from ..engine.isolation import thread_of, user_function
from ..engine.workflow import Workflow
from ..errors import describe_error
from ..frames import is_core, suspended_frames, thread_frames
from ..schema.convert import to_json
from ..schema.preview import preview
from .recode import source_of
from .stop import GO_ON, Retry, Stop, StopGate, StopKind
from .task_turns import TaskTurns
from .turn_thread import TurnThread

__all__ = ["Run", "StoppableCall"]

Entry = EntryState[Any, Any]
LONGEST_TEXT = 20_000  # characters of a payload or a state that is to be edited
# What fails an activity; a cancellation is no error of the workflow.
ERRORS = (Exception, KeyboardInterrupt, SystemExit)


class StopRules(Protocol):
    """The breakpoints of a runtime, as a run asks them."""

    run: Run | None

    @property
    def entry(self) -> Entry:
        """The runtime's entry."""

    def end_run(self, run: Run) -> None:
        """An activity is over."""

    def stop_at_error(self, run: Run, error: BaseException) -> str | None:
        """At which breakpoint a workflow that has raised stops, if at any."""

    def stop_at_end(self, run: Run, new: Any) -> str | None:
        """At which breakpoint a workflow that has returned stops, if at any."""


class StoppableCall:
    """Called as the workflow that it stands for."""

    def __init__(self, stops: StopRules, workflow: Workflow) -> None:
        self.stops = stops
        self.workflow = workflow
        self.plain = workflow.call  # read by `original_function`

    def __call__(self, activity: Activity[Any], state: Any, *context: Any) -> Awaitable[Any]:
        """Return what runs the workflow."""
        return Run(self.stops, self.workflow, activity, state, *context).result()


class Run:
    """One activity, from its beginning to what it came to; again from the beginning after `Retry`."""

    def __init__(
        self, stops: StopRules, workflow: Workflow, activity: Activity[Any], state: Any, context: Any = None
    ) -> None:
        self.stops = stops
        self.entry = stops.entry
        self.workflow = workflow
        self.activity = activity
        self.state = state
        self.context = context
        self.stop: Stop | None = None
        self.gate: StopGate | None = None
        self.coroutine: Any = None
        self.error: BaseException | None = None
        self.new: Any = None
        self._turns: TurnThread | None = None
        self._tasks: dict[int, TaskTurns] = {}  # of the tasks that it has started, by their thread
        self._queue: list[StopGate] = []  # of those that are to stop while another one is stopped
        self._stopped_thread = 0
        self._left = math.inf  # seconds until the deadline, when it was stopped
        self._retries = False

    async def result(self) -> Any:
        """Run it; returns the new state, or raises what the workflow raises."""
        self.stops.run = self
        try:
            while True:
                try:
                    new = await self._call()
                except BaseException as error:
                    if not self._retries and isinstance(error, ERRORS):
                        await self._stop_at_error(error)
                    if not self._retries:
                        raise
                else:
                    await self._stop_at_end(new)
                    if not self._retries:
                        return new
                self._begin_again()
        finally:
            self.stops.end_run(self)
            self.error = None

    async def _call(self) -> Any:
        workflow, limits = self.workflow, self.entry.limits
        arguments = (self.activity, self.state, *([self.context] if workflow.takes_context else []))
        if limits.blocking or limits.isolation is not None:
            return await workflow.call(*arguments)
        thread = self._turns = TurnThread(self.entry.host, f"agentrt {self.entry.id}, with breakpoints")
        try:
            made = await thread.call(workflow.call, *arguments)
            if not workflow.is_async:
                return made
            self.coroutine = made if inspect.iscoroutine(made) else _await_result(made)
            return await thread.drive(self.coroutine)
        finally:
            self._turns = self.coroutine = None
            thread.end()

    def _begin_again(self) -> None:
        entry, self._retries = self.entry, False
        for each in tuple(self._tasks.values()):
            if each.task is not None:
                each.task.cancel()
        self.activity = entry.current or self.activity
        self.state = entry.state
        self.workflow = self._newest_workflow()
        if self.context is not None:
            self.context._begin_again(self.activity)
        entry.store_retry(self.activity, entry.host.clock.now())
        entry.show_steps(self.activity.id, ())
        limit = self.activity.timeout or entry.timeout
        entry.set_deadline(math.inf if limit is None else entry.host.deadlines.arm(entry.host.clock.now() + limit))

    def _newest_workflow(self) -> Workflow:
        """The workflow as it is now, if it can be called in place of the one that the activity began with."""
        now: Workflow = self.entry.workflow
        plain = now.call.workflow if isinstance(now.call, StoppableCall) else now
        return plain if plain.takes_context == self.workflow.takes_context else self.workflow

    # ---- to stop

    @property
    def can_stop_here(self) -> bool:
        """Whether the code that asks is the workflow's own, and not that of a task beside it."""
        here = threading.get_ident()
        if self._turns is not None:
            return here == self._turns.ident or here in self._tasks
        return self.entry.limits.blocking and here == thread_of(self.activity)

    def stop_here(self, stop: Stop) -> None:
        """Stop on this thread until it is released; raises what it is released with."""
        while self.stop is not None:  # a task beside this one is stopped
            self._queue.append(StopGate(self.entry.host))
            self._park(self._queue[-1])
        gate = self._begin_stop(stop)
        try:
            self._park(gate)
        finally:
            self._end_stop(gate)

    def _park(self, gate: StopGate) -> None:
        here = threading.get_ident()
        task = self._tasks.get(here)
        thread = self._turns if task is None else task.thread
        action = thread.park(gate) if thread is not None else gate.wait_in_thread(self._is_over)
        if isinstance(action, BaseException):
            raise action

    def carry(self, coroutine: Any) -> Any:
        """What a task of this activity runs in place of a coroutine."""
        if self._turns is None:
            return coroutine
        return TaskTurns(coroutine, self._begin_task, self._end_task)

    def _begin_task(self, turns: TaskTurns) -> TurnThread:
        thread = TurnThread(self.entry.host, f"agentrt {self.entry.id}, a task with breakpoints")
        self._tasks[thread.ident] = turns
        return thread

    def _end_task(self, turns: TaskTurns) -> None:
        if turns.thread is not None:
            self._tasks.pop(turns.thread.ident, None)

    def _is_over(self) -> bool:
        return self.entry.closed or self.entry.host.closed or self.activity.receipt.value is not None

    async def _stop_at_error(self, error: BaseException) -> None:
        at = self.stops.stop_at_error(self, error)
        if at is not None:
            self.error = error
            words = describe_error(error)
            await self._wait_at(Stop(at, StopKind.ERROR, self.activity.id, self._steps, words))
            self.error = None

    async def _stop_at_end(self, new: Any) -> None:
        at = self.stops.stop_at_end(self, new)
        if at is not None:
            self.new = new
            await self._wait_at(Stop(at, StopKind.DONE, self.activity.id, new=preview(new, 400)))
            self.new = None

    async def _wait_at(self, stop: Stop) -> None:
        gate = self._begin_stop(stop)
        try:
            await gate.wait()
        finally:
            self._end_stop(gate)

    @property
    def _steps(self) -> tuple[str, ...]:
        of, steps = self.entry.spans
        return steps if of == self.activity.id else ()

    def _begin_stop(self, stop: Stop) -> StopGate:
        """Nothing more is taken, and no deadline passes while it is stopped."""
        entry, host = self.entry, self.entry.host
        payload, state = _json_of(self.activity.payload), _json_of(entry.state)
        code = source_of(user_function(self.workflow.call))
        stop = msgspec.structs.replace(stop, payload=payload, state=state, code=code)
        with host.lock:
            self._left = entry.deadline - host.clock.now()
            entry.set_deadline(math.inf)
            gate = self.gate = StopGate(host)
            self.stop, self._stopped_thread = stop, threading.get_ident()
            entry.pause()
            detail = {"at": stop.at, "activity": stop.activity, "where": stop.kind.value, "steps": list(stop.steps)}
            entry.record_event("breakpoint", detail | ({"error": stop.error} if stop.error else {}))
        host.notify()
        return gate

    def _end_stop(self, gate: StopGate) -> None:
        host = self.entry.host
        with host.lock:
            if self.gate is gate:  # else another one has stopped since it was released
                self.stop = self.gate = None
            queue, self._queue = self._queue, []
        for each in queue:
            each.open(GO_ON)
        left = self._left
        if left < math.inf and not self._retries:
            host.post(lambda: self.entry.set_deadline(host.deadlines.arm(host.clock.now() + left)))

    def release(self, retry: bool = False) -> bool:
        """Let it go on, or run it again; whether it was stopped. Any thread, the lock is held."""
        gate = self.gate
        if self.stop is None or gate is None:
            return False
        self.stop, self._retries = None, retry
        gate.open(Retry() if retry else GO_ON)
        return True

    # ---- to look at

    @property
    def thread(self) -> int | None:
        """The thread that runs the workflow now, or on which it is stopped; None while it awaits something."""
        stop, thread = self.stop, self._turns
        if stop is not None and stop.kind in (StopKind.ERROR, StopKind.DONE):
            return None
        if thread is not None:
            return self._stopped_thread if stop is not None else thread.ident if thread.is_running else None
        return thread_of(self.activity)

    def frames(self) -> list[FrameType]:
        """The frames of the workflow, outermost first."""
        error = self.error
        if error is not None:
            return [frame for frame in _traceback_frames(error) if not is_core(frame)]
        if self.stop is not None and self.stop.kind is StopKind.DONE:
            return []
        thread = self.thread
        if thread is None:
            return [frame for frame, _ in suspended_frames(self.coroutine)]
        found = thread_frames(thread)
        while self.stop is not None and found and (is_core(found[-1]) or _is_context_manager(found[-1])):
            found.pop()
        return found


def _json_of(value: Any) -> str:
    """A value as a text that a person can edit; empty if it is long, or JSON can't hold it."""
    try:
        text = to_json(value)
    except Exception:  # its class may be user code
        return ""
    lost = text == "null" and value is not None
    return "" if lost or len(text) > LONGEST_TEXT else text


async def _await_result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _traceback_frames(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_context_manager(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == "contextlib"
