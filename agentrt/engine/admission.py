"""How an offered activity gets into a mailbox: deadlines, delays, keys, custom activities, full lanes, waiting senders.

The fast path of a send is in `entry.py`; what needs more than a look at the bound comes here. Functions over an
`EntryState`, called with the manager's lock held unless they say otherwise.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity, Lane, was_delayed
from ..errors import ActivityValidationError, AgentError, MailboxFullError
from ..events import Fate
from ..limits import Overflow
from ..receipt import Promise, Receipt
from ..schema.annotations import is_plain_class
from ..schema.numbers import LONGEST, number, optional_seconds, refuse, seconds
from ..schema.size import EXACT, estimate_size
from ..schema.typecheck import find_problem
from .deadlock import CURRENT
from .entry_state import EntryState
from .failure import decide_fate, refusal
from .mailbox import Items, read_item
from .state_check import find_newest_problem

__all__ = [
    "Offer", "Sender", "admit", "admit_waiting", "check_message", "check_payload", "deliver", "end_drain",
    "find_by_key", "offer_activity", "set_timer", "wait_for_room",
]  # fmt: skip

Entry = EntryState[Any, Any]
MOST_KEYS = 10_000
READING = "seconds on the manager's clock"
FURTHEST = 100 * LONGEST  # a reading beyond it leaves a float no room for the parts of a second


class Offer(msgspec.Struct, frozen=True):
    """What a send asks for. `template` is the activity that was sent, or one with what was sent; times are in seconds.

    What was sent may be of any class: none of its code is called, as the lock may be held.
    """

    template: Activity[Any]
    lane: Lane
    timeout: float | None
    delay: float | None
    not_before: float | None
    key: str | None

    @classmethod
    def of(cls, payload: Any, priority: bool = False, timeout: Any = None, delay: Any = None, key: Any = None) -> Offer:
        """Check the arguments of a send. What they leave open, an `Activity` says itself."""
        not_before = None
        is_activity = issubclass(type(payload), Activity)  # `isinstance` would ask the object, whose answer is its code
        if is_activity:
            priority = priority or payload.lane == Lane.PRIORITY
            timeout = payload.timeout if timeout is None else timeout
            key = payload.key if key is None else key
            not_before = payload.not_before
        if key is not None and (not isinstance(key, str) or not key):
            raise refuse("key", key, "a string that is not empty")
        return cls(
            payload if is_activity else Activity(payload=payload),
            Lane.PRIORITY if priority else Lane.STANDARD,
            optional_seconds("timeout", timeout, positive=True),
            None if delay is None else seconds("delay", delay, endless=False),
            None if not_before is None else number("not_before", not_before, READING, -math.inf, FURTHEST),
            None if key is None else str.__str__(key),  # of a subclass, the plain text
        )

    def due(self, now: float) -> float | None:
        """When it may run first, on the manager's clock; None for at once."""
        return self.not_before if self.delay is None else now + self.delay


class Sender(Promise[Any]):
    """Somebody who waits for room in a lane. Decided with True, a place was granted, or with why there will be none."""

    loop: Any = None  # the event loop it waits on
    has_place: bool = False


def check_payload(entry: Entry, payload: Any) -> Any:
    """Raise `ActivityValidationError` unless the workflow takes this payload. Takes the lock itself.

    Returns:
        The payload; of the newest class where that was defined again.
    """
    accepts = entry.accepts
    found = None if accepts is None else find_problem(payload, accepts)
    if found is not None:
        payload, found = find_newest_problem(entry, payload, accepts, found)
    if found is not None:
        path, text = found
        raise _invalid(entry, path, text)
    if entry.limits.max_payload is not None or entry.limits.rate is not None:
        _check_payload_size(entry, payload)
    elif (accepts is None or is_plain_class(accepts)) and not isinstance(payload, Activity):
        with entry.host.lock:
            entry.trust_payload(type(payload), accepts)
    return payload


def check_message(entry: Entry, payload: Any) -> Any:
    """Check what is sent, a payload or an activity with one, and return it; see `check_payload`."""
    if not isinstance(payload, Activity):
        return check_payload(entry, payload)
    inner = check_payload(entry, payload.payload)
    return payload if inner is payload.payload else msgspec.structs.replace(payload, payload=inner)


def _check_payload_size(entry: Entry, payload: Any) -> None:
    most = entry.limits.max_payload
    if most is not None and (size := estimate_size([payload], EXACT)) > most:
        raise _invalid(entry, "", f"it is about {size:,} bytes, and max_payload is {most:,}")


