"""sqlite.py: one process, a file that is whole, faults that are said and got over, nothing acknowledged lost."""

import asyncio
import gc
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentrt import ConfigurationError, JournalError
from agentrt.journal import Changed, Committed, Created, Retention, SQLiteJournal
from agentrt.journal import database as databases
from agentrt.journal import location as locations
from agentrt.journal import writer as writers
from agentrt.journal.indexed import PORTION, PORTION_BYTES
from tests.harness.wait import wait_until
from tests.journal.writes import accept, waiting
from tests.support import refusal_in_a_fork

ROOT = Path(__file__).parents[2]


def append(journal: SQLiteJournal, *writes: Any) -> JournalError | None:
    """Append, and wait until it is decided: None, or why it is not stored."""
    decided: list[JournalError | None] = []
    journal.append(*writes, then=decided.append)
    while not decided:
        try:
            journal.runtimes()
        except JournalError:
            break
    return decided[0]


def child(code: str, *arguments: str) -> str:
    """What another process prints that holds no journal of this one."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


OPEN = """
import sys, agentrt.journal as journal
try:
    journal.SQLiteJournal(sys.argv[1])
    print("opened")
except journal.sqlite.JournalError as error:
    print(error)
"""


def test_another_process_is_refused_and_told_who_holds_it(file: Path) -> None:
    with SQLiteJournal(file):
        said = child(OPEN, str(file))
        assert f"held by process {os.getpid()} on {socket.gethostname()}" in said
        with pytest.raises(JournalError, match="held by process"):
            SQLiteJournal(file)
    assert "opened" in child(OPEN, str(file))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_may_not_write(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        assert "fork" in refusal_in_a_fork(lambda: journal.append(accept(1)))
        assert append(journal, accept(2)) is None
        assert waiting(journal) == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_that_lets_go_of_a_journal_takes_nothing_from_the_parent(file: Path) -> None:
    """SQLite would move the write-ahead log into the file and remove it, while the parent goes on writing there."""
    journals = [SQLiteJournal(file)]
    assert append(journals[0], Created(runtime="a", state=0)) is None
    pid = os.fork()
    if not pid:
        journals[0]._database.connection = None  # type: ignore[assignment]
        journals.clear()
        gc.collect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert file.with_name(file.name + "-wal").stat().st_size > 0
    assert append(journals[0], accept(1)) is None
    journals[0].close()
    with SQLiteJournal(file) as journal:
        assert waiting(journal) == [1]


def test_nobody_waits_for_ever_if_its_thread_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SQLiteJournal(file)
    monkeypatch.setattr(journal._writer, "_apply", None)
    journal.append(Created(runtime="a", state=0))
    journal._writer.join()
    with pytest.raises(JournalError, match="has stopped"):
        journal.append(accept(1))
    with pytest.raises(JournalError):
        journal.runtimes()
    journal.close()
    with SQLiteJournal(file) as journal:
        assert journal.state("a") == 0


def test_a_network_file_system_is_refused_unless_one_insists(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "file_system", lambda folder: "nfs4")
    with pytest.raises(JournalError, match=r"network file system \(nfs4\)"):
        SQLiteJournal(file)
    SQLiteJournal(file, allow_network=True).close()


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(file: Path) -> None:
    SQLiteJournal(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(JournalError, match="newer agentrt"):
        SQLiteJournal(file)
    assert file.read_bytes() == before


def test_an_older_file_is_migrated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=5))
    monkeypatch.setattr(databases, "STEPS", [*databases.STEPS, "CREATE TABLE more (a)"])
    with SQLiteJournal(file) as journal:
        assert journal.state("a") == 5
        assert journal._database.connection.execute("SELECT count(*) FROM more").fetchone() == (0,)
        assert journal._database.connection.execute("PRAGMA user_version").fetchone() == (len(databases.STEPS),)


def test_another_file_is_no_journal(file: Path, tmp_path: Path) -> None:
    file.write_text("not a database, and long enough to be read as one" * 100)
    with pytest.raises(JournalError, match="no journal"):
        SQLiteJournal(file)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(JournalError, match="no journal"):
        SQLiteJournal(other)
    with pytest.raises(JournalError, match="no folder"):
        SQLiteJournal(tmp_path / "no" / "a.db")
    with pytest.raises(JournalError, match="is a folder"):
        SQLiteJournal(tmp_path)


@pytest.mark.parametrize("options", [{"synchronous": "off"}, {"keep": 5}])
def test_wrong_arguments(file: Path, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        SQLiteJournal(file, **options)


def test_a_folder_that_is_gone_is_said_and_got_over(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    journal = SQLiteJournal(folder / "a.db")
    assert append(journal, Created(runtime="a", state=0), accept(1)) is None
    folder.rename(tmp_path / "away")
    error = append(journal, accept(2))
    assert "is gone" in str(error)
    assert str(journal.error) == str(error)
    kept: list[Any] = []
    journal.append(Committed(runtime="a", activity=1, state=5), then=kept.append)
    assert kept == []
    (tmp_path / "away").rename(folder)
    while not kept:
        journal.runtimes()
    assert kept == [None]
    assert journal.error is None
    journal.close()
    with SQLiteJournal(folder / "a.db") as journal:
        assert (journal.state("a"), waiting(journal)) == (5, [])


class Failing:
    """A connection whose transactions end with an error of the disk as long as `broken` is set."""

    def __init__(self, connection: sqlite3.Connection, at: str) -> None:
        self.connection, self.at, self.broken = connection, at, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if self.broken and sql.startswith(self.at):
            raise sqlite3.OperationalError("disk I/O error")
        return self.connection.execute(sql, *values)


@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT"])
def test_what_was_processed_is_kept_over_an_error_of_the_disk_and_what_is_sent_is_refused(file: Path, at: str) -> None:
    journal = SQLiteJournal(file)
    assert append(journal, Created(runtime="a", state=0), accept(1), accept(2)) is None
    failing = Failing(journal._database.connection, at)
    journal._database.connection = failing  # type: ignore[assignment]
    order: list[int] = []
    journal.append(Committed(runtime="a", activity=1, state=1, sent=(accept(3),)), then=lambda error: order.append(1))
    assert "disk I/O error" in str(append(journal, accept(4)))
    journal.append(Committed(runtime="a", activity=2, state=2), then=lambda error: order.append(2))
    assert waiting(journal) == [1, 2]
    failing.broken = False
    while len(order) < 2:
        journal.runtimes()
    assert order == [1, 2]
    journal.close()
    with SQLiteJournal(file) as journal:
        assert (journal.state("a"), waiting(journal)) == (2, [3])
        assert journal.find("a").counts == {"accepted": 3, "done": 2}  # type: ignore[union-attr]


def test_what_can_never_be_stored_is_said_at_the_end(file: Path) -> None:
    journal = SQLiteJournal(file)
    assert append(journal, Created(runtime="a", state=0), accept(1)) is None
    journal._database.connection = Failing(journal._database.connection, "COMMIT")  # type: ignore[assignment]
    said: list[Any] = []
    journal.append(Committed(runtime="a", activity=1, state=1), then=said.append)
    journal.close()
    assert "disk I/O error" in str(said[0])


FULL = """
import resource, sys, agentrt.journal as j
from agentrt import Activity
path, limit = sys.argv[1], 400_000
journal = j.SQLiteJournal(path)
decided = []
journal.append(j.Created(runtime="a", state=0), then=decided.append)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
stored, number, refused = [], 0, None
while refused is None and number < 1000:
    number += 1
    def then(error, number=number):
        global refused
        if error is None:
            stored.append(number)
        else:
            refused = error
    journal.append(j.Accepted(activity=Activity(id=number, runtime="a", payload="x" * 5000)), then=then)
    journal.runtimes()
