"""Outbox: what durable workflows send to other nodes is stored with their commit, and sent until it is accepted there.

A runtime of another node has an outbox here while something waits to be sent to it: in the journal of this node, as
activities of an id that nobody creates (`outbox_of`). A row is written with the commit of who sends it, and sent once
that is stored; it goes once the other node says that it has accepted and stored the activity. What is there when the
journal is opened again is sent again, in its order. Its key is the same each time: by that it is recognized.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ..activity import Activity, Lane, UntrackedActivity
from ..engine.admission import Offer
from ..engine.deadlock import CURRENT
from ..engine.durable_entry import DurableEntry, at_once, find_sender
from ..engine.durable_receipt import DurableReceipt, Held
from ..engine.storage import Storage
from ..errors import AgentError, JournalError, MailboxFullError, ManagerClosedError, describe_error
from ..journal import Accepted, Committed, Removed, Write
from ..receipt import Promise, Receipt
from .messages import ActivityItem
from .packing import pack_payload
from .remote_entry import RemoteEntry
from .rerouting import no_receipt

__all__ = ["DurableOutbox", "OutboxEntry", "OutboxReceipt", "Outboxes", "outbox_of"]

PREFIX = "outbox:"
MOST_STORED = 10_000  # activities to one runtime that are committed and not accepted there yet
RETRY = 1.0  # seconds until what could not be read is read again
PLAIN = (Activity, UntrackedActivity)


def outbox_of(id: str) -> str:
    """The id that has, in the journal of a node, what waits to be sent to a runtime of another one.

    >>> outbox_of("counter")
    'outbox:counter'
    """
    return f"{PREFIX}{id}"


class OutboxReceipt(DurableReceipt, weakref=True):
    """The receipt of what a durable workflow sends to another node: `stored()` once its commit is."""

    def accept(self, error: JournalError | None) -> None:
        """The commit of who sends it is stored, or never will be. The loop's thread."""
        super().accept(error)
        if isinstance(self._entry, OutboxEntry):
            self._entry.conclude_commit(self, error)

    def add_callback(self, call: Callable[[], object]) -> None:
        """Call `call()` once it is decided, also if nobody holds it any more."""
        if self._entry is not None:
            self._entry.transport.keep(self)
        super().add_callback(call)


class OutboxRow(NamedTuple):
    """An activity in an outbox, and how it is sent."""

    activity: Activity[Any]  # without its receipt: whether anybody holds that decides whether the outcome is sent back
    item: ActivityItem
    receipt: Callable[[], Receipt | None]


class DurableOutbox(msgspec.Struct):
    """What waits to be sent to one runtime of another node.

    Attributes:
        held: What was sent by activities that are not committed, or whose commit is not stored yet, by number.
        waiting: What is stored, and is not accepted there yet, in its order.
        dead: How many of it have become dead letters since the journal has its counts.
        has_rows: Whether the journal has any row of it.
        is_read: Whether what the journal had of an earlier life of this node is among `waiting`. What is sent meanwhile
            stays behind it.
        room: For who waits until less is waiting.
    """

    held: dict[int, OutboxRow] = {}
    waiting: dict[int, OutboxRow] = {}
    dead: int = 0
    has_rows: bool = False
    is_read: bool = True
    room: Promise[Any] | None = None


