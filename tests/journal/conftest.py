"""A journal of each kind, which can be opened again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt.journal import MemoryJournal, PostgresJournal, SQLiteJournal
from agentrt.journal.postgres_store import ROW_BYTES
from tests.harness.postgres import Postgres

KINDS = ("memory", "sqlite", "postgres")


class Store:
    """One log: `open` closes the journal that is open, and opens another on what it has stored."""

    def __init__(self, kind: str, folder: Path, server: Postgres | None) -> None:
        self.kind = kind
        self.server = server
        self.path = folder / "agents.db"
        self.journal: Any = None

    def open(self, **options: Any) -> Any:
        log = None
        if self.journal is not None:
            self.journal.close()
            log = getattr(self.journal, "log", None)
        if self.server is not None:
            self.journal = PostgresJournal(self.server.dsn(), name=str(self.path)[-200:], **options)
        else:
            memory = self.kind == "memory"
            self.journal = MemoryJournal(log, **options) if memory else SQLiteJournal(self.path, **options)
        return self.journal

    def count(self) -> int:
        """How many rows it has."""
        self.sync()
        if self.kind == "memory":
            return len(self.journal.log.rows)
        meta = self.journal._database.meta
        return int(meta.last + 1 - meta.first)

    def size(self) -> int:
        """How many bytes the rows have."""
        self.sync()
        if self.kind == "sqlite":
            connection = self.journal._database.connection
            found = self.journal._call(lambda: connection.execute("SELECT sum(length(record)) FROM log").fetchone())
            return int(found[0])
        return int(self.journal.size) - (ROW_BYTES * self.count() if self.kind == "postgres" else 0)

    def sync(self) -> None:
        """Wait until everything is stored."""
        self.journal.runtimes()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    found = Store(request.param, tmp_path, server)
    yield found
    if found.journal is not None:
        found.journal.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


@pytest.fixture
def dsn(postgres_server: Postgres) -> str:
    """A new database in the server."""
    return postgres_server.dsn(postgres_server.new_database())
