"""The source of a view: the reads and the commands that a view needs, wherever the runtimes are.

A view takes a `Source` and ids. It never holds a manager, a `Runtime` or an entry. So the same views can draw a manager
in this process (`agentrt.feed.live`), a manager in another process, a journal, or several managers side by side.

Only plain records cross it: `Snapshot`, `Activity`, `Outcome`, `Event`, `Frame` and those below. A record is never
changed after it was made. Ids name everything that a command is about: a runtime by its id, an activity, an undo and a
burst by their numbers.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..debugger import Whereabouts
from ..engine.commands import ACTOR
from ..engine.hub import Frame
from ..errors import AgentError
from ..events import Outcome, Record
from ..limits import Limits
from ..metrics import Fates
from ..schema.fields import Field
from ..snapshot import Snapshot

__all__ = [
    "ACTOR",
    "COMMANDS",
    "EVALUATING",
    "MOST_IN_BURST",
    "READS",
    "SORTS",
    "BurstProgress",
    "DeadLetter",
    "Found",
    "Frame",
    "HasRuntime",
    "HasSource",
    "JournalStanding",
    "Ledger",
    "Page",
    "PayloadForm",
    "Reply",
    "Rewindable",
    "Settings",
    "Source",
    "Standing",
    "Subject",
    "Time",
    "Typed",
    "Watching",
    "WholeErrors",
    "subject_of",
    "whole_error",
]

T = TypeVar("T")
Typed = Mapping[str, Any] | str  # what a person typed: values by field, or a JSON text
MOST_IN_BURST = 10_000  # activities

# The commands, and what each is given besides the id of a runtime. `Source.command` says what they return.
COMMANDS = frozenset(
    {
        # Of all runtimes: no id.
        "pause_all",
        "resume_all",
        "set_speed",  # speed
        "record_test",  # activity: `Reply.text` is a pytest file of it, see `RuntimeManager.record_test`
        "fork",  # sequence: another manager goes on from that record; `Reply.text` is the link of its page
        # Of one runtime.
        "pause",
        "resume",
        "step",
        "recover",
        "terminate",
        "set",  # name, value: a limit of `Limits` that can change, or "paused"
        "edit_state",  # typed: the new state as a JSON text
        "edit_code",  # typed: the source of the workflow, from the next activity or try on
        "add_breakpoint",  # at: "priority", "standard" or "error"; or step: a name; or error=True. hits=1
        "add_condition",  # step: a name, when: an expression, hits=1
        "remove_breakpoint",  # place: its index in `Settings.breakpoints`
        # Of an activity that is stopped inside; "resume" goes on, "step" to its end.
        "step_over",
        "step_into",
        "step_out",
        "retry",  # typed=None: another payload
        "evaluate",  # expression, frame=None: its index in `Whereabouts.frames`
        # Of a payload. `activity` says that it is for the one that waits under that number.
        "check",  # typed, activity=None: raises what `send` or `edit` would raise about it, and does nothing
        "send",  # typed, lane, delay=None (seconds)
        "burst",  # typed, lane, delay=None, count, rate (a second of real time), ended=None (called once, any thread)
        "stop_burst",  # number
        # Of activities that wait. Each can be undone.
        "first",  # activity
        "promote",  # activity
        "demote",  # activity
        "edit",  # activity, typed
        "drop",  # activity
        # Of dead letters: no id.
        "resend",  # activities: their numbers; to=None: the id of another runtime
        "discard",  # activities. Can be undone.
        # Of a command before.
        "undo",  # number: that of `Reply.undo`
    }
)
EVALUATING = frozenset({"add_condition", "edit_code", "evaluate"})  # commands that run code that a person has typed
SORTS = frozenset(
    {
        "id", "status", "priority", "standard", "rate", "wait_priority", "wait_standard", "service50", "service95",
        "processed", "failed", "error",
    }
)  # fmt: skip
READS = frozenset({"follow", "where", "form"})  # reads that not every kind can answer


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list, and how long the whole list is."""

    items: tuple[T, ...] = ()
    total: int = 0


class Found(msgspec.Struct, frozen=True):
    """A part of the runtimes that were searched for, and how many there are.

    Args:
        ids: Their ids; those that have ended come last.
        keys: What they are sorted by, of those that have not ended; empty if they are in the order they were made.
        live: How many of `ids` have not ended.
        found: How many were found in all.
        total: How many there are, found or not.
    """

    ids: tuple[str, ...] = ()
    keys: tuple[float | str | None, ...] = ()
    live: int = 0
    found: int = 0
    total: int = 0


class Settings(msgspec.Struct, frozen=True):
    """What can be set of a runtime, as it is now.

    `breakpoints` are the names in the order they were added. `initial` is the state that a restart goes back to.
    """

    paused: bool
    limits: Limits
    breakpoints: tuple[str, ...] = ()
    initial: Any = msgspec.UNSET


