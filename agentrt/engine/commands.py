"""The commands of a runtime: pause, step, limits, another workflow, an end.

Functions over an `EntryState`, safe from any thread. Each is recorded with who gave it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar
from itertools import chain, zip_longest
from time import monotonic
from typing import Any, TypeVar

import msgspec

from ..activity import Activity, Lane, replace_payload
from ..errors import AgentError, ConfigurationError, MailboxFullError, RuntimeTerminatedError
from ..events import Fate
from ..limits import Limits
from ..receipt import Promise
from ..schema.numbers import count
from ..schema.preview import preview
from ..schema.redefinition import Redefined, newest_value
from .admission import admit_waiting, check_payload, end_drain
from .baseline import record_swap
from .completion import completely
from .entry_state import EntryState
from .failure import decide_fate, refusal, refuse_senders
from .mailbox import Place
from .question import settle_request
from .state_check import use_newest_state
from .workflow import Workflow

__all__ = [
    "ACTOR",
    "change_limits",
    "close",
    "drop",
    "edit",
    "finish_close",
    "items",
    "move",
    "pause",
    "put_back",
    "recover",
    "replace",
    "resume",
    "set_limit",
    "step",
    "swap",
    "terminate",
]  # fmt: skip

Entry = EntryState[Any, Any]
T = TypeVar("T")
SLICE = 256  # activities of a long mailbox that are dealt with in one turn of the loop, if that
SLICE_SECONDS = 0.005  # takes no longer
FEWEST = 128  # at least so many are converted in one turn, more than the processing can take in it

# Who is acting: set by the views around every command, None for code.
ACTOR: ContextVar[str | None] = ContextVar("agentrt_actor", default=None)


# ---- pause and steps


def pause(entry: Entry) -> None:
    """Take nothing more after the activity that runs now."""
    with entry.host.lock:
        _alive(entry)
        settle_request(entry)
        if entry.pause_by_command():
            _record(entry, "paused")


def resume(entry: Entry) -> None:
    """Go on after a pause."""
    with entry.host.lock:
        _alive(entry)
        settle_request(entry)
        if entry.paused and entry.resume():
            _record(entry, "resumed")
        entry.unpark()  # also if a call before was interrupted here


def step(entry: Entry, n: int = 1) -> int:
    """Pause, and process `n` waiting activities. Returns how many there are to process."""
    n = count("n", n, least=1, runtime=entry.id)
    pause(entry)
    with entry.host.lock:
        if entry.failed:
            raise refusal(entry)
        stopped = int(entry.go_on())  # what is stopped inside is processed to its end
        steps = stopped + (entry.allow_steps(n - stopped) if n > stopped else 0)
        _record(entry, "stepped", steps)
        entry.unpark()
        return steps


def recover(entry: Entry) -> None:
    """Go on after the supervisor stopped it, with the state and the mailbox it has."""
    with entry.host.lock:
        _alive(entry)
        if entry.failed:
            entry.recover()
            _record(entry, "recovered")
        entry.unpark()  # also if a call before was interrupted here


# ---- limits and workflow


def set_limit(entry: Entry, name: str, value: Any) -> None:
    """Change one limit of a running entry; `ConfigurationError` leaves it as it was."""
    with entry.host.lock:
        _alive(entry)
        _use_limits(entry, change_limits(entry, {name: value}))


def change_limits(entry: Entry, changes: dict[str, Any]) -> Limits:
    """The limits of an entry with some changed; `ConfigurationError` if one of them can't be."""
    new = old = entry.limits
    for name, value in changes.items():
        new = new.with_(name, value)
        if name in ("rate", "deadline") and getattr(new, name) != getattr(old, name):
            raise ConfigurationError(f"{name} is given to create and stays {getattr(old, name)!r}", runtime=entry.id)
    return new


def _use_limits(entry: Entry, limits: Limits) -> None:
    """Use these limits from now on. The lock is held."""
    old = entry.limits
    differ = [name for name in limits.__struct_fields__ if getattr(limits, name) != getattr(old, name)]
    if not differ:
        return
    entry.change_limits(limits)
    for name in differ:
        _record(entry, "limit", {"name": name, "from": getattr(old, name), "to": getattr(limits, name)})
    admit_waiting(entry)


