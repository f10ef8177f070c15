"""log_copy.py: the rows of a file, read from a copy."""

from pathlib import Path

import pytest

from agentrt import RuntimeManager
from agentrt.errors import JournalError
from agentrt.journal.database import Database
from agentrt.journal.location import Location
from agentrt.journal.log_copy import LogCopy
from agentrt.journal.rows import encode_row
from tests.support import add


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with RuntimeManager(tmp_path / "agents.db") as manager:
        runtime = manager.create("a", 0, add)
        for n in range(20):
            runtime.send_nowait(n).result(60)
    return tmp_path / "agents.db"


def test_rows_are_read_in_parts_alone_and_joined(path):
    log = LogCopy(path)
    rows = list(log.rows())
    before, count = log.extent
    assert [position for position, _ in rows] == list(range(before + 1, before + count + 1))
    assert list(log.rows(3, 7)) == rows[2:6]
    assert log.fetch([5, 2, 5]) == [rows[4][1], rows[1][1], rows[4][1]]
    encoded = [encode_row(row) for _, row in rows]
    lengths, data = log.join(1, count + 1, 1_000_000)
    assert (lengths.decode(), data) == (",".join(str(len(each)) for each in encoded), b"".join(encoded))
    longest = min(map(len, encoded))
    assert log.join(1, count + 1, longest).data == b"".join(each for each in encoded if len(each) == longest)
    log.close()


def test_the_file_is_not_changed_and_the_copy_is_removed(path):
    before = path.read_bytes()
    log = LogCopy(path)
    copy = log.database.place.path
    assert copy.exists()
    log.close()
    log.close()
    assert (copy.exists(), path.read_bytes()) == (False, before)
    with pytest.raises(JournalError, match="is closed"):
        log.fetch([1])


def test_a_missing_row_and_a_damaged_one_are_errors_that_name_the_file(path):
    database = Database(Location(path))
    database.prepare()
    database.connection.execute("DELETE FROM log WHERE position = 4")
    database.connection.execute("UPDATE log SET crc = 0 WHERE position = 6")
    database.close()
    log = LogCopy(path)
    for read in (lambda: list(log.rows(1, 6)), lambda: log.join(1, 10, 100)):
        with pytest.raises(JournalError, match=r"agents\.db: rows are missing"):
            read()
    with pytest.raises(JournalError, match=r"row 6 of the journal is damaged.*agentrt journal check .*agents\.db"):
        list(log.rows(5, 8))
    log.close()
