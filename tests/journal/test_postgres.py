"""postgres.py: who owns it, what is wrong at the start, damage, backups, and managers."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentrt
from agentrt import Activity, ConfigurationError, JournalError, JournalTakenOverError, MissingPackageError
from agentrt.cli import main
from agentrt.feed.live import LiveSource
from agentrt.feed.recorded import RecordedSource
from agentrt.journal import (
    Changed,
    Committed,
    Created,
    PostgresJournal,
    Retention,
    SQLiteJournal,
    check_journal,
    copy_journal,
    repair_journal,
)
from agentrt.journal import postgres_store as stores
from tests.harness.place import free_port
from tests.harness.postgres import Postgres
from tests.harness.wait import PATIENCE, wait_until
from tests.journal.writes import Heard, accept, query, store, waiting
from tests.support import refusal_in_a_fork

ROOT = Path(__file__).parents[2]


# ---- who owns it

OPEN = """
import sys, agentrt.journal as journal
try:
    found = journal.PostgresJournal(sys.argv[1], take_over=len(sys.argv) > 2)
    print("opened", flush=True)
    sys.stdin.read()
except journal.sqlite.JournalError as error:
    print(error)
"""


def open_elsewhere(dsn: str, *more: str) -> subprocess.Popen[str]:
    """Another process that opens it, and holds it until its input ends."""
    command = [sys.executable, "-c", OPEN, dsn, *more]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_second_opener_hears_who_holds_it_and_what_to_do(dsn: str) -> None:
    with PostgresJournal(dsn):
        said, _ = open_elsewhere(dsn).communicate(timeout=PATIENCE)
        assert f"is held by process {os.getpid()} on {socket.gethostname()}, since" in said
        assert "take_over=True" in said
        with pytest.raises(JournalError, match="this one: close its manager or journal first"):
            PostgresJournal(dsn)
        with PostgresJournal(dsn, name="another"):
            pass
    assert "opened" in open_elsewhere(dsn).communicate(timeout=PATIENCE)[0]


def test_what_a_process_held_that_was_killed_is_opened_without_more(dsn: str) -> None:
    with open_elsewhere(dsn) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        process.kill()
        process.wait(PATIENCE)
        PostgresJournal(dsn).close()


def test_who_was_taken_over_cannot_commit_and_hears_by_whom(dsn: str) -> None:
    first = PostgresJournal(dsn)
    assert store(first, Created(runtime="a", state=0), accept(1)) is None
    with open_elsewhere(dsn, "take over") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        heard = Heard()
        first.append(Committed(runtime="a", activity=1, state=1), then=heard)
        error = heard.wait()
        assert isinstance(error, JournalTakenOverError)
        assert error.tag == "journal_taken_over"
        assert f"was taken over by process {process.pid} on {socket.gethostname()}" in str(error)
        assert isinstance(first.error, JournalTakenOverError)
        with pytest.raises(JournalTakenOverError):
            first.append(accept(2))
        first.close()
        process.communicate(timeout=PATIENCE)
    with PostgresJournal(dsn) as journal:
        assert (journal.state("a"), waiting(journal)) == (0, [1])


def test_a_lock_that_is_lost_is_not_all_that_holds_the_first_one_off(dsn: str) -> None:
    """The server has ended the connection, as it does with a machine that is gone, and another opened in between."""
    first = PostgresJournal(dsn)
    assert store(first, Created(runtime="a", state=0)) is None
    query(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'agentrt %'")
    with PostgresJournal(dsn) as second:
        assert isinstance(store(first, accept(1)), JournalTakenOverError)
        assert store(second, accept(1)) is None
    first.close()


def test_the_connection_of_another_user_cannot_be_ended(dsn: str) -> None:
    query(dsn, "DO $$ BEGIN CREATE ROLE other LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    with PostgresJournal(dsn) as journal:
        query(dsn, "GRANT ALL ON SCHEMA agentrt TO other; GRANT ALL ON ALL TABLES IN SCHEMA agentrt TO other")
        with pytest.raises(JournalError, match="GRANT pg_signal_backend"):
            PostgresJournal(dsn.replace("agents@", "other@"), take_over=True)
        assert store(journal, accept(1)) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_may_not_write_and_takes_nothing_from_the_parent(dsn: str) -> None:
    with PostgresJournal(dsn) as journal:
        assert store(journal, Created(runtime="a", state=0)) is None
        assert "fork" in refusal_in_a_fork(lambda: journal.append(accept(1)))
        assert store(journal, accept(2)) is None
        assert waiting(journal) == [2]


# ---- what is wrong at the start


@pytest.mark.parametrize(
    "options", [{"name": ""}, {"name": "a\0"}, {"take_over": 1}, {"timeout": 0}, {"keep": 5}, {"dsn": 5}]
)
def test_wrong_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        PostgresJournal(**{"dsn": "postgresql:///nowhere", **options})


def test_a_connection_string_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="connection string") as caught:
        PostgresJournal("host=here password='secret")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(JournalError, match=r"refused.*start PostgreSQL there, or correct host and port"):
        PostgresJournal(f"postgresql://agents@127.0.0.1:{free_port()}/postgres")


def test_a_wrong_password(postgres_server: Postgres, dsn: str) -> None:
    query(dsn, "DO $$ BEGIN CREATE ROLE passworded LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN END $$")
    query(dsn, "CREATE DATABASE passworded OWNER passworded")
    there = f"@127.0.0.1:{postgres_server.port}/passworded"
    PostgresJournal(f"postgresql://passworded:right{there}").close()
    with pytest.raises(JournalError, match="correct the user or the password") as caught:
        PostgresJournal(f"postgresql://passworded:wrong{there}")
    assert "wrong" not in str(caught.value)
    with pytest.raises(JournalError, match="PGPASSWORD"):
        PostgresJournal(f"postgresql://passworded{there}")


def test_a_database_that_is_not_there(postgres_server: Postgres) -> None:
    with pytest.raises(JournalError, match=r"does not exist.*createdb"):
        PostgresJournal(postgres_server.dsn("nowhere"))


def test_a_user_without_rights(postgres_server: Postgres, dsn: str) -> None:
    query(dsn, "DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    with pytest.raises(JournalError, match="CREATE SCHEMA agentrt AUTHORIZATION"):
        PostgresJournal(dsn.replace("agents@", "guest@"))


def test_psycopg_is_not_installed(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("postgres_store", "postgres_owner", "postgres_connection"):
        monkeypatch.delitem(sys.modules, f"agentrt.journal.{name}")
    with pytest.raises(MissingPackageError, match=r"not installed: pip install 'agentrt\[postgres\]'"):
        PostgresJournal(dsn)


def test_tables_of_a_newer_version_are_refused_and_left_as_they_are(dsn: str) -> None:
    PostgresJournal(dsn).close()
    query(dsn, "UPDATE agentrt.version SET steps = 99")
    before = query(dsn, "SELECT * FROM agentrt.meta")
    with pytest.raises(JournalError, match="newer agentrt"):
        PostgresJournal(dsn)
    with pytest.raises(JournalError, match="newer agentrt"):
        copy_journal(dsn, "never.db")
    assert query(dsn, "SELECT * FROM agentrt.meta") == before


def test_older_tables_are_migrated(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state=5))
    monkeypatch.setattr(stores, "STEPS", [*stores.STEPS, "CREATE TABLE agentrt.more (a int)"])
    with PostgresJournal(dsn) as journal:
        assert journal.state("a") == 5
    assert query(dsn, "SELECT count(*) FROM agentrt.more") == [(0,)]
    assert query(dsn, "SELECT steps FROM agentrt.version") == [(len(stores.STEPS),)]


# ---- damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE agentrt.log SET record = '\\x00' WHERE position = 3", "row 3 of the journal is damaged"),
        ("UPDATE agentrt.log SET crc = crc + 1 WHERE position = 4", "row 4 of the journal is damaged"),
        ("DELETE FROM agentrt.log WHERE position IN (3, 4)", "rows 3 to 4 are missing"),
        ("DELETE FROM agentrt.log WHERE position > 4", "rows 5 to 6 are missing"),
        ("UPDATE agentrt.meta SET crc = 0", "first record has a wrong checksum"),
        ("UPDATE agentrt.meta SET last = 5", "first record says that it ends at row 6, the table 5"),
    ],
)
def test_damage_is_named_and_the_rest_can_be_saved(dsn: str, tmp_path: Path, damage: str, said: str) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state=0), *(accept(each) for each in range(1, 5)))
    query(dsn, damage)
    with pytest.raises(JournalError, match=said):
        PostgresJournal(dsn)
    copy_journal(dsn, tmp_path / "copy.db")
    if "meta" not in damage:
        assert not check_journal(tmp_path / "copy.db").is_whole
    repair_journal(tmp_path / "copy.db", tmp_path / "repaired.db")
    with SQLiteJournal(tmp_path / "repaired.db") as repaired:
        assert set(waiting(repaired)) <= {1, 2, 3, 4}
        assert len(waiting(repaired)) >= 2


def test_rows_that_are_damaged_while_it_runs_are_named(dsn: str) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state=0), accept(1))
        journal.runtimes()
        query(dsn, "UPDATE agentrt.log SET crc = crc + 1 WHERE position = 2")
        with pytest.raises(JournalError, match="row 2 of the journal is damaged"):
            journal.state("a")
        query(dsn, "DELETE FROM agentrt.log WHERE position = 2")
        with pytest.raises(JournalError, match="rows 2 to 2 are missing"):
            journal.state("a")


# ---- backups, room, and managers


def test_a_backup_is_a_file_that_can_be_viewed(dsn: str, tmp_path: Path) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state={"n": 5}), *(accept(each, payload="x") for each in range(1, 12_001)))
        journal.backup(tmp_path / "tuesday.db")
        assert store(journal, accept(20_000)) is None
        with pytest.raises(JournalError, match="there already"):
            journal.backup(tmp_path / "tuesday.db")
    source = RecordedSource(tmp_path / "tuesday.db")
    assert source.snapshot("a").state == {"n": 5}
    assert source.mailbox("a").total == 12_000
    source.close()
    assert check_journal(tmp_path / "tuesday.db").is_whole
    with pytest.raises(JournalError, match=r"no journal 'nowhere'.*'agents'"):
        copy_journal(dsn, tmp_path / "nowhere.db", name="nowhere")
    assert not (tmp_path / "nowhere.db").exists()


def test_no_backup_of_a_database_without_a_journal(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal in the database"):
        copy_journal(dsn, tmp_path / "nowhere.db")


def test_a_file_is_moved_into_postgres_and_back(dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, back = tmp_path / "agents.db", tmp_path / "back.db"
    with SQLiteJournal(file, keep=Retention(records=100)) as journal:
        journal.append(Created(runtime="a", state={"n": 5}), *(accept(each) for each in range(1, 6_001)))
        for number in range(6_001, 8_001):
            journal.append(accept(number), Committed(runtime="a", activity=number, state={"n": number}))
        wait_until(lambda: journal._call(lambda: journal._database.meta.first) > 1)
    assert main(["journal", "copy", str(file), dsn, "--name", "moved"]) == 0
    assert main(["journal", "copy", str(file), dsn, "--name", "moved"]) != 0
    assert "is there already" in capsys.readouterr().err
    with PostgresJournal(dsn, name="moved") as there, SQLiteJournal(file) as here:
        assert there.find("a") == here.find("a")
        assert (there.state("a"), waiting(there)) == (here.state("a"), waiting(here))
        assert there.last_activity == here.last_activity
        assert len(set(there._call(lambda: (there.size, there._database.measure())))) == 1
        assert store(there, accept(9_000)) is None
    assert main(["journal", "copy", dsn, str(back), "--name", "moved"]) == 0
    with SQLiteJournal(back) as journal:
        assert waiting(journal) == [*range(1, 6_001), 9_000]
    for one, other in ((dsn, dsn), (file, back)):
        with pytest.raises(ConfigurationError, match="one of both"):
            copy_journal(one, other)


def test_a_damaged_file_is_not_moved_into_postgres_in_part(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0), *(accept(each) for each in range(1, 7_001)))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE log SET crc = crc + 1 WHERE position = 6500")
    connection.close()
    with pytest.raises(JournalError, match=r"row 6500 .*damaged.*agentrt journal check"):
        copy_journal(file, dsn)
    assert query(dsn, "SELECT count(*) FROM agentrt.log") == [(0,)]
    with PostgresJournal(dsn) as there:
        assert there.runtimes() == []


def test_compact_and_size(dsn: str) -> None:
    with PostgresJournal(dsn, keep=Retention(records=10)) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 1001):
            journal.append(accept(number, payload="x" * 1000), Committed(runtime="a", activity=number, state=number))
        wait_until(lambda: journal._call(lambda: journal._database.meta.last - journal._database.meta.first) < 700)
        assert 0 < journal.size < 500_000
        journal.compact()
        assert journal.state("a") == 1000
        assert "'agents' in the database" in repr(journal)


async def add(activity: Activity[int], state: int) -> int:
    return state + activity.payload


@pytest.mark.parametrize("give", [PostgresJournal, str])
def test_a_manager_goes_on_where_it_stood(dsn: str, give: Callable[[str], Any]) -> None:
    for turn in range(2):
        with agentrt.RuntimeManager(journal=give(dsn), loop="thread") as manager:
            runtime = manager.create("counter", 0, add)
            assert (runtime.resumed, runtime.state) == (turn > 0, 3 * turn)
            assert runtime.send_nowait(3).result(PATIENCE).state == 3 * turn + 3


def test_a_manager_waits_while_the_server_is_away_and_says_so(own_server: Postgres) -> None:
    with agentrt.RuntimeManager(journal=PostgresJournal(own_server.dsn()), loop="thread") as manager:
        runtime = manager.create("counter", 0, add)
        assert runtime.send_nowait(1).result(PATIENCE).state == 1
        own_server.stop()
        receipt = runtime.send_nowait(1)
        wait_until(lambda: manager.journal.error is not None)
        with pytest.raises(JournalError, match="goes on when writing works again"):
            runtime.send_nowait(5)
        standing = LiveSource(manager).journal()
        assert standing is not None
        assert standing.name == "agents"
        assert "start PostgreSQL" in standing.error
        own_server.start()
        assert receipt.result(PATIENCE).state == 2
        assert runtime.send_nowait(1).result(PATIENCE).state == 3


def test_who_waits_for_a_manager_that_was_taken_over_hears_it(dsn: str) -> None:
    with agentrt.RuntimeManager(journal=PostgresJournal(dsn), loop="thread") as manager:
        runtime = manager.create("counter", 0, add)
        assert runtime.send_nowait(1).result(PATIENCE).state == 1
        with agentrt.RuntimeManager(journal=PostgresJournal(dsn, take_over=True), loop="thread") as second:
            receipt = runtime.send_nowait(1)
            with pytest.raises(JournalTakenOverError, match="was taken over by process"):
                manager.run(receipt.stored())
            with pytest.raises(JournalTakenOverError):
                receipt.result(PATIENCE)
            with pytest.raises(JournalTakenOverError):
                runtime.send_nowait(5)
            with pytest.raises(JournalError, match="taken over"):
                manager.create("another", 0, add)
            assert second.create("counter", 0, add).send_nowait(1).result(PATIENCE).state == 2


def test_a_file_only_operation_says_what_to_do(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    for operation in (SQLiteJournal, check_journal, RecordedSource, lambda dsn: repair_journal(dsn, "never.db")):
        with pytest.raises(JournalError, match="agentrt journal copy") as caught:
            operation(dsn)
        assert caught.value.tag == "journal"
    assert main(["journal", "check", dsn]) != 0
    assert "agentrt journal copy" in capsys.readouterr().err


def test_a_commit_is_on_the_disk_whatever_the_database_says(postgres_server: Postgres, dsn: str) -> None:
    query(dsn, f"ALTER DATABASE {dsn.rpartition('/')[2]} SET synchronous_commit = off")
    with PostgresJournal(dsn) as journal:
        found = journal._call(lambda: journal._database._execute("SHOW synchronous_commit", None))
    assert found == [("on",)]


def test_the_example_of_the_documentation_runs(dsn: str) -> None:
    page = (ROOT / "docs" / "durability.md").read_text("utf-8")
    (block,) = re.findall(r"^```py\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"agentrt": agentrt}
    address = "postgresql://agents@db.example:5432/agents"
    assert address in block
    exec(block.replace(address, dsn), names)
    names["manager"].close()
    assert query(dsn, "SELECT name FROM agentrt.meta") == [("airport",)]


def test_settings_that_are_changed_by_hand_come_back(dsn: str) -> None:
    with PostgresJournal(dsn) as journal:
        journal.append(Created(runtime="a", state=0), Changed(runtime="a", paused=True))
    with PostgresJournal(dsn) as journal:
        assert journal.find("a").paused  # type: ignore[union-attr]
