"""Storage: what the durable runtimes of one manager share. It writes to the journal, and tells who waits for that."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock, get_ident
from typing import Any

from ..errors import JournalError
from ..journal import Journal, StoredWhole, Write
from .protocols import Host

__all__ = ["Storage"]

TURNS = 3  # of the loop, until an activity that was sent is usually processed
CALL_AGAIN = 1.0  # seconds on the manager's clock, at most, until the loop is called again
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
        self.pending = 0  # how many appends are not stored yet
        self._decided: deque[tuple[Then, JournalError | None]] = deque()
        self._lock = Lock()
        self._is_flushing = False
        self._call_again_at = -math.inf

    def append(self, *writes: Write, then: Then | None = None, more: bool = False) -> None:
        """Have it stored, however long that takes.

        Args:
            writes: All of them are stored, or none.
            then: Called on the loop's thread once they are, or with an error if they never will be.
            more: Whether what comes of it in the next turns of the loop shall be in the same transaction.

        Raises:
            JournalError: A value can't be stored, or the journal is closed.
        """
        with self._lock:
            self.pending += 1
        try:
            more = more and get_ident() == self.host.thread
            self.journal.append(*writes, then=partial(self._note, then or _nothing), required=True, more=more)
        except BaseException:
            with self._lock:
                self.pending -= 1
            raise
        if more and not self._is_flushing:
            self._is_flushing = True
            self.host.loop.call_soon(self._flush_after, TURNS)

    def _flush_after(self, turns: int) -> None:
        """An activity that was accepted is processed in the next turns of the loop: often it is done by then."""
        if turns > 1:
            self.host.loop.call_soon(self._flush_after, turns - 1)
            return
        self._is_flushing = False
        with suppress(JournalError):  # closed meanwhile, which has stored it
            self.journal.flush()

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
        if error is not None:
            raise JournalError(f"{id!r} accepts nothing now: {error}; it goes on when writing works again", runtime=id)

    def _note(self, then: Then, error: JournalError | None) -> None:
        """Have the loop hear of it: once for all that became durable together. On the journal's thread."""
        self._decided.append((then, error))
        try:
            now = self.host.clock.now()
            if now > self._call_again_at:  # or a call of before was interrupted right at its start
                self._call_again_at = now + CALL_AGAIN
                self._call_loop()
            with self._lock:
                self.pending -= 1
        except BaseException:
            self._call_loop()
            raise

    def _call_loop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: `close` does it
            self.host.loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        try:
            self._call_again_at = -math.inf  # first: what is decided from here on calls again, or is seen below
            while self._decided:
                then, error = self._decided[0]
                then(error)
                self._decided.popleft()  # last: a call that is interrupted before is done again
        except BaseException:
            self._call_loop()
            raise

    def close(self) -> None:
        """Store what is left, close the journal, and tell who waits for that. It blocks for as long as that takes."""
        self.journal.close()
        self.host.post(self._hear)


def _nothing(_: object) -> None:
    """Nobody waits for it."""