class PayloadForm(msgspec.Struct, frozen=True):
    """What to ask a person for to make a payload, and the JSON `text` that an editor starts with.

    Without `fields` a payload can be written as JSON only. `record`: whether the fields are parts of the payload, or
    the one field is the payload itself. `whole`: whether the text holds all of the payload.
    """

    fields: tuple[Field, ...]
    record: bool
    text: str
    whole: bool = True


class Reply(msgspec.Struct, frozen=True):
    """What came of a command; a field that is not about that command has its default.

    Args:
        activity: The number of the activity that was sent.
        runtime: The id of the runtime that it was sent to.
        ahead: How many waited before it.
        count: How many dead letters were sent again or discarded, how many activities a step processes.
        refusal: Why some of them stay where they are.
        burst: The number of the burst that was started.
        undo: The number to give to the command "undo"; None if the command can't be undone.
        text: The value of an expression, the link of a fork, or a file.
    """

    activity: int | None = None
    runtime: str = ""
    ahead: int = 0
    count: int = 0
    refusal: str = ""
    burst: int | None = None
    undo: int | None = None
    text: str = ""


class BurstProgress(msgspec.Struct, frozen=True):
    """How far a burst is. `fates` counts the activities that have ended; `error` ended the burst itself."""

    total: int
    sent: int = 0
    pending: int = 0
    running: bool = False
    stopped: bool = False
    error: str = ""
    fates: dict[str, int] = {}

    @property
    def settled(self) -> bool:
        """Whether it has ended, and everything it sent too."""
        return not self.running and not self.pending


class Watching(msgspec.Struct, frozen=True):
    """What it costs to watch this source. Times are real seconds.

    `cost` is the processor time spent on drawing so far, `pause` the time between two frames now. `over_budget`: frames
    come less often, because drawing takes more than its share.
    """

    cost: float = 0.0
    pause: float = 0.1
    over_budget: bool = False


class Standing(msgspec.Struct, frozen=True):
    """How the source itself is.

    Args:
        words: What is wrong with it, in one sentence; empty if nothing is.
        generation: Another number whenever what it shows has been replaced, as by a program that was started again:
            what was drawn before is then of another manager.
        silent: Whether this changes without anything being recorded.
        recorded: What this is, as in "the file agents.db", if nobody runs it: it is a record of what was.
    """

    words: str = ""
    generation: int = 0
    silent: bool = False
    recorded: str = ""


class JournalStanding(msgspec.Struct, frozen=True):
    """How far the journal is, in which runtimes are stored.

    Args:
        name: The name of its file; empty if it has none.
        size: How many bytes it takes.
        pending: How many writes were handed to it and are not stored yet.
        lag: How many real seconds the first of them has waited.
        error: Why nothing can be stored now; empty if all is well.
    """

    name: str = ""
    size: int = 0
    pending: int = 0
    lag: float = 0.0
    error: str = ""


class Time(Protocol):
    """The clock of the runtimes, as a time axis reads it."""

    def now(self) -> float:
        """Seconds on the clock."""

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""

    @property
    def speed(self) -> float:
        """Seconds on the clock for a real one, 0 to inf."""


