"""A copy of a journal file that no process holds: its rows, by their positions."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..errors import JournalError
from .codec import Codec
from .database import Database
from .location import Location
from .protocol import Unreadable
from .rows import AcceptedRow, Row, decode_row, make_activity

__all__ = ["JoinedRows", "LogCopy"]

T = TypeVar("T")
CHUNK = 10_000  # rows that are read at once
PORTION = 500  # rows that are looked up at once
ADVICE = "look at it with `agentrt watch`, or look at a backup of the file"
SELECT = "SELECT position, record, crc FROM log WHERE"
JOIN = """
    SELECT count(*), group_concat(length(record)), group_concat(iif(length(record) <= ?, record, x''), '')
    FROM (SELECT record FROM log WHERE position >= ? AND position < ? ORDER BY position)
"""


class LenientCodec(Codec):
    """Makes plain values of what has no class here any more."""

    def decode(self, data: bytes, what: str = "value") -> Any:
        """The value; with dicts in place of records if their classes are not here, or do not fit any more."""
        try:
            return super().decode(data, what)
        except JournalError as error:
            try:
                return self.decode_plain(data, what)
            except JournalError:
                return Unreadable(str(error))


class JoinedRows(NamedTuple):
    """The bytes of many rows, one after the other, those of long rows left out; and how many each has, as text."""

    lengths: bytes
    data: bytes


class LogCopy:
    """The rows of a journal file, in a copy of it: the file is neither changed nor held.

    Args:
        path: The file, which no process holds.
        modules: The modules that may be imported to find the classes of what is stored.

    Raises:
        JournalError: There is no such file, a process holds it, it is damaged, of a newer version, or no journal.
    """

    def __init__(self, path: str | os.PathLike[str], modules: Collection[str] = ()) -> None:
        self.codec = LenientCodec(modules)
        place = Location(path)
        self.path = place.path
        self._folder = TemporaryDirectory(prefix="agentrt-journal-")
        self._lock = RLock()
        self._closed = False
        try:
            self.size = place.size() + place.wal_size()
            self.database = self._open(place)
        except BaseException:
            self._folder.cleanup()
            raise

    def _open(self, place: Location) -> Database:
        self._copy = place.copy_to(Path(self._folder.name), ADVICE)
        self.written = place.time_of_last_write()
        if not self.size:
            raise JournalError(f"{self.path} is empty: no journal")
        with self.explain_errors():
            database = Database(Location(self._copy))
            try:
                database.prepare()
            except BaseException:
                database.connection.close()
                raise
        return database

    def explain_errors(self) -> ErrorsExplained:
        """A block in which each error names the file instead of the copy, and says what to do about a damage."""
        return ErrorsExplained(self._copy, self.path)

    # ---- rows

    @property
    def extent(self) -> tuple[int, int]:
        """How many rows were let go before the first one, and how many there are."""
        meta = self.database.meta
        return meta.first - 1, meta.last + 1 - meta.first

    def rows(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, Row]]:
        """The rows from a position to another one, with their positions; read as they are asked for, on one thread.

        Raises:
            JournalError: A row is damaged or missing.
        """
        meta = self.database.meta
        last = meta.last if end is None else end - 1
        for start in range(max(first, meta.first), last + 1, CHUNK):
            stop = min(start + CHUNK, last + 1)
            found = self.call(lambda start=start, stop=stop: self._rows_between(start, stop))  # type: ignore[misc]
            if len(found) != stop - start:
                raise self._missing(start, stop)
            yield from found

    def _rows_between(self, first: int, end: int) -> list[tuple[int, Row]]:
        with self.explain_errors():
            found = self.database.connection.execute(
                f"{SELECT} position >= ? AND position < ? ORDER BY position", (first, end)
            )
            return [(row[0], self._readable(decode_row(*row))) for row in found]

    def join(self, first: int, end: int, longest: int) -> JoinedRows:
        """The bytes of the rows from a position to another one, but for those that have more bytes than `longest`.

        It takes a tenth of the time that single rows take. Checksums are not looked at.

        Raises:
            JournalError: A row is missing.
        """
        count, lengths, data = self.call(lambda: self._join_rows(first, end, longest))
        if count != end - first:
            raise self._missing(first, end)
        return JoinedRows(lengths or b"", data or b"")

    def _join_rows(self, first: int, end: int, longest: int) -> Any:
        connection = self.database.connection
        factory, connection.text_factory = connection.text_factory, bytes  # what is joined is text to SQLite
        try:
            return connection.execute(JOIN, (longest, first, end)).fetchone()
        finally:
            connection.text_factory = factory

    def _missing(self, first: int, end: int) -> JournalError:
        return JournalError(
            f"{self.path}: rows are missing between {first} and {end - 1}; see `agentrt journal check {self.path}`"
        )

    def fetch(self, positions: Iterable[int]) -> list[Row]:
        """The rows at these positions, in this order."""
        wanted = list(positions)
        portions = [wanted[start : start + PORTION] for start in range(0, len(wanted), PORTION)]
        return self.call(lambda: [self._readable(row) for each in portions for row in self.database.fetch(each)])

    def _readable(self, row: Row) -> Row:
        """The row; without the fields of a custom type of activity that is not here."""
        if not isinstance(row, AcceptedRow) or row.more is None:
            return row
        try:
            make_activity(self.codec, row)
        except (JournalError, TypeError):
            return msgspec.structs.replace(row, more=None)
        return row

    # ---- the copy

    def call(self, function: Callable[[], T]) -> T:
        """What a function returns that reads the copy, on one thread at a time."""
        with self._lock:
            if self._closed:
                raise JournalError(f"the journal {self.path} is closed")
            return function()

    def close(self) -> None:
        """Remove the copy. Safe to call again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.database.connection.close()
                self._folder.cleanup()


class ErrorsExplained:
    """A block in which each `JournalError` names a file instead of the copy of it."""

    def __init__(self, copy: Path, path: Path) -> None:
        self._copy, self._path = str(copy), str(path)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, JournalError):
            raise JournalError(self._explain(str(error).replace(self._copy, self._path))) from error

    def _explain(self, problem: str) -> str:
        if "damaged" not in problem or "journal check" in problem:
            return problem
        return f"{self._path}: {problem}; see `agentrt journal check {self._path}`"
