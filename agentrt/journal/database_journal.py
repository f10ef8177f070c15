"""What the journals in a database have in common: one writer, and history that is let go."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar
from weakref import WeakSet

from ..errors import ConfigurationError, JournalError
from .database import LetGo
from .index import retired_counts
from .indexed import PORTION, PORTION_BYTES, Append, IndexedJournal
from .retention import Retention
from .rows import Row, encode_row
from .writer import Store, Writer

__all__ = ["DatabaseJournal", "close_earlier"]

T = TypeVar("T")
Self = TypeVar("Self", bound="DatabaseJournal")

# Of the process, as the locks of SQLite are.
_journals: WeakSet[DatabaseJournal] = WeakSet()


class DatabaseJournal(IndexedJournal):
    """A journal over a `Store`. A kind of it opens the store, reads it into the index, and calls `_start`."""

    _database: Store
    _writer: Writer
    _closed = True

    def __init__(self, modules: Collection[str], keep: Retention | None) -> None:
        if keep is not None and not isinstance(keep, Retention):
            raise ConfigurationError(f"keep must be a Retention, not {keep!r}")
        super().__init__(modules, keep)

    def _read_all(self, database: Store) -> None:
        """Learn what is stored."""
        for position, row in database.read():
            self._index.apply(position, row)
        self._index.last_activity = max(self._index.last_activity, database.meta.last_activity)
        self._index.retired.update(database.meta.retired)
        self._learn_states()

    def _start(self, database: Store, key: str) -> None:
        """Begin to write. The key tells the journal from others in this process."""
        self._key = key
        _journals.add(self)
        self._database = database
        self._pid = os.getpid()
        self._closed = False
        self._writer = Writer(database, self._apply, self._let_go)
        self._writer.start()

    @abstractmethod
    def _release(self) -> None:
        """Give back what was held beside the database, after that is closed."""

    # ---- what a kind of an indexed journal does

    def _submit(self, append: Append) -> None:
        self._check_open()
        self._writer.submit(append)

    def flush(self, here: bool = False) -> bool:
        """Have stored what was appended with `more`; see `Journal.flush`."""
        self._check_open()
        if here:
            return self._writer.store_here()
        self._writer.flush()
        return False

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise JournalError(
                f"the journal {self._database.label} belongs to process {self._pid}, of which this one is a fork"
            )
        if self._closed:
            raise JournalError(f"the journal {self._database.label} is closed")

    def _call(self, function: Callable[[], T]) -> T:
        self._check_open()
        return self._writer.call(function)

    def _fetch(self, positions: list[int]) -> list[Row]:
        return self._database.fetch(positions)

    def _apply(self, appends: list[Append], first: int) -> None:
        """Note where the rows stand that were stored from a position on."""
        for append in appends:
            for row in append.rows:
                self._index.apply(first, row)
                first += 1

    # ---- history

    def _let_go(self) -> bool:
        """Let go of a portion of what is beyond the bounds; whether there may be more of it."""
        database = self._database
        rows = database.meta.last + 1 - database.meta.first
        if not self.keep.is_bounded or not self._may_be_over(rows, database.used):
            return False
        head = database.head(PORTION, PORTION_BYTES)
        over = self._count_over(head, rows, database.used)
        if over:
            self._replace(head[:over])
        return over > 0

    def _replace(self, head: list[tuple[int, Row]]) -> None:
        """Delete the first rows, and write again what is needed of them."""
        database, carried = self._database, self._index.carry(head)
        then = partial(self._apply_replacement, carried, database.meta.last + 1, len(head))
        retired = dict(retired_counts(head) + Counter(database.meta.retired))
        let_go = LetGo(self._index.last_activity, retired)
        database.replace(head[-1][0], [encode_row(row) for row in carried], let_go, then)

    def _apply_replacement(self, carried: list[Row], first: int, over: int) -> None:
        meta = self._database.meta
        self._apply([Append(carried, None, False)], first)
        self._notice_use(meta.last + 1 - meta.first, over, len(carried))

    # ---- how it stands, and its end

    def _oldest(self) -> float | None:
        return self._writer.oldest

    @property
    def error(self) -> JournalError | None:
        """Why nothing can be stored now; None if all is well."""
        return self._writer.error

    def close(self) -> None:
        """Store what was appended, and end. Safe to call again."""
        with self._order:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            self._writer.end()
        self._writer.join()
        self._release()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def close_earlier(key: str) -> bool:
    """Have whoever holds a journal in this process close it, if that is said to make room; whether it did."""
    for journal in list(_journals):
        if not journal._closed and journal._key == key and journal.when_replaced is not None:
            close = journal.when_replaced()
            if close is not None:
                close()
                return True
    return False
