"""What a journal is: writes go in, all of one call or none; what is stored is read back after a restart.

A journal of another kind (a server's database) has the methods of `Journal`; `tests/journal/test_conformance.py` says
what each has to do. The easiest way there is `IndexedJournal`, which needs an ordered log of bytes and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from ..activity import Activity
from ..errors import JournalError

__all__ = [
    "UNCHANGED", "Accepted", "Changed", "Committed", "Created", "EffectDone", "Journal", "LetterClosed", "LetterKept",
    "Removed", "StoredLetter", "StoredRuntime", "StoredWhole", "Then", "Unreadable", "WaitingActivity", "Write",
]  # fmt: skip

UNCHANGED: Any = msgspec.UNSET
"""Stands for a state, a reply or a setting that stays as it is, or that there is none of."""

Then = Callable[[JournalError | None], object]
"""Called once a write is durable, with None, or with the error for which it is not stored; on the journal's thread."""


class Unreadable(msgspec.Struct, frozen=True):
    """Stands for a value that is stored and can't be shown, or was never stored."""

    reason: str


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime begins. `at` is seconds on the manager's clock, `workflow` what tells one version of its code."""

    runtime: str
    state: Any
    at: float = 0.0
    limits: Any = UNCHANGED
    workflow: str = ""
    version: int = 1


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a runtime, or its state, are changed by hand. What is left out stays as it is."""

    runtime: str
    state: Any = UNCHANGED
    limits: Any = UNCHANGED
    paused: bool | None = None
    workflow: str | None = None
    version: int | None = None
    supervision: Any = UNCHANGED


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime ends, and nothing of it is read back: neither its state nor what waits.

    Attributes:
        runtime: Its id.
        counts: How many activities had each fate, and "accepted": see `Journal.retired`.
    """

    runtime: str
    counts: dict[str, int] = {}


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An activity was accepted. Written again, it replaces what waits by the same id: edited, moved, promoted.

    Attributes:
        activity: It; its receipt is not stored.
        rank: Its place among those of its lane, where that is not its id.
        key_until: Until when its key is remembered, in seconds on the manager's clock.
    """

    activity: Activity[Any]
    rank: float | None = None
    key_until: float | None = None


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """All that one processed activity causes. The activity must be stored, or be accepted in the same call.

    Attributes:
        runtime: Whose activity it was.
        activity: Its id.
        fate: What became of it: "done", "failed", "timed_out", "dropped", "terminated", "dead"; None if it is tried
            again, at `not_before` at the earliest.
        at: When, in seconds on the manager's clock.
        state: The new state.
        reply: What the workflow replied.
        error: What went wrong, as text.
        sent: What it sent, to any runtime.
        supervision: The counts of the supervisor, as plain data.
        not_before: When it is tried again.
    """

    runtime: str
    activity: int
    fate: str | None = "done"
    at: float = 0.0
    state: Any = UNCHANGED
    reply: Any = UNCHANGED
    error: str = ""
    sent: tuple[Accepted, ...] = ()
    supervision: Any = UNCHANGED
    not_before: float | None = None


class EffectDone(msgspec.Struct, frozen=True, kw_only=True):
    """A side effect was done by an activity that is not committed yet, and is not done again if that is interrupted."""

    runtime: str
    activity: int
    name: str
    value: Any


class LetterClosed(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter was sent again, discarded, or, with neither of these fates, pushed out by others."""

    runtime: str
    activity: int
    fate: Literal["", "resent", "discarded"] = ""