kept = []
journal.append(j.Committed(runtime="a", activity=1, state=number), then=kept.append)
journal.runtimes()
assert refused is not None and journal.error is not None and not kept, (refused, journal.error, kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
while not kept:
    journal.runtimes()
number += 1
journal.append(j.Accepted(activity=Activity(id=number, runtime="a")), then=lambda error: stored.append(number))
journal.close()
with j.SQLiteJournal(path) as journal:
    found = [each.activity.id for each in journal.waiting("a")]
    assert found == stored[1:], (found, stored)
    assert journal.state("a") == number - 1
print("went on after", refused)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_loses_nothing_acknowledged_and_it_goes_on(file: Path) -> None:
    said = child(FULL, str(file))
    assert "went on after the journal" in said, said


def test_a_backup_that_cannot_be_written_is_an_error_of_the_journal(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        with pytest.raises(JournalError, match=r"the backup .* can't be written"):
            journal.backup(tmp_path / "no folder" / "copy.db")
        assert append(journal, Created(runtime="a", state=0)) is None


def test_what_is_not_stored_when_it_is_closed_is_logged(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = SQLiteJournal(file)
    assert append(journal, Created(runtime="a", state=0)) is None
    file.unlink()
    journal.append(accept(1), required=True)
    journal.close()
    assert f"{file} was closed; writes that are not stored: 1, as {file} is gone" in caplog.text
    with pytest.raises(JournalError, match=r"put agents\.db-wal away"):
        SQLiteJournal(file)


def test_a_journal_in_memory_is_no_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="MemoryJournal"):
        SQLiteJournal(":memory:")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_consistent_while_others_write(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0), *(accept(each, payload="x" * 2000) for each in range(1, 2001)))
        copy = tmp_path / "copy.db"
        journal._call(lambda: [journal.append(accept(each)) for each in range(2001, 2101)])
        journal.backup(copy)
        with pytest.raises(JournalError, match="there already"):
            journal.backup(copy)
        with SQLiteJournal(copy) as other:
            found = waiting(other)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= 2000


def test_compact_gives_the_room_back(file: Path) -> None:
    with SQLiteJournal(file, keep=Retention(records=10)) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 1001):
            journal.append(accept(number, payload="x" * 1000), Committed(runtime="a", activity=number, state=number))
        for _ in range(20):
            journal.runtimes()
        before = journal.size
        journal.compact()
        assert journal.size < min(before, 400_000)
        assert journal.state("a") == 1000


