"""What happened: frozen records with the manager's sequence numbers, and the bounded ring that keeps the last of them.

Three kinds of records share the ring, and all have `sequence`, `runtime`, `at` (seconds on the manager's clock) and
`kind`: an `Activity` (it was accepted), an `Outcome` (what became of it) and an `Event` (anything else: commands,
transitions, spans).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import partial
from operator import call, delitem
from typing import Any, Generic

import msgspec

from .activity import Activity, Lane, UntrackedActivity
from .errors import AgentError
from .schema.numbers import count
from .schema.preview import preview
from .schema.size import ROUGH, estimate_size
from .typevars import S

__all__ = ["PROCESSED", "Baseline", "CodeChange", "Event", "Fate", "Outcome", "Record", "Ring", "record_parts"]


class Fate(StrEnum):
    """What became of an accepted activity. Exactly one of these, unless it is still pending."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    DROPPED = "dropped"
    TERMINATED = "terminated"
    DEAD = "dead"


FATES = {fate.value: fate for fate in Fate}
PROCESSED = ("done", "failed", "timed_out")  # the fates of what was started


class Outcome(msgspec.Struct, Generic[S], frozen=True):
    """The end of one activity: its fate, the state after it, what was replied, the error if there is one.

    Times are seconds on the manager's clock; `started` is None if it was never processed, and of what a journal has
    stored: it does not say when. `state` is the committed state itself, not a copy: with immutable states the history
    of a runtime costs a pointer an activity.
    """

    # Of plain values: the members of an enum are seen by the garbage collector, and so is what holds one. With a state
    # that is a number, a string or a struct without containers it has nothing to walk in the whole ring.
    sequence: int
    id: int
    runtime: str
    priority: bool
    kind: str  # the fate as a word
    created: float
    started: float | None
    finished: float
    state: S
    reply: Any = msgspec.UNSET
    error: AgentError | None = None
    attempts: int = 1

    def __repr__(self) -> str:
        return f"Outcome({', '.join(f'{name}={preview(getattr(self, name), 200)}' for name in self.__struct_fields__)})"

    @property
    def lane(self) -> Lane:
        """The lane it waited in."""
        return Lane.PRIORITY if self.priority else Lane.STANDARD

    @property
    def fate(self) -> Fate:
        """What became of it."""
        return FATES[self.kind]

    @property
    def at(self) -> float:
        """When it ended."""
        return self.finished

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.kind == "done"

    @property
    def was_processed(self) -> bool:
        """Whether it was started."""
        return self.started is not None or self.kind in PROCESSED

    @property
    def value(self) -> Any:
        """What the workflow replied with `ctx.reply(x)`, else the state after it."""
        return self.state if self.reply is msgspec.UNSET else self.reply

    @property
    def wait(self) -> float:
        """Seconds from being accepted to its (last) start, or to its end if it was never processed."""
        return (self.finished if self.started is None else self.started) - self.created

    @property
    def service(self) -> float | None:
        """Seconds from its start to its end, all attempts included; None if it was never processed."""
        return None if self.started is None else self.finished - self.started


class Event(msgspec.Struct, frozen=True):
    """Anything else that happened: a command, a transition, a span. `who` gave the command, where that is known."""

    sequence: int
    runtime: str
    at: float
    kind: str
    who: str | None = None
    detail: Any = None


class CodeChange(Event, frozen=True):
    """An event after which a runtime has another workflow: a `Workflow`, which is declared above this."""

    workflow: Any = None


class Baseline(CodeChange, frozen=True):
    """An event with how the runtime is after it, so that what was before need not be known.

    Args:
        workflow: Its workflow.
        state: Its state.
        initial: The state that a restart goes back to.
        limits: Its `Limits`.
        waiting: What waits: in the priority lane, in the standard lane, not yet due.
        counts: How many activities were accepted, in the priority lane and in the standard lane, and had each fate.
        paused: Whether it is paused.
        failed: Whether its supervisor has stopped it.
    """

    state: Any = None
    initial: Any = None
    limits: Any = None
    waiting: tuple[Sequence[Activity[Any]], ...] = ()
    counts: tuple[int, ...] = ()
    paused: bool = False
    failed: bool = False


Record = Activity[Any] | Outcome[Any] | Event

RECORD_BYTES = 200
SAMPLE = 32  # records, of the last thousand, that are weighed
LOOKS = 10  # objects that are looked at for each record of a sample, where they are many
ALERT = 4  # in a sample that would fill the bound with a quarter of the records there is a large one


def held_parts(records: list[Any]) -> list[Any]:
    """What records keep alive that is not their own."""
    return [part for record in records for part in record_parts(record)]


def record_parts(record: Any) -> list[Any]:
    """What a record keeps alive that is not its own."""
    if type(record) in (Activity, UntrackedActivity):
        return [record.payload]
    if isinstance(record, Outcome):
        parts = [record.state]
        if record.reply is not msgspec.UNSET:
            parts.append(record.reply)
        if record.error is not None:
            parts.append(record.error)
        return parts
    if isinstance(record, Baseline):
        return [record.detail, record.state, record.initial, record.waiting]
    if isinstance(record, Event):
        return [record.detail]
    return [record]


