"""row_columns.py: the same values as of the rows one by one, and those it can't read are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentrt.history import row_columns
from agentrt.history.row_columns import ACCEPTED, AGAIN, COMMIT, FATES, STATE, SUPERVISED, read_columns
from agentrt.journal.log_copy import LogCopy
from agentrt.journal.rows import AcceptedRow, CommitRow, EffectRow, Row, RuntimeRow, encode_row
from tests.history.test_file_index import rows_of, write

NUMBERS = (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**62)


def columns(folder: Path, rows: list[Row], longest: int = 512) -> Any:
    log = LogCopy(write(folder / "a.db", list(map(encode_row, rows))))
    try:
        return read_columns(*log.join(1, len(rows) + 1, longest), longest)
    finally:
        log.close()


def expect(row: Row) -> tuple[Any, ...]:
    if isinstance(row, AcceptedRow):
        return ACCEPTED | (AGAIN if row.again else 0), row.activity, row.created
    assert isinstance(row, CommitRow)
    kind = 0 if row.fate is None else COMMIT + 1 + FATES.index(row.fate)
    kind |= (STATE if row.state is not None else 0) | (SUPERVISED if row.supervision is not None else 0)
    return kind | (AGAIN if row.again else 0), row.activity, row.at


def check(found: Any, rows: list[Row]) -> None:
    odd = set(found.odd.tolist())
    for n, row in enumerate(rows):
        if n not in odd:
            assert found.ids[found.runtime[n]].decode() == row.runtime, row
            assert (found.kind[n], found.activity[n], found.time[n]) == expect(row), row


def test_each_row_has_its_values(tmp_path):
    rows = list(rows_of(7, 800))
    found = columns(tmp_path, rows)
    check(found, rows)
    plain = [row for row in rows if isinstance(row, AcceptedRow | CommitRow) and len(row.runtime) < 40]
    assert len(rows) - len(found.odd) > 0.8 * len(plain)


def test_numbers_and_lengths_of_every_size(tmp_path):
    rows: list[Row] = [AcceptedRow("a", n, b"x" * size, False, 1.5) for n in NUMBERS for size in (0, 255, 256, 400)]
    rows += [CommitRow("b" * 33, n, fate, 2.5, b"y", None, "e" * 40, b"z") for n in NUMBERS for fate in (*FATES, None)]
    found = columns(tmp_path, rows)
    assert len(found.odd) == 0
    assert found.ids == [b"a", b"b" * 33]
    check(found, rows)


def test_what_it_can_not_read_is_named(tmp_path):
    whole: Any = 3  # a time that is no float
    rows: list[Row] = [
        RuntimeRow("a"), AcceptedRow("a", 1, b"", False, whole), CommitRow("a", 1, "another", 1.0),
        AcceptedRow("a", 2, b"x" * 600, False, 1.0), EffectRow("a", 1, "e", b""),
        AcceptedRow("c" * 41, 3, b"", True, 1.0),
        AcceptedRow("a", -1, b"", False, 1.0), AcceptedRow("a", 4, b"", False, 1.0),
    ]  # fmt: skip
    found = columns(tmp_path, rows)
    assert found.odd.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.activity[7] == 4


def test_ids_that_have_the_same_mixture_are_told_apart(tmp_path, monkeypatch):
    rows: list[Row] = [AcceptedRow(f"agent {n % 7}", n, b"", False, 1.0) for n in range(50)]
    expected = columns(tmp_path, rows)
    monkeypatch.setattr(row_columns, "PRIME", 0)
    found = columns(tmp_path, rows)
    assert found.ids == expected.ids == [f"agent {n}".encode() for n in range(7)]
    assert np.array_equal(found.runtime, expected.runtime)


@pytest.mark.parametrize("id", ["", "é" * 20, "a\0", "a\0\0"])
def test_any_id(tmp_path, id):
    rows: list[Row] = [AcceptedRow("a", 1, b"", False, 1.0), AcceptedRow(id, 2, b"", False, 1.0)]
    found = columns(tmp_path, rows)
    assert found.ids == [b"a", id.encode()]
