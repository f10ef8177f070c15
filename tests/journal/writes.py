"""What tests write into a journal, and how they wait until it is decided."""

from typing import Any

import psycopg

from agentrt import Activity, JournalError
from agentrt.journal import Accepted
from tests.harness.wait import wait_until


def accept(number: int, runtime: str = "a", payload: Any = 0, *, rank: int | None = None, **more: Any) -> Accepted:
    """The record of an activity that is accepted."""
    return Accepted(activity=Activity(id=number, runtime=runtime, payload=payload, **more), rank=rank)


def waiting(journal: Any, runtime: str = "a") -> list[int]:
    """The numbers of the activities that wait."""
    return [each.activity.id for each in journal.waiting(runtime)]


class Heard(list[Any]):
    """What was decided of appends, in the order in which it was."""

    def __call__(self, error: JournalError | None) -> None:
        self.append(error)

    def wait(self, many: int = 1) -> Any:
        """The last of so many."""
        wait_until(lambda: len(self) >= many, what=f"{many} appends are decided")
        return self[many - 1]


def store(journal: Any, *writes: Any) -> Any:
    """Append, and wait until it is decided: None, or why it is not stored."""
    heard = Heard()
    journal.append(*writes, then=heard)
    return heard.wait()


def query(dsn: str, sql: str) -> Any:
    """What a statement gives in that database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else None