class OutboxEntry(RemoteEntry):
    """A runtime on another node, as those see it that send from a node with a journal. Any thread.

    What a durable workflow sends is part of its commit. What it waits for, and what others send, leaves at once.

    Args:
        transport: What reaches its node.
        id: Its id.
        outboxes: Those of this node.
    """

    state = None

    def __init__(self, transport: Any, id: str, outboxes: Outboxes) -> None:
        super().__init__(transport, id)
        self._outboxes = outboxes

    def send_nowait(self, payload: Any, priority: bool = False, **options: Any) -> Receipt:
        """Have it delivered, after the commit of the workflow that sends it. Contract: `Runtime.send_nowait`."""
        sender = find_sender(self._outboxes.storage)
        if sender is None:
            return super().send_nowait(payload, priority, **options)
        return self._outboxes.hold(self, sender, Offer.of(payload, priority, **options))

    async def send(
        self, payload: Any, *, wait: float | None = None, check: Callable[[], object] | None = None, **options: Any
    ) -> Receipt:
        """Do what `send_nowait` does, and wait for room in the outbox. Contract: `Runtime.send`."""
        sender = find_sender(self._outboxes.storage)
        if sender is None:
            return await super().send(payload, wait=wait, check=check, **options)
        if check is not None:
            check()
        offer = Offer.of(payload, **options)
        while True:
            try:
                return self._outboxes.hold(self, sender, offer)
            except MailboxFullError:
                if wait == 0 or not await self._outboxes.wait_for_room(self, wait):
                    raise

    async def ask(self, payload: Any, **options: Any) -> Any:
        """Send at once, and wait until it is done. Contract: `Runtime.ask`."""
        with at_once():
            return await super().ask(payload, **options)

    def run_inline(self, promise: Any) -> None:
        """Send what the workflow that runs waits for at once: it would wait for its own commit."""
        sender = CURRENT.get()
        if isinstance(sender, DurableEntry):
            sender.release(promise)

    # ---- what the commit of a sender does, see `Recipient`

    def put_last(self, activity: Activity[Any], accepted: Accepted) -> Accepted:
        """What is stored of it with the commit."""
        return accepted

    def receive(self, activity: Activity[Any], again: bool) -> None:
        """It is sent once its commit is stored, not before: see `conclude_commit`."""

    def accept_now(self, held: Held) -> None:
        """Send it before the commit: its sender waits for it."""
        self._outboxes.send_now(self, held.activity.receipt)

    def forget_key(self, key: str) -> None:
        """No key is remembered here."""

    def conclude_commit(self, receipt: OutboxReceipt, error: JournalError | None) -> None:
        """The commit is stored: send it. Or it never will be: it was never sent. The loop's thread."""
        self._outboxes.conclude(self, receipt, error)


