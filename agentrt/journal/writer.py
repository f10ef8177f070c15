"""Who writes: a thread of its own, or whoever calls `store_here` where the disk is quick.

What was appended while one transaction was written goes into the next one, all of it at once. To hand over to a thread
and back takes as long as a quick disk does, so the loop of the agents stores what it has appended itself. Where that
was not quick, it leaves it to the thread for a while.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import call, delitem
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from typing import Any, Protocol, TypeVar

from ..errors import AgentError, JournalError, JournalTakenOverError, describe_error
from ..logs import log_safely
from .database import LetGo, Meta
from .indexed import Append
from .rows import Row, encode_row

__all__ = ["OutcomeUnknownError", "Store", "Writer"]

T = TypeVar("T")
MOST_APPENDS = 2_000  # of one transaction
MOST_HERE = 256  # of one that is stored on the thread of whoever asks for it
QUICK = 0.002  # seconds that the disk may take there,
SLOW_TIMES = 3  # or so many times in a row longer: one in some hundred takes long, as the log is brought into the file
FIRST_REST, LAST_REST = 1.0, 60.0  # seconds, after it took longer, until that is tried again
MOST_UNAPPLIED = 1_000  # appends that were stored, until the thread is woken to note where they stand
FIRST_RETRY, LAST_RETRY = 0.05, 2.0  # seconds until writing is tried again
IDLE_WORK = 0.01  # seconds after each transaction, and one portion more
logger = logging.getLogger(__name__)

Answer = SimpleQueue[tuple[Any, BaseException | None]]
Question = tuple[Callable[[], Any], Answer]


class OutcomeUnknownError(JournalError):
    """The connection was lost before it was known whether the rows are stored. They are stored by the next `store`."""


class Store(Protocol):
    """An ordered log of rows that one thread at a time writes to; `Database` is that of SQLite."""

    meta: Meta

    @property
    def label(self) -> str:
        """What messages call it."""

    def store(self, records: list[bytes]) -> float:
        """Add rows at the end, all of them or none; how many seconds that took. Raises `JournalError`.

        After an `OutcomeUnknownError` the next call begins with the same rows: they are stored once.
        """

    def recover(self) -> None:
        """Find out what is stored, after `store` was interrupted by an exception from outside."""

    def replace(self, upto: int, records: list[bytes], let_go: LetGo, then: Callable[[], object]) -> None:
        """Delete the rows up to a position and add others at the end, in one transaction.

        `then` is called once that is done: also where it is found out later, after a `JournalError`.
        """

    def fetch(self, positions: list[int]) -> list[Row]:
        """The rows at these positions, at most a few hundred, in this order."""

    def read(self) -> Iterator[tuple[int, Row]]:
        """All rows in their order. Raises `JournalError` if one is damaged or missing."""

    def head(self, most: int, most_bytes: int) -> list[tuple[int, Row]]:
        """The first rows, one at least: so many at most, and no more once they have so many bytes."""

    @property
    def used(self) -> int:
        """How many bytes the rows take, as far as `Retention.bytes` counts them."""

    def close(self) -> None:
        """Write down that it is closed, and close it. Safe to call again."""


class Writer(Thread):
    """Owns the database. Other threads hand it appends, and questions to answer between two transactions.

    An exception from outside may interrupt `store_here` anywhere. Whoever writes next completes what it had begun: the
    database says whether that was stored.

    Args:
        database: What it writes to, and closes at its end.
        apply: Called on its thread with what was stored and the position of its first row, before anybody reads.
        idle: Called after each transaction: does a little of what is to be done beside, and says whether there is more.
    """

    def __init__(self, database: Store, apply: Callable[[list[Append], int], None], idle: Callable[[], bool]) -> None:
        super().__init__(name="agentrt-journal", daemon=True)
        self.database = database
        self.error: JournalError | None = None
        self.failure: JournalError | None = None  # for which the thread has ended
        self._apply = apply
        self._idle = idle
        self._turn: Any = RLock()  # held by whoever writes
        self._queue: list[Append] = []  # not known to be stored, oldest first
        self._attempt: tuple[list[Append], int] | None = None  # what was begun with `store_here`, and its first row
        self._unapplied: deque[tuple[list[Append], int]] = deque()
        self._questions: deque[Question] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._required: list[Append] = []  # could not be stored yet
        self._retry_at, self._pause = 0.0, FIRST_RETRY
        self._here_from, self._rest, self._slow = 0.0, FIRST_REST, 0
        self._ending = self._more = False

    # ---- on any thread

    @property
    def oldest(self) -> float | None:
        """When the first of what is not stored yet was appended."""
        waiting = self._required[:1] or self._queue[:1]
        return waiting[0].at if waiting else None

    def submit(self, append: Append) -> None:
        """Have it stored."""
        if self.failure is not None:
            raise self.failure.copy()
        self._queue.append(append)
        if not append.more:
            self.flush()

    def flush(self) -> None:
        """Have the thread store what was appended."""
        self._bell.put(None)

    def store_here(self) -> bool:
        """Store what was appended on this thread if the disk is quick, else have the thread do it.

        Returns:
            Whether there is more to be stored here.
        """
        turn = self._turn
        while turn._is_owned():  # an exception from outside came before it was given back
            turn.release()
        if time.monotonic() < self._here_from or not turn.acquire(blocking=False):
            self.flush()
            return False
        try:
            self._complete_attempt()
            if self.error is not None or self._required:  # what could not be stored comes first
                self.flush()
                return False
            return self._store_first()
        finally:
            turn.release()

    def _store_first(self) -> bool:
        appends = self._queue[:MOST_HERE]
        if not appends:
            return False
        self._attempt = appends, self.database.meta.last + 1
        error = self._insert(appends)
        if error is not None:  # the thread tries again, and decides what fails
            self._attempt = None
            self.flush()
            return False
        self._finish_attempt()
        if len(self._unapplied) > MOST_UNAPPLIED:
            self.flush()
        return len(self._queue) > 0

    def _complete_attempt(self) -> None:
        """Complete what an exception from outside has interrupted. The turn is held."""
        if self._attempt is None:
            return
        database = self.database
        database.recover()
        if database.meta.last >= self._attempt[1]:
            self._finish_attempt()
        else:
            self._attempt = None

    def _finish_attempt(self) -> None:
        """Tell who waits for what is stored. Doing it twice changes nothing."""
        assert self._attempt is not None
        appends = self._attempt[0]
        for append in appends:
            self._decide(append, None)
        steps = (
            partial(self._unapplied.append, self._attempt),
            partial(delitem, self._queue, slice(len(appends))),
            partial(setattr, self, "_attempt", None),
        )
        any(map(call, steps))  # in one call into C: no exception from outside comes in between

    def call(self, function: Callable[[], T]) -> T:
        """What a function returns, called on the writer's thread."""
        if not self.is_alive():
            raise JournalError("the journal is closed")
        answer: Answer = SimpleQueue()
        self._questions.append((function, answer))
        self.flush()
        while True:
            try:
                value, error = answer.get(timeout=1.0)
            except Empty:
                if self.is_alive():
                    continue
                raise self.failure or JournalError("the journal was closed meanwhile") from None
            if error is not None:
                raise error.copy() if isinstance(error, AgentError) else error
            found: T = value
            return found

    def end(self) -> None:
        """Store what was handed over, and end the thread."""
        self._ending = True
        self.flush()

    # ---- on its thread

    def run(self) -> None:
        """Write until the end."""
        try:
            while not self._ending and self.failure is None:
                self._wait()
                with self._turn:
                    self.serve()
        except (
            BaseException
        ) as error:  # a fault of this package: what is on the disk is whole, and nobody waits for ever
            self.failure = JournalError(f"the journal has stopped: {describe_error(error)}; open it again")
            log_safely(logger, "the thread of the journal has failed")
        with self._turn:
            self._end()

    def _wait(self) -> None:
        """Wait until there is something to do."""
        if self._more or self._questions or len(self._queue) >= MOST_APPENDS:
            return
        timeout = None if self.error is None else max(0.0, self._retry_at - time.monotonic())
        try:
            self._bell.get(timeout=timeout)
            while True:
                self._bell.get_nowait()
        except Empty:
            return

    def _end(self) -> None:
        """Write what is left, and refuse what can't be written."""
        while self.failure is None and self._queue:
            self.serve()
        left = [*self._required, *self._queue]
        why = self.failure or self.error or JournalError("the journal is closed")
        if left:
            warning = "the journal %s was closed; writes that are not stored: %d, as %s"
            log_safely(logger, warning, self.database.label, len(left), why, level=logging.WARNING)
        for append in left:
            self._decide(append, why)
        self._required, self._queue = [], []
        while self._questions:
            self._questions.popleft()[1].put((None, self.failure or JournalError("the journal was closed meanwhile")))
        self.database.close()

    def serve(self) -> None:
        """Write what was handed over in one transaction, and answer a question that came before. The turn is held."""
        self._complete_attempt()
        question = self._questions[0] if self._questions else None
        appends = self._queue[:MOST_APPENDS]
        self._apply_new_rows()
        if appends or self._required or self.error is not None:  # with nothing to store: does writing work again?
            self._store(appends)
        if question is not None and not (len(appends) == MOST_APPENDS and self._queue):
            self._questions.popleft()
            self._answer(*question)
        self._more = not self._required and self._do_idle_work()

    def _store(self, appends: list[Append]) -> None:
        waits = self.error is not None and time.monotonic() < self._retry_at and not self._ending
        whole = [*self._required, *appends]
        error = self.error if waits else self._insert(whole)
        if error is None:
            self._required = []
            first = self.database.meta.last + 1 - sum(len(append.rows) for append in whole)
            self._unapplied.append((whole, first))
            self._apply_new_rows()
            del self._queue[: len(appends)]
            for append in whole:
                self._decide(append, None)
            return
        may_be_stored = not waits and isinstance(error, OutcomeUnknownError)
        self._required += [append for append in appends if may_be_stored or not append.refusable]
        del self._queue[: len(appends)]
        for append in appends:
            if append.refusable and not may_be_stored:
                self._decide(append, error)

    def _apply_new_rows(self) -> None:
        """Note where everything stands that was stored."""
        while self._unapplied:
            self._apply(*self._unapplied.popleft())

    # ---- on the thread that has the turn

    def _insert(self, appends: list[Append]) -> JournalError | None:
        """Store all of these in one transaction, or none: then why."""
        try:
            seconds = self.database.store([encode_row(row) for append in appends for row in append.rows])
        except JournalError as error:
            self.error = error.with_traceback(None)
            if isinstance(error, JournalTakenOverError):
                self.failure = error
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(LAST_RETRY, self._pause * 2)
            return error
        self._notice_speed(seconds)
        self.error, self._pause = None, FIRST_RETRY
        return None

    def _notice_speed(self, seconds: float) -> None:
        """Where it was not quick, the thread stores for a while. On the thread it says nothing: it also waits there."""
        if self._attempt is None:
            return
        if seconds < QUICK:
            self._slow, self._rest = 0, FIRST_REST
            return
        self._slow += 1
        if self._slow >= SLOW_TIMES:
            self._here_from = time.monotonic() + self._rest
            self._rest = min(LAST_REST, self._rest * 2)

    def _decide(self, append: Append, error: JournalError | None) -> None:
        if append.then is not None:
            try:
                append.then(error)
            except BaseException:  # it may not stop the others
                log_safely(logger, "%r, which waited for the journal, failed", append.then)

    def _answer(self, function: Callable[[], Any], answer: Answer) -> None:
        try:
            answer.put((function(), None))
        except BaseException as error:  # it is raised where it was asked
            answer.put((None, error))

    def _do_idle_work(self) -> bool:
        """Do what is due beside, up to some milliseconds; whether there is more."""
        end = time.monotonic() + IDLE_WORK
        try:
            while self._idle():
                if time.monotonic() > end:
                    return True
        except (sqlite3.Error, JournalError) as error:
            log_safely(logger, "the journal can't let go of its history", error=error)
        return False
