"""DurableEntry: a runtime whose activities and states are in a journal before anybody hears of them.

It processes as any other does, in the order of its mailbox, and goes on while the disk writes: the journal stores in
the order in which it is written to, so that what is stored is always a beginning of what happened. Receipts are decided
once the commit of their activity is stored. What a workflow sends waits in its outbox, and is stored with its commit.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, Generic, TypeVar

from ..activity import Activity, Lane
from ..errors import AgentError, JournalError, MailboxFullError
from ..events import Fate, Outcome
from ..journal import UNCHANGED, Accepted, Committed, StoredWhole
from ..limits import Limits
from ..logs import log_safely
from ..receipt import DECIDED, Promise, Receipt, UntrackedReceipt, clear_field
from ..schema.preview import preview
from .admission import deliver
from .deadlock import CURRENT
from .durable_receipt import Commit, DurableReceipt, Held, UntrackedDurableReceipt
from .durable_settings import DurableSettings
from .effects import Effects
from .entry import TURNS, always
from .failure import attempt, commit, decide_fate, handle_failure, refusal
from .handoff import Driver, wait_for_wakeup, yield_to_loop
from .protocols import Host
from .storage import Storage
from .workflow import Workflow

__all__ = ["DurableEntry", "at_once", "find_sender"]

S = TypeVar("S")
P = TypeVar("P")
logger = logging.getLogger(__name__)
PRIORITY, STANDARD = Lane.PRIORITY, Lane.STANDARD
RETRY = 0.05  # real seconds between two looks whether writing works again

# Whether what the running code sends is stored at once, as it waits for the answer.
AT_ONCE: ContextVar[bool] = ContextVar("agentrt_at_once", default=False)


class DurableEntry(DurableSettings[S, P], Generic[S, P]):
    """A runtime entry that writes to the journal of its manager."""

    decides_later = True

    __slots__ = ("attempts", "commits", "effects", "outbox", "resumed", "whole")

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits, storage: Storage) -> None:
        self.resumed = False
        self.whole: StoredWhole | None = None  # what it will go on from, while nobody has created it
        self.outbox: list[Held] = []
        self.commits: dict[int, Commit] = {}
        self.attempts: dict[int, tuple[int, float | None]] = {}  # of what has failed before
        super().__init__(host, id, state, workflow, limits, storage)
        self.effects = Effects(self)

    # ---- going on from a journal: the lock is held

    def remember_state(self, state: Any) -> None:
        """The journal has this state."""
        self.stored_state = state

    def restore(self, state: S, failures: Iterable[float], failed: bool, paused: bool) -> None:
        """Go on from what was stored of it."""
        super().restore(state, failures, failed, paused)
        self.resumed = True

    def _choose_classes(self) -> None:
        super()._choose_classes()
        self.receipt_class = UntrackedDurableReceipt if self.receipt_class is UntrackedReceipt else DurableReceipt

    def share_counts(self) -> None:
        """Of what was accepted, count in the priority lane what waits there."""
        n = self.mailbox.depth[0]
        self.accepted_priority, self.accepted_standard = n, self.accepted - n

    def past_receipt(self, id: int) -> DurableReceipt:
        """The receipt of an activity that was done before the restart; of its outcome the time and state are of now."""
        receipt, now = self.new_receipt(id), self.host.clock.now()
        receipt.value = Outcome(self.host.number(), id, self.id, False, "done", now, None, now, self.state)
        receipt._entry = None
        return receipt

    # ---- sending: any thread

    def send_nowait(
        self,
        payload: P | Activity[P],
        priority: bool = False,
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Accept one activity, or raise. Contract: `Runtime.send_nowait`."""
        is_plain = timeout is None and delay is None and key is None and CURRENT.get() is None
        if type(payload) is not self.exact or not is_plain:
            return self._send_with_checks(payload, priority, timeout, delay, key)
        host, mailbox, storage = self.host, self.mailbox, self.storage
        with host.lock:
            lane, items, limit = (
                (PRIORITY, mailbox.priority, mailbox.fast_limit_priority)
                if priority
                else (STANDARD, mailbox.standard, mailbox.fast_limit_standard)
            )
            if len(items) >= limit or storage.journal.error is not None:
                return self._send_with_checks(payload, priority, timeout, delay, key)
            number = next(host.counter)
            receive: Any = self.receipt_class  # of durable receipts here
            receipt: DurableReceipt = receive(self, None, None, number, False)
            activity = self.activity_class(
                number, self.id, payload, lane, host.clock.now(), None, None, None, None, number, None, receipt
            )
            storage.append(Accepted(activity=activity), then=receipt.accept)
            try:
                self.enqueue(activity)
            except BaseException:
                self.complete_send(activity)
                raise
        return receipt

    async def send(
        self,
        payload: P | Activity[P],
        *,
        wait: float | None = None,
        check: Callable[[], object] = always,
        **options: Any,
    ) -> Receipt:
        """Accept one activity, and wait until it is stored. Contract: `Runtime.send`."""
        receipt = await super().send(payload, wait=wait, check=check, **options)
        if find_sender(self.storage) is None:
            await receipt.stored()
        return receipt

    async def ask(self, payload: P | Activity[P], **options: Any) -> Any:
        """Send and wait until it is done. Contract: `Runtime.ask`."""
        if CURRENT.get() is None:
            try:
                receipt = self.send_nowait(payload) if not options else await super().send(payload, **options)
            except MailboxFullError as full:
                if options:
                    raise
                receipt = await self._wait_for_room(full, payload, None, options)
            self.run_inline(receipt)
            if receipt.value is None and self.current is None and not len(self.mailbox):
                self.storage.flush_if_alone()
            if receipt.value is None:
                await receipt.wait()
            return (await receipt).value
        with self.register_wait(), at_once():  # before it is sent: what can't be waited for is not left behind
            receipt = await super().send(payload, **options)
        return (await receipt).value

    def run_inline(self, promise: Any) -> None:
        """Run it as `RuntimeEntry.run_inline`; what a workflow has sent that waits for it is stored first."""
        sender = CURRENT.get()
        if sender is None:
            if promise.id not in self.commits:
                super().run_inline(promise)
            return
        if isinstance(sender, DurableEntry):
            sender.release(promise)

    def release(self, promise: Any) -> None:
        """Store and deliver now what the activity that runs has sent, as it waits for it."""
        for held in tuple(self.outbox):
            if held.activity.receipt is promise:
                self.outbox.remove(held)
                held.entry.accept_now(held)

    def new_receipt(self, number: int) -> DurableReceipt:
        """The receipt of a new activity."""
        return DurableReceipt(self, None, None, number)

    def register(self, activity: Activity[Any], key_until: float | None) -> bool:
        """Store an activity that is accepted, or keep it in the outbox of who sends it. The lock is held."""
        storage = self.storage
        storage.check_writable(self.id)
        receipt = activity.receipt
        receipt._stored = False
        held = Held(self, activity, Accepted(activity=activity, key_until=key_until))
        sender = find_sender(storage)
        if sender is None:
            storage.append(held.accepted, then=receipt.accept)
            return True
        storage.journal.check(activity.payload, "the payload")
        sender.outbox.append(held)
        if activity.key is not None and key_until is not None:
            self.remember_key(activity.key, key_until, activity.receipt)
        return False

    def accept_now(self, held: Held) -> None:
        """Store and deliver what was in an outbox, before the commit of who sent it."""
        receipt = held.activity.receipt
        with self.host.lock:
            accepted = self.put_last(held.activity, held.accepted)
            self.storage.append(accepted, then=receipt.accept)
            deliver(self, held.activity)

    def receive(self, activity: Activity[Any], again: bool) -> None:
        """Deliver what a workflow has sent; to the dead letters, if this has ended meanwhile. The lock is held.

        Args:
            activity: What was sent, and is stored with the commit of its sender.
            again: Whether this was interrupted before, and may be done.
        """
        if self.closed:
            self.accept(activity)
            decide_fate(self, activity, Fate.DEAD, None, error=refusal(self))
            self.dead_letter(activity, "its runtime was terminated")
        elif not (again and self.has(activity)):
            deliver(self, activity)

    # ---- processing: the loop's thread only

    async def _loop(self, driver: Driver) -> None:
        """Take, run, commit, as `RuntimeEntry._loop`."""
        CURRENT.set(self)
        base, clock = copy_context(), self.host.clock
        while True:
            slice_end = self._begin_slice(driver)
            for _ in TURNS:
                activity = self._take()
                if activity is None:
                    if self._ends():
                        return
                    if not self.scheduled:
                        await wait_for_wakeup()
                    break
                await self._process(activity)
                if driver.task.is_cancelled_once or driver.variables != base or self.closed:
                    return self._renew()
                if clock.now() > slice_end:
                    break
            if activity is not None:
                self.end_slice()
                await yield_to_loop()

    def _take(self) -> Activity[Any] | None:
        """The next activity, which is the current one then; None if nothing may be taken."""
        self.current = None
        while True:
            lane: Any = None if self.held and not self._may_step() else self.mailbox.next_lane()
            if lane is None:
                return None
            try:
                self.current = lane[0]
                self.current = lane.popleft()
            except IndexError:  # another thread has dropped it
                continue
            if self.mailbox.senders:
                self._admit_waiting()
            return self.current

    async def _process(self, activity: Activity[Any]) -> None:
        """Run the workflow, and commit what it comes to."""
        self.started = started = self.host.clock.now()
        self.deadline = math.inf
        try:
            if self.attempts:
                await self._wait_for_retry(activity)
            new, reply = await attempt(self, activity)
        except BaseException as error:
            await handle_failure(self, activity, error, started)
        else:
            self._commit(activity, started, new, reply)

    def _commit(self, activity: Activity[Any], started: float, new: Any, reply: Any) -> None:
        """The success of a first attempt. Whatever interrupts it, `fault` completes it."""
        host, urgent, attempts = self.host, activity.lane is PRIORITY, 1
        if self.attempts:
            attempts += self.count_attempts(activity)
        created, finished = activity.created, host.clock.now()
        outcome = Outcome(
            host.number(), activity.id, self.id, urgent, "done", created, started, finished, new, reply, None, attempts
        )
        host.record(outcome)
        self.commit(new)
        self.count(Fate.DONE)
        self.record_times(activity, started, finished)
        self.decide(activity, outcome)
        self.finish(activity)

    async def _wait_for_retry(self, activity: Activity[Any]) -> None:
        """What had failed before the restart is tried again when it would have been."""
        not_before = self.attempts.get(activity.id, (0, None))[1]
        if not_before is not None and not_before > self.host.clock.now():
            await self.host.sleep(not_before - self.host.clock.now())

    def count_attempts(self, activity: Activity[Any]) -> int:
        """How often an activity was tried before the restart."""
        return self.attempts.get(activity.id, (0, None))[0]

    def store_retry(self, activity: Activity[Any], not_before: float) -> None:
        """Note that an activity has failed and is tried again. What it has sent is forgotten."""
        self._discard_outbox()
        at = self.host.clock.now()
        self.storage.append(Committed(runtime=self.id, activity=activity.id, fate=None, at=at, not_before=not_before))

    async def store_result(self, activity: Activity[Any], new: Any, reply: Any) -> None:
        """Hand the journal what an activity has come to. While nothing can be written, wait with it."""
        self.deadline = math.inf
        while self.storage.journal.error is not None:
            await asyncio.sleep(RETRY)
        # Remembered first: whatever exception comes from outside while it is handed over, it is committed.
        made = self.commits[activity.id] = Commit(
            new, reply, self.outbox, tuple(held.activity.receipt for held in self.outbox) if self.outbox else ()
        )
        try:
            self._hand_over(activity, made)
        except AgentError:  # it can't be stored
            del self.commits[activity.id]
            raise
        except BaseException as error:
            log_safely(logger, "%r was interrupted while it was stored, and is stored", activity, error=error)
            self._hand_over(activity, made)  # if it was, the journal ignores the second one

    def _hand_over(self, activity: Activity[Any], made: Commit) -> None:
        sent = tuple(each.entry.put_last(each.activity, each.accepted) for each in made.sent) if made.sent else ()
        committed = Committed(
            runtime=self.id, activity=activity.id, at=self.host.clock.now(), state=made.new, reply=made.reply, sent=sent
        )
        self.storage.append(committed, then=made.note)
        if self.question is not None and self.question.asks == activity.id:
            self._change(paused=True)  # now, and not at the next look: the process may end before
        self.stored_state, self.outbox = made.new, []

    def finish_result(self, activity: Activity[Any], started: float, attempts: int) -> bool:
        """Commit what was handed over before an exception came from outside; whether anything was."""
        made = self.commits.get(activity.id)
        if made is not None:
            commit(self, activity, started, made.new, made.reply, attempts)
        return made is not None

    # ---- fates

    def dead_letter(self, activity: Activity[Any], reason: str) -> None:
        """Put what will not be processed with the dead letters; not what the next manager will process."""
        if not self.host.closed:
            super().dead_letter(activity, reason)

    def explain_end(self, activity: Activity[Any]) -> str:
        """Why an activity will not be processed, or not by this manager."""
        if not self.host.closed:
            return super().explain_end(activity)
        return (
            f"the manager was closed before activity {activity.id} of {self.id!r} was done: it is in the journal, and "
            f"is processed when {self.id!r} is created again"
        )

    def decide(self, activity: Activity[Any], outcome: Outcome) -> None:
        """Decide the receipt of an activity once that is stored. Doing it twice changes nothing."""
        receipt: Any = activity.receipt
        if receipt is DECIDED:
            return
        made = self.commits.get(activity.id)
        if made is not None:
            made.settle(receipt, outcome)
            if made.sent:
                self._deliver(made)
        elif self.host.closed and outcome.kind in (Fate.TERMINATED.value, Fate.DEAD.value):
            receipt.expect(self)
            receipt._decide(outcome)  # in the journal it waits, for the next manager
        else:
            self._store_fate(activity, receipt, outcome)
        if self.attempts or self.places:
            self.attempts.pop(activity.id, None)
            self.places.pop(activity.id, None)
        self.effects.forget(activity.id)
        self.commits.pop(activity.id, None)
        clear_field(activity, "receipt", DECIDED)  # last: what is interrupted before is done again

    def decide_end(self, ended: Promise[bool]) -> None:
        """Tell who waits for its end once all that came before is stored, and its receipts are decided."""
        if self.host.closed:
            ended._decide(True)
        else:
            self.storage.append(then=lambda _: ended._decide(True))

    def _store_fate(self, activity: Activity[Any], receipt: DurableReceipt, outcome: Outcome) -> None:
        if outcome.started is not None:  # else it has not run, and what another has sent meanwhile stays
            self._discard_outbox()
        made = Commit()
        accepted = () if receipt._stored is not None else (Accepted(activity=activity),)  # dropped at the lane
        error = outcome.error
        committed = Committed(
            runtime=self.id,
            activity=activity.id,
            fate=outcome.kind,
            at=outcome.finished,
            state=self._take_new_state(),
            error="" if error is None else preview(error, 2000),
            supervision=self.supervision(),
        )
        try:
            self.storage.append(*accepted, committed, then=made.note)
        except JournalError as refusal:
            made.note(refusal)
        made.settle(receipt, outcome)

    def _take_new_state(self) -> Any:
        """The state, if it is another than was stored last: a supervisor has begun again from the initial one."""
        if self.state is self.stored_state:
            return UNCHANGED
        self.stored_state = self.state
        return self.state

    def _deliver(self, made: Commit) -> None:
        """Put what was sent where it goes, after the commit."""
        while made.sent:
            entry, activity, _ = made.sent[0]
            again, made.is_delivering = made.is_delivering, True
            with entry.host.lock:
                entry.receive(activity, again)
            del made.sent[0]
            made.is_delivering = False

    def _discard_outbox(self) -> None:
        """What was sent by an activity that has failed was never accepted."""
        held, self.outbox = self.outbox, []
        now = self.host.clock.now()
        for entry, activity, _ in held:
            error = JournalError(
                f"it was never accepted: the activity of {self.id!r} that sent it has failed", runtime=entry.id
            )
            if activity.key is not None:
                entry.forget_key(activity.key)
            priority = activity.lane is Lane.PRIORITY
            dropped = Outcome(
                self.host.number(), activity.id, entry.id, priority, "dropped", now, None, now, entry.state, error=error
            )
            activity.receipt.accept(error)
            activity.receipt._decide(dropped)

    def fault(self, error: BaseException) -> None:
        """Go on after something that is not the workflow's went wrong. What is committed stays so."""
        activity = self.current
        if activity is not None and self.host.ring.outcome_of(activity.id) is None:
            self.finish_result(activity, self.started, 1)
        super().fault(error)


def find_sender(storage: Storage) -> DurableEntry[Any, Any] | None:
    """The runtime whose workflow sends here, if what it sends is part of its commit to this journal."""
    sender = CURRENT.get()
    if isinstance(sender, DurableEntry) and sender.storage is storage and not AT_ONCE.get():
        return sender if sender.current is not None else None
    return None


@contextmanager
def at_once() -> Iterator[None]:
    """What is sent in here is stored before the commit of who sends it."""
    token = AT_ONCE.set(True)
    try:
        yield
    finally:
        AT_ONCE.reset(token)
