"""The journal in PostgreSQL: for agents that may go on on another machine, one owner at a time."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, JournalError
from ..optional import explain_missing
from ..schema.numbers import optional_seconds
from .database_journal import DatabaseJournal, close_earlier
from .location import SERVER
from .retention import Retention

if TYPE_CHECKING:
    from .postgres_store import PostgresStore

__all__ = ["PostgresJournal", "copy_journal"]

LONGEST_NAME = 200  # characters
NEEDS, EXTRA = "a journal in PostgreSQL needs", "postgres"


class PostgresJournal(DatabaseJournal):
    """A journal in a database of PostgreSQL 12 or newer. One process at a time owns it.

    What was acknowledged is committed there. While the server is away, nothing is accepted, and what was processed
    waits; both go on by themselves when it is back. A commit of which the connection was lost in between is looked up
    before it is sent again, so that it is stored once.

    Several journals may be in one database, each with a name. Their tables are in the schema `agentrt`, which the first
    one makes. It takes a connection of its own: a pooler in between has to pool sessions, not transactions.

    Args:
        dsn: The connection string, such as "postgresql://user@host:5432/database". Passwords may be in PGPASSWORD or in
            ~/.pgpass instead.
        name: The name of the journal.
        take_over: Take it from another owner, which is thought dead. If it is not, it can't store anything more: its
            appends fail with `JournalTakenOverError`.
        timeout: Seconds until a server that does not answer counts as lost.
        keep: How much history is kept; all of it if left out.
        modules: The modules that may be imported to find the classes of what is stored.

    Raises:
        JournalError: Another process owns it (the message names it), it is damaged, or the server refuses.
        ConfigurationError: An argument is wrong.
        MissingPackageError: psycopg is not installed.

        journal = PostgresJournal("postgresql://agents@db.example/agents", name="airport")
        manager = RuntimeManager(journal=journal)
    """

    _database: PostgresStore

    def __init__(
        self,
        dsn: str,
        *,
        name: str = "agents",
        take_over: bool = False,
        timeout: float = 30.0,
        keep: Retention | None = None,
        modules: Collection[str] = (),
    ) -> None:
        if not isinstance(dsn, str):
            raise ConfigurationError("dsn must be a string such as 'postgresql://user@host:5432/database'")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or "\0" in name:
            raise ConfigurationError(f"name must be a text of 1 to {LONGEST_NAME} characters, not {name!r:.80}")
        if not isinstance(take_over, bool):
            raise ConfigurationError(f"take_over must be True or False, not {take_over!r:.80}")
        optional_seconds("timeout", timeout, positive=True)
        super().__init__(modules, keep)
        with explain_missing(NEEDS, extra=EXTRA):
            from .postgres_store import PostgresStore
        self.name = name
        self._dsn, self._timeout = dsn, timeout
        try:
            database = PostgresStore(dsn, name, timeout, take_over)
        except JournalError:
            if not close_earlier(key_of(dsn, name)):
                raise
            database = PostgresStore(dsn, name, timeout, take_over)
        try:
            self._read_all(database)
        except BaseException:
            database.close()
            raise
        self._start(database, key_of(dsn, name))

    def __repr__(self) -> str:
        how = "closed" if self._closed else f"{self.size:,} bytes"
        return f"<PostgresJournal {self._database.label} {how}>"

    def _release(self) -> None:
        """The lock has gone with the connection."""

    def flush(self, here: bool = False) -> bool:
        """Have stored what was appended with `more`. Its thread does: no loop waits for a network."""
        self._check_open()
        self._writer.flush()
        return False

    @property
    def size(self) -> int:
        """How many bytes the rows take, about: what PostgreSQL adds to each is estimated."""
        return self._database.used

    def backup(self, path: str | Path) -> None:
        """Write a consistent copy into a file of SQLite, while others append. `agentrt view` shows it.

        Args:
            path: A file that is not there yet.

        Raises:
            JournalError: It is there, or can't be written.
        """
        self._check_open()
        self._call(lambda: None)  # what was appended is stored
        from .postgres_copy import copy_to_file

        if Path(path).exists():
            raise JournalError(f"{path} is there already: a backup replaces nothing")
        copy_to_file(self._dsn, self.name, Path(path), self._timeout)

    def compact(self) -> None:
        """Give back the room of what was let go. Appends wait meanwhile; other journals of the database do not."""
        self._call(self._database.vacuum)


def copy_journal(
    source: str | os.PathLike[str], to: str | os.PathLike[str], *, name: str = "agents", timeout: float = 30.0
) -> None:
    """Copy a journal in PostgreSQL into a file of SQLite, or a file into PostgreSQL.

    A journal in PostgreSQL is copied as it stands at one moment; its owner goes on meanwhile. The rows are copied as
    they are, with their checksums: `agentrt journal check` of the file finds damaged ones, `agentrt journal repair`
    saves the others, and `agentrt view` shows it. A file that is copied into PostgreSQL must be whole, and no process
    may hold it.

    Args:
        source: The connection string, "postgresql://..."; or the file.
        to: A file that is not there yet; or the connection string.
        name: The name of the journal in PostgreSQL; as the target one that is not there yet, or empty.
        timeout: Seconds until a server that does not answer counts as lost.

    Raises:
        JournalError: There is no such journal, the target is there, or one of both can't be reached.
        ConfigurationError: Not just one of both is a connection string.
        MissingPackageError: psycopg is not installed.
    """
    origin, target = os.fspath(source), os.fspath(to)
    if origin.startswith(SERVER) == target.startswith(SERVER):
        raise ConfigurationError("one of both must be an address such as 'postgresql://user@host:5432/database'")
    if not origin.startswith(SERVER):
        with explain_missing(NEEDS, extra=EXTRA):
            from .postgres_copy import copy_from_file
        return copy_from_file(Path(origin), target, name, timeout)
    if Path(target).exists():
        raise JournalError(f"{target} is there already: a copy replaces nothing")
    with explain_missing(NEEDS, extra=EXTRA):
        from .postgres_copy import copy_to_file
    return copy_to_file(origin, name, Path(target), timeout)


def key_of(dsn: str, name: str) -> str:
    """What tells a journal from others in this process."""
    return f"{name!r} in {dsn}"
