"""reader.py: a file is read as it was last written, and stays as it is."""

import dataclasses
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agentrt import Activity, JournalError, Lane
from agentrt.journal import (
    Accepted,
    Changed,
    Committed,
    Created,
    JournalReader,
    LetterClosed,
    Retention,
    SQLiteJournal,
    Unreadable,
    register,
)
from agentrt.journal.rows import AcceptedRow, CommitRow
from agentrt.journal.stored_types import _classes, _registrations


@dataclasses.dataclass(frozen=True)
class Flight:
    number: int


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int


def accept(number: int, runtime: str = "a", payload: Any = 0, **more: Any) -> Accepted:
    rank = more.pop("rank", None)
    return Accepted(activity=Activity(id=number, runtime=runtime, payload=payload, **more), rank=rank)


def fingerprint(file: Path) -> dict[str, tuple[str, int]]:
    """The content and the times of all files in the folder of a journal."""
    return {
        each.name: (hashlib.sha256(each.read_bytes()).hexdigest(), each.stat().st_mtime_ns)
        for each in file.parent.iterdir()
    }


def test_it_reads_and_the_file_stays_as_it_is(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state={"n": 1}, limits={"timeout": 2.0}, workflow="count"))
        journal.append(accept(1), accept(2, lane=Lane.PRIORITY), accept(3, not_before=99.0, created=5.0))
        journal.append(Committed(runtime="a", activity=1, state={"n": 2}, at=6.0))
    before = fingerprint(file)
    with JournalReader(file) as reader:
        assert [each.id for each in reader.runtimes()] == ["a"]
        assert (reader.state("a"), reader.last_time, reader.depth("a")) == ({"n": 2}, 6.0, (1, 1))
        assert reader.lists("a") == ([2], [], [3])
        assert (reader.due("a", 3), reader.due("a", 2), reader.accepted_priority["a"]) == (99.0, None, 1)
        assert reader.size == file.stat().st_size
        assert reader.written == pytest.approx(file.stat().st_mtime)
        for write in (lambda: reader.append(accept(4)), reader.compact, lambda: reader.backup(file)):
            with pytest.raises(JournalError, match="only read"):
                write()
        assert reader.error is None
    assert fingerprint(file) == before
    with pytest.raises(JournalError, match="is closed"):
        reader.runtimes()
    reader.close()


def test_what_a_crash_left_is_read_with_its_write_ahead_log(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 100):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
        journal.runtimes()  # all is stored
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for each in file.parent.glob("agents.db*"):
            shutil.copy(each, crashed)
    before = fingerprint(crashed / "agents.db")
    assert "agents.db-wal" in before
    with JournalReader(crashed / "agents.db") as reader:
        assert reader.state("a") == 99
    assert fingerprint(crashed / "agents.db") == before


def test_a_file_that_is_held_is_refused_and_a_backup_of_it_read(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=1))
        backup = tmp_path / "backup.db"
        journal.backup(backup)
        with pytest.raises(JournalError, match=rf"is held by process {os.getpid()} on .*`agentrt watch`.*a backup"):
            JournalReader(file)
        before = backup.read_bytes()
        with JournalReader(backup) as reader:
            assert reader.state("a") == 1
        assert backup.read_bytes() == before


HOLD = """
import sys
from agentrt.journal import Created, SQLiteJournal
with SQLiteJournal(sys.argv[1]) as journal:
    journal.append(Created(runtime="a", state=1), then=lambda error: print("held", flush=True))
    sys.stdin.read()
"""


def test_a_file_that_another_process_holds_is_refused_until_it_crashed(file: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(JournalError, match=f"held by process {process.pid} on"):
            JournalReader(file)
        process.send_signal(signal.SIGKILL)
    with JournalReader(file) as reader:
        assert reader.state("a") == 1


def change(file: Path, sql: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(sql)
    connection.close()


def test_what_is_no_whole_journal_is_refused_with_what_to_do(file: Path) -> None:
    def refusal() -> str:
        before = fingerprint(file) if file.exists() else None
        with pytest.raises(JournalError) as refused:
            JournalReader(file)
        assert before is None or fingerprint(file) == before
        text = str(refused.value)
        assert "copy.db" not in text
        return text

    assert refusal() == f"there is no file {file}"
    file.write_bytes(b"")
    assert refusal() == f"{file} is empty: no journal"
    file.write_text("a shopping list\n" * 100)
    assert refusal().startswith(f"{file} is no journal")
    file.unlink()
    change(file, "CREATE TABLE songs (name)")
    assert refusal() == f"{file} is a file of SQLite, but no journal"
    file.unlink()
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=1), accept(1))
    whole = file.read_bytes()
    change(file, "UPDATE log SET record = x'00' WHERE position = 2")
    assert refusal() == (
        f"{file}: row 2 of the journal is damaged: its checksum is wrong; see `agentrt journal check {file}`"
    )
    file.write_bytes(whole)
    change(file, "PRAGMA user_version = 999")
    assert "was written by a newer agentrt" in refusal()
    assert "journal check" not in refusal()