class Outboxes:
    """The outboxes of one node. The loop's thread, unless a method says otherwise.

    Args:
        host: The manager of the node.
        courier: What sends.
        storage: The journal of the node.
        unsent: Where those are put in which there is something, by the id of the runtime.
    """

    def __init__(self, host: Any, courier: Any, storage: Storage, unsent: dict[str, DurableOutbox]) -> None:
        self.storage = storage
        self._host = host
        self._courier = courier
        self._unsent = unsent
        self._find_rows()

    # ---- until the commit: any thread

    def hold(self, entry: OutboxEntry, sender: DurableEntry[Any, Any], offer: Offer) -> Receipt:
        """Keep what a workflow sends until it is committed.

        Raises:
            MailboxFullError: Too much waits to be sent to that runtime.
            JournalError: It can't be stored, or nothing can.
            ConfigurationError: It can't be sent to another node.
        """
        self.storage.check_writable(entry.id)
        self.storage.journal.check(offer.template.payload, "the payload")
        packed = _pack(offer.template)
        cause: Any = sender.current
        with self._host.lock:
            box = self._open(entry.id)
            if len(box.waiting) >= MOST_STORED:
                raise MailboxFullError(
                    f"{MOST_STORED:,} activities wait in the outbox of {self._host.node!r} to be sent to {entry.id!r}; "
                    "await send() instead, which waits",
                    runtime=entry.id,
                )
            receipt = OutboxReceipt(entry, None, None, self._host.number(), False)
            activity = _make_activity(receipt, sender.id, cause, offer, self._host.clock.now())
            item = _make_item(entry.id, activity, packed)
            item.key = offer.key  # the key of its row is for what is committed
            stored = msgspec.structs.replace(activity, receipt=None)
            box.held[receipt.id] = OutboxRow(stored, item, weakref.ref(receipt))
            sender.outbox.append(Held(entry, activity, Accepted(activity=activity)))
        return receipt

    async def wait_for_room(self, entry: OutboxEntry, wait: float | None) -> bool:
        """Wait until less waits to be sent to a runtime; False after `wait` real seconds."""
        with self._host.lock:
            box = self._unsent.get(entry.id)
            if box is None or len(box.waiting) < MOST_STORED:
                return True
            box.room = room = box.room or Promise(entry)
        try:
            async with asyncio.timeout(wait):
                await room.wait()
        except TimeoutError:
            return False
        return True

    def send_now(self, entry: OutboxEntry, receipt: OutboxReceipt) -> None:
        """Send what its sender waits for, without the outbox. Its receipt is stored once it is so on the other node."""
        box = self._unsent[entry.id]
        accepted = Promise[Any](entry)
        accepted.add_callback(lambda: receipt.accept(_error_of(accepted)))
        self._courier.forward(box.held[receipt.id].item, accepted, receipt)
        with self._host.lock:
            del box.held[receipt.id]
            self._close_if_over(entry.id, box)

    # ---- from the commit on

    def conclude(self, entry: OutboxEntry, receipt: OutboxReceipt, error: JournalError | None) -> None:
        """The commit of what was held is stored: send it; or it never will be. Doing it twice changes nothing."""
        box = self._unsent.get(entry.id)
        unsent = None if box is None else box.held.get(receipt.id)
        if box is None or unsent is None:
            return
        if error is None:
            box.waiting[receipt.id], box.has_rows = unsent, True
            if box.is_read:
                self._forward(entry, unsent)
        with self._host.lock:
            box.held.pop(receipt.id, None)
            self._close_if_over(entry.id, box)

    def _forward(self, entry: RemoteEntry, unsent: OutboxRow) -> None:
        activity, item, receipt = unsent
        item.is_stored, item.key = True, activity.key
        if activity.not_before is not None:
            item.delay = max(0.0, activity.not_before - self._host.clock.now())
        accepted = Promise[Any](entry)
        accepted.add_callback(lambda: self._conclude_send(entry.id, item.number, _error_of(accepted)))
        try:
            self._courier.forward(item, accepted, receipt())
        except AgentError as error:  # there is no node for it
            accepted._decide(error)

    def _conclude_send(self, id: str, number: int, error: AgentError | None) -> None:
        """The other node has accepted and stored it, or refuses it for good: it is not sent again."""
        box = self._unsent.get(id)
        if box is None or number not in box.waiting or isinstance(error, ManagerClosedError):
            return  # where this manager ends, the next one sends it again
        activity = box.waiting[number].activity
        with suppress(JournalError):  # the node was taken over: it is the new owner who has the row, and sends it again
            if error is not None:
                self._bury(box, activity, error)
            elif not (len(box.waiting) == 1 and _is_over(box, but=number)):  # else `Removed` says it
                self._store(Committed(runtime=outbox_of(id), activity=number, at=self._host.clock.now()))
        with self._host.lock:
            box.waiting.pop(number, None)
            room, box.room = box.room, None
            self._close_if_over(id, box)
        if room is not None:
            room._decide(True)

    def _bury(self, box: DurableOutbox, activity: Activity[Any], error: AgentError) -> None:
        """It can't be delivered: it is a dead letter of this node, with the reason."""
        box.dead += 1
        reason = f"{activity.runtime.removeprefix(PREFIX)!r} on another node did not take it: {describe_error(error)}"
        at = self._host.clock.now()
        self._store(Committed(runtime=activity.runtime, activity=activity.id, fate="dead", at=at, error=reason))
        self._host.count_dead_sends(1)
        self._host.dead_letter(activity, reason)
        self._host.note_dead_send(activity, error)

    def _close_if_over(self, id: str, box: DurableOutbox) -> None:
        """Let go of an outbox in which there is nothing. The lock is held."""
        if not _is_over(box) or self._unsent.get(id) is not box:
            return
        if box.has_rows:
            counts = {"accepted": box.dead, "dead": box.dead} if box.dead else {}
            with suppress(JournalError):  # see `_conclude_send`
                self._store(Removed(runtime=outbox_of(id), counts=counts))
        del self._unsent[id]

    def _open(self, id: str) -> DurableOutbox:
        found = self._unsent.get(id)
        return self._unsent.setdefault(id, DurableOutbox()) if found is None else found

    def _store(self, write: Write) -> None:
        self.storage.append(write)

    # ---- what an earlier life of this node has left

    def _find_rows(self) -> None:
        for id in self.storage.journal.ids():
            stored = self.storage.journal.find(id) if id.startswith(PREFIX) else None
            if stored is not None and stored.created is None and stored.counts:  # else it has dead letters only
                dead = stored.counts.get("dead", 0)
                self._unsent[id.removeprefix(PREFIX)] = DurableOutbox(dead=dead, has_rows=True, is_read=False)
                self.storage.forget(id)
                self._host.count_dead_sends(dead)

    def resume_sending(self) -> None:
        """Send what an earlier life has left. What can't be read, as a class is not here yet, is read again later."""
        unread = [(id, box) for id, box in self._unsent.items() if not box.is_read]
        for id, box in unread:
            try:
                found = [each.activity for each in self.storage.journal.waiting(outbox_of(id))]
            except JournalError:
                continue
            box.is_read = True
            self._send_all(id, box, found)
        if not self._host.closed and any(not box.is_read for _, box in unread):
            self._host.loop.call_later(RETRY, self.resume_sending)

    def _send_all(self, id: str, box: DurableOutbox, stored: Iterable[Activity[Any]]) -> None:
        """Send what the journal had first, then what was committed since."""
        entry, since = self._host.remote_entry(id), box.waiting
        older = [each for each in stored if each.id not in since and each.id not in box.held]
        box.waiting = {each.id: OutboxRow(each, _make_item(id, each, None), no_receipt) for each in older} | since
        for unsent in tuple(box.waiting.values()):
            try:
                if unsent.item.number not in since:
                    unsent.item.payload = _pack(unsent.activity)
            except AgentError as error:  # it could be sent when it was stored: the code is another one now
                self._conclude_send(id, unsent.item.number, error)
            else:
                self._forward(entry, unsent)
        with self._host.lock:
            self._close_if_over(id, box)

    def has_from(self, sender: str) -> bool:
        """Whether something waits to be sent that this runtime has sent."""
        with self._host.lock:
            every = [each for box in self._unsent.values() for each in (*box.held.values(), *box.waiting.values())]
        return any(each.activity.source == sender for each in every)