class Source(Time, Protocol):
    """What a view is drawn from. Everything may be called from any thread.

    A read of a runtime that is not known returns None, or an empty page. Of a runtime that has ended the last snapshot
    is kept for a while, and nothing else.
    """

    name: str
    capabilities: frozenset[str]  # which of `COMMANDS` it carries out and which of `READS` it can answer

    def standing(self) -> Standing:
        """Return whether what is read here is still so, and of the same manager."""

    # ---- which runtimes there are

    @property
    def runtimes(self) -> Collection[str]:
        """The ids of all runtimes, in the order they were made. Always current."""

    @property
    def ended(self) -> Collection[str]:
        """The ids whose last snapshot is kept, those first that ended first. Some may be in use again."""

    # ---- what happened

    def frame(self, cursor: int = 0) -> Frame:
        """Return all that happened since a cursor: records, how many of them were let go, whose runtimes changed.

        `frame.cursor` is the cursor to use next; 0 is the beginning.
        """

    def attach(
        self, flush: Callable[[Frame], object], schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> Callable[[], None]:
        """Have `flush(frame)` called whenever something happened, the first time at once. Returns what ends it.

        Frames come at most ten times a second, never two at once. A slow client gets fewer frames with more in each.

        Args:
            flush: Draws a frame. It is detached if it raises.
            schedule: Runs a call where things may be drawn; it must not block. Without it the source's own thread does.
        """

    def watching(self) -> Watching:
        """Return what it costs to watch."""

    def charge(self, seconds: float) -> None:
        """Add processor seconds that were spent on drawing outside of `flush`."""

    # ---- how things are

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """Return how a runtime is, or how it was when it ended."""

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """Return how several runtimes are: of these ids those that are known, without `ids` all that have not ended."""

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Return snapshots of these ids for a table: states and activities may be left out."""

    def active(self, recent: float = 0.0) -> list[Snapshot]:
        """Return such snapshots, without metrics, of those runtimes of which there is something to say.

        They work, have activities that wait, are paused or stopped, or failed. Costs a look at each runtime.

        Args:
            recent: Seconds on the clock; who has failed so recently is returned, whatever it did since.
        """

    def find(
        self, search: str = "", sort: str = "", down: bool = False, start: int = 0, count: int | None = None
    ) -> Found:
        """Return the ids of a part of the runtimes, live ones first, as a table shows them.

        Args:
            search: A part of the id, in any case.
            sort: One of `SORTS`; without it they come in the order they were made. Costs a look at each runtime.
            down: Whether the largest come first.
            start: How many to leave out at the beginning.
            count: How many to return at most.
        """

    def settings(self, id: str) -> Settings | None:
        """Return what can be set of a runtime; None once it has ended."""

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """Return what waits in a runtime, in order: priority, standard, not yet due.

        Args:
            id: The id of the runtime.
            lane: "priority", "standard" or "delayed" (not yet due, the next one first); None for all three.
            start: How many to leave out at the beginning.
            count: How many to return at most.
        """

    def where(self, id: str) -> Whereabouts | None:
        """Return the line that a runtime is at, and whom it waits for; None once it has ended."""

    def form(self, id: str, activity: int | None = None) -> PayloadForm | None:
        """Return what to ask for to make a payload: the same object for as long as it stays the same.

        With the number of an activity that waits, the form starts with its payload. None if either is gone.
        """

    def fates(self) -> Fates:
        """Return the counts of all runtimes, ended ones included. Costs a look at each."""

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Return dead letters, oldest first."""

    def ledger(self) -> Ledger:
        """Return what became of all dead letters. Costs a look at each runtime."""

    def journal(self, id: str = "") -> JournalStanding | None:
        """Return how far the journal is; None if there is none, or if the runtime of that id is not stored in it."""

    def outcomes(self, activities: Iterable[int]) -> dict[int, Outcome]:
        """Return the outcomes of activities that the command "send" sent, by number; of the last thousand."""

    def burst(self, number: int) -> BurstProgress | None:
        """Return how far a burst is; None if it is not known any more."""

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command, recorded with who gave it (the context variable `ACTOR`). Views use `Commands`.

        Args:
            name: One of `COMMANDS`, where its arguments are.
            id: The id of the runtime that it is about.
            **arguments: The rest, by name.

        Returns:
            What came of it.

        Raises:
            AgentError: It was refused; nothing has changed.
        """

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> concurrent.futures.Future[Reply]:
        """Do the same without waiting: for what has to be done between two activities. Raises `ManagerClosedError`."""


@runtime_checkable
class WholeErrors(Protocol):
    """A source that shortens what an error says, and can read one again without that."""

    def error(self, id: str) -> AgentError | None:
        """Return the last error of a runtime: up to a million characters of its message and of its traceback."""


@runtime_checkable
class Rewindable(Protocol):
    """A source that can also be looked at as it was."""

    def events(self) -> list[tuple[int, Record]]:
        """Return what is recorded of what happened, each with its moment: a number that grows."""

    def past(self, moment: int) -> Source:
        """Return everything as it was after an event, by its moment. It stands still, and takes no command.

        Raises:
            AgentError: That is no longer recorded, or can't be read.
        """


def whole_error(source: Source, id: str) -> AgentError | None:
    """The last error of a runtime with all that it says, where the source can read it so."""
    if isinstance(source, WholeErrors):
        return source.error(id)
    shot = source.snapshot(id, metrics=False)
    return None if shot is None else shot.error


# ---- handles


class HasSource(Protocol):
    """A manager, as a view's entry point sees it."""

    @property
    def source(self) -> Source:
        """What its views are drawn from."""


class HasRuntime(Protocol):
    """A runtime's handle, as a view's entry point sees it."""

    @property
    def id(self) -> str:
        """The id of the runtime."""

    @property
    def manager(self) -> HasSource:
        """The manager that it belongs to."""


class Subject(msgspec.Struct, frozen=True):
    """What a view is of: a source, and one of its runtimes or (None) all of them."""

    source: Source
    id: str | None = None

    def __repr__(self) -> str:
        return f"{self.source.name!r}" if self.id is None else f"{self.id!r} of {self.source.name!r}"


def subject_of(handle: HasSource | HasRuntime) -> Subject:
    """Return what the views of a handle are drawn from; a manager and a runtime have one source."""
    if isinstance(handle, Subject):
        return handle
    manager: Any = getattr(handle, "manager", None)
    return Subject(handle.source) if manager is None else Subject(manager.source, handle.id)  # type: ignore[union-attr]
