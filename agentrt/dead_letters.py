"""Dead letters: activities that were accepted and never delivered. Look at them, send them again, discard them.

A dead letter keeps its fate: it stays counted as dead. Sent again it is a new activity, accepted and counted like any
other, whose parent is the dead one and whose correlation is the same. Every command is recorded with who gave it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec

from .activity import Activity
from .engine.commands import ACTOR
from .engine.deadlock import CURRENT
from .engine.protocols import Manager
from .errors import AgentError
from .events import Event
from .receipt import Receipt

__all__ = ["DeadLetter", "DeadLetters", "Ledger", "send_again"]

LIMIT = 10_000  # dead letters that a manager keeps


class DeadLetter(msgspec.Struct, frozen=True):
    """An activity that could not be delivered, why, and when (seconds on the manager's clock)."""

    activity: Activity[Any]
    reason: str
    at: float


class Ledger(msgspec.Struct, frozen=True):
    """What became of the dead letters: `dead` = `here` + `resent` + `discarded` + `let_go`.

    `dead` is the count of that name among the fates. Only so many letters are kept: `let_go` were pushed out by newer.
    """

    dead: int = 0
    here: int = 0
    resent: int = 0
    discarded: int = 0

    @property
    def let_go(self) -> int:
        """How many are no longer kept."""
        return max(0, self.dead - self.here - self.resent - self.discarded)


class DeadLetters(Sequence[DeadLetter]):
    """The dead letters of one manager, oldest first; `manager.dead_letters`. Safe from any thread.

    Each letter is sent again, or discarded, once. With more than `limit` letters the oldest are let go.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     doomed = manager.create("doomed", 0, lambda activity, state: state + activity.payload)
    ...     doomed.pause()
    ...     lost = doomed.send_nowait(5)
    ...     ended = manager.run(doomed.terminate())
    ...     again = manager.create("again", 0, lambda activity, state: state + activity.payload)
    ...     manager.dead_letters.resend(lost.id, to="again").result(5).state
    ...     manager.dead_letters.ledger().resent, len(manager.dead_letters)
    5
    (1, 0)
    """

    def __init__(self, manager: Manager, limit: int = LIMIT) -> None:
        self._manager = manager
        self._letters: deque[DeadLetter] = deque(maxlen=limit)
        self._resent = self._discarded = 0
        self.limit = limit

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[DeadLetter]:
        with self._manager.lock:
            return iter(tuple(self._letters))

    @overload
    def __getitem__(self, index: int) -> DeadLetter: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[DeadLetter, ...]: ...
    def __getitem__(self, index: int | slice) -> DeadLetter | tuple[DeadLetter, ...]:
        with self._manager.lock:
            return tuple(self._letters)[index] if isinstance(index, slice) else self._letters[index]

    def __repr__(self) -> str:
        return f"<DeadLetters {len(self)} of at most {self.limit:,}>"

    def ledger(self) -> Ledger:
        """Return the counts, which add up. The cost grows with the number of runtimes."""
        with self._manager.lock:
            dead = self._manager.fates().dead
            return Ledger(dead, len(self), self._resent, self._discarded)

    def add(self, activity: Activity[Any], reason: str) -> None:
        """Put an undelivered activity with the dead letters."""
        self._letters.append(DeadLetter(activity, reason, self._manager.clock.now()))

    def resend(self, id: int, to: str | None = None) -> Receipt:
        """Send a letter again; it leaves the dead letters. If it is refused, it stays where it is.

        Args:
            id: The id of the dead activity.
            to: The id of the runtime that gets it; None for the one it was for.

        Raises:
            RuntimeNotFoundError: There is no such runtime.
            RuntimeTerminatedError: That runtime has ended.
            AgentError: There is no such letter (any more), or what `Runtime.send_nowait` raises.
        """
        with self._manager.lock:
            place = self._find(id)
            receipt = send_again(self._manager, self._letters[place].activity, to)
            del self._letters[place]
            self._resent += 1
        return receipt

    def discard(self, id: int) -> DeadLetter:
        """Take a letter out for good, and return it.

        Raises:
            AgentError: There is no such letter (any more).
        """
        with self._manager.lock:
            place = self._find(id)
            letter = self._letters[place]
            del self._letters[place]
            self._discarded += 1
            self._record("letter_discarded", letter)
        return letter

    def put_back(self, *letters: DeadLetter) -> None:
        """Undo discards: put letters back among the others, in the order of their times.

        Raises:
            AgentError: That is more than are kept; none is put back.
        """
        with self._manager.lock:
            if len(self) + len(letters) > self.limit:
                raise AgentError(f"no more than {self.limit:,} dead letters are kept")
            every = sorted((*self._letters, *letters), key=lambda letter: (letter.at, letter.activity.id))
            self._letters = deque(every, maxlen=self.limit)
            self._discarded -= len(letters)
            for letter in letters:
                self._record("letter_kept", letter)

    def clear(self) -> None:
        """Let go of all of them; they are counted as `let_go`."""
        with self._manager.lock:
            self._letters.clear()

    def _find(self, id: int) -> int:
        for place, letter in enumerate(self._letters):
            if letter.activity.id == id:
                return place
        raise AgentError(f"activity {id} is not among the dead letters (any more)", activity=id)

    def _record(self, kind: str, letter: DeadLetter) -> None:
        """Record a command on a letter; its runtime may be gone."""
        manager, activity = self._manager, letter.activity
        detail = {"activity": activity.id}
        manager.record(Event(manager.number(), activity.runtime, manager.clock.now(), kind, ACTOR.get(), detail))
        manager.notify()


def send_again(manager: Manager, activity: Activity[Any], to: str | None = None) -> Receipt:
    """Send the payload of an activity as a new one, in the same lane, with the same timeout, at once. Any thread.

    Args:
        manager: The manager of the runtime that gets it.
        activity: Becomes the parent of the new activity, which keeps its correlation.
        to: The id of the runtime that gets it; None for the one it was for.

    Raises:
        AgentError: What `manager[id]` and `Runtime.send_nowait` raise.
    """
    entry = manager.entry(activity.runtime if to is None else to)
    head = activity.correlation or activity.id
    copy = msgspec.structs.replace(
        activity, parent=activity.id, correlation=head, receipt=None, key=None, not_before=None
    )
    token = CURRENT.set(None)  # also in a workflow: the parent is the activity that is repeated
    try:
        receipt: Receipt = entry.send_nowait(copy)
    finally:
        CURRENT.reset(token)
    entry.record_event("resent", {"activity": activity.id, "as": receipt.id, "from": activity.runtime}, ACTOR.get())
    return receipt