def _invalid(entry: Entry, path: str, text: str) -> ActivityValidationError:
    return ActivityValidationError(
        f"{entry.id!r} does not take this payload: {'at ' + path + ' ' if path else ''}{text}",
        runtime=entry.id,
        problems={path: text},
    )


def offer_activity(entry: Entry, offer: Offer) -> Receipt:
    """Accept an offer, or answer it as a full lane does."""
    earlier = find_by_key(entry, offer.key)
    if earlier is not None:
        return earlier
    if entry.mailbox.room(offer.lane) <= 0 or entry.mailbox.has_senders(offer.lane):
        return _handle_overflow(entry, offer)
    receipt = admit(entry, offer)
    entry.mailbox.enable_fast_path()
    return receipt


def find_by_key(entry: Entry, key: str | None) -> Receipt | None:
    """The receipt of the activity that came with this key within the window."""
    found = entry.keys.get(key) if entry.keys and key is not None else None
    return found[1] if found is not None and found[0] > entry.host.clock.now() else None


def admit(entry: Entry, offer: Offer) -> Receipt:
    """Accept an offer for which there is room."""
    now = entry.host.clock.now()
    due = offer.due(now)
    activity = _build_activity(entry, offer, now, due)
    receipt: Receipt = activity.receipt  # taken out first: it may be decided as soon as it is queued
    if entry.register(activity, None if offer.key is None else now + entry.limits.key_window):
        deliver(entry, activity)
    return receipt


def deliver(entry: Entry, activity: Activity[Any]) -> None:
    """Put an accepted activity in its lane, or with what is not due yet."""
    now, receipt = entry.host.clock.now(), activity.receipt
    due = activity.not_before if was_delayed(activity) else None
    try:
        (entry.enqueue if due is None else entry.delay)(activity)
        _follow_up(entry, activity, receipt, due, now)
    except BaseException:
        entry.complete_send(activity, due is None)
        _follow_up(entry, activity, receipt, due, now)
        raise


def _follow_up(entry: Entry, activity: Activity[Any], receipt: Receipt, due: float | None, now: float) -> None:
    """What an accepted activity needs besides its place: a timer, and its key remembered. Doing it twice is fine."""
    if due is not None:
        # A timer may only be touched on the loop's thread, and this may be any.
        entry.host.post(partial(set_timer, entry, receipt.id, due))
    if activity.key is not None:
        _remember_key(entry, activity.key, now, receipt)


def _build_activity(entry: Entry, offer: Offer, now: float, not_before: float | None = None) -> Activity[Any]:
    """The activity for an offer, with where it comes from."""
    receipt = entry.new_receipt(entry.host.number())
    cause = CURRENT.get()
    parent = cause.current if cause is not None else None
    template = offer.template
    return msgspec.structs.replace(
        template,
        id=receipt.id,
        runtime=entry.id,
        lane=offer.lane,
        created=now,
        timeout=offer.timeout,
        not_before=not_before,
        source=cause.id if parent is not None and cause is not None else template.source,
        parent=parent.id if parent is not None else template.parent,
        correlation=(parent.correlation if parent is not None else template.correlation) or receipt.id,
        key=offer.key,
        receipt=receipt,
    )


def _remember_key(entry: Entry, key: str, now: float, receipt: Receipt) -> None:
    entry.remember_key(key, now + entry.limits.key_window, receipt)
    keys = entry.keys
    while keys and (len(keys) > MOST_KEYS or next(iter(keys.values()))[0] <= now):
        entry.forget_key(next(iter(keys)))


def set_timer(entry: Entry, id: int, due: float) -> None:
    """Have a delayed activity join its lane when it is due."""
    with entry.host.lock:
        entry.mailbox.arm(id, lambda: entry.host.call_at(due, partial(_release, entry, id)))


def _release(entry: Entry, id: int) -> None:
    """Put a delayed activity in its lane: it is due. Takes the lock itself."""
    with entry.host.lock:
        activity = entry.mailbox.delayed_activity(id)
        if activity is None:
            return
        try:
            entry.mailbox.release(id)
            entry.queue(activity)
            entry.note_due(activity)
            entry.record_event("due", {"activity": id, "lane": activity.lane.value})
            end_drain(entry)
        except BaseException:
            entry.mailbox.release(id)
            entry.complete_queue(activity)
            end_drain(entry)
            raise


def end_drain(entry: Entry) -> None:
    """A runtime that is being drained ends with its lanes, once nothing is delayed any more."""
    if entry.ended is None or entry.mailbox.has_delayed:
        return
    entry.begin_drain()  # may be done already by a call that was interrupted here
    if not entry.scheduled or entry.failed:
        entry.host.post(lambda: entry.host.leave(entry))


# ---- a full lane


