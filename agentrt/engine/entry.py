"""RuntimeEntry: a state reference, a prioritized mailbox, a processing task and a workflow. The hot path is here.

The way of an activity: `send_nowait` checks it and puts it in its lane (any thread, under the manager's lock);
`_loop` takes it, runs the workflow and commits the new state (the loop's thread only). `failure.py` decides about what
did not go well, `admission.py` about full lanes, delays and keys. Its commands are in `commands.py`,
and the fields of an entry with every other change of them in `entry_state.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import copy_context
from threading import get_ident
from time import monotonic
from typing import Any, Generic, TypeVar

import msgspec

from ..activity import Activity, Lane
from ..asyncio_compat import forget_destruction
from ..context import Context
from ..errors import MailboxFullError, RuntimeTerminatedError
from ..events import Outcome
from ..limits import Limits, Overflow
from ..receipt import DECIDED, Receipt, clear_field
from ..schema.numbers import optional_seconds
from .admission import Offer, admit_waiting, check_message, check_payload, find_by_key, offer_activity, wait_for_room
from .answer import resume_on_answer, settle
from .core import twin
from .deadlock import CURRENT
from .entry_state import EntryState
from .failure import DeadlinePassed, handle_failure, handle_fault, refusal
from .handoff import SLICE, SLICE_SECONDS, Driver, ProcessingTask, wait_for_wakeup, yield_to_loop
from .mailbox import PrioritizedMailbox
from .protocols import Host
from .rate_limit import mailbox_for
from .state_check import check_state
from .workflow import Workflow

__all__ = ["RuntimeEntry"]

S = TypeVar("S")
P = TypeVar("P")

PRIORITY, STANDARD = Lane.PRIORITY, Lane.STANDARD
UNSET, INFINITY = msgspec.UNSET, math.inf
TURNS = range(SLICE)


def always() -> None:
    """Whoever holds the entry itself may send."""


class RuntimeEntry(EntryState[S, P], Generic[S, P]):
    """One runtime, as the manager holds it. People hold a `Runtime`; views draw snapshots and events."""

    __slots__ = ()

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits) -> None:
        super().__init__(host, id, state, workflow, limits)
        self.mailbox = mailbox_for(self)

    # ---- sending: any thread

    @twin
    def send_nowait(
        self,
        payload: P | Activity[P],
        priority: bool = False,  # by keyword, says the contract; held to it, a call costs 50 ns more
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Accept one activity, or raise. Contract: `Runtime.send_nowait`."""
        # The usual case in one piece: each call saved here is a tenth of what an activity costs.
        if type(payload) is not self.exact or timeout is not None or delay is not None or key is not None:
            return self._send_with_checks(payload, priority, timeout, delay, key)
        host, mailbox = self.host, self.mailbox
        cause = CURRENT.get()
        with host.lock:
            if priority:
                lane, items = PRIORITY, mailbox.priority
                if len(items) >= mailbox.fast_limit_priority:
                    return self._send_with_checks(payload, priority, timeout, delay, key)
            else:
                lane, items = STANDARD, mailbox.standard
                if len(items) >= mailbox.fast_limit_standard:
                    return self._send_with_checks(payload, priority, timeout, delay, key)
            number = next(host.counter)
            receive, make = self.receipt_class, self.activity_class
            receipt = receive(self, None, None, number)
            now = host.clock.now
            if cause is None or (parent := cause.current) is None:
                activity = make(number, self.id, payload, lane, now(), None, None, None, None, number, None, receipt)
            else:
                source, above, chain = cause.id, parent.id, parent.correlation or number
                activity = make(number, self.id, payload, lane, now(), None, None, source, above, chain, None, receipt)
            try:
                if priority:
                    self.accepted_priority += 1
                else:
                    self.accepted_standard += 1
                record = host.record  # taken out first: called as an attribute it is looked up as a method
                record(activity)
                items.append(activity)
                if not self.scheduled:
                    self.scheduled = True
                    host.wake(self)
                if host.listeners:
                    host.notify()
            except BaseException:
                self.complete_send(activity)
                raise
        return receipt

    def _send_with_checks(
        self, payload: Any, priority: bool, timeout: float | None, delay: float | None, key: str | None
    ) -> Receipt:
        """All of `send_nowait`, for what is checked, refused, dropped, delayed or remembered."""
        if type(payload) is not self.exact:
            payload = check_message(self, payload)
        offer = Offer.of(payload, priority, timeout, delay, key)
        with self.host.lock:
            earlier = find_by_key(self, offer.key)
            if earlier is not None:
                return earlier
            if self.is_refusing:
                elsewhere = self.host.elsewhere(self)
                if elsewhere is not None:
                    return elsewhere.send_nowait(payload, priority=priority, timeout=timeout, delay=delay, key=key)  # type: ignore[no-any-return]
                raise refusal(self)
            return offer_activity(self, offer)

    def check_payload(self, payload: Any) -> None:
        """Raise `ActivityValidationError` unless the workflow takes this payload."""
        check_payload(self, payload)

    # ---- sending and waiting: any loop

    async def send(
        self,
        payload: P | Activity[P],
        *,
        wait: float | None = None,
        check: Callable[[], object] = always,
        **options: Any,
    ) -> Receipt:
        """Accept one activity, waiting for room if its lane is full. Contract: `Runtime.send`.

        `check()` raises if who sends may not do so; it is called when the activity is accepted.
        """
        check()
        if wait is not None:
            wait = optional_seconds("wait", wait)
        try:
            return self.send_nowait(payload, **options)
        except MailboxFullError as full:
            return await self._wait_for_room(full, payload, wait, options, check)

    async def _wait_for_room(
        self,
        full: MailboxFullError,
        payload: Any,
        wait: float | None,
        options: dict[str, Any],
        check: Callable[[], object] = always,
    ) -> Receipt:
        if self.limits.overflow is not Overflow.WAIT or wait == 0:
            raise full
        try:
            return await wait_for_room(self, Offer.of(check_message(self, payload), **options), wait, check)
        except RuntimeTerminatedError:
            elsewhere = self.host.elsewhere(self)
            if elsewhere is None:
                raise
            return await elsewhere.send(payload, wait=wait, check=check, **options)  # type: ignore[no-any-return]

    @twin
    async def ask(self, payload: P | Activity[P], **options: Any) -> Any:
        """Send and wait until it is done. Contract: `Runtime.ask`."""
        if CURRENT.get() is not None:
            with self.register_wait():  # before it is sent: what can't be waited for is not left behind
                receipt = await self.send(payload, **options)
                self.run_inline(receipt)
                if receipt.value is None:
                    await receipt.wait()
            return (await receipt).value
        if options:
            receipt = await self.send(payload, **options)
        else:  # not through `send`: each coroutine on the way is a tenth of what an answer takes
            try:
                receipt = self.send_nowait(payload)
            except MailboxFullError as full:
                receipt = await self._wait_for_room(full, payload, None, options)
        self.run_inline(receipt)  # as `await receipt` does, without the way through its generator
        if receipt.value is None:
            await receipt.wait()
        outcome = receipt.value
        if outcome is not None and outcome.error is None:
            return outcome.state if outcome.reply is UNSET else outcome.reply
        return (await receipt).value

    @twin
    def run_inline(self, promise: Any) -> None:
        """Run the activity of a promise in the turn of who waits for it, if the runtime is idle and that one is next.

        Afterwards the promise is decided, or it is waited for as ever. Nothing is done on any thread but the agents'.
        """
        driver = self.driver
        if driver is None or not driver.open or self.held or get_ident() != self.host.thread:
            return
        lane = self.mailbox.priority or self.mailbox.standard
        if lane and lane[0].receipt is promise:
            driver.run_inline(promise, self.decides_later)

    # ---- processing: the loop's thread only

    @twin
    async def _loop(self, driver: Driver) -> None:
        """Take, run, commit; while both lanes are empty, sleep. The event loop gets a turn every `SLICE`.

        Whatever exception comes from outside between two steps of a commit, `handle_fault` finds its outcome in the
        ring and completes it.
        """
        CURRENT.set(self)
        host, mailbox, variables, task, base = self.host, self.mailbox, driver.variables, driver.task, copy_context()
        id, ids, record, is_limited = self.id, host.counter, host.record, type(mailbox) is not PrioritizedMailbox
        while True:
            clock, slice_end, finished = host.clock, self._begin_slice(driver), -math.inf
            for _ in TURNS:
                lane: Any = mailbox.standard  # most often the only one in which anything waits
                if mailbox.priority or mailbox.streak or self.held or not lane or is_limited:
                    lane = None if self.held and not self._may_step() else mailbox.next_lane()
                    if lane is None:
                        self.current = activity = taken = None  # nothing of what was done stays alive while it sleeps
                        if self._ends():
                            return
                        if not self.scheduled:
                            await wait_for_wakeup()
                        break
                try:
                    # In two steps: whatever exception comes in between, the activity is not lost.
                    self.current = activity = lane[0]
                    taken = lane.popleft()
                except IndexError:  # another thread has dropped it, to make room
                    continue
                if taken is not activity:  # the same, and there was one behind it
                    self.current = activity = taken
                if mailbox.senders:
                    self._admit_waiting()
                created = activity.created
                self.started = started = finished if finished >= created else clock.now()
                limit = activity.timeout or self.timeout
                self.deadline = INFINITY if limit is None else host.deadlines.arm(started + limit)
                try:
                    workflow = self.workflow
                    call = workflow.call
                    if workflow.takes_context:
                        context = Context(self, activity)
                        new = call(activity, self.state, context)
                    else:
                        new = call(activity, self.state)
                    if workflow.is_async:
                        self.running = new
                        new = await new
                    if type(new) is not self.exact_state:
                        new = await check_state(self, new, workflow)
                    now = clock.now  # another one if the speed was changed meanwhile
                    finished = now()
                    if finished > self.deadline and host.deadlines.is_late(self, finished):
                        raise DeadlinePassed
                except BaseException as error:
                    await handle_failure(self, activity, error, started)
                    finished = clock.now()
                else:
                    reply = context.replied if workflow.takes_context else UNSET
                    urgent = activity.lane is PRIORITY
                    result = Outcome(next(ids), activity.id, id, urgent, "done", created, started, finished, new, reply)
                    record(result)
                    self.state = new
                    self.done += 1
                    add_wait, add_service = self.priority_recorders if urgent else self.standard_recorders
                    add_wait(started - created)
                    add_service(finished - started)
                    self.in_error = False
                    receipt = activity.receipt
                    receipt.value = result
                    if receipt._waiters is not None:
                        self.wake_waiters(activity, receipt)
                    receipt._entry = None
                    clear_field(activity, "receipt", DECIDED)
                    self.current = None
                if self.question is not None:
                    resume_on_answer(self)
                if task.is_cancelled_once or variables != base or self.closed:
                    # Neither a value the workflow left in its context nor a cancellation may reach the next activity.
                    return self._renew()
                if finished > slice_end:
                    break
            if activity is not None:  # else it has slept
                if slice_end > 0 or host.listeners:
                    self.end_slice()
                await yield_to_loop()

    @twin
    def _begin_slice(self, driver: Driver) -> float:
        """Until when to go on, on the manager's clock, before the event loop gets a turn."""
        if self.times is None:
            self.start_times()
        if self.done + self.failed_count + self.timed_out >= self.flush_at:
            self.flush()
        if driver.single:
            driver.single = False
            return -math.inf
        host = self.host
        if host.watchdog.due <= monotonic():
            host.watchdog.yield_interpreter()
        others = len(host.inline_budget.ready)  # who else wants a turn
        clock = host.clock
        return float(clock.now() + SLICE_SECONDS * clock.pace / (1 + others))

    def wake_waiters(self, activity: Activity[Any], receipt: Receipt) -> None:
        """Wake who waits for the activity that runs. Whoever is woken finds it over."""
        try:
            self.current = None
            receipt._wake(self.host)
        except BaseException:
            self.current = activity  # `handle_fault` finds it, and wakes the others
            raise

    @twin
    def start(self) -> None:
        """Begin processing, or continue after an idle time. The loop's thread only."""
        host = self.host
        host.busy.add(self)
        if host.watchdog.is_waiting:
            host.watchdog.start_watching()
        driver = self.driver
        if driver is not None and driver.task is not None:
            driver.wake()
            return
        driver = self.driver = Driver(self)
        # Not through the loop's task factory: that is for the tasks of workflows, see `detached_tasks.py`.
        driver.task = ProcessingTask(
            self._drive(driver), loop=host.loop, name=f"agentrt {self.id}", context=driver.variables
        )
        forget_destruction(driver.task)  # of an idle runtime it may go with its manager

    @twin
    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.drive(self._loop(driver))
        except asyncio.CancelledError:  # between two activities
            if driver.task.is_shut_down:
                self.host.leave(self)
            elif self.driver is driver:
                self._renew()
            raise
        except GeneratorExit:  # thrown away with its manager, which nobody has any more
            raise
        except BaseException as error:
            self.fault(error)

    def fault(self, error: BaseException) -> None:
        """Go on in a new task after something that is not the workflow's went wrong in here."""
        self._leave()
        handle_fault(self, error)
        if not self.closed:
            self.start()

    @twin
    def end_slice(self) -> None:
        """What is due now and then: keep the ring's bounds, wake who watches."""
        host = self.host
        if len(host.ring.records) >= host.ring.mark:
            host.ring.trim()
        if host.listeners:
            host.notify()

    def _renew(self) -> None:
        self.end_slice()
        self._leave()
        if not self.closed:
            self.start()

    @twin
    def _ends(self) -> bool:
        """Whether the processing ends here, since nothing may be taken. Else it sleeps, unless it is `scheduled`."""
        if self.held and self._parks():
            return True
        with self.host.lock:
            if not self.may_sleep():
                return False
        self.running = None
        self.host.busy.discard(self)
        self.end_slice()
        if self.draining or self.closed:
            self.host.leave(self)
            return True
        return False

    def _parks(self) -> bool:
        """Whether the task ends because the runtime is held; a command starts another."""
        with self.host.lock:
            if not self.park():
                return False
            self._leave()
        self.end_slice()
        return True

    def _leave(self) -> None:
        self.detach_driver()
        self.host.busy.discard(self)

    def _may_step(self) -> bool:
        if self.question is not None:
            settle(self)
        if self.is_halted:
            return self.use_step()
        return not self.breakpoints or bool(self.breakpoints.let_pass())

    def _admit_waiting(self) -> None:
        with self.host.lock:
            admit_waiting(self)
