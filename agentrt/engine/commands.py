"""What a runtime can be told besides activities: pause, step, limits, another workflow, an end.

Functions over a `RuntimeEntry`, safe from any thread. Each is put on the record with who did it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..activity import Activity, Lane
from ..errors import AgentError, ConfigurationError, MailboxFullError, RuntimeTerminatedError
from ..events import Fate
from ..limits import Limits
from ..receipt import Latch
from .admission import admit, end_drain
from .failure import refusal, refuse_senders, resolve
from .mailbox import EMPTY, PrioritizedMailbox
from .workflow import Workflow

if TYPE_CHECKING:
    from .entry import RuntimeEntry

    Entry = RuntimeEntry[Any, Any]

__all__ = [
    "ACTOR", "Place", "changed", "configure", "drop", "edit", "move", "pause", "put_back", "recover", "resume",
    "set_limit", "step", "swap", "terminate",
]  # fmt: skip

T = TypeVar("T")

# Who is acting: set by the views around every command, None for code.
ACTOR: ContextVar[str | None] = ContextVar("agentrt_actor", default=None)


def pause(entry: Entry) -> None:
    """Take nothing more after the activity that runs now."""
    with entry.host.lock:
        _alive(entry)
        if not entry.paused:
            entry.paused = entry.held = True
            _record(entry, "paused")


def resume(entry: Entry) -> None:
    """Go on after a pause."""
    with entry.host.lock:
        _alive(entry)
        if entry.paused:
            entry.paused, entry.held, entry.steps = False, entry.failed or bool(entry.breakpoints), 0
            _record(entry, "resumed")
            _unpark(entry)


def step(entry: Entry, n: int = 1) -> int:
    """Pause, and let `n` waiting activities through. How many there were to let through."""
    if not isinstance(n, int) or n < 1:
        raise ConfigurationError(f"step takes a whole number of at least 1, not {n!r}", runtime=entry.id)
    pause(entry)
    with entry.host.lock:
        if entry.failed:
            raise refusal(entry)
        entry.steps = min(entry.steps + n, len(entry.mailbox))
        _record(entry, "stepped", entry.steps)
        _unpark(entry)
        return entry.steps


def recover(entry: Entry) -> None:
    """Go on after the supervisor stopped it, with the state and the mailbox it has."""
    with entry.host.lock:
        _alive(entry)
        if entry.failed:
            entry.failed, entry.held, entry.failures = False, entry.paused or bool(entry.breakpoints), None
            _record(entry, "recovered")
            _unpark(entry)


def set_limit(entry: Entry, name: str, value: Any) -> None:
    """Change one limit of a running entry; `ConfigurationError` leaves it as it was."""
    with entry.host.lock:
        _alive(entry)
        _take(entry, changed(entry, {name: value}))


def changed(entry: Entry, changes: dict[str, Any]) -> Limits:
    """The limits of an entry with some changed; `ConfigurationError` if one of them can't be."""
    new = old = entry.limits
    for name, value in changes.items():
        new = new.with_(name, value)
        if name in ("rate", "deadline") and getattr(new, name) != getattr(old, name):
            raise ConfigurationError(f"{name} is given to create and stays {getattr(old, name)!r}", runtime=entry.id)
    return new


def _take(entry: Entry, limits: Limits) -> None:
    """Use these limits from now on. The lock is held."""
    old = entry.limits
    differ = [name for name in limits.__struct_fields__ if getattr(limits, name) != getattr(old, name)]
    if not differ:
        return
    entry.limits = limits
    entry.timeout = limits.timeout
    mailbox = entry.mailbox
    mailbox.priority_capacity, mailbox.standard_capacity = limits.priority_capacity, limits.standard_capacity
    mailbox.shut()
    mailbox.fairness = math.inf if limits.fairness is None else limits.fairness
    for name in differ:
        _record(entry, "limit", {"name": name, "from": getattr(old, name), "to": getattr(limits, name)})
    admit(entry)


def configure(entry: Entry, changes: dict[str, Any], workflow: Workflow) -> None:
    """Other limits and another workflow, from the next activity on; an error leaves everything as it was."""
    with entry.host.lock:
        _alive(entry)
        _take(entry, changed(entry, changes))
        swap(entry, workflow)


def swap(entry: Entry, workflow: Workflow) -> None:
    """Another workflow from the next activity on; state and mailbox are kept."""
    with entry.host.lock:
        _alive(entry)
        entry.use(workflow, entry.limits)
        _record(entry, "swapped", workflow.name)


