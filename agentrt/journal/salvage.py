"""What is left of a damaged journal: which rows can be read, and a new file of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ..errors import JournalError
from .database import Database
from .location import Location
from .rows import CommitRow, FieldsRow, RemovedRow, Row, RuntimeRow, decode_row, encode_row

__all__ = ["Findings", "check_journal", "repair_journal"]

MOST_NAMES = 10  # that a sentence has


class Findings(msgspec.Struct):
    """What was found in a journal.

    Attributes:
        path: The file.
        rows: How many rows can be read.
        lost: The positions of those that can't, or are missing: first and last of each gap.
        problems: What is wrong, in words; empty if all is well.
        let_go: Of the rows that were let go: their highest id of an activity, and the counts of removed runtimes.
    """

    path: str
    rows: int = 0
    lost: list[tuple[int, int]] = []
    problems: list[str] = []
    let_go: tuple[int, dict[str, int]] = (0, {})

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not self.lost

    def __str__(self) -> str:
        if self.is_whole:
            return f"{self.path}: {self.rows:,} rows, all of them whole."
        gaps = [str(first) if first == last else f"{first} to {last}" for first, last in self.lost]
        more = f" and {len(gaps) - MOST_NAMES} more gaps" if len(gaps) > MOST_NAMES else ""
        lines = [f"{self.path}: {self.rows:,} rows can be read.", *self.problems]
        if gaps:
            lines.append(f"Damaged or missing rows: {', '.join(gaps[:MOST_NAMES])}{more}.")
        return "\n".join(lines)


def check_journal(path: str | os.PathLike[str]) -> Findings:
    """Read every row of a journal and verify its checksum. The file stays as it is.

    Args:
        path: A file that no process holds; of one that is held, check a backup.

    Raises:
        JournalError: There is no such file, or a process holds it.
    """
    with _copy_of(path) as (copy, findings):
        for _ in _read_rows(copy, findings):
            findings.rows += 1
        return findings


def repair_journal(path: str | os.PathLike[str], to: str | os.PathLike[str]) -> Findings:
    """Write what can be read of a journal into a new file. The damaged one stays as it is.

    Where rows are lost a state may be an older one, and an activity that was done may wait again. A large state of
    which later changes are lost stays as it was before.

    Args:
        path: A file that no process holds.
        to: The new file, which is not there yet.

    Raises:
        JournalError: There is no such file, a process holds it, nothing of it can be read, or the new one is there.
    """
    target = Location(to)
    if target.path.exists():
        raise JournalError(f"{target.path} is there already: a repair replaces nothing")
    target.check(allow_network=True)
    with _copy_of(path) as (copy, findings):
        with closing(Database(target)) as database:
            database.prepare()
            database.connection.execute("BEGIN IMMEDIATE")
            for row in _keep_consistent(copy, findings):
                database.insert([encode_row(row)])
                findings.rows += 1
            database.meta.last_activity, database.meta.retired = findings.let_go
            database.write_meta()
            database.connection.execute("COMMIT")
        if not findings.rows and not findings.is_whole:
            for each in target.files():
                each.unlink(missing_ok=True)
            raise JournalError(f"nothing can be read, and no new file was written. {findings}")
        return findings


def _keep_consistent(copy: Path, findings: Findings) -> Iterator[Row]:
    """The rows that can be read, without changes of large states after a row that is lost."""
    stopped: set[str] = set()
    whole_since: dict[str, int] = {}  # how many gaps there were when a state was last written whole
    has_state: dict[str, bool] = {}  # of each runtime that was created
    for row in _read_rows(copy, findings):
        if isinstance(row, FieldsRow):
            gaps = len(findings.lost)
            if row.whole:
                whole_since[row.runtime] = gaps
            elif whole_since.get(row.runtime, 0) != gaps:
                stopped.add(row.runtime)
                continue
        _note_state(row, has_state)
        yield row
    without = [runtime for runtime, found in has_state.items() if not found]
    _name_runtimes(findings, "These runtimes have the large state of before the damage", sorted(stopped - {*without}))
    _name_runtimes(findings, "The state of these runtimes is lost, they begin with their initial one", without)


def _note_state(row: Row, has_state: dict[str, bool]) -> None:
    """Note which runtimes there are, and whether a state of each can be read."""
    if isinstance(row, RemovedRow):
        has_state.pop(row.runtime, None)
    elif isinstance(row, RuntimeRow) and row.created is not None:
        has_state[row.runtime] = row.state is not None or (not row.new and has_state.get(row.runtime, False))
    elif isinstance(row, FieldsRow) or (isinstance(row, RuntimeRow | CommitRow) and row.state is not None):
        has_state[row.runtime] = True


def _name_runtimes(findings: Findings, what: str, runtimes: list[str]) -> None:
    if runtimes:
        names = ", ".join(map(repr, runtimes[:MOST_NAMES]))
        more = f" and {len(runtimes) - MOST_NAMES} more" if len(runtimes) > MOST_NAMES else ""
        findings.problems.append(f"{what}: {names}{more}.")


@contextmanager
def _copy_of(path: str | os.PathLike[str]) -> Iterator[tuple[Path, Findings]]:
    """A copy of the files of a journal: to open the ones themselves would change them."""
    location = Location(path)
    with TemporaryDirectory(prefix="agentrt-journal-") as folder:
        yield location.copy_to(Path(folder), "check a backup of it"), Findings(str(location.path))


class _LenientConnection(sqlite3.Connection):
    """Reads what there is of a file that was cut off, which SQLite else refuses as a whole."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA writable_schema=ON")


