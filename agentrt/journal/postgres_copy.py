"""A journal in PostgreSQL as a file of SQLite, and back: to look at it, to check it, to move it."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path

import psycopg

from ..errors import JournalError
from .database import Database, LetGo, Meta
from .location import Location
from .log_copy import LogCopy
from .postgres_connection import ServerConnection, connect_to_server, explain
from .postgres_owner import Claim
from .postgres_store import PAGE, PostgresStore, check_version, read_meta, read_rows
from .rows import encode_row

__all__ = ["copy_from_file", "copy_to_file"]


def copy_to_file(dsn: str, name: str, target: Path, timeout: float) -> None:
    """Write a consistent copy of a journal into a file. Contract: `copy_journal`."""
    connection = connect_to_server(dsn, name, timeout)
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            _copy(connection, name, Location(target))
    except psycopg.Error as error:
        raise explain(error, repr(name)) from error
    finally:
        connection.close()


def _copy(connection: ServerConnection, name: str, place: Location) -> None:
    claim = _find(connection, name)
    place.check(allow_network=True)
    database = Database(place)
    try:
        database.prepare()
        first, last = _copy_rows(connection, claim.journal, database)
        opened = database.meta.opened
        try:
            database.meta = read_meta(claim, repr(name)) or database.meta
        except JournalError:  # what the rows say is left
            database.meta = Meta(database.meta.file, first=first, last=last)
        database.meta.opened = opened
        database.connection.execute("BEGIN IMMEDIATE")
        database.write_meta()
        database.connection.execute("COMMIT")
    except BaseException:
        database.connection.close()
        for path in place.files():
            with suppress(OSError):
                path.unlink()
        raise
    database.close()


def _find(connection: ServerConnection, name: str) -> Claim:
    there = connection.execute("SELECT to_regclass('agentrt.version')").fetchone()
    if there is None or there[0] is None:
        raise JournalError(f"there is no journal in the database {connection.info.dbname!r}")
    check_version(connection, repr(name))
    sql = "SELECT journal, epoch, last, record, crc FROM agentrt.meta WHERE name = %s"
    found = connection.execute(sql, [name]).fetchone()
    if found is None:
        names = [each[0] for each in connection.execute("SELECT name FROM agentrt.meta ORDER BY name LIMIT 20")]
        raise JournalError(
            f"there is no journal {name!r} in the database {connection.info.dbname!r}; there are {names or 'none'}"
        )
    return Claim(*found)


def _copy_rows(connection: ServerConnection, journal: int, database: Database) -> tuple[int, int]:
    """Copy the rows as they are; the positions of the first and the last one."""
    rows, first, last = read_rows(connection, journal), 1, 0
    while portion := list(islice(rows, PAGE)):
        first, last = first if last else portion[0][0], portion[-1][0]
        database.connection.execute("BEGIN IMMEDIATE")
        database.connection.executemany("INSERT INTO log VALUES (?, ?, ?)", portion)
        database.connection.execute("COMMIT")
    return first, last


def copy_from_file(file: Path, dsn: str, name: str, timeout: float) -> None:
    """Write what a file has into a new journal, all of it or nothing. Contract: `copy_journal`."""
    log = LogCopy(file)
    try:
        store = PostgresStore(dsn, name, timeout, take_over=False)
        try:
            if store.meta.last:
                raise JournalError(f"the journal {store.label} is there already: a copy replaces nothing")
            with log.explain_errors():
                rows = (encode_row(row) for _, row in log.database.read())
                meta = log.database.meta
                store.fill(iter(lambda: list(islice(rows, PAGE)), []), LetGo(meta.last_activity, meta.retired))
        finally:
            store.close()
    finally:
        log.close()
