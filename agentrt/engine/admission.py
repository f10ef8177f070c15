"""The rarely used half of a runtime's door: delays, deadlines, keys, custom activities, full lanes, waiting for room.

Functions over a `RuntimeEntry`, called with the manager's lock held unless they say otherwise.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import msgspec

from ..activity import Activity, Lane
from ..errors import AgentError, ConfigurationError, MailboxFullError
from ..events import Fate
from ..limits import Overflow
from ..receipt import Latch, Receipt
from .deadlock import CURRENT
from .failure import resolve
from .mailbox import PrioritizedMailbox

if TYPE_CHECKING:
    from .entry import RuntimeEntry

    Entry = RuntimeEntry[Any, Any]

__all__ = [
    "Sender",
    "accept_special",
    "admit",
    "end_drain",
    "known",
    "made",
    "overflow",
    "queue_for_room",
    "said",
    "seconds",
]

KEYS_MOST = 10_000


class Sender(Latch[Any]):
    """Somebody who waits for room in a lane. Decided with a receipt, or with the error that ended the wait."""

    payload: Any = None
    options: dict[str, Any] = {}
    # That of the sender: whose activity it is a part of must not depend on who lets it in.
    context: Context = msgspec.field(default_factory=copy_context)


def seconds(name: str, value: Any, least: float = 0.0) -> float:
    """A duration given with a send, checked."""
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value) or value < least:
        raise ConfigurationError(f"{name} is {value!r}; it must be seconds, {least:g} or more")
    return float(value)


def said(payload: Any, priority: Any, key: str | None) -> tuple[Lane, str | None]:
    """The lane and the key of a send: its own, else those that an `Activity` says itself."""
    if isinstance(payload, Activity):
        priority, key = priority or payload.lane == Lane.PRIORITY, payload.key if key is None else key
    return Lane.PRIORITY if priority else Lane.STANDARD, key


def _due(payload: Any, delay: Any, now: float) -> float | None:
    """When it is due: after its delay, else when an `Activity` says itself."""
    if delay is not None:
        return now + seconds("delay", delay)
    due = payload.not_before if isinstance(payload, Activity) else None
    return due if due is None else seconds("not_before", due, -math.inf)


def known(entry: Entry, key: str) -> Receipt | None:
    """The receipt of the activity that came with this key within the window."""
    if not isinstance(key, str) or not key:
        raise ConfigurationError(f"key is {key!r}; it must be a string that is not empty", runtime=entry.id)
    found = entry.keys.get(key) if entry.keys else None
    return found[1] if found is not None and found[0] > entry.host.clock.now() else None


def accept_special(
    entry: Entry, payload: Any, lane: Lane, *, timeout: float | None, delay: float | None, key: str | None
) -> Receipt:
    """Accept an activity with a deadline, a delay, a key or a type of its own. There is room."""
    host = entry.host
    now = host.clock.now()
    due = _due(payload, delay, now)
    number = host.number()
    receipt = Receipt(entry, None, None, number)
    activity = made(entry, payload, receipt, lane, now, timeout=timeout, not_before=due, key=key)
    if activity.timeout is not None and seconds("timeout", activity.timeout) == 0:
        raise ConfigurationError("timeout is 0; it must be seconds above 0, or left out", runtime=entry.id)
    if key is not None:
        _remember(entry, key, now, receipt)
    if due is None or due <= now:
        entry.enter(activity)
    else:
        _hold_back(entry, activity, due)
    return receipt


def made(
    entry: Entry,
    payload: Any,
    receipt: Receipt,
    lane: Lane,
    now: float,
    timeout: float | None = None,
    not_before: float | None = None,
    key: str | None = None,
) -> Activity[Any]:
    """The activity for a payload (or for an `Activity` of a custom type), with where it comes from."""
    cause = CURRENT.get()
    parent = cause.current if cause is not None else None
    template = payload if isinstance(payload, Activity) else Activity(payload=payload)
    return msgspec.structs.replace(
        template,
        id=receipt.id,
        runtime=entry.id,
        lane=lane,
        created=now,
        timeout=timeout if timeout is not None else template.timeout,
        not_before=not_before,
        source=cause.id if parent is not None and cause is not None else template.source,
        parent=parent.id if parent is not None else template.parent,
        correlation=(parent.correlation if parent is not None else template.correlation) or receipt.id,
        key=key,
        receipt=receipt,
    )


def _remember(entry: Entry, key: str, now: float, receipt: Receipt) -> None:
    keys = entry.keys = entry.keys if entry.keys is not None else {}
    keys.pop(key, None)
    keys[key] = (now + entry.limits.key_window, receipt)
    while keys and (len(keys) > KEYS_MOST or next(iter(keys.values()))[0] <= now):
        del keys[next(iter(keys))]


def _hold_back(entry: Entry, activity: Activity[Any], due: float) -> None:
    entry.accepted += 1
    if activity.lane is Lane.PRIORITY:
        entry.accepted_priority += 1
    entry.host.ring.append(activity)
    entry.host.notify()
    entry.mailbox.hold(activity.lane, +1)
    entry.delayed = entry.delayed if entry.delayed is not None else {}
    entry.delayed[activity.id] = activity
    # A timer may only be touched on the loop's thread, and this may be any.
    entry.host.post(lambda: entry.host.at(due, lambda: release(entry, activity.id)))


def release(entry: Entry, id: int) -> None:
    """Put a delayed activity in its lane: it is due. Takes the lock itself."""
    with entry.host.lock:
        activity = entry.delayed.pop(id, None) if entry.delayed else None
        if activity is None:
            return
        entry.mailbox.hold(activity.lane, -1)
        entry.queue(activity)
        end_drain(entry)


def end_drain(entry: Entry) -> None:
    """A runtime that is being drained ends with its lanes, once nothing is held back any more."""
    if entry.ended is None or entry.draining or entry.delayed:
        return
    entry.draining = True
    if not entry.scheduled or entry.failed:
        entry.host.post(lambda: entry.host.leave(entry))


def overflow(entry: Entry, payload: Any, lane: Lane, options: dict[str, Any]) -> Receipt:
    """One more for a full lane: refused, or room is made as the policy says."""
    policy = entry.limits.overflow
    if policy is Overflow.WAIT:
        raise MailboxFullError(_why_full(entry, lane), runtime=entry.id)
    items = entry.mailbox.lane(lane)
    if policy is Overflow.DROP_OLDEST and items:
        _drop(entry, items.popleft())
        return accept_special(entry, payload, lane, **options)
    receipt = Receipt(entry, None, None, entry.host.number())
    activity = made(entry, payload, receipt, lane, entry.host.clock.now())
    entry.accepted += 1
    if lane is Lane.PRIORITY:
        entry.accepted_priority += 1
    entry.host.ring.append(activity)
    _drop(entry, activity)
    return receipt


def _why_full(entry: Entry, lane: Lane) -> str:
    rate = entry.limits.rate
    if rate is not None and PrioritizedMailbox.room(entry.mailbox, lane) > 0:
        return f"{entry.id!r} takes no more than {rate:g} activities a second; wait with `await runtime.send(...)`"
    most = entry.mailbox.priority_capacity if lane is Lane.PRIORITY else entry.mailbox.standard_capacity
    return (
        f"the {lane.value} lane of {entry.id!r} is full ({most}); wait with `await runtime.send(...)`, raise "
        f"`runtime.{lane.value}_capacity`, or create it with overflow='drop_oldest'"
    )


def _drop(entry: Entry, activity: Activity[Any]) -> None:
    error = MailboxFullError(
        f"activity {activity.id} was dropped: the {activity.lane.value} lane of {entry.id!r} is full "
        f"(overflow={entry.limits.overflow.value!r})",
        runtime=entry.id,
        activity=activity.id,
    )
    resolve(entry, activity, Fate.DROPPED, None, error=error)
    entry.host.ring.trim()
    entry.host.notify()


async def queue_for_room(entry: Entry, payload: Any, wait: float | None, options: dict[str, Any]) -> Receipt:
    """Wait in line for room in the lane, `wait` real seconds at most. Takes the lock itself; any loop."""
    lane, key = said(payload, options.get("priority"), options.get("key"))
    options = {**options, "key": key}
    sender = Sender(entry, payload=payload, options=options)
    with entry.host.lock:
        senders = entry.mailbox.senders
        if senders is None:
            senders = entry.mailbox.senders = {Lane.PRIORITY: deque(), Lane.STANDARD: deque()}
        entry.mailbox.shut()
        senders[lane].append(sender)
        admit(entry)
    try:
        with entry.awaited():
            await asyncio.wait_for(sender.settled(), wait)
    except BaseException as error:
        with entry.host.lock:
            if sender.decided is None:
                senders[lane].remove(sender)
        if not isinstance(error, TimeoutError):
            raise
        if sender.decided is None:
            raise MailboxFullError(
                f"the {lane.value} lane of {entry.id!r} stayed full for {wait:g} s", runtime=entry.id
            ) from None
    if isinstance(sender.decided, AgentError):
        raise sender.decided
    receipt = sender.decided
    assert isinstance(receipt, Receipt)
    return receipt


def admit(entry: Entry) -> None:
    """Let those who wait for room in, first come first served, as far as there is room."""
    for lane, senders in (entry.mailbox.senders or {}).items():
        while senders and entry.mailbox.room(lane) > 0:
            sender = senders.popleft()
            try:
                sender.decide(sender.context.run(_let_in, entry, sender, lane))
            except AgentError as error:
                sender.decide(error)
        if senders and entry.limits.rate is not None:
            _admit_when_due(entry)
    if entry.mailbox.senders and not any(entry.mailbox.senders.values()):
        entry.mailbox.senders = None  # the short way in is open again


def _let_in(entry: Entry, sender: Sender, lane: Lane) -> Receipt:
    options = {name: sender.options.get(name) for name in ("timeout", "delay", "key")}
    earlier = None if options["key"] is None else known(entry, options["key"])
    return earlier or accept_special(entry, sender.payload, lane, **options)


def _admit_when_due(entry: Entry) -> None:
    """Once the rate allows one more, admit again."""
    mailbox: Any = entry.mailbox
    due = None if mailbox.armed else mailbox.due()
    if due is None:
        return
    mailbox.armed = True

    def again() -> None:
        with entry.host.lock:
            mailbox.armed = False
            admit(entry)

    # A timer may only be touched on the loop's thread, and this may be any.
    entry.host.post(lambda: entry.host.at(due, again))