def test_a_portion_of_history_is_let_go_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others wait for is one portion and some milliseconds, however much is beyond the bounds."""
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 5001):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
    portions: list[int] = []
    real = SQLiteJournal._replace

    def count(self: SQLiteJournal, head: list[Any]) -> None:
        portions.append(len(head))
        real(self, head)

    monkeypatch.setattr(SQLiteJournal, "_replace", count)
    with SQLiteJournal(file, keep=Retention(records=100)) as journal:
        assert append(journal, accept(6000)) is None
        while journal._call(lambda: journal._database.meta.last - journal._database.meta.first) > 700:
            pass
        assert len(portions) >= 10
        assert max(portions) <= PORTION
        assert journal.find("a").counts == {"accepted": 5001, "done": 5000}  # type: ignore[union-attr]


def test_what_comes_while_a_portion_is_let_go_is_stored_before_the_next_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait for one portion, which is bounded in rows and in bytes: see above and below."""
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 5001):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
    order: list[str] = []
    done, real = threading.Event(), SQLiteJournal._replace

    def note(error: JournalError | None) -> None:
        order.append("stored")
        if order.count("stored") == 5:
            done.set()

    def replace(self: SQLiteJournal, head: list[Any]) -> None:
        real(self, head)
        order.append("let go")
        if order.count("let go") <= 5:
            self.append(accept(6000 + len(order)), then=note)

    monkeypatch.setattr(SQLiteJournal, "_replace", replace)
    monkeypatch.setattr(writers, "IDLE_WORK", 0.0)  # else some portions more, for a hundredth of a second
    with SQLiteJournal(file, keep=Retention(records=100)) as journal:
        journal.append(accept(6000))
        assert done.wait(60)
    assert order[:10] == ["let go", "stored"] * 5


