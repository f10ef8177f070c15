"""The journal in a file: SQLite, one process, one thread that writes, and a checksum for each row."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import ConfigurationError, JournalError
from .database import SYNCHRONOUS, Database
from .indexed import PORTION, PORTION_BYTES, Append, IndexedJournal
from .location import Location
from .retention import Retention
from .rows import Row, encode_row
from .writer import Writer

__all__ = ["SQLiteJournal"]

T = TypeVar("T")
BACKUP_PAGES = 256  # copied at a time; others write in between


class SQLiteJournal(IndexedJournal):
    """A journal in a file. One process at a time holds it.

    What was acknowledged survives `kill -9`, and power loss on storage that keeps its word. While writing fails (a full
    disk, a folder that is gone), `append` of what somebody waits for fails, and what was processed is kept and tried
    again until it is stored.

    Args:
        path: Where the file is, or is to be made.
        synchronous: "full"; "normal" is faster, and the last moments before a power loss may be lost.
        keep: How much history is kept; all of it if left out.
        modules: The modules that may be imported to find the classes of what is stored.
        allow_network: Whether it may be on a network file system.

    Raises:
        JournalError: Another process holds it (the message names it), it is damaged, or can't be written there.
        ConfigurationError: An argument is wrong.

    >>> import tempfile, agentrt.journal as journals
    >>> with tempfile.TemporaryDirectory() as folder, SQLiteJournal(f"{folder}/agents.db") as journal:
    ...     journal.append(journals.Created(runtime="counter", state=0))
    ...     journal.state("counter")
    0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: str = "full",
        keep: Retention | None = None,
        modules: Collection[str] = (),
        allow_network: bool = False,
    ) -> None:
        if synchronous not in SYNCHRONOUS:
            raise ConfigurationError(f"synchronous is {synchronous!r}; it must be one of {', '.join(SYNCHRONOUS)}")
        if keep is not None and not isinstance(keep, Retention):
            raise ConfigurationError(f"keep must be a Retention, not {keep!r}")
        super().__init__(modules, keep)
        place = Location(path)
        place.check(allow_network)
        database = Database(place, synchronous)
        try:
            self._replay(database)
        except BaseException:
            database.connection.close()
            raise
        place.claim()
        place.remember_files()
        self.path = place.path
        self._database = database
        self._pid = os.getpid()
        self._closed = False
        self._writer = Writer(database, self._apply, self._let_go)
        self._writer.start()

    def _replay(self, database: Database) -> None:
        database.prepare()
        for position, row in database.read():
            self._index.apply(position, row)
        self._index.last_activity = max(self._index.last_activity, database.meta.last_activity)
        self._learn_states()

    def __repr__(self) -> str:
        how = "closed" if self._closed else f"{self.size:,} bytes"
        return f"<SQLiteJournal {self.path} {how}>"

    # ---- what a kind does

    def _submit(self, append: Append) -> None:
        self._check_open()
        self._writer.submit(append)

    def flush(self) -> None:
        """Have stored what was appended with `more`."""
        with self._order:
            self._writer.flush()

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise JournalError(f"the journal {self.path} belongs to process {self._pid}, of which this one is a fork")
        if self._closed:
            raise JournalError(f"the journal {self.path} is closed")

    def _call(self, function: Callable[[], T]) -> T:
        self._check_open()
        self.flush()
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
        meta = msgspec.structs.replace(database.meta)
        first = meta.last + 1
        try:
            database.connection.execute("BEGIN IMMEDIATE")
            database.delete(head[-1][0])
            database.insert([encode_row(row) for row in carried])
            database.meta.last_activity = self._index.last_activity
            database.write_meta()
            database.connection.execute("COMMIT")
        except sqlite3.Error:
            database.roll_back(meta)
            raise
        self._apply([Append(carried, None, False)], first)
        self._notice_use(database.meta.last + 1 - database.meta.first, len(head), len(carried))

    # ---- the file

    def _oldest(self) -> float | None:
        return self._writer.oldest

    @property
    def error(self) -> JournalError | None:
        """Why nothing can be stored now; None if all is well."""
        return self._writer.error

    @property
    def size(self) -> int:
        """How many bytes the file takes, with the write-ahead log beside it."""
        return self._database.place.size() + self._database.place.wal_size()

    def backup(self, path: str | Path) -> None:
        """Write a consistent copy, while others append.

        Args:
            path: A file that is not there yet.

        Raises:
            JournalError: It is there, or can't be written.
        """
        target = Path(path)
        if target.exists():
            raise JournalError(f"{target} is there already: a backup replaces nothing")
        self._call(lambda: self._copy(target))

    def _copy(self, target: Path) -> None:
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            self._database.connection.backup(
                copy, pages=BACKUP_PAGES, progress=lambda *left: self._writer.serve(wait=False), sleep=0
            )
            copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise JournalError(f"the backup {target} can't be written: {error}") from error
        finally:
            copy.close()

    def compact(self) -> None:
        """Give back the room of what was let go. Appends wait meanwhile."""
        self._call(self._vacuum)

    def _vacuum(self) -> None:
        try:
            self._database.connection.execute("VACUUM")
            self._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise self._database.explain(error) from error

    def close(self) -> None:
        """Store what was appended, and end. Safe to call again."""
        with self._order:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            self._writer.end()
        self._writer.join()
        self._database.place.release()

    def __enter__(self) -> SQLiteJournal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