class LetterKept(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter that was discarded is one again; it is not counted again."""

    activity: Activity[Any]
    reason: str
    at: float


Write = Created | Changed | Removed | Accepted | Committed | EffectDone | LetterClosed | LetterKept


class StoredRuntime(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime as it was stored last, without its state and without what waits.

    Attributes:
        id: Its id.
        created: When, in seconds on the manager's clock; None if activities wait for an id that was never created.
        limits: As they were given to `Created`.
        paused: Whether it was.
        workflow: What tells one version of its code.
        version: The version of its state.
        supervision: The counts of its supervisor.
        counts: How many activities had each fate, and "accepted".
        waiting: How many wait.
    """

    id: str
    created: float | None
    limits: Any
    paused: bool
    workflow: str
    version: int
    supervision: Any
    counts: dict[str, int]
    waiting: int


class WaitingActivity(msgspec.Struct, frozen=True):
    """An activity that has no fate yet, how often it was tried, when it may be tried again, and its `Accepted.rank`."""

    activity: Activity[Any]
    attempts: int = 0
    not_before: float | None = None
    rank: float | None = None


class StoredLetter(msgspec.Struct, frozen=True):
    """A dead letter: why, and when (seconds on the manager's clock)."""

    activity: Activity[Any]
    reason: str
    at: float


class StoredWhole(msgspec.Struct, frozen=True):
    """All that a runtime goes on from: settings, state, what waits in the order of each lane, keys as `Journal.keys`.

    `state` is left out where there is none, or where it can't be read: `Journal.state` says why.
    """

    runtime: StoredRuntime
    waiting: list[WaitingActivity]
    keys: dict[str, tuple[int, float]]
    state: Any = UNCHANGED


class Journal(Protocol):
    """Where writes go and what is read back. Safe from any thread.

    Attributes:
        when_replaced: A weak reference to what closes it, set where the same process may open it once more.
    """

    when_replaced: Callable[[], Callable[[], object] | None] | None

    def append(self, *writes: Write, then: Then | None = None, required: bool = False, more: bool = False) -> None:
        """Store all of these or none, after everything that was appended before.

        Args:
            *writes: What to store.
            then: Called once it is decided, on the thread of the journal: it must be quick and must not raise.
            required: Whether to try until it is stored. Else what somebody waits for fails when writing fails.
            more: Whether to wait for the next append, or for `flush`, so that both are stored in one transaction.

        Raises:
            JournalError: A value can't be stored; nothing of this call is. Or the journal is closed.
        """

    def flush(self, here: bool = False) -> bool:
        """Have stored what was appended with `more`.

        Args:
            here: It may be done on this thread, which waits for it, where the disk was quick lately.

        Returns:
            Whether there is more to be done on this thread: flush again, after a while for others.
        """

    async def put(self, *writes: Write) -> None:
        """`append`, and wait until it is durable; on any loop. Raises `JournalError` if it is not."""

    def check(self, value: Any, what: str) -> None:
        """Raise `JournalError` unless a value can be stored; `what` is what the message calls it."""

    def runtimes(self) -> list[StoredRuntime]:
        """What is stored, in the order of creation."""

    def ids(self) -> list[str]:
        """The ids of what is stored, in the order of creation."""

    def load(self, runtimes: Iterable[str]) -> dict[str, Callable[[], StoredWhole]]:
        """Read several runtimes at once, by id; those that are stored. Faster than one by one.

        Returns:
            Functions that make the objects: whoever calls them may define their classes first. They raise
            `JournalError` if what waits can't be read.
        """

    def find(self, runtime: str) -> StoredRuntime | None:
        """One of them."""

    def state(self, runtime: str) -> Any:
        """The last state; `JournalError` if it no longer fits its class, with the path of the field."""

    def plain_state(self, runtime: str) -> Any:
        """The last state with dicts for records: what an upgrade begins with."""

    def waiting(self, runtime: str) -> Iterator[WaitingActivity]:
        """What waits, in the order of each lane."""

    def keys(self, runtime: str) -> dict[str, tuple[int, float]]:
        """The remembered keys: the activity of each, and until when."""

    def letters(self) -> list[StoredLetter]:
        """The dead letters that were neither sent again nor discarded, oldest first.

        A payload that can't be read, as its class is not here (yet), is `Unreadable`.
        """

    def effects(self, runtime: str, activity: int) -> dict[str, Any]:
        """The effects of an activity that was interrupted, by name."""

    @property
    def retired(self) -> dict[str, int]:
        """The sum of the counts of all runtimes that were removed, and of dead letters: "resent" and "discarded"."""

    @property
    def last_activity(self) -> int:
        """The highest id of an activity that was ever stored."""

    @property
    def last_time(self) -> float:
        """The latest time that anything stored has, in seconds on the manager's clock."""

    @property
    def error(self) -> JournalError | None:
        """Why nothing can be stored now; None if all is well."""

    @property
    def lag(self) -> float:
        """How many real seconds the oldest of what is being stored waits for that; 0 if nothing is."""

    @property
    def size(self) -> int:
        """How many bytes it takes."""

    def backup(self, path: str | Path) -> None:
        """Write a consistent copy, while others append."""

    def compact(self) -> None:
        """Give back the room of what was let go."""

    def close(self) -> None:
        """Store what was appended, and end. Safe to call again."""
