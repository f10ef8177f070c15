"""file_index.py: where everything stood before any row, as the index of a journal finds it row by row."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentrt.activity import Activity, Lane
from agentrt.errors import JournalError
from agentrt.history.file_index import FileIndex, PlacesBefore
from agentrt.journal.codec import Codec
from agentrt.journal.database import Database
from agentrt.journal.index import Index
from agentrt.journal.location import Location
from agentrt.journal.log_copy import LogCopy
from agentrt.journal.protocol import (
    Accepted,
    Changed,
    Committed,
    Created,
    EffectDone,
    LetterClosed,
    LetterKept,
    Removed,
    Write,
)  # fmt: skip
from agentrt.journal.rows import CommitRow, RemovedRow, Row, RowWriter, RuntimeRow, encode_row

IDS = ("a", "b", "much the longest of all these ids, and longer than what is read in one go", "é", "agent 10")
FATES = ("done", "done", "done", "failed", "timed_out", "dropped", "terminated", "dead")


class Chance:
    """Writes as a manager might have them stored, and some that none should."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.next = 1
        self.time = 10.0
        self.waiting: dict[int, Activity[Any]] = {}
        self.last: list[Write] = []

    def writes(self) -> tuple[Write, ...]:
        chance = self.chance
        self.time += chance.choice([0, 0.5])
        id = chance.choice(IDS)
        kinds = [self.accept] * 9 + [self.commit] * 8 + [self.again, self.create, self.change, self.other, self.twice]
        return chance.choice(kinds)(id)

    def accept(self, id: str) -> tuple[Write, ...]:
        chance = self.chance
        self.next += chance.choice([1, 1, 1, 300, 70_000])
        payload = chance.choice([None, 5, "x" * 30, "y" * 600, {"a": [1, 2]}])
        lane = chance.choice([Lane.PRIORITY, Lane.STANDARD])
        activity = Activity(self.next, id, payload, lane, self.time, key=chance.choice([None, "key"]))
        self.waiting[activity.id] = activity
        return (Accepted(activity=activity, rank=chance.choice([None, 5.5])),)

    def again(self, id: str) -> tuple[Write, ...]:
        if not self.waiting:
            return ()
        activity = self.chance.choice([*self.waiting.values()])
        return (Accepted(activity=msgspec.structs.replace(activity, payload=7)),)

    def commit(self, id: str) -> tuple[Write, ...]:
        if not self.waiting:
            return ()
        activity = self.chance.choice([*self.waiting.values()])
        fate: Any = self.chance.choice([*FATES, None])
        if fate is not None:
            del self.waiting[activity.id]
        more: dict[str, Any] = {}
        if fate == "done" or self.chance.random() < 0.2:
            large = {f"key {n}": n + self.next for n in range(self.chance.choice([3, 120]))}
            more["state"] = self.chance.choice([self.next, large, large, None])
        if fate not in ("done", None):
            more |= {"error": "ValueError('no')", "supervision": {"failed": self.chance.random() < 0.1}}
        if self.chance.random() < 0.3:
            more["reply"] = "r" * self.chance.choice([3, 700])
        sent = self.accept(id) if self.chance.random() < 0.2 else ()
        self.last = [Committed(runtime=activity.runtime, activity=activity.id, fate=fate, at=self.time, **more)]
        return (*self.last, *sent)

    def twice(self, id: str) -> tuple[Write, ...]:
        return tuple(self.last)

    def create(self, id: str) -> tuple[Write, ...]:
        return (Created(runtime=id, state=self.next, at=self.time, limits={"timeout": 3.0}),)

    def change(self, id: str) -> tuple[Write, ...]:
        more = self.chance.choice([{"paused": True}, {"state": {"key": 1}}, {"supervision": {"failed": True}}])
        return (Changed(runtime=id, **more),)

    def other(self, id: str) -> tuple[Write, ...]:
        self.next += 1
        kinds: list[tuple[Write, ...]] = [
            (Removed(runtime=id),),
            (EffectDone(runtime=id, activity=self.next, name="e", value=1),),
            (LetterClosed(runtime=id, activity=self.next),),
            (LetterKept(activity=Activity(self.next, id, 1, created=self.time), at=self.time, reason="it was"),),
        ]
        chosen = self.chance.choice(kinds)
        if isinstance(chosen[0], Removed):
            self.waiting = {n: each for n, each in self.waiting.items() if each.runtime != id}
        return chosen