def _handle_overflow(entry: Entry, offer: Offer) -> Receipt:
    """One more for a full lane: refused, or room is made as the policy says."""
    policy = entry.limits.overflow
    if policy is Overflow.WAIT:
        raise MailboxFullError(_why_full(entry, offer.lane), runtime=entry.id)
    items = entry.mailbox.lane(offer.lane)
    if policy is Overflow.DROP_OLDEST and items:
        _drop_oldest(entry, items)
        return admit(entry, offer)
    # Without its key: sent again, it is another try and not the one that was dropped.
    activity = _build_activity(entry, msgspec.structs.replace(offer, key=None), entry.host.clock.now())
    receipt: Receipt = activity.receipt
    try:
        entry.accept(activity)
        _drop(entry, activity)
    except BaseException:
        entry.host.ring.ensure(activity)
        _drop(entry, activity)
        entry.complete_accept(activity)  # last: it counts again, and an activity without a place or a fate is none
        raise
    return receipt


def _drop_oldest(entry: Entry, items: Items) -> None:
    """Drop the first of a lane. The processing, which takes without the lock, may take it first: then the next one."""
    oldest = read_item(items[0])
    try:
        oldest = read_item(items.popleft())
        _drop(entry, oldest)
    except BaseException:
        if not entry.has(oldest):
            _drop(entry, oldest)
        raise


def _why_full(entry: Entry, lane: Lane) -> str:
    rate = entry.limits.rate
    if rate is not None and entry.mailbox.free(lane) > 0:
        return f"{entry.id!r} takes no more than {rate:g} activities a second; wait with `await runtime.send(...)`"
    return (
        f"the {lane.value} lane of {entry.id!r} is full ({entry.mailbox.capacity(lane)}); wait with "
        f"`await runtime.send(...)`, raise `runtime.{lane.value}_capacity`, or create it with overflow='drop_oldest'"
    )


def _drop(entry: Entry, activity: Activity[Any]) -> None:
    error = MailboxFullError(
        f"activity {activity.id} was dropped: the {activity.lane.value} lane of {entry.id!r} is full "
        f"(overflow={entry.limits.overflow.value!r})",
        runtime=entry.id,
        activity=activity.id,
    )
    decide_fate(entry, activity, Fate.DROPPED, None, error=error)
    entry.host.ring.trim()
    entry.host.notify()


# ---- senders that wait for room


async def wait_for_room(entry: Entry, offer: Offer, wait: float | None, check: Callable[[], object]) -> Receipt:
    """Wait for room in the lane, `wait` real seconds at most; senders are served in order. Takes the lock; any loop.

    The place is granted to the sender, which uses it when it runs again: one that is cancelled before has sent nothing.
    `check()` raises if the sender may not send any more; it is called when the place is used.
    """
    sender = Sender(entry, loop=asyncio.get_running_loop())
    limit = asyncio.timeout(wait)
    try:
        with entry.host.lock:
            entry.mailbox.add_sender(offer.lane, sender)
            admit_waiting(entry)
        with entry.register_wait():
            async with limit:
                await sender.wait()
    except BaseException:
        with entry.host.lock:
            _withdraw(entry, offer.lane, sender)
            admit_waiting(entry)
        if not limit.expired():
            raise
        raise MailboxFullError(
            f"the {offer.lane.value} lane of {entry.id!r} stayed full for {wait:g} s", runtime=entry.id
        ) from None
    with entry.host.lock:
        _withdraw(entry, offer.lane, sender)
        try:
            if isinstance(sender.value, AgentError):
                raise sender.value
            if entry.is_refusing:
                raise refusal(entry)
            check()
            return find_by_key(entry, offer.key) or admit(entry, offer)
        finally:
            admit_waiting(entry)  # the place may not have been used


def _withdraw(entry: Entry, lane: Lane, sender: Sender) -> None:
    """The sender waits no longer, and holds no place."""
    entry.mailbox.remove_sender(lane, sender)
    entry.mailbox.return_place(lane, sender)


def admit_waiting(entry: Entry) -> None:
    """Grant places to those who wait for room, first come first served, as far as there is room."""
    mailbox = entry.mailbox
    for lane in Lane:
        while mailbox.room(lane) > 0 and (sender := mailbox.first_sender(lane)) is not None:
            if not sender.loop.is_closed():
                mailbox.grant_place(lane, sender)
                sender._decide(True)
            mailbox.remove_sender(lane, sender)  # last: what is interrupted before is done again
        if mailbox.has_senders(lane) and entry.limits.rate is not None:
            _admit_when_due(entry)


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
            admit_waiting(entry)

    # A timer may only be touched on the loop's thread, and this may be any.
    entry.host.post(lambda: entry.host.call_at(due, again))
