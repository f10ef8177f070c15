"""A journal in memory, for tests: with it a restart is to open another one on the same log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from threading import RLock
from typing import TypeVar

from ..errors import ConfigurationError, JournalError
from .index import retired_counts
from .indexed import PORTION, Append, IndexedJournal
from .retention import Retention
from .rows import Row, checksum, decode_row, encode_row

__all__ = ["MemoryJournal", "MemoryLog"]

T = TypeVar("T")


class MemoryLog:
    """What survives a restart: the rows and their checksums by their positions."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[bytes, int]] = {}
        self.last = self.size = self.last_activity = 0
        self.retired: Counter[str] = Counter()  # of rows that were let go


class MemoryJournal(IndexedJournal):
    """A journal that keeps its rows in a `MemoryLog`. What is appended is stored at once, on the thread that appends.

    Args:
        log: The log of an earlier one, to go on with; a new one if left out.
        modules: The modules that may be imported to find the classes of what is stored.
        keep: How much history is kept; all of it if left out.

    >>> from agentrt.journal import Created
    >>> journal = MemoryJournal()
    >>> journal.append(Created(runtime="counter", state=0))
    >>> MemoryJournal(journal.log).state("counter")
    0
    """

    def __init__(
        self, log: MemoryLog | None = None, *, modules: Collection[str] = (), keep: Retention | None = None
    ) -> None:
        super().__init__(modules, keep)
        self.log = log or MemoryLog()
        self.broken: JournalError | None = None  # set by a test: writing fails with it until it is None again
        self._lock = RLock()
        self._pending: list[Append] = []
        self._closed = False
        for position, (record, crc) in self.log.rows.items():
            self._index.apply(position, decode_row(position, record, crc))
        self._index.last_activity = max(self._index.last_activity, self.log.last_activity)
        self._index.retired.update(self.log.retired)
        self._learn_states()

    def __repr__(self) -> str:
        return f"<MemoryJournal {len(self.log.rows)} rows>"

    def _submit(self, append: Append) -> None:
        with self._lock:
            if self._closed:
                raise JournalError("the journal is closed")
            refused = self.broken if append.refusable else None
            if refused is None:
                self._pending.append(append)
            stored = [] if self.broken else self._pending
            if not self.broken:
                self._pending = []
                for each in stored:
                    self._write(each.rows)
                self._let_go()
        for each in stored:
            if each.then is not None:
                each.then(None)
        if refused is not None and append.then is not None:
            append.then(refused)

    def mend(self) -> None:
        """Have writing work again, and store what waited for that."""
        self.broken = None
        self._submit(Append([], None, False))

    def _write(self, rows: list[Row]) -> None:
        for row in rows:
            self.log.last += 1
            record = encode_row(row)
            self.log.rows[self.log.last] = record, checksum(self.log.last, record)
            self.log.size += len(record)
            self._index.apply(self.log.last, row)

    def _let_go(self) -> None:
        while self._may_be_over(len(self.log.rows), self.log.size):
            head = [(place, self._fetch([place])[0]) for place, _ in zip(self.log.rows, range(PORTION), strict=False)]
            over = self._count_over(head, len(self.log.rows), self.log.size)
            if not over:
                return
            carried = self._index.carry(head[:over])
            for place, _ in head[:over]:
                self.log.size -= len(self.log.rows.pop(place)[0])
            self._write(carried)
            self.log.last_activity = self._index.last_activity
            self.log.retired.update(retired_counts(head[:over]))
            self._notice_use(len(self.log.rows), over, len(carried))

    def _call(self, function: Callable[[], T]) -> T:
        with self._lock:
            return function()

    def _fetch(self, positions: list[int]) -> list[Row]:
        return [decode_row(place, *self.log.rows[place]) for place in positions]

    def _oldest(self) -> float | None:
        pending = self._pending[:1]
        return pending[0].at if pending else None

    @property
    def error(self) -> JournalError | None:
        """Why nothing can be stored now; None if all is well."""
        return self.broken

    @property
    def size(self) -> int:
        """How many bytes the rows take."""
        return self.log.size

    def backup(self, path: str | Path) -> None:
        """Refused: there is no file of it."""
        raise ConfigurationError("a journal in memory has no file to copy: use SQLiteJournal")

    def compact(self) -> None:
        """Give back the room of what was let go: there is none."""

    def close(self) -> None:
        """End. Safe to call again. What could not be stored is refused."""
        with self._lock:
            self._closed, pending, self._pending = True, self._pending, []
        for each in pending:
            if each.then is not None:
                each.then(self.broken or JournalError("the journal is closed"))
