"""Storage: what the durable runtimes of one manager share. It writes to the journal, and tells who waits for that."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from operator import call
from threading import get_ident
from time import monotonic
from typing import Any

from ..asyncio_compat import ready_handles
from ..errors import JournalError, JournalTakenOverError
from ..journal import Journal, StoredWhole, Write
from .protocols import Host

__all__ = ["Storage"]

TURNS = 3  # of the loop, until an activity that was sent is usually processed
ALONE = 2  # callbacks that are ready: those of the runtime that was asked, and of this storage
CALL_AGAIN = 1.0  # real seconds, at most, until the loop is called again
AHEAD = 250  # runtimes are read at a time: they are often created in the order in which they were
Then = Callable[[JournalError | None], object]


class Storage:
    """A journal, and what was handed to it and is not stored yet. Any thread, unless a method says otherwise.

    Args:
        host: The manager.
        journal: Where everything goes. It is closed with the manager.
    """

    def __init__(self, host: Host, journal: Journal) -> None:
        self.host = host
        self.journal = journal
        self.last_resumed = journal.last_activity  # what has a higher id is of this manager
        self.dormant: dict[str, Any] = {}  # entries that nobody has created yet, by id
        self._ids = journal.ids()
        self._known = dict(zip(self._ids, range(len(self._ids)), strict=True))  # what nobody has created yet
        self._loaded: dict[str, Callable[[], StoredWhole]] = {}
        self._numbers = count()
        self._waiting: dict[int, Then] = {}  # who waits for each append, by its number
        self._decided: deque[tuple[int, JournalError | None]] = deque()
        self._is_flushing, self._turns = False, TURNS
        self._flush_steps: tuple[Callable[[], object], ...] = (
            partial(setattr, self, "_is_flushing", False),
            self._flush_after,
        )
        self._call_again_at = -math.inf

    def append(self, *writes: Write, then: Then | None = None) -> None:
        """Have it stored, however long that takes. What is appended in one turn of the loop is stored together.

        Args:
            *writes: All of them are stored, or none.
            then: Called on the loop's thread once they are, or with an error if they never will be.

        Raises:
            JournalError: A value can't be stored, or the journal is closed.
        """
        number = next(self._numbers)
        self._waiting[number] = then or _nothing
        is_on_loop = get_ident() == self.host.thread
        try:
            # A callback for each: a disk that fails in the middle has stored some of them, and no others.
            self.journal.append(*writes, then=partial(self._note, number), required=True, more=is_on_loop)
        except JournalError:
            del self._waiting[number]
            raise
        if is_on_loop and not self._is_flushing:
            self._flush_soon(TURNS)

    @property
    def pending(self) -> int:
        """How many appends are not stored yet."""
        return max(0, len(self._waiting) - len(self._decided))

    def _flush_soon(self, turns: int) -> None:
        """Store in the next turn of the loop, or some turns later while others are ready there."""
        self._turns = turns
        # One call into C: an exception from outside finds the flag set and its callback there, or not begun.
        self.host.loop.call_soon(any, map(call, self._flush_steps))
        self._is_flushing = True  # last: a call that is interrupted before is done again by the next append

    def flush_if_alone(self) -> None:
        """Store what was appended now if hardly anything else is ready on the loop: a turn of it takes half as long."""
        ready = ready_handles(self.host.loop)
        if ready is None or len(ready) > ALONE or get_ident() != self.host.thread:
            return
        started = monotonic()
        with suppress(JournalError):  # closed meanwhile, which has stored it
            self._flush()
        self._hear()
        self.host.inline_budget.charge(monotonic() - started, 1.0)

    def _flush_after(self) -> None:
        """Store what was appended once nothing else is ready on the loop, or after some turns of it."""
        try:
            if self._turns > 1 and ready_handles(self.host.loop):
                self._flush_soon(self._turns - 1)
                return
            with suppress(JournalError):  # closed meanwhile, which has stored it
                self._flush()
            self._hear()
        except BaseException:
            self._flush_soon(1)
            raise

    def take(self, id: str) -> StoredWhole | None:
        """What the journal holds of an id that nobody has created yet, once. Those after it are read as well."""
        place = self._known.get(id)
        if place is None:
            return None
        if id not in self._loaded:
            self._loaded = self.journal.load(each for each in self._ids[place : place + AHEAD] if each in self._known)
        made = self._loaded.get(id)
        return None if made is None else made()

    def forget(self, id: str) -> None:
        """It is created, or waits for that in memory: what was read of it is no longer so."""
        self._known.pop(id, None)
        self._loaded.pop(id, None)

    def check_writable(self, id: str) -> None:
        """Raise `JournalError` while nothing can be stored."""
        error = self.journal.error
        if isinstance(error, JournalTakenOverError):  # it never does again
            raise error.copy()
        if error is not None:
            raise JournalError(f"{id!r} accepts nothing now: {error}; it goes on when writing works again", runtime=id)

    def _flush(self) -> None:
        """Store what was appended on this thread, or have it stored."""
        if self.journal.flush(here=True):
            self._flush_soon(1)

    def _note(self, number: int, error: JournalError | None) -> None:
        """An append is stored, or never will be. On the thread that stores."""
        self._decided.append((number, error))
        self._wake_loop()

    def _wake_loop(self) -> None:
        """Have the loop hear of it: once for all that became durable together."""
        if get_ident() == self.host.thread:  # whoever flushes there hears of it
            return
        now = monotonic()
        if now > self._call_again_at:  # or a call of before was interrupted right at its start
            self._call_again_at = now + CALL_AGAIN
            self._call_loop()

    def _call_loop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: `close` does it
            self.host.loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        try:
            self._call_again_at = -math.inf  # first: what is decided from here on calls again, or is seen below
            # What is called is taken away last: a call that is interrupted before is done again.
            while self._decided:
                number, error = self._decided[0]
                then = self._waiting.get(number)
                if then is not None:  # else it was heard of, and an exception from outside came before it was noted
                    then(error)
                    self._waiting.pop(number, None)
                self._decided.popleft()
        except BaseException:
            self._call_loop()
            raise

    def close(self) -> None:
        """Store what is left, close the journal, and tell who waits for that. It blocks for as long as that takes."""
        self.journal.close()
        self.host.post(self._hear)


def _nothing(_: object) -> None:
    """Nobody waits for it."""
