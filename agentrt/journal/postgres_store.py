"""The rows of a journal in PostgreSQL: each commit is one statement, and a connection that is lost is got over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4
from zlib import crc32

import msgspec
import psycopg

from ..errors import JournalError
from .database import LetGo, Meta
from .postgres_connection import ServerConnection, connect_to_server, explain, is_lost
from .postgres_owner import LOCK, Claim, JournalOwner
from .rows import Row, checksum, decode_row
from .writer import OutcomeUnknownError

__all__ = ["PostgresStore", "read_meta", "read_rows"]

T = TypeVar("T")
STEPS = [
    step.strip()
    for step in Path(__file__).with_name("postgres_schema.sql").read_text("utf-8").split(";")
    if step.strip() and not all(line.startswith("--") for line in step.strip().splitlines())
]
PAGE = 5_000  # rows that are read at a time
ROW_BYTES = 80  # what PostgreSQL adds to a row, with its place in the index
# One statement is one transaction and one round trip. Whoever is not the owner any more changes nothing by it.
COMMIT = """
WITH owned AS (
    UPDATE agentrt.meta SET last = %(last)s, record = %(meta)b, crc = %(crc)s
    WHERE journal = %(journal)s AND epoch = %(epoch)s AND last = %(before)s RETURNING journal
), gone AS (
    DELETE FROM agentrt.log USING owned
    WHERE log.journal = owned.journal AND position <= %(upto)s RETURNING octet_length(log.record) AS size
), added AS (
    INSERT INTO agentrt.log (journal, position, record, crc)
    SELECT owned.journal, %(before)s + row.place, row.record, row.crc
    FROM owned, unnest(%(records)b::bytea[], %(crcs)b::bigint[]) WITH ORDINALITY AS row (record, crc, place)
)
SELECT (SELECT count(*) FROM owned), (SELECT count(*) FROM gone), (SELECT coalesce(sum(size), 0) FROM gone)
"""


class PostgresStore:
    """The connection of the owner of a journal. Used on one thread at a time.

    Args:
        dsn: The connection string.
        name: The name of the journal.
        timeout: Seconds until a server that does not answer counts as lost.
        take_over: Whether to take the journal from another owner.

    Raises:
        JournalError: It can't be opened.
    """

    def __init__(self, dsn: str, name: str, timeout: float, take_over: bool) -> None:
        self.used = 0
        self._dsn, self._timeout = dsn, timeout
        self._last = 0  # the last row that the server has; the writer may not know yet of all up to there
        self._replacing: tuple[Meta, Callable[[], object]] | None = None
        self.owner = JournalOwner(name)
        self._connection: ServerConnection | None = connect_to_server(dsn, name, timeout)
        try:
            migrate(self._connection, self.label)
            self._begin(self.owner.claim(self._connection, take_over))
        except psycopg.Error as error:
            raise self._explain(error) from error
        except BaseException:
            self.drop()
            raise

    def _begin(self, claim: Claim) -> None:
        """Write down that it is open."""
        self._epoch, self._last = claim.epoch, claim.last
        self.meta = read_meta(claim, self.label) or Meta(uuid4().hex)
        self.meta.opened += 1
        self.meta.closed = False
        self._send(self.meta, [], 0)

    def _explain(self, error: psycopg.Error) -> JournalError:
        self.drop()
        return explain(error, self.label)

    def drop(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    # ---- the connection

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.owner.label

    def _reconnect(self) -> ServerConnection:
        """The connection; a new one where it was lost. Then it is known what is stored."""
        if self._connection is not None:
            return self._connection
        connection = self._connection = connect_to_server(self._dsn, self.owner.name, self._timeout)
        try:
            claim = self.owner.claim_again(connection)
            self._epoch = claim.epoch
            self._learn(claim)
        except psycopg.Error as error:
            raise self._explain(error) from error
        except BaseException:
            self.drop()
            raise
        return connection

    def _learn(self, claim: Claim) -> None:
        """Note what of the last attempt is stored."""
        found = read_meta(claim, self.label)
        if found is None or claim.last < self.meta.last:
            raise JournalError(
                f"the journal {self.label} ends at row {claim.last}, but row {self.meta.last} was acknowledged: "
                "the database was set back to an earlier time; close this journal and open it again to go on from there"
            )
        if self._replacing is not None and found.first == self._replacing[0].first:
            self._finish_replacing()
            self.used = self.measure()
        self._last = claim.last

    def _try(self, action: Callable[[], T]) -> T:
        """What an action returns; once more on a new connection where the one before is lost.

        Raises:
            OutcomeUnknownError: The connection is lost, and it is not known whether it was done.
            JournalError: It was not done.
        """
        sent: psycopg.Error | None = None
        for _ in range(2):
            try:
                connection = self._reconnect()
            except JournalError as error:
                if sent is None or type(error) is not JournalError:
                    raise
                raise OutcomeUnknownError(str(error)) from None
            try:
                return action()
            except psycopg.Error as error:
                if not is_lost(error, connection):
                    raise explain(error, self.label) from error
                self.drop()
                sent = error
        assert sent is not None
        raise OutcomeUnknownError(str(explain(sent, self.label)))

    def _execute(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        assert self._connection is not None
        return self._connection.execute(sql, values, binary=True).fetchall()

    # ---- writing

    def store(self, records: list[bytes]) -> float:
        """Add rows at the end, all of them or none; how many seconds that took. See `Store.store`."""
        started = time.monotonic()
        self._try(partial(self._store, records))
        return time.monotonic() - started

    def _store(self, records: list[bytes]) -> None:
        stored = self._last - self.meta.last  # by an attempt of which that was not known
        after = msgspec.structs.replace(self.meta, last=self.meta.last + len(records))
        self._send(after, records[stored:], 0)
        self.used += sum(map(len, records)) + ROW_BYTES * len(records)
        self.meta = after

    def _send(self, after: Meta, records: list[bytes], upto: int) -> tuple[int, int]:
        """Commit: rows are added at the end, the first ones deleted. Returns how many those are, and their bytes."""
        record = msgspec.msgpack.encode(after)
        values = {
            "journal": self.owner.journal,
            "epoch": self._epoch,
            "before": self._last,
            "last": after.last,
            "meta": record,
            "crc": checksum(0, record),
            "upto": upto,
            "records": records,
            "crcs": [crc32(each, place & 0xFFFFFFFF) for place, each in enumerate(records, self._last + 1)],
        }
        owned, gone, size = self._execute(COMMIT, values)[0]
        if not owned:
            assert self._connection is not None
            self.owner.check(self._connection)
            raise JournalError(f"the journal {self.label} was changed by somebody else")
        self._last = after.last
        return int(gone), int(size)

    def replace(self, upto: int, records: list[bytes], let_go: LetGo, then: Callable[[], object]) -> None:
        """Delete the rows up to a position and add others at the end, in one transaction. See `Store.replace`."""
        last = self.meta.last + len(records)
        after = msgspec.structs.replace(self.meta, first=upto + 1, last=last, **let_go._asdict())
        self._replacing = after, then
        self._try(partial(self._replace, records, upto))

    def _replace(self, records: list[bytes], upto: int) -> None:
        if self._replacing is None:  # it was done by an attempt of which that was not known
            return
        gone, size = self._send(self._replacing[0], records, upto)
        self.used += sum(map(len, records)) - size + ROW_BYTES * (len(records) - gone)
        self._finish_replacing()

    def _finish_replacing(self) -> None:
        assert self._replacing is not None
        (self.meta, then), self._replacing = self._replacing, None
        then()

    def fill(self, portions: Iterable[list[bytes]], let_go: LetGo) -> None:
        """Store the rows of another log in one transaction. This one is empty.

        Raises:
            JournalError: They can't be stored.
        """
        empty, connection = self.meta, self._reconnect()
        try:
            with connection.transaction():
                self.meta = msgspec.structs.replace(self.meta, **let_go._asdict())
                for portion in portions:
                    self._store(portion)
                self._store([])
        except BaseException as error:
            self.meta, self._last, self.used = empty, 0, 0
            if isinstance(error, psycopg.Error):
                raise self._explain(error) from error
            raise

    def recover(self) -> None:
        """Nothing: no exception from outside comes to the thread that writes."""

    # ---- reading

    def read(self) -> Iterator[tuple[int, Row]]:
        """All rows in their order.

        Raises:
            JournalError: A row is damaged or missing.
        """
        expected = self.meta.first
        assert self._connection is not None
        try:
            for position, record, crc in read_rows(self._connection, self.owner.journal):
                if position != expected:
                    raise self._damage_error(f"rows {expected} to {position - 1} are missing")
                yield position, self._decode(position, record, crc)
                self.used += len(record) + ROW_BYTES
                expected += 1
        except psycopg.Error as error:
            raise self._explain(error) from error
        if expected != self.meta.last + 1:
            raise self._damage_error(f"rows {expected} to {self.meta.last} are missing")

    def _decode(self, position: int, record: Any, crc: Any) -> Row:
        try:
            return decode_row(position, record, crc)
        except JournalError as error:
            raise self._damage_error(str(error)) from None

    def _damage_error(self, what: str) -> JournalError:
        return JournalError(
            f"the journal {self.label} is damaged: {what}; write what is there into a file with "
            "`agentrt journal copy ADDRESS copy.db`; see `agentrt journal check` and `agentrt journal repair` of that"
        )

    def fetch(self, positions: list[int]) -> list[Row]:
        """The rows at these positions, at most a few hundred, in this order."""
        sql = "SELECT position, record, crc FROM agentrt.log WHERE journal = %s AND position = ANY(%s::bigint[])"
        rows = self._try(partial(self._execute, sql, [self.owner.journal, positions]))
        found = {row[0]: self._decode(*row) for row in rows}
        missing = [each for each in positions if each not in found]
        if missing:
            raise self._damage_error(f"rows {missing[0]} to {missing[-1]} are missing")
        return [found[each] for each in positions]

    def head(self, most: int, most_bytes: int) -> list[tuple[int, Row]]:
        """The first rows, one at least: so many at most, and no more once they have so many bytes."""
        sql = (
            "SELECT position, record, crc FROM (SELECT *, sum(octet_length(record)) OVER (ORDER BY position) - "
            "octet_length(record) AS before FROM (SELECT * FROM agentrt.log WHERE journal = %s ORDER BY position "
            "LIMIT %s) AS first) AS sized WHERE before < %s ORDER BY position"
        )
        rows = self._try(partial(self._execute, sql, [self.owner.journal, most, most_bytes]))
        return [(row[0], self._decode(*row)) for row in rows]

    # ---- care

    def measure(self) -> int:
        """How many bytes the rows take, about, as the server counts them."""
        sql = "SELECT count(*), coalesce(sum(octet_length(record)), 0) FROM agentrt.log WHERE journal = %s"
        rows, size = self._execute(sql, [self.owner.journal])[0]
        return int(size) + ROW_BYTES * int(rows)

    def vacuum(self) -> None:
        """Give back the room of rows that are gone."""
        self._try(partial(self._run, "VACUUM agentrt.log"))
        self._try(partial(self._run, "VACUUM agentrt.meta"))

    def _run(self, sql: str) -> None:
        assert self._connection is not None
        self._connection.execute(sql)

    def close(self) -> None:
        """Write down that it is closed, and close it. Safe to call again."""
        connection = self._connection
        if connection is None:
            return
        with suppress(psycopg.Error, JournalError):  # else it is as after a crash
            if self._last == self.meta.last:
                self._send(msgspec.structs.replace(self.meta, closed=True), [], 0)
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, self.owner.journal])
        self.drop()


def migrate(connection: ServerConnection, label: str) -> None:
    """Make the tables, or bring them to this version.

    Raises:
        JournalError: They are of a newer agentrt.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", [LOCK])
        there: Any = connection.execute("SELECT to_regclass('agentrt.version')").fetchone()
        if there[0] is None:
            connection.execute("CREATE SCHEMA IF NOT EXISTS agentrt")
            connection.execute("CREATE TABLE agentrt.version (steps integer NOT NULL)")
            connection.execute("INSERT INTO agentrt.version VALUES (0)")
        check_version(connection, label)
        (version,) = connection.execute("SELECT steps FROM agentrt.version").fetchone() or (0,)
        for step in STEPS[version:]:
            connection.execute(step.encode())
        if version < len(STEPS):
            connection.execute("UPDATE agentrt.version SET steps = %s", [len(STEPS)])


