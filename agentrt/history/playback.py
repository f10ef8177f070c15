"""An activity run again: the workflow, with everything that it was given then. Nothing but the workflow is called."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextvars import Context as Variables
from typing import Any

import msgspec

from ..activity import Activity
from ..asyncio_compat import forget_destruction
from ..engine.deadlock import CURRENT
from ..engine.workflow import Workflow
from ..schema.difference import has_changed
from ..schema.immutability import copy_out_always, is_frozen
from ..schema.typecheck import find_problem
from .impurity import GivenValue, Impurity, Unrecorded, begin_of, shared_values, watch_calls
from .playback_loop import PlaybackLoop, StalledPlaybackError
from .script import RecordedCall, Script
from .stage import Mismatch, PlaybackContext, Stage

__all__ = ["Performance", "perform"]

BY_HANDLE = "it sends through a handle, which would reach the runtimes of now; send with ctx.send and ctx.ask"


class Performance(msgspec.Struct, frozen=True):
    """What came of an activity that ran again.

    Args:
        state: The new state; UNSET if it failed.
        reply: What it replied; UNSET if nothing.
        error: What the workflow raised.
        calls: What it did on the way.
        mismatch: Where it did something else than the record says.
        unrecorded: Why it could not go on: what it needs is not on the record.
        impurities: What makes it depend on more than its record.
    """

    state: Any = msgspec.UNSET
    reply: Any = msgspec.UNSET
    error: BaseException | None = None
    calls: tuple[RecordedCall, ...] = ()
    mismatch: Mismatch | None = None
    unrecorded: str = ""
    impurities: tuple[Impurity, ...] = ()


class NoHandles:
    """Stands for the runtime that runs, where sends look for it: one that goes through a handle is refused."""

    def __getattr__(self, name: str) -> Any:
        raise Unrecorded(BY_HANDLE)


def perform(function: Callable[..., Any], script: Script, stage: Stage) -> Performance:
    """Run a workflow on a recorded activity, before a stage. On a thread of its own: see `run_apart`."""
    workflow = Workflow.of(function)
    activity = script.activity
    if not is_frozen(activity.payload):
        activity = msgspec.structs.replace(activity, payload=copy_out_always(activity.payload))
    state = copy_out_always(script.state)
    context = PlaybackContext(stage, activity)
    arguments = (activity, state, context) if workflow.takes_context else (activity, state)
    before = shared_values(function)
    with watch_calls() as watch:
        new, error = _call_workflow_again(workflow, arguments, stage)
    where = {(what, call): place for (what, call), place in watch.found.items()}
    noted = [Impurity(activity.id, activity.runtime, *key, *place) for key, place in where.items()]
    given = [*_own_values(script, activity, state), *stage.given]
    noted += _find_side_effects(function, script, before, given)
    why = watch.blocked or (error if isinstance(error, Unrecorded | StalledPlaybackError) else None)
    if why is not None:
        return Performance(calls=tuple(stage.met), unrecorded=str(why), impurities=tuple(noted))
    mismatch = stage.stopped
    if mismatch is None and error is None:
        error = _find_wrong_state(workflow, new, script)
        mismatch = stage.finish()
    return Performance(
        msgspec.UNSET if error is not None else new,
        context.replied,
        error,
        tuple(stage.met),
        mismatch,
        impurities=tuple(noted),
    )


def _call_workflow_again(
    workflow: Workflow, arguments: tuple[Any, ...], stage: Stage
) -> tuple[Any, BaseException | None]:
    """What a workflow returns, or what it raises."""
    variables = Variables()
    variables.run(CURRENT.set, NoHandles())
    try:
        new = variables.run(workflow.call, *arguments)
        if inspect.isawaitable(new):
            new = _run_coroutine(new, variables, stage)
    except BaseException as error:
        return None, error
    return new, None


def _run_coroutine(awaitable: Any, variables: Variables, stage: Stage) -> Any:
    loop = PlaybackLoop()
    asyncio.set_event_loop(loop)
    try:

        async def wait() -> Any:
            new = await awaitable
            while inspect.iscoroutine(new):
                new = await new
            return new

        task = variables.run(loop.create_task, wait())
        return loop.run_until_complete(task)
    finally:
        stage.has_tasks_left = bool(asyncio.all_tasks(loop))
        _end_loop(loop)


def _end_loop(loop: PlaybackLoop) -> None:
    for task in asyncio.all_tasks(loop):
        forget_destruction(task)  # it waits for what never comes
    asyncio.set_event_loop(None)
    loop.close()


def _find_wrong_state(workflow: Workflow, new: Any, script: Script) -> Exception | None:
    """What the runtime says of a state that is none."""
    if workflow.state is not None and (found := find_problem(new, workflow.state)) is not None:
        path, text = found
        return TypeError(f"{workflow.name} returned a wrong state: {path + ' ' if path else ''}{text}")
    if workflow.state is None and new is None and script.state is not None:
        return TypeError(f"{workflow.name} returned None; a workflow must return the new state")
    return None


def _own_values(script: Script, activity: Activity[Any], state: Any) -> list[GivenValue]:
    """What every workflow is given: the payload and the state."""
    payload = GivenValue("its payload", "activity.payload", script.activity.payload, activity.payload)
    return [payload, GivenValue("its state", "state", script.state, state)]


def _find_side_effects(
    function: Callable[..., Any], script: Script, before: dict[str, str], given: list[GivenValue]
) -> list[Impurity]:
    """What the workflow changed besides what it returns: what it shares, and what it was given."""
    id, runtime = script.activity.id, script.activity.runtime
    place = begin_of(function)
    after = shared_values(function)
    found = [
        Impurity(id, runtime, "changes what it shares with others", name, *place)
        for name in before
        if after.get(name) != before[name]
    ]
    found += [
        Impurity(id, runtime, f"changes {each.what} in place", each.name, *place)
        for each in given
        if not is_frozen(each.recorded) and has_changed(each.recorded, each.copy)
    ]
    return found
