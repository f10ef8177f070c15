"""What the step of now touches, and what it comes from: told by the parts of a trial while it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...activity import Activity
from ...events import Outcome
from ...schema.immutability import ATOMS
from .faults import offer_duplicate, offer_lost_timer
from .ground import Act, Ground
from .processes import CLOCK, MAIN, Process
from .shared import Sharing, roots_of_function

if TYPE_CHECKING:
    from ...receipt import Receipt

__all__ = ["StepNotes"]


class StepNotes:
    """The step that is taken, and what of the steps before it matters to it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.keys = ground.keys
        self.loop = ground.loop
        self.errors: list[tuple[str, BaseException | None]] = []  # that nobody awaits
        self.processes: dict[int, Process] = {CLOCK: Process(CLOCK)}
        self.processing: dict[Any, Any] = {}  # the entry of each task that processes
        self.arrived: dict[int, int] = {}  # the step in which each activity has arrived
        self.decided: dict[int, int] = {}  # the step in which each activity got its fate
        self.waiting: dict[int, Receipt] = {}  # the receipts that somebody waits for
        self.opened: set[int] = set()  # the activities whose outcome somebody has seen
        self.outcomes: list[Outcome] = []
        self.joins: dict[Any, int] = {}  # the steps that have called a callback which several tasks have in common
        self.sharing = Sharing(self.keys, self.processes)
        self.workflows: dict[int, Any] = {}  # those of runtimes that have taken nothing yet
        self.prevented: list[tuple[int, int]] = []  # steps, and processes that could have come before but no more after
        self.faults: dict[int, Callable[[], object]] = {}  # what may go wrong now
        self.quiet = self.has_gone_wrong = False
        self.main_pid, self.journal_pid = MAIN, -1
        self.appended: set[int] = set()  # the steps that have appended to the journal what is not durable yet
        # Of the step that is taken.
        self.index, self.here, self.pid, self.cause, self.reads, self.writes = -1, 0, MAIN, 0, 0, 0
        self.acts: list[Act] = []
        self.rivals = 0  # earlier steps that could have come later
        self.has_acted = False  # it has sent something, or looked at another runtime

    def read(self, keys: int) -> None:
        """This step reads these."""
        if not self.quiet:
            self.reads |= keys

    @property
    def base(self) -> int:
        """What the process of this step reads in all its steps."""
        process = self.processes.get(self.pid)
        return 0 if process is None else process.base

    def write(self, keys: int) -> None:
        """This step writes these."""
        self.writes |= keys

    def follows(self, step: int) -> bool:
        """Whether this step is that one, or was caused by it."""
        return step < 0 or step == self.index or bool(self.cause >> step & 1)

    def follow(self, step: int) -> None:
        """This step could not be taken before that one."""
        self.cause |= 1 << step

    def arrive(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity joins a mailbox."""
        self.reads |= entry.marks.entry
        self.has_acted = True
        self.arrived[activity.id] = self.index
        self.acts.append(("send", entry.id, activity))
        self.share(f"a payload of {entry.id}", activity.payload, entry.pid)

    def take(self, entry: Any, activity: Activity[Any], is_chosen: bool) -> None:
        """A runtime takes an activity, which was `chosen` from two: it would have taken something without it."""
        self.reads |= entry.marks.entry
        step = self.arrived.get(activity.id, -1)
        if step >= 0 and is_chosen:
            self.rivals |= 1 << step
        elif step >= 0:
            self.cause |= 1 << step
        self.acts.append(("take", entry.id, activity))

    def decide(self, outcome: Outcome) -> None:
        """An activity has its fate."""
        self.decided[outcome.id] = self.index
        self.writes |= self.keys.bit("receipt", outcome.id)
        self.outcomes.append(outcome)
        self.acts.append((outcome.kind, outcome.runtime, outcome))

    def touch_clock(self) -> None:
        """A timer is set. It matters only where timers may come early."""
        if self.ground.early_timers:
            self.reads |= self.keys.bit("clock")

    def cancel_timer(self, handle: asyncio.TimerHandle) -> None:
        """A timer is cancelled: where timers may come early, it might have been due before."""
        if self.ground.early_timers:
            self.touch_clock()
            if handle.when() <= self.loop.next_timer():
                self.prevented.append((self.index, CLOCK))

    def append_to_journal(self) -> None:
        """Something is to be stored: a crash before it is durable is another one than after."""
        self.reads |= self.keys.bit("journal")
        self.appended.add(self.index)

    def offer_fault(self, path: tuple[object, ...], label: str, call: Callable[[], object]) -> None:
        """From now on this may go wrong."""
        if not self.has_gone_wrong:
            pid = self.ground.names.number(path, label)
            self.faults[pid] = call
            self.processes[pid] = process = Process(pid)
            process.cause = self.here

    def may_duplicate(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity is in its lane."""
        if "duplicate" in self.ground.faults:
            offer_duplicate(self, entry, activity)

    def delay(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity is accepted that is not due yet."""
        if "lost_timer" in self.ground.faults:
            offer_lost_timer(self, entry, activity)

    def next_number(self) -> int:
        """The next id that the process of this step draws."""
        process = self.processes.get(self.pid)
        n = 0
        if process is not None:
            n = process.numbers = process.numbers + 1
        numbers = self.ground.numbers
        number = numbers.get((self.pid, n))
        if number is None:
            number = numbers[self.pid, n] = len(numbers) + 1
        return number

    def number_of_entry(self, id: str) -> int:
        """The number of the process that a runtime is."""
        return self.ground.names.number(("runtime", id), id)

    def reach(self, workflow: Any, state: Any, id: str) -> None:
        """A runtime is made of this function and this state: what it may share with others."""
        pid = self.number_of_entry(id)
        self.workflows[pid] = workflow
        self.sharing.reach(pid, [*roots_of_function(workflow), (f"the state of {id}", state)], [self.pid])

    def share(self, name: str, value: Any, pid: int) -> None:
        """The process of this step and another one have this value."""
        if type(value) not in ATOMS:
            self.sharing.reach(pid, [(name, value)], [self.pid])