def replace(entry: Entry, changes: dict[str, Any], workflow: Workflow) -> None:
    """Other limits and another workflow, from the next activity on; an error leaves everything as it was."""
    with entry.host.lock:
        _alive(entry)
        _use_limits(entry, change_limits(entry, changes))
        _use_workflow(entry, workflow)
    entry.host.post(lambda: use_newest_classes(entry))


def swap(entry: Entry, workflow: Workflow) -> None:
    """Another workflow from the next activity on; state and mailbox are kept."""
    with entry.host.lock:
        _use_workflow(entry, workflow)
    entry.host.post(lambda: use_newest_classes(entry))


def _use_workflow(entry: Entry, workflow: Workflow) -> None:
    """Use this workflow from now on. The lock is held."""
    _alive(entry)
    entry.configure(workflow, entry.limits)
    record_swap(entry, ACTOR.get())


def use_newest_classes(entry: Entry) -> None:
    """Make the state, and what waits, again as objects of the newest classes. The loop's thread.

    Of what waits as much as a slice takes is done at once, the rest in later turns of the loop: faster than it is run.
    """
    use_newest_state(entry)
    with entry.host.lock:
        priority, standard, delayed = entry.mailbox.lists()
    waiting = chain(chain.from_iterable(zip_longest(priority, standard)), delayed)  # what is taken first comes first
    while _use_newest_payloads(entry, waiting):
        if entry.host.loop.is_running():
            _do_in_slices(entry, f"agentrt {entry.id}, redefined", lambda: _use_newest_payloads(entry, waiting))
            return


def _use_newest_payloads(entry: Entry, waiting: Iterator[Activity[Any] | None]) -> bool:
    """Make the payloads of one slice of these again, where their class is an older one; whether there may be more."""
    until = monotonic() + SLICE_SECONDS
    for n, activity in enumerate(waiting, 1):
        with suppress(Redefined):  # its workflow says so
            payload = None if activity is None else newest_value(activity.payload)
            if activity is not None and payload is not activity.payload:
                with entry.host.lock:
                    entry.mailbox.replace(msgspec.structs.replace(activity, payload=payload))
        if n == SLICE or (n >= FEWEST and monotonic() > until):
            return not entry.closed
    return False


# ---- the end


def terminate(entry: Entry, drain: bool = False) -> Promise[bool]:
    """Accept nothing more from now on; with `drain`, do what waits first, also what is not due yet.

    The promise is decided when it is over.
    """
    host = entry.host
    with host.lock:
        first = entry.ended is None  # else as it was asked for before, or sooner

        def begin() -> None:
            entry.begin_end()
            if drain and not entry.failed:
                if first:
                    refuse_senders(entry)
                    entry.lift_pause()
                    entry.unpark()
                    end_drain(entry)
                return
            if first:
                entry.begin_drain()
            host.post(lambda: host.leave(entry))

        completely(begin)
        return entry.begin_end()


def close(entry: Entry) -> None:
    """End it now: what runs is cancelled, what waits goes to the dead letters.

    The loop's thread; another one only where the loop is dead, or blocked for good: then what runs can't be cancelled.
    """
    with entry.host.lock:
        if not entry.closed:
            completely(lambda: _end(entry))


def _end(entry: Entry) -> None:
    """Close it. Doing it twice is fine, as after an interruption. The lock is held."""
    host = entry.host
    if not entry.closed:
        _record(entry, "terminated")
    entry.begin_end()
    entry.close()
    if entry.driver is not None:
        host.asleep.pop(entry.driver, None)
    refuse_senders(entry)
    if entry.current is not None:
        decide_fate(
            entry, entry.current, Fate.TERMINATED, entry.started, error=_termination_error(entry, entry.current)
        )
    if entry.task is not None and _on_its_loop(entry):
        entry.task.cancel()
    if len(entry.undelivered) > SLICE and _on_its_loop(entry) and host.loop.is_running():
        task = _do_in_slices(entry, f"agentrt {entry.id}, terminated", lambda: _dead_letter_slice(entry))
        task.add_done_callback(lambda _: finish_close(entry))  # also of one that is cancelled before it began
    else:
        finish_close(entry)


