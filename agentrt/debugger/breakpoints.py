"""The breakpoints of a runtime, and the commands that let a stopped activity go on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ..activity import Activity, replace_payload
from ..engine.admission import check_payload
from ..engine.commands import ACTOR, step
from ..engine.entry_state import EntryState
from ..engine.workflow import Workflow
from ..errors import AgentError, ConfigurationError
from ..frames import is_users_file
from .breakpoint import Breakpoint, Condition, make_breakpoint
from .evaluate import compile_expression, evaluate_expression
from .place import frames_of
from .run import Run, StoppableCall
from .stop import Stop, StopKind

__all__ = ["Breakpoints", "breakpoints"]

Entry = EntryState[Any, Any]
UNSET = msgspec.UNSET


class Stepping(StrEnum):
    """Where a stopped activity stops next."""

    OVER = "step over"  # at the next step that is not inside of this one
    INTO = "step into"  # at the next step
    OUT = "step out"  # at the end of the step around this one


def breakpoints(entry: Entry) -> Breakpoints:
    """Return the breakpoints of a runtime, made on first use."""
    with entry.host.lock:
        if entry.breakpoints is None:
            entry.set_breakpoints(Breakpoints(entry))
        found: Breakpoints = entry.breakpoints
        return found


class Breakpoints:
    """Where a runtime stops, before an activity and inside of one. Safe from any thread; without any there is no cost.

    Its status is then PAUSED, as after `pause()`: `resume()` goes on, `step()` goes on to the end of this activity.
    Stopped inside of one, `stop` says where; `step_over()`, `step_into()` and `step_out()` go on to another
    `ctx.step`, `evaluate(...)` works out an expression there, `retry()` runs the activity again.

    A function that is given here runs on the agents' loop, and one that raises is removed.

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
        self.entry = entry
        self.run: Run | None = None  # the activity that runs and can be stopped
        self._points: tuple[Breakpoint, ...] = ()
        self._hits: Counter[int] = Counter()  # by the identity of the breakpoint: its functions may have no hash
        self._stopped_at: int | None = None
        self._stepping: tuple[Stepping, int] | None = None  # how, and from how many steps deep

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Any]:
        """Of each what `remove` takes: what was given as `at`, or a `Breakpoint`."""
        return iter([point.at if point == Breakpoint(point.at) else point for point in self._points])

    def __repr__(self) -> str:
        return f"<Breakpoints of {self.entry.id!r}: {', '.join(self.names) or 'none'}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each, in order."""
        return tuple(point.name for point in self._points)

    @property
    def stop(self) -> Stop | None:
        """Where the current activity is stopped; None if it is not."""
        run = self.run
        return None if run is None else run.stop

    def add(
        self,
        at: str | Callable[[Activity[Any]], object] | None = None,
        *,
        step: str | None = None,
        after: Callable[[Any, Any], object] | None = None,
        error: bool = False,
        hits: int = 1,
        when: Condition | None = None,
    ) -> None:
        """Stop there from now on. Give one of the first four; those after `at` stop inside of an activity.

        An activity that runs already is not stopped inside.

        Args:
            at: Before an activity: "priority", "standard" (its lane), "error" (the last one failed), or a function of
                the activity that says whether to pause.
            step: Where a `ctx.step` of this name begins; "*" for any.
            after: Where the workflow has returned, if this function of the old and the new state says so.
            error: Where the workflow has raised, before the activity fails.
            hits: From which time on it stops.
            when: It stops only if this holds: a function of the activity, or an expression in the variables of the
                place (before an activity: `activity`; after the workflow: `old`, `new`; after an error: `error`).

        Raises:
            ConfigurationError: It is no breakpoint, or the workflow runs in another process, where nothing can stop.
        """
        entry = self.entry
        point = make_breakpoint(entry.id, at, step, after, error, hits, when)
        if step is not None and entry.limits.isolation is not None:
            raise ConfigurationError(
                "the workflow runs in another process, where it has no steps; give error=True or after=",
                runtime=entry.id,
            )
        with entry.host.lock:
            if point not in self._points:
                self._change((*self._points, point), "breakpoint_added", {"at": point.name})

    def remove(
        self,
        at: Breakpoint | str | Callable[[Activity[Any]], object] | None = None,
        *,
        step: str | None = None,
        after: Callable[[Any, Any], object] | None = None,
        error: bool = False,
    ) -> None:
        """Remove the breakpoints at a place; nothing happens if there is none. Give what was given to `add`."""
        gone = at if isinstance(at, Breakpoint) else Breakpoint(at, step, after, error)
        with self.entry.host.lock:
            for point in self._points:
                if point == gone if isinstance(at, Breakpoint) else point.is_at(gone):
                    self._remove(point)

    def clear(self) -> None:
        """Remove all breakpoints."""
        for point in self:
            self.remove(point)

    def _remove(self, point: Breakpoint, **detail: Any) -> None:
        left = tuple(other for other in self._points if other is not point)
        self._hits.pop(id(point), None)
        self._change(left, "breakpoint_removed", {"at": point.name, **detail})

    def _change(self, points: tuple[Breakpoint, ...], kind: str, detail: Any) -> None:
        self._points = points
        self.entry.set_breakpoints(self)
        self._record(kind, detail)
        self.entry.host.note_breakpoints(self.entry)

    def count_hits(self) -> list[tuple[Breakpoint, int]]:
        """Each with how often its place was reached. The lock is held."""
        return [(point, self._hits[id(point)]) for point in self._points]

    @property
    def is_stopped_before(self) -> bool:
        """Whether it is stopped before the activity that is next. The lock is held."""
        activity = self.entry.mailbox.peek()
        return activity is not None and activity.id == self._stopped_at

    def restore(self, points: list[tuple[Breakpoint, int]], is_stopped: bool) -> None:
        """Have these, each with its hits, as they were in another process. For the modules of this package."""
        with self.entry.host.lock:
            activity = self.entry.mailbox.peek() if is_stopped else None
            self._stopped_at = None if activity is None else activity.id
            self._points = tuple(point for point, _ in points)
            self._hits = Counter({id(point): hits for point, hits in points})
            self.entry.set_breakpoints(self)
        self.entry.host.note_breakpoints(self.entry)

    def _record(self, kind: str, detail: Any = None) -> None:
        self.entry.record_event(kind, detail, ACTOR.get())
        self.entry.host.notify()

    def form_of(self, workflow: Workflow) -> Workflow:
        """The workflow as it is to be called: so that it can be stopped, if anything may stop inside of it."""
        plain = workflow.call.workflow if isinstance(workflow.call, StoppableCall) else workflow
        if not (self._stepping or any(point.is_inside for point in self._points)):
            return msgspec.structs.replace(workflow, call=plain.call, is_async=plain.is_async)
        if plain is not workflow:
            return workflow
        return msgspec.structs.replace(plain, call=StoppableCall(self, plain), is_async=True)

    # ---- before an activity

    def let_pass(self) -> bool:
        """Return whether the next activity may be taken; if not, pause the runtime. The loop's thread only."""
        entry = self.entry
        with entry.host.lock:
            activity = entry.mailbox.peek()
            if activity is None or activity.id == self._stopped_at:
                return True
            point = next((each for each in self._points if not each.is_inside and self._is_at(each, activity)), None)
            if point is None:
                return True
            self._stopped_at = activity.id
            entry.pause()
            entry.record_event("breakpoint", {"at": point.name, "activity": activity.id})
        entry.host.notify()
        return False

    def _is_at(self, point: Breakpoint, activity: Activity[Any]) -> bool:
        at = point.at
        if not callable(at):
            here = self.entry.in_error if at == "error" else activity.lane == at
            return here and self._counts(point, activity, {"activity": activity})
        return self._ask(point, at, activity) and self._counts(point, activity, {"activity": activity})

    def _counts(self, point: Breakpoint, activity: Activity[Any], variables: Mapping[str, Any]) -> bool:
        """Whether a breakpoint whose place is reached stops there: its condition holds, and so often already."""
        when = point.when
        if isinstance(when, str):
            code = compile_expression(when)
            if not self._ask(point, lambda: eval(code, {**variables})):
                return False
        elif when is not None and not self._ask(point, when, activity):
            return False
        self._hits[id(point)] += 1
        return self._hits[id(point)] >= point.hits

    def _ask(self, point: Breakpoint, function: Callable[..., object], *arguments: Any) -> bool:
        try:
            return bool(function(*arguments))
        except BaseException as error:  # a user's function may not stop the runtime for good
            with self.entry.host.lock:
                self._remove(point, error=repr(error))
            return False

    # ---- inside of an activity: on the thread that runs the workflow

    def pass_step(self, activity: int, steps: tuple[str, ...], ends: bool = False) -> None:
        """Called where a `ctx.step` begins or ends: returns once the activity may go on from there."""
        run = self.run
        if run is None or run.activity.id != activity or not run.can_stop_here or self.entry.draining:
            return
        at = self._reason_to_stop(run, steps, ends)
        if at is not None:
            self._stepping = None
            run.stop_here(Stop(at, StopKind.STEP_END if ends else StopKind.STEP, activity, steps))

    def _reason_to_stop(self, run: Run, steps: tuple[str, ...], ends: bool) -> str | None:
        if self._stepping is not None:
            how, depth = self._stepping
            at_end = ends and len(steps) < depth
            if at_end or (not ends and how is not Stepping.OUT and (how is Stepping.INTO or len(steps) <= depth)):
                return how.value
        if ends:
            return None
        found = (point for point in self._points if point.step in ("*", steps[-1]))
        return next((each.name for each in found if self._counts(each, run.activity, _variables_of(run))), None)

    def carry(self, activity: int, coroutine: Any) -> Any:
        """What a task of this activity runs: its coroutine, so that it can be stopped at its steps too."""
        run = self.run
        if run is None or run.activity.id != activity or not asyncio.iscoroutine(coroutine):
            return coroutine
        return run.carry(coroutine)

    def stop_at_error(self, run: Run, error: BaseException) -> str | None:
        """At which breakpoint a workflow that has raised stops, if at any."""
        variables = {"activity": run.activity, "error": error}
        return self._stop_at(run, variables, lambda point: point.error)

    def stop_at_end(self, run: Run, new: Any) -> str | None:
        """At which breakpoint a workflow that has returned stops, if at any."""
        old = run.state
        variables = {"activity": run.activity, "old": old, "new": new}

        def matches(point: Breakpoint) -> bool:
            return point.after is not None and self._ask(point, point.after, old, new)

        return self._stop_at(run, variables, matches)

    def _stop_at(self, run: Run, variables: Mapping[str, Any], matches: Callable[[Breakpoint], bool]) -> str | None:
        if self.entry.draining:
            return None
        if self._stepping is not None:
            how, self._stepping = self._stepping[0], None
            self._use_form()
            return how.value
        found = (point for point in self._points if matches(point))
        return next((each.name for each in found if self._counts(each, run.activity, variables)), None)

    # ---- to go on

    def go_on(self) -> bool:
        """Let a stopped activity go on; whether there was one. The lock is held."""
        run = self.run
        return run is not None and run.release()

    def step_over(self) -> None:
        """Go on to the next `ctx.step` that is not inside of this one, or to the end of what is around it."""
        self._step(Stepping.OVER)

    def step_into(self) -> None:
        """Go on to the next `ctx.step`; between two activities: to the first one of the next activity."""
        self._step(Stepping.INTO)

    def step_out(self) -> None:
        """Go on to the end of the step around this one, or to that of the activity."""
        self._step(Stepping.OUT)

    def _step(self, how: Stepping) -> None:
        entry = self.entry
        with entry.host.lock:
            stop, run = self.stop, self.run
            if stop is None and entry.current is not None:
                raise AgentError(f"{entry.id!r} is not stopped inside of an activity", runtime=entry.id)
            self._stepping = (how, len(stop.steps)) if stop is not None else (Stepping.INTO, 0)
            if stop is not None and stop.kind in (StopKind.ERROR, StopKind.DONE):
                self._stepping = None
            self._use_form()
            self._record(how.value.replace(" ", "_"))
            if run is not None and run.release():
                return
        if not step(entry):
            self._stepping = None

    def end_run(self, run: Run) -> None:
        """An activity is over."""
        if self.run is run:
            self.run = None
            with self.entry.host.lock:
                self._use_form()

    def _use_form(self) -> None:
        self.entry.use_form(self.form_of(self.entry.workflow))

    def retry(self, payload: Any = UNSET) -> None:
        """Run the stopped activity again from its beginning, with the state and the workflow that the runtime has now.

        What it has sent meanwhile stays sent; in a durable runtime it is sent with the commit, and forgotten here.

        Args:
            payload: Another payload for it.

        Raises:
            AgentError: No activity is stopped.
            ActivityValidationError: The workflow does not take this payload.
        """
        entry = self.entry
        if payload is not UNSET:
            payload = check_payload(entry, payload)
        with entry.host.lock:
            run, activity = self.run, entry.current
            if run is None or run.stop is None or activity is None:
                raise AgentError(f"no activity of {entry.id!r} is stopped", runtime=entry.id)
            if payload is not UNSET:
                edited = replace_payload(activity, payload)
                entry.keep_running(edited)
                entry.store_again(edited)
                self._record("edited", {"activity": activity.id, "from": activity.payload, "to": payload})
            self._record("retried", {"activity": activity.id})
            run.release(retry=True)

    # ---- to look

    def evaluate(self, expression: str, frame: int | None = None, show: Callable[[Any], Any] = lambda v: v) -> Any:
        """Work out an expression where the current activity is: stopped, or waiting for something.

        It is recorded with who asked. It runs on a thread of its own; what it calls may change things.

        Args:
            expression: A Python expression, in the variables of the frame and of its module.
            frame: The index of a frame of `runtime.where()`; the innermost of the user's code without one.
            show: Makes what is returned of the value, on the same thread.

        Returns:
            Its value.

        Raises:
            ConfigurationError: It is no expression.
            AgentError: Nothing runs, it raised something, or it took longer than 2 seconds.
        """
        entry = self.entry
        activity = entry.current
        compile_expression(expression)
        self._record("evaluated", {"activity": activity and activity.id, "expression": expression[:200]})
        return evaluate_expression(expression, self._variables_at(frame), show)

    def _variables_at(self, place: int | None) -> dict[str, Any]:
        entry, run = self.entry, self.run
        if run is not None and run.stop is not None and run.stop.kind is StopKind.DONE:
            return {"activity": run.activity, "old": run.state, "new": run.new}
        frames = frames_of(entry)
        if not frames:
            raise AgentError(
                f"no activity of {entry.id!r} is at a place to work anything out in: stop it with a breakpoint",
                runtime=entry.id,
            )
        if place is None:
            place = max(
                (i for i, each in enumerate(frames) if is_users_file(each.f_code.co_filename)), default=len(frames) - 1
            )
        if not 0 <= place < len(frames):
            raise AgentError(f"{entry.id!r} has no frame {place}, only 0 to {len(frames) - 1}", runtime=entry.id)
        found = frames[place]
        return {**found.f_globals, **found.f_locals}


def _variables_of(run: Run) -> dict[str, Any]:
    """The variables where a workflow is now."""
    frames = run.frames()
    users = [frame for frame in frames if is_users_file(frame.f_code.co_filename)] or frames
    return {**users[-1].f_globals, **users[-1].f_locals} if users else {"activity": run.activity}