def test_the_advice_is_given_once(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=1), accept(1))
    change(file, "DELETE FROM log WHERE position = 2")
    with pytest.raises(JournalError) as refused:
        JournalReader(file)
    assert str(refused.value).count("agentrt journal check") == 1


def forget(*classes: type) -> None:
    for each in classes:
        _classes.pop(_registrations.pop(each).name, None)


def test_what_has_no_class_here_is_read_as_plain_values(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(Flight, name="gone:Flight")
    register(Alert, name="gone:Alert")
    large = {"flight": Flight(3), "text": "x" * 5000}
    with SQLiteJournal(file) as journal:
        journal.append(
            Created(runtime="a", state=Flight(1), limits={"accepts": Flight(9)}),
            Created(runtime="large", state=large),
            Created(runtime="set", state={Flight(1)}),
            accept(1, payload=[Flight(2)]),
            Accepted(activity=Alert(id=2, runtime="a", payload="fire", severity=3)),
            Accepted(activity=Activity(id=3, runtime="later", payload=1)),
        )
    forget(Flight, Alert)
    with JournalReader(file) as reader:
        assert reader.state("a") == {"number": 1}
        assert reader.state("large") == {"flight": {"number": 3}, "text": "x" * 5000}
        assert isinstance(reader.state("set"), Unreadable)
        assert "gone:Flight" in reader.state("set").reason
        assert [each.payload for each in reader.activities("a", [1, 2])] == [[{"number": 2}], "fire"]
        assert reader.find("a").limits == {"accepts": {"number": 9}}
        assert "never created" in reader.state("later").reason
        assert reader.find("later").created is None
        with pytest.raises(JournalError, match="nothing is stored of 'x'"):
            reader.state("x")


def test_a_registered_value_whose_class_is_gone_is_plain(file: Path) -> None:
    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

    register(Celsius, encode=lambda value: value.degrees, decode=Celsius, name="gone:Celsius")
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=[Celsius(3.0)]))
        assert type(journal.plain_state("a")[0]) is Celsius
    forget(Celsius)
    with JournalReader(file) as reader:
        assert reader.state("a") == [3.0]
    with SQLiteJournal(file) as journal:
        assert journal.plain_state("a") == [3.0]


def test_lanes_are_in_their_order(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        journal.append(*(accept(number, created=1.0) for number in (1, 2, 3)))
        journal.append(accept(3, rank=0.5, created=1.0), accept(4, lane=Lane.PRIORITY, created=1.0))
        journal.append(accept(1, lane=Lane.PRIORITY, created=1.0))  # promoted
        journal.append(Committed(runtime="a", activity=2, fate=None, not_before=8.0, at=2.0))  # tried again
    with JournalReader(file) as reader:
        assert reader.lists("a") == ([1, 4], [3], [2])
        assert reader.depth("a") == (2, 2)
        [again] = reader.activities("a", [2])
        assert again.not_before == 8.0


def test_what_became_of_dead_letters_is_counted(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0), *(accept(number) for number in (1, 2, 3)))
        journal.append(*(Committed(runtime="a", activity=each, fate="dead", error="gone") for each in (1, 2, 3)))
        journal.append(
            accept(4, parent=1),
            LetterClosed(runtime="a", activity=1, fate="resent"),
            LetterClosed(runtime="a", activity=2, fate="discarded"),
        )
    with JournalReader(file) as reader:
        assert reader.retired == {"resent": 1, "discarded": 1}
        assert [each.activity.id for each in reader.letters()] == [3]


def test_the_history_is_its_last_rows(file: Path) -> None:
    with SQLiteJournal(file, keep=Retention(records=1000)) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 101):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
        journal.append(Changed(runtime="a", paused=True))
    with JournalReader(file) as reader:
        rows, before = reader.history(5)
        assert [type(row) for _, row in rows[:4]] == [AcceptedRow, CommitRow] * 2
        assert [position for position, _ in rows] == list(range(before + 1, before + 6))
        everything, before = reader.history(10_000)
        assert (before, len(everything)) == (0, rows[-1][0])


def test_it_is_read_from_any_thread(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=7), *(accept(number) for number in range(1, 500)))
    with JournalReader(file) as reader:
        found: list[Any] = []

        def read() -> None:
            found.append(
                (reader.state("a"), len(reader.activities("a", range(1, 500))), len(list(reader.waiting("a"))))
            )

        threads = [threading.Thread(target=read) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert found == [(7, 499, 499)] * 4