def _make_activity(receipt: Receipt, sender: str, cause: Activity[Any], offer: Offer, now: float) -> Activity[Any]:
    """The activity of an offer, as it is stored in the outbox."""
    return msgspec.structs.replace(
        offer.template,
        id=receipt.id,
        runtime=outbox_of(receipt.runtime),
        lane=offer.lane,
        created=now,
        timeout=offer.timeout,
        not_before=offer.due(now),
        source=sender,
        parent=cause.id,
        correlation=cause.correlation or receipt.id,
        key=f"{cause.id}.{receipt.id}" if offer.key is None else offer.key,
        receipt=receipt,
    )


def _pack(activity: Activity[Any]) -> bytes | float | None:
    """What is sent of an activity; one of a class of its own goes as a whole."""
    return pack_payload(
        activity.payload if type(activity) in PLAIN else msgspec.structs.replace(activity, receipt=None)
    )


def _make_item(id: str, activity: Activity[Any], payload: bytes | float | None) -> ActivityItem:
    """How an activity is sent."""
    return ActivityItem(
        activity.id,
        id,
        payload,
        activity.lane is Lane.PRIORITY,
        activity.timeout,
        None,
        activity.key,
        activity.source,
        activity.parent,
        activity.correlation,
    )


def _is_over(box: DurableOutbox, but: int | None = None) -> bool:
    """Whether nothing is in an outbox, but for the activity of this number."""
    return box.is_read and not box.held and all(number == but for number in box.waiting)


def _error_of(accepted: Promise[Any]) -> Any:
    return None if accepted.value is True else accepted.value