def terminate(entry: Entry, drain: bool = False) -> Latch[bool]:
    """Accept nothing more from now on; with `drain`, do what waits first, also what is not due yet.

    The latch is decided when it is over.
    """
    host = entry.host
    with host.lock:
        if entry.ended is None:
            entry.ended = Latch(entry)
            entry.mailbox.shut()
            if drain and not entry.failed:
                refuse_senders(entry)
                entry.paused = entry.held = False
                entry.steps = 0
                _unpark(entry)
                end_drain(entry)
                return entry.ended
            entry.draining = True
        elif drain and not entry.failed:  # as it was told already, or sooner
            return entry.ended
        host.post(lambda: host.leave(entry))
        return entry.ended


def close(entry: Entry) -> None:
    """End it now: what runs is cancelled, what waits goes to the dead letters.

    The loop's thread; another one only where the loop is dead, or blocked for good: then what runs can't be cancelled.
    """
    host = entry.host
    with host.lock:
        if entry.closed:
            return
        _record(entry, "terminated")
        entry.closed = entry.draining = True
        entry.mailbox.shut()
        host.resting.pop(entry, None)
        entry.deadline = -math.inf
        latch = entry.ended = entry.ended or Latch(entry)
        refuse_senders(entry)
        waiting = _emptied(entry)
        if entry.current is not None:
            resolve(entry, entry.current, Fate.TERMINATED, entry.started, error=_terminated(entry, entry.current))
        for activity in waiting:
            resolve(entry, activity, Fate.DEAD, None, error=_terminated(entry, activity))
            host.bury(activity, "its runtime was terminated")
    task = entry.task
    if task is None or task.done() or host.loop.is_closed() or threading.get_ident() != host.thread:
        latch.decide(True)
        return
    task.add_done_callback(lambda _: latch.decide(True))
    host.loop.call_later(entry.limits.grace, latch.decide, True)
    task.cancel()


def _emptied(entry: Entry) -> list[Activity[Any]]:
    waiting = [*entry.mailbox, *(entry.delayed or {}).values()]
    mailbox = entry.mailbox
    mailbox.priority = mailbox.standard = EMPTY
    mailbox.delayed_priority = mailbox.delayed_standard = 0
    entry.delayed = None
    return waiting


def _terminated(entry: Entry, activity: Activity[Any]) -> RuntimeTerminatedError:
    return RuntimeTerminatedError(
        f"{entry.id!r} was terminated before activity {activity.id} was done",
        runtime=entry.id,
        activity=activity.id,
    )


def items(entry: Entry) -> list[Activity[Any]]:
    """What waits: the priority lane, the standard lane, then what is not due yet, each oldest first."""
    return [*entry.mailbox, *tuple((entry.delayed or {}).values())]


class Place(msgspec.Struct, frozen=True):
    """Where an activity waits: in which lane, after and before which activities (None: it is the first, the last)."""

    lane: Lane
    after: int | None
    before: int | None


def drop(entry: Entry, id: int) -> Activity[Any]:
    """Take a waiting activity out, due or not; its receipt resolves with `MailboxFullError` (dropped)."""

    def act() -> Activity[Any]:
        activity = _undelayed(entry, id) or _pull(entry, id)[0]
        error = MailboxFullError(f"activity {id} was dropped by hand", runtime=entry.id, activity=id)
        resolve(entry, activity, Fate.DROPPED, None, error=error)
        _record(entry, "dropped_by_hand", {"activity": id})
        admit(entry)
        end_drain(entry)
        return activity

    return _on_loop(entry, act)


def move(entry: Entry, id: int, *, lane: Lane | None = None, first: bool = False) -> Place:
    """Put a waiting activity into another lane (promote, demote), or to the front of its own. Returns where it was.

    One that is not due yet changes the lane it will come to, and has no place there that could be the first.
    """

    def act() -> Place:
        if _is_delayed(entry, id):
            return _redirect(entry, id, None if first else lane)
        activity, was = _pull(entry, id, into=lane)
        _push(entry, activity, lane or was.lane, 0 if first else None)
        _record(entry, "moved", {"activity": id, "lane": (lane or was.lane).value, "first": first})
        return was

    return _on_loop(entry, act)


def put_back(entry: Entry, id: int, place: Place) -> Place:
    """Put a waiting activity to a place that `move` has told. Returns where it was.

    Of its neighbours there some may be gone: it is put before the one, or after the other, or else at the front.
    """

    def act() -> Place:
        if _is_delayed(entry, id):
            return _redirect(entry, id, place.lane)
        activity, was = _pull(entry, id, into=place.lane)
        _push(entry, activity, place.lane, _index(entry, place))
        _record(entry, "moved", {"activity": id, "lane": place.lane.value, "back": True})
        return was

    return _on_loop(entry, act)