def _do_in_slices(entry: Entry, name: str, do: Callable[[], bool]) -> asyncio.Task[None]:
    """Call `do()` in each turn of the loop until it is False; the first time at the next turn."""

    async def repeat() -> None:
        while do():
            await asyncio.sleep(0)

    # Not through the loop's task factory: that is for the tasks of workflows, see `detached_tasks.py`.
    return asyncio.Task(repeat(), loop=entry.host.loop, name=name)


def _dead_letter_slice(entry: Entry) -> bool:
    """Discard a slice of what a closed entry has not run; False, and nothing done, if that is the last one."""
    if len(entry.undelivered) <= SLICE:
        return False
    completely(lambda: _dead_letter_first(entry, SLICE, SLICE_SECONDS))
    return True


def finish_close(entry: Entry) -> None:
    """Give all that a closed entry has not run its fate, now; then it has ended."""
    completely(lambda: _dead_letter_first(entry, len(entry.undelivered)))
    completely(lambda: _finish(entry))


def _dead_letter_first(entry: Entry, n: int, seconds: float = math.inf) -> None:
    """Give the first `n` that a closed entry has not run their fate, or as many as can be done in `seconds`.

    They are put with the dead letters, which are weighed: that takes longer for payloads of many objects.
    """
    until, kept = monotonic() + seconds, entry.host.kept_letters
    with entry.host.lock:
        undelivered = entry.undelivered
        for _ in range(min(n, len(undelivered))):
            activity = undelivered[0]
            decide_fate(entry, activity, Fate.DEAD, None, error=_termination_error(entry, activity))
            if len(undelivered) > kept:
                entry.host.close_letter(activity)  # those behind it would push it out
            else:
                entry.dead_letter(activity, "its runtime was terminated")
            undelivered.popleft()
            if monotonic() > until:
                break
        entry.host.ring.trim()


def _finish(entry: Entry) -> None:
    """Take a closed entry out of the map, and decide the promise of its end once its task is over."""
    host, task, ended = entry.host, entry.task, entry.begin_end()
    host.forget(entry)

    def finish(_: object = None) -> None:
        host.busy.discard(entry)
        entry.decide_end(ended)

    if task is None or task.done() or not _on_its_loop(entry):
        finish()
        return
    # In a context of its own: the one here may hold the entry, which would stay until the grace is over.
    limit = host.loop.call_later(entry.limits.grace, finish, context=Context())
    task.add_done_callback(finish)
    task.add_done_callback(lambda _: limit.cancel() if ended.value else None)  # else something has interrupted `finish`


def _on_its_loop(entry: Entry) -> bool:
    """Whether this is the thread of the entry's loop, and that may still run."""
    return threading.get_ident() == entry.host.thread and not entry.host.loop.is_closed()


def _termination_error(entry: Entry, activity: Activity[Any]) -> RuntimeTerminatedError:
    return RuntimeTerminatedError(entry.explain_end(activity), runtime=entry.id, activity=activity.id)


# ---- what waits


def items(entry: Entry) -> list[Activity[Any]]:
    """What waits: the priority lane, the standard lane, then what is not due yet, each oldest first."""
    return entry.mailbox.items()


def drop(entry: Entry, id: int) -> Activity[Any]:
    """Take a waiting activity out, due or not; its receipt resolves with `MailboxFullError` (dropped)."""

    def act() -> Activity[Any]:
        activity = _waiting(entry, id)
        error = MailboxFullError(f"activity {id} was dropped by a command", runtime=entry.id, activity=id)

        def take_out() -> None:
            if entry.mailbox.release(id) is None:
                entry.mailbox.remove(id)
            decide_fate(entry, activity, Fate.DROPPED, None, error=error)
            admit_waiting(entry)
            end_drain(entry)

        completely(take_out)
        _record(entry, "dropped_by_hand", {"activity": id})
        return activity

    return _on_loop(entry, act)


def move(entry: Entry, id: int, *, lane: Lane | None = None, first: bool = False) -> Place:
    """Put a waiting activity into another lane (promote, demote), or to the front of its own. Returns where it was.

    One that is not due yet changes the lane it will come to, and has no place there that could be the first.
    """

    def act() -> Place:
        if entry.mailbox.delayed_activity(id) is not None:
            return _redirect(entry, id, None if first else lane)
        detail = {"activity": id, "lane": _lane_of(entry, id, lane).value, "first": first}
        return _reinsert(entry, id, lane, lambda: 0 if first else None, detail)

    return _on_loop(entry, act)


