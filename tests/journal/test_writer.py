"""Who writes, the journal's own thread or whoever flushes: nothing is lost or doubled, whatever interrupts it."""

import threading
from pathlib import Path
from typing import Any

import pytest

import agentrt.journal
from agentrt import Activity
from agentrt.journal import Accepted, Committed, Created, SQLiteJournal
from agentrt.journal import writer as writers
from tests.harness.interrupt import everywhere

PLACES = (str(Path(agentrt.journal.__file__).parent),)


def accept(id: int) -> Accepted:
    return Accepted(activity=Activity(id=id, runtime="a", payload=id))


class Heard(list[Any]):
    """What was heard of appends, and on which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def of(self, id: int) -> Any:
        def then(error: Any) -> None:
            self.threads.add(threading.get_ident())
            self.append((id, error))

        return then


@pytest.fixture
def journal(file: Path) -> Any:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        journal.runtimes()  # stored
        yield journal


def test_a_quick_disk_is_written_on_the_thread_that_flushes(journal: Any) -> None:
    heard = Heard()
    journal.append(accept(1), then=heard.of(1), required=True, more=True)
    assert heard == []
    assert journal.flush(here=True) is False
    assert heard == [(1, None)]
    assert heard.threads == {threading.get_ident()}
    assert [each.activity.id for each in journal.waiting("a")] == [1]


def test_more_than_is_stored_at_once_is_stored_in_portions(journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "MOST_HERE", 2)
    heard = Heard()
    for id in range(1, 6):
        journal.append(accept(id), then=heard.of(id), required=True, more=True)
    assert [journal.flush(here=True) for _ in range(3)] == [True, True, False]
    assert [id for id, _ in heard] == [1, 2, 3, 4, 5]


def test_a_slow_disk_is_left_to_the_thread_for_a_while(journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "QUICK", 0.0)  # no disk is
    heard = Heard()
    for id in range(1, writers.SLOW_TIMES + 2):
        journal.append(accept(id), then=heard.of(id), required=True, more=True)
        journal.flush(here=True)
        journal.runtimes()  # also what the thread has to store is stored
    assert [id for id, _ in heard] == [*range(1, writers.SLOW_TIMES + 2)]
    assert heard.threads == {threading.get_ident(), journal._writer.ident}


def test_what_cannot_be_stored_here_is_tried_again_by_the_thread(journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = threading.Event()
    journal.append(accept(1), then=lambda error: error or stored.set(), required=True, more=True)
    broken = agentrt.errors.JournalError("the disk is full")

    def refuse() -> None:
        raise broken

    with monkeypatch.context() as patched:
        patched.setattr(journal._database.place, "check_files", refuse)
        assert journal.flush(here=True) is False
        assert not stored.is_set()
        assert journal.error is broken
    assert stored.wait(60)
    assert [each.activity.id for each in journal.waiting("a")] == [1]


@pytest.mark.slow
def test_it_can_be_interrupted_anywhere(tmp_path: Path) -> None:
    for place, interruption in enumerate(everywhere(places=PLACES)):
        heard, file = Heard(), tmp_path / f"{place}.db"
        with SQLiteJournal(file) as journal:
            journal.append(Created(runtime="a", state=0))
            journal.runtimes()
            for id in (1, 2):
                journal.append(accept(id), then=heard.of(id), required=True, more=True)
            with interruption.here():
                journal.flush(here=True)
            committed = Committed(runtime="a", activity=1, state=1)
            journal.append(committed, then=heard.of(3), required=True, more=True)
            while journal.flush(here=True):
                pass
            where = interruption.where
            assert [each.activity.id for each in journal.waiting("a")] == [2], where
            assert {id for id, _ in heard} == {1, 2, 3}, where
            assert {error for _, error in heard} == {None}, where
            assert journal.find("a").counts == {"accepted": 2, "done": 1}, where
            assert journal._database.meta.last == 5, where  # created, its state, two accepted, one committed
        with SQLiteJournal(file) as journal:
            assert journal.find("a").counts == {"accepted": 2, "done": 1}, where
            assert journal.state("a") == 1, where


def test_what_could_not_be_stored_comes_first(journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails on the thread just before it is the turn of whoever flushes."""
    heard, stored, turn = Heard(), threading.Event(), journal._writer._turn
    broken = agentrt.errors.JournalError("the disk is full")

    class FailsFirst:
        """The turn, as it is got after the thread has met an error."""

        def __getattr__(self, name: str) -> Any:
            return getattr(turn, name)

        def acquire(self, blocking: bool) -> bool:
            journal._writer.error, journal._writer._required = broken, journal._writer._queue[:]
            journal._writer._queue.clear()
            journal.append(accept(2), then=heard.of(2), required=True, more=True)
            return bool(turn.acquire(blocking=blocking))

    journal.append(accept(1), then=heard.of(1), required=True, more=True)
    with monkeypatch.context() as patched:
        patched.setattr(journal._writer, "_turn", FailsFirst())
        assert journal.flush(here=True) is False
    journal.append(accept(3), then=lambda _: stored.set(), required=True)
    assert stored.wait(60)
    assert heard == [(1, None), (2, None)]
