"""RuntimeEntry: a state reference, a prioritized mailbox, a processing task and a workflow. The hot path is here.

The way of an activity: `send_nowait` checks it and puts it in its lane (any thread, under the manager's lock);
`_process` takes it, runs the workflow and commits the new state (the loop's thread only); `trouble.py` decides about
what did not go well, `door.py` about full lanes, delays and keys. What else a runtime can be told is in `control.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextvars import Context as Variables
from contextvars import copy_context
from time import monotonic
from typing import Any, Generic, TypeVar

import msgspec

from ..activity import Activity, Lane
from ..clock import Timer
from ..context import Context
from ..errors import (
    ActivityValidationError,
    AgentError,
    MailboxFullError,
)
from ..events import Event, Outcome
from ..limits import Limits, Overflow
from ..metrics import FLUSH_AT, Histogram
from ..receipt import SETTLED, Latch, Receipt, cut
from ..schema.annotations import is_plain_class
from ..schema.immutability import copy_in
from ..schema.typecheck import find_problem
from .admission import accept_special, admit, known, overflow, queue_for_room, said, seconds
from .deadlock import CURRENT, Wait
from .failure import Late, fault, refusal, trouble
from .handoff import SLICE, SLICE_SECONDS, drive, give_way, lend, rest, wake
from .protocols import Host
from .rate_limit import check_payload_size, mailbox_for
from .state_check import checked
from .workflow import Workflow

__all__ = ["RuntimeEntry"]

S = TypeVar("S")
P = TypeVar("P")

PRIORITY, STANDARD = Lane.PRIORITY, Lane.STANDARD
UNSET = msgspec.UNSET
TURNS = range(SLICE)
UNKNOWN = object()  # the type of nothing: what is compared with it always goes the long way round


class RuntimeEntry(Generic[S, P]):
    """One runtime, as the manager holds it. People hold a `Runtime`; views draw snapshots and events."""

    __slots__ = (
        "__weakref__", "accepted", "accepted_priority", "accepts", "breakpoints", "closed", "current", "dead",
        "deadline", "delayed", "done", "draining", "dropped", "ended", "error", "error_at", "exact", "exact_state",
        "expired", "failed", "failed_count", "failures", "fold_at", "handed", "held", "histograms", "host", "id",
        "initial", "keys", "limits", "mailbox", "open", "parked", "paused", "process", "running", "scheduled", "single",
        "sleeper", "spans", "started", "state", "steps", "stuck", "task", "terminated", "timed_out", "timeout",
        "troubled", "variables", "waits_for", "workflow",
    )  # fmt: skip

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits) -> None:
        self.host = host
        self.id = id
        self.state = state
        self.initial = copy_in(state, limits.copy_state)  # a workflow that changes its state in place leaves this alone
        # scheduled: a processing task is on its way or parked, so that a send need not wake anybody.
        self.scheduled = self.parked = self.held = self.paused = False
        self.failed = self.stuck = self.troubled = False
        self.expired: Timer | None = None  # set from the deadline on: it goes off when the grace is over
        self.closed = self.draining = False
        self.steps = 0
        self.breakpoints: Any = None
        self.task: asyncio.Task[None] | None = None
        # How the processing is driven, see `turn.py`: itself, its context, what its task sleeps on at rest, and what it
        # waits for if that came up in a lent turn; whether a turn may be lent now, and whether it is for one activity.
        self.process: Any = None
        self.variables: Any = None
        self.sleeper: asyncio.Future[None] | None = None
        self.handed: tuple[Any] | None = None
        self.open = self.single = False
        self.running: Any = None
        self.current: Activity[Any] | None = None
        self.started = 0.0
        self.deadline = math.inf
        self.spans: tuple[int, tuple[str, ...]] = (0, ())
        self.error: AgentError | None = None
        self.error_at: float | None = None
        self.accepted = self.accepted_priority = 0
        self.done = self.failed_count = self.timed_out = self.dropped = self.terminated = self.dead = 0
        # Each at another time: a hundred that are busy at once would all fold in the same turn of the loop.
        self.fold_at = FLUSH_AT + hash(id) % FLUSH_AT
        self.histograms: tuple[Histogram, Histogram, Histogram, Histogram] | None = None
        self.delayed: dict[int, Activity[Any]] | None = None
        self.keys: dict[str, tuple[float, Receipt]] | None = None
        self.failures: deque[float] | None = None
        self.waits_for: dict[Wait, None] | None = None
        self.ended: Latch[bool] | None = None
        self.use(workflow, limits)
        self.mailbox = mailbox_for(self)

    def use(self, workflow: Workflow, limits: Limits) -> None:
        """Take another workflow or other limits, from the next activity on. The lock is held."""
        self.exact: Any = UNKNOWN
        self.exact_state: Any = UNKNOWN
        self.workflow = workflow  # read once for each activity: it may change at any time
        self.limits = limits
        self.timeout = limits.timeout
        self.accepts = limits.accepts if limits.accepts is not None else workflow.accepts

    def __repr__(self) -> str:
        return f"<RuntimeEntry {self.id!r} {self.mailbox.depth}>"

    # ---- the door: any thread

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
            return self._send_special(payload, priority, timeout, delay, key)
        host, mailbox = self.host, self.mailbox
        cause = CURRENT.get()
        # Not `with`: it takes twice the time of the two calls. And what is kept in an attribute is taken out before it
        # is called: `host.acquire()` is looked up as a method first, at four times the cost.
        acquire = host.acquire
        acquire()
        try:
            if priority:
                lane, items = PRIORITY, mailbox.priority
                if len(items) >= mailbox.short_priority:
                    return self._send_special(payload, priority, timeout, delay, key)
            else:
                lane, items = STANDARD, mailbox.standard
                if len(items) >= mailbox.short_standard:
                    return self._send_special(payload, priority, timeout, delay, key)
            number = next(host.counter)
            receipt = Receipt(self, None, None, number)
            now = host.clock.now
            if cause is None or (parent := cause.current) is None:
                activity: Activity[Any] = Activity(
                    number, self.id, payload, lane, now(), None, None, None, None, number, None, receipt
                )
            else:
                source, above, chain = cause.id, parent.id, parent.correlation or number
                activity = Activity(
                    number, self.id, payload, lane, now(), None, None, source, above, chain, None, receipt
                )
            self.accepted += 1
            if priority:
                self.accepted_priority += 1
            record = host.record
            record(activity)
            items.append(activity)
            if not self.scheduled:
                self.scheduled = True
                host.wake(self)
            if host.listeners:
                host.notify()
        finally:
            release = host.release
            release()
        return receipt

    def _send_special(
        self, payload: Any, priority: bool, timeout: float | None, delay: float | None, key: str | None
    ) -> Receipt:
        """The whole of `send_nowait`: whatever is checked, refused, dropped, delayed or remembered."""
        if type(payload) is not self.exact:
            self.check_payload(payload.payload if isinstance(payload, Activity) else payload)
        lane, key = said(payload, priority, key)
        with self.host.lock:
            if key is not None:
                earlier = known(self, key)
                if earlier is not None:
                    return earlier
            if self.closed or self.failed or self.ended is not None or self.host.closed:
                raise refusal(self)
            senders = self.mailbox.senders
            if self.mailbox.room(lane) <= 0 or (senders and senders[lane]):
                return overflow(self, payload, lane, {"timeout": timeout, "delay": delay, "key": key})
            receipt = accept_special(self, payload, lane, timeout=timeout, delay=delay, key=key)
            if not senders:
                self.mailbox.reopen()
            return receipt

    def enter(self, activity: Activity[Any]) -> None:
        """Count an accepted activity, record it, queue it. The lock is held."""
        self.accepted += 1
        if activity.lane is PRIORITY:
            self.accepted_priority += 1
        self.host.ring.append(activity)
        self.host.notify()
        self.queue(activity)

    def queue(self, activity: Activity[Any]) -> None:
        """Put an activity in its lane, and see that somebody comes for it. The lock is held."""
        self.mailbox.lane(activity.lane).append(activity)
        if not self.scheduled:
            self.scheduled = True
            self.host.wake(self)

    def check_payload(self, payload: Any) -> None:
        """Raise `ActivityValidationError` unless the workflow takes this payload."""
        accepts = self.accepts
        found = None if accepts is None else find_problem(payload, accepts)
        if found is not None:
            path, text = found
            raise ActivityValidationError(
                f"{self.id!r} does not take this payload: {'at ' + path + ' ' if path else ''}{text}",
                runtime=self.id,
                problems={path: text},
            )
        if self.limits.max_payload is not None or self.limits.rate is not None:
            check_payload_size(self, payload)
        elif (accepts is None or is_plain_class(accepts)) and not isinstance(payload, Activity):
            with self.host.lock:
                if self.accepts is accepts:  # else swapped meanwhile
                    self.exact = type(payload)

    # ---- the loop: the loop's thread only

    async def _loop(self) -> None:
        """Take, run, commit; while both lanes are empty, rest. The loop gets a turn every `SLICE`, see `turn.py`."""
        CURRENT.set(self)
        variables: Variables = self.variables
        base: Variables | None = copy_context()
        host, mailbox = self.host, self.mailbox
        counter, record, watchdog = host.counter, host.record, host.watchdog
        task: Any = self.task
        cancelling = task.cancelling
        ready = getattr(host.loop, "_ready", ())  # who else wants a turn
        priority_wait, priority_service, standard_wait, standard_service = self.adders()
        while True:
            clock = host.clock
            if self.done + self.failed_count + self.timed_out >= self.fold_at:
                self.fold()
                priority_wait, priority_service, standard_wait, standard_service = self.adders()
            if watchdog.due <= monotonic() and not self.single:
                watchdog.let_in()
            finished = clock.now()
            if self.single:
                self.single, slice_end = False, -math.inf
            else:
                slice_end = finished + SLICE_SECONDS * clock.pace / (1 + len(ready))
            for _ in TURNS:
                if self.held and not self._may_step():
                    if self._park():
                        return
                    continue
                activity = mailbox.take()
                if activity is None:
                    if self._may_rest():
                        if self.draining or self.closed:
                            self.host.leave(self)
                            return
                        await rest()
                        break
                    continue
                if mailbox.senders:
                    self._admit()
                started = finished if finished >= activity.created else clock.now()
                self.started = started
                self.current = activity
                limit = activity.timeout or self.timeout
                if limit is None:
                    self.deadline = math.inf
                else:
                    self.deadline = started + limit
                    if self.deadline < host.deadlines.first:
                        host.deadlines.arm(self.deadline)
                context = None
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
                        if cancelling():
                            base = None  # it has cancelled the task it runs in: that must not end the next activity
                    if type(new) is not self.exact_state:
                        new = await checked(self, new, workflow)
                    now = clock.now  # another one if the speed was changed meanwhile
                    finished = now()
                    if finished > self.deadline:
                        raise Late
                except BaseException as error:
                    await trouble(self, activity, error, started)
                    finished = clock.now()
                else:
                    self.state = new
                    urgent = activity.lane is PRIORITY
                    outcome = Outcome(
                        next(counter),
                        activity.id,
                        self.id,
                        urgent,
                        "done",
                        activity.created,
                        started,
                        finished,
                        new,
                        UNSET if context is None else context.replied,
                    )
                    record(outcome)
                    self.current = None
                    self.done += 1
                    if urgent:
                        priority_wait(started - activity.created)
                        priority_service(finished - started)
                    else:
                        standard_wait(started - activity.created)
                        standard_service(finished - started)
                    if self.troubled:
                        self.troubled = False
                    # Last, so that who waits for it finds everything in place.
                    receipt = activity.receipt
                    cut(activity, "receipt", SETTLED)
                    receipt.decided = outcome
                    if receipt.waiters is not None:
                        receipt.wake(host)
                    receipt.entry = None
                if self.closed or variables != base:
                    # A value the workflow left in its context must not reach the next activity: go on in a new task.
                    self._renew()
                    return
                if finished > slice_end:
                    if slice_end > 0 or host.listeners:
                        self.end_slice()
                    await give_way()
                    break
            else:
                self.end_slice()
                await give_way()

    def start(self) -> None:
        """Begin processing, or go on after a rest. The loop's thread only."""
        self.host.busy.add(self)
        if self.host.watchdog.dozing:
            self.host.watchdog.rouse()
        if self.task is not None:
            wake(self)
            return
        # In a context of its own: neither what a sender has set nor what the last activity left reaches the next.
        self.variables = Variables()
        # Not through the loop's task factory: that is for the tasks of workflows, see `background.py`.
        self.task = asyncio.Task(self._drive(), loop=self.host.loop, name=f"agentrt {self.id}", context=self.variables)

    async def _drive(self) -> None:
        try:
            await drive(self, self._loop())
        except asyncio.CancelledError:  # between two activities: whoever runs the loop is shutting it down
            self.host.leave(self)
            raise
        except BaseException as error:
            self.fault(error)

    def fault(self, error: BaseException) -> None:
        """Go on in a new task after something that is not the workflow's went wrong in here."""
        self._leave()
        fault(self, error)
        if not self.closed:
            self.start()

    def adders(self) -> tuple[Any, Any, Any, Any]:
        """Where waits and services go, priority before standard; good until the next fold."""
        if self.histograms is None:
            self.histograms = (Histogram(), Histogram(), Histogram(), Histogram())
        a, b, c, d = self.histograms
        return a.add, b.add, c.add, d.add

    def fold(self) -> None:
        """Fold the histograms; `adders` gives others from then on. The processing only, between two slices."""
        self.fold_at = self.done + self.failed_count + self.timed_out + FLUSH_AT
        for histogram in self.histograms or ():
            histogram.flush()

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

    def _may_rest(self) -> bool:
        """Whether there is nothing left; from then on a send wakes it."""
        host = self.host
        host.acquire()
        try:
            if len(self.mailbox) and not self.closed:
                return False
            self.scheduled = False
        finally:
            host.release()
        self.running = None
        host.busy.discard(self)
        self.end_slice()
        return True

    def _park(self) -> bool:
        """End the task while the runtime is held; it stays `scheduled`, so that sends don't wake it."""
        with self.host.lock:
            if not (self.paused or self.failed) or (self.steps > 0 and len(self.mailbox) and not self.failed):
                return False
            self.steps = 0
            self.parked = True
            self._leave()
        self.end_slice()
        return True

    def _leave(self) -> None:
        self.task = self.process = self.sleeper = None
        self.running = None
        self.open = False
        self.host.busy.discard(self)

    def _may_step(self) -> bool:
        if self.breakpoints and not (self.paused or self.failed):
            return self.breakpoints.let_pass()  # type: ignore[no-any-return]
        if self.failed or self.steps <= 0 or not len(self.mailbox):
            return False
        self.steps -= 1
        return True

    def _admit(self) -> None:
        with self.host.lock:
            admit(self)

    def note(self, kind: str, detail: Any = None, who: str | None = None) -> None:
        """Put an event on the record."""
        host = self.host
        host.ring.append(Event(host.number(), self.id, host.clock.now(), kind, who, detail))
        host.ring.trim()
        host.notify()

    # ---- waiting for it

    def awaited(self) -> Wait:
        """Open while somebody waits for this runtime; see `Wait`."""
        return Wait(self)

    async def send(self, payload: P | Activity[P], *, wait: float | None = None, **options: Any) -> Receipt:
        """Accept one activity, waiting for room if its lane is full. Contract: `Runtime.send`."""
        if wait is not None:
            seconds("wait", wait)
        try:
            return self.send_nowait(payload, **options)
        except MailboxFullError as full:
            return await self._wait_for_room(full, payload, wait, options)

    async def _wait_for_room(
        self, full: MailboxFullError, payload: Any, wait: float | None, options: dict[str, Any]
    ) -> Receipt:
        if self.limits.overflow is not Overflow.WAIT or wait == 0:
            raise full
        return await queue_for_room(self, payload, wait, options)

    async def ask(self, payload: P | Activity[P], **options: Any) -> Any:
        """Send and wait until it is done. Contract: `Runtime.ask`."""
        if CURRENT.get() is not None:
            with self.awaited():  # before it is sent: what can't be waited for is not left behind
                receipt = await self.send(payload, **options)
                lend(self, receipt)
                if receipt.decided is None:
                    await receipt.settled()
            return (await receipt).value
        if options:
            receipt = await self.send(payload, **options)
        else:  # not through `send`: each coroutine on the way is a tenth of what an answer takes
            try:
                receipt = self.send_nowait(payload)
            except MailboxFullError as full:
                receipt = await self._wait_for_room(full, payload, None, options)
        lend(self, receipt)  # as `await receipt` does, without the way through its generator
        if receipt.decided is None:
            await receipt.settled()
        outcome = receipt.decided
        if outcome is not None and outcome.error is None:
            return outcome.state if outcome.reply is UNSET else outcome.reply
        return (await receipt).value