def check_version(connection: ServerConnection, label: str) -> None:
    """Refuse tables of a newer agentrt."""
    (version,) = connection.execute("SELECT steps FROM agentrt.version").fetchone() or (0,)
    if version > len(STEPS):
        raise JournalError(
            f"the journal {label} was written by a newer agentrt (version {version}; this one reads up to "
            f"{len(STEPS)}): update agentrt"
        )


def read_meta(claim: Claim, label: str) -> Meta | None:
    """What is written down of a log as a whole; None for a new one.

    Raises:
        JournalError: It is damaged.
    """
    if claim.record is None and not claim.last:
        return None
    try:
        if claim.record is None or checksum(0, claim.record) != claim.crc:
            raise ValueError("its first record has a wrong checksum")
        found = msgspec.msgpack.decode(claim.record, type=Meta)
        if found.last != claim.last:
            raise ValueError(f"its first record says that it ends at row {found.last}, the table {claim.last}")
    except (ValueError, msgspec.MsgspecError) as error:
        raise JournalError(f"the journal {label} is damaged: {error}") from None
    return found


def read_rows(connection: ServerConnection, journal: int) -> Iterator[tuple[int, bytes, int]]:
    """Position, record and checksum of all rows, in their order."""
    sql = (
        "SELECT position, record, crc FROM agentrt.log WHERE journal = %s AND position > %s ORDER BY position LIMIT %s"
    )
    after = -1
    while rows := connection.execute(sql, [journal, after, PAGE], binary=True).fetchall():
        yield from rows
        after = rows[-1][0]
