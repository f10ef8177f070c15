"""salvage.py: which rows are damaged, and a new file of the others."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agentrt import Activity, JournalError, RuntimeManager
from agentrt.cli import main
from agentrt.journal import (
    Accepted,
    Changed,
    Committed,
    Created,
    Removed,
    Retention,
    SQLiteJournal,
    check_journal,
    repair_journal,
)


def fill(file: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0), Created(runtime="b", state=large(0)))  # rows 1 to 4
        for number in range(1, 51):
            journal.append(Accepted(activity=Activity(id=number, runtime="a", payload=number)))  # 5 to 54
        journal.append(Committed(runtime="a", activity=1, state=1))  # 55
        journal.append(Changed(runtime="b", state=large(1)))  # 56 and 57
        journal.append(Changed(runtime="b", state=large(2)))  # 58 and 59


def large(changed: int) -> dict[str, Any]:
    return {"text": "x" * 5000, "n": changed}


def change(file: Path, sql: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(sql)
    connection.close()


def test_a_whole_file_is_said_to_be_whole_and_stays_as_it_is(file: Path) -> None:
    fill(file)
    before = file.read_bytes()
    findings = check_journal(file)
    assert findings.is_whole
    assert str(findings) == f"{file}: {findings.rows:,} rows, all of them whole."
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_damaged_and_missing_rows_are_named_and_the_others_saved(file: Path, tmp_path: Path) -> None:
    fill(file)
    change(file, "UPDATE log SET record = x'00' WHERE position = 7")
    change(file, "DELETE FROM log WHERE position BETWEEN 10 AND 12")
    with pytest.raises(JournalError, match="row 7 of the journal is damaged"):
        SQLiteJournal(file)
    findings = check_journal(file)
    assert findings.lost == [(7, 7), (10, 12)]
    assert "Damaged or missing rows: 7, 10 to 12." in str(findings)
    target = tmp_path / "new.db"
    repair_journal(file, target)
    with SQLiteJournal(target) as journal:
        found = [each.activity.id for each in journal.waiting("a")]
        assert found == [each for each in range(2, 51) if each not in (3, 6, 7, 8)]
        assert journal.state("a") == 1
    with pytest.raises(JournalError, match="there already"):
        repair_journal(file, target)


def test_a_large_state_stays_as_it_was_before_the_damage(file: Path, tmp_path: Path) -> None:
    fill(file)
    change(file, "DELETE FROM log WHERE position = 57")
    findings = repair_journal(file, tmp_path / "new.db")
    assert "These runtimes have the large state of before the damage: 'b'." in str(findings)
    with SQLiteJournal(tmp_path / "new.db") as journal:
        assert journal.state("b") == large(0)


def test_ids_and_counts_of_rows_that_were_let_go_are_not_given_again(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file, keep=Retention(records=1)) as journal:
        journal.append(Created(runtime="a", state=0), Accepted(activity=Activity(id=7, runtime="a", payload=0)))
        journal.append(Committed(runtime="a", activity=7), Removed(runtime="a", counts={"accepted": 1, "done": 1}))
        for each in range(5):
            journal.append(Changed(runtime="b", paused=bool(each % 2)))
            journal.runtimes()
        assert (journal.last_activity, journal.retired) == (7, {"accepted": 1, "done": 1})
    assert check_journal(file).rows < 9  # of 4 and 5
    repair_journal(file, tmp_path / "new.db")
    with SQLiteJournal(tmp_path / "new.db") as journal:
        assert (journal.last_activity, journal.retired) == (7, {"accepted": 1, "done": 1})


def test_a_runtime_whose_state_is_lost_begins_with_its_initial_one(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0), Created(runtime="b", state=large(0)))  # rows 1 to 4
        for runtime in "ab":
            journal.append(Accepted(activity=Activity(id=ord(runtime), runtime=runtime, payload=1)))
        journal.append(Changed(runtime="b", state=large(1)))
    change(file, "DELETE FROM log WHERE position IN (2, 4)")
    findings = repair_journal(file, tmp_path / "new.db")
    assert "The state of these runtimes is lost, they begin with their initial one: 'a', 'b'." in str(findings)
    assert "of before the damage" not in str(findings)
    with RuntimeManager(journal=tmp_path / "new.db") as manager:
        runtime = manager.create("a", 10, lambda activity, state: state + activity.payload)
        assert manager.run(runtime.ask(5)) == 16


def test_rows_that_are_cut_off_at_the_end_are_missed(file: Path) -> None:
    fill(file)
    change(file, "DELETE FROM log WHERE position > 50")
    findings = check_journal(file)
    assert findings.lost[0][0] == 51
    assert len(findings.lost) == 1


def test_a_file_that_is_held_is_refused(file: Path) -> None:
    with SQLiteJournal(file), pytest.raises(JournalError, match="held by process"):
        check_journal(file)
    with pytest.raises(JournalError, match="there is no file"):
        check_journal(file.with_name("no.db"))


def test_what_is_no_database_at_all_is_said(file: Path) -> None:
    file.write_bytes(b"nothing" * 1000)
    findings = check_journal(file)
    assert not findings.is_whole
    assert "no journal" in str(findings)


def test_of_a_file_that_is_cut_off_the_rows_before_are_saved(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        for _ in range(1, 201):
            journal.append(Changed(runtime="a", state="x" * 900))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    with pytest.raises(JournalError, match="damaged"):
        SQLiteJournal(file)
    assert check_journal(file).lost
    assert repair_journal(file, tmp_path / "new.db").rows > 100
    assert check_journal(tmp_path / "new.db").is_whole


@pytest.mark.parametrize("text", [b"nothing" * 1000, b"no"])
def test_where_nothing_can_be_read_a_repair_writes_no_file(
    text: bytes, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(text)
    assert main(["journal", "repair", str(file)]) == 2
    assert "nothing can be read, and no new file was written" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [file]


def test_a_repair_into_a_folder_that_is_not_there_says_so(file: Path, tmp_path: Path) -> None:
    fill(file)
    with pytest.raises(JournalError, match="there is no folder"):
        repair_journal(file, tmp_path / "none" / "new.db")


def test_the_command_line_checks_repairs_and_compacts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(file)
    assert main(["journal", "check", str(file)]) == 0
    assert main(["journal", "compact", str(file)]) == 0
    change(file, "UPDATE log SET crc = crc + 1 WHERE position = 7")
    assert main(["journal", "check", str(file)]) == 1
    assert main(["journal", "compact", str(file)]) == 2
    assert main(["journal", "repair", str(file)]) == 0
    assert main(["journal", "check", f"{file}.repaired"]) == 0
    assert main(["journal", "check", "no such file"]) == 2
    said = capsys.readouterr()
    assert "Damaged or missing rows: 7." in said.out
    assert f"What can be read is in {file}.repaired now." in said.out
    assert "row 7 of the journal is damaged" in said.err
