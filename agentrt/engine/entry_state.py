"""EntryState: what a runtime entry holds, and every way in which that changes.

Whoever has an entry may read its fields. Nobody but this file, `entry_counts.py`, `holds.py` and the loop in
`entry.py` sets one: what happens to an entry is a method here, named for what it does. Unless a method says otherwise,
call it on the loop's thread.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from ..activity import Activity, Lane, UntrackedActivity, may_hold_others
from ..clock import Timer
from ..errors import AgentError
from ..events import Event, Fate, Outcome
from ..limits import Limits
from ..receipt import Promise, Receipt, UntrackedReceipt
from ..schema.immutability import copy_in
from .deadlock import OpenWait
from .entry_counts import COUNTS, EntryCounts
from .handoff import ProcessingTask
from .holds import NOBODY, Holds
from .in_memory import InMemory
from .mailbox import PrioritizedMailbox
from .protocols import MOVE, Host
from .question import OpenQuestion
from .workflow import Workflow

__all__ = ["EntryState"]

S = TypeVar("S")
P = TypeVar("P")

UNKNOWN = object()  # the type of nothing: what is compared with it always takes the full check
NOTHING: deque[Any] = deque(maxlen=0)


class EntryState(EntryCounts, Holds, InMemory, Generic[S, P]):
    """The state reference, mailbox, counts and flags of one runtime."""

    __slots__ = ()

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits) -> None:
        super().__init__(id)
        self.host = host
        self.id = id
        self.state = state
        self.initial = copy_in(state, limits.copy_state)  # a workflow that changes its state in place leaves this alone
        self._init_flags()
        # What runs now: the activity, its workflow's coroutine, since when, until when, and the steps it is in.
        self.current: Activity[Any] | None = None
        self.running: Any = None
        self.started = 0.0
        self.deadline = math.inf
        self.spans: tuple[int, tuple[str, ...]] = (0, ())
        self.error: AgentError | None = None
        self.error_at: float | None = None
        self.failures: deque[float] | None = None
        # Made on first use.
        self.driver: Any = None  # steps the processing, see `handoff.py`; None while there is no task
        self.breakpoints: Any = None
        self.question: OpenQuestion | None = None
        self.keys: OrderedDict[str, tuple[float, Receipt]] | None = None
        self.waits_for: dict[OpenWait, None] | None = None
        self.ended: Promise[bool] | None = None
        self.undelivered: deque[Activity[Any]] = NOTHING  # what waited when it was closed and has no fate yet
        self.configure(workflow, limits)
        self.mailbox: PrioritizedMailbox  # set by the entry: one with a rate has to know the entry

    def _init_flags(self) -> None:
        # scheduled: a processing task is on its way or parked, so that a send need not wake anybody.
        self.scheduled = self.parked = self.held = self.paused = self.failed = self.stuck = self.in_error = False
        self.awaits: frozenset[str] = NOBODY  # whose decisions: GROUP, MOVE
        self.closed = self.draining = self.leaving = False
        self.steps = 0
        self.expired: Timer | None = None  # set from the deadline on: it goes off when the grace is over

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} {self.mailbox.depth}>"

    # ---- to read: any thread

    @property
    def task(self) -> ProcessingTask | None:
        """The processing task; None while there is none."""
        driver = self.driver
        return None if driver is None else driver.task

    @property
    def is_refusing(self) -> bool:
        """Whether nothing is accepted any more."""
        return self.closed or self.failed or self.leaving or self.ended is not None or self.host.closed

    def register_wait(self) -> OpenWait:
        """Open while somebody waits for this runtime; see `OpenWait`."""
        return OpenWait(self)

    # ---- configuration: the lock is held

    def configure(self, workflow: Workflow, limits: Limits) -> None:
        """Use another workflow or other limits, from the next activity on."""
        self.exact: Any = UNKNOWN
        # What is made for a payload of the type `exact`.
        self.activity_class: type[Activity[Any]] = Activity
        self.receipt_class: type[Receipt] = Receipt
        self.exact_state: Any = UNKNOWN
        # Read once for each activity: it may change at any time.
        self.workflow = workflow if self.breakpoints is None else self.breakpoints.form_of(workflow)
        self.limits = limits
        self.timeout = limits.timeout
        self.accepts = limits.accepts if limits.accepts is not None else workflow.accepts

    def change_limits(self, limits: Limits) -> None:
        """Use other limits from now on; the workflow and what is known of its types stay."""
        self.limits = limits
        self.timeout = limits.timeout
        self.mailbox.configure(limits.priority_capacity, limits.standard_capacity, limits.fairness)

    def trust_payload(self, kind: type, accepts: Any) -> None:
        """Payloads of exactly this type need no check while the runtime accepts what it accepted."""
        if self.accepts is accepts:  # else the workflow was changed meanwhile
            self.exact = kind
            self._choose_classes()

    def trust_state(self, kind: type, workflow: Workflow) -> None:
        """New states of exactly this type need no check while the runtime has this workflow."""
        if self.workflow is workflow:
            self.exact_state = kind
            self._choose_classes()

    def _choose_classes(self) -> None:
        """Have the collector see activities and receipts where they may be part of a cycle, as far as types say."""
        payload, state = self.exact, self.workflow.state if self.exact_state is UNKNOWN else self.exact_state
        plain_payload = isinstance(payload, type) and not may_hold_others(payload)
        plain_state = isinstance(state, type) and not may_hold_others(state)
        self.activity_class = UntrackedActivity if plain_payload else Activity
        # With the context a workflow may reply with anything, its own receipt included.
        plain = plain_payload and plain_state and not self.workflow.takes_context
        self.receipt_class = UntrackedReceipt if plain else Receipt

    def set_breakpoints(self, breakpoints: Any) -> None:
        """Ask these before each activity; holds the runtime while there are any."""
        held = self.is_halted or bool(breakpoints) or self.question is not None
        self.breakpoints, self.held = breakpoints, held
        self.use_form(breakpoints.form_of(self.workflow))

    def use_form(self, workflow: Workflow) -> None:
        """Call the same workflow in another way, from the next activity on: what is known of its types stays."""
        self.workflow = workflow

    # ---- accepting: any thread, the lock is held

    def accept(self, activity: Activity[Any]) -> None:
        """Count an accepted activity and record it."""
        self._count_in_lane(activity.lane, +1)
        self.host.ring.append(activity)
        self.host.notify()

    def enqueue(self, activity: Activity[Any]) -> None:
        """Accept an activity and put it in its lane."""
        self.accept(activity)
        self.queue(activity)

    def delay(self, activity: Activity[Any]) -> None:
        """Accept an activity that is not due yet."""
        self.accept(activity)
        self.mailbox.delay(activity)

    def queue(self, activity: Activity[Any]) -> None:
        """Put an activity in its lane, and see that it is processed."""
        self.mailbox.add(activity)
        if not self.scheduled:
            self.scheduled = True
            self.host.wake(self)

    def wake(self) -> None:
        """See that what waits is processed, now or once it is held no longer. The lock is held."""
        self.scheduled = True
        if self.is_halted:
            self.parked = True
        else:
            self.host.wake(self)

    def complete_send(self, activity: Activity[Any], is_due: bool = True) -> None:
        """Finish the accepting of an activity that an exception from outside interrupted anywhere."""
        self.complete_queue(activity, is_due)
        self.complete_accept(activity)

    def complete_queue(self, activity: Activity[Any], is_due: bool = True) -> None:
        """Finish the queueing of an accepted activity that an exception from outside interrupted anywhere."""
        if not self.has(activity):
            (self.mailbox.add if is_due else self.mailbox.delay)(activity)
        self.scheduled = True
        self.host.wake(self)

    def complete_accept(self, activity: Activity[Any]) -> None:
        """Finish the recording and counting of an activity that an exception from outside interrupted anywhere."""
        self.host.ring.ensure(activity)
        self.host.post(lambda: self.recount_lane(activity.lane))

    def has(self, activity: Activity[Any]) -> bool:
        """Whether an activity waits, runs or has a fate. Asked in this order: it only ever moves on."""
        if any(item.id == activity.id for item in self._waiting()):
            return True
        current = self.current
        return (current is not None and current.id == activity.id) or activity.receipt.value is not None

    def recount_lane(self, lane: Lane) -> None:
        """Have a lane's count of accepted activities add up again, after an exception from outside. Takes the lock."""
        with self.host.lock:
            self._count_in_lane(lane, self.decided + self._pending() - self.accepted)

    def recount_fate(self, fate: Fate) -> None:
        """Have the count of a fate add up again, after an exception from outside. Takes the lock."""
        with self.host.lock:
            name = COUNTS[fate]
            setattr(self, name, getattr(self, name) + self.accepted - self._pending() - self.decided)

    def _pending(self) -> int:
        """How many activities there are without a fate: waiting, delayed, or running."""
        current = self.current
        activities = self._waiting() if current is None else [*self._waiting(), current]
        return sum(activity.receipt.value is None for activity in activities)

    def _waiting(self) -> list[Activity[Any]]:
        """A copy of all that waits for its turn, or for its fate: the processing takes meanwhile."""
        return [*self.mailbox.items(), *tuple(self.undelivered)]

    def remember_key(self, key: str, until: float, receipt: Receipt) -> None:
        """Give this receipt to whoever sends with this key, until the clock reads `until`. The newest key is last."""
        if self.keys is None:
            self.keys = OrderedDict()  # of a plain dict the first is found more slowly with each that was taken out
        self.keys[key] = (until, receipt)
        self.keys.move_to_end(key)
        self.host.remembered.add(self, key, receipt)

    def forget_key(self, key: str) -> None:
        """Remember the receipt of this key no longer."""
        if self.keys is not None:
            self.keys.pop(key, None)
        self.host.remembered.remove(self, key)

    # ---- one activity

    def run(self, coroutine: Any) -> None:
        """This coroutine is the workflow that runs now."""
        self.running = coroutine

    def commit(self, state: S) -> None:
        """Replace the state after a success."""
        self.state = state
        self.in_error = False

    def complete(self, activity: Activity[Any], outcome: Outcome) -> None:
        """Finish what an exception from outside has interrupted between the making of an outcome and its receipt."""
        if outcome.kind == Fate.DONE.value:
            self.commit(outcome.state)
        self.host.ring.ensure(outcome)
        self.finish(activity)
        self.decide(activity, outcome)
        self.host.post(lambda: self._recount(activity, outcome))

    def _recount(self, activity: Activity[Any], outcome: Outcome) -> None:
        self.recount_fate(outcome.fate)
        if outcome.started is not None:
            self.complete_times(activity, outcome.started, outcome.finished)

    def finish(self, activity: Activity[Any]) -> None:
        """The activity runs no longer, if it did."""
        current = self.current
        if current is not None and current.id == activity.id:  # another object, if its payload was edited
            self.current = None

    def abandon(self) -> Activity[Any] | None:
        """Take away the current activity, without a fate."""
        activity, self.current = self.current, None
        return activity

    def keep_running(self, activity: Activity[Any]) -> None:
        """The activity has a fate and still runs: nothing may be started beside it."""
        self.current = activity

    def show_steps(self, activity: int, steps: tuple[str, ...]) -> None:
        """These are the steps that the current activity is in; of another activity they are ignored."""
        if self.current is not None and self.current.id == activity:
            self.spans = (activity, steps)

    def replace_state(self, state: S) -> None:
        """Hold another state, by a command. Between two activities, or while one is stopped."""
        self.state = state

    # ---- deadlines

    def expire(self, stick: Timer) -> None:
        """The deadline has passed and the activity is being cancelled; `stick` goes off when the grace is over."""
        self.expired = stick
        self.deadline = -math.inf

    def take_expired_timer(self) -> Timer | None:
        """Whether the deadline had passed: its timer, once."""
        expired, self.expired = self.expired, None
        return expired

    def set_deadline(self, at: float) -> None:
        """Have the current activity cancelled at this time; `math.inf` cancels nothing until the next start."""
        self.deadline = at

    def stick(self) -> None:
        """The activity ignores its cancellation."""
        self.stuck = True

    def unstick(self) -> bool:
        """The activity came to its end after all; whether it was stuck."""
        self.current, was, self.stuck = None, self.stuck, False
        return was

    # ---- failures

    def record_error(self, error: AgentError, in_error: bool = False, at: float | None = None) -> None:
        """Remember the last error; `in_error` sets the status ERROR until the next success."""
        self.error, self.error_at = error, self.host.clock.now() if at is None else at
        self.in_error = self.in_error or in_error
        self.host.last_errors.add(self)

    def drop_traceback(self) -> None:
        """Keep of the last error what it says, and not the frames that it came from."""
        if self.error is not None:
            error = self.error.copy()
            error.__cause__ = None
            error.add_note("its traceback was let go: the last errors of all runtimes keep no more than 64 MB alive")
            self.error = error

    def record_failure(self, intensity: int) -> deque[float]:
        """Add a failure to those of the last time, `intensity` at most, and return their times."""
        if self.failures is None or self.failures.maxlen != intensity:
            self.failures = deque(self.failures or (), maxlen=intensity)
        self.failures.append(self.host.clock.now())
        return self.failures

    def reset(self, state: S) -> None:
        """Begin again from a state, with no failure remembered."""
        self.state = state
        self.restarts += 1
        self.failures, self.in_error = None, False

    def use_newest(self, state: S, initial: S) -> None:
        """Hold the same states as objects of the newest classes. Between two activities."""
        self.state, self.initial = state, initial

    def stop(self) -> None:
        """Take no more activities: status FAILED. The lock is held."""
        self.mailbox.disable_fast_path()
        self.failed = self.held = True

    def restore(self, state: S, failures: Iterable[float], failed: bool, paused: bool) -> None:
        """Go on from what was stored of it, before anything is processed."""
        self.state = state
        self.failures = deque(failures, maxlen=self.limits.supervision.intensity) or None
        self.failed, self.paused, self.held = failed, paused, failed or paused

    # ---- the end of the processing: any thread, the lock is held

    def may_sleep(self) -> bool:
        """Whether nothing waits; from then on a send wakes it. The lock is held."""
        # In this order: a signal handler or a finalizer may send between the two, on this very thread.
        self.scheduled = False
        if len(self.mailbox) and not self.closed:
            self.scheduled = True
            return False
        return True

    # ---- the driver

    def detach_driver(self) -> None:
        """No task processes any more."""
        driver, self.driver = self.driver, None
        if driver is not None:
            driver.open = False
        self.running = None

    # ---- the end: the lock is held

    def begin_end(self) -> Promise[bool]:
        """Accept nothing more; decided once it is over."""
        if self.ended is None:
            self.ended = Promise(self)
        self.mailbox.disable_fast_path()
        return self.ended

    def begin_drain(self) -> None:
        """End once nothing waits."""
        self.draining = True

    def begin_move(self) -> None:
        """Accept nothing here for now: it is being moved to another manager."""
        self.mailbox.disable_fast_path()
        self.leaving = True

    def stay(self) -> None:
        """It is not moved after all."""
        self.leaving = False
        self.end_wait(MOVE)
        if len(self.mailbox):
            self.wake()

    def end_move(self) -> None:
        """It goes on elsewhere, with all that waits, which is not counted here any more."""
        for activity in self.mailbox.clear():
            self._count_in_lane(activity.lane, -1)
        self.closed = True

    def close(self) -> None:
        """It is over: status TERMINATED. What waited is `undelivered`."""
        self.deadline = -math.inf
        if not self.closed:
            # Together: an exception from outside finds it open, or closed with all that waited.
            self.undelivered, self.closed, self.draining = deque(self.mailbox.items()), True, True
        self.mailbox.clear()

    # ---- what others wait for

    def add_wait(self, wait: OpenWait) -> None:
        """The current activity waits for something. The lock is held."""
        self.waits_for = self.waits_for or {}
        self.waits_for[wait] = None

    def remove_wait(self, wait: OpenWait) -> None:
        """It waits for that no longer. The lock is held."""
        if self.waits_for is not None:
            self.waits_for.pop(wait, None)

    def record_event(self, kind: str, detail: Any = None, who: str | None = None) -> None:
        """Record an event. Any thread."""
        host = self.host
        host.ring.append(Event(host.number(), self.id, host.clock.now(), kind, who, detail))
        host.ring.trim()
        host.notify()
