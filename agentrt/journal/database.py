"""The SQLite file of a journal: opened, locked, checked, and brought to the newest version."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4
from weakref import WeakSet
from zlib import crc32

import msgspec

from ..errors import JournalError
from .location import Location
from .rows import Row, checksum, decode_row

__all__ = ["Database", "LetGo", "Meta"]

APPLICATION = 0x41525401  # "ART" and 1: what tells such a file from others of SQLite
STEPS = [
    step.strip()
    for step in Path(__file__).with_name("schema.sql").read_text("utf-8").split(";")
    if step.strip() and not all(line.startswith("--") for line in step.strip().splitlines())
]
WAL_LIMIT = 64 << 20  # bytes of the write-ahead log that stay when it is no longer needed
MANY = 50  # rows of one statement: a third less time, and the interpreter is given up and waited for once
INSERT_MANY = f"INSERT INTO log VALUES {', '.join(['(?, ?, ?)'] * MANY)}"
SYNCHRONOUS = ("full", "normal", "extra")


# Of the process: in a child that was forked none of these connections may ever be closed, since SQLite would take the
# write-ahead log away from the parent.
_connections: WeakSet[Database] = WeakSet()


def _keep_for_ever() -> None:
    """Have nobody close what belongs to the parent."""
    for database in list(_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(database.connection))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_for_ever)


class Meta(msgspec.Struct, array_like=True):
    """What is known of a log as a whole. A row that is missing shows by it.

    Attributes:
        file: What tells this journal from any other.
        opened: How often it was opened.
        closed: Whether it was closed since; then there is nothing beside the file.
        first: The position of the first row.
        last: The position of the last row.
        last_activity: The highest id of an activity that was let go.
        retired: The counts of removed runtimes of which the row was let go.
    """

    file: str
    opened: int = 0
    closed: bool = True
    first: int = 1
    last: int = 0
    last_activity: int = 0
    retired: dict[str, int] = {}


class LetGo(NamedTuple):
    """What is still known of all rows that were let go: see `Meta`."""

    last_activity: int
    retired: dict[str, int]


class Database:
    """One connection, which no other process has beside it. Used on one thread at a time."""

    def __init__(self, place: Location, synchronous: str = "full", factory: Any = sqlite3.Connection) -> None:
        self.place = place
        self.meta = Meta(uuid4().hex)
        self._synchronous = synchronous
        self._factory = factory
        self._check_rest()
        self._before = self._read_meta_alone()
        self.connection = self._connect()
        _connections.add(self)

    def _check_rest(self) -> None:
        """Refuse an empty file beside which there is more: SQLite would throw that away."""
        place = self.place
        if place.size() or not (place.wal_size() or place.read_mark()[1]):
            return
        beside = " and ".join(each.name for each in place.files()[1:] if each.exists())
        raise JournalError(
            f"the journal {place.path} is empty or gone, but what belongs to it is there: bring it back, or put "
            f"{beside} away to begin a new one"
        )

    def _connect(self) -> sqlite3.Connection:
        """Open and lock the file; it is not changed by that."""
        try:
            connection: sqlite3.Connection = sqlite3.connect(
                self.place.path, isolation_level=None, check_same_thread=False, timeout=0, factory=self._factory
            )
        except sqlite3.Error as error:
            raise self.explain(error) from error
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.close()
            raise self.explain(error) from error
        return connection

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.place.path)

    def explain(self, error: sqlite3.Error) -> JournalError:
        """The error of the journal for one of SQLite."""
        path, name = self.place.path, getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_BUSY"):
            return JournalError(f"the journal {path} is held by {self.place.describe_owner()}")
        if name == "SQLITE_NOTADB":
            return JournalError(f"{path} is no journal: {error}")
        if name.startswith("SQLITE_CORRUPT"):
            return JournalError(f"the journal {path} is damaged ({error}): see `agentrt journal check {path}`")
        return JournalError(f"the journal {path} can't be written: {error}")

    # ---- at the start

    def prepare(self) -> None:
        """Make the tables of a new file, bring an old one to this version, and check that it is whole."""
        connection = self.connection
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            kind = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if (kind != APPLICATION and tables) or (kind == APPLICATION and not version):
                raise JournalError(f"{self.place.path} is a file of SQLite, but no journal")
            if version > len(STEPS):
                raise JournalError(
                    f"the journal {self.place.path} was written by a newer agentrt (version {version}; this one reads "
                    f"up to {len(STEPS)}): update agentrt"
                )
            if tables:
                self.meta = self._read_meta(connection)
                self._check_origin()
                self._check_mark()
            self._begin(version)
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def _begin(self, version: int) -> None:
        """Migrate, and write down that it is open, in the file itself."""
        connection = self.connection
        self.meta.opened += 1
        self.meta.closed = False
        connection.execute("BEGIN IMMEDIATE")
        for step in STEPS[version:]:
            connection.execute(step)
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={len(STEPS)}")
        self.write_meta()
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def write_meta(self) -> None:
        """Write `meta`, in the transaction that is open."""
        record = msgspec.msgpack.encode(self.meta)
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (1, ?, ?)", (record, checksum(0, record)))

    def recover(self) -> None:
        """Find out what is stored, after a transaction of which that is not known."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.meta = self._read_meta(self.connection)

    def _read_meta(self, connection: sqlite3.Connection) -> Meta:
        found = connection.execute("SELECT record, crc FROM meta").fetchone()
        if found is None or type(found[0]) is not bytes or checksum(0, found[0]) != found[1]:
            raise JournalError(f"the journal {self.place.path} is damaged: its first record has a wrong checksum")
        try:
            return msgspec.msgpack.decode(found[0], type=Meta)
        except msgspec.MsgspecError as error:
            raise JournalError(f"the journal {self.place.path} is damaged: {error}") from None

    def _read_meta_alone(self) -> Meta | None:
        """What the file says without the write-ahead log beside it; None if it can't be read."""
        if not self.place.path.exists() or not self.place.wal.exists():
            return None
        try:
            connection = sqlite3.connect(f"{self.place.path.as_uri()}?immutable=1", uri=True)
            try:
                return self._read_meta(connection)
            finally:
                connection.close()
        except (sqlite3.Error, JournalError):
            return None

    def _check_origin(self) -> None:
        """Refuse a write-ahead log that is not of this file, or of an earlier time of it."""
        before, now = self._before, self.meta
        if before is None:
            return
        same = (before.file, before.opened) == (now.file, now.opened)
        if not same or (before.closed and before.last != now.last) or before.last > now.last:
            raise JournalError(
                f"{self.place.wal} does not belong to {self.place.path}: it is of another file or of an earlier time. "
                "Put it away and open the journal again"
            )

    def _check_mark(self) -> None:
        """Refuse a file that lacks what was acknowledged before a crash."""
        opened, last = self.place.read_mark()
        if opened == self.meta.opened and last > self.meta.last:
            raise self._missing(self.meta.last + 1, last)

    def read(self) -> Iterator[tuple[int, Row]]:
        """All rows in their order.

        Raises:
            JournalError: A row is damaged or missing.
        """
        expected = self.meta.first
        try:
            for position, record, crc in self.connection.execute(
                "SELECT position, record, crc FROM log ORDER BY position"
            ):
                if position != expected:
                    raise self._missing(expected, position - 1)
                yield position, decode_row(position, record, crc)
                expected += 1
        except sqlite3.Error as error:
            raise self.explain(error) from error
        if expected != self.meta.last + 1:
            raise self._missing(expected, self.meta.last)

    def _missing(self, first: int, last: int) -> JournalError:
        return JournalError(
            f"the journal {self.place.path} is damaged: rows {first} to {last} are missing; "
            f"see `agentrt journal check {self.place.path}`"
        )

    # ---- while it runs

    def fetch(self, positions: list[int]) -> list[Row]:
        """The rows at these positions, at most a few hundred, in this order."""
        marks = ",".join("?" * len(positions))
        sql = f"SELECT position, record, crc FROM log WHERE position IN ({marks})"
        try:
            found = {row[0]: decode_row(*row) for row in self.connection.execute(sql, positions)}
        except sqlite3.Error as error:
            raise self.explain(error) from error
        missing = [each for each in positions if each not in found]
        if missing:
            raise self._missing(missing[0], missing[-1])
        return [found[each] for each in positions]

    def head(self, most: int, most_bytes: int) -> list[tuple[int, Row]]:
        """The first rows, one at least: so many at most, and no more once they have so many bytes."""
        found, size = [], 0
        for place, record, crc in self.connection.execute(
            "SELECT position, record, crc FROM log ORDER BY position LIMIT ?", (most,)
        ):
            found.append((place, decode_row(place, record, crc)))
            size += len(record)
            if size >= most_bytes:
                break
        return found

    def store(self, records: list[bytes]) -> float:
        """Add rows at the end, all of them or none.

        Returns:
            How many seconds the disk took.

        Raises:
            JournalError: They can't be stored.
        """
        meta = msgspec.structs.replace(self.meta)
        try:
            self.place.check_files()
            self.connection.execute("BEGIN IMMEDIATE")
            self.insert(records)
            self.write_meta()
            started = time.monotonic()
            self.connection.execute("COMMIT")
        except (sqlite3.Error, JournalError) as error:
            self.roll_back(meta)
            if isinstance(error, JournalError):
                raise
            raise self.explain(error) from error
        seconds = time.monotonic() - started
        self.place.write_mark(self.meta.opened, self.meta.last)
        return seconds

    def replace(self, upto: int, records: list[bytes], let_go: LetGo, then: Callable[[], object]) -> None:
        """Delete the rows up to a position and add others at the end, all of that or nothing; then call `then`.

        Raises:
            JournalError: It can't be done.
        """
        meta = msgspec.structs.replace(self.meta)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self.delete(upto)
            self.insert(records)
            self.meta.last_activity, self.meta.retired = let_go
            self.write_meta()
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.roll_back(meta)
            raise self.explain(error) from error
        then()

    def insert(self, records: list[bytes]) -> None:
        """Add rows at the end, in the transaction that is open."""
        first = self.meta.last + 1
        rows = [(place, record, crc32(record, place & 0xFFFFFFFF)) for place, record in enumerate(records, first)]
        for start in range(0, len(rows) - MANY + 1, MANY):
            self.connection.execute(INSERT_MANY, [*chain.from_iterable(rows[start : start + MANY])])
        self.connection.executemany("INSERT INTO log VALUES (?, ?, ?)", rows[len(rows) // MANY * MANY :])
        self.meta.last += len(records)

    def delete(self, upto: int) -> None:
        """Delete the rows up to a position, in the transaction that is open."""
        self.connection.execute("DELETE FROM log WHERE position <= ?", (upto,))
        self.meta.first = upto + 1

    def roll_back(self, meta: Meta) -> None:
        """Give up the transaction that is open."""
        self.meta = meta
        with suppress(sqlite3.Error):  # SQLite may have given it up already
            self.connection.execute("ROLLBACK")

    @property
    def used(self) -> int:
        """How many bytes of the file are in use."""
        pages, free, size = (
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Write down that it is closed, and close it."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self.meta.closed = True
            self.write_meta()
            self.connection.execute("COMMIT")
        except sqlite3.Error:  # it is as after a crash
            self.roll_back(self.meta)
        self.connection.close()