def rows_of(seed: int, most: int) -> Iterator[Row]:
    writer, chance, found = RowWriter(Codec()), Chance(seed), 0
    index = Index()
    rows: list[tuple[int, Row]] = []
    while found < most:
        writes = chance.writes()
        new = list(writer.rows(writes)) if writes else []
        if chance.chance.random() < 0.01:  # the first rows are let go: others stand for them
            new += index.carry(rows)
        for row in new:
            found += 1
            rows.append((found, row))
            index.apply(found, row)
            yield row


def write(path: Path, rows: list[bytes]) -> Path:
    database = Database(Location(path), "normal")
    database.prepare()
    database.connection.execute("BEGIN")
    database.insert(rows)
    database.write_meta()
    database.connection.execute("COMMIT")
    database.close()
    return path


class Expected:
    """How everything stands, found row by row."""

    def __init__(self) -> None:
        self.index = Index()
        self.errors: dict[str, tuple[int, bool] | None] = {}
        self.order: dict[str, None] = {}

    def add(self, position: int, row: Row) -> None:
        self.order.setdefault(row.runtime)
        error = self.errors.get(row.runtime)
        if isinstance(row, RemovedRow) or (isinstance(row, RuntimeRow) and row.new):
            self.errors[row.runtime] = None
        elif isinstance(row, CommitRow) and not row.again:
            places = self.index.runtimes.get(row.runtime)
            if row.fate is not None and places is not None and places.last == row.activity:
                pass  # handed over twice
            elif row.fate in ("failed", "timed_out"):
                self.errors[row.runtime] = position, True
            elif row.fate == "done" and error is not None:
                self.errors[row.runtime] = error[0], False
        self.index.apply(position, row)

    def facts(self, id: str) -> tuple[Any, ...]:
        places = self.index.runtimes.get(id)
        if places is None or places.created is None:
            waiting = [] if places is None else sorted(places.waiting.values())
            return (waiting,)
        counts = {fate: count for fate, count in places.counts.items() if count}
        return (
            sorted(places.waiting.values()), places.created, places.limits, places.paused, places.workflow, counts,
            places.state, places.head if places.fields else "", places.fields, places.supervision, self.errors.get(id),
        )  # fmt: skip


def facts(place: PlacesBefore, rows: list[Row]) -> tuple[Any, ...]:
    places, waiting = place.settings, sorted(each[-1] for each in place.waiting)
    if places.created is None:
        return (waiting,)
    counts = {fate: count for fate, count in places.counts.items() if count}
    row: Any = None if place.supervision is None else rows[place.supervision - 1]
    return (
        waiting, places.created, places.limits, places.paused, places.workflow, counts, places.state,
        places.head if places.fields else "", places.fields, places.supervision if row is None else row.supervision,
        place.error,
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "chunk", "block"), [(1, 100, 64), (2, 7, 1), (3, 20_000, 1 << 14), (4, 50, 1_000)])
def test_it_finds_what_the_index_finds_row_by_row(tmp_path, monkeypatch, seed, chunk, block):
    monkeypatch.setattr("agentrt.history.file_index.CHUNK", chunk)
    monkeypatch.setattr("agentrt.history.file_index.BLOCK", block)
    rows = list(rows_of(seed, 1_500))
    log = LogCopy(write(tmp_path / "a.db", list(map(encode_row, rows))))
    index, expected = FileIndex(log, every=5), Expected()
    for position, row in enumerate(rows, 1):
        if position in index.starts:
            found = {place.id: facts(place, rows) for place in index.before(position)}
            for id in expected.order:
                assert found[id] == expected.facts(id), (position, id)
            assert [id for id in found if id in expected.order] == list(expected.order)
            assert index.times[index.starts.index(position)] == expected.index.now
        expected.add(position, row)
    assert index.now == expected.index.now
    log.close()


def test_an_empty_file_has_nothing(tmp_path):
    log = LogCopy(write(tmp_path / "a.db", []))
    index = FileIndex(log, every=5)
    assert (list(index.starts), index.before(1), index.now) == ([], [], 0.0)
    log.close()


def test_a_missing_row_is_an_error(tmp_path):
    rows = list(map(encode_row, rows_of(1, 30)))
    path = write(tmp_path / "a.db", rows)
    database = Database(Location(path), "normal")
    database.prepare()
    database.connection.execute("DELETE FROM log WHERE position = 7")
    database.close()
    log = LogCopy(path)
    with pytest.raises(JournalError, match=r"a\.db: rows are missing"):
        FileIndex(log, every=5)
    log.close()


def test_it_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("agentrt.history.file_index.CHUNK", 20)
    rows = list(map(encode_row, rows_of(1, 50)))
    log = LogCopy(write(tmp_path / "a.db", rows))
    seen: list[int] = []
    FileIndex(log, 5, seen.append)
    assert seen == [*range(20, len(rows), 20), len(rows)]
    log.close()
