"""The thread that writes: what was appended while it wrote goes into its next transaction, all of it at once."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import msgspec

from ..errors import AgentError, JournalError, describe_error
from ..logs import log_safely
from .database import Database
from .indexed import Append
from .rows import encode_row

__all__ = ["Writer"]

T = TypeVar("T")
MOST_APPENDS = 2_000  # of one transaction
FIRST_RETRY, LAST_RETRY = 0.05, 2.0  # seconds until writing is tried again
IDLE_WORK = 0.01  # seconds after each transaction, and one portion more
logger = logging.getLogger(__name__)

Answer = SimpleQueue[tuple[Any, BaseException | None]]
Question = tuple[Callable[[], Any], Answer]


class Writer(Thread):
    """Owns the database. Other threads hand it appends, and questions to answer between two transactions.

    Args:
        database: What it writes to, and closes at its end.
        stored: Called with what has become durable, on its thread, before anybody hears of it.
        idle: Called after each transaction: does a little of what is to be done beside, and says whether there is more.
    """

    def __init__(
        self, database: Database, stored: Callable[[list[Append], int], None], idle: Callable[[], bool]
    ) -> None:
        super().__init__(name="agentrt-journal", daemon=True)
        self.database = database
        self.error: JournalError | None = None
        self.failure: JournalError | None = None  # for which the thread has ended
        self.oldest: float | None = None  # when the first of what is being stored was appended
        self._stored = stored
        self._idle = idle
        self._queue: SimpleQueue[Append | Question | None] = SimpleQueue()
        self._gathered: list[Append] = []  # more is to come before it is worth a transaction
        self._required: list[Append] = []  # could not be stored yet
        self._retry_at, self._pause = 0.0, FIRST_RETRY
        self._ending = self._more = False

    # ---- on any thread

    def submit(self, append: Append) -> None:
        """Have it stored."""
        if self.failure is not None:
            raise self.failure.copy()
        self._gathered.append(append)
        if not append.more:
            self.flush()

    def flush(self) -> None:
        """Hand over what was gathered. Not on two threads at once."""
        gathered, self._gathered = self._gathered, []
        for append in gathered:
            self._queue.put(append)

    def call(self, function: Callable[[], T]) -> T:
        """What a function returns, called on the writer's thread."""
        if not self.is_alive():
            raise JournalError("the journal is closed")
        answer: Answer = SimpleQueue()
        self._queue.put((function, answer))
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
        self.flush()
        self._queue.put(None)

    # ---- on its thread

    def run(self) -> None:
        """Write until the end."""
        try:
            while not self._ending:
                self.serve(wait=not self._more)
        except (
            BaseException
        ) as error:  # a fault of this package: what is on the disk is whole, and nobody waits for ever
            self.failure = JournalError(f"the journal has stopped: {describe_error(error)}; open it again")
            log_safely(logger, "the thread of the journal has failed")
        self._end()

    def _end(self) -> None:
        """Write what is left, and refuse what can't be written."""
        if self.failure is None:
            self.serve(wait=False)
        for append in self._required:
            self._decide(append, self.error or JournalError("the journal is closed"))
        while self.failure is not None and not self._queue.empty():
            item = self._queue.get()
            if isinstance(item, Append):
                self._decide(item, self.failure)
        self.database.close()

    def serve(self, wait: bool) -> None:
        """Write what was handed over in one transaction, and answer the questions that came after it."""
        appends, question = self._collect(wait)
        if appends or self._required or self.error is not None:  # with nothing to store: does writing work again?
            self.oldest = next((each.at for each in (*self._required[:1], *appends[:1])), None)
            self._store(appends)
            self.oldest = self._required[0].at if self._required else None
        if question is not None:
            self._answer(*question)
        self._more = not self._required and self._do_idle_work()

    def _collect(self, wait: bool) -> tuple[list[Append], Question | None]:
        appends: list[Append] = []
        timeout = None if self.error is None else max(0.0, self._retry_at - time.monotonic())
        try:
            item = self._queue.get(block=wait, timeout=timeout)
            while True:
                if item is None:
                    self._ending = True
                elif isinstance(item, Append):
                    appends.append(item)
                else:
                    return appends, item
                if len(appends) >= MOST_APPENDS:
                    return appends, None
                item = self._queue.get_nowait()
        except Empty:
            return appends, None

    def _store(self, appends: list[Append]) -> None:
        waits = self.error is not None and time.monotonic() < self._retry_at and not self._ending
        error = self.error if waits else self._write([*self._required, *appends])
        if error is None:
            return
        for append in appends:
            if append.refusable:
                self._decide(append, error)
            else:
                self._required.append(append)

    def _write(self, appends: list[Append]) -> JournalError | None:
        database = self.database
        meta = msgspec.structs.replace(database.meta)
        first = meta.last + 1
        try:
            database.place.check_files()
            database.connection.execute("BEGIN IMMEDIATE")
            database.insert([encode_row(row) for append in appends for row in append.rows])
            database.write_meta()
            database.connection.execute("COMMIT")
        except (sqlite3.Error, JournalError) as error:
            database.roll_back(meta)
            self.error = error if isinstance(error, JournalError) else database.explain(error)
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(LAST_RETRY, self._pause * 2)
            return self.error
        self.error, self._pause, self._required = None, FIRST_RETRY, []
        database.place.write_mark(database.meta.opened, database.meta.last)
        self._stored(appends, first)
        for append in appends:
            self._decide(append, None)
        return None

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