def _read_rows(copy: Path, findings: Findings) -> Iterator[Row]:
    """The rows that can be read; what can't be is noted."""
    try:
        database = Database(Location(copy), factory=_LenientConnection)
    except JournalError as error:
        findings.problems.append(str(error).replace(str(copy), findings.path))
        return
    with closing(database.connection):
        try:
            database.prepare()
        except JournalError as error:
            findings.problems.append(str(error).replace(str(copy), findings.path))
        findings.let_go = database.meta.last_activity, database.meta.retired
        last = max(_last_position(database.connection), database.meta.last, database.place.read_mark()[1])
        yield from _scan(database, last, findings)
        for (problem,) in _rows_of_query(database.connection, "PRAGMA integrity_check(20)"):
            if problem != "ok":
                findings.problems.append(f"SQLite says: {problem}")


def _scan(database: Database, last: int, findings: Findings) -> Iterator[Row]:
    """The rows up to a position, those of a damaged page one by one."""
    connection, position = database.connection, database.meta.first
    while position <= last:
        for found, record, crc in _rows_of_query(
            connection, "SELECT position, record, crc FROM log WHERE position >= ? ORDER BY position", position
        ):
            if found < position:
                break
            _note_gap(findings, position, found - 1)
            position = found + 1
            try:
                row = decode_row(found, record, crc)
            except JournalError:
                _note_gap(findings, found, found)
            else:
                yield row
        if position <= last:
            _note_gap(findings, position, position)
            position += 1
            position = _next_readable(connection, position, last, findings)


def _next_readable(connection: sqlite3.Connection, position: int, last: int, findings: Findings) -> int:
    """The next position that has a row."""
    while position <= last:
        if any(True for _ in _rows_of_query(connection, "SELECT 1 FROM log WHERE position = ?", position)):
            return position
        _note_gap(findings, position, position)
        position += 1
    return position


def _note_gap(findings: Findings, first: int, last: int) -> None:
    if first > last:
        return
    if findings.lost and findings.lost[-1][1] == first - 1:
        first = findings.lost.pop()[0]
    findings.lost.append((first, last))


def _last_position(connection: sqlite3.Connection) -> int:
    return max((row[0] or 0 for row in _rows_of_query(connection, "SELECT max(position) FROM log")), default=0)


def _rows_of_query(connection: sqlite3.Connection, sql: str, *values: object) -> Iterator[Any]:
    """The rows of a query, up to the first that can't be read."""
    with suppress(sqlite3.Error, OverflowError):
        yield from connection.execute(sql, values)