def put_back(entry: Entry, id: int, place: Place) -> Place:
    """Put a waiting activity to a place that `move` has returned. Returns where it was.

    Of its neighbours there some may be gone: it is put before the one, or after the other, or else at the front.
    """

    def act() -> Place:
        if entry.mailbox.delayed_activity(id) is not None:
            return _redirect(entry, id, place.lane)
        detail = {"activity": id, "lane": place.lane.value, "back": True}
        return _reinsert(entry, id, place.lane, lambda: entry.mailbox.index_of(place), detail)

    return _on_loop(entry, act)


def edit(entry: Entry, id: int, payload: Any) -> Any:
    """Give a waiting activity another payload, checked as a sent one is; it keeps its place. Returns the one it had."""
    payload = check_payload(entry, payload)

    def act() -> Any:
        activity = _waiting(entry, id)
        edited = replace_payload(activity, payload)
        entry.store_again(edited)
        entry.mailbox.replace(edited)
        _record(entry, "edited", {"activity": id, "from": activity.payload, "to": payload})
        return activity.payload

    return _on_loop(entry, act)


def _reinsert(entry: Entry, id: int, to: Lane | None, index: Callable[[], int | None], detail: dict[str, Any]) -> Place:
    """Take an activity out of its lane and put it into lane `to` (None: its own), at what `index` says then."""
    lane = _lane_of(entry, id, to)
    moved = msgspec.structs.replace(_waiting(entry, id), lane=lane)
    was = entry.mailbox.place_of(id)
    assert was is not None

    def put_elsewhere() -> None:
        entry.mailbox.remove(id)
        entry.mailbox.insert(moved, index())
        place = entry.mailbox.place_of(id)
        detail["before"] = None if place is None else place.before

    completely(put_elsewhere)
    entry.store_again(moved)
    entry.count_move(was.lane, lane)
    admit_waiting(entry)
    _record(entry, "moved", detail)
    return was


def _lane_of(entry: Entry, id: int, to: Lane | None) -> Lane:
    """The lane that a waiting activity shall be in, once it is sure that it has room there."""
    was = entry.mailbox.where(id)
    if was is None:
        raise _not_waiting(entry, id)
    _check_room(entry, was, to or was)
    return to or was


def _redirect(entry: Entry, id: int, to: Lane | None) -> Place:
    """Have a delayed activity come to another lane when it is due."""
    if to is None:
        raise AgentError(
            f"activity {id} of {entry.id!r} is not due yet and has no place in its lane; until then it can be edited, "
            "promoted, demoted or dropped",
            runtime=entry.id,
            activity=id,
        )
    mailbox = entry.mailbox
    activity = mailbox.delayed_activity(id)
    assert activity is not None
    _check_room(entry, activity.lane, to)
    redirected = msgspec.structs.replace(activity, lane=to)
    completely(lambda: mailbox.replace(redirected))
    entry.store_again(redirected)
    entry.count_move(activity.lane, to)
    admit_waiting(entry)
    _record(entry, "moved", {"activity": id, "lane": to.value})
    return Place(activity.lane, None, None)


def _waiting(entry: Entry, id: int) -> Activity[Any]:
    activity = entry.mailbox.get(id)
    if activity is None:
        raise _not_waiting(entry, id)
    return activity


def _check_room(entry: Entry, was: Lane, to: Lane) -> None:
    if to is not was and entry.mailbox.free(to) <= 0:
        raise MailboxFullError(f"the {to.value} lane of {entry.id!r} is full", runtime=entry.id)


def _not_waiting(entry: Entry, id: int) -> AgentError:
    return AgentError(
        f"activity {preview(id, 40)} does not wait in {entry.id!r} (any more)", runtime=entry.id, activity=id
    )


def _on_loop(entry: Entry, act: Callable[[], T]) -> T:
    """Do it between two activities, on the loop's thread: it takes from the lanes without a lock."""
    who = ACTOR.get()

    def run() -> T:
        token = ACTOR.set(who)
        try:
            with entry.host.lock:
                return act()
        finally:
            ACTOR.reset(token)

    return entry.host.do(run)


def _alive(entry: Entry) -> None:
    if entry.closed:
        raise refusal(entry)


def _record(entry: Entry, kind: str, detail: Any = None) -> None:
    entry.record_event(kind, detail, ACTOR.get())
