"""sqlite.py: the files that a crash leaves."""

import os
import shutil
from pathlib import Path

import pytest

from agentrt import JournalError
from agentrt.journal import Created, SQLiteJournal
from tests.journal.writes import accept, store, waiting


def crash(file: Path, to: Path) -> Path:
    """A copy of the files as a crash would leave them."""
    to.mkdir()
    for path in file.parent.glob(f"{file.name}*"):
        shutil.copy(path, to / path.name)
    return to / file.name


def test_what_was_acknowledged_is_there_after_a_crash(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        assert store(journal, Created(runtime="a", state=0), accept(1)) is None
        left = crash(file, tmp_path / "left")
        with SQLiteJournal(left) as other:
            assert waiting(other) == [1]


def test_a_write_ahead_log_that_was_cut_is_noticed(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        assert store(journal, Created(runtime="a", state=0)) is None
        assert store(journal, accept(1)) is None
        left = crash(file, tmp_path / "left")
    wal = left.with_name(left.name + "-wal")
    os.truncate(wal, wal.stat().st_size - 1)
    with pytest.raises(JournalError, match=r"rows 3 to 3 are missing"):
        SQLiteJournal(left)


@pytest.mark.parametrize("cut", [1, 100, 4000, 5000])
def test_a_torn_end_of_which_nobody_was_told_is_no_damage(file: Path, tmp_path: Path, cut: int) -> None:
    """As power loss leaves it: what was acknowledged is on the disk, a part of the next transaction too."""
    with SQLiteJournal(file) as journal:
        assert store(journal, Created(runtime="a", state=0), accept(1)) is None
        left = crash(file, tmp_path / "left")
        assert store(journal, accept(2, payload="x" * 9000)) is None
        later = crash(file, tmp_path / "later")
    wal = left.with_name(left.name + "-wal")
    before = wal.stat().st_size
    wal.write_bytes(later.with_name(later.name + "-wal").read_bytes()[:-cut])
    assert wal.stat().st_size > before
    with SQLiteJournal(left) as journal:
        assert waiting(journal) == [1]


def test_an_empty_file_beside_its_write_ahead_log_is_not_begun_anew(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        assert store(journal, Created(runtime="a", state=0)) is None
        left = crash(file, tmp_path / "left")
    os.truncate(left, 0)
    before = left.with_name(left.name + "-wal").read_bytes()
    for damage in (lambda: None, left.unlink):
        damage()
        with pytest.raises(JournalError, match="empty or gone"):
            SQLiteJournal(left)
    assert left.with_name(left.name + "-wal").read_bytes() == before


def test_a_stray_write_ahead_log_is_refused(file: Path, tmp_path: Path) -> None:
    with SQLiteJournal(file) as journal:
        assert store(journal, Created(runtime="a", state=1)) is None
        old = crash(file, tmp_path / "old")
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="b", state=2))
    shutil.copy(old.with_name(old.name + "-wal"), file.with_name(file.name + "-wal"))
    with pytest.raises(JournalError, match="does not belong"):
        SQLiteJournal(file)
