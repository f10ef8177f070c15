"""A journal of each kind, which can be opened again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt.journal import MemoryJournal, SQLiteJournal

KINDS = ("memory", "sqlite")


class Store:
    """One log: `open` closes the journal that is open, and opens another on what it has stored."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.path = folder / "agents.db"
        self.journal: Any = None

    def open(self, **options: Any) -> Any:
        log = None
        if self.journal is not None:
            self.journal.close()
            log = getattr(self.journal, "log", None)
        self.journal = MemoryJournal(log, **options) if self.kind == "memory" else SQLiteJournal(self.path, **options)
        return self.journal

    def sync(self) -> None:
        """Wait until everything is stored."""
        self.journal.runtimes()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    found = Store(request.param, tmp_path)
    yield found
    if found.journal is not None:
        found.journal.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"
