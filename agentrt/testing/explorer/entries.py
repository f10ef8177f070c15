"""Runtimes that note what each step touches: arrivals, takes, commands, looks, and who waits for what."""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ...activity import Activity, Lane
from ...engine.deadlock import CURRENT, awaits
from ...engine.entry import RuntimeEntry
from ...engine.fields import EntryFields
from ...engine.mailbox import Items, PrioritizedMailbox
from ...engine.rate_limit import LimitedMailbox
from ...events import Outcome
from ...receipt import Receipt
from ...typevars import S
from .observer import Observer
from .tasks import pause_for

__all__ = ["ExploredEntry", "ExploredNotes", "ReceiptNotes"]

_STATE: Any = vars(EntryFields)["state"]  # where an entry really has its state
if TYPE_CHECKING:

    class _AnyReceipt(Receipt[Any]):
        current_run: Any = None

else:
    _AnyReceipt = object


class ReceiptNotes(_AnyReceipt):
    """What the receipts of a run note: who waits, and whether anybody has seen the error."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Outcome[Any]]:
        step = self.current_run.decided.get(self.id)
        if self._entry is None and step is not None:
            yield from pause_for(self.current_run.loop, step)
            return self._open()
        return (yield from super().__await__())

    @property
    def outcome(self) -> Outcome[Any] | None:
        """The outcome, or None while it is pending; note that somebody looks."""
        run = self.current_run
        run.read(run.keys.of_entry(self.runtime).state)
        return self.value

    async def wait(self) -> None:
        """Wait until it is decided; while it lasts the run knows who waits."""
        run = self.current_run
        run.waiting[self.id] = self
        try:
            await super().wait()
        except BaseException:  # it waits no longer, which matters to whoever decides it
            run.write(run.keys.bit("receipt", self.id))
            raise
        finally:
            run.waiting.pop(self.id, None)

    def _open(self) -> Outcome[Any]:
        run = self.current_run
        run.opened.add(self.id)
        outcome = super()._open()
        run.share(f"a reply of {outcome.runtime}", outcome.value, run.number_of_entry(outcome.runtime))
        return outcome

    def _decide(self, value: Any) -> None:
        run = self.current_run
        if self._entry is not None:
            run.decided[self.id] = run.index
            run.write(run.keys.bit("receipt", self.id))
        super()._decide(value)


class ExploredReceipt(ReceiptNotes, Receipt[S]):
    """A receipt that is waited for in a step of its own."""

    current_run: Any = None


@types.coroutine
def _next_step() -> Generator[None, None, None]:
    """End this step; others may come in between."""
    yield


class _ExploredLanes:
    """What the mailboxes of a run note."""

    entry: Any

    def attach(self, entry: Any) -> Any:
        """Note for this entry."""
        self.entry = entry
        self.current_run: Observer = entry.host.current_run
        self.added = [0, 0]
        return self

    def enable_fast_path(self) -> None:
        """There is none: each send is noted."""

    def add(self, activity: Activity[Any]) -> None:
        """Add to a lane, and note the arrival."""
        self._note_arrival(activity)
        self.current_run.may_duplicate(self.entry, activity)
        super().add(activity)  # type: ignore[misc]

    def delay(self, activity: Activity[Any]) -> None:
        """Keep what is not due yet, and note the arrival."""
        self._note_arrival(activity)
        self.current_run.delay(self.entry, activity)
        super().delay(activity)  # type: ignore[misc]

    def lose_timer(self, id: int) -> None:
        """The timer of a delayed activity is gone, and the activity stays."""
        timer = (self.timers or {}).get(id)  # type: ignore[attr-defined]
        if timer is not None:
            timer.cancel()

    def _note_arrival(self, activity: Activity[Any]) -> None:
        n = activity.lane is Lane.STANDARD
        keys, run = self.entry.marks, self.current_run
        self.added[n] += 1
        if self.added[n] > self.capacity(activity.lane):  # type: ignore[attr-defined]
            run.keys.bounded |= keys.room[n]
        run.write(keys.arrivals[n] | keys.emptiness[n] | keys.room[n])
        run.arrive(self.entry, activity)

    def room(self, lane: Lane) -> int:
        """How many more the lane takes now; note that it was asked."""
        n, keys = lane is Lane.STANDARD, self.entry.marks
        room: int = super().room(lane)  # type: ignore[misc]
        self.current_run.read(keys.room[n] | keys.entry)
        if room <= 0:
            self.current_run.keys.bounded |= keys.room[n]
            self.current_run.write(keys.arrivals[n])
        return room

    def add_sender(self, lane: Lane, sender: Any) -> None:
        """Put a sender at the end of those who wait for room; note the order."""
        n, keys = lane is Lane.STANDARD, self.entry.marks
        self.current_run.write(keys.arrivals[n] | keys.room[n])
        super().add_sender(lane, sender)  # type: ignore[misc]

    def next_lane(self) -> Items | None:
        """The lane that is taken from next; note the take."""
        lane: Items | None = super().next_lane()  # type: ignore[misc]
        if lane:
            keys, n = self.entry.marks, lane[0].lane is Lane.STANDARD
            both = bool(self.priority and self.standard)  # type: ignore[attr-defined]
            if not both:  # from this lane only because the other one was empty
                self.current_run.read(keys.emptiness[not n])
            self.current_run.write(keys.room[n])
            self.current_run.take(self.entry, lane[0], both)
        return lane


class ExploredMailbox(_ExploredLanes, PrioritizedMailbox):
    """A mailbox that notes arrivals and takes."""


class ExploredLimitedMailbox(_ExploredLanes, LimitedMailbox):
    """The same, with a rate or a deadline."""


class ExploredNotes:
    """What the entries of a run note."""

    host: Any
    id: str

    def __init__(self, host: Any, id: str, *arguments: Any) -> None:
        self.current_run: Observer = host.current_run
        self.marks = self.current_run.keys.of_entry(id)
        self.pid = self.current_run.number_of_entry(id)
        self.waits = self.current_run.keys.bit("waits", id)
        super().__init__(host, id, *arguments)  # type: ignore[call-arg]
        old: Any = self.mailbox
        kind: Any = ExploredLimitedMailbox if isinstance(old, LimitedMailbox) else ExploredMailbox
        self.mailbox: Any = kind(old.priority_capacity, old.standard_capacity, self.limits.fairness).attach(self)  # type: ignore[attr-defined]
        if kind is ExploredLimitedMailbox:
            self.mailbox.attach_to(self)

    @property
    def state(self) -> Any:
        """The state; note it if another process looks at it."""
        run = self.current_run
        if run.pid != self.pid:
            run.read(self.marks.state)
            run.has_acted = True
        return _STATE.__get__(self)

    @state.setter
    def state(self, state: Any) -> None:
        self.current_run.write(self.marks.state)
        _STATE.__set__(self, state)

    @property
    def is_refusing(self) -> bool:
        """Whether nothing is accepted any more; note that it was asked."""
        self.current_run.read(self.marks.entry)
        return bool(super().is_refusing)  # type: ignore[misc]

    async def send(self, payload: Any, **options: Any) -> Receipt:
        """Send; in a step of its own, if this one has done anything already."""
        if self.current_run.has_acted:
            await _next_step()
        receipt: Receipt = await super().send(payload, **options)  # type: ignore[misc]
        return receipt

    async def ask(self, payload: Any, **options: Any) -> Any:
        """Send and wait; in a step of its own, if this one has done anything already."""
        if self.current_run.has_acted:
            await _next_step()
        return await super().ask(payload, **options)  # type: ignore[misc]

    def new_receipt(self, number: int) -> Receipt:
        """A receipt that notes who opens it."""
        return ExploredReceipt(self, None, None, number, self.current_run)

    def start(self) -> None:
        """Begin processing, in a task that the run knows."""
        super().start()  # type: ignore[misc]
        driver: Any = self.driver  # type: ignore[attr-defined]
        if driver is not None:
            self.current_run.processing[driver.task] = self

    def register_wait(self) -> Any:
        """Open while somebody waits for it; note who is asked whether that closes a circle."""
        if CURRENT.get() is not None:
            following: list[Any] = [self]
            for entry in following:
                self.current_run.read(entry.waits)
                following += [each for each in awaits(entry) if each not in following]
        return super().register_wait()  # type: ignore[misc]

    def add_wait(self, wait: Any) -> None:
        """Its activity waits for something; note it."""
        self.current_run.write(self.waits)
        super().add_wait(wait)  # type: ignore[misc]

    def remove_wait(self, wait: Any) -> None:
        """It waits for that no longer; note it."""
        self.current_run.write(self.waits)
        super().remove_wait(wait)  # type: ignore[misc]

    def note_command(self) -> None:
        """Note that something but sends and takes changes it."""
        self.current_run.write(self.marks.entry)

    def reset(self, state: Any) -> None:
        """Begin again from a state; a command if another process says so."""
        if self.current_run.pid != self.pid:
            self.note_command()
        super().reset(state)  # type: ignore[misc]


def _as_command(name: str) -> Any:
    def command(self: Any, *args: Any, **options: Any) -> Any:
        self.note_command()
        return getattr(super(ExploredNotes, self), name)(*args, **options)

    command.__name__, command.__doc__ = name, "Do it, and note the command."
    return command


COMMANDS = (
    "pause", "resume", "allow_steps", "stop", "recover", "begin_end", "begin_drain", "close", "change_limits",
    "set_breakpoints", "expire", "lift_pause", "stick",
)  # fmt: skip
for _name in COMMANDS:
    setattr(ExploredNotes, _name, _as_command(_name))


class ExploredEntry(ExploredNotes, RuntimeEntry[Any, Any]):
    """An entry whose steps are noted."""