def _push(entry: Entry, activity: Activity[Any], to: Lane, index: int | None) -> None:
    queue = entry.mailbox.lane(to)
    moved = msgspec.structs.replace(activity, lane=to)
    queue.insert(len(queue) if index is None else index, moved)
    _count_moved(entry, activity.lane, to)


def _count_moved(entry: Entry, was: Lane, to: Lane) -> None:
    if to is not was:
        entry.accepted_priority += 1 if to is Lane.PRIORITY else -1
    admit(entry)


def _redirect(entry: Entry, id: int, to: Lane | None) -> Place:
    """Have a delayed activity come to another lane when it is due."""
    delayed = entry.delayed or {}
    activity = delayed[id]
    if to is None:
        raise AgentError(
            f"activity {id} of {entry.id!r} is not due yet and has no place in its lane; until then it can be edited, "
            "promoted, demoted or dropped",
            runtime=entry.id,
            activity=id,
        )
    was = activity.lane
    _check_room(entry, was, to)
    delayed[id] = msgspec.structs.replace(activity, lane=to)
    entry.mailbox.hold(was, -1)
    entry.mailbox.hold(to, +1)
    _count_moved(entry, was, to)
    _record(entry, "moved", {"activity": id, "lane": to.value})
    return Place(was, None, None)


def _index(entry: Entry, place: Place) -> int | None:
    """Where that place is now; None for the end of the lane."""
    ids = [activity.id for activity in entry.mailbox.lane(place.lane)]
    if place.before in ids:
        return ids.index(place.before)
    if place.after in ids:
        return ids.index(place.after) + 1
    return 0 if place.before is not None else None


def edit(entry: Entry, id: int, payload: Any) -> Any:
    """Give a waiting activity another payload, checked as at the door; it keeps its place. Returns the one it had."""
    entry.check_payload(payload)

    def act() -> Any:
        if entry.delayed is not None and id in entry.delayed:
            return _edited(entry, entry.delayed, id, entry.delayed[id], payload)
        for queue in (entry.mailbox.priority, entry.mailbox.standard):
            for i, activity in enumerate(queue):
                if activity.id == id:
                    return _edited(entry, queue, i, activity, payload)
        raise _not_waiting(entry, id)

    return _on_loop(entry, act)


def _edited(entry: Entry, among: Any, place: int, activity: Activity[Any], payload: Any) -> Any:
    among[place] = msgspec.structs.replace(activity, payload=payload)
    _record(entry, "edited", {"activity": activity.id, "from": activity.payload})
    return activity.payload


def _pull(entry: Entry, id: int, into: Lane | None = None) -> tuple[Activity[Any], Place]:
    for lane in Lane:
        queue = entry.mailbox.priority if lane is Lane.PRIORITY else entry.mailbox.standard
        for i, activity in enumerate(queue):
            if activity.id == id:
                _check_room(entry, lane, into or lane)
                del queue[i]
                after = queue[i - 1].id if i else None
                return activity, Place(lane, after, queue[i].id if i < len(queue) else None)
    raise _not_waiting(entry, id)


def _check_room(entry: Entry, was: Lane, to: Lane) -> None:
    if to is not was and PrioritizedMailbox.room(entry.mailbox, to) <= 0:
        raise MailboxFullError(f"the {to.value} lane of {entry.id!r} is full", runtime=entry.id)


def _is_delayed(entry: Entry, id: int) -> bool:
    return entry.delayed is not None and id in entry.delayed


def _undelayed(entry: Entry, id: int) -> Activity[Any] | None:
    activity = entry.delayed.pop(id, None) if entry.delayed else None
    if activity is not None:
        entry.mailbox.hold(activity.lane, -1)
    return activity


def _not_waiting(entry: Entry, id: int) -> AgentError:
    return AgentError(f"activity {id} does not wait in {entry.id!r} (any more)", runtime=entry.id, activity=id)


def _on_loop(entry: Entry, act: Callable[[], T]) -> T:
    """Do it between two activities, on the loop's thread: it takes from the lanes without a lock."""
    who = ACTOR.get()

    def locked() -> T:
        token = ACTOR.set(who)
        try:
            with entry.host.lock:
                return act()
        finally:
            ACTOR.reset(token)

    return entry.host.do(locked)


def _alive(entry: Entry) -> None:
    if entry.closed:
        raise refusal(entry)


def _unpark(entry: Entry) -> None:
    if entry.parked and (not (entry.paused or entry.failed) or entry.steps > 0):
        entry.parked = False
        entry.host.wake(entry)


def _record(entry: Entry, kind: str, detail: Any = None) -> None:
    entry.note(kind, detail, ACTOR.get())
