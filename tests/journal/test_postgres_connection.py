"""postgres.py: a server that goes away and comes back; nothing is stored twice or lost."""

import os
import threading
from typing import Any

import psycopg
import pytest

from agentrt import JournalError, JournalTakenOverError
from agentrt.journal import (
    Committed,
    Created,
    PostgresJournal,
    Retention,
)
from agentrt.journal import postgres_store as stores
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import wait_until
from tests.journal.writes import Heard, accept, query, store, waiting

# ---- a server that goes away


def test_a_server_that_is_started_again_is_gone_on_with(own_server: Postgres) -> None:
    journal = PostgresJournal(own_server.dsn())
    assert store(journal, Created(runtime="a", state=0), accept(1), accept(2)) is None
    own_server.kill()
    order = Heard()
    journal.append(Committed(runtime="a", activity=1, state=1, sent=(accept(3),)), then=order)
    wait_until(lambda: journal.error is not None)
    error = store(journal, accept(4))
    assert "can't be reached" in str(error)
    assert "start PostgreSQL there" in str(error)
    journal.append(Committed(runtime="a", activity=2, state=2), then=order)
    assert order == []
    assert journal.lag > 0
    own_server.start()
    assert order.wait(2) is None
    assert order == [None, None]
    assert journal.error is None
    journal.close()
    with PostgresJournal(own_server.dsn()) as journal:
        assert (journal.state("a"), waiting(journal)) == (2, [3])
        assert journal.find("a").counts == {"accepted": 3, "done": 2}  # type: ignore[union-attr]


