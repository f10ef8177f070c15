"""Dead letters: activities that were accepted and never delivered. Look at them, send them again, discard them.

A dead letter keeps its fate: it stays counted as dead. Sent again it is a new activity, accepted and counted like any
other, whose parent is the dead one and whose correlation is the same. Every command is recorded with who gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec

from .activity import Activity
from .engine.commands import ACTOR
from .engine.deadlock import CURRENT
from .engine.protocols import Manager
from .errors import AgentError, JournalError
from .events import Event, record_parts
from .receipt import Receipt
from .schema.bounded import BoundedDict

if TYPE_CHECKING:
    from .journal import StoredLetter

__all__ = ["DeadLetter", "DeadLetters", "Ledger", "send_again"]

LIMIT = 10_000  # dead letters that a manager keeps


class DeadLetter(msgspec.Struct, frozen=True):
    """An activity that could not be delivered, why, and when (seconds on the manager's clock)."""

    activity: Activity[Any]
    reason: str
    at: float


class Ledger(msgspec.Struct, frozen=True):
    """What became of the dead letters: `dead` = `here` + `resent` + `discarded` + `let_go`.

    `dead` is the count of that name among the fates. Only so many letters, and so many bytes, are kept: `let_go` were
    pushed out by newer ones.
    """

    dead: int = 0
    here: int = 0
    resent: int = 0
    discarded: int = 0

    @property
    def let_go(self) -> int:
        """How many are no longer kept."""
        return max(0, self.dead - self.here - self.resent - self.discarded)


class Letters(BoundedDict[int, DeadLetter]):
    """The letters that are kept, by the id of the activity. The journal keeps no others."""

    def __init__(self, limit: int, manager: Manager) -> None:
        super().__init__(limit, held=lambda letter: record_parts(letter.activity))
        self._manager = manager

    def release(self, key: int, letter: DeadLetter) -> None:
        """It was pushed out by newer ones."""
        self._manager.close_letter(letter.activity)


class DeadLetters(Sequence[DeadLetter]):
    """The dead letters of one manager, oldest first; `manager.dead_letters`. Safe from any thread.

    Each letter is sent again, or discarded, once. The oldest are let go when there are more than `limit`, or when their
    payloads keep more than 64 MB alive.

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
        self._letters = Letters(limit, manager)
        self._resent = self._discarded = 0
        self._read: Callable[[], Iterable[StoredLetter]] | None = None  # while there are some that can't be read
        self.limit = limit

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[DeadLetter]:
        with self._manager.lock:
            self._retry_unreadable()
            return iter(tuple(self._letters.values()))

    @overload
    def __getitem__(self, index: int) -> DeadLetter: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[DeadLetter, ...]: ...
    def __getitem__(self, index: int | slice) -> DeadLetter | tuple[DeadLetter, ...]:
        with self._manager.lock:
            return tuple(self._letters.values())[index]

    def __repr__(self) -> str:
        return f"<DeadLetters {len(self)} of at most {self.limit:,}>"

    def ledger(self) -> Ledger:
        """Return the counts, which add up. The cost grows with the number of runtimes."""
        with self._manager.lock:
            dead = self._manager.fates().dead
            return Ledger(dead, len(self), self._resent, self._discarded)

    def add(self, activity: Activity[Any], reason: str) -> None:
        """Put an undelivered activity with the dead letters. Doing it twice changes nothing. The lock is held."""
        self._letters[activity.id] = DeadLetter(activity, reason, self._manager.clock.now())

    def restore(self, read: Callable[[], Iterable[StoredLetter]], resent: int, discarded: int) -> None:
        """Go on with the letters of a journal. Those that can't be read are read again when somebody looks at them."""
        self._resent, self._discarded = resent, discarded
        self._take_letters(read(), read)

    def _take_letters(self, letters: Iterable[StoredLetter], read: Callable[[], Iterable[StoredLetter]]) -> None:
        from .journal import Unreadable

        for letter in letters:
            self._letters[letter.activity.id] = DeadLetter(letter.activity, letter.reason, letter.at)
            if isinstance(letter.activity.payload, Unreadable):
                self._read = read

    def _retry_unreadable(self) -> None:
        """Read what could not be read: its class may be defined by now."""
        read = self._read
        if read is not None and not self._manager.closed:
            letters = [letter for letter in read() if letter.activity.id in self._letters]
            self._read = None
            self._take_letters(letters, read)

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
            self._retry_unreadable()
            activity = self._find(id).activity
            self._check_readable(activity)
            receipt = send_again(self._manager, activity, to)
            del self._letters[id]
            self._manager.close_letter(activity, "resent")
            self._resent += 1
        return receipt

    def discard(self, id: int) -> DeadLetter:
        """Take a letter out for good, and return it.

        Raises:
            AgentError: There is no such letter (any more).
        """
        with self._manager.lock:
            letter = self._find(id)
            del self._letters[id]
            self._manager.close_letter(letter.activity, "discarded")
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
            every = sorted((*self._letters.values(), *letters), key=lambda letter: (letter.at, letter.activity.id))
            self._letters.clear()
            self._letters.update({letter.activity.id: letter for letter in every})
            self._discarded -= len(letters)
            for letter in letters:
                self._manager.keep_letter(letter.activity, letter.reason, letter.at)
                self._record("letter_kept", letter)

    def clear(self) -> None:
        """Let go of all of them; they are counted as `let_go`."""
        with self._manager.lock:
            for letter in self._letters.values():
                self._manager.close_letter(letter.activity)
            self._letters.clear()

    def _find(self, id: int) -> DeadLetter:
        letter = self._letters.get(id)
        if letter is None:
            raise AgentError(f"activity {id} is not among the dead letters (any more)", activity=id)
        return letter

    def _check_readable(self, activity: Activity[Any]) -> None:
        if self._read is not None:
            from .journal import Unreadable

            if isinstance(activity.payload, Unreadable):
                raise JournalError(f"{activity.payload.reason}; the letter stays", activity=activity.id)

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
