"""The journal in a file: SQLite, one process, one thread that writes, and a checksum for each row."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from ..errors import ConfigurationError, JournalError
from .database import SYNCHRONOUS, Database
from .database_journal import DatabaseJournal, close_earlier
from .location import Location
from .retention import Retention

__all__ = ["SQLiteJournal"]

BACKUP_PAGES = 256  # copied at a time; others write in between


class SQLiteJournal(DatabaseJournal):
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

    _database: Database

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
        super().__init__(modules, keep)
        place = Location(path)
        place.check(allow_network)
        try:
            database = Database(place, synchronous)
        except JournalError:
            if not close_earlier(str(place.path)):
                raise
            database = Database(place, synchronous)
        try:
            database.prepare()
            self._read_all(database)
        except BaseException:
            database.connection.close()
            raise
        place.claim()
        place.remember_files()
        self.path = place.path
        self._start(database, str(place.path))

    def __repr__(self) -> str:
        how = "closed" if self._closed else f"{self.size:,} bytes"
        return f"<SQLiteJournal {self.path} {how}>"

    # ---- the file

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
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                self._database.connection.backup(
                    copy, pages=BACKUP_PAGES, progress=lambda *left: self._writer.serve(), sleep=0
                )
                copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            with suppress(OSError):
                target.unlink()
            raise JournalError(f"the backup {target} can't be written: {error}") from error

    def compact(self) -> None:
        """Give back the room of what was let go. Appends wait meanwhile."""
        self._call(self._vacuum)

    def _vacuum(self) -> None:
        try:
            self._database.connection.execute("VACUUM")
            self._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise self._database.explain(error) from error

    def _release(self) -> None:
        self._database.place.release()