class Ring:
    """The last records, bounded by count and by (estimated) bytes. Says how many it has let go.

    `append` is the append of a plain list: any thread. `trim` keeps the bounds; whoever appends must call it now and
    then. A reader keeps a cursor and pulls only what is newer; from any thread. Nothing here waits for a lock.

    Args:
        limit: How many records are kept.
        max_bytes: How many bytes they may keep alive, states and payloads included; but `FEWEST` are kept.
        read: Called with each list of what was appended before anybody sees it; makes records of what is none yet.
        parts: What a list of what was appended keeps alive, which is weighed.

    >>> ring = Ring(limit=10)
    >>> ring.append("a")
    >>> ring.since(0)
    (['a'], 1, 0)
    """

    STEP, LEAST, FEWEST = 1_000, 16, 2  # records from one look at the bounds to the next at most, at least; kept

    def __init__(
        self,
        limit: int = 20_000,
        max_bytes: int = 64 << 20,
        read: Callable[[list[Any]], list[Any]] = lambda records: records,
        parts: Callable[[list[Any]], list[Any]] = held_parts,
    ) -> None:
        self.limit = limit = count("ring", limit, least=1)
        self.max_bytes = max_bytes
        self._read, self._parts = read, parts
        self.records: list[Any] = []
        self.append = self.records.append
        self._bases = [0]  # how many were let go; one number, replaced in one step with what it counts
        self.mark = self.LEAST  # how many there are when the bounds are looked at next
        self._fitting = limit
        self._weighed = 0  # the cursor up to which records were weighed
        self._alert = 0  # how many of the next records are all weighed, as there were large ones

    @property
    def cursor(self) -> int:
        """The position of the next record: pass it to `since` to see only what comes from now on."""
        return self.let_go + len(self.records)

    @property
    def let_go(self) -> int:
        """How many records have been dropped to keep the bounds."""
        return self._bases[0]

    def since(self, cursor: int, until: int | None = None) -> tuple[list[Any], int, int]:
        """The records from `cursor` to `until`, the cursor to use next, and how many were let go in between."""
        while True:
            base = self.let_go
            end = None if until is None else max(0, until - base)
            records = self.records[max(0, cursor - base) : end]
            if self.let_go == base:  # else the positions have moved meanwhile
                return self._read(records), max(cursor, base) + len(records), max(0, base - cursor)

    def ensure(self, record: Any) -> None:
        """Append a record unless it is among the last ones: for what may have been interrupted between two steps."""
        if not any(each is record for each in self._last()):
            self.append(record)

    def outcome_of(self, id: int) -> Outcome | None:
        """The outcome of an activity, if it is among the last records."""
        last = reversed(self._last())
        return next((each for each in last if isinstance(each, Outcome) and each.id == id), None)

    def _last(self) -> list[Any]:
        return self._read(self.records[-self.STEP :])

    def trim(self) -> None:
        """Keep the bounds. Cheap when called too often: it looks once in 1,000 records, more often at large ones."""
        if len(self.records) < self.mark:
            return
        self._fitting = min(self.limit, self._affordable())
        base = self.let_go
        extra = len(self.records) - self._fitting
        if extra > 0:
            self._let_go(base, extra)
        self.mark = len(self.records) + min(self.STEP, max(self.LEAST, self._fitting // 4))

    def _let_go(self, base: int, extra: int) -> None:
        """Let the first `extra` records go, unless somebody else did it since there were `base` before them.

        No lock is held: what goes is freed when this returns, and a finalizer may send, which takes the manager's lock.
        """
        going = self.records[:extra]
        steps = (
            partial(self._bases.remove, base),
            partial(self._bases.append, base + extra),
            partial(delitem, self.records, slice(extra)),
        )
        with suppress(ValueError):  # of `remove`: it is done already
            any(map(call, steps))  # in one call into C: no other thread and no signal handler comes in between
        del going

    def _affordable(self) -> int:
        """How many records of the size of the newest ones the byte bound allows; a sample of them is weighed."""
        last = min(self.STEP, len(self.records))
        # An odd stride: accepted and done take turns, and an even one would weigh only one of the two.
        sample = self.records[-last :: 1 if self._alert else last // SAMPLE | 1]
        each = RECORD_BYTES + estimate_size(self._parts(sample), ROUGH + LOOKS * len(sample)) / max(1, len(sample))
        fitting = int(self.max_bytes / each)
        new, self._weighed = self.cursor - self._weighed, self.cursor
        # One large record among many is met by chance, so once one was met all are weighed for a while.
        self._alert = self.limit if fitting * ALERT < self.limit else max(0, self._alert - new)
        return max(self.FEWEST, fitting)
