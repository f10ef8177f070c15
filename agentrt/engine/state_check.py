"""A new state before it is committed: awaited, checked against its type, measured."""

from __future__ import annotations

import inspect
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import msgspec

from ..schema.annotations import describe, is_plain_class
from ..schema.immutability import ATOMS
from ..schema.redefinition import Redefined, newest_hint, newest_value
from ..schema.size import EXACT, estimate_size
from ..schema.typecheck import TypeProblem, find_problem
from .baseline import record_baseline
from .entry_state import EntryState
from .workflow import Workflow

__all__ = ["check_made_state", "check_state", "find_newest_problem", "use_newest_state"]

Entry = EntryState[Any, Any]
# What a function with a `yield` gives, when a wrapper hides that it has one.
UNFINISHED = (GeneratorType, AsyncGeneratorType)


async def check_state(entry: Entry, new: Any, workflow: Workflow) -> Any:
    """Await, check and measure the new state that `workflow` has made; `TypeError` says what is wrong with it."""
    if type(new) not in ATOMS:
        new = await _take_result(entry, new, workflow)
    return check_made_state(entry, new, workflow)


def check_made_state(entry: Entry, new: Any, workflow: Workflow) -> Any:
    """Check and measure a new state; `TypeError` or `ValueError` says what is wrong with it."""
    hint = workflow.state
    if hint is not None:
        found = find_problem(new, hint)
        if found is not None:
            new, found = find_newest_problem(entry, new, hint, found)
        if found is not None:
            path, text = found
            raise TypeError(f"{workflow.name} returned a wrong state: {path + ' ' if path else ''}{text}")
    elif new is None and entry.initial is not None:
        raise TypeError(f"{workflow.name} returned None; a workflow must return the new state")
    if entry.limits.max_state is not None:
        check_state_size(entry, new)
    elif hint is None or type(new) is hint or (is_plain_class(hint) and hint is not float):
        with entry.host.lock:
            entry.trust_state(type(new), workflow)
    return new


def find_newest_problem(entry: Entry, value: Any, hint: Any, found: TypeProblem) -> tuple[Any, TypeProblem | None]:
    """Look once more at what does not fit: a class may have been defined again, as by a cell that is run twice.

    Returns:
        The value, with what is of older classes made again, and what is still wrong with it. Takes the lock.
    """
    try:
        new = newest_value(value)
    except Redefined as why:
        return value, TypeProblem(found.path, str(why))
    now = newest_hint(hint)
    if new is value and now is hint:
        return value, found
    if now is not hint:
        _use_newest_types(entry)
    return new, find_problem(new, now)


def _use_newest_types(entry: Entry) -> None:
    """Have the workflow take and make what its classes are called now; recorded, once for each time they change."""
    old = entry.workflow
    new = msgspec.structs.replace(old, accepts=newest_hint(old.accepts), state=newest_hint(old.state))
    if new.accepts is old.accepts and new.state is old.state:
        return
    with entry.host.lock:
        if entry.workflow is old:
            entry.configure(new, entry.limits)
            entry.record_event("redefined", {"accepts": describe(new.accepts), "state": describe(new.state)})
    entry.host.post(lambda: use_newest_state(entry))


def use_newest_state(entry: Entry) -> None:
    """Go on from the state as one of the newest class, also after a restart. The loop's thread."""
    try:
        new, initial = newest_value(entry.state), newest_value(entry.initial)
    except Redefined:
        return  # what is made of it says so
    if new is not entry.state or initial is not entry.initial:
        entry.use_newest(new, initial)
        record_baseline(entry, "redefined", {"state": describe(type(new))})


async def _take_result(entry: Entry, new: Any, workflow: Workflow) -> Any:
    """What a workflow came to, where a wrapper around it has returned something that is still to be awaited."""
    if inspect.isawaitable(new):
        new = await new
        while inspect.iscoroutine(new):  # of an `async def` that has returned another one
            new = await new
    if type(new) in UNFINISHED and type(new) is not type(entry.initial):
        raise TypeError(f"{workflow.name} returned a {type(new).__name__}; a workflow must return the new state")
    return new


def check_state_size(entry: Entry, state: Any) -> None:
    """Raise `ValueError`, which fails the activity, if a new state is larger than `max_state`."""
    most = entry.limits.max_state
    if most is not None and (size := estimate_size([state], EXACT)) > most:
        raise ValueError(f"{entry.workflow.name} returned a state of about {size:,} bytes, and max_state is {most:,}")