def test_a_portion_of_large_rows_is_as_small(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each row is large, others wait for a few of them: one for each of those that they wrote themselves."""
    size = 20_000
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 1001):
            journal.append(accept(number, payload="x" * size), Committed(runtime="a", activity=number, state=number))
    portions: list[int] = []
    real = SQLiteJournal._replace

    def count(self: SQLiteJournal, head: list[Any]) -> None:
        portions.append(sum(len(getattr(row, "payload", b"")) for _, row in head))
        real(self, head)

    monkeypatch.setattr(SQLiteJournal, "_replace", count)
    with SQLiteJournal(file, keep=Retention(bytes=1_000_000)) as journal:
        assert append(journal, accept(6000)) is None
        while journal._call(lambda: journal._database.used) > 1_500_000:
            pass
    assert max(portions) <= PORTION_BYTES + size


def test_a_clock_that_is_set_back_lets_nothing_go_and_breaks_nothing(file: Path) -> None:
    with SQLiteJournal(file, keep=Retention(age=100.0)) as journal:
        journal.append(Created(runtime="a", state=0, at=1000.0))
        for number in range(1, 200):
            journal.append(accept(number, created=1000.0 - number))
        assert waiting(journal) == list(range(1, 200))


def test_tasks_that_wait_hear_of_an_error(file: Path) -> None:
    journal = SQLiteJournal(file)
    failing = Failing(journal._database.connection, "COMMIT")
    journal._database.connection = failing  # type: ignore[assignment]

    async def use() -> None:
        with pytest.raises(JournalError, match="disk"):
            await journal.put(Created(runtime="a", state=0))

    asyncio.run(use())
    failing.broken = False
    journal.close()


def test_the_first_record_has_a_checksum_too(file: Path) -> None:
    SQLiteJournal(file).close()
    connection = sqlite3.connect(file)
    connection.execute("UPDATE meta SET record = ?", (msgspec.msgpack.encode(databases.Meta("other")),))
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="checksum"):
        SQLiteJournal(file)


def large(changed: int) -> dict[str, Any]:
    return {f"field {place}": (place == changed, "x" * 1000) for place in range(1000)}


def test_what_a_commit_writes_to_the_disk_is_in_proportion_to_what_has_changed(file: Path) -> None:
    """A state of 1 MB with one changed field of 1,000: 20 KB at most."""
    with SQLiteJournal(file) as journal:
        assert append(journal, Created(runtime="a", state=large(-1)), accept(1)) is None
        journal._call(lambda: journal._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        assert file.with_name(file.name + "-wal").stat().st_size == 0
        assert append(journal, Committed(runtime="a", activity=1, state=large(500))) is None
        assert file.with_name(file.name + "-wal").stat().st_size <= 20_000
        assert journal.state("a") == large(500)


def test_a_bounded_file_does_not_grow(file: Path) -> None:
    with SQLiteJournal(file, keep=Retention(bytes=200_000)) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 3001):
            journal.append(accept(number, payload="x" * 1000), Committed(runtime="a", activity=number, state=number))
            if number % 50 == 0:
                journal.runtimes()
    assert file.stat().st_size < 1_500_000
    with SQLiteJournal(file) as journal:
        assert journal.find("a").counts == {"accepted": 3000, "done": 3000}  # type: ignore[union-attr]


def test_it_says_how_long_the_first_of_what_waits_has_waited(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        assert journal.runtimes()
        assert journal.lag == 0
        away = file.rename(file.with_name("away.db"))
        journal.append(Changed(runtime="a", paused=True), required=True)
        wait_until(lambda: journal.error is not None)
        assert journal.lag > 0
        away.rename(file)
        wait_until(lambda: journal.error is None)
        assert journal.runtimes()[0].paused
        assert journal.lag == 0


def test_it_finds_out_by_itself_that_writing_works_again(file: Path) -> None:
    """Also where nothing is left to be stored: what failed was refused, and who looks at the error appends nothing."""
    with SQLiteJournal(file) as journal:
        assert append(journal, Created(runtime="a", state=0)) is None
        away = file.rename(file.with_name("away.db"))
        assert append(journal, accept(1)) is not None
        assert journal.error is not None
        away.rename(file)
        wait_until(lambda: journal.error is None)
        assert append(journal, accept(2)) is None
        assert waiting(journal) == [2]


def test_rows_that_come_while_history_is_let_go_do_not_end_that(file: Path) -> None:
    """The age is looked at again although there are as many rows as at the last look."""
    with SQLiteJournal(file, keep=Retention(age=10.0)) as journal:
        now = 1_000.0
        journal._index.now = now
        assert journal._may_be_over(2_000, 0)
        journal._notice_use(1_500, 500, 0)
        assert journal._may_be_over(2_000, 0)
