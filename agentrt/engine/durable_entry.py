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
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from ..activity import Activity, Lane
from ..errors import AgentError, JournalError, MailboxFullError
from ..events import Fate, Outcome
from ..journal import UNCHANGED, Accepted, Changed, Committed, StoredWhole
from ..limits import Limits
from ..logs import log_safely
from ..receipt import DECIDED, Promise, Receipt, clear_field
from ..schema.preview import preview
from .admission import deliver
from .deadlock import CURRENT
from .durable_receipt import Commit, DurableReceipt, Held, settle_acceptance
from .effects import Effects
from .entry import TURNS, RuntimeEntry, always
from .failure import attempt, commit, decide_fate, handle_failure, refusal
from .handoff import Driver, wait_for_wakeup, yield_to_loop
from .isolation import user_function
from .protocols import Host
from .storage import Storage
from .stored_settings import fingerprint, pack_limits
from .workflow import Workflow

__all__ = ["DurableEntry"]

S = TypeVar("S")
P = TypeVar("P")
logger = logging.getLogger(__name__)
RETRY = 0.05  # real seconds between two looks whether writing works again

# Whether what the running code sends is stored at once, as it waits for the answer.
AT_ONCE: ContextVar[bool] = ContextVar("agentrt_at_once", default=False)


class DurableEntry(RuntimeEntry[S, P], Generic[S, P]):
    """A runtime entry that writes to the journal of its manager."""

    __slots__ = (
        "attempts", "code", "commits", "effects", "given", "outbox", "places", "resumed", "storage", "stored_state",
        "whole",
    )  # fmt: skip

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits, storage: Storage) -> None:
        self.storage = storage
        self.resumed = False
        self.code = ""  # what tells one version of its workflow from another
        self.given = limits  # what the code says; the limits may have been changed since
        self.stored_state: Any = UNCHANGED
        self.whole: StoredWhole | None = None  # what it will go on from, while nobody has created it
        self.outbox: list[Held] = []
        self.commits: dict[int, Commit] = {}
        self.attempts: dict[int, tuple[int, float | None]] = {}  # of what has failed before
        self.places: dict[int, float] = {}  # of what was moved in its lane
        super().__init__(host, id, state, workflow, limits)
        self.effects = Effects(self)

    # ---- going on from a journal: the lock is held

    def remember_state(self, state: Any) -> None:
        """The journal has this state."""
        self.stored_state = state

    def restore(self, state: S, failures: Iterable[float], failed: bool, paused: bool) -> None:
        """Go on from what was stored of it."""
        super().restore(state, failures, failed, paused)
        self.resumed = True

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
        return self._send_with_checks(payload, priority, timeout, delay, key)

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
        if self._sender() is None:
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
            return (await receipt).value
        with self.register_wait(), at_once():  # before it is sent: what can't be waited for is not left behind
            receipt = await super().send(payload, **options)
        return (await receipt).value

    def run_inline(self, promise: Any) -> None:
        """Nothing is run in the turn of who waits; what it has sent itself is stored now, as it waits for that."""
        sender = CURRENT.get()
        if not isinstance(sender, DurableEntry):
            return
        for held in tuple(sender.outbox):
            if held.activity.receipt is promise:
                sender.outbox.remove(held)
                held.entry.accept_now(held)

    def new_receipt(self, number: int) -> DurableReceipt:
        """The receipt of a new activity."""
        return DurableReceipt(self, None, None, number)

    def register(self, activity: Activity[Any], key_until: float | None) -> bool:
        """Store an activity that is accepted, or keep it in the outbox of who sends it. The lock is held."""
        storage = self.storage
        storage.check_writable(self.id)
        activity.receipt._acceptance = Promise(self)
        held = Held(self, activity, Accepted(activity=activity, key_until=key_until))
        sender = self._sender()
        if sender is None:
            storage.append(held.accepted, then=partial(settle_acceptance, activity.receipt), more=True)
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
            accepted = self._put_last(held.activity, held.accepted)
            self.storage.append(accepted, then=lambda error: settle_acceptance(receipt, error))
            deliver(self, held.activity)

    def _sender(self) -> DurableEntry[Any, Any] | None:
        """The runtime whose workflow sends, if it is committed to the same journal."""
        sender = CURRENT.get()
        if isinstance(sender, DurableEntry) and sender.storage is self.storage and not AT_ONCE.get():
            return sender if sender.current is not None else None
        return None

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
        clock = self.host.clock
        self.started = started = clock.now()
        limit = activity.timeout or self.timeout
        try:
            await self._wait_for_retry(activity)
            self.deadline = math.inf if limit is None else self.host.deadlines.arm(clock.now() + limit)
            new, reply = await attempt(self, activity)
        except BaseException as error:
            await handle_failure(self, activity, error, started)
        else:
            commit(self, activity, started, new, reply, 1 + self.count_attempts(activity))

    async def _wait_for_retry(self, activity: Activity[Any]) -> None:
        """What had failed before the restart is tried again when it would have been."""
        not_before = self.attempts.get(activity.id, (0, None))[1]
        if not_before is not None and not_before > self.host.clock.now():
            self.deadline = math.inf
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
        self.set_deadline(math.inf)
        while self.storage.journal.error is not None:
            await asyncio.sleep(RETRY)
        # Remembered first: whatever exception comes from outside while it is handed over, it is committed.
        made = self.commits[activity.id] = Commit(new, reply, tuple(self.outbox))
        try:
            self._hand_over(activity, made)
        except AgentError:  # it can't be stored
            del self.commits[activity.id]
            raise
        except BaseException as error:
            log_safely(logger, "%r was interrupted while it was stored, and is stored", activity, error=error)
            self._hand_over(activity, made)  # if it was, the journal ignores the second one

    def _hand_over(self, activity: Activity[Any], made: Commit) -> None:
        self.storage.append(
            Committed(
                runtime=self.id,
                activity=activity.id,
                at=self.host.clock.now(),
                state=made.new,
                reply=made.reply,
                sent=tuple(each.entry._put_last(each.activity, each.accepted) for each in made.sent),
            ),
            then=made.note,
        )
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
        """Decide the receipt of an activity once that is stored."""
        receipt: Any = activity.receipt
        if receipt is DECIDED:
            return
        clear_field(activity, "receipt", DECIDED)
        self.attempts.pop(activity.id, None)
        self.places.pop(activity.id, None)
        self.effects.forget(activity.id)
        made = self.commits.pop(activity.id, None)
        if made is not None:
            made.settle(receipt, outcome)
            self._deliver(made.sent)
        elif self.host.closed and outcome.kind in (Fate.TERMINATED.value, Fate.DEAD.value):
            receipt._decide(outcome)  # in the journal it waits, for the next manager
        else:
            self._store_fate(activity, receipt, outcome)

    def _store_fate(self, activity: Activity[Any], receipt: DurableReceipt, outcome: Outcome) -> None:
        if outcome.started is not None:  # else it has not run, and what another has sent meanwhile stays
            self._discard_outbox()
        made = Commit()
        accepted = () if receipt._acceptance is not None else (Accepted(activity=activity),)  # dropped at the lane
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

    def _deliver(self, sent: tuple[Held, ...]) -> None:
        """Put what was sent where it goes, after the commit; with the dead letters, if that has ended meanwhile."""
        for held in sent:
            entry, activity = held.entry, held.activity
            with entry.host.lock:
                if not entry.closed:
                    deliver(entry, activity)
                    continue
                entry.accept(activity)
                decide_fate(entry, activity, Fate.DEAD, None, error=refusal(entry))
                entry.dead_letter(activity, "its runtime was terminated")

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
            settle_acceptance(activity.receipt, error)
            activity.receipt._decide(dropped)

    def fault(self, error: BaseException) -> None:
        """Go on after something that is not the workflow's went wrong. What is committed stays so."""
        if self.current is not None:
            self.finish_result(self.current, self.started, 1)
        super().fault(error)

    # ---- settings: the lock is held

    def supervision(self) -> dict[str, Any]:
        """What the supervisor has counted, as plain data."""
        return {"failures": list(self.failures or ()), "failed": self.failed}

    def pause(self) -> None:
        """Take nothing more after the current activity."""
        super().pause()
        self._change(paused=True)

    def resume(self) -> None:
        """Go on after a pause."""
        super().resume()
        self._change(paused=False)

    def stop(self) -> None:
        """Take no more activities: status FAILED."""
        super().stop()
        self._change(supervision=self.supervision())

    def recover(self) -> None:
        """Take activities again."""
        super().recover()
        self._change(supervision=self.supervision())

    def reset(self, state: S) -> None:
        """Begin again from a state."""
        super().reset(state)
        self.stored_state = state
        self._change(state=state, supervision=self.supervision())

    def configure(self, workflow: Workflow, limits: Limits) -> None:
        """Use another workflow or other limits, from the next activity on."""
        super().configure(workflow, limits)
        code = fingerprint(user_function(workflow.call))
        if self.code not in ("", code):
            self._change(workflow=code)
        self.code = code

    def change_limits(self, limits: Limits) -> None:
        """Use other limits from now on."""
        super().change_limits(limits)
        self._change(limits=pack_limits(self.given, limits))

    def store_again(self, activity: Activity[Any]) -> None:
        """Note that a waiting activity was changed or moved."""
        rank = self._place(activity)
        self.storage.append(Accepted(activity=activity, rank=rank))

    def note_due(self, activity: Activity[Any]) -> None:
        """Note that a delayed activity has joined its lane, behind what has come meanwhile."""
        if not self.host.closed:
            self.storage.append(self._put_last(activity, Accepted(activity=activity)))

    def _put_last(self, activity: Activity[Any], accepted: Accepted) -> Accepted:
        """What is stored of an activity that joins the end of its lane some time after it got its id."""
        rank = self.places[activity.id] = float(self.host.number())
        return msgspec.structs.replace(accepted, rank=rank)

    def _place(self, activity: Activity[Any]) -> float | None:
        """A number between those of its neighbours in the lane; None where its id says where it is."""
        items = list(self.mailbox.lane(activity.lane))
        at = next((i for i, each in enumerate(items) if each.id == activity.id), None)
        if at is None:
            return self.places.get(activity.id)
        before, after = items[at - 1] if at else None, items[at + 1] if at + 1 < len(items) else None
        low = -math.inf if before is None else self._rank(before)
        high = math.inf if after is None else self._rank(after)
        own = self._rank(activity)
        if not low < own < high:
            self.places[activity.id] = float(self.host.number()) if math.isinf(high) else _between(low, high)
        return self.places.get(activity.id)

    def _rank(self, activity: Activity[Any]) -> float:
        return self.places.get(activity.id, float(activity.id))

    def _change(self, **settings: Any) -> None:
        """Have a setting stored, unless the whole manager ends."""
        if not self.host.closed:
            self.storage.append(Changed(runtime=self.id, **settings))


def _between(low: float, high: float) -> float:
    return high - 1 if math.isinf(low) else (low + high) / 2


@contextmanager
def at_once() -> Iterator[None]:
    """What is sent in here is stored before the commit of who sends it."""
    token = AT_ONCE.set(True)
    try:
        yield
    finally:
        AT_ONCE.reset(token)