def test_a_connection_that_is_lost_while_nothing_is_written_is_not_noticed(dsn: str) -> None:
    with PostgresJournal(dsn) as journal:
        assert store(journal, Created(runtime="a", state=0)) is None
        for number in range(1, 4):
            query(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'agentrt %'")
            assert store(journal, accept(number)) is None
            query(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'agentrt %'")
            assert waiting(journal) == list(range(1, number + 1))


class Losing:
    """Loses the connection with a commit, before or after the server has done it; then it can't be reached for long."""

    def __init__(self, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
        self.database = journal._database
        self.reachable = threading.Event()
        self.done, self.lost = done, 0
        self.real, self.connect = self.database._execute, stores.connect_to_server
        monkeypatch.setattr(self.database, "_execute", self.execute)
        monkeypatch.setattr(stores, "connect_to_server", self.reconnect)

    def execute(self, sql: str, values: Any) -> Any:
        if self.lost or sql != stores.COMMIT:
            return self.real(sql, values)
        self.lost += 1
        if self.done:
            self.real(sql, values)
        assert self.database._connection is not None
        self.database._connection.close()
        raise psycopg.OperationalError("the connection is lost")

    def reconnect(self, *arguments: Any) -> Any:
        if not self.reachable.is_set():
            raise JournalError("it can't be reached")
        return self.connect(*arguments)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_commit_of_which_nobody_knows_is_looked_up_and_stored_once(
    dsn: str, monkeypatch: pytest.MonkeyPatch, done: bool, at_once: bool
) -> None:
    journal = PostgresJournal(dsn)
    assert store(journal, Created(runtime="a", state=0), accept(1)) is None
    losing = Losing(journal, monkeypatch, done)
    unsure, sure = Heard(), Heard()
    if at_once:
        losing.reachable.set()
    journal.append(accept(2), then=unsure)
    if not at_once:
        wait_until(lambda: journal.error is not None)
        assert unsure == []  # neither stored nor refused: it may be there
        journal.append(accept(3), then=sure)
        assert "can't be reached" in str(sure.wait())  # this one was never sent
        losing.reachable.set()
    assert unsure.wait() is None
    assert losing.lost == 1
    assert store(journal, Committed(runtime="a", activity=1, state=1), accept(4)) is None
    for _ in range(2):
        assert waiting(journal) == [2, 4]
        assert journal.find("a").counts == {"accepted": 3, "done": 1}  # type: ignore[union-attr]
        journal.close()
        journal = PostgresJournal(dsn)
    journal.close()


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_history_is_let_go_once_where_the_connection_is_lost_meanwhile(
    dsn: str, monkeypatch: pytest.MonkeyPatch, done: bool, at_once: bool
) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state=0), accept(1))
        for number in range(2, 2002):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
    journal = PostgresJournal(dsn, keep=Retention(records=100))
    losing = Losing(journal, monkeypatch, done)
    real = journal._database.replace

    def replace(*arguments: Any) -> None:
        if losing.lost > 1:
            losing.lost = 0
        real(*arguments)

    losing.lost = 2
    monkeypatch.setattr(journal._database, "replace", replace)
    if at_once:
        losing.reachable.set()
    assert store(journal, accept(3000)) is None
    wait_until(lambda: losing.lost == 1)
    losing.reachable.set()
    assert store(journal, accept(3001)) is None
    wait_until(lambda: journal._call(lambda: journal._database.meta.last - journal._database.meta.first) < 110)
    assert len(set(journal._call(lambda: (journal.size, journal._database.measure())))) == 1
    for _ in range(2):
        assert waiting(journal) == [1, 3000, 3001]
        assert journal.state("a") == 2001
        assert journal.find("a").counts == {"accepted": 2003, "done": 2000}  # type: ignore[union-attr]
        journal.close()
        journal = PostgresJournal(dsn)
    journal.close()


@pytest.mark.slow
def test_a_server_that_does_not_answer_counts_as_lost(postgres_server: Postgres) -> None:
    """What it was sent then comes late, and is not committed beside the second time."""
    database = postgres_server.new_database()
    with Proxy(postgres_server.port) as proxy:
        journal = PostgresJournal(postgres_server.dsn(database, proxy.port), timeout=0.5)
        assert store(journal, Created(runtime="a", state=0)) is None
        heard = Heard()
        proxy.stop()
        journal.append(accept(1), then=heard)
        wait_until(lambda: journal.error is not None)
        assert heard == []
        assert "can't be reached" in str(journal.error) or "has not answered" in str(journal.error)
        proxy.heal()
        assert heard.wait() is None
        assert waiting(journal) == [1]
        journal.close()
    with PostgresJournal(postgres_server.dsn(database)) as journal:
        assert journal.find("a").counts == {"accepted": 1}  # type: ignore[union-attr]


def test_a_commit_that_comes_late_is_no_commit(dsn: str) -> None:
    """The server gets what was sent on the old connection after the new one was made."""
    with PostgresJournal(dsn) as journal:
        assert store(journal, Created(runtime="a", state=0)) is None
        database = journal._database
        late: dict[str, Any] = {}
        real = database._execute

        def execute(sql: str, values: Any) -> Any:
            if late:
                return real(sql, values)
            late.update(values)
            assert database._connection is not None
            database._connection.close()
            raise psycopg.OperationalError("lost")

        database._execute = execute  # type: ignore[method-assign]
        assert store(journal, accept(1)) is None
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert connection.execute(stores.COMMIT, late).fetchone() == (0, 0, 0)
        assert store(journal, accept(2)) is None
        assert waiting(journal) == [1, 2]


@pytest.mark.slow
def test_a_network_that_is_parted_has_one_owner_on_each_side_and_one_that_commits(postgres_server: Postgres) -> None:
    dsn = postgres_server.dsn(postgres_server.new_database())
    port = int(dsn.rpartition(":")[2].partition("/")[0])
    with Proxy(port) as proxy:
        first = PostgresJournal(dsn.replace(f":{port}/", f":{proxy.port}/"), timeout=0.5)
        assert store(first, Created(runtime="a", state=0), accept(1), accept(2)) is None
        proxy.stop()
        heard = Heard()
        first.append(Committed(runtime="a", activity=1, state="first"), then=heard)
        wait_until(lambda: first.error is not None)
        second = PostgresJournal(dsn, take_over=True)
        assert (second.state("a"), waiting(second)) == (0, [1, 2])
        assert store(second, Committed(runtime="a", activity=1, state="second")) is None
        proxy.heal()
        assert isinstance(heard.wait(), JournalTakenOverError)
        assert f"process {os.getpid()}" in str(heard[0])
        assert store(second, Committed(runtime="a", activity=2, state="second again")) is None
        first.close()
        assert second.state("a") == "second again"
        second.close()
    with PostgresJournal(dsn) as journal:
        assert journal.state("a") == "second again"
        assert journal.find("a").counts == {"accepted": 2, "done": 2}  # type: ignore[union-attr]


def test_a_database_that_was_set_back_is_noticed(dsn: str) -> None:
    journal = PostgresJournal(dsn)
    assert store(journal, Created(runtime="a", state=0)) is None
    before = query(dsn, "SELECT last, encode(record, 'hex'), crc FROM agentrt.meta")[0]
    assert store(journal, accept(1)) is None
    query(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'agentrt %'")
    query(dsn, f"UPDATE agentrt.meta SET last = {before[0]}, record = decode('{before[1]}', 'hex'), crc = {before[2]}")
    heard = Heard()
    journal.append(accept(2), then=heard)
    wait_until(lambda: "set back to an earlier time" in str(journal.error))
    journal.close()
    assert "set back to an earlier time" in str(heard.wait())


def test_a_journal_that_was_deleted_is_said(dsn: str) -> None:
    journal = PostgresJournal(dsn)
    assert store(journal, Created(runtime="a", state=0)) is None
    query(dsn, "DELETE FROM agentrt.meta")
    assert "no longer there" in str(store(journal, accept(2)))
    journal.close()
