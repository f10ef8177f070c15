"""SQLite's own module in a bare loop: the two rows of an activity in groups of 100, with the journal's pragmas."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..peer import Peer
from ..stopwatch import Stopwatch
from ..work import Kind

GROUP = 100
ROWS = (b"a" * 40, b"c" * 40)  # as long as the journal's
PRAGMAS = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL")


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(
            "CREATE TABLE log (position INTEGER PRIMARY KEY, record BLOB NOT NULL, crc INTEGER NOT NULL)"
        )
        yield connection
        connection.close()


def write(connection: sqlite3.Connection, first: int, n: int) -> None:
    """Both rows of n activities in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    rows = [(2 * place + which, ROWS[which], place) for place in range(first, first + n) for which in (0, 1)]
    connection.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")


class SQLite(Peer):
    name = "sqlite"

    async def durable(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        with database() as connection, watch:
            for first in range(0, n, GROUP):
                write(connection, first, min(GROUP, n - first))

    async def durable_times(self, n: int) -> list[float]:
        times, clock = [], time.perf_counter
        with database() as connection:
            for place in range(n):
                started = clock()
                write(connection, place, 1)
                times.append(clock() - started)
        return times
