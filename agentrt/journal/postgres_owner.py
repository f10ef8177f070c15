"""Who owns a journal in PostgreSQL: one at a time. Whoever was thought dead can't commit when it comes back.

Two things hold that. A lock of the connection refuses a second opener while the first one lives. And each owner has an
epoch of its own in the row of the journal, which every transaction checks: one that was taken over finds another.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from ..errors import JournalError, JournalTakenOverError
from .postgres_connection import ServerConnection

__all__ = ["LOCK", "Claim", "JournalOwner"]

LOCK = 0x41525401  # the first key of the locks of all journals; the second one is the number of the journal
SOON = 1.0  # seconds that a connection may take to end after its process was
LOCKED_BY = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
TIMED_OUT = "55P03"


class Claim(NamedTuple):
    """A journal as it stood when it was claimed: its number, the epoch of its owner, and its first record."""

    journal: int
    epoch: int
    last: int
    record: bytes | None
    crc: int | None


class JournalOwner:
    """One opener of a journal, on one connection after the other.

    Args:
        name: The name of the journal.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = repr(name)
        self.journal = 0  # its number
        self._token = uuid4().hex
        self._backend = 0  # the process of the server behind the connection before

    # ---- claiming

    def claim(self, connection: ServerConnection, take_over: bool) -> Claim:
        """Become the owner.

        Raises:
            JournalError: Another one is.
        """
        self.journal = self._find(connection)
        if take_over:  # written first: whoever is thrown out and comes back finds it
            with connection.transaction():
                claim = self._write_owner(connection)
                self._end_backends(connection)
            self._lock(connection, connection.patience)
            return claim
        self._lock(connection, None)
        return self._write_owner(connection)

    def claim_again(self, connection: ServerConnection) -> Claim:
        """Go on as the owner on a new connection. What was sent on the one before can't be committed from here on.

        Raises:
            JournalTakenOverError: Another one is the owner.
        """
        self.check(connection)
        self._end_backends(connection, self._backend)
        self._lock(connection, connection.patience)
        return self._write_owner(connection, self._token)

    def _find(self, connection: ServerConnection) -> int:
        info = connection.info
        self.label = f"{self.name!r} in the database {info.dbname!r} at {info.host}:{info.port}"
        sql = "INSERT INTO agentrt.meta (name) VALUES (%s) ON CONFLICT DO NOTHING"
        connection.execute(sql, [self.name])
        found: Any = connection.execute("SELECT journal FROM agentrt.meta WHERE name = %s", [self.name]).fetchone()
        return int(found[0])

    def _write_owner(self, connection: ServerConnection, before: str | None = None) -> Claim:
        found: Any = connection.execute(
            "UPDATE agentrt.meta SET epoch = epoch + 1, owner = %s, pid = %s, host = %s, since = clock_timestamp()"
            " WHERE journal = %s AND (%s::text IS NULL OR owner = %s) RETURNING journal, epoch, last, record, crc",
            [self._token, os.getpid(), socket.gethostname(), self.journal, before, before],
        ).fetchone()
        if found is None:
            self.check(connection)
        self._backend = connection.info.backend_pid
        return Claim(*found)

    # ---- the lock

    def _lock(self, connection: ServerConnection, patience: float | None) -> None:
        """Get the lock within so many seconds; if that is left out, it depends on who has it."""
        keys = [LOCK, self.journal]
        found: Any = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", keys).fetchone()
        if found[0]:
            return
        holder = self._read_holder(connection)
        seconds = holder.patience(connection) if patience is None else patience
        wait = f"{max(1, seconds * 900):.0f}ms"  # less than after what the connection counts as lost
        try:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [wait])
            connection.execute("SELECT pg_advisory_lock(%s, %s)", keys)
            connection.execute("SET lock_timeout = 0")
        except psycopg.Error as error:
            if error.sqlstate != TIMED_OUT:
                raise
            raise JournalError(
                f"the journal {self.label} is held by {holder}; close it there, or open this one with take_over=True, "
                "after which that one can't store anything more"
            ) from None

    def _end_backends(self, connection: ServerConnection, only: int | None = None) -> None:
        """End the connection that holds the lock; if a number is given, only that one."""
        try:
            connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM ({LOCKED_BY}) AS held WHERE %s::int IS NULL OR pid = %s",
                [LOCK, self.journal, only, only],
            )
        except psycopg.errors.InsufficientPrivilege:
            raise JournalError(
                f"the journal {self.label} can't be taken over: its connection is of another user, and this one may "
                "not end it. Give the same user in dsn=, or have an administrator GRANT pg_signal_backend"
            ) from None

    # ---- who it is

    def check(self, connection: ServerConnection) -> None:
        """Raise if this is not the owner.

        Raises:
            JournalTakenOverError: Another one is.
            JournalError: The journal is no longer there.
        """
        sql = "SELECT owner FROM agentrt.meta WHERE journal = %s"
        found = connection.execute(sql, [self.journal]).fetchone()
        if found is None:
            raise JournalError(f"the journal {self.label} is no longer there: its row in agentrt.meta was deleted")
        if found[0] != self._token:
            raise JournalTakenOverError(
                f"the journal {self.label} was taken over by {self._read_holder(connection)}: this process can't store "
                "anything more. What it was storing when it lost the connection may be stored or not"
            )

    def _read_holder(self, connection: ServerConnection) -> _Holder:
        sql = "SELECT pid, host, since FROM agentrt.meta WHERE journal = %s"
        found: Any = connection.execute(sql, [self.journal]).fetchone()
        return _Holder(*found)


class _Holder(NamedTuple):
    """The owner that is written down."""

    pid: int | None
    host: str | None
    since: datetime | None

    def patience(self, connection: ServerConnection) -> float:
        """How many seconds its connection may take to end: it has long to where its process is known to have ended."""
        if self.host != socket.gethostname() or self.pid is None:
            return SOON
        if self.pid == os.getpid():
            return 0.0
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return connection.patience
        except OSError:
            pass
        return SOON

    def __str__(self) -> str:
        if self.pid is None or self.since is None:
            return "another process"
        is_here = self.pid == os.getpid() and self.host == socket.gethostname()
        mine = " (this one: close its manager or journal first)" if is_here else ""
        return f"process {self.pid} on {self.host}{mine}, since {self.since.astimezone():%Y-%m-%d %H:%M:%S}"
