"""Dead letters: what became of them afterwards. Look, send again, discard; from any thread, on the record with who.

A dead letter keeps its fate: it was accepted and never delivered, and it stays counted as dead. Sent again it is a new
activity, accepted and counted like any other, whose parent is the dead one and whose correlation is the same.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from .activity import Activity
from .engine.commands import ACTOR
from .engine.deadlock import CURRENT
from .errors import AgentError
from .events import Event
from .manager import DeadLetter, RuntimeManager
from .receipt import Receipt

__all__ = ["DeadLetters", "Ledger", "send_again"]


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


class _Tally:
    def __init__(self) -> None:
        self.resent = self.discarded = 0


class DeadLetters:
    """The dead letters of one manager. Safe from any thread: each is sent again, or discarded, once.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     doomed = manager.create("doomed", 0, lambda activity, state: state + activity.payload)
    ...     doomed.pause()
    ...     lost = doomed.send_nowait(5)
    ...     ended = manager.run(doomed.terminate())
    ...     again = manager.create("again", 0, lambda activity, state: state + activity.payload)
    ...     letters = DeadLetters(manager)
    ...     letters.resend(lost.id, to="again").result(5).state
    ...     letters.ledger().resent, len(letters)
    5
    (1, 0)
    """

    # The counts must outlive the view that was used to change them.
    _tallies: WeakKeyDictionary[RuntimeManager, _Tally] = WeakKeyDictionary()

    def __init__(self, manager: RuntimeManager) -> None:
        self.manager = manager
        with manager.lock:
            self._tally = self._tallies.setdefault(manager, _Tally())

    def __len__(self) -> int:
        return len(self.manager.dead_letters)

    def all(self) -> list[DeadLetter]:
        """Those that are kept, oldest first."""
        with self.manager.lock:
            return list(self.manager.dead_letters)

    def ledger(self) -> Ledger:
        """The counts, which add up. Costs per runtime of the manager."""
        with self.manager.lock:
            dead = self.manager.fates().dead
            return Ledger(dead, len(self), self._tally.resent, self._tally.discarded)

    def resend(self, id: int, to: str | None = None) -> Receipt:
        """Send the letter of an activity again, to the same or to another runtime; it leaves the dead letters.

        It stays where it is if it is refused: `RuntimeNotFoundError` and `RuntimeTerminatedError` if that runtime is
        gone, and all that `Runtime.send_nowait` raises. `AgentError` if there is no such letter (any more).
        """
        with self.manager.lock:
            place = self._find(id)
            receipt = send_again(self.manager, self.manager.dead_letters[place].activity, to)
            del self.manager.dead_letters[place]
            self._tally.resent += 1
        return receipt

    def discard(self, id: int) -> DeadLetter:
        """Take a letter out for good, and return it. `AgentError` if there is no such letter (any more)."""
        with self.manager.lock:
            place = self._find(id)
            letter = self.manager.dead_letters[place]
            del self.manager.dead_letters[place]
            self._tally.discarded += 1
            note(self.manager, letter.activity.runtime, "letter_discarded", {"activity": id})
        return letter

    def put_back(self, *letters: DeadLetter) -> None:
        """Undo discards: put letters back among the others. `AgentError` if that is more than are kept."""
        with self.manager.lock:
            kept = self.manager.dead_letters
            if kept.maxlen is not None and len(kept) + len(letters) > kept.maxlen:
                raise AgentError(f"no more than {kept.maxlen:,} dead letters are kept")
            every = sorted((*kept, *letters), key=lambda letter: (letter.at, letter.activity.id))
            kept.clear()
            kept.extend(every)
            self._tally.discarded -= len(letters)
            for letter in letters:
                note(self.manager, letter.activity.runtime, "letter_kept", {"activity": letter.activity.id})

    def _find(self, id: int) -> int:
        for place, letter in enumerate(self.manager.dead_letters):
            if letter.activity.id == id:
                return place
        raise AgentError(f"activity {id} is not among the dead letters (any more)", activity=id)


def send_again(manager: RuntimeManager, activity: Activity[Any], to: str | None = None) -> Receipt:
    """Send what an activity said again, as a new one: its parent is that activity, its correlation is kept.

    To the runtime it was for, or to another; in the same lane, with the same timeout, at once. Any thread.
    """
    entry = manager.entry(activity.runtime if to is None else to)
    head = activity.correlation or activity.id
    copy = msgspec.structs.replace(
        activity, parent=activity.id, correlation=head, receipt=None, key=None, not_before=None
    )
    # Sent by hand, also when it is a workflow's hand: its parent is what it repeats.
    token = CURRENT.set(None)
    try:
        receipt: Receipt = entry.send_nowait(copy)
    finally:
        CURRENT.reset(token)
    entry.note("resent", {"activity": activity.id, "as": receipt.id, "from": activity.runtime}, ACTOR.get())
    return receipt


def note(manager: RuntimeManager, runtime: str, kind: str, detail: Any) -> None:
    """Put it on the record, also of a runtime that is gone."""
    manager.ring.append(Event(manager.number(), runtime, manager.clock.now(), kind, ACTOR.get(), detail))
    manager.notify()
